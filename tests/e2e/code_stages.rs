//! Applications for validity codes that are decided in stages.

use gavah_api::v1 as pb;
use gavah_domain::document::DocumentState;
use gavah_store::WorkflowSeed;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CODE_CALL, CallerKind, EXPERT, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::attachments::sent;
use crate::code_guards::close_institution;
use crate::harness::{soon, together};
use crate::messages::{issue, national_code, person, question, request_id, subject};
use crate::peer::{Answer, Peer, refused};
use crate::raw::Raw;
use crate::request_ids::set_expert;
use crate::stages::{decider, expert, remark};
use crate::verdicts::verdict;
use pb::CodeApplicationState as S;

cases! {
    an_application_that_was_returned_is_mended_confirmed_reviewed_and_issued,
    where_nobody_reviews_after_the_expert_the_confirmation_issues,
    nobody_has_two_parts_in_an_application_nor_one_in_their_own,
    a_level_proven_by_a_file_is_looked_at_twice,
    what_proved_a_level_must_still_prove_it_when_it_is_confirmed,
    of_a_document_one_application_is_open_and_one_code_is_live,
    the_workflow_decides_which_roads_there_are,
    a_priced_application_waits_for_its_payment_and_ends_after_three_days,
    strangers_neither_see_nor_decide_and_the_etag_counts,
    of_two_decisions_at_once_one_wins,
    the_agreement_it_was_handed_in_under_must_last,
    a_pause_stops_the_confirmation_and_what_the_workflow_requires_is_asked_for,
    who_comes_again_draws_the_same_lot,
    what_an_expert_attested_who_is_active_no_more_is_not_issued,
    nothing_is_handed_in_again_for_an_institution_that_has_closed,
}

/// From now on codes may be applied for in stages, and the Organization reviews so many in a hundred.
pub(crate) async fn offered(world: &mut World, percent: Option<u8>) {
    let id = format!("code-stages-{percent:?}");
    world
        .reseed(|seed| {
            let plain = seed.workflow[0].clone();
            let mut rules = plain.rules.clone();
            rules.university_review = true;
            rules.organization_review = percent.is_some();
            rules.organization_review_percent = percent.unwrap_or(100);
            rules.require_prior_qualification = true;
            seed.call[0].workflow.clone_from(&id);
            let id = id.clone();
            seed.workflow.push(WorkflowSeed { id, rules, ..plain });
        })
        .await;
    let peer = Peer::of(world, CallerKind::University).await;
    soon("the new workflow", async || {
        let trial = pb::CreateValidityCodeApplicationRequest {
            validate_only: true,
            ..create(world)
        };
        let at_once = pb::IssueValidityCodeRequest {
            validate_only: true,
            ..issue(world, UNIVERSITY)
        };
        let at_once = peer.issue_validity_code(at_once).await;
        peer.create_validity_code_application(trial).await.ok()?;
        (at_once.is_ok() == percent.is_none()).then_some(())
    })
    .await;
}

/// What a one-call request says, as an application says it.
pub(crate) fn code_of(request: pb::IssueValidityCodeRequest) -> pb::CodeRequest {
    pb::CodeRequest {
        subject: request.subject,
        program: request.program,
        document_kind: request.document_kind,
        document: request.document,
        prior_qualifications: request.prior_qualifications,
        double_major_declared: request.double_major_declared,
        external_ref: request.external_ref,
        attachments: Vec::new(),
    }
}

/// A good application for a fresh student.
pub(crate) fn create(world: &World) -> pb::CreateValidityCodeApplicationRequest {
    pb::CreateValidityCodeApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        code: Some(code_of(issue(world, UNIVERSITY))),
        submitter: decider("registrar-1".to_owned()),
        dispute_action: String::new(),
    }
}

pub(crate) fn resubmit(
    application: &pb::ValidityCodeApplication,
    code: pb::CodeRequest,
) -> pb::ResubmitValidityCodeApplicationRequest {
    pb::ResubmitValidityCodeApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: String::new(),
        code: Some(code),
        submitter: decider("registrar-2".to_owned()),
    }
}

