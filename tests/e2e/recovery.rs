//! Certificates whose signing was cut off by a crash between the two transactions.

use gavah_api::v1 as pb;
use gavah_domain::certificate::ApplicationState;
use gavah_domain::record::{BlockKind, EnrollmentRecord, EnrollmentStatus};
use gavah_domain::{CodeScheme, ValidityCode};
use gavah_evidence::{FileSigner, Signer, verify};
use gavah_store::{CertificateContent, Intent, IssueCertificate, RecordRow};
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;
use uuid::Uuid;

use crate::harness::{run_on, soon};
use crate::messages::{apply, question, record, upsert};
use crate::peer::{Peer, refused};
use crate::verdicts::verdict;

cases! {
    an_intent_is_nothing_to_those_who_validate_and_closes_the_way_for_another,
}

cases_of_any_engine! {
    an_intent_whose_lease_has_passed_is_finished_by_a_running_server,
}

/// What a dead run left behind.
struct Left {
    certificate: Uuid,
    application: Uuid,
    code: ValidityCode,
}

const PAYLOAD: &[u8] = b"synthetic payload";
const PASSED: SignedDuration = SignedDuration::from_secs(-1);

/// A student's record, stored without a server.
async fn student(world: &World) -> EnrollmentRecord {
    let record = fixtures::record(UNIVERSITY, world.now());
    store(world, &record).await;
    record
}

async fn store(world: &World, record: &EnrollmentRecord) {
    let row = RecordRow {
        context: world.operator(),
        id: fixtures::id(),
        record: record.clone(),
        subject_hash: fixtures::subject_hash(),
    };
    world.store().upsert_record(&row).await.unwrap();
}

/// Transaction 1 of a run that died after it, for the student of a stored record.
async fn leave_intent(world: &World, record: &EnrollmentRecord, lease: SignedDuration) -> Left {
    let now = world.now();
    let key = FileSigner::load(&world.dir().join("signing.key")).unwrap();
    let content = CertificateContent {
        subject: record.subject.clone(),
        program: record.program.clone(),
        valid_until: world.today().plus_months(3),
        ..fixtures::certificate_content(UNIVERSITY)
    };
    let issue = IssueCertificate {
        id: fixtures::id(),
        application_id: fixtures::id(),
        code: fixtures::code(CodeScheme::EnrollmentCertificate),
        application: None,
        // The key that the service makes of person, programme, type and addressee.
        open_key: format!(
            "{}/{UNIVERSITY}/{}/ISSUE_FROM_RECORD/سفارتازمایشی",
            record.subject.person_id.key(),
            record.program.student_number.as_str()
        ),
        agreement: String::new(),
        expire_time: content.valid_until.end_exclusive(),
        content,
        issue_time: now,
        key_id: key.key_id().to_owned(),
        payload: &|_| Some(PAYLOAD.to_vec()),
        lease_owner: fixtures::id(),
        lease_until: now + lease,
        subject_hash: fixtures::subject_hash(),
    };
    let recorded = world.store().record_intent(&world.operator(), &issue).await;
    assert!(matches!(recorded, Ok(Intent::Recorded(_))), "{recorded:?}");
    Left {
        certificate: issue.id,
        application: issue.application_id,
        code: issue.code,
    }
}

async fn an_intent_is_nothing_to_those_who_validate_and_closes_the_way_for_another(
    world: &mut World,
) {
    let row = record(world, UNIVERSITY);
    let university = Peer::of(world, CallerKind::University).await;
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let number = &row.program.as_ref().unwrap().student_number;
    let stored = world
        .store()
        .find_record(UNIVERSITY, number)
        .await
        .unwrap()
        .unwrap();
    let left = leave_intent(world, &stored.record, SignedDuration::from_hours(1)).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let told = verdict(&hub, question(left.code.as_str())).await;
    assert_eq!(told.reason(), pb::VerdictReason::NotFound);
    assert_eq!(told.document, None);
    let answer = university
        .get_enrollment_certificate(pb::GetEnrollmentCertificateRequest {
            name: format!("enrollmentCertificates/{}", left.certificate),
            subject_claim: None,
        })
        .await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let listed = university
        .list_enrollment_certificates(pb::ListEnrollmentCertificatesRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.enrollment_certificates, []);
    let application = format!("enrollmentCertificateApplications/{}", left.application);
    let read = university
        .get_enrollment_certificate_application(pb::GetEnrollmentCertificateApplicationRequest {
            name: application.clone(),
            subject_claim: None,
        })
        .await
        .unwrap();
    let read = read.application.unwrap();
    assert_eq!(read.state(), pb::ApplicationState::Issuing);
    assert_eq!(read.enrollment_certificate, "");

    let window = Peer::of(world, CallerKind::Window).await;
    for validate_only in [true, false] {
        let request = pb::CreateEnrollmentCertificateApplicationRequest {
            validate_only,
            ..apply(&row)
        };
        let answer = window
            .create_enrollment_certificate_application(request)
            .await;
        let failure = refused(answer, Code::AlreadyExists, "OPEN_APPLICATION_EXISTS");
        if !validate_only {
            assert_eq!(failure.metadata["resource"], application);
        }
    }
    // Another addressee is another application.
    let mut elsewhere = apply(&row);
    elsewhere.addressee.as_mut().unwrap().name_fa = "بانک آزمایشی".to_owned();
    window
        .create_enrollment_certificate_application(elsewhere)
        .await
        .unwrap();
}

