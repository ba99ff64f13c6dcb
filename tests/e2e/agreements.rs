//! Service calls and agreements: who may use a service, for what, until when, and who accepted which text.

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_testkit::world::{CODE_CALL, CallerKind, OTHER_UNIVERSITY, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::harness::{soon, together};
use crate::messages::{instant, issue, question, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases! {
    an_agreement_is_asked_for_approved_suspended_reinstated_and_ended,
    a_call_that_closes_ends_its_agreements,
    a_call_whose_time_is_over_closes_by_itself,
    of_many_who_ask_at_once_one_gets_an_agreement,
    another_version_of_an_agreement_cannot_be_decided_on,
}

cases_of_any_engine! {
    the_catalogue_has_both_services_and_every_clause_of_their_texts,
    everything_that_is_wrong_with_a_call_is_told_at_once,
    everything_that_is_wrong_with_an_agreement_is_told_at_once,
    a_field_that_the_class_is_never_told_cannot_be_agreed_on,
    a_purpose_that_is_not_agreed_on_is_refused,
    nobody_sees_or_ends_the_agreement_of_another,
    what_is_checked_only_changes_nothing,
}

const CERTIFICATES_TEXT: &str = "agreementTexts/ENROLLMENT_CERTIFICATE/versions/1";
const CODES_TEXT: &str = "agreementTexts/VALIDITY_CODE/versions/1";

pub(crate) fn draft(world: &World, id: &str) -> pb::CreateServiceCallRequest {
    pb::CreateServiceCallRequest {
        request_id: request_id(),
        validate_only: false,
        service_call: Some(pb::ServiceCall {
            name: format!("serviceCalls/{id}"),
            service: pb::ServiceKind::ValidityCode.into(),
            open_time: Some(instant(world.now() - SignedDuration::from_hours(1))),
            close_time: Some(instant(world.now() + SignedDuration::from_hours(24 * 30))),
            eligible_types: vec![pb::InstitutionType::State.into()],
            document_kinds: vec![pb::DocumentKind::Degree.into()],
            workflow_version: "code-v1".to_owned(),
            run_off_days: 30,
            ..Default::default()
        }),
    }
}

pub(crate) fn ask(call: &str) -> pb::RequestAgreementRequest {
    pb::RequestAgreementRequest {
        request_id: request_id(),
        service_call: format!("serviceCalls/{call}"),
        purposes: vec![
            pb::AgreementPurpose::Issue.into(),
            pb::AgreementPurpose::Validate.into(),
        ],
        disclosed_fields: vec![
            pb::AgreementField::Document.into(),
            pb::AgreementField::Name.into(),
        ],
        agreement_text: CODES_TEXT.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn approve(agreement: &pb::Agreement) -> pb::ApproveAgreementRequest {
    pb::ApproveAgreementRequest {
        request_id: request_id(),
        name: agreement.name.clone(),
        etag: agreement.etag.clone(),
        ..Default::default()
    }
}

fn suspend(agreement: &pb::Agreement) -> pb::SuspendAgreementRequest {
    pb::SuspendAgreementRequest {
        request_id: request_id(),
        name: agreement.name.clone(),
        etag: agreement.etag.clone(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    }
}

fn reinstate(agreement: &pb::Agreement) -> pb::ReinstateAgreementRequest {
    pb::ReinstateAgreementRequest {
        request_id: request_id(),
        name: agreement.name.clone(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    }
}

fn terminate(agreement: &pb::Agreement) -> pb::TerminateAgreementRequest {
    pb::TerminateAgreementRequest {
        request_id: request_id(),
        name: agreement.name.clone(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn created(world: &World, organization: &Peer, id: &str) -> pb::ServiceCall {
    let created = organization.create_service_call(draft(world, id)).await;
    created.unwrap().service_call.unwrap()
}

pub(crate) async fn opened(world: &World, organization: &Peer, id: &str) -> pb::ServiceCall {
    let call = created(world, organization, id).await;
    let open = pb::OpenServiceCallRequest {
        request_id: request_id(),
        name: call.name,
        etag: call.etag,
        ..Default::default()
    };
    let opened = organization.open_service_call(open).await;
    opened.unwrap().service_call.unwrap()
}

/// The usual agreements of the universities are gone: what follows is under new ones.
async fn without_agreements(world: &mut World) {
    world
        .reseed(|seed| {
            for agreement in &mut seed.agreement {
                if agreement.id == "universities" {
                    agreement.state = "TERMINATED".to_owned();
                }
            }
        })
        .await;
    let university = Peer::of(world, CallerKind::University).await;
    soon("the end of the usual agreements", async || {
        let answer = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        answer
            .err()
            .filter(|refusal| refusal.reason.as_deref() == Some("AGREEMENT_NOT_ACTIVE"))
    })
    .await;
}

async fn an_agreement_is_asked_for_approved_suspended_reinstated_and_ended(world: &mut World) {
    use pb::AgreementState as S;
    without_agreements(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let not_active = async |what: &str| {
        let answer = university.issue_validity_code(issue(world, UNIVERSITY));
        let refusal = refused(
            answer.await,
            Code::FailedPrecondition,
            "AGREEMENT_NOT_ACTIVE",
        );
        assert!(refusal.violations.is_empty(), "{what}");
    };
    let asked = university.request_agreement(ask(CODE_CALL)).await.unwrap();
    let asked = asked.agreement.unwrap();
    assert_eq!(asked.state(), S::Requested);
    assert_eq!(asked.consumer, format!("institutions/{UNIVERSITY}"));
    assert_eq!(asked.agreement_text, CODES_TEXT);
    assert_eq!(asked.accepted_by, "callers/university");
    assert!(asked.accept_time.is_some());
    not_active("requested").await;

    let granted = pb::ApproveAgreementRequest {
        daily_calls: 1000,
        burst: 50,
        ..approve(&asked)
    };
    let active = organization.approve_agreement(granted.clone()).await;
    let active = active.unwrap().agreement.unwrap();
    assert_eq!(active.state(), S::Active);
    assert_eq!((active.daily_calls, active.burst), (1000, 50));
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap();
    // A repeated approval gets the same answer.
    let again = organization.approve_agreement(granted).await.unwrap();
    assert_eq!(again.agreement.unwrap().state(), S::Active);

    let suspended = organization.suspend_agreement(suspend(&active)).await;
    let suspended = suspended.unwrap().agreement.unwrap();
    assert_eq!(suspended.state(), S::Suspended);
    not_active("suspended").await;
    let reinstated = organization
        .reinstate_agreement(reinstate(&suspended))
        .await;
    assert_eq!(reinstated.unwrap().agreement.unwrap().state(), S::Active);
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap();

    let ended = university.terminate_agreement(terminate(&active)).await;
    let ended = ended.unwrap().agreement.unwrap();
    assert_eq!(ended.state(), S::Terminated);
    assert_eq!(ended.end(), pb::AgreementEnd::ByConsumer);
    not_active("ended").await;
    let refusal = refused(
        organization.reinstate_agreement(reinstate(&ended)).await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(refusal.metadata["state"], "TERMINATED");
    assert_eq!(refusal.metadata["allowed"], "");

    // Each step is one act; the text that was accepted is on record.
    let mut raw = Raw::to(world).await;
    let acts = format!(
        "SELECT count(*) FROM audit_entry WHERE resource = '{}'",
        asked.name
    );
    assert_eq!(raw.number(&acts).await, 5);
    let accepted = format!("{acts} AND action = 'REQUEST' AND reason = 'text version 1'");
    assert_eq!(raw.number(&accepted).await, 1);
}

async fn a_call_that_closes_ends_its_agreements(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let read = pb::GetServiceCallRequest {
        name: format!("serviceCalls/{CODE_CALL}"),
    };
    let call = organization.get_service_call(read).await.unwrap();
    let call = call.service_call.unwrap();
    let suspended = format!("agreements/universities/institutions/{OTHER_UNIVERSITY}");
    let suspend = pb::SuspendAgreementRequest {
        request_id: request_id(),
        name: suspended.clone(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    organization.suspend_agreement(suspend).await.unwrap();
    let close = pb::CloseServiceCallRequest {
        request_id: request_id(),
        name: call.name.clone(),
        etag: call.etag,
        ..Default::default()
    };
    let closed = organization.close_service_call(close.clone()).await;
    let closed = closed.unwrap().service_call.unwrap();
    assert_eq!(closed.state(), pb::ServiceCallState::Closed);
    assert!(closed.close_time.is_some());
    let answer = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    refused(answer, Code::FailedPrecondition, "CALL_NOT_OPEN");
    let list = pb::ListAgreementsRequest {
        service_call: call.name,
        state: 0,
    };
    let agreements = organization.list_agreements(list).await.unwrap().agreements;
    assert!(!agreements.is_empty());
    for agreement in agreements {
        assert_eq!(agreement.state(), pb::AgreementState::Terminated);
        // What is suspended then does not come into force by it: nothing of it runs off.
        let expected = match agreement.name == suspended {
            true => pb::AgreementEnd::ByProvider,
            false => pb::AgreementEnd::CallEnded,
        };
        assert_eq!(agreement.end(), expected, "{}", agreement.name);
    }
    // Closed is closed; a repetition is answered as before.
    let again = organization.close_service_call(close.clone()).await;
    assert_eq!(again.unwrap().service_call, Some(closed));
    let anew = pb::CloseServiceCallRequest {
        request_id: request_id(),
        etag: String::new(),
        ..close
    };
    let refusal = refused(
        organization.close_service_call(anew).await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(refusal.metadata["state"], "CLOSED");
    let answer = university.request_agreement(ask(CODE_CALL)).await;
    refused(answer, Code::FailedPrecondition, "CALL_NOT_OPEN");
}

async fn a_call_whose_time_is_over_closes_by_itself(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let call = opened(world, &organization, "short").await;
    world.clock().advance(SignedDuration::from_hours(24 * 31));
    let read = || pb::GetServiceCallRequest {
        name: call.name.clone(),
    };
    let closed = soon("the close", async || {
        let read = organization.get_service_call(read()).await.unwrap();
        let call = read.service_call.unwrap();
        (call.state() == pb::ServiceCallState::Closed).then_some(call)
    })
    .await;
    // It keeps the instant that was announced.
    assert_eq!(closed.close_time, call.close_time);
    let listed = organization.list_service_calls(pb::ListServiceCallsRequest {});
    assert!(listed.await.unwrap().service_calls.contains(&closed));
    let mut raw = Raw::to(world).await;
    let acts = "SELECT count(*) FROM audit_entry WHERE resource = 'serviceCalls/short' \
                AND action = 'CLOSE' AND actor = 'service/calls'";
    assert_eq!(raw.number(acts).await, 1);
}

async fn of_many_who_ask_at_once_one_gets_an_agreement(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    opened(world, &organization, "contested").await;
    let university = Peer::of(world, CallerKind::University).await;
    let answers = together(6, |_| {
        let university = university.clone();
        async move { university.request_agreement(ask("contested")).await }
    })
    .await;
    let (granted, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(granted.len(), 1);
    for other in others {
        refused(other, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    }
}

async fn another_version_of_an_agreement_cannot_be_decided_on(world: &mut World) {
    without_agreements(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let asked = university.request_agreement(ask(CODE_CALL)).await.unwrap();
    let asked = asked.agreement.unwrap();
    organization
        .approve_agreement(approve(&asked))
        .await
        .unwrap();
    let late = organization.approve_agreement(approve(&asked)).await;
    refused(late, Code::Aborted, "ETAG_MISMATCH");
    let late = organization.suspend_agreement(suspend(&asked)).await;
    refused(late, Code::Aborted, "ETAG_MISMATCH");
}

async fn the_catalogue_has_both_services_and_every_clause_of_their_texts(world: &mut World) {
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let services = auditor.list_services(pb::ListServicesRequest {}).await;
    let services = services.unwrap().services;
    let texts: Vec<_> = services.iter().map(|it| &it.agreement_texts[..]).collect();
    assert_eq!(
        texts,
        [[CERTIFICATES_TEXT.to_owned()], [CODES_TEXT.to_owned()]]
    );
    for service in &services {
        assert_eq!(service.provider_fa, "سازمان امور دانشجویان");
        assert_eq!(service.channel, "my.saorg.ir");
    }
    assert_eq!(services[1].name_fa, "صدور کد صحت");
    for (name, edited) in [
        (CERTIFICATES_TEXT, "1405/02/23"),
        (CODES_TEXT, "1403/09/14"),
    ] {
        let read = pb::GetAgreementTextRequest {
            name: name.to_owned(),
        };
        let text = auditor.get_agreement_text(read).await.unwrap();
        let text = text.agreement_text.unwrap();
        let date = text.edit_date.unwrap();
        let day = JalaliDate::parse(edited).unwrap();
        assert_eq!(date, crate::messages::date(day));
        assert!(text.parent_title_fa.contains("مرکز ملی تبادل اطلاعات"));
        assert_eq!(text.clauses.len(), 9);
        for (clause, number) in text.clauses.iter().zip(1..) {
            assert_eq!(clause.name, format!("{name}/clauses/{number}"));
            assert!(!clause.text_fa.is_empty() && !clause.heading_fa.is_empty());
        }
        assert_eq!(text.clauses[6].heading_fa, "فرایند حل اختلاف");
        assert!(text.clauses[6].text_fa.contains("یک ماه"));
    }
    let unknown = pb::GetAgreementTextRequest {
        name: "agreementTexts/VALIDITY_CODE/versions/2".to_owned(),
    };
    let answer = auditor.get_agreement_text(unknown).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn everything_that_is_wrong_with_a_call_is_told_at_once(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let wrong = pb::CreateServiceCallRequest {
        request_id: "7".to_owned(),
        validate_only: false,
        service_call: Some(pb::ServiceCall {
            name: "serviceCalls/No Call".to_owned(),
            service: pb::ServiceKind::ValidityCode.into(),
            open_time: Some(instant(world.now())),
            close_time: Some(instant(world.now() - SignedDuration::from_hours(1))),
            run_off_days: 366,
            ..Default::default()
        }),
    };
    let answer = organization.create_service_call(wrong).await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    let mut fields: Vec<_> = failure
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "request_id",
            "service_call.close_time",
            "service_call.document_kinds",
            "service_call.eligible_types",
            "service_call.name",
            "service_call.run_off_days",
            "service_call.workflow_version",
        ]
    );
    let taken = organization.create_service_call(draft(world, CODE_CALL));
    refused(taken.await, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    let mut unknown = draft(world, "another");
    // A workflow of the other service is none of this one.
    unknown.service_call.as_mut().unwrap().workflow_version = "certificate-v1".to_owned();
    let answer = organization.create_service_call(unknown).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn everything_that_is_wrong_with_an_agreement_is_told_at_once(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let wrong = pb::RequestAgreementRequest {
        service_call: "calls/x".to_owned(),
        agency: "14099999991".to_owned(),
        purposes: Vec::new(),
        daily_calls: -1,
        agreement_text: "agreementTexts/VALIDITY_CODE/versions/01".to_owned(),
        ..ask(CODE_CALL)
    };
    let failure = refused(
        university.request_agreement(wrong).await,
        Code::InvalidArgument,
        "FIELD_FORMAT",
    );
    let mut found: Vec<_> = failure
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("agency", "NATIONAL_ID_CHECKSUM"),
            ("agreement_text", "FIELD_FORMAT"),
            ("daily_calls", "FIELD_FORMAT"),
            ("purposes", "FIELD_REQUIRED"),
            ("service_call", "FIELD_FORMAT"),
        ]
    );
    // Only the text in force can be accepted, and only the hub asks for agencies.
    let wrong = pb::RequestAgreementRequest {
        agency: "14099999990".to_owned(),
        agreement_text: CERTIFICATES_TEXT.to_owned(),
        ..ask(CODE_CALL)
    };
    let failure = refused(
        university.request_agreement(wrong).await,
        Code::InvalidArgument,
        "FIELD_FORMAT",
    );
    assert_eq!(failure.violations.len(), 2);
    let nowhere = university.request_agreement(ask("nowhere")).await;
    refused(nowhere, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn a_field_that_the_class_is_never_told_cannot_be_agreed_on(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    opened(world, &organization, "fields").await;
    for (kind, field, name) in [
        (CallerKind::Hub, pb::AgreementField::Resource, "RESOURCE"),
        (
            CallerKind::University,
            pb::AgreementField::Enrollment,
            "ENROLLMENT",
        ),
    ] {
        let peer = Peer::of(world, kind).await;
        let asked = pb::RequestAgreementRequest {
            disclosed_fields: vec![field.into()],
            ..ask("fields")
        };
        let refusal = refused(
            peer.request_agreement(asked).await,
            Code::PermissionDenied,
            "FIELD_NOT_DISCLOSABLE",
        );
        assert_eq!(refusal.metadata["field"], name);
    }
}

async fn a_purpose_that_is_not_agreed_on_is_refused(world: &mut World) {
    world
        .reseed(|seed| {
            for agreement in &mut seed.agreement {
                agreement.purposes = vec!["MATCH".to_owned()];
            }
        })
        .await;
    let university = Peer::of(world, CallerKind::University).await;
    let refusal = soon("the new purposes", async || {
        let answer = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        answer
            .err()
            .filter(|refusal| refusal.reason.as_deref() == Some("PURPOSE_NOT_IN_AGREEMENT"))
    })
    .await;
    assert_eq!(refusal.code, Code::PermissionDenied);
    assert_eq!(refusal.metadata["purpose"], "ISSUE");
    let answer = university.validate_code(question("1")).await;
    let refusal = refused(answer, Code::PermissionDenied, "PURPOSE_NOT_IN_AGREEMENT");
    assert_eq!(refusal.metadata["purpose"], "VALIDATE");
}

async fn nobody_sees_or_ends_the_agreement_of_another(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let own = format!("agreements/universities/institutions/{UNIVERSITY}");
    let read = |name: &str| pb::GetAgreementRequest {
        name: name.to_owned(),
    };
    let seen = university.get_agreement(read(&own)).await.unwrap();
    let agreement = seen.agreement.unwrap();
    let unseen = other.get_agreement(read(&own)).await;
    let unseen = refused(unseen, Code::NotFound, "RESOURCE_NOT_FOUND");
    let absent = other.get_agreement(read("agreements/nothing")).await;
    let absent = refused(absent, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(unseen.message, absent.message);
    let ended = other.terminate_agreement(terminate(&agreement)).await;
    refused(ended, Code::NotFound, "RESOURCE_NOT_FOUND");
    let listed = other.list_agreements(pb::ListAgreementsRequest::default());
    let listed = listed.await.unwrap().agreements;
    let consumers: Vec<_> = listed.iter().map(|it| it.consumer.as_str()).collect();
    assert_eq!(consumers, [format!("institutions/{OTHER_UNIVERSITY}")]);
}

async fn what_is_checked_only_changes_nothing(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let only = pb::CreateServiceCallRequest {
        validate_only: true,
        ..draft(world, "checked")
    };
    let checked = organization.create_service_call(only).await.unwrap();
    assert_eq!(checked.service_call, None);
    let read = pb::GetServiceCallRequest {
        name: "serviceCalls/checked".to_owned(),
    };
    let absent = organization.get_service_call(read).await;
    refused(absent, Code::NotFound, "RESOURCE_NOT_FOUND");
    let only = pb::RequestAgreementRequest {
        validate_only: true,
        ..ask(CODE_CALL)
    };
    // The university has one.
    let answer = university.request_agreement(only).await;
    refused(answer, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    let own = format!("agreements/universities/institutions/{UNIVERSITY}");
    let read = pb::GetAgreementRequest { name: own };
    let before = organization.get_agreement(read.clone()).await.unwrap();
    let only = pb::SuspendAgreementRequest {
        validate_only: true,
        ..suspend(before.agreement.as_ref().unwrap())
    };
    let checked = organization.suspend_agreement(only).await.unwrap();
    assert_eq!(checked.agreement, None);
    assert_eq!(organization.get_agreement(read).await.unwrap(), before);
}
