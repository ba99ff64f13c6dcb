//! What every write request begins with: the retry key and the digest that says
//! which requests are the same.

use aws_lc_rs::digest::{Context, SHA256};
use gavah_api::{Validate, v1 as pb};
use gavah_domain::{Reason, Violations};
use gavah_store::Ordered;
use prost::Message;
use uuid::Uuid;

use super::{check_rules, names};

/// The beginning of a write request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The caller's retry key.
    pub request_id: Uuid,
    /// Whether only to check.
    pub validate_only: bool,
    /// SHA-256 over the request's full name and its encoding without
    /// request_id and validate_only.
    pub digest: [u8; 32],
    /// What a ruling ordered, where the request is made under it.
    pub ordered: Option<Ordered>,
}

/// A request that changes something.
pub trait WriteRequest: Message + Validate {
    /// Full name of the message.
    const NAME: &'static str;

    /// Takes request_id and validate_only out of the request.
    fn take_head(&mut self) -> (String, bool);

    /// Resource name of the ordered action under which it is made; empty without one.
    fn dispute_action(&self) -> &str {
        ""
    }
}

macro_rules! write_requests {
    ($($name:ident $(($ordered:ident))?),+ $(,)?) => {
        $(
            impl WriteRequest for pb::$name {
                const NAME: &'static str = concat!("gavah.v1.", stringify!($name));

                fn take_head(&mut self) -> (String, bool) {
                    let only = std::mem::take(&mut self.validate_only);
                    (std::mem::take(&mut self.request_id), only)
                }

                $(fn dispute_action(&self) -> &str {
                    &self.$ordered
                })?
            }
        )+

        #[cfg(test)]
        const WRITE_REQUESTS: &[&str] = &[$(stringify!($name)),+];
    };
}

write_requests! {
    AddClientCertificateRequest,
    AgreeDisputeRequest,
    ApproveAgreementRequest,
    ApproveRevocationRequest,
    BatchImportLegacyCodesRequest,
    BatchUpsertEnrollmentRecordsRequest,
    CancelEnrollmentCertificateApplicationRequest,
    CancelIssuanceJobRequest,
    CancelValidityCodeApplicationRequest,
    CloseDisputeActionRequest,
    CloseServiceCallRequest,
    ConfirmPaymentRequest,
    ConsentToRulingRequest,
    CorrectEnrollmentCertificateRequest(dispute_action),
    CorrectValidityCodeRequest(dispute_action),
    CreateCallerRequest,
    CreateEnrollmentCertificateApplicationRequest(dispute_action),
    CreateExpertRequest,
    CreateInstitutionRequest,
    CreateServiceCallRequest,
    CreateValidityCodeApplicationRequest(dispute_action),
    IssueValidityCodeRequest(dispute_action),
    MoveClockRequest,
    OpenDisputeRequest,
    OpenServiceCallRequest,
    PauseIssuanceRequest,
    PostDisputeMessageRequest,
    ProposeRevocationRequest,
    PublishServiceDocumentRequest,
    ReconcilePaymentsRequest,
    RecordCodeReviewRequest,
    RecordExpertDecisionRequest,
    RecordOrganizationDecisionRequest,
    RecordUniversityDecisionRequest,
    RefundPaymentRequest(dispute_action),
    ReinstateAgreementRequest,
    ReinstateEnrollmentCertificateRequest,
    ReinstateValidityCodeRequest,
    ReportEnrollmentEventRequest,
    RequestAgreementRequest,
    ResubmitValidityCodeApplicationRequest,
    ResumeIssuanceRequest,
    RetireClientCertificateRequest,
    RevokeEnrollmentCertificateRequest(dispute_action),
    RevokeValidityCodeRequest(dispute_action),
    RuleDisputeRequest,
    StartPaymentRequest,
    SubmitEnrollmentCertificateApplicationRequest,
    SuspendAgreementRequest,
    SuspendEnrollmentCertificateRequest,
    SuspendValidityCodeRequest,
    TerminateAgreementRequest,
    UpdateCallerRequest,
    UpdateEnrollmentCertificateApplicationRequest,
    UpdateExpertRequest,
    UpdateInstitutionRequest,
    UpsertEnrollmentRecordRequest,
    WithdrawDisputeRequest,
    WithdrawRevocationRequest,
}

/// Of a run only the start says which one it is; its rows have digests of their own.
impl WriteRequest for pb::StreamIssueValidityCodesStart {
    const NAME: &'static str = "gavah.v1.StreamIssueValidityCodesStart";

