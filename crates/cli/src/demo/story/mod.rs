//! The story: real callers over real mutual TLS, each answer held against what
//! it must be.

mod agreements;
mod ask;
mod class;
mod dispute;
mod issue;
mod levels;
mod pay;
mod register;
mod review;

use gavah_client::{Client, Failure, Reply};
use gavah_domain::{Clock, SystemClock, SystemEntropy, new_uuid};
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result, miette};
use serde_json::{Map, Value};

use self::agreements::under_agreements;
use self::ask::{doubtful_codes, refusals, revoke, validate};
use self::class::{issue_class, watch};
use self::dispute::disputed;
use self::issue::{issue_certificate, issue_codes, push_records, quote};
use self::levels::report;
use self::pay::pay;
use self::register::register;
use self::review::reviewed;
use super::people::people;
use super::step::{Asked, Step};
use crate::world::World;

/// Made-up students of the demo.
const STUDENTS: u32 = 300;
/// Made-up students of the class that gets its codes in one stream.
const CLASS: u32 = 1_000;

/// Tells every step as it happens.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(&Step) -> Result<()> + Send);

/// What the story leaves behind, for trying on.
pub(crate) struct Told {
    /// A code that validates.
    pub(crate) valid_code: String,
}

/// The callers of the story.
struct Callers {
    organization: Client,
    university: Client,
    ineligible: Client,
    window: Client,
    hub: Client,
    /// The hub without saying on whose behalf it asks.
    bare_hub: Client,
}

type Called<T> = std::result::Result<Reply<T>, Box<Failure>>;

fn request_id() -> Result<String> {
    Ok(new_uuid(SystemClock.now(), &SystemEntropy)
        .into_diagnostic()?
        .to_string())
}

fn timestamp(instant: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: instant.as_second(),
        nanos: instant.subsec_nanosecond(),
    })
}

/// The fields of a JSON object literal.
fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// An answer that must be a refusal with this reason.
fn must_refuse<T>(asked: Asked, called: Called<T>, reason: &str) -> Result<Step> {
    match called {
        Ok(_) => Err(miette!("{}: expected {reason}, was granted", asked.title)),
        Err(failure) if failure.reason.as_deref() == Some(reason) => Ok(asked.refused(&failure)),
        Err(failure) => Err(miette!("{}: expected {reason}, got {failure}", asked.title)),
    }
}

/// An answer that must be granted.
fn must_grant<T>(asked: Asked, called: Called<T>) -> Result<Reply<T>> {
    called.map_err(|failure| miette!("{}: {failure}", asked.title))
}

/// Plays the story against the server at `port`.
pub(crate) async fn play(world: &World, port: u16, tell: Tell<'_>) -> Result<Told> {
    let everybody = people(STUDENTS + CLASS);
    let (students, class) = everybody.split_at(STUDENTS as usize);
    let callers = register(world, port, tell).await?;
    push_records(&callers.university, students, tell).await?;
    quote(&callers.university, tell).await?;
    let (first, second) = issue_codes(&callers.university, students, tell).await?;
    validate(
        &callers.hub,
        "the hub asks whether the code is good",
        &first.code,
        "OK",
        tell,
    )
    .await?;
    let certificate = issue_certificate(&callers.window, students, tell).await?;
    validate(
        &callers.hub,
        "the hub asks whether the certificate is good",
        &certificate.code,
        "OK",
        tell,
    )
    .await?;
    under_agreements(&callers, &first.code, tell).await?;
    if let Some(student) = students.last() {
        pay(&callers, student, &certificate, tell).await?;
    }
    reviewed(&callers, students, tell).await?;
    report(&callers, tell).await?;
    doubtful_codes(&callers.hub, &first.code, tell).await?;
    revoke(&callers, &second, tell).await?;
    refusals(&callers, students, tell).await?;
    issue_class(&callers.university, class, tell).await?;
    watch(&callers.university, class.len() + 2, tell).await?;
    // Last: from here on the service goes by a later time.
    if let Some(student) = students.get(1) {
        disputed(&callers, student, &second.name, tell).await?;
    }
    Ok(Told {
        valid_code: first.code,
    })
}