pub(crate) fn cancel(
    application: &pb::ValidityCodeApplication,
) -> pb::CancelValidityCodeApplicationRequest {
    pb::CancelValidityCodeApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: String::new(),
        reason: "اشتباه بود".to_owned(),
    }
}

/// A good decision of the expert on the application as it is.
pub(crate) fn by_expert(
    application: &pb::ValidityCodeApplication,
    decision: pb::ExpertDecision,
) -> pb::RecordExpertDecisionRequest {
    use pb::ExpertDecision as D;
    pb::RecordExpertDecisionRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: application.etag.clone(),
        decision: decision.into(),
        decider: decider(expert(UNIVERSITY)),
        statement_version: match decision {
            D::Confirm => "2".to_owned(),
            _ => String::new(),
        },
        remarks: match decision {
            D::Return => vec![remark()],
            _ => Vec::new(),
        },
        reason: match decision {
            D::Reject => "مدرک جعلی است".to_owned(),
            _ => String::new(),
        },
    }
}

/// A good decision of the Organization on the application as it is.
pub(crate) fn by_officer(
    application: &pb::ValidityCodeApplication,
    decision: pb::CodeReview,
) -> pb::RecordCodeReviewRequest {
    use pb::CodeReview as D;
    pb::RecordCodeReviewRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: application.etag.clone(),
        decision: decision.into(),
        decider: decider("O-1".to_owned()),
        remarks: match decision {
            D::Return => vec![remark()],
            _ => Vec::new(),
        },
        reason: match decision {
            D::Reject => "مشمول نیست".to_owned(),
            _ => String::new(),
        },
    }
}

pub(crate) async fn made(
    peer: &Peer,
    request: pb::CreateValidityCodeApplicationRequest,
) -> pb::ValidityCodeApplication {
    let made = peer.create_validity_code_application(request).await;
    made.unwrap().application.unwrap()
}

pub(crate) async fn confirmed(
    peer: &Peer,
    application: &pb::ValidityCodeApplication,
) -> pb::RecordExpertDecisionResponse {
    let decision = by_expert(application, pb::ExpertDecision::Confirm);
    peer.record_expert_decision(decision).await.unwrap()
}

async fn read(
    peer: &Peer,
    application: &pb::ValidityCodeApplication,
) -> Answer<pb::ValidityCodeApplication> {
    let name = application.name.clone();
    let read = peer
        .get_validity_code_application(pb::GetValidityCodeApplicationRequest { name })
        .await?;
    Ok(read.application.unwrap())
}

pub(crate) fn states(application: &pb::ValidityCodeApplication) -> Vec<S> {
    application
        .history
        .iter()
        .map(pb::CodeApplicationStep::state)
        .collect()
}

