//! What must hold for every method that writes: the retry key and the trial.

mod agreements;
mod disputes;
mod payments;
mod requests;

use std::collections::BTreeSet;

use gavah_api::DESCRIPTOR_SET;
use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, World};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::harness::run_on;
use crate::messages::request_id;
use crate::peer::refused;
use crate::raw::Raw;
use crate::wire::Wire;

/// A sandbox: its clock is moved by a write like others.
fn run(engine: Engine, case: impl AsyncFnOnce(&mut World)) {
    run_on(
        World::builder(engine)
            .payments()
            .set("sandbox.movable_clock", true),
        case,
    );
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Postgres, super::$name);
            })+
        }
    };
}

on_both! {
    a_write_without_a_request_id_is_refused,
    a_repeated_write_gets_the_same_answer_and_another_body_is_refused,
    a_trial_of_a_write_has_no_effect_and_leaves_its_request_id_free,
}

/// A request whose head can be set.
trait Head: Message + Clone {
    fn set(&mut self, request_id: &str, validate_only: bool);
}

macro_rules! heads {
    ($($name:ident),+ $(,)?) => {
        $(impl Head for pb::$name {
            fn set(&mut self, request_id: &str, validate_only: bool) {
                request_id.clone_into(&mut self.request_id);
                self.validate_only = validate_only;
            }
        })+
    };
}

heads! {
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
    CorrectEnrollmentCertificateRequest,
    CorrectValidityCodeRequest,
    CreateCallerRequest,
    CreateEnrollmentCertificateApplicationRequest,
    CreateExpertRequest,
    CreateInstitutionRequest,
    CreateServiceCallRequest,
    CreateValidityCodeApplicationRequest,
    IssueValidityCodeRequest,
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
    RefundPaymentRequest,
    ReinstateAgreementRequest,
    ReinstateEnrollmentCertificateRequest,
    ReinstateValidityCodeRequest,
    ReportEnrollmentEventRequest,
    RequestAgreementRequest,
    ResubmitValidityCodeApplicationRequest,
    ResumeIssuanceRequest,
    RetireClientCertificateRequest,
    RevokeEnrollmentCertificateRequest,
    RevokeValidityCodeRequest,
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

type Encode = Box<dyn Fn(&str, bool) -> Vec<u8>>;

/// A method that writes, with a good request and one of another body.
struct Write {
    path: String,
    kind: CallerKind,
    body: Encode,
    other_body: Encode,
}

impl Write {
    fn new<R: Head + 'static>(
        path: &str,
        kind: CallerKind,
        request: R,
        change: impl FnOnce(&mut R),
    ) -> Self {
        let mut other = request.clone();
        change(&mut other);
        let encode = |request: R| -> Encode {
            Box::new(move |request_id, validate_only| {
                let mut request = request.clone();
                request.set(request_id, validate_only);
                request.encode_to_vec()
            })
        };
        Self {
            path: format!("/gavah.v1.{path}"),
            kind,
            body: encode(request),
            other_body: encode(other),
        }
    }
}

impl Write {
    /// Whether its rows have outcomes of their own. The answers look alike on the wire.
    fn is_batch(&self) -> bool {
        self.path.contains("/Batch")
    }
}

/// Every write, each on resources of its own.
async fn writes(world: &mut World) -> Vec<Write> {
    let mut writes = payments::of_payments(world).await;
    writes.extend(requests::of_code_applications(world).await);
    writes.extend(requests::of_codes(world).await);
    writes.extend(requests::of_certificates(world).await);
    writes.extend(requests::of_applications(world).await);
    writes.extend(requests::of_records(world).await);
    writes.extend(requests::of_registry(world).await);
    writes.extend(requests::of_incidents(world).await);
    writes.extend(agreements::of_agreements(world).await);
    writes.extend(disputes::of_disputes(world).await);
    writes.push(agreements::of_the_clock());
    let written: BTreeSet<_> = writes.iter().map(|write| write.path.clone()).collect();
    assert_eq!(
        written,
        described(),
        "every method with a request_id is here"
    );
    writes
}

