//! Verdicts: what is answered to whoever asks whether a code is good.

use jiff::Timestamp;

use crate::{
    Reason, code::ValidityCode, document::DocumentState, enums::text_enum, identity::PersonId,
};

text_enum! {
    /// The short answer.
    pub enum Outcome {
        /// The document is real and in force.
        Valid = "VALID",
        /// It is not; the reason says why.
        NotValid = "NOT_VALID",
        /// The service could not tell.
        Undetermined = "UNDETERMINED",
    }
}

text_enum! {
    /// Why the outcome is what it is.
    pub enum VerdictReason {
        /// In force.
        Ok = "OK",
        /// Not 20 digits.
        Malformed = "MALFORMED",
        /// Unknown, and its check digits are wrong.
        CheckDigit = "CHECK_DIGIT",
        /// Unknown.
        NotFound = "NOT_FOUND",
        /// Revoked.
        Revoked = "REVOKED",
        /// Suspended for now.
        Suspended = "SUSPENDED",
        /// Replaced by a newer document.
        Superseded = "SUPERSEDED",
        /// Past its end.
        Expired = "EXPIRED",
        /// Before its beginning.
        NotYetValid = "NOT_YET_VALID",
        /// Real, but not about the person claimed.
        SubjectMismatch = "SUBJECT_MISMATCH",
        /// Outside what the caller may ask.
        NotCovered = "NOT_COVERED",
        /// The state could not be read.
        StatusUnavailable = "STATUS_UNAVAILABLE",
    }
}

impl VerdictReason {
    /// The short answer that belongs to the reason.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Valid,
            Self::StatusUnavailable => Outcome::Undetermined,
            Self::Malformed
            | Self::CheckDigit
            | Self::NotFound
            | Self::Revoked
            | Self::Suspended
            | Self::Superseded
            | Self::Expired
            | Self::NotYetValid
            | Self::SubjectMismatch
            | Self::NotCovered => Outcome::NotValid,
        }
    }

    /// The reason in Persian, for showing to a person. It speaks of the code, never of whether somebody is a student.
    #[must_use]
    pub const fn explanation_fa(self) -> &'static str {
        match self {
            Self::Ok => "سند معتبر است.",
            Self::Malformed => "کد واردشده ۲۰ رقم نیست.",
            Self::CheckDigit => {
                "سندی با این کد ثبت نشده و رقم‌های کنترلی کد نادرست است؛ احتمالاً کد اشتباه وارد شده است."
            }
            Self::NotFound => "سندی با این کد ثبت نشده است.",
            Self::Revoked => "سند باطل شده است.",
            Self::Suspended => "اعتبار سند موقتاً تعلیق شده است.",
            Self::Superseded => "سند دیگری جایگزین این سند شده است.",
            Self::Expired => "مدت اعتبار سند به پایان رسیده است.",
            Self::NotYetValid => "مدت اعتبار سند هنوز آغاز نشده است.",
            Self::SubjectMismatch => "سند به شخص اعلام‌شده تعلق ندارد.",
            Self::NotCovered => "این استعلام در محدوده دسترسی استعلام‌کننده نیست.",
            Self::StatusUnavailable => {
                "در حال حاضر تعیین وضعیت سند ممکن نیست؛ لطفاً دوباره تلاش کنید."
            }
        }
    }

    /// The reason in English, for showing to a person. It speaks of the code, never of whether somebody is a student.
    #[must_use]
    pub const fn explanation_en(self) -> &'static str {
        match self {
            Self::Ok => "The document is valid.",
            Self::Malformed => "The code entered does not have 20 digits.",
            Self::CheckDigit => {
                "No document is registered under this code and its check digits are wrong; it was most likely mistyped."
            }
            Self::NotFound => "No document is registered under this code.",
            Self::Revoked => "The document has been revoked.",
            Self::Suspended => "The document is suspended for the time being.",
            Self::Superseded => "The document has been replaced by another one.",
            Self::Expired => "The document has expired.",
            Self::NotYetValid => "The document is not valid yet.",
            Self::SubjectMismatch => "The document does not belong to the person named.",
            Self::NotCovered => "This inquiry is outside what the caller may ask.",
            Self::StatusUnavailable => {
                "The state of the document cannot be determined at the moment; please try again."
            }
        }
    }
}

text_enum! {
    /// One of the three separate judgements behind a verdict.
    pub enum Judgement {
        /// Holds.
        Valid = "VALID",
        /// Does not hold.
        Invalid = "INVALID",
        /// Not judged, because another judgement settled the matter.
        Skipped = "SKIPPED",
        /// Could not be judged.
        Error = "ERROR",
    }
}

/// The answer to the question whether a code is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The short answer.
    pub outcome: Outcome,
    /// Why.
    pub reason: VerdictReason,
    /// Whether the code is whole and known.
    pub integrity: Judgement,
    /// Whether the document is in force.
    pub status: Judgement,
    /// Whether the issuer is one of the service's active institutions. It does not change the outcome: what an institution
    /// issued stays good after it was closed.
    pub issuer: Judgement,
}

