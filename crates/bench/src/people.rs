//! Made-up people and what is asked about them. Every name says that it is made up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gavah_api::v1 as pb;
use tokio::time::Instant;
use uuid::Uuid;

/// National codes begin here: a range that no real person is taken from.
const FIRST: u64 = 600_000_000;

/// Where a load's requests come from: an institution with an expert, a term, the time of day, and people that nobody
/// has asked about yet. Shared by all that load one server, so that no two of them take the same person.
#[derive(Debug)]
pub struct Ground {
    /// Code of the institution that acts.
    pub institution: String,
    /// Resource name of its expert.
    pub expert: String,
    /// The term for which its students are registered.
    pub term: pb::Term,
    started: Instant,
    /// Since 1970, at the start.
    epoch: Duration,
    salt: u64,
    next_person: AtomicU64,
    next_request: AtomicU64,
}

impl Ground {
    /// A ground that begins now, `epoch` after 1970; `salt` is random and makes its request ids its own.
    #[must_use]
    pub fn new(
        institution: &str,
        expert: &str,
        term: pb::Term,
        epoch: Duration,
        salt: u64,
    ) -> Self {
        Self {
            institution: institution.to_owned(),
            expert: expert.to_owned(),
            term,
            started: Instant::now(),
            epoch,
            salt,
            next_person: AtomicU64::new(0),
            next_request: AtomicU64::new(0),
        }
    }

    /// Takes so many people that nobody has taken; the first one's number.
    pub fn take(&self, people: u64) -> u64 {
        self.next_person.fetch_add(people, Ordering::Relaxed)
    }

    /// A fresh request id in the form of a version 7 UUID, so in the order of time as clients make them.
    pub fn request_id(&self) -> Uuid {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(self.now().as_millis()).unwrap_or_default();
        let high = (millis << 16) | 0x7000 | (self.salt & 0x0fff);
        let low = (0b10 << 62) | ((self.salt >> 12) & 0x3fff_ffff) << 32 | (number & 0xffff_ffff);
        Uuid::from_u64_pair(high, low)
    }

    fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }

    /// This instant.
    pub fn timestamp(&self) -> prost_types::Timestamp {
        let now = self.now();
        prost_types::Timestamp {
            seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(now.subsec_nanos()).unwrap_or_default(),
        }
    }

    fn program(&self, person: u64) -> pb::Program {
        pb::Program {
            institution_code: self.institution.clone(),
            student_number: student_number(person),
            degree_level: pb::DegreeLevel::BachelorContinuous.into(),
            field_code: "L-1".to_owned(),
            field_title_fa: "رشته نمایشی".to_owned(),
            study_mode: pb::StudyMode::Day.into(),
            entry_term: Some(pb::Term {
                academic_year: 1400,
                kind: pb::TermKind::First.into(),
            }),
            ..pb::Program::default()
        }
    }

    /// Asks for a validity code for a person.
    pub fn issue(&self, person: u64) -> pb::IssueValidityCodeRequest {
        pb::IssueValidityCodeRequest {
            request_id: self.request_id().to_string(),
            subject: Some(subject(person)),
            program: Some(self.program(person)),
            document_kind: pb::DocumentKind::Degree.into(),
            external_ref: format!("bench-{person}"),
            attestation: Some(pb::Attestation {
                expert: Some(pb::ActorRef {
                    expert: self.expert.clone(),
                }),
                statement_version: "1".to_owned(),
                attest_time: Some(self.timestamp()),
            }),
            ..pb::IssueValidityCodeRequest::default()
        }
    }

    /// Asks for validity codes for so many people in one run.
    pub fn run(
        self: Arc<Self>,
        first: u64,
        people: u64,
    ) -> impl Iterator<Item = pb::StreamIssueValidityCodesRequest> + Send + 'static {
        use pb::stream_issue_validity_codes_request::Message;
        let start = pb::StreamIssueValidityCodesStart {
            request_id: self.request_id().to_string(),
        };
        let row = move |number: u64| {
            let asked = self.issue(first + number);
            Message::Row(pb::StreamIssueValidityCodesRow {
                sequence: i64::try_from(number).unwrap_or(i64::MAX),
                subject: asked.subject,
                program: asked.program,
                document_kind: asked.document_kind,
                external_ref: asked.external_ref,
                attestation: asked.attestation,
                ..pb::StreamIssueValidityCodesRow::default()
            })
        };
        let messages = std::iter::once(Message::Start(start)).chain((0..people).map(row));
        messages.map(|message| pb::StreamIssueValidityCodesRequest {
            message: Some(message),
        })
    }

    /// A person's enrollment record, true now.
    pub fn record(&self, person: u64) -> pb::EnrollmentRecord {
        pb::EnrollmentRecord {
            subject: Some(subject(person)),
            program: Some(self.program(person)),
            status: pb::EnrollmentStatus::Studying.into(),
            current_term: Some(self.term),
            registered_units: 18,
            external_ref: format!("bench-{person}"),
            as_of_time: Some(self.timestamp()),
            ..pb::EnrollmentRecord::default()
        }
    }

    /// Applies for a person's enrollment certificate; the person's record must be there.
    pub fn apply(&self, person: u64) -> pb::CreateEnrollmentCertificateApplicationRequest {
        pb::CreateEnrollmentCertificateApplicationRequest {
            request_id: self.request_id().to_string(),
            r#type: pb::ApplicationType::IssueFromRecord.into(),
            window_reference: format!("bench-{person}"),
            subject: Some(subject(person)),
            institution_code: self.institution.clone(),
            student_number: student_number(person),
            purpose: pb::Purpose::BankLoan.into(),
            addressee: Some(pb::Addressee {
                name_fa: "بانک نمایشی".to_owned(),
                name_en: String::new(),
            }),
            ..pb::CreateEnrollmentCertificateApplicationRequest::default()
        }
    }
}

