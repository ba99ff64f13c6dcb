//! What stands between a request and a validity code. Every refusal leaves nothing behind.

use gavah_api::v1 as pb;
use gavah_domain::{CodeScheme, SystemEntropy, ValidityCode};
use gavah_store::Seed;
use gavah_testkit::world::{
    CODE_CALL, CallerKind, EXPERT, Engine, INACTIVE_EXPERT, INELIGIBLE, OTHER_UNIVERSITY,
    UNIVERSITY, World,
};
use jiff::SignedDuration;
use tonic::Code;

use crate::harness::{run_on, soon};
use crate::messages::{issue, request_id, subject};
use crate::peer::{Answer, Peer, refused};
use crate::raw::Raw;

cases! {
    only_an_active_expert_of_the_institution_may_attest,
    a_required_previous_level_must_be_proven,
    a_chain_of_levels_is_proven_step_by_step,
    a_person_has_one_live_code_for_each_document,
}

cases_of_any_engine! {
    a_closed_call_issues_nothing,
    without_an_active_agreement_nothing_is_issued,
    an_institution_of_an_ineligible_type_is_told_its_type,
    a_closed_institution_gets_no_code,
    a_kind_of_document_outside_the_call_gets_no_code,
}

type Issued = Answer<pb::IssueValidityCodeResponse>;

pub(crate) async fn university(world: &World) -> Peer {
    Peer::of(world, CallerKind::University).await
}

/// The refusal, and that it left nothing behind.
pub(crate) async fn refused_without_trace(
    world: &World,
    peer: &Peer,
    request: pb::IssueValidityCodeRequest,
    code: Code,
    reason: &str,
) -> Box<gavah_client::Failure> {
    let mut raw = Raw::to(world).await;
    let before = raw.everything().await;
    let failure = refused(peer.issue_validity_code(request).await, code, reason);
    assert_eq!(raw.everything().await, before);
    failure
}

/// Changes the reference data and waits until the server goes by it: until then codes are issued.
pub(crate) async fn refused_after(
    world: &mut World,
    reason: &str,
    change: impl FnOnce(&mut Seed),
) -> Box<gavah_client::Failure> {
    let peer = university(world).await;
    world.reseed(change).await;
    soon(reason, async || {
        let answer = peer.issue_validity_code(issue(world, UNIVERSITY)).await;
        answer.err()
    })
    .await;
    let request = issue(world, UNIVERSITY);
    refused_without_trace(world, &peer, request, Code::FailedPrecondition, reason).await
}

async fn a_closed_call_issues_nothing(world: &mut World) {
    refused_after(world, "CALL_NOT_OPEN", |seed| {
        seed.call.iter_mut().for_each(|call| {
            if call.id == CODE_CALL {
                call.state = "CLOSED".to_owned();
            }
        });
    })
    .await;
}

async fn without_an_active_agreement_nothing_is_issued(world: &mut World) {
    refused_after(world, "AGREEMENT_NOT_ACTIVE", |seed| {
        for agreement in &mut seed.agreement {
            agreement.state = "SUSPENDED".to_owned();
        }
    })
    .await;
}

async fn an_institution_of_an_ineligible_type_is_told_its_type(world: &mut World) {
    let peer = Peer::of(world, CallerKind::IneligibleUniversity).await;
    let failure = refused_without_trace(
        world,
        &peer,
        issue(world, INELIGIBLE),
        Code::FailedPrecondition,
        "INSTITUTION_TYPE_NOT_ELIGIBLE",
    )
    .await;
    assert_eq!(failure.metadata["institution_type"], "AZAD");
}

/// The university is closed from now on.
pub(crate) async fn close_institution(world: &World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let name = format!("institutions/{UNIVERSITY}");
    let read = organization
        .get_institution(pb::GetInstitutionRequest { name })
        .await;
    let closed = pb::Institution {
        state: pb::InstitutionState::Closed.into(),
        successor_code: OTHER_UNIVERSITY.to_owned(),
        ..read.unwrap().institution.unwrap()
    };
    organization
        .update_institution(pb::UpdateInstitutionRequest {
            request_id: request_id(),
            validate_only: false,
            institution: Some(closed),
        })
        .await
        .unwrap();
}

async fn a_closed_institution_gets_no_code(world: &mut World) {
    close_institution(world).await;
    refused_without_trace(
        world,
        &university(world).await,
        issue(world, UNIVERSITY),
        Code::FailedPrecondition,
        "INSTITUTION_NOT_ACTIVE",
    )
    .await;
}

