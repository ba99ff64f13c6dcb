//! Enrollment certificates: what they are applied for, the way an application takes, their serial and how long they hold.

use std::{fmt, str::FromStr};

use crate::{calendar::JalaliDate, enums::text_enum, reason::Reason, text::clean_number};

text_enum! {
    /// What a certificate is for; the document is bound to it.
    pub enum Purpose {
        /// Embassy (سفارت).
        Embassy = "EMBASSY",
        /// Official translation (ترجمه رسمی).
        Translation = "TRANSLATION",
        /// Conscription office (نظام وظیفه).
        Conscription = "CONSCRIPTION",
        /// Social security (تأمین اجتماعی).
        SocialSecurity = "SOCIAL_SECURITY",
        /// Bank loan (وام بانکی).
        BankLoan = "BANK_LOAN",
        /// Employer (محل کار).
        Employer = "EMPLOYER",
        /// Dormitory (خوابگاه).
        Dormitory = "DORMITORY",
        /// Court (دادگاه).
        Court = "COURT",
        /// Any other purpose (سایر).
        Other = "OTHER",
    }
}

impl Purpose {
    /// The Persian name, as printed on the certificate.
    #[must_use]
    pub const fn name_fa(self) -> &'static str {
        match self {
            Self::Embassy => "سفارت",
            Self::Translation => "ترجمه رسمی",
            Self::Conscription => "نظام وظیفه",
            Self::SocialSecurity => "تأمین اجتماعی",
            Self::BankLoan => "وام بانکی",
            Self::Employer => "محل کار",
            Self::Dormitory => "خوابگاه",
            Self::Court => "دادگاه",
            Self::Other => "سایر",
        }
    }

    /// The English name, as printed on the certificate.
    #[must_use]
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::Embassy => "Embassy",
            Self::Translation => "Official translation",
            Self::Conscription => "Conscription office",
            Self::SocialSecurity => "Social security",
            Self::BankLoan => "Bank loan",
            Self::Employer => "Employer",
            Self::Dormitory => "Dormitory",
            Self::Court => "Court",
            Self::Other => "Other",
        }
    }
}

text_enum! {
    /// What an application asks for.
    pub enum RequestType {
        /// A certificate from the institution's record (صدور).
        IssueFromRecord = "ISSUE_FROM_RECORD",
        /// Confirmation of a certificate that exists on paper (تأیید).
        ConfirmExisting = "CONFIRM_EXISTING",
        /// A later end for a certificate (تمدید).
        Extend = "EXTEND",
        /// A second copy of a certificate (المثنی).
        Duplicate = "DUPLICATE",
    }
}

text_enum! {
    /// The way by which an application came in.
    pub enum Channel {
        /// The Organization's single service window.
        SingleWindow = "SINGLE_WINDOW",
        /// A university's system, acting for its expert.
        UniversitySystem = "UNIVERSITY_SYSTEM",
    }
}

text_enum! {
    /// State of an application.
    pub enum ApplicationState {
        /// Being written.
        Draft = "DRAFT",
        /// Handed in.
        Submitted = "SUBMITTED",
        /// With the institution.
        UniversityReview = "UNIVERSITY_REVIEW",
        /// Given back to the applicant with remarks.
        Returned = "RETURNED",
        /// Refused by the institution; final.
        UniversityRejected = "UNIVERSITY_REJECTED",
        /// Confirmed by the institution, or by its fresh record.
        UniversityConfirmed = "UNIVERSITY_CONFIRMED",
        /// With the Organization.
        OrganizationReview = "ORGANIZATION_REVIEW",
        /// Given back to the institution with remarks.
        ReturnedToUniversity = "RETURNED_TO_UNIVERSITY",
        /// Refused by the Organization; final.
        OrganizationRejected = "ORGANIZATION_REJECTED",
        /// Approved; nothing but payment stands before issuing.
        Approved = "APPROVED",
        /// Waiting for the payment.
        AwaitingPayment = "AWAITING_PAYMENT",
        /// Not paid in time; final.
        PaymentExpired = "PAYMENT_EXPIRED",
        /// Paid.
        Paid = "PAID",
        /// The certificate is being signed.
        Issuing = "ISSUING",
        /// The certificate is issued; final.
        Issued = "ISSUED",
        /// Cancelled; final.
        Cancelled = "CANCELLED",
    }
}

