//! Requests that the service accepts, about fresh synthetic people, for a test to spoil.

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_testkit::fixtures;
use gavah_testkit::world::{EXPERT, World};
use jiff::Timestamp;

/// Names every synthetic student has.
pub(crate) const GIVEN_NAME: &str = "آزمایشی";
pub(crate) const FAMILY_NAME: &str = "ساختگی";
/// Told to nobody who validates.
pub(crate) const FATHER_NAME: &str = "پدرساختگی";

/// A fresh request_id.
pub(crate) fn request_id() -> String {
    fixtures::id().to_string()
}

pub(crate) fn instant(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

pub(crate) fn date(day: JalaliDate) -> pb::JalaliDate {
    pb::JalaliDate {
        year: day.year(),
        month: day.month().into(),
        day: day.day().into(),
    }
}

/// The term of a day, as the world's reference data has it.
pub(crate) fn term_of(day: JalaliDate) -> pb::Term {
    let (academic_year, kind) = match (day.month(), day.day()) {
        (1..=3, _) | (4, 1..=15) => (day.year() - 1, pb::TermKind::Second),
        (4..=6, _) => (day.year() - 1, pb::TermKind::Summer),
        (7..=10, _) | (11, 1..=15) => (day.year(), pb::TermKind::First),
        _ => (day.year(), pb::TermKind::Second),
    };
    pb::Term {
        academic_year,
        kind: kind.into(),
    }
}

/// A fresh person's national code.
pub(crate) fn national_code() -> String {
    fixtures::national_code(fixtures::number())
        .as_str()
        .to_owned()
}

pub(crate) fn person(national_code: &str) -> pb::PersonId {
    pb::PersonId {
        id: Some(pb::person_id::Id::NationalCode(national_code.to_owned())),
    }
}

/// A fresh student.
pub(crate) fn subject() -> pb::Subject {
    pb::Subject {
        person_id: Some(person(&national_code())),
        name: Some(pb::PersonName {
            given_name_fa: GIVEN_NAME.to_owned(),
            family_name_fa: FAMILY_NAME.to_owned(),
            given_name_en: "Azmayeshi".to_owned(),
            family_name_en: "Sakhtegi".to_owned(),
            no_family_name: false,
        }),
        father_name_fa: FATHER_NAME.to_owned(),
        birth_date: Some(pb::JalaliDate {
            year: 1383,
            month: 5,
            day: 17,
        }),
        gender: pb::Gender::Female.into(),
        nationality: String::new(),
    }
}

/// A fresh student's programme.
pub(crate) fn program(institution: &str) -> pb::Program {
    pb::Program {
        institution_code: institution.to_owned(),
        unit_name_fa: "دانشکده آزمایشی".to_owned(),
        student_number: format!("404{:07}", fixtures::number()),
        degree_level: pb::DegreeLevel::BachelorContinuous.into(),
        field_code: "1234".to_owned(),
        field_title_fa: "مهندسی آزمایشی".to_owned(),
        field_title_en: "Synthetic engineering".to_owned(),
        study_mode: pb::StudyMode::Day.into(),
        entry_term: Some(pb::Term {
            academic_year: 1402,
            kind: pb::TermKind::First.into(),
        }),
    }
}

/// A validity code for a fresh student's degree.
pub(crate) fn issue(world: &World, institution: &str) -> pb::IssueValidityCodeRequest {
    pb::IssueValidityCodeRequest {
        request_id: request_id(),
        validate_only: false,
        dispute_action: String::new(),
        subject: Some(subject()),
        program: Some(program(institution)),
        document_kind: pb::DocumentKind::Degree.into(),
        document: Some(pb::Document {
            number: format!("SYN-{}", fixtures::number()),
            issue_date: Some(date(world.today())),
            start_date: None,
            end_date: None,
            gpa_hundredths: Some(1734),
        }),
        prior_qualifications: Vec::new(),
        double_major_declared: false,
        external_ref: format!("synthetic-{}", fixtures::number()),
        attestation: Some(pb::Attestation {
            expert: Some(pb::ActorRef {
                expert: format!("institutions/{institution}/experts/{EXPERT}"),
            }),
            statement_version: "1".to_owned(),
            attest_time: Some(instant(world.now())),
        }),
    }
}

/// The correction of a code to what a request says.
pub(crate) fn correct(
    wrong: &pb::ValidityCode,
    right: pb::IssueValidityCodeRequest,
) -> pb::CorrectValidityCodeRequest {
    pb::CorrectValidityCodeRequest {
        request_id: request_id(),
        validate_only: false,
        dispute_action: String::new(),
        name: wrong.name.clone(),
        etag: wrong.etag.clone(),
        subject: right.subject,
        program: right.program,
        document_kind: right.document_kind,
        document: right.document,
        prior_qualifications: right.prior_qualifications,
        double_major_declared: right.double_major_declared,
        external_ref: right.external_ref,
        attestation: right.attestation,
    }
}

/// A fresh student's record: studying this term, no block.
pub(crate) fn record(world: &World, institution: &str) -> pb::EnrollmentRecord {
    pb::EnrollmentRecord {
        name: String::new(),
        subject: Some(subject()),
        program: Some(program(institution)),
        status: pb::EnrollmentStatus::Studying.into(),
        current_term: Some(term_of(world.today())),
        registered_units: 17,
        status_effective_date: None,
        expected_graduation_date: None,
        blocks: Vec::new(),
        external_ref: format!("synthetic-{}", fixtures::number()),
        as_of_time: Some(instant(world.now())),
        receive_time: None,
    }
}

pub(crate) fn upsert(record: pb::EnrollmentRecord) -> pb::UpsertEnrollmentRecordRequest {
    pb::UpsertEnrollmentRecordRequest {
        request_id: request_id(),
        validate_only: false,
        record: Some(record),
    }
}

/// The application for a certificate of the record's student.
pub(crate) fn apply(
    record: &pb::EnrollmentRecord,
) -> pb::CreateEnrollmentCertificateApplicationRequest {
    let program = record.program.as_ref().unwrap();
    pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        r#type: pb::ApplicationType::IssueFromRecord.into(),
        window_reference: format!("synthetic-{}", fixtures::number()),
        subject: record.subject.clone(),
        institution_code: program.institution_code.clone(),
        student_number: program.student_number.clone(),
        purpose: pb::Purpose::Embassy.into(),
        addressee: Some(pb::Addressee {
            name_fa: "سفارت آزمایشی".to_owned(),
            name_en: "Synthetic embassy".to_owned(),
        }),
        ..Default::default()
    }
}

/// The question whether a code is good.
pub(crate) fn question(code: &str) -> pb::ValidateCodeRequest {
    pb::ValidateCodeRequest {
        purpose: 0,
        code: code.to_owned(),
        subject_claim: None,
    }
}
