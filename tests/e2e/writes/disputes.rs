//! Good writes of disputes.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};

use super::Write;
use crate::disputes::{agree, consent, open, opened, order, ruling, withdraw};
use crate::disputes_closed::close;
use crate::messages::{issue, request_id};
use crate::peer::Peer;

const SERVICE: &str = "DisputeService";

/// Writes of disputes, each on a subject of its own.
pub(super) async fn of_disputes(world: &World) -> Vec<Write> {
    use CallerKind::{Organization, University};
    let organization = Peer::of(world, Organization).await;
    let university = Peer::of(world, University).await;
    let subject = async || {
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        issued.unwrap().validity_code.unwrap().name
    };
    let fresh = async || opened(&university, &subject().await).await;
    let ready = fresh().await;
    university.consent_to_ruling(consent(&ready)).await.unwrap();
    let ready = organization.consent_to_ruling(consent(&ready)).await;
    let ready = ready.unwrap().dispute.unwrap();
    let ruled = fresh().await;
    university.consent_to_ruling(consent(&ruled)).await.unwrap();
    let ruled = organization.consent_to_ruling(consent(&ruled)).await;
    let ruled = ruled.unwrap().dispute.unwrap();
    let orders = vec![order(pb::OrderedAct::Revoke, &ruled.subject)];
    let ruled = organization.rule_dispute(ruling(&ruled, orders)).await;
    let mut actions = ruled.unwrap().dispute.unwrap().ruling.unwrap().actions;
    let message = pb::PostDisputeMessageRequest {
        request_id: request_id(),
        name: fresh().await.name,
        text: "synthetic".to_owned(),
        ..Default::default()
    };
    let of = |method: &str| format!("{SERVICE}/{method}");
    let first = || "1".to_owned();
    vec![
        Write::new(
            &of("OpenDispute"),
            University,
            open(&subject().await),
            |request| request.statement.push('2'),
        ),
        Write::new(&of("PostDisputeMessage"), University, message, |request| {
            request.text.push('2')
        }),
        Write::new(
            &of("AgreeDispute"),
            Organization,
            agree(&fresh().await, "synthetic terms"),
            |request| request.terms.push('2'),
        ),
        Write::new(
            &of("ConsentToRuling"),
            University,
            consent(&fresh().await),
            |request| request.etag = first(),
        ),
        Write::new(
            &of("WithdrawDispute"),
            University,
            withdraw(&fresh().await),
            |request| request.etag = first(),
        ),
        Write::new(
            &of("RuleDispute"),
            Organization,
            ruling(&ready, Vec::new()),
            |request| request.text.push('2'),
        ),
        Write::new(
            &of("CloseDisputeAction"),
            Organization,
            close(&actions.remove(0).name),
            |request| request.reason.push('2'),
        ),
    ]
}