/// A document as far as a verdict asks about it.
#[derive(Debug, Clone, Copy)]
pub struct StoredDocument<'a> {
    /// State.
    pub state: DocumentState,
    /// First instant at which it is valid.
    pub valid_from: Timestamp,
    /// First instant at which it is no longer valid; `None` when it never expires.
    pub expire_time: Option<Timestamp>,
    /// Whom it is about.
    pub person: &'a PersonId,
    /// Whether its code was given before this service existed, so that check digits do not apply to it.
    pub legacy: bool,
    /// Whether it is still being signed: until then it does not exist for anybody who asks.
    pub issuing: bool,
    /// Whether its issuer is an active institution.
    pub issuer_active: bool,
}

/// The code of a judgement that holds.
const OK: &str = VerdictReason::Ok.as_str();

impl Verdict {
    /// Why integrity was judged as it was.
    #[must_use]
    pub const fn integrity_code(&self) -> &'static str {
        match self.integrity {
            Judgement::Valid => OK,
            Judgement::Invalid => self.reason.as_str(),
            Judgement::Skipped => "",
            Judgement::Error if matches!(self.reason, VerdictReason::StatusUnavailable) => {
                VerdictReason::StatusUnavailable.as_str()
            }
            Judgement::Error => VerdictReason::CheckDigit.as_str(),
        }
    }

    /// Why the status was judged as it was; empty when it was not.
    #[must_use]
    pub const fn status_code(&self) -> &'static str {
        match self.status {
            Judgement::Valid => OK,
            Judgement::Invalid => self.reason.as_str(),
            Judgement::Skipped => "",
            Judgement::Error => VerdictReason::StatusUnavailable.as_str(),
        }
    }

    /// Why the issuer was judged as it was; empty when it was not.
    #[must_use]
    pub const fn issuer_code(&self) -> &'static str {
        match self.issuer {
            Judgement::Valid => OK,
            Judgement::Invalid => Reason::InstitutionNotActive.as_str(),
            Judgement::Skipped => "",
            Judgement::Error => VerdictReason::StatusUnavailable.as_str(),
        }
    }

    /// The verdict on what is no code at all.
    #[must_use]
    pub const fn malformed() -> Self {
        Self::unknown(VerdictReason::Malformed)
    }

    /// The verdict when the store cannot be asked.
    #[must_use]
    pub const fn undetermined() -> Self {
        Self {
            outcome: VerdictReason::StatusUnavailable.outcome(),
            reason: VerdictReason::StatusUnavailable,
            integrity: Judgement::Error,
            status: Judgement::Error,
            issuer: Judgement::Error,
        }
    }

    const fn unknown(reason: VerdictReason) -> Self {
        Self {
            outcome: reason.outcome(),
            reason,
            integrity: Judgement::Invalid,
            status: Judgement::Skipped,
            issuer: Judgement::Skipped,
        }
    }
}

/// The verdict at the instant `now` on a well-formed code, given what is stored under it and the person it is claimed to be
/// about.
///
/// The first rule that applies decides: not found (explained by the check digits where they are wrong), revoked, superseded,
/// suspended, expired, not yet valid, another subject, valid. The code is looked up first because legacy codes have no check
/// digits.
#[must_use]
pub fn verdict_at(
    code: &ValidityCode,
    found: Option<&StoredDocument<'_>>,
    claim: Option<&PersonId>,
    now: Timestamp,
) -> Verdict {
    let Some(document) = found.filter(|document| !document.issuing) else {
        return Verdict::unknown(if code.check_digits_ok() {
            VerdictReason::NotFound
        } else {
            VerdictReason::CheckDigit
        });
    };
    let out_of_force = match document.state {
        DocumentState::Revoked => Some(VerdictReason::Revoked),
        DocumentState::Superseded => Some(VerdictReason::Superseded),
        DocumentState::Suspended => Some(VerdictReason::Suspended),
        DocumentState::Active if document.expire_time.is_some_and(|end| end <= now) => {
            Some(VerdictReason::Expired)
        }
        DocumentState::Active if document.valid_from > now => Some(VerdictReason::NotYetValid),
        DocumentState::Active => None,
    };
    let reason = out_of_force.unwrap_or_else(|| {
        if claim.is_some_and(|claimed| claimed != document.person) {
            VerdictReason::SubjectMismatch
        } else {
            VerdictReason::Ok
        }
    });
    Verdict {
        outcome: reason.outcome(),
        reason,
        // a stored code of our own with wrong check digits contradicts itself; the register still decides the outcome
        integrity: if document.legacy || code.check_digits_ok() {
            Judgement::Valid
        } else {
            Judgement::Error
        },
        status: if out_of_force.is_some() {
            Judgement::Invalid
        } else {
            Judgement::Valid
        },
        issuer: if document.issuer_active {
            Judgement::Valid
        } else {
            Judgement::Invalid
        },
    }
}

/// Whether the asker guessed wrong: the code, or whom the document is about. A document that is out of force tells as much
/// by the comparison of its claims as one in force, so the person counts whatever else there is to say of it.
#[must_use]
pub fn guessed_wrong(
    verdict: &Verdict,
    found: Option<&StoredDocument<'_>>,
    claim: Option<&PersonId>,
) -> bool {
    match verdict.reason {
        VerdictReason::NotFound | VerdictReason::CheckDigit | VerdictReason::SubjectMismatch => {
            true
        }
        _ => found
            .zip(claim)
            .is_some_and(|(document, claimed)| claimed != document.person),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