async fn a_kind_of_document_outside_the_call_gets_no_code(world: &mut World) {
    let request = pb::IssueValidityCodeRequest {
        document_kind: pb::DocumentKind::EnrollmentCertificate.into(),
        ..issue(world, UNIVERSITY)
    };
    let failure = refused_without_trace(
        world,
        &university(world).await,
        request,
        Code::FailedPrecondition,
        "DOCUMENT_KIND_NOT_ENABLED",
    )
    .await;
    assert_eq!(failure.metadata["document_kind"], "ENROLLMENT_CERTIFICATE");
}

pub(crate) fn attested_by(
    world: &World,
    institution: &str,
    expert: &str,
) -> pb::IssueValidityCodeRequest {
    let mut request = issue(world, UNIVERSITY);
    request.attestation.as_mut().unwrap().expert = Some(pb::ActorRef {
        expert: format!("institutions/{institution}/experts/{expert}"),
    });
    request
}

async fn only_an_active_expert_of_the_institution_may_attest(world: &mut World) {
    let peer = university(world).await;
    for (institution, expert) in [
        (UNIVERSITY, INACTIVE_EXPERT),
        (UNIVERSITY, "NOBODY"),
        (OTHER_UNIVERSITY, EXPERT),
        ("9999", EXPERT),
    ] {
        for validate_only in [true, false] {
            let request = pb::IssueValidityCodeRequest {
                validate_only,
                ..attested_by(world, institution, expert)
            };
            refused_without_trace(
                world,
                &peer,
                request,
                Code::FailedPrecondition,
                "EXPERT_NOT_ACTIVE",
            )
            .await;
        }
    }
    let request = attested_by(world, UNIVERSITY, EXPERT);
    peer.issue_validity_code(request).await.unwrap();
}

pub(crate) fn of_level(
    world: &World,
    subject: &pb::Subject,
    level: pb::DegreeLevel,
    priors: &[(pb::DegreeLevel, &str)],
) -> pb::IssueValidityCodeRequest {
    let mut request = issue(world, UNIVERSITY);
    request.subject = Some(subject.clone());
    request.program.as_mut().unwrap().degree_level = level.into();
    request.prior_qualifications = priors
        .iter()
        .map(|(level, code)| pb::PriorQualification {
            degree_level: (*level).into(),
            validity_code: (*code).to_owned(),
            attachment: String::new(),
        })
        .collect();
    request
}

async fn a_required_previous_level_must_be_proven(world: &mut World) {
    use pb::DegreeLevel::{Associate, BachelorContinuous, MasterContinuous, Phd};
    let peer = university(world).await;
    let (student, somebody) = (subject(), subject());
    let code = async |subject: &pb::Subject, level| {
        let issued = peer
            .issue_validity_code(of_level(world, subject, level, &[]))
            .await;
        issued.unwrap().validity_code.unwrap()
    };
    let bachelor = code(&student, BachelorContinuous).await;
    let master = code(&student, MasterContinuous).await;
    let anothers = code(&somebody, MasterContinuous).await;
    let unknown = ValidityCode::draw(CodeScheme::ValidityCode, &SystemEntropy).unwrap();
    for priors in [
        &[][..],
        &[(BachelorContinuous, bachelor.code.as_str())],
        &[(MasterContinuous, bachelor.code.as_str())],
        &[(MasterContinuous, anothers.code.as_str())],
        &[(MasterContinuous, unknown.as_str())],
        &[(Associate, master.code.as_str())],
    ] {
        let request = of_level(world, &student, Phd, priors);
        let failure = refused_without_trace(
            world,
            &peer,
            request,
            Code::FailedPrecondition,
            "PRIOR_QUALIFICATION_MISSING",
        )
        .await;
        assert_eq!(failure.metadata["missing_level"], "MASTER_CONTINUOUS");
    }
    // The code as a person would copy it.
    let grouped = format!("{} {}", &master.code[..10], &master.code[10..]);
    let proven = of_level(world, &student, Phd, &[(MasterContinuous, &grouped)]);
    let revoked = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: master.name,
        reason: pb::RevocationReason::Fraud.into(),
        ..Default::default()
    };
    peer.issue_validity_code(proven.clone()).await.unwrap();
    peer.revoke_validity_code(revoked).await.unwrap();
    let mut later = proven;
    later.request_id = request_id();
    later.document_kind = pb::DocumentKind::Transcript.into();
    refused_without_trace(
        world,
        &peer,
        later,
        Code::FailedPrecondition,
        "PRIOR_QUALIFICATION_MISSING",
    )
    .await;
}

