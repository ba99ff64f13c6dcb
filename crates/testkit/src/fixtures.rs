//! Synthetic people, institutions and papers. Every value is made up, says so in its name where it has one, and passes the
//! same parsers as real input; what must be unique comes from one counter of the process.
#![expect(
    clippy::expect_used,
    reason = "fixtures are written by hand: one that does not parse is its own bug"
)]

mod reference;

use std::sync::atomic::{AtomicU32, Ordering};

use gavah_domain::caller::{Caller, CallerClass, CallerId, CallerState, ExpertState};
use gavah_domain::certificate::{Purpose, RequestType, Serial};
use gavah_domain::institution::{Institution, InstitutionCode, InstitutionState, InstitutionType};
use gavah_domain::program::{DegreeLevel, Program, ProgramInput, StudyMode};
use gavah_domain::record::{EnrollmentRecord, EnrollmentStatus, Gender, Subject};
use gavah_domain::tariff::{Quote, QuoteBasis};
use gavah_domain::validity::{CodeRules, DocumentFacts, DocumentKind};
use gavah_domain::{
    CodeScheme, JalaliDate, NationalCode, PersonId, PersonName, SystemEntropy, TermId, TermKind,
    ValidityCode, new_uuid,
};
use gavah_store::{
    ActContext, Attestation, CertificateContent, Claim, CodeContent, IssueCertificate, IssueCode,
    NewCaller, RecordRow, StoredExpert,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub use reference::{seed, source_texts, tariff_row};

/// A number that nobody else of this process gets.
#[must_use]
pub fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Where the fixtures' time stands: 1405/02/23 11:30 in Tehran, in the second term of 1404.
#[must_use]
pub fn now() -> Timestamp {
    "2026-05-13T08:00:00Z"
        .parse()
        .expect("an instant in RFC 3339")
}

/// The instant that many seconds after [`now`].
#[must_use]
pub fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// The Jalali day of [`now`].
#[must_use]
pub fn today() -> JalaliDate {
    JalaliDate::of(now())
}

/// A fresh resource id.
#[must_use]
pub fn id() -> Uuid {
    new_uuid(now(), &SystemEntropy).expect("the system's random numbers")
}

/// The national code of the `number`-th synthetic person. No place issues codes that begin with 9.
#[must_use]
pub fn national_code(number: u32) -> NationalCode {
    let first_nine = format!("9{:08}", number % 100_000_000);
    let rest = first_nine
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .zip((2..=10).rev())
        .map(|(digit, weight)| digit * weight)
        .sum::<u32>()
        % 11;
    let check = if rest < 2 { rest } else { 11 - rest };
    NationalCode::parse(&format!("{first_nine}{check}")).expect("a national code")
}

/// The name of every synthetic person.
#[must_use]
pub fn person_name() -> PersonName {
    PersonName::parse("آزمایشی", "ساختگی", "Azmayeshi", "Sakhtegi", false).expect("a name")
}

/// A fresh synthetic person.
#[must_use]
pub fn subject() -> Subject {
    Subject {
        person_id: PersonId::National(national_code(number())),
        name: person_name(),
        father_name_fa: None,
        birth_date: Some(JalaliDate::new(1383, 5, 17).expect("a date")),
        gender: Some(Gender::Female),
        nationality: None,
    }
}

/// An institution code.
#[must_use]
pub fn institution_code(code: &str) -> InstitutionCode {
    InstitutionCode::parse(code).expect("an institution code")
}

/// An active state university without aliases.
#[must_use]
pub fn institution(code: &str) -> Institution {
    Institution {
        code: institution_code(code),
        aliases: Vec::new(),
        kind: InstitutionType::State,
        parent: None,
        name_fa: format!("دانشگاه آزمایشی {code}"),
        name_en: format!("Synthetic University {code}"),
        state: InstitutionState::Active,
        successor: None,
    }
}

/// A programme of study of a fresh student number.
#[must_use]
pub fn program(institution: &InstitutionCode) -> Program {
    Program::parse(ProgramInput {
        institution: institution.clone(),
        unit_name_fa: "دانشکدهٔ آزمایشی",
        student_number: &format!("404{:07}", number() % 10_000_000),
        degree_level: Some(DegreeLevel::BachelorContinuous),
        field_code: "1234",
        field_title_fa: "مهندسی آزمایشی",
        field_title_en: "Synthetic engineering",
        study_mode: Some(StudyMode::Day),
        entry_term: Some(TermId::new(1402, TermKind::First)),
    })
    .expect("a programme")
}

/// An active expert.
#[must_use]
pub fn expert(institution: &str, expert_code: &str) -> StoredExpert {
    StoredExpert {
        institution_code: institution.to_owned(),
        expert_code: expert_code.to_owned(),
        display_name_fa: "کارشناس آزمایشی".to_owned(),
        state: ExpertState::Active,
        create_time: now(),
        update_time: now(),
        version: 1,
    }
}

/// A fresh fingerprint of a client certificate.
#[must_use]
pub fn fingerprint() -> String {
    format!("{:064x}", number())
}

/// An active caller with a fresh client certificate.
#[must_use]
pub fn caller(id: &str, class: CallerClass, institution: Option<&str>) -> NewCaller {
    NewCaller {
        caller: Caller {
            id: caller_id(id),
            class,
            institution: institution.map(institution_code),
        },
        display_name: format!("Synthetic caller {id}"),
        state: CallerState::Active,
        fingerprint: fingerprint(),
    }
}

/// A caller id.
#[must_use]
pub fn caller_id(id: &str) -> CallerId {
    CallerId::parse(id).expect("a caller id")
}

/// The context of an act that no call asked for.
#[must_use]
pub fn operator(now: Timestamp) -> ActContext {
    ActContext {
        actor: "operator/tests".to_owned(),
        now,
        trace_id: String::new(),
        claim: None,
    }
}

/// The context of a caller's call to `method` with a fresh request_id.
#[must_use]
pub fn call(method: &str, now: Timestamp) -> ActContext {
    ActContext {
        actor: "callers/synthetic".to_owned(),
        now,
        trace_id: format!("{:032x}", number()),
        claim: Some(Claim {
            caller_id: "synthetic".to_owned(),
            method: format!("/gavah.v1.Synthetic/{method}"),
            request_id: id(),
            row: None,
            digest: [1; 32],
            ordered: None,
        }),
    }
}

/// The same call with another body.
#[must_use]
pub fn with_other_body(context: &ActContext) -> ActContext {
    let mut other = context.clone();
    if let Some(claim) = &mut other.claim {
        claim.digest = [2; 32];
    }
    other
}

/// A freshly drawn code.
#[must_use]
pub fn code(scheme: CodeScheme) -> ValidityCode {
    ValidityCode::draw(scheme, &SystemEntropy).expect("the system's random numbers")
}

/// Free, since the year's table has no row for it.
#[must_use]
pub fn free() -> Quote {
    Quote {
        basis: QuoteBasis::FreeNoTariffRow,
        fee: None,
        year: today().year(),
        evidence: "no row in the synthetic table".to_owned(),
        ground: None,
    }
}

/// What a validity code says about a fresh student's degree, attested by `expert_code`.
#[must_use]
pub fn code_content(institution: &InstitutionCode, expert_code: &str) -> CodeContent {
    CodeContent {
        subject: subject(),
        program: program(institution),
        document: DocumentFacts {
            kind: DocumentKind::Degree,
            number: Some(format!("SYN-{}", number())),
            issue_date: Some(today()),
            start_date: None,
            end_date: None,
            gpa_hundredths: Some(1734),
        },
        double_major_declared: false,
        external_ref: format!("synthetic-{}", number()),
        attestation: Attestation {
            expert_code: expert_code.to_owned(),
            statement_version: "1".to_owned(),
            attest_micros: now().as_microsecond(),
        },
        priors: Vec::new(),
        quote: free(),
        workflow_version: "code-v1".to_owned(),
        documents: 0,
    }
}

/// A validity code for `content`, ready to be recorded.
#[must_use]
pub fn issue_of(content: CodeContent, issue_time: Timestamp) -> IssueCode {
    IssueCode {
        id: id(),
        code: code(CodeScheme::ValidityCode),
        live_key: CodeRules::default().live_key(
            &content.subject.person_id,
            &content.program,
            content.document.kind,
            false,
        ),
        content,
        legacy: false,
        issue_time,
        expire_time: None,
        subject_hash: subject_hash(),
        agreement: None,
    }
}

/// A validity code for a fresh student, ready to be recorded.
#[must_use]
pub fn issue_code(institution: &str, expert_code: &str, issue_time: Timestamp) -> IssueCode {
    let content = code_content(&institution_code(institution), expert_code);
    issue_of(content, issue_time)
}

/// A fresh keyed hash as the audit holds it.
#[must_use]
pub fn subject_hash() -> String {
    format!("{:064x}", number())
}

/// The term of [`now`].
#[must_use]
pub fn term() -> TermId {
    TermId::new(1404, TermKind::Second).expect("a term")
}

/// A fresh student's record: studying, registered, no block.
#[must_use]
pub fn record(institution: &str, as_of_time: Timestamp) -> EnrollmentRecord {
    EnrollmentRecord {
        subject: subject(),
        program: program(&institution_code(institution)),
        status: EnrollmentStatus::Studying,
        current_term: term(),
        registered_units: 17,
        status_effective_date: None,
        expected_graduation_date: None,
        blocks: Vec::new(),
        external_ref: format!("synthetic-{}", number()),
        as_of_time,
        receive_time: as_of_time + SignedDuration::from_secs(1),
    }
}

/// The record as a row of one call with a fresh request_id.
#[must_use]
pub fn record_row(record: EnrollmentRecord) -> RecordRow {
    RecordRow {
        context: call("UpsertEnrollmentRecord", record.receive_time),
        id: id(),
        record,
        subject_hash: subject_hash(),
    }
}

/// What a fresh student's certificate says.
#[must_use]
pub fn certificate_content(institution: &str) -> CertificateContent {
    CertificateContent {
        request_type: RequestType::IssueFromRecord,
        window_reference: format!("synthetic-{}", number()),
        subject: subject(),
        program: program(&institution_code(institution)),
        term: term(),
        purpose: Purpose::Embassy,
        addressee_fa: "سفارت آزمایشی".to_owned(),
        addressee_en: Some("Synthetic embassy".to_owned()),
        valid_until: today().plus_months(6),
        quote: free(),
        workflow_version: "certificate-v1".to_owned(),
        documents: 0,
        replaces: None,
        paper: None,
        attachments: Vec::new(),
    }
}

/// A fresh student's certificate, ready to be recorded as an intent with a lease of one minute.
#[must_use]
pub fn issue_certificate<'a>(
    institution: &str,
    issue_time: Timestamp,
    payload: &'a (dyn Fn(Serial) -> Option<Vec<u8>> + Sync),
) -> IssueCertificate<'a> {
    let content = certificate_content(institution);
    IssueCertificate {
        id: id(),
        application_id: id(),
        code: code(CodeScheme::EnrollmentCertificate),
        application: None,
        open_key: format!("synthetic application {}", number()),
        agreement: String::new(),
        expire_time: content.valid_until.end_exclusive(),
        content,
        issue_time,
        key_id: "synthetic-key".to_owned(),
        payload,
        lease_owner: id(),
        lease_until: issue_time + SignedDuration::from_mins(1),
        subject_hash: subject_hash(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_synthetic_national_code_is_well_formed_and_different() {
        let codes: std::collections::HashSet<_> = (0..5000)
            .map(|number| national_code(number).as_str().to_owned())
            .collect();
        assert_eq!(codes.len(), 5000);
    }

    #[test]
    fn the_seed_passes_its_own_check() {
        assert!(seed(&["institutions/SYN-1"]).check().is_ok());
    }
}