fn student_number(person: u64) -> String {
    format!("40{person:010}")
}

fn subject(person: u64) -> pb::Subject {
    pb::Subject {
        person_id: Some(person_id(person)),
        name: Some(pb::PersonName {
            given_name_fa: "نمونه".to_owned(),
            family_name_fa: "آزمایشی".to_owned(),
            given_name_en: "Sample".to_owned(),
            family_name_en: "Synthetic".to_owned(),
            ..pb::PersonName::default()
        }),
        father_name_fa: "فرضی".to_owned(),
        ..pb::Subject::default()
    }
}

/// A person's identity alone.
#[must_use]
pub fn person_id(person: u64) -> pb::PersonId {
    pb::PersonId {
        id: Some(pb::person_id::Id::NationalCode(national_code(
            FIRST + person,
        ))),
    }
}

/// Nine digits and the check digit that belongs to them.
fn national_code(nine: u64) -> String {
    let nine = format!("{:09}", nine % 1_000_000_000);
    let sum: u32 = nine
        .bytes()
        .zip((2..=10).rev())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let rest = sum % 11;
    format!("{nine}{}", if rest < 2 { rest } else { 11 - rest })
}

/// A validity code with right check digits that, but for a chance of one to 10¹⁰, nobody was given.
#[must_use]
pub fn unknown_code(number: u64) -> String {
    // Spread over the whole range, as guesses would be.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000_000_000_000_000;
    let body = 100_000_000_000_000_000 + spread;
    let check = 98 - (u128::from(body) * 100 % 97);
    format!("{body}{check:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ground() -> Ground {
        let term = pb::Term::default();
        Ground::new(
            "90001",
            "institutions/90001/experts/E-1",
            term,
            Duration::from_secs(1_800_000_000),
            7,
        )
    }

    #[test]
    fn codes_that_nobody_was_given_have_right_check_digits() {
        for number in [0, 1, 2, 999, u64::MAX] {
            let code = unknown_code(number);
            let whole: u128 = code.parse().unwrap();
            assert_eq!((code.len(), whole % 97), (20, 1), "{code}");
            assert!(code.starts_with('1'));
        }
        assert_ne!(unknown_code(1), unknown_code(2));
    }

    #[test]
    fn national_codes_have_right_check_digits() {
        assert_eq!(national_code(773_094_286), "7730942860");
        assert_eq!(national_code(397_401_784), "3974017844");
    }

    #[test]
    fn request_ids_are_version_7_and_no_two_are_the_same() {
        let ground = ground();
        let ids: HashSet<Uuid> = (0..1_000).map(|_| ground.request_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn nobody_is_taken_twice() {
        let ground = ground();
        assert_eq!(
            [ground.take(10), ground.take(1), ground.take(5)],
            [0, 10, 11]
        );
    }
}
