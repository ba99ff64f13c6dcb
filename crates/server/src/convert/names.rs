//! Resource names. What does not read back exactly is no name.

use std::fmt::Display;

use gavah_domain::Reason;
use gavah_domain::attachment::FileDigest;
use gavah_domain::caller::{CallerId, ExpertCode};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::StudentNumber;
use gavah_store::Ordered;
use uuid::Uuid;

/// Collections whose resources are named by a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// `validityCodes/{uuid}`.
    ValidityCodes,
    /// `validityCodeApplications/{uuid}`.
    ValidityCodeApplications,
    /// `enrollmentRecords/{uuid}`.
    EnrollmentRecords,
    /// `enrollmentCertificates/{uuid}`.
    EnrollmentCertificates,
    /// `enrollmentCertificateApplications/{uuid}`.
    EnrollmentCertificateApplications,
    /// `disputes/{uuid}`.
    Disputes,
    /// `incidents/{uuid}`.
    Incidents,
    /// `issuanceJobs/{uuid}`.
    IssuanceJobs,
    /// `payments/{uuid}`.
    Payments,
    /// `serviceDocuments/{uuid}`.
    ServiceDocuments,
}

impl Collection {
    /// The collection's part of the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidityCodes => "validityCodes",
            Self::ValidityCodeApplications => "validityCodeApplications",
            Self::EnrollmentRecords => "enrollmentRecords",
            Self::EnrollmentCertificates => "enrollmentCertificates",
            Self::EnrollmentCertificateApplications => "enrollmentCertificateApplications",
            Self::Disputes => "disputes",
            Self::Incidents => "incidents",
            Self::IssuanceJobs => "issuanceJobs",
            Self::Payments => "payments",
            Self::ServiceDocuments => "serviceDocuments",
        }
    }

    /// The name of one of its resources.
    #[must_use]
    pub fn name(self, id: Uuid) -> String {
        format!("{}/{id}", self.as_str())
    }

    /// The id in a name of this collection.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`].
    pub fn parse(self, name: &str) -> Result<Uuid, Reason> {
        match name.split_once('/') {
            Some((collection, id)) if collection == self.as_str() => uuid(id),
            _ => Err(Reason::FieldFormat),
        }
    }
}

/// A UUID in its hyphenated form, in either case.
///
/// # Errors
///
/// [`Reason::FieldFormat`].
pub fn uuid(text: &str) -> Result<Uuid, Reason> {
    if gavah_api::is_uuid(text) {
        text.parse().map_err(|_| Reason::FieldFormat)
    } else {
        Err(Reason::FieldFormat)
    }
}

/// How a call names an enrollment record.
#[derive(Clone, PartialEq, Eq)]
pub enum RecordName {
    /// By its id: `enrollmentRecords/{uuid}`.
    Id(Uuid),
    /// By what identifies it: `institutions/{code}/students/{number}`.
    Student {
        /// Code or alias of the institution, not looked up.
        institution: InstitutionCode,
        /// The student number.
        student_number: StudentNumber,
    },
}

/// The kind of name only: the rest leads to a student.
impl std::fmt::Debug for RecordName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Id(_) => "RecordName::Id(…)",
            Self::Student { .. } => "RecordName::Student(…)",
        })
    }
}

impl RecordName {
    /// Reads either form.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`].
    pub fn parse(name: &str) -> Result<Self, Reason> {
        match name.split('/').collect::<Vec<_>>()[..] {
            ["institutions", code, "students", number] => Ok(Self::Student {
                institution: part(InstitutionCode::parse(code))?,
                student_number: part(StudentNumber::parse(number))?,
            }),
            _ => Collection::EnrollmentRecords.parse(name).map(Self::Id),
        }
    }
}

/// `attachments/{sha256}`.
#[must_use]
pub fn attachment(file: FileDigest) -> String {
    format!("attachments/{file}")
}

/// The file in `attachments/{sha256}`.
///
/// # Errors
///
/// [`Reason::FieldRequired`] or [`Reason::FieldFormat`].
pub fn parse_attachment(name: &str) -> Result<FileDigest, Reason> {
    match name.strip_prefix("attachments/") {
        Some(digest) => FileDigest::parse(digest),
        None if name.is_empty() => Err(Reason::FieldRequired),
        None => Err(Reason::FieldFormat),
    }
}

/// `institutions/{code}`.
#[must_use]
pub fn institution(code: &impl Display) -> String {
    format!("institutions/{code}")
}

/// The institution's code or alias in `institutions/{code}`, not looked up.
///
/// # Errors
///
/// [`Reason::FieldFormat`].
pub fn parse_institution(name: &str) -> Result<InstitutionCode, Reason> {
    match name.split_once('/') {
        Some(("institutions", code)) => part(InstitutionCode::parse(code)),
        _ => Err(Reason::FieldFormat),
    }
}

/// `institutions/{code}/experts/{expert_code}`.
#[must_use]
pub fn expert(institution: &impl Display, expert_code: &str) -> String {
    format!("institutions/{institution}/experts/{expert_code}")
}