async fn an_application_that_was_returned_is_mended_confirmed_reviewed_and_issued(
    world: &mut World,
) {
    offered(world, Some(100)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let request = create(world);
    let handed_in = made(&university, request.clone()).await;
    assert_eq!(states(&handed_in), [S::Submitted, S::Validated]);
    let staff = format!("institutions/{UNIVERSITY}/staff/registrar-1");
    assert_eq!(handed_in.history[0].decider, staff);
    assert_eq!(handed_in.history[0].actor, "callers/university");
    assert_eq!(handed_in.history[1].actor, "");
    assert_eq!(made(&university, request.clone()).await, handed_in);

    let returned = by_expert(&handed_in, pb::ExpertDecision::Return);
    let returned = university.record_expert_decision(returned).await.unwrap();
    let returned = returned.application.unwrap();
    assert_eq!(returned.state(), S::Returned);
    assert_eq!(returned.history[2].remarks, [remark()]);

    let mut code = request.code.clone().unwrap();
    code.document.as_mut().unwrap().gpa_hundredths = Some(1999);
    let again = university
        .resubmit_validity_code_application(resubmit(&returned, code))
        .await;
    let again = again.unwrap().application.unwrap();
    assert_eq!(again.state(), S::Validated);
    assert_eq!(again.document.as_ref().unwrap().gpa_hundredths, Some(1999));

    let confirmed = confirmed(&university, &again).await;
    assert_eq!(confirmed.validity_code, None);
    let confirmed = confirmed.application.unwrap();
    assert_eq!(confirmed.state(), S::OrganizationReview);
    let back = by_officer(&confirmed, pb::CodeReview::Return);
    let back = organization
        .record_code_review(back)
        .await
        .unwrap()
        .application
        .unwrap();
    assert_eq!(back.state(), S::Returned);
    let code = request.code.unwrap();
    let third = university
        .resubmit_validity_code_application(resubmit(&back, code))
        .await;
    let third = third.unwrap().application.unwrap();
    let third = self::confirmed(&university, &third)
        .await
        .application
        .unwrap();
    let approve = by_officer(&third, pb::CodeReview::Approve);
    let issued = organization
        .record_code_review(approve.clone())
        .await
        .unwrap();
    let (application, code) = (issued.application.unwrap(), issued.validity_code.unwrap());
    assert_eq!(
        states(&application),
        [
            S::Submitted,
            S::Validated,
            S::Returned,
            S::Submitted,
            S::Validated,
            S::ExpertConfirmed,
            S::OrganizationReview,
            S::Returned,
            S::Submitted,
            S::Validated,
            S::ExpertConfirmed,
            S::OrganizationReview,
            S::Approved,
            S::Issued,
        ]
    );
    assert_eq!(application.validity_code, code.name);
    assert_eq!(code.attested_by, expert(UNIVERSITY));
    assert_eq!(code.workflow_version, application.workflow_version);
    // Asked again, the same.
    let replay = organization.record_code_review(approve).await.unwrap();
    assert_eq!(replay.validity_code.unwrap(), code);
    assert_eq!(read(&university, &application).await.unwrap(), application);
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = verdict(&hub, question(&code.code)).await;
    assert_eq!(answer.outcome(), pb::Outcome::Valid);
    let cancelled = university
        .cancel_validity_code_application(cancel(&application))
        .await;
    let refusal = refused(
        cancelled,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(refusal.metadata["state"], "ISSUED");
    assert_eq!(refusal.metadata["allowed"], "");
}

async fn where_nobody_reviews_after_the_expert_the_confirmation_issues(world: &mut World) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let first = made(&university, create(world)).await;
    let trial = pb::RecordExpertDecisionRequest {
        validate_only: true,
        ..by_expert(&first, pb::ExpertDecision::Confirm)
    };
    let before = Raw::to(world).await.everything().await;
    let tried = university.record_expert_decision(trial).await.unwrap();
    assert_eq!((tried.application, tried.validity_code), (None, None));
    assert_eq!(Raw::to(world).await.everything().await, before);
    let issued = confirmed(&university, &first).await;
    let code = issued.validity_code.unwrap();
    assert_eq!(code.state(), pb::DocumentState::Active);
    assert_eq!(issued.application.unwrap().validity_code, code.name);
    // The road of one call is there beside it.
    university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await
        .unwrap();
    let list = pb::ListValidityCodeApplicationsRequest {
        state: S::Issued.into(),
        ..Default::default()
    };
    let listed = university
        .list_validity_code_applications(list)
        .await
        .unwrap();
    assert_eq!(listed.applications.len(), 1);
    let second = made(&university, create(world)).await;
    let reject = by_expert(&second, pb::ExpertDecision::Reject);
    let rejected = university.record_expert_decision(reject).await.unwrap();
    assert_eq!(rejected.application.unwrap().state(), S::Rejected);
    let third = made(&university, create(world)).await;
    let taken = university
        .cancel_validity_code_application(cancel(&third))
        .await
        .unwrap();
    let taken = taken.application.unwrap();
    assert_eq!(taken.state(), S::Cancelled);
    assert_eq!(taken.history.last().unwrap().reason, "اشتباه بود");
}

async fn nobody_has_two_parts_in_an_application_nor_one_in_their_own(world: &mut World) {
    offered(world, Some(100)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let own = "SAME_PERSON_CANNOT_DECIDE";
    let mut request = create(world);
    let student = request
        .code
        .as_ref()
        .unwrap()
        .subject
        .clone()
        .unwrap()
        .person_id;
    let submitter = request.submitter.as_ref().unwrap().person_id.clone();
    let as_who = |person: &Option<pb::PersonId>| {
        let mut decider = decider(expert(UNIVERSITY)).unwrap();
        decider.person_id.clone_from(person);
        Some(decider)
    };
    let for_oneself = pb::CreateValidityCodeApplicationRequest {
        request_id: request_id(),
        submitter: Some(pb::Decider {
            actor: "registrar-1".to_owned(),
            person_id: student.clone(),
        }),
        ..request.clone()
    };
    let answer = university
        .create_validity_code_application(for_oneself)
        .await;
    refused(answer, Code::PermissionDenied, own);
    request.request_id = request_id();
    let handed_in = made(&university, request.clone()).await;
    for who in [&student, &submitter] {
        let decision = pb::RecordExpertDecisionRequest {
            decider: as_who(who),
            ..by_expert(&handed_in, pb::ExpertDecision::Confirm)
        };
        let answer = university.record_expert_decision(decision).await;
        refused(answer, Code::PermissionDenied, own);
    }
    let confirm = by_expert(&handed_in, pb::ExpertDecision::Confirm);
    let the_expert = confirm.decider.clone().unwrap().person_id;
    let confirmed = university.record_expert_decision(confirm).await.unwrap();
    let confirmed = confirmed.application.unwrap();
    for who in [&student, &submitter, &the_expert] {
        let mut decision = by_officer(&confirmed, pb::CodeReview::Approve);
        decision.decider.as_mut().unwrap().person_id.clone_from(who);
        let answer = organization.record_code_review(decision).await;
        refused(answer, Code::PermissionDenied, own);
    }
    let back = by_officer(&confirmed, pb::CodeReview::Return);
    let the_officer = back.decider.clone().unwrap().person_id;
    let back = organization
        .record_code_review(back)
        .await
        .unwrap()
        .application
        .unwrap();
    for who in [&the_expert, &the_officer] {
        let mut again = resubmit(&back, request.code.clone().unwrap());
        again.submitter.as_mut().unwrap().person_id.clone_from(who);
        let answer = university.resubmit_validity_code_application(again).await;
        refused(answer, Code::PermissionDenied, own);
    }
}

/// An application for a doctorate with this proof of the master's degree.
fn doctorate(
    world: &World,
    student: &pb::Subject,
    code: &str,
    file: &str,
) -> pb::CreateValidityCodeApplicationRequest {
    let mut request = create(world);
    let asked = request.code.as_mut().unwrap();
    asked.subject = Some(student.clone());
    asked.program.as_mut().unwrap().degree_level = pb::DegreeLevel::Phd.into();
    asked.prior_qualifications = vec![pb::PriorQualification {
        degree_level: pb::DegreeLevel::MasterContinuous.into(),
        validity_code: code.to_owned(),
        attachment: file.to_owned(),
    }];
    request
}

async fn a_level_proven_by_a_file_is_looked_at_twice(world: &mut World) {
    // None is drawn by lot.
    offered(world, Some(0)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let scan = format!("%PDF-1.7\n%{}\n%%EOF\n", request_id());
    let file = sent(&university, scan.as_bytes()).await;
    let mut without = doctorate(world, &subject(), "", &file);
    without.code.as_mut().unwrap().prior_qualifications.clear();
    let answer = university.create_validity_code_application(without).await;
    let refusal = refused(
        answer,
        Code::FailedPrecondition,
        "PRIOR_QUALIFICATION_MISSING",
    );
    assert_eq!(refusal.metadata["missing_level"], "MASTER_CONTINUOUS");
    let both = doctorate(world, &subject(), "12345678901234567888", &file);
    let answer = university.create_validity_code_application(both).await;
    let refusal = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    let at = "code.prior_qualifications[0].attachment";
    assert_eq!(refusal.violations[0].field, at);
    // In one call nobody looks at it.
    let mut at_once = issue(world, UNIVERSITY);
    at_once.prior_qualifications = doctorate(world, &subject(), "", &file)
        .code
        .unwrap()
        .prior_qualifications;
    let answer = university.issue_validity_code(at_once).await;
    let refusal = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    assert_eq!(
        refusal.violations[0].field,
        "prior_qualifications[0].attachment"
    );

    let handed_in = made(&university, doctorate(world, &subject(), "", &file)).await;
    assert_eq!(handed_in.priors[0].attachment, file);
    assert_eq!(
        handed_in.attachments[0].kind(),
        pb::AttachmentKind::PriorQualification
    );
    let confirmed = confirmed(&university, &handed_in)
        .await
        .application
        .unwrap();
    assert_eq!(confirmed.state(), S::OrganizationReview);
    let approve = by_officer(&confirmed, pb::CodeReview::Approve);
    let issued = organization.record_code_review(approve).await.unwrap();
    assert!(issued.validity_code.is_some());
    // What needs no eyes goes on without.
    let plain = made(&university, create(world)).await;
    let issued = self::confirmed(&university, &plain).await;
    assert!(issued.validity_code.is_some());
}

async fn what_proved_a_level_must_still_prove_it_when_it_is_confirmed(world: &mut World) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let student = subject();
    let mut master = issue(world, UNIVERSITY);
    master.subject = Some(student.clone());
    master.program.as_mut().unwrap().degree_level = pb::DegreeLevel::MasterContinuous.into();
    let master = university.issue_validity_code(master).await.unwrap();
    let master = master.validity_code.unwrap();
    let handed_in = made(&university, doctorate(world, &student, &master.code, "")).await;
    assert_eq!(handed_in.priors[0].validity_code, master.name);
    let suspend = pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name: master.name.clone(),
        ..Default::default()
    };
    university.suspend_validity_code(suspend).await.unwrap();
    let confirm = by_expert(&handed_in, pb::ExpertDecision::Confirm);
    let answer = university.record_expert_decision(confirm).await;
    let refusal = refused(
        answer,
        Code::FailedPrecondition,
        "PRIOR_QUALIFICATION_MISSING",
    );
    assert_eq!(refusal.metadata["missing_level"], "MASTER_CONTINUOUS");
    let reinstate = pb::ReinstateValidityCodeRequest {
        request_id: request_id(),
        name: master.name,
        ..Default::default()
    };
    university.reinstate_validity_code(reinstate).await.unwrap();
    assert!(
        confirmed(&university, &handed_in)
            .await
            .validity_code
            .is_some()
    );
}

async fn of_a_document_one_application_is_open_and_one_code_is_live(world: &mut World) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let request = create(world);
    let again = |request: &pb::CreateValidityCodeApplicationRequest| {
        pb::CreateValidityCodeApplicationRequest {
            request_id: request_id(),
            ..request.clone()
        }
    };
    let first = made(&university, request.clone()).await;
    let answer = university
        .create_validity_code_application(again(&request))
        .await;
    let refusal = refused(answer, Code::AlreadyExists, "OPEN_APPLICATION_EXISTS");
    assert_eq!(refusal.metadata["resource"], first.name);
    let mut second_major = again(&request);
    let asked = second_major.code.as_mut().unwrap();
    asked.double_major_declared = true;
    asked.program.as_mut().unwrap().field_code = "77".to_owned();
    made(&university, second_major).await;

    // Meanwhile a code was issued in one call.
    let code = request.code.clone().unwrap();
    let at_once = pb::IssueValidityCodeRequest {
        subject: code.subject,
        program: code.program,
        ..issue(world, UNIVERSITY)
    };
    let issued = university.issue_validity_code(at_once).await.unwrap();
    let issued = issued.validity_code.unwrap();
    let confirm = by_expert(&first, pb::ExpertDecision::Confirm);
    let answer = university.record_expert_decision(confirm).await;
    let refusal = refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
    assert_eq!(refusal.metadata["resource"], issued.name);
    assert_eq!(read(&university, &first).await.unwrap(), first);
    university
        .cancel_validity_code_application(cancel(&first))
        .await
        .unwrap();
    let answer = university
        .create_validity_code_application(again(&request))
        .await;
    refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
}