/// Paths of the methods whose requests have a request_id.
fn described() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let ours = set.file.iter().filter(|file| file.package() == "gavah.v1");
    let writes = |input: &str| {
        let name = input.rsplit('.').next().unwrap();
        let mut messages = set.file.iter().flat_map(|file| &file.message_type);
        messages.any(|message| {
            message.name() == name
                && message
                    .field
                    .iter()
                    .any(|field| field.name() == "request_id")
        })
    };
    let methods = ours.flat_map(|file| &file.service).flat_map(|service| {
        service
            .method
            .iter()
            .map(move |method| (service.name(), method))
    });
    methods
        .filter(|(_, method)| writes(method.input_type()))
        .map(|(service, method)| format!("/gavah.v1.{service}/{}", method.name()))
        .collect()
}

/// No revocation is being carried out.
async fn nothing_under_way(raw: &mut Raw) {
    for _ in 0..500 {
        let approved = "SELECT count(*) FROM incident WHERE state = 'APPROVED'";
        if raw.number(approved).await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a revocation does not end");
}

async fn a_write_without_a_request_id_is_refused(world: &mut World) {
    for write in writes(world).await {
        let wire = Wire::of(world, write.kind).await;
        for (id, reason) in [
            ("", "FIELD_REQUIRED"),
            ("1", "FIELD_FORMAT"),
            ("0198f5d2ac96774bbcceb302099a8057", "FIELD_FORMAT"),
        ] {
            let answer = wire
                .send_with(&write.path, (write.body)(id, false), &[])
                .await;
            let failure = refused(answer, Code::InvalidArgument, reason);
            assert_eq!(failure.violations.len(), 1, "{}: {failure}", write.path);
            assert_eq!(failure.violations[0].field, "request_id");
        }
    }
}

async fn a_repeated_write_gets_the_same_answer_and_another_body_is_refused(world: &mut World) {
    let mut raw = Raw::to(world).await;
    for write in writes(world).await {
        let wire = Wire::of(world, write.kind).await;
        let id = request_id();
        let send =
            async |body: &Encode, id: &str| wire.send_with(&write.path, body(id, false), &[]).await;
        let first = send(&write.body, &id).await;
        let mut first = first.unwrap_or_else(|failure| panic!("{}: {failure}", write.path));
        if write.path.ends_with("ApproveRevocation") {
            // What it began goes on by itself; here that is nothing, and ends soon.
            nothing_under_way(&mut raw).await;
            first = send(&write.body, &id).await.unwrap();
        }
        let done = raw.everything().await;
        // In whatever case the id is written.
        for same in [id.clone(), id.to_uppercase()] {
            let again = send(&write.body, &same).await.unwrap();
            assert_eq!(again, first, "{}", write.path);
        }
        if write.is_batch() {
            let other = send(&write.other_body, &id).await.unwrap();
            let rows = pb::BatchUpsertEnrollmentRecordsResponse::decode(&other[..])
                .unwrap()
                .rows;
            for row in rows {
                assert_eq!(row.status.unwrap().code, Code::AlreadyExists as i32);
            }
        } else {
            let other = send(&write.other_body, &id).await;
            refused(other, Code::AlreadyExists, "REQUEST_ID_REUSED");
        }
        assert_eq!(raw.everything().await, done, "{}", write.path);
    }
}

async fn a_trial_of_a_write_has_no_effect_and_leaves_its_request_id_free(world: &mut World) {
    let mut raw = Raw::to(world).await;
    for write in writes(world).await {
        let wire = Wire::of(world, write.kind).await;
        nothing_under_way(&mut raw).await;
        let before = raw.everything().await;
        let id = request_id();
        for _ in 0..2 {
            let trial = wire
                .send_with(&write.path, (write.body)(&id, true), &[])
                .await;
            let trial = trial.unwrap_or_else(|failure| panic!("{}: {failure}", write.path));
            if write.is_batch() {
                let answer = pb::BatchUpsertEnrollmentRecordsResponse::decode(&trial[..]).unwrap();
                for row in &answer.rows {
                    assert_eq!(row.status.as_ref().unwrap().code, 0);
                    assert_eq!(row.name, "");
                }
            } else {
                assert_eq!(trial, Vec::<u8>::new(), "{}", write.path);
            }
        }
        assert_eq!(raw.everything().await, before, "{}", write.path);
        let done = wire
            .send_with(&write.path, (write.other_body)(&id, false), &[])
            .await;
        let retire = write.path.ends_with("RetireClientCertificate");
        // Its other body names a certificate that is not there.
        assert_eq!(done.is_err(), retire, "{}", write.path);
    }
}