/// The institution's code or alias, not looked up, and the expert's code in
/// `institutions/{code}/experts/{expert_code}`.
///
/// # Errors
///
/// [`Reason::FieldFormat`].
pub fn parse_expert(name: &str) -> Result<(InstitutionCode, ExpertCode), Reason> {
    match name.split('/').collect::<Vec<_>>()[..] {
        ["institutions", code, "experts", expert] => Ok((
            part(InstitutionCode::parse(code))?,
            part(ExpertCode::parse(expert))?,
        )),
        _ => Err(Reason::FieldFormat),
    }
}

/// The action in `disputes/{uuid}/actions/{n}`.
///
/// # Errors
///
/// [`Reason::FieldFormat`].
pub fn parse_action(name: &str) -> Result<Ordered, Reason> {
    match name.split('/').collect::<Vec<_>>()[..] {
        ["disputes", dispute, "actions", number] => {
            let action = Ordered {
                dispute: uuid(dispute)?,
                number: number.parse().map_err(|_| Reason::FieldFormat)?,
            };
            match action.number >= 1 && action.number.to_string() == number {
                true => Ok(action),
                false => Err(Reason::FieldFormat),
            }
        }
        _ => Err(Reason::FieldFormat),
    }
}

/// `callers/{id}`.
#[must_use]
pub fn caller(id: &CallerId) -> String {
    format!("callers/{id}")
}

/// The id in `callers/{id}`.
///
/// # Errors
///
/// [`Reason::FieldFormat`].
pub fn parse_caller(name: &str) -> Result<CallerId, Reason> {
    match name.split_once('/') {
        Some(("callers", id)) => part(CallerId::parse(id)),
        _ => Err(Reason::FieldFormat),
    }
}

/// Whatever is wrong with a part, it is the form of the name.
fn part<T>(parsed: Result<T, Reason>) -> Result<T, Reason> {
    parsed.map_err(|_| Reason::FieldFormat)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn what_is_not_exactly_a_name_is_refused() {
        for name in [
            "".to_owned(),
            "validityCodes".to_owned(),
            "validityCodes/".to_owned(),
            format!("validitycodes/{ID}"),
            format!("enrollmentRecords/{ID}"),
            format!("validityCodes/{ID}/"),
            format!("/validityCodes/{ID}"),
            format!(" validityCodes/{ID}"),
            format!("validityCodes/{}", ID.replace('-', "")),
            format!("validityCodes/{{{ID}}}"),
            "validityCodes/12345678901234567888".to_owned(),
        ] {
            let refused = Collection::ValidityCodes.parse(&name);
            assert_eq!(refused, Err(Reason::FieldFormat), "{name:?}");
        }
        for name in [
            "",
            "institutions/",
            "institutions/A B",
            "institutions/A/B",
            "callers/A",
        ] {
            assert_eq!(
                parse_institution(name),
                Err(Reason::FieldFormat),
                "{name:?}"
            );
        }
        for name in [
            "callers/",
            "callers/A",
            "callers/a/b",
            "institutions/a",
            "a",
        ] {
            assert_eq!(parse_caller(name), Err(Reason::FieldFormat), "{name:?}");
        }
        for name in [
            "institutions/A/experts/",
            "institutions//experts/x",
            "institutions/A/students/x",
            "x",
        ] {
            assert_eq!(parse_expert(name), Err(Reason::FieldFormat), "{name:?}");
        }
        for name in [
            "institutions/A/students/1",
            "institutions/A/students/12345/",
            "x",
        ] {
            assert_eq!(
                RecordName::parse(name),
                Err(Reason::FieldFormat),
                "{name:?}"
            );
        }
    }

    #[test]
    fn names_read_back() {
        let id: Uuid = ID.parse().unwrap();
        for collection in [
            Collection::ValidityCodes,
            Collection::EnrollmentRecords,
            Collection::EnrollmentCertificates,
            Collection::EnrollmentCertificateApplications,
            Collection::ValidityCodeApplications,
            Collection::IssuanceJobs,
            Collection::ServiceDocuments,
        ] {
            assert_eq!(collection.parse(&collection.name(id)), Ok(id));
        }
        let code = InstitutionCode::parse("UT").unwrap();
        assert_eq!(parse_institution(&institution(&code)), Ok(code.clone()));
        let (institution, expert_code) = parse_expert(&expert(&code, "E_1")).unwrap();
        assert_eq!((institution.as_str(), expert_code.as_str()), ("UT", "E_1"));
        let id = CallerId::parse("ut-main").unwrap();
        assert_eq!(parse_caller(&caller(&id)), Ok(id));
    }

    #[test]
    fn a_record_has_two_names() {
        let by_id = RecordName::parse(&format!("enrollmentRecords/{ID}"));
        assert_eq!(by_id, Ok(RecordName::Id(ID.parse().unwrap())));
        let by_student = RecordName::parse("institutions/ut/students/۴۰۰۱۲۳۴۵").unwrap();
        let expected = RecordName::Student {
            institution: InstitutionCode::parse("UT").unwrap(),
            student_number: StudentNumber::parse("40012345").unwrap(),
        };
        assert_eq!(by_student, expected);
        assert_eq!(format!("{by_student:?}"), "RecordName::Student(…)");
    }
}