async fn the_workflow_decides_which_roads_there_are(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let answer = university
        .create_validity_code_application(create(world))
        .await;
    refused(answer, Code::FailedPrecondition, "REVIEW_NOT_OFFERED");
    offered(world, Some(10)).await;
    let answer = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    refused(answer, Code::FailedPrecondition, "REVIEW_REQUIRED");
    // What makes documents the same is data too.
    world
        .reseed(|seed| {
            let plain = seed.workflow[0].clone();
            let mut rules = plain.rules.clone();
            rules.codes.unique_by = ["INSTITUTION", "DOCUMENT_KIND"].map(str::to_owned).to_vec();
            rules.codes.valid_months.insert("DEGREE".to_owned(), 3);
            let id = "one-degree-each".to_owned();
            seed.call[0].workflow.clone_from(&id);
            seed.workflow.push(WorkflowSeed { id, rules, ..plain });
        })
        .await;
    let student = subject();
    let of_level = |level: pb::DegreeLevel| {
        let mut request = issue(world, UNIVERSITY);
        request.subject = Some(student.clone());
        request.program.as_mut().unwrap().degree_level = level.into();
        request
    };
    let first = soon("the new workflow", async || {
        let request = of_level(pb::DegreeLevel::BachelorContinuous);
        university.issue_validity_code(request).await.ok()
    })
    .await;
    let first = first.validity_code.unwrap();
    assert!(first.expire_time.is_some());
    let answer = university
        .issue_validity_code(of_level(pb::DegreeLevel::MasterContinuous))
        .await;
    let refusal = refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
    assert_eq!(refusal.metadata["resource"], first.name);
}

