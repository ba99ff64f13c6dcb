//! Pauses of issuing.

use gavah_api::v1 as pb;
use gavah_domain::{DisplayText, Reason, Violations};
use gavah_store::{Paused, StoredPause};

use super::enums::{from_pb, to_pb};
use super::head::{Head, open};
use super::program::institution_filter;
use super::time::instant_to_pb;
use super::{Known, settle};
use crate::error::AppError;

/// Greatest length of what is given as reason, in characters.
const REASON_MAX_CHARS: usize = 200;

/// A pause that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseInput {
    /// Retry key and digest.
    pub head: Head,
    /// What is to pause.
    pub paused: Paused,
    /// Why.
    pub reason: String,
}

/// The end of a pause that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeInput {
    /// Retry key and digest.
    pub head: Head,
    /// What is to go on.
    pub paused: Paused,
}

/// Reads a request to pause.
///
/// # Errors
///
/// Every violation at once.
pub fn pause(
    mut request: pb::PauseIssuanceRequest,
    known: &Known<'_>,
) -> Result<PauseInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let paused = paused(
        request.service,
        &request.institution_code,
        known,
        &mut found,
    );
    let reason = found.take(
        "reason",
        DisplayText::parse(&request.reason, REASON_MAX_CHARS),
    );
    let input = head.zip(paused).zip(reason);
    let input = input.map(|((head, paused), reason)| PauseInput {
        head,
        paused,
        reason: reason.as_str().to_owned(),
    });
    settle(annotated, found, input)
}

/// Reads a request to end a pause.
///
/// # Errors
///
/// Every violation at once.
pub fn resume(
    mut request: pb::ResumeIssuanceRequest,
    known: &Known<'_>,
) -> Result<ResumeInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let paused = paused(
        request.service,
        &request.institution_code,
        known,
        &mut found,
    );
    let input = head.zip(paused);
    let input = input.map(|(head, paused)| ResumeInput { head, paused });
    settle(annotated, found, input)
}

fn paused(
    service: i32,
    institution_code: &str,
    known: &Known<'_>,
    found: &mut Violations,
) -> Option<Paused> {
    let service = found.take("service", from_pb(service).ok_or(Reason::FieldRequired));
    let institution = found.take(
        "institution_code",
        institution_filter(institution_code, known),
    );
    Some(Paused {
        service: service?,
        institution: institution?.map(|named| named.value),
    })
}

/// The contract's form of a pause.
#[must_use]
pub fn pause_to_pb(pause: &StoredPause) -> pb::IssuancePause {
    let institution = pause.paused.institution.as_ref();
    pb::IssuancePause {
        name: pause.paused.name(),
        service: to_pb(pause.paused.service),
        institution_code: institution.map_or_else(String::new, |code| code.as_str().to_owned()),
        reason: pause.reason.clone(),
        pause_time: Some(instant_to_pb(pause.pause_time)),
        paused_by: pause.paused_by.clone(),
        in_force: pause.in_force,
    }
}
