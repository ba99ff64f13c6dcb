//! The services as they are offered: calls, the agreements under them and the workflow they run by.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    agreement::{Agreement, AgreementPurpose},
    attachment::{Attachment, AttachmentKind},
    certificate::{Purpose, RequestType},
    enums::text_enum,
    institution::{Institution, InstitutionState, InstitutionType},
    reason::Reason,
    sla::TARGET_MAX_HOURS,
    tariff::ISSUE,
    validity::{CodeRules, DocumentKind},
};

text_enum! {
    /// The services offered.
    pub enum ServiceKind {
        /// Enrollment certificates for students inside the country.
        EnrollmentCertificate = "ENROLLMENT_CERTIFICATE",
        /// Validity codes for documents.
        ValidityCode = "VALIDITY_CODE",
    }
}

impl ServiceKind {
    /// The types of request that are made of it, by their stable names.
    #[must_use]
    pub fn request_types(self) -> Vec<&'static str> {
        match self {
            Self::EnrollmentCertificate => {
                RequestType::ALL.iter().map(|kind| kind.as_str()).collect()
            }
            Self::ValidityCode => vec![ISSUE],
        }
    }

    /// Whether a service level can be promised: a type of request of this service, and a target that is neither nothing nor
    /// endless.
    #[must_use]
    pub fn may_promise(self, request_type: &str, hours: u32) -> bool {
        self.request_types().contains(&request_type) && (1..=TARGET_MAX_HOURS).contains(&hours)
    }

    /// The Persian name, as in the service-level agreement.
    #[must_use]
    pub const fn name_fa(self) -> &'static str {
        match self {
            Self::EnrollmentCertificate => {
                "تأیید گواهی اشتغال به تحصیل دانشجویان داخل (صدور گواهی اشتغال به تحصیل)"
            }
            Self::ValidityCode => "صدور کد صحت",
        }
    }

    /// The English name.
    #[must_use]
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::EnrollmentCertificate => {
                "Confirmation and issue of enrollment certificates for students in Iran"
            }
            Self::ValidityCode => "Issue of validity codes",
        }
    }

    /// The Persian name of who provides the service.
    #[must_use]
    pub const fn provider_fa(self) -> &'static str {
        match self {
            Self::EnrollmentCertificate | Self::ValidityCode => "سازمان امور دانشجویان",
        }
    }

    /// The English name of who provides the service.
    #[must_use]
    pub const fn provider_en(self) -> &'static str {
        match self {
            Self::EnrollmentCertificate | Self::ValidityCode => "Organization of Student Affairs",
        }
    }
}

text_enum! {
    /// State of a call.
    pub enum ServiceCallState {
        /// Being prepared.
        Draft = "DRAFT",
        /// Announced; the service is offered between its two instants.
        Open = "OPEN",
        /// Closed; its agreements have ended.
        Closed = "CLOSED",
    }
}

impl ServiceCallState {
    /// Where it may go from here.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Open],
            Self::Open => &[Self::Closed],
            Self::Closed => &[],
        }
    }
}

/// A call (فراخوان): for how long, to whom and by which workflow a service is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// Its id.
    pub id: String,
    /// The service.
    pub service: ServiceKind,
    /// State.
    pub state: ServiceCallState,
    /// First instant at which the service is offered.
    pub open_time: Timestamp,
    /// First instant at which it is no longer offered; `None` when the end is not set.
    pub close_time: Option<Timestamp>,
    /// Kinds of institution that are served; those not eligible at all stay refused.
    pub eligible_types: Vec<InstitutionType>,
    /// Kinds of document for which validity codes are issued.
    pub document_kinds: Vec<DocumentKind>,
    /// Id of the workflow version that requests run under.
    pub workflow_version: String,
    /// For how many days after the close requests in flight run off.
    pub run_off_days: u16,
    /// Within how many working hours the initial result of a type of request is promised, by its stable name; nothing is
    /// promised for the others.
    pub sla_targets: BTreeMap<String, u32>,
}

impl ServiceCall {
    /// Whether new requests are taken at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == ServiceCallState::Open
            && self.open_time <= now
            && self.close_time.is_none_or(|close| now < close)
    }

    /// Until when requests in flight run off after the close; `None` when it has not closed and no close is set.
    #[must_use]
    pub fn run_off_end(&self) -> Option<Timestamp> {
        let days = SignedDuration::from_hours(24 * i64::from(self.run_off_days));
        self.close_time
            .map(|close| close.checked_add(days).unwrap_or(Timestamp::MAX))
    }

    /// Whether what was handed in while the call was open may still be decided at `now`.
    #[must_use]
    pub fn runs_off(&self, now: Timestamp) -> bool {
        self.is_open(now)
            || (self.state != ServiceCallState::Draft
                && self.run_off_end().is_some_and(|end| now < end))
    }
}

text_enum! {
    /// Where payment stands in a workflow.
    pub enum PaymentPosition {
        /// Paid, or free by a recorded basis, before anything is issued.
        BeforeIssue = "BEFORE_ISSUE",
    }
}