async fn a_priced_application_waits_for_its_payment_and_ends_after_three_days(world: &mut World) {
    offered(world, None).await;
    world
        .reseed(|seed| {
            let row = fixtures::tariff_row("VALIDITY_CODE", 500_000);
            seed.tariff[0].row.push(row);
        })
        .await;
    let university = Peer::of(world, CallerKind::University).await;
    soon("the new tariff", async || {
        let answer = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        answer.is_err().then_some(())
    })
    .await;
    let request = create(world);
    let handed_in = made(&university, request.clone()).await;
    assert_eq!(
        handed_in.quote.as_ref().unwrap().fee.unwrap().amount,
        500_000
    );
    let waiting = confirmed(&university, &handed_in).await;
    assert_eq!(waiting.validity_code, None);
    let waiting = waiting.application.unwrap();
    assert_eq!(waiting.state(), S::AwaitingPayment);
    let until = waiting.pay_until_time.unwrap().seconds;
    assert_eq!(until, waiting.update_time.unwrap().seconds + 72 * 3600);
    world.clock().advance(SignedDuration::from_hours(73));
    soon("the end of the application", async || {
        let state = read(&university, &waiting).await.unwrap().state();
        (state == S::PaymentExpired).then_some(())
    })
    .await;
    let again = pb::CreateValidityCodeApplicationRequest {
        request_id: request_id(),
        ..request
    };
    made(&university, again).await;
}

