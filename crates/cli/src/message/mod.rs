//! Messages of the contract as JSON, in both directions, by way of the contract's own descriptor.
//!
//! The JSON is meant for people and scripts: field names as in the contract, enum values without their prefix
//! (`VALID`), instants in RFC 3339, Jalali dates as `1405/02/23`, bytes in Base64. Numbers, truth values and lists are
//! always there; texts, enums and messages only when set. What is printed can be read back.

mod print;
mod read;

use std::sync::LazyLock;

use gavah_api::v1 as pb;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

use crate::problem::Problem;

pub(crate) use read::Wrong;

/// A message of the contract that knows its full name.
pub(crate) trait Named: prost::Message + Default {
    /// `gavah.v1.Verdict`
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ident),+ $(,)?) => {
        $(
            impl Named for pb::$message {
                const NAME: &'static str = concat!("gavah.v1.", stringify!($message));
            }
        )+
        #[cfg(test)]
        const NAMES: &[&str] = &[$(<pb::$message as Named>::NAME),+];
    };
}

named! {
    AgreeDisputeRequest,
    AgreeDisputeResponse,
    ApproveAgreementResponse,
    ApproveRevocationRequest,
    ApproveRevocationResponse,
    Attachment,
    BatchValidateCodesRequest,
    CancelEnrollmentCertificateApplicationResponse,
    CancelIssuanceJobResponse,
    CancelValidityCodeApplicationResponse,
    Change,
    CloseDisputeActionResponse,
    CloseServiceCallResponse,
    ConfirmPaymentResponse,
    ConsentToRulingResponse,
    CorrectEnrollmentCertificateRequest,
    CorrectEnrollmentCertificateResponse,
    CorrectValidityCodeRequest,
    CorrectValidityCodeResponse,
    CreateEnrollmentCertificateApplicationRequest,
    CreateEnrollmentCertificateApplicationResponse,
    CreateServiceCallRequest,
    CreateServiceCallResponse,
    CreateValidityCodeApplicationRequest,
    CreateValidityCodeApplicationResponse,
    EnrollmentRecord,
    GetAgreementResponse,
    GetAgreementTextResponse,
    GetClockResponse,
    GetDisputeResponse,
    GetEnrollmentCertificateApplicationResponse,
    GetEnrollmentCertificateResponse,
    GetEnrollmentRecordResponse,
    GetIncidentResponse,
    GetIssuanceJobResponse,
    GetPaymentResponse,
    GetServiceCallResponse,
    GetServiceGuideRequest,
    GetSlaReportRequest,
    GetSlaReportResponse,
    GetValidityCodeApplicationResponse,
    GetValidityCodeResponse,
    InquireEnrollmentRequest,
    InquireEnrollmentResponse,
    InquireValidityCodesRequest,
    InquireValidityCodesResponse,
    IssueValidityCodeRequest,
    IssueValidityCodeResponse,
    LegacyCode,
    ListAgreementsRequest,
    ListAgreementsResponse,
    ListAuditEntriesRequest,
    ListAuditEntriesResponse,
    ListChangesResponse,
    ListDisputeMessagesResponse,
    ListDisputesRequest,
    ListDisputesResponse,
    ListEnrollmentCertificateApplicationsRequest,
    ListEnrollmentCertificateApplicationsResponse,
    ListEnrollmentCertificatesRequest,
    ListEnrollmentCertificatesResponse,
    ListIncidentsResponse,
    ListIssuanceJobsResponse,
    ListIssuancePausesResponse,
    ListPaymentsRequest,
    ListPaymentsResponse,
    ListServiceCallsResponse,
    ListServiceDocumentsRequest,
    ListServiceDocumentsResponse,
    ListServicesResponse,
    ListTariffRowsResponse,
    ListValidityCodeApplicationsRequest,
    ListValidityCodeApplicationsResponse,
    ListValidityCodesRequest,
    ListValidityCodesResponse,
    MoveClockRequest,
    MoveClockResponse,
    OpenDisputeRequest,
    OpenDisputeResponse,
    OpenServiceCallResponse,
    PauseIssuanceRequest,
    PauseIssuanceResponse,
    PersonId,
    PostDisputeMessageResponse,
    PreviewRevocationRequest,
    PreviewRevocationResponse,
    ProposeRevocationRequest,
    ProposeRevocationResponse,
    PublishServiceDocumentResponse,
    QuoteFeeRequest,
    QuoteFeeResponse,
    ReconcilePaymentsRequest,
    ReconcilePaymentsResponse,
    RecordCodeReviewRequest,
    RecordCodeReviewResponse,
    RecordExpertDecisionRequest,
    RecordExpertDecisionResponse,
    RecordOrganizationDecisionRequest,
    RecordOrganizationDecisionResponse,
    RecordUniversityDecisionRequest,
    RecordUniversityDecisionResponse,
    RefundPaymentRequest,
    RefundPaymentResponse,
    ReinstateAgreementRequest,
    ReinstateAgreementResponse,
    ReinstateEnrollmentCertificateResponse,
    ReinstateValidityCodeResponse,
    ReportEnrollmentEventRequest,
    ReportEnrollmentEventResponse,
    RequestAgreementRequest,
    RequestAgreementResponse,
    ResubmitValidityCodeApplicationRequest,
    ResubmitValidityCodeApplicationResponse,
    ResumeIssuanceRequest,
    ResumeIssuanceResponse,
    RevokeEnrollmentCertificateRequest,
    RevokeEnrollmentCertificateResponse,
    RevokeValidityCodeRequest,
    RevokeValidityCodeResponse,
    RuleDisputeRequest,
    RuleDisputeResponse,
    ServiceDocument,
    ServiceDocumentStart,
    StartPaymentResponse,
    SubmitEnrollmentCertificateApplicationResponse,
    SubmitIssuanceJobResponse,
    SuspendAgreementRequest,
    SuspendAgreementResponse,
    SuspendEnrollmentCertificateResponse,
    SuspendValidityCodeResponse,
    TerminateAgreementRequest,
    TerminateAgreementResponse,
    UpdateEnrollmentCertificateApplicationRequest,
    UpdateEnrollmentCertificateApplicationResponse,
    UploadAttachmentResponse,
    UploadServiceDocumentResponse,
    Verdict,
    WhoAmIResponse,
    WithdrawDisputeResponse,
    WithdrawRevocationRequest,
    WithdrawRevocationResponse,
}

