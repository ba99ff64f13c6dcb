//! Revocations of many documents: by two officers, carried out to the end whatever happens.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, EXPERT, OTHER_UNIVERSITY, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::certificates::applied;
use crate::harness::soon;
use crate::messages::{instant, issue, national_code, person, question, record, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

cases! {
    what_an_expert_attested_is_revoked_and_nothing_else,
    certificates_are_found_by_their_key_and_their_time,
    a_revocation_goes_on_on_another_node,
}

cases_of_any_engine! {
    a_selection_of_everything_or_of_nonsense_is_refused,
    it_takes_two_officers,
}

pub(crate) fn selection(institution: &str) -> Option<pb::RevocationSelection> {
    Some(pb::RevocationSelection {
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: institution.to_owned(),
        ..Default::default()
    })
}

/// An officer that nobody else is.
pub(crate) fn officer(code: &str) -> Option<pb::Officer> {
    Some(pb::Officer {
        code: code.to_owned(),
        person_id: Some(person(&national_code())),
    })
}

pub(crate) fn propose(selection: Option<pb::RevocationSelection>) -> pb::ProposeRevocationRequest {
    pb::ProposeRevocationRequest {
        request_id: request_id(),
        validate_only: false,
        selection,
        reason: pb::RevocationReason::Fraud.into(),
        legal_basis: String::new(),
        officer: officer("O-1"),
    }
}

pub(crate) async fn proposed(
    organization: &Peer,
    selection: Option<pb::RevocationSelection>,
) -> pb::Incident {
    let answer = organization.propose_revocation(propose(selection)).await;
    answer.unwrap().incident.unwrap()
}

pub(crate) fn approve(incident: &pb::Incident) -> pb::ApproveRevocationRequest {
    pb::ApproveRevocationRequest {
        request_id: request_id(),
        validate_only: false,
        name: incident.name.clone(),
        etag: incident.etag.clone(),
        officer: officer("O-2"),
    }
}

async fn done(organization: &Peer, incident: &pb::Incident) -> pb::Incident {
    soon("the end of the revocation", async || {
        let request = pb::GetIncidentRequest {
            name: incident.name.clone(),
        };
        let read = organization.get_incident(request).await;
        let read = read.unwrap().incident.unwrap();
        (read.state() == pb::IncidentState::Done).then_some(read)
    })
    .await
}

async fn issued(world: &World, peer: &Peer, institution: &str) -> pb::ValidityCode {
    let issued = peer.issue_validity_code(issue(world, institution)).await;
    issued.unwrap().validity_code.unwrap()
}

async fn a_selection_of_everything_or_of_nonsense_is_refused(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let good = selection(UNIVERSITY).unwrap();
    let now = world.now();
    type Given = pb::RevocationSelection;
    for (given, path, reason) in [
        (None, "selection", "FIELD_REQUIRED"),
        (
            Some(Given {
                institution_code: String::new(),
                ..good.clone()
            }),
            "selection.institution_code",
            "FIELD_REQUIRED",
        ),
        (
            Some(Given {
                service: 0,
                ..good.clone()
            }),
            "selection.service",
            "FIELD_REQUIRED",
        ),
        (
            Some(Given {
                key_id: "key".to_owned(),
                ..good.clone()
            }),
            "selection.key_id",
            "FIELD_FORMAT",
        ),
        (
            Some(Given {
                expert: "E1".to_owned(),
                ..good.clone()
            }),
            "selection.expert",
            "FIELD_FORMAT",
        ),
        (
            Some(Given {
                issued_from: Some(instant(now)),
                issued_before: Some(instant(now)),
                ..good.clone()
            }),
            "selection.issued_before",
            "FIELD_FORMAT",
        ),
    ] {
        let answer = organization
            .preview_revocation(pb::PreviewRevocationRequest {
                selection: given.clone(),
            })
            .await;
        let previewed = refused(answer, Code::InvalidArgument, reason);
        let answer = organization.propose_revocation(propose(given)).await;
        let failure = refused(answer, Code::InvalidArgument, reason);
        for failure in [previewed, failure] {
            let told: Vec<_> = failure.violations.iter().map(|it| &it.field).collect();
            assert_eq!(told, [path]);
        }
    }
    let answer = organization
        .propose_revocation(pb::ProposeRevocationRequest {
            reason: pb::RevocationReason::CourtOrder.into(),
            officer: None,
            ..propose(Some(good))
        })
        .await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_REQUIRED");
    let mut told: Vec<_> = failure.violations.iter().map(|it| &it.field).collect();
    told.sort();
    assert_eq!(told, ["legal_basis", "officer"]);
}

async fn it_takes_two_officers(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let code = issued(world, &university, UNIVERSITY).await;
    let request = propose(selection(UNIVERSITY));
    let incident = organization.propose_revocation(request.clone()).await;
    let incident = incident.unwrap().incident.unwrap();
    assert_eq!(incident.state(), pb::IncidentState::Proposed);
    assert_eq!(incident.selected_count, 1);
    let mut same = approve(&incident);
    same.officer = request.officer;
    same.officer.as_mut().unwrap().code = "O-9".to_owned();
    let answer = organization.approve_revocation(same).await;
    refused(answer, Code::PermissionDenied, "SAME_PERSON_CANNOT_DECIDE");
    let stale = pb::ApproveRevocationRequest {
        etag: "7".to_owned(),
        ..approve(&incident)
    };
    let answer = organization.approve_revocation(stale).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    let answer = organization
        .withdraw_revocation(pb::WithdrawRevocationRequest {
            request_id: request_id(),
            validate_only: false,
            name: incident.name.clone(),
            etag: incident.etag.clone(),
            officer: officer("O-3"),
        })
        .await;
    let withdrawn = answer.unwrap().incident.unwrap();
    assert_eq!(withdrawn.state(), pb::IncidentState::Withdrawn);
    let answer = organization.approve_revocation(approve(&withdrawn)).await;
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "WITHDRAWN");
    let told = verdict(&hub, question(&code.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
    let listed = organization
        .list_incidents(pb::ListIncidentsRequest {})
        .await;
    assert_eq!(listed.unwrap().incidents, [withdrawn]);
    // That it is suspected is not for the institution's feed.
    let changes = university.list_changes(pb::ListChangesRequest::default());
    let changes = changes.await.unwrap().changes;
    let about = changes
        .iter()
        .find(|it| it.resource.starts_with("incidents/"));
    assert_eq!(about, None);
}

async fn what_an_expert_attested_is_revoked_and_nothing_else(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    // One whose code the suspect's would match if a wildcard were one.
    let colleague = "E_";
    organization
        .create_expert(pb::CreateExpertRequest {
            request_id: request_id(),
            validate_only: false,
            expert: Some(pb::Expert {
                institution_code: UNIVERSITY.to_owned(),
                expert_code: colleague.to_owned(),
                display_name_fa: "کارشناس آزمایشی".to_owned(),
                state: pb::ExpertState::Active.into(),
                ..Default::default()
            }),
        })
        .await
        .unwrap();
    let mut suspect = Vec::new();
    for _ in 0..3 {
        suspect.push(issued(world, &university, UNIVERSITY).await);
    }
    let mut request = issue(world, UNIVERSITY);
    let attestation = request.attestation.as_mut().unwrap();
    attestation.expert.as_mut().unwrap().expert =
        format!("institutions/{UNIVERSITY}/experts/{colleague}");
    let of_colleague = university.issue_validity_code(request).await;
    let of_colleague = of_colleague.unwrap().validity_code.unwrap();
    let elsewhere = issued(world, &other, OTHER_UNIVERSITY).await;
    let by = |expert: &str| {
        Some(pb::RevocationSelection {
            expert: format!("institutions/{UNIVERSITY}/experts/{expert}"),
            ..selection("").unwrap()
        })
    };
    let found = async |expert: &str| {
        let request = pb::PreviewRevocationRequest {
            selection: by(expert),
        };
        organization.preview_revocation(request).await.unwrap()
    };
    let names: Vec<_> = suspect.iter().map(|code| code.name.clone()).collect();
    let previewed = found(EXPERT).await;
    assert_eq!((previewed.count, previewed.documents), (3, names));
    assert_eq!(found(colleague).await.documents, [of_colleague.name]);

    let incident = proposed(&organization, by(EXPERT)).await;
    let request = approve(&incident);
    let approved = organization.approve_revocation(request.clone()).await;
    let approved = approved.unwrap().incident.unwrap();
    assert_eq!(approved.approver, "officers/O-2");
    let later = issued(world, &university, UNIVERSITY).await;
    let incident = done(&organization, &approved).await;
    assert_eq!((incident.selected_count, incident.revoked_count), (3, 3));
    for code in &suspect {
        let told = verdict(&hub, question(&code.code)).await;
        assert_eq!(told.reason(), pb::VerdictReason::Revoked);
        let read = organization
            .get_validity_code(pb::GetValidityCodeRequest {
                name: code.name.clone(),
            })
            .await;
        let revocation = read.unwrap().validity_code.unwrap().revocation.unwrap();
        assert_eq!(revocation.reason(), pb::RevocationReason::Fraud);
        assert_eq!(revocation.revoked_by, "callers/organization");
    }
    for code in [&of_colleague.code, &elsewhere.code, &later.code] {
        let told = verdict(&hub, question(code)).await;
        assert_eq!(told.reason(), pb::VerdictReason::Ok);
    }
    let mut raw = Raw::to(world).await;
    let acts = format!(
        "SELECT count(*) FROM audit_entry WHERE action = 'REVOKE' AND on_behalf = '{}'",
        incident.name
    );
    assert_eq!(raw.number(&acts).await, 3, "audited as one incident");
    let again = organization.approve_revocation(request).await;
    assert_eq!(again.unwrap().incident.unwrap(), incident);
}

async fn certificates_are_found_by_their_key_and_their_time(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let first = applied(world, &record(world, UNIVERSITY)).await;
    let first = first.enrollment_certificate.unwrap();
    world.clock().advance(SignedDuration::from_mins(10));
    let between = world.now();
    world.clock().advance(SignedDuration::from_mins(10));
    let second = applied(world, &record(world, UNIVERSITY)).await;
    let second = second.enrollment_certificate.unwrap();
    let certificates = pb::RevocationSelection {
        service: pb::ServiceKind::EnrollmentCertificate.into(),
        ..Default::default()
    };
    let count = async |selection: pb::RevocationSelection| {
        let selection = Some(selection);
        let request = pb::PreviewRevocationRequest { selection };
        organization
            .preview_revocation(request)
            .await
            .unwrap()
            .count
    };
    let of_key = |key_id: &str| pb::RevocationSelection {
        key_id: key_id.to_owned(),
        ..certificates.clone()
    };
    assert_eq!(count(of_key(&first.key_id)).await, 2);
    assert_eq!(count(of_key("another")).await, 0);
    let from = pb::RevocationSelection {
        issued_from: Some(instant(between)),
        ..certificates.clone()
    };
    assert_eq!(count(from).await, 1);
    let until = pb::RevocationSelection {
        issued_before: Some(instant(between)),
        key_id: first.key_id.clone(),
        ..certificates
    };
    let incident = proposed(&organization, Some(until)).await;
    let approved = organization.approve_revocation(approve(&incident)).await;
    done(&organization, &approved.unwrap().incident.unwrap()).await;
    let told = verdict(&hub, question(&first.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Revoked);
    let told = verdict(&hub, question(&second.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
}

async fn a_revocation_goes_on_on_another_node(world: &mut World) {
    // More than are revoked together.
    const CODES: i64 = 250;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    for _ in 0..CODES {
        issued(world, &university, UNIVERSITY).await;
    }
    let incident = proposed(&organization, selection(UNIVERSITY)).await;
    assert_eq!(incident.selected_count, CODES);
    let approved = organization.approve_revocation(approve(&incident)).await;
    let approved = approved.unwrap().incident.unwrap();
    // Whatever it has come to by now.
    world.stop().await;
    let nodes = [world.add_node().await, world.add_node().await];
    world.clock().advance(SignedDuration::from_mins(1));
    let organization = Peer::new(world.client_of(nodes[0], CallerKind::Organization).await);
    let incident = done(&organization, &approved).await;
    assert_eq!(incident.revoked_count, CODES);
    let mut raw = Raw::to(world).await;
    let revoked = raw
        .number("SELECT count(*) FROM validity_code WHERE state = 'REVOKED'")
        .await;
    assert_eq!(revoked, CODES);
    let acts = raw
        .number("SELECT count(*) FROM audit_entry WHERE action = 'REVOKE'")
        .await;
    assert_eq!(acts, CODES, "each once");
}