/// The rules of a service that are data: every request keeps the version it ran under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowVersion {
    /// Its id.
    pub id: String,
    /// The service.
    pub service: ServiceKind,
    /// Whether a fresh record confirms an application without asking the institution.
    pub auto_confirm: bool,
    /// Until what age a record is fresh, in hours.
    pub freshness_hours: u32,
    /// Whether the previous levels must be proven.
    pub require_prior_qualification: bool,
    /// For how many days after the end of the term a certificate holds.
    pub certificate_extra_days: u16,
    /// For how many Jalali months after its issue a certificate holds at most.
    pub certificate_max_months: u8,
    /// Whether the institution reviews what a record does not confirm; otherwise such an application is refused.
    pub university_review: bool,
    /// Whether the Organization reviews what was confirmed.
    pub organization_review: bool,
    /// Of how many in a hundred it does, drawn by lot.
    pub organization_review_percent: u8,
    /// Purposes whose certificates outlive the enrollment: they certify what was, not what is.
    pub outlives_enrollment: Vec<Purpose>,
    /// Where payment stands.
    pub payment_position: PaymentPosition,
    /// Files that an application must come with.
    pub required_attachments: Vec<RequiredAttachment>,
    /// What is about validity codes alone.
    pub codes: CodeRules,
}

/// A file that an application must come with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredAttachment {
    /// Its kind.
    pub kind: AttachmentKind,
    /// The one type of application, or kind of document, that needs it, by its stable name; all do when unset.
    pub only_for: Option<String>,
}

impl WorkflowVersion {
    /// Until what age a record is fresh.
    #[must_use]
    pub fn max_record_age(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.freshness_hours) * 3600)
    }

    /// Whether the Organization reviews an application that drew `lot`, 0 to 99.
    #[must_use]
    pub const fn is_reviewed(&self, lot: u8) -> bool {
        self.organization_review && lot < self.organization_review_percent
    }

    /// Whether an application is decided in the call that hands it in, without anybody's review.
    #[must_use]
    pub const fn decides_at_once(&self) -> bool {
        !self.university_review && !self.organization_review
    }

    /// The kinds of file that an application of the named type, or for the named kind of document, lacks.
    #[must_use]
    pub fn missing_attachments(
        &self,
        asked_for: &str,
        attachments: &[Attachment],
    ) -> Vec<AttachmentKind> {
        let required = self.required_attachments.iter().filter(|required| {
            let only_for = required.only_for.as_deref();
            only_for.is_none_or(|only_for| only_for == asked_for)
        });
        required
            .map(|required| required.kind)
            .filter(|kind| !attachments.iter().any(|given| given.kind == *kind))
            .collect()
    }

    /// Whether an expert's attestation alone gets a validity code: it stands for the expert's decision, and for nobody else's.
    #[must_use]
    pub const fn takes_attestations(&self) -> bool {
        self.auto_confirm && !self.organization_review
    }

    /// Whether a certificate for this purpose ends with the enrollment.
    #[must_use]
    pub fn ends_with_enrollment(&self, purpose: Purpose) -> bool {
        !self.outlives_enrollment.contains(&purpose)
    }
}

/// The call under which `service` is used at `now` for `purpose`, and the agreement: an open call with an active agreement of
/// one of `consumers`, the resource names by which the request's institution and caller are known. Where several fit, the
/// first of `calls`.
///
/// # Errors
///
/// [`Reason::CallNotOpen`] when the service is not offered now, [`Reason::AgreementNotActive`] when it is, but not to these
/// consumers, [`Reason::PurposeNotInAgreement`] when to them, but for something else.
pub fn guard_call<'a>(
    calls: &'a [ServiceCall],
    agreements: &'a [Agreement],
    service: ServiceKind,
    consumers: &[String],
    purpose: AgreementPurpose,
    now: Timestamp,
) -> Result<(&'a ServiceCall, &'a Agreement), Reason> {
    let open = calls
        .iter()
        .filter(|call| call.service == service && call.is_open(now));
    let mut refused = Reason::CallNotOpen;
    for call in open {
        let own = agreements.iter().filter(|agreement| {
            agreement.call_id == call.id && consumers.contains(&agreement.consumer)
        });
        if refused == Reason::CallNotOpen {
            refused = Reason::AgreementNotActive;
        }
        for agreement in own {
            match agreement.permits(purpose) {
                Ok(()) => return Ok((call, agreement)),
                Err(Reason::PurposeNotInAgreement) => refused = Reason::PurposeNotInAgreement,
                Err(_) => {}
            }
        }
    }
    Err(refused)
}

/// Whether the call serves the institution: open, of a kind that is eligible at all and that the call names.
///
/// # Errors
///
/// [`Reason::InstitutionNotActive`] or [`Reason::InstitutionTypeNotEligible`].
pub fn guard_eligible(call: &ServiceCall, institution: &Institution) -> Result<(), Reason> {
    if institution.state != InstitutionState::Active {
        return Err(Reason::InstitutionNotActive);
    }
    if !institution.kind.is_eligible() || !call.eligible_types.contains(&institution.kind) {
        return Err(Reason::InstitutionTypeNotEligible);
    }
    Ok(())
}

/// Whether the call issues validity codes for this kind of document.
///
/// # Errors
///
/// [`Reason::DocumentKindNotEnabled`].
pub fn guard_document_kind(call: &ServiceCall, kind: DocumentKind) -> Result<(), Reason> {
    if call.document_kinds.contains(&kind) {
        Ok(())
    } else {
        Err(Reason::DocumentKindNotEnabled)
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