    fn take_head(&mut self) -> (String, bool) {
        (std::mem::take(&mut self.request_id), false)
    }
}

/// Checks the annotated rules of a write request and takes its head off. There
/// is no head exactly when request_id is among the violations.
pub(super) fn open<R: WriteRequest>(request: &mut R) -> (Violations, Option<Head>) {
    let mut found = Violations::default();
    let broken = check_rules(request);
    let (request_id, validate_only) = request.take_head();
    for violation in broken {
        // The contract asks for the form of a UUID; an empty one is missing.
        let missing = violation.field == "request_id" && request_id.is_empty();
        let reason = if missing {
            Reason::FieldRequired
        } else {
            violation.reason
        };
        found.push(violation.field, reason);
    }
    let ordered = match request.dispute_action() {
        "" => None,
        name => found.take("dispute_action", names::parse_action(name)),
    };
    let head = names::uuid(&request_id).ok().map(|request_id| Head {
        request_id,
        validate_only,
        digest: digest_of(R::NAME, request),
        ordered,
    });
    (found, head)
}

/// SHA-256 over a message's full name and its encoding, which is the same for
/// equal messages: fields in the order of their numbers, and no maps.
pub(super) fn digest_of(name: &str, message: &impl Message) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    digest.update(name.as_bytes());
    // No name holds a zero byte, so the two parts never run into each other.
    digest.update(&[0]);
    digest.update(&message.encode_to_vec());
    let mut out = [0; 32];
    out.copy_from_slice(digest.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use prost_types::FileDescriptorSet;

    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn request(request_id: &str, validate_only: bool, remark: &str) -> (Violations, Option<Head>) {
        open(&mut pb::SuspendValidityCodeRequest {
            request_id: request_id.to_owned(),
            validate_only,
            name: format!("validityCodes/{ID}"),
            remark: remark.to_owned(),
            etag: String::new(),
        })
    }

    #[test]
    fn every_message_with_a_request_id_is_a_write_request() {
        let contract = FileDescriptorSet::decode(gavah_api::DESCRIPTOR_SET).unwrap();
        let ours = contract
            .file
            .iter()
            .filter(|file| file.package() == "gavah.v1");
        let mut writes: Vec<_> = ours
            .flat_map(|file| &file.message_type)
            .filter(|message| {
                message
                    .field
                    .iter()
                    .any(|field| field.name() == "request_id")
            })
            .map(|message| message.name().to_owned())
            .collect();
        // Of a run only the start has one, and the audit tells of those that were used.
        writes.retain(|name| name.ends_with("Request"));
        writes.sort();
        assert_eq!(writes, WRITE_REQUESTS);
        assert_eq!(
            pb::CreateCallerRequest::NAME,
            "gavah.v1.CreateCallerRequest"
        );
    }

    #[test]
    fn a_write_without_a_uuid_is_refused() {
        for (given, reason) in [
            ("", Reason::FieldRequired),
            ("1", Reason::FieldFormat),
            ("01890a5dac96774bbcceb302099a8057", Reason::FieldFormat),
        ] {
            let (found, head) = request(given, false, "");
            assert_eq!(head, None, "{given:?}");
            let found = found.into_vec();
            assert_eq!(found.len(), 1, "{given:?}");
            assert_eq!(
                (found[0].field.as_str(), found[0].reason),
                ("request_id", reason)
            );
        }
    }

    #[test]
    fn the_digest_sees_the_content_and_not_the_head() {
        let head = |id: &str, only, remark: &str| request(id, only, remark).1.unwrap();
        let one = head(ID, false, "a");
        assert!(!one.validate_only);
        assert_eq!(one.request_id.to_string(), ID);
        let other = head(&ID.to_uppercase().replace("8057", "8058"), true, "a");
        assert!(other.validate_only);
        assert_eq!(one.digest, other.digest);
        assert_ne!(one.digest, head(ID, false, "b").digest);
    }

    #[test]
    fn equal_content_of_another_message_has_another_digest() {
        let reinstate = open(&mut pb::ReinstateValidityCodeRequest {
            request_id: ID.to_owned(),
            validate_only: false,
            name: format!("validityCodes/{ID}"),
            remark: "a".to_owned(),
            etag: String::new(),
        });
        let suspend = request(ID, false, "a");
        assert_ne!(
            reinstate.1.map(|head| head.digest),
            suspend.1.map(|head| head.digest)
        );
    }
}