/// Waits until the certificate is signed, and validates it.
async fn assert_finished(world: &World, left: &Left) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    soon("the recovery of the certificate", async || {
        let told = verdict(&hub, question(left.code.as_str())).await;
        (told.reason() == pb::VerdictReason::Ok).then_some(())
    })
    .await;
    let university = Peer::of(world, CallerKind::University).await;
    let read = university
        .get_enrollment_certificate(pb::GetEnrollmentCertificateRequest {
            name: format!("enrollmentCertificates/{}", left.certificate),
            subject_claim: None,
        })
        .await
        .unwrap();
    let key = FileSigner::load(&world.dir().join("signing.key")).unwrap();
    let signed = read.enrollment_certificate.unwrap().signed_document;
    // The very bytes that were recorded.
    assert_eq!(verify(&signed, key.public_key_spki_der()).unwrap(), PAYLOAD);
    let read = university
        .get_enrollment_certificate_application(pb::GetEnrollmentCertificateApplicationRequest {
            name: format!("enrollmentCertificateApplications/{}", left.application),
            subject_claim: None,
        })
        .await
        .unwrap();
    let read = read.application.unwrap();
    assert_eq!(read.state(), pb::ApplicationState::Issued);
    // No caller finished it.
    assert_eq!(read.history.last().unwrap().actor, "");
}

async fn an_intent_whose_lease_has_passed_is_finished_by_a_running_server(world: &mut World) {
    let student = student(world).await;
    let left = leave_intent(world, &student, PASSED).await;
    assert_finished(world, &left).await;
}

fn a_server_that_starts_settles_what_was_left(engine: Engine) {
    run_on(
        World::builder(engine).nodes(0),
        async |world: &mut World| {
            let (good, mut blocked, mut gone) = (
                student(world).await,
                student(world).await,
                student(world).await,
            );
            let finished = leave_intent(world, &good, PASSED).await;
            let refused = [
                leave_intent(world, &blocked, PASSED).await,
                leave_intent(world, &gone, PASSED).await,
            ];
            let leased =
                leave_intent(world, &student(world).await, SignedDuration::from_hours(1)).await;
            blocked.blocks = vec![BlockKind::Disciplinary];
            gone.status = EnrollmentStatus::Withdrawn;
            store(world, &blocked).await;
            store(world, &gone).await;
            world.add_node().await;

            assert_finished(world, &finished).await;
            let state = async |left: &Left| {
                let stored = world.store().application(left.application).await.unwrap();
                stored.unwrap().state
            };
            let hub = Peer::of(world, CallerKind::Hub).await;
            for left in &refused {
                soon("the cancellation", async || {
                    (state(left).await == ApplicationState::Cancelled).then_some(())
                })
                .await;
                let told = verdict(&hub, question(left.code.as_str())).await;
                assert_eq!(told.reason(), pb::VerdictReason::NotFound);
            }
            assert_eq!(state(&leased).await, ApplicationState::Issuing);
        },
    );
}

#[test]
fn a_server_that_starts_settles_what_was_left_on_sqlite() {
    a_server_that_starts_settles_what_was_left(Engine::Sqlite);
}

#[test]
fn a_server_that_starts_settles_what_was_left_on_postgres() {
    a_server_that_starts_settles_what_was_left(Engine::Postgres);
}
