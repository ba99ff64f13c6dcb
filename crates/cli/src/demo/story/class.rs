//! A whole class in one stream, and the change feed that tells of it.

use std::collections::BTreeMap;
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_api::v1::stream_issue_validity_codes_request::Message;
use gavah_api::v1::stream_issue_validity_codes_response::Outcome;
use gavah_client::{Client, Failure, trace_id};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tonic::{Response, Status};

use super::issue::issue_request;
use super::{Tell, fields, request_id};
use crate::demo::people::Person;
use crate::demo::step::{Asked, Step};
use crate::world::UNIVERSITY;

/// How long the feed is waited for. It has every change within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The step of a stream, whose trace came with its headers.
fn streamed<T>(asked: Asked, response: &Response<T>, shown: serde_json::Value) -> Step {
    Step {
        title: asked.title,
        caller: asked.caller,
        rpc: asked.rpc,
        outcome: "OK".to_owned(),
        reason: String::new(),
        trace_id: trace_id(response.metadata()).unwrap_or_default(),
        fields: fields(shown),
    }
}

fn broken(asked: Asked) -> impl Fn(Status) -> miette::Report {
    move |status| miette!("{}: {}", asked.title, Failure::of(&status))
}

/// Issues a code for each student in one stream.
pub(super) async fn issue_class(
    university: &Client,
    class: &[Person],
    tell: Tell<'_>,
) -> Result<()> {
    let asked = Asked {
        title: "a whole class in one stream: each row has its own outcome, and its number makes it repeatable",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/StreamIssueValidityCodes",
    };
    let start = pb::StreamIssueValidityCodesStart {
        request_id: request_id()?,
    };
    let mut messages = vec![Message::Start(start)];
    for (sequence, student) in (0..).zip(class) {
        let request = issue_request(student, "90001", pb::DegreeLevel::BachelorContinuous)?;
        messages.push(Message::Row(pb::StreamIssueValidityCodesRow {
            sequence,
            subject: request.subject,
            program: request.program,
            document_kind: request.document_kind,
            document: request.document,
            external_ref: request.external_ref,
            attestation: request.attestation,
            ..pb::StreamIssueValidityCodesRow::default()
        }));
    }
    let messages = messages
        .into_iter()
        .map(|message| pb::StreamIssueValidityCodesRequest {
            message: Some(message),
        });
    let began = Instant::now();
    let mut response = university
        .validity_codes()
        .stream_issue_validity_codes(tokio_stream::iter(messages))
        .await
        .map_err(broken(asked))?;
    let mut issued = 0;
    while let Some(answer) = response.get_mut().message().await.map_err(broken(asked))? {
        match answer.outcome {
            Some(Outcome::ValidityCode(_)) => issued += 1,
            _ => {
                return Err(miette!(
                    "{}: row {} got no code",
                    asked.title,
                    answer.sequence
                ));
            }
        }
    }
    if issued != class.len() {
        return Err(miette!(
            "only {issued} of {} codes were issued",
            class.len()
        ));
    }
    let shown = json!({"rows": class.len(), "issued": issued, "seconds": format!("{:.2}", began.elapsed().as_secs_f64())});
    tell(&streamed(asked, &response, shown))
}

/// Follows the change feed from its beginning until it has told of so many issued codes.
pub(super) async fn watch(university: &Client, codes: usize, tell: Tell<'_>) -> Result<()> {
    let asked = Asked {
        title: "the university follows the change feed: everything of its own, in order, and nothing of anybody else's",
        caller: UNIVERSITY,
        rpc: "ChangeService/WatchChanges",
    };
    let request = pb::WatchChangesRequest::default();
    let mut response = university
        .changes()
        .watch_changes(request)
        .await
        .map_err(broken(asked))?;
    let follow = async {
        let (mut told, mut issued, mut last) = (BTreeMap::<String, usize>::new(), 0, 0);
        while issued < codes {
            let news = response.get_mut().message().await.map_err(broken(asked))?;
            let news = news.ok_or_else(|| miette!("{}: the stream ended", asked.title))?;
            for change in news.changes {
                if change.institution_code != "90001" || change.sequence <= last {
                    return Err(miette!(
                        "{}: {} is out of place",
                        asked.title,
                        change.resource
                    ));
                }
                last = change.sequence;
                let collection = change.resource.split('/').next().unwrap_or_default();
                issued += usize::from(collection == "validityCodes" && change.action == "ISSUE");
                *told
                    .entry(format!("{collection} {}", change.action))
                    .or_default() += 1;
            }
        }
        Ok((told, last))
    };
    let (told, last) = timeout(PATIENCE, follow).await.into_diagnostic()??;
    tell(&streamed(
        asked,
        &response,
        json!({"changes": told, "next_sequence": last}),
    ))
}
