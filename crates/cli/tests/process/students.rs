//! Synthetic students and what is asked for them.

use gavah_api::v1 as pb;
use gavah_client::{Client, Failure};
use gavah_domain::{Clock, JalaliDate, SystemClock, SystemEntropy, new_uuid};
use gavah_testkit::fixtures;

/// Code of the university at which everybody studies.
pub(crate) const UNIVERSITY: &str = "SYN-1";
/// Code of a university of a type that the service is not open to.
pub(crate) const INELIGIBLE: &str = "SYN-2";
/// The expert of each of them.
pub(crate) const EXPERT: &str = "E-1";

/// A fresh request_id.
pub(crate) fn request_id() -> String {
    new_uuid(SystemClock.now(), &SystemEntropy)
        .unwrap()
        .to_string()
}

/// Now, as the contract writes it.
pub(crate) fn now() -> Option<prost_types::Timestamp> {
    let now = SystemClock.now();
    Some(prost_types::Timestamp {
        seconds: now.as_second(),
        nanos: now.subsec_nanosecond(),
    })
}

/// Somebody who does not exist.
#[derive(Debug, Clone)]
pub(crate) struct Student {
    pub(crate) national_code: String,
    pub(crate) student_number: String,
    pub(crate) given_name_fa: String,
    pub(crate) family_name_fa: String,
    pub(crate) father_name_fa: String,
    pub(crate) given_name_en: String,
    pub(crate) family_name_en: String,
    pub(crate) addressee_fa: String,
    pub(crate) addressee_en: String,
}

impl Student {
    /// Somebody new.
    pub(crate) fn new() -> Self {
        let number = fixtures::number();
        Self {
            national_code: fixtures::national_code(number).as_str().to_owned(),
            student_number: format!("404{number:07}"),
            given_name_fa: "آزمایشی".to_owned(),
            family_name_fa: "ساختگی".to_owned(),
            father_name_fa: "فرضی".to_owned(),
            given_name_en: "Azmayeshi".to_owned(),
            family_name_en: "Sakhtegi".to_owned(),
            addressee_fa: "سفارت آزمایشی".to_owned(),
            addressee_en: "Synthetic embassy".to_owned(),
        }
    }

    pub(crate) fn person_id(&self) -> pb::PersonId {
        pb::PersonId {
            id: Some(pb::person_id::Id::NationalCode(self.national_code.clone())),
        }
    }

    pub(crate) fn subject(&self) -> pb::Subject {
        pb::Subject {
            person_id: Some(self.person_id()),
            name: Some(pb::PersonName {
                given_name_fa: self.given_name_fa.clone(),
                family_name_fa: self.family_name_fa.clone(),
                given_name_en: self.given_name_en.clone(),
                family_name_en: self.family_name_en.clone(),
                no_family_name: false,
            }),
            father_name_fa: self.father_name_fa.clone(),
            birth_date: Some(pb::JalaliDate {
                year: 1383,
                month: 5,
                day: 17,
            }),
            gender: pb::Gender::Unspecified.into(),
            nationality: String::new(),
        }
    }

    fn program(&self, institution: &str) -> pb::Program {
        pb::Program {
            institution_code: institution.to_owned(),
            unit_name_fa: String::new(),
            student_number: self.student_number.clone(),
            degree_level: pb::DegreeLevel::BachelorContinuous.into(),
            field_code: "1234".to_owned(),
            field_title_fa: "مهندسی آزمایشی".to_owned(),
            field_title_en: "Synthetic engineering".to_owned(),
            study_mode: pb::StudyMode::Day.into(),
            entry_term: Some(pb::Term {
                academic_year: JalaliDate::of(SystemClock.now()).year() - 2,
                kind: pb::TermKind::First.into(),
            }),
        }
    }

    /// A validity code for the student's degree, attested by the university's expert.
    pub(crate) fn code_request(&self) -> pb::IssueValidityCodeRequest {
        self.code_request_of(UNIVERSITY)
    }

    /// The same by another university.
    pub(crate) fn code_request_of(&self, institution: &str) -> pb::IssueValidityCodeRequest {
        pb::IssueValidityCodeRequest {
            request_id: request_id(),
            validate_only: false,
            dispute_action: String::new(),
            subject: Some(self.subject()),
            program: Some(self.program(institution)),
            document_kind: pb::DocumentKind::Degree.into(),
            document: Some(pb::Document {
                gpa_hundredths: Some(1734),
                ..pb::Document::default()
            }),
            prior_qualifications: Vec::new(),
            double_major_declared: false,
            external_ref: String::new(),
            attestation: Some(pb::Attestation {
                expert: Some(pb::ActorRef {
                    expert: format!("institutions/{institution}/experts/{EXPERT}"),
                }),
                statement_version: "1".to_owned(),
                attest_time: now(),
            }),
        }
    }

    /// The student's line of a class, without the attestation.
    pub(crate) fn class_row(&self) -> String {
        let year = JalaliDate::of(SystemClock.now()).year() - 2;
        let row = serde_json::json!({
            "subject": {
                "person_id": {"national_code": self.national_code},
                "name": {"given_name_fa": self.given_name_fa, "family_name_fa": self.family_name_fa},
            },
            "program": {
                "institution_code": UNIVERSITY,
                "student_number": self.student_number,
                "degree_level": "BACHELOR_CONTINUOUS",
                "field_code": "1234",
                "field_title_fa": "مهندسی آزمایشی",
                "study_mode": "DAY",
                "entry_term": format!("{year}-1"),
            },
            "document_kind": "DEGREE",
        });
        format!("{row}\n")
    }