async fn strangers_neither_see_nor_decide_and_the_etag_counts(world: &mut World) {
    offered(world, Some(100)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let stranger = Peer::of(world, CallerKind::OtherUniversity).await;
    let handed_in = made(&university, create(world)).await;
    refused(
        read(&stranger, &handed_in).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
    );
    let confirm = by_expert(&handed_in, pb::ExpertDecision::Confirm);
    let answer = stranger.record_expert_decision(confirm.clone()).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let answer = stranger
        .cancel_validity_code_application(cancel(&handed_in))
        .await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let listed = stranger
        .list_validity_code_applications(pb::ListValidityCodeApplicationsRequest::default())
        .await;
    assert!(listed.unwrap().applications.is_empty());
    for actor in [
        format!("institutions/{UNIVERSITY}/experts/nobody"),
        format!("institutions/OTHER/experts/{EXPERT}"),
    ] {
        let decision = pb::RecordExpertDecisionRequest {
            decider: decider(actor),
            ..confirm.clone()
        };
        let answer = university.record_expert_decision(decision).await;
        refused(answer, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    }
    let stale = pb::RecordExpertDecisionRequest {
        etag: "7".to_owned(),
        ..confirm.clone()
    };
    let answer = university.record_expert_decision(stale).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    let early = by_officer(&handed_in, pb::CodeReview::Approve);
    let organization = Peer::of(world, CallerKind::Organization).await;
    let answer = organization.record_code_review(early).await;
    let refusal = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(refusal.metadata["allowed"], "CANCEL,CONFIRM,RETURN,REJECT");
    let unsaid = pb::RecordExpertDecisionRequest {
        statement_version: String::new(),
        remarks: vec![remark()],
        ..confirm
    };
    let refusal = refused(
        university.record_expert_decision(unsaid).await,
        Code::InvalidArgument,
        "FIELD_FORMAT",
    );
    let mut fields: Vec<_> = refusal
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["remarks", "statement_version"]);
    let mut elsewhere = create(world).code.unwrap();
    elsewhere.program.as_mut().unwrap().institution_code = "OTHER".to_owned();
    let returned = by_expert(&handed_in, pb::ExpertDecision::Return);
    let returned = university.record_expert_decision(returned).await.unwrap();
    let again = resubmit(&returned.application.unwrap(), elsewhere);
    let answer = university.resubmit_validity_code_application(again).await;
    refused(answer, Code::PermissionDenied, "INSTITUTION_NOT_OWNED");
}

async fn of_two_decisions_at_once_one_wins(world: &mut World) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let handed_in = made(&university, create(world)).await;
    let answers = together(6, |index| {
        let (peer, application) = (university.clone(), handed_in.clone());
        async move {
            let decision = match index % 3 {
                0 => pb::ExpertDecision::Confirm,
                1 => pb::ExpertDecision::Return,
                _ => pb::ExpertDecision::Reject,
            };
            let mut request = by_expert(&application, decision);
            request.decider.as_mut().unwrap().person_id = Some(person(&national_code()));
            peer.record_expert_decision(request).await
        }
    })
    .await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for answer in lost {
        refused(answer, Code::Aborted, "ETAG_MISMATCH");
    }
    let application = read(&university, &handed_in).await.unwrap();
    let codes = format!(
        "SELECT count(*) FROM validity_code WHERE state = '{}'",
        DocumentState::Active
    );
    let codes = Raw::to(world).await.number(&codes).await;
    assert_eq!(codes, i64::from(application.state() == S::Issued));
}