static POOL: LazyLock<Result<DescriptorPool, DescriptorError>> =
    LazyLock::new(|| DescriptorPool::decode(gavah_api::DESCRIPTOR_SET));

fn descriptor<M: Named>() -> Result<MessageDescriptor, Problem> {
    let broken = || Problem::Internal(format!("the contract does not describe {}", M::NAME));
    let pool = POOL.as_ref().map_err(|_| broken())?;
    pool.get_message_by_name(M::NAME).ok_or_else(broken)
}

/// A message as JSON.
///
/// # Errors
/// [`Problem::Internal`] when the contract does not describe the message.
pub(crate) fn to_json<M: Named>(message: &M) -> Result<Value, Problem> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic
        .transcode_from(message)
        .map_err(|_| Problem::Internal(format!("{} cannot be printed", M::NAME)))?;
    Ok(print::message(&dynamic))
}

/// A message from JSON.
///
/// # Errors
/// Everything that is wrong with it, one [`Wrong`] for each field.
pub(crate) fn from_json<M: Named>(value: &Value) -> Result<Result<M, Vec<Wrong>>, Problem> {
    let dynamic = match read::message(&descriptor::<M>()?, value) {
        Ok(dynamic) => dynamic,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let message = dynamic
        .transcode_to()
        .map_err(|_| Problem::Internal(format!("{} cannot be made", M::NAME)))?;
    Ok(Ok(message))
}

/// A message from JSON that came from `source`, a file or the command line.
///
/// # Errors
/// [`Problem::Usage`] naming every wrong field.
pub(crate) fn request<M: Named>(source: &str, value: &Value) -> Result<M, Problem> {
    from_json(value)?.map_err(|wrong| {
        Problem::Usage(
            wrong
                .iter()
                .map(|wrong| format!("{source}: {wrong}"))
                .collect(),
        )
    })
}

/// What the names of an enum's values begin with: `VERDICT_REASON_` for `gavah.v1.VerdictReason`.
fn prefix(enum_name: &str) -> String {
    let mut prefix = String::with_capacity(enum_name.len() + 8);
    for (index, letter) in enum_name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix.push('_');
    prefix
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_contract_describes_every_message_that_is_printed_or_read() {
        let pool = POOL.as_ref().unwrap();
        for name in NAMES {
            assert!(pool.get_message_by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_enum_of_the_contract_has_its_prefix() {
        let pool = POOL.as_ref().unwrap();
        for kind in pool
            .all_enums()
            .filter(|kind| kind.package_name() == "gavah.v1")
        {
            let prefix = prefix(kind.name());
            for value in kind.values() {
                assert!(value.name().starts_with(&prefix), "{}", value.full_name());
            }
        }
    }

    fn record() -> Value {
        json!({
            "name": "enrollmentRecords/1",
            "subject": {
                "person_id": {"passport": {"number": "A1", "country": "IRQ"}},
                "name": {"given_name_fa": "نمونه", "family_name_fa": "آزمایشی", "no_family_name": false},
                "birth_date": "1380/12/29",
                "gender": "FEMALE",
            },
            "program": {
                "institution_code": "90001",
                "student_number": "400000001",
                "degree_level": "BACHELOR_CONTINUOUS",
                "field_code": "110",
                "field_title_fa": "نمونه",
                "study_mode": "DAY",
                "entry_term": {"academic_year": 1402, "kind": "FIRST"},
            },
            "status": "STUDYING",
            "current_term": {"academic_year": 1405, "kind": "SECOND"},
            "registered_units": 0,
            "blocks": ["FINANCIAL", "LEGAL"],
            "as_of_time": "2026-05-13T08:30:00.25Z",
        })
    }

    #[test]
    fn what_is_printed_reads_back_and_prints_the_same() {
        let read: pb::EnrollmentRecord = from_json(&record()).unwrap().unwrap();
        assert_eq!(read.blocks, [1, 4]);
        assert_eq!(read.subject.as_ref().unwrap().birth_date.unwrap().month, 12);
        assert_eq!(read.as_of_time.unwrap().nanos, 250_000_000);
        assert_eq!(to_json(&read).unwrap(), record());
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = from_json::<pb::EnrollmentRecord>(&json!({
            "subject": {"birth_date": "1380/13/01", "gender": "X", "shoe_size": 1},
            "program": [],
            "registered_units": "many",
            "current_term": "1405-9",
            "blocks": ["FINANCIAL", "UNSPECIFIED"],
            "as_of_time": "yesterday",
            "external_ref": 7,
        }))
        .unwrap()
        .unwrap_err();
        let fields: Vec<_> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "subject.birth_date",
                "subject.gender",
                "subject.shoe_size",
                "program",
                "registered_units",
                "current_term",
                "blocks[1]",
                "as_of_time",
                "external_ref",
            ]
        );
        assert!(
            wrong[1].to_string().contains("FEMALE, MALE"),
            "{}",
            wrong[1]
        );
    }

    #[test]
    fn people_may_write_terms_and_enums_their_way() {
        let read: pb::EnrollmentRecord = from_json(&json!({
            "program": {"entryTerm": "1404-3", "degree_level": "degree_level_phd"},
            "status": "on-leave",
            "registered_units": "12",
        }))
        .unwrap()
        .unwrap();
        let program = read.program.unwrap();
        assert_eq!(program.entry_term.unwrap().kind(), pb::TermKind::Summer);
        assert_eq!(program.degree_level(), pb::DegreeLevel::Phd);
        assert_eq!(read.status, pb::EnrollmentStatus::OnLeave as i32);
        assert_eq!(read.registered_units, 12);
    }

    #[test]
    fn a_second_identity_is_refused() {
        let wrong = from_json::<pb::PersonId>(&json!({
            "national_code": "0012345679",
            "foreign_code": {"kind": "FIDA", "value": "12345678"},
        }));
        assert_eq!(wrong.unwrap().unwrap_err()[0].field, "foreign_code");
    }
}