impl ApplicationState {
    /// Whether an application in this state may go over to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next_states().contains(&next)
    }

    /// Whether the application is over. While one is not, a second one for the same person, programme, type and addressee is
    /// refused.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.next_states().is_empty()
    }

    const fn next_states(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Submitted, Self::Cancelled],
            // a fresh record confirms at once, without a review
            Self::Submitted => &[
                Self::UniversityReview,
                Self::UniversityConfirmed,
                Self::Returned,
                Self::Cancelled,
            ],
            Self::UniversityReview => &[
                Self::UniversityConfirmed,
                Self::Returned,
                Self::UniversityRejected,
                Self::Cancelled,
            ],
            Self::Returned => &[Self::Submitted, Self::Cancelled],
            // the workflow version decides whether the Organization reviews
            Self::UniversityConfirmed => {
                &[Self::OrganizationReview, Self::Approved, Self::Cancelled]
            }
            Self::OrganizationReview => &[
                Self::Approved,
                Self::ReturnedToUniversity,
                Self::OrganizationRejected,
                Self::Cancelled,
            ],
            Self::ReturnedToUniversity => &[Self::UniversityReview, Self::Cancelled],
            // what is free needs no payment
            Self::Approved => &[Self::AwaitingPayment, Self::Issuing, Self::Cancelled],
            Self::AwaitingPayment => &[Self::Paid, Self::PaymentExpired, Self::Cancelled],
            // the guards are repeated before issuing and again at recovery: where they fail for good, cancelling is the only
            // way out, and a payment is then due for refund
            Self::Paid => &[Self::Issuing, Self::Cancelled],
            Self::Issuing => &[Self::Issued, Self::Cancelled],
            Self::UniversityRejected
            | Self::OrganizationRejected
            | Self::PaymentExpired
            | Self::Issued
            | Self::Cancelled => &[],
        }
    }
}

/// The filing number of a certificate: the Jalali year of issue and a sequence number in that year, 1 to 99,999,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial {
    year: i32,
    number: u32,
}

impl Serial {
    /// The serial of the `number`-th certificate of the Jalali year `year`.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`] when the year has not four digits or the number is zero or has more than eight.
    pub const fn new(year: i32, number: u32) -> Result<Self, Reason> {
        if year < 1000 || year > 9999 || number == 0 || number > 99_999_999 {
            return Err(Reason::FieldFormat);
        }
        Ok(Self { year, number })
    }

    /// Reads a serial as it is displayed; Persian digits, spaces and other dashes are tolerated.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`] unless there are four digits of a year and eight of a number.
    pub fn parse(input: &str) -> Result<Self, Reason> {
        let digits = clean_number(input);
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Reason::FieldFormat);
        }
        let (year, number) = digits.split_at(4);
        match (year.parse(), number.parse()) {
            (Ok(year), Ok(number)) => Self::new(year, number),
            _ => Err(Reason::FieldFormat),
        }
    }

    /// The Jalali year of issue.
    #[must_use]
    pub const fn year(self) -> i32 {
        self.year
    }

    /// The number in that year.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08}", self.year, self.number)
    }
}

impl FromStr for Serial {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The last day on which a certificate holds: `extra_days` after the end of the term, but at most `max_months` Jalali months
/// after its issue.
///
/// The result lies before `issue` when the term ended more than `extra_days` ago: then there is nothing left to certify, and
/// the certificate must not be issued.
#[must_use]
pub fn valid_until(
    term_end: JalaliDate,
    issue: JalaliDate,
    extra_days: u16,
    max_months: u8,
) -> JalaliDate {
    term_end
        .plus_days(i64::from(extra_days))
        .min(issue.plus_months(u32::from(max_months)))
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