async fn a_chain_of_levels_is_proven_step_by_step(world: &mut World) {
    use pb::DegreeLevel::{Associate, BachelorDiscontinuous, MasterDiscontinuous, Phd};
    let peer = university(world).await;
    let student = subject();
    let mut priors: Vec<(pb::DegreeLevel, String)> = Vec::new();
    for level in [Associate, BachelorDiscontinuous, MasterDiscontinuous, Phd] {
        if let Some(((last, _), before)) = priors.split_last() {
            let before: Vec<_> = before.iter().map(|(l, code)| (*l, code.as_str())).collect();
            let request = of_level(world, &student, level, &before);
            let failure = refused(
                peer.issue_validity_code(request).await,
                Code::FailedPrecondition,
                "PRIOR_QUALIFICATION_MISSING",
            );
            let missing = failure.metadata["missing_level"].as_str();
            // Of the levels that would do, the first is named.
            let expected = match last {
                Associate => "ASSOCIATE",
                BachelorDiscontinuous => "BACHELOR_CONTINUOUS",
                _ => "MASTER_CONTINUOUS",
            };
            assert_eq!(missing, expected);
        }
        let all: Vec<_> = priors.iter().map(|(l, code)| (*l, code.as_str())).collect();
        let issued = peer
            .issue_validity_code(of_level(world, &student, level, &all))
            .await;
        priors.push((level, issued.unwrap().validity_code.unwrap().code));
    }
}

async fn a_person_has_one_live_code_for_each_document(world: &mut World) {
    let peer = university(world).await;
    let request = issue(world, UNIVERSITY);
    let again = |change: &dyn Fn(&mut pb::IssueValidityCodeRequest)| {
        let mut again = pb::IssueValidityCodeRequest {
            request_id: request_id(),
            ..request.clone()
        };
        change(&mut again);
        again
    };
    let first = peer.issue_validity_code(request.clone()).await;
    let first = first.unwrap().validity_code.unwrap();
    for validate_only in [true, false] {
        let request = again(&|request| request.validate_only = validate_only);
        let failure = refused_without_trace(
            world,
            &peer,
            request,
            Code::AlreadyExists,
            "CODE_ALREADY_ISSUED",
        )
        .await;
        assert_eq!(failure.metadata["resource"], first.name);
    }
    let field = |code: &str| {
        let code = code.to_owned();
        again(&move |request| {
            request.double_major_declared = true;
            request
                .program
                .as_mut()
                .unwrap()
                .field_code
                .clone_from(&code);
        })
    };
    issued(peer.issue_validity_code(field("5678")).await);
    let answer = peer.issue_validity_code(field("5678")).await;
    refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
    issued(peer.issue_validity_code(field("9999")).await);
    let transcript = again(&|request| {
        request.document_kind = pb::DocumentKind::Transcript.into();
    });
    issued(peer.issue_validity_code(transcript).await);

    // A suspended code is live, a revoked one is not.
    let suspend = pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name: first.name.clone(),
        ..Default::default()
    };
    peer.suspend_validity_code(suspend).await.unwrap();
    let answer = peer.issue_validity_code(again(&|_| {})).await;
    refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
    let revoke = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: first.name,
        reason: pb::RevocationReason::IssuedInError.into(),
        ..Default::default()
    };
    peer.revoke_validity_code(revoke).await.unwrap();
    issued(peer.issue_validity_code(again(&|_| {})).await);
}

#[track_caller]
pub(crate) fn issued(answer: Issued) -> pb::ValidityCode {
    answer.unwrap().validity_code.unwrap()
}

fn a_code_that_has_expired_makes_room_for_another(engine: Engine) {
    let world = World::builder(engine).seed(|seed| {
        let mut next = seed.tariff[0].clone();
        next.year += 1;
        seed.tariff.push(next);
    });
    run_on(world, async |world: &mut World| {
        let peer = university(world).await;
        let request = pb::IssueValidityCodeRequest {
            document_kind: pb::DocumentKind::ForeignValuation.into(),
            ..issue(world, UNIVERSITY)
        };
        let first = issued(peer.issue_validity_code(request.clone()).await);
        assert!(first.expire_time.is_some());
        let again = || pb::IssueValidityCodeRequest {
            request_id: request_id(),
            ..request.clone()
        };
        let answer = peer.issue_validity_code(again()).await;
        refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
        world.clock().advance(SignedDuration::from_hours(24 * 368));
        let hub = Peer::of(world, CallerKind::Hub).await;
        let question = crate::messages::question(&first.code);
        let told = crate::verdicts::verdict(&hub, question).await;
        assert_eq!(told.reason(), pb::VerdictReason::Expired);
        let second = issued(peer.issue_validity_code(again()).await);
        assert_ne!(second.name, first.name);
    });
}

#[test]
fn a_code_that_has_expired_makes_room_for_another_on_sqlite() {
    a_code_that_has_expired_makes_room_for_another(Engine::Sqlite);
}

#[test]
fn a_code_that_has_expired_makes_room_for_another_on_postgres() {
    a_code_that_has_expired_makes_room_for_another(Engine::Postgres);
}