    /// A certificate from the student's record.
    pub(crate) fn certificate_request(&self) -> pb::CreateEnrollmentCertificateApplicationRequest {
        pb::CreateEnrollmentCertificateApplicationRequest {
            request_id: request_id(),
            validate_only: false,
            r#type: pb::ApplicationType::IssueFromRecord.into(),
            window_reference: "synthetic".to_owned(),
            subject: Some(self.subject()),
            institution_code: UNIVERSITY.to_owned(),
            student_number: self.student_number.clone(),
            purpose: pb::Purpose::Embassy.into(),
            addressee: Some(pb::Addressee {
                name_fa: self.addressee_fa.clone(),
                name_en: self.addressee_en.clone(),
            }),
            ..Default::default()
        }
    }

    /// The student's record: studying, registered, no block.
    pub(crate) fn record(&self) -> pb::EnrollmentRecord {
        pb::EnrollmentRecord {
            subject: Some(self.subject()),
            program: Some(self.program(UNIVERSITY)),
            status: pb::EnrollmentStatus::Studying.into(),
            current_term: Some(current_term(JalaliDate::of(SystemClock.now()))),
            registered_units: 17,
            as_of_time: now(),
            ..pb::EnrollmentRecord::default()
        }
    }
}

/// The term of the reference data in which a day lies.
fn current_term(today: JalaliDate) -> pb::Term {
    let (year, day) = (today.year(), today.as_i32() % 10_000);
    let (academic_year, kind) = match day {
        ..=415 => (year - 1, pb::TermKind::Second),
        416..=631 => (year - 1, pb::TermKind::Summer),
        632..=1115 => (year, pb::TermKind::First),
        _ => (year, pb::TermKind::Second),
    };
    pb::Term {
        academic_year,
        kind: kind.into(),
    }
}

/// What was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Resource name of the document.
    pub(crate) name: String,
    /// Its twenty digits.
    pub(crate) code: String,
}

/// Asks for a validity code.
pub(crate) async fn issue_code(
    client: &Client,
    request: pb::IssueValidityCodeRequest,
) -> Result<Issued, Box<Failure>> {
    let reply = client
        .call(request, |channel, request| async move {
            channel.validity_codes().issue_validity_code(request).await
        })
        .await?;
    let issued = reply.into_message().validity_code.unwrap();
    Ok(Issued {
        name: issued.name,
        code: issued.code,
    })
}

/// Asks for an enrollment certificate.
pub(crate) async fn issue_certificate(
    client: &Client,
    request: pb::CreateEnrollmentCertificateApplicationRequest,
) -> Result<pb::EnrollmentCertificate, Box<Failure>> {
    let reply = client
        .call(request, |channel, request| async move {
            let mut certificates = channel.certificates();
            certificates
                .create_enrollment_certificate_application(request)
                .await
        })
        .await?;
    Ok(reply.into_message().enrollment_certificate.unwrap())
}

/// Pushes the records of students; every one must be taken.
pub(crate) async fn push_records(university: &Client, students: &[Student]) {
    let request = pb::BatchUpsertEnrollmentRecordsRequest {
        request_id: request_id(),
        validate_only: false,
        records: students.iter().map(Student::record).collect(),
    };
    let reply = university
        .call(request, |channel, request| async move {
            channel
                .records()
                .batch_upsert_enrollment_records(request)
                .await
        })
        .await
        .unwrap();
    let rows = reply.into_message().rows;
    assert_eq!(rows.len(), students.len());
    for row in rows {
        assert_eq!(row.status.unwrap_or_default().code, 0);
    }
}

/// The verdict's reason on each code.
pub(crate) async fn validate(hub: &Client, codes: &[String]) -> Vec<pb::VerdictReason> {
    let request = pb::BatchValidateCodesRequest {
        requests: codes
            .iter()
            .map(|code| pb::ValidateCodeRequest {
                purpose: 0,
                code: code.clone(),
                subject_claim: None,
            })
            .collect(),
    };
    let reply = hub
        .call(request, |channel, request| async move {
            channel.validation().batch_validate_codes(request).await
        })
        .await
        .unwrap();
    let verdicts = reply.into_message().verdicts;
    verdicts.iter().map(pb::Verdict::reason).collect()
}

/// All validity codes of the university, whatever their state.
pub(crate) async fn list_codes(university: &Client) -> Vec<pb::ValidityCode> {
    let mut codes = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListValidityCodesRequest {
            page_size: 1000,
            page_token,
            ..pb::ListValidityCodesRequest::default()
        };
        let reply = university
            .call(request, |channel, request| async move {
                channel.validity_codes().list_validity_codes(request).await
            })
            .await
            .unwrap();
        let page = reply.into_message();
        codes.extend(page.validity_codes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return codes;
        }
    }
}

/// All certificates of the university, whatever their state.
pub(crate) async fn list_certificates(university: &Client) -> Vec<pb::EnrollmentCertificate> {
    let mut certificates = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListEnrollmentCertificatesRequest {
            page_size: 1000,
            page_token,
            ..pb::ListEnrollmentCertificatesRequest::default()
        };
        let reply = university
            .call(request, |channel, request| async move {
                channel
                    .certificates()
                    .list_enrollment_certificates(request)
                    .await
            })
            .await
            .unwrap();
        let page = reply.into_message();
        certificates.extend(page.enrollment_certificates);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return certificates;
        }
    }
}