async fn the_agreement_it_was_handed_in_under_must_last(world: &mut World) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let (first, second) = (
        made(&university, create(world)).await,
        made(&university, create(world)).await,
    );
    let request = create(world);
    let returned = made(&university, request.clone()).await;
    let give_back = by_expert(&returned, pb::ExpertDecision::Return);
    university.record_expert_decision(give_back).await.unwrap();
    let again = || resubmit(&returned, request.code.clone().unwrap());
    let name = format!("agreements/universities/institutions/{UNIVERSITY}");
    let suspend = pb::SuspendAgreementRequest {
        request_id: request_id(),
        name: name.clone(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    organization.suspend_agreement(suspend).await.unwrap();
    let confirm = |application| by_expert(application, pb::ExpertDecision::Confirm);
    let answer = university.record_expert_decision(confirm(&first)).await;
    refused(answer, Code::FailedPrecondition, "AGREEMENT_NOT_ACTIVE");
    let answer = university.resubmit_validity_code_application(again());
    refused(
        answer.await,
        Code::FailedPrecondition,
        "AGREEMENT_NOT_ACTIVE",
    );
    let reinstate = pb::ReinstateAgreementRequest {
        request_id: request_id(),
        name,
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    organization.reinstate_agreement(reinstate).await.unwrap();
    let close = pb::CloseServiceCallRequest {
        request_id: request_id(),
        name: format!("serviceCalls/{CODE_CALL}"),
        ..Default::default()
    };
    organization.close_service_call(close).await.unwrap();
    let answer = university.create_validity_code_application(create(world));
    refused(answer.await, Code::FailedPrecondition, "CALL_NOT_OPEN");
    confirmed(&university, &first).await;
    let trial = pb::ResubmitValidityCodeApplicationRequest {
        validate_only: true,
        ..again()
    };
    let answer = university.resubmit_validity_code_application(trial);
    answer.await.unwrap();
    world
        .clock()
        .advance(SignedDuration::from_hours(24 * 30 + 1));
    let answer = university.record_expert_decision(confirm(&second)).await;
    refused(answer, Code::FailedPrecondition, "CALL_NOT_OPEN");
    let answer = university.resubmit_validity_code_application(again());
    refused(answer.await, Code::FailedPrecondition, "CALL_NOT_OPEN");
}

async fn nothing_is_handed_in_again_for_an_institution_that_has_closed(world: &mut World) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let request = create(world);
    let returned = made(&university, request.clone()).await;
    let give_back = by_expert(&returned, pb::ExpertDecision::Return);
    university.record_expert_decision(give_back).await.unwrap();
    close_institution(world).await;
    soon("the end of the institution", async || {
        let again = resubmit(&returned, request.code.clone().unwrap());
        let answer = university.resubmit_validity_code_application(again).await;
        let failure = answer.err()?;
        (failure.reason.as_deref() == Some("INSTITUTION_NOT_ACTIVE")).then_some(())
    })
    .await;
}

async fn a_pause_stops_the_confirmation_and_what_the_workflow_requires_is_asked_for(
    world: &mut World,
) {
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = made(&university, create(world)).await;
    let pause = pb::PauseIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: String::new(),
        reason: "آزمایش".to_owned(),
    };
    organization.pause_issuance(pause).await.unwrap();
    let confirm = || by_expert(&handed_in, pb::ExpertDecision::Confirm);
    soon("the pause", async || {
        let trial = pb::RecordExpertDecisionRequest {
            validate_only: true,
            ..confirm()
        };
        university.record_expert_decision(trial).await.err()
    })
    .await;
    let answer = university.record_expert_decision(confirm()).await;
    refused(answer, Code::FailedPrecondition, "ISSUANCE_PAUSED");
    assert_eq!(read(&university, &handed_in).await.unwrap(), handed_in);
    let resume = pb::ResumeIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: String::new(),
    };
    organization.resume_issuance(resume).await.unwrap();
    let issued = soon("the end of the pause", async || {
        university.record_expert_decision(confirm()).await.ok()
    })
    .await;
    assert!(issued.validity_code.is_some());
}

