//! The audit.

use gavah_api::v1 as pb;
use gavah_domain::{PersonId, Reason, Violations};
use gavah_store::{AuditFilter, ChainedEntry, FeedPage};

use super::feed::size;
use super::identity::person_id;
use super::program::institution_filter;
use super::time::{instant, instant_to_pb};
use super::{Known, check_rules, settle, silent_debug};
use crate::error::AppError;

/// Entries that are asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct ListAuditInput {
    /// Behind this place.
    pub after: i64,
    /// At most so many.
    pub most: u64,
    /// Which; without the subject.
    pub filter: AuditFilter,
    /// About this person.
    pub subject: Option<PersonId>,
}

silent_debug!(ListAuditInput);

/// Reads a request for entries.
///
/// # Errors
///
/// Every violation at once.
pub fn list_entries(
    request: &pb::ListAuditEntriesRequest,
    known: &Known<'_>,
) -> Result<ListAuditInput, AppError> {
    let mut found = Violations::default();
    let subject = request
        .subject
        .as_ref()
        .and_then(|given| found.take_nested("subject", person_id(given)));
    let institution = found.take(
        "institution_code",
        institution_filter(&request.institution_code, known),
    );
    let mut at = |field, given: &Option<prost_types::Timestamp>| {
        let read = given.as_ref().map(instant).transpose();
        found.take(field, read).flatten()
    };
    let (acted_from, acted_before) = (
        at("acted_from", &request.acted_from),
        at("acted_before", &request.acted_before),
    );
    let trace_id = given(&request.trace_id);
    let hexadecimal = |text: &String| {
        text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    if trace_id.as_ref().is_some_and(|text| !hexadecimal(text)) {
        found.push("trace_id", Reason::FieldFormat);
    }
    let input = ListAuditInput {
        after: request.after_sequence,
        most: size(request.page_size),
        filter: AuditFilter {
            actor: given(&request.actor),
            resource: given(&request.resource),
            action: given(&request.action),
            institution_code: institution
                .flatten()
                .map(|named| named.value.as_str().to_owned()),
            subject_hash: None,
            trace_id,
            acted_from,
            acted_before,
        },
        subject,
    };
    settle(check_rules(request), found, Some(input))
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The contract's form of entries. The keyed hash of the subject stays here.
#[must_use]
pub fn entries_to_pb(page: &FeedPage<ChainedEntry>) -> pb::ListAuditEntriesResponse {
    pb::ListAuditEntriesResponse {
        entries: page.events.iter().map(entry_to_pb).collect(),
        next_sequence: page.reached,
        more: page.reached < page.end,
    }
}

fn entry_to_pb(chained: &ChainedEntry) -> pb::AuditEntry {
    let entry = chained.entry.clone();
    let act_time = jiff::Timestamp::from_microsecond(entry.act_time).ok();
    pb::AuditEntry {
        sequence: chained.sequence,
        act_time: act_time.map(instant_to_pb),
        actor: entry.actor,
        on_behalf: entry.on_behalf,
        method: entry.method,
        resource: entry.resource,
        action: entry.action,
        from_state: entry.from_state,
        to_state: entry.to_state,
        reason: entry.reason,
        institution_code: entry.institution_code,
        request_id: entry.request_id,
        trace_id: entry.trace_id,
        hash: chained
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}