async fn who_comes_again_draws_the_same_lot(world: &mut World) {
    offered(world, Some(50)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let mut reviewed = 0;
    for _ in 0..20 {
        let request = create(world);
        let first = made(&university, request.clone()).await;
        let first = confirmed(&university, &first).await.application.unwrap();
        if first.state() != S::OrganizationReview {
            assert_eq!(first.state(), S::Issued);
            continue;
        }
        reviewed += 1;
        university
            .cancel_validity_code_application(cancel(&first))
            .await
            .unwrap();
        let again = pb::CreateValidityCodeApplicationRequest {
            request_id: request_id(),
            ..request
        };
        let again = made(&university, again).await;
        let again = confirmed(&university, &again).await.application.unwrap();
        assert_eq!(again.state(), S::OrganizationReview);
    }
    assert!((1..20).contains(&reviewed), "{reviewed}");
}

async fn what_an_expert_attested_who_is_active_no_more_is_not_issued(world: &mut World) {
    offered(world, Some(100)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = made(&university, create(world)).await;
    let reviewed = confirmed(&university, &handed_in)
        .await
        .application
        .unwrap();
    set_expert(world, pb::ExpertState::Inactive).await;
    let approve = || by_officer(&reviewed, pb::CodeReview::Approve);
    let answer = organization.record_code_review(approve()).await;
    refused(answer, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    assert_eq!(read(&organization, &reviewed).await.unwrap(), reviewed);
    set_expert(world, pb::ExpertState::Active).await;
    let issued = organization.record_code_review(approve()).await.unwrap();
    assert!(issued.validity_code.is_some());
}
