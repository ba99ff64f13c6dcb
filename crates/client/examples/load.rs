//! Rough closed-loop load against a server of one's own, bounded in calls:
//!
//! ```sh
//! cargo run --release -p gavah-client --example load -- \
//!     https://localhost:7443 pki/ca.pem pki/hub.pem pki/hub.key validate 20000 64 CODE
//! cargo run --release -p gavah-client --example load -- \
//!     https://localhost:7443 pki/ca.pem pki/university.pem pki/university.key issue 5000 64 INSTITUTION EXPERT
//! ```
//!
//! The numbers are the calls and how many of them are in flight at once. Issued
//! codes are for made-up students. Only loopback endpoints are accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_client::{Client, ClientConfig};
use tokio::time::Instant;

/// Calls at most, whatever is asked for.
const MOST_CALLS: u32 = 200_000;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [
        endpoint,
        ca,
        certificate,
        key,
        what,
        calls,
        in_flight,
        rest @ ..,
    ] = &arguments[..]
    else {
        return Err("see the head of this example for its arguments".into());
    };
    if !endpoint.starts_with("https://localhost:") && !endpoint.starts_with("https://127.0.0.1:") {
        return Err("only a server on this machine is loaded".into());
    }
    let calls = calls.parse::<u32>()?.min(MOST_CALLS);
    let in_flight = in_flight.parse::<u32>()?.clamp(1, 256);
    let config = ClientConfig {
        endpoint: endpoint.clone(),
        server_ca: ca.into(),
        certificate: certificate.into(),
        key: key.into(),
        timeout: Duration::from_secs(30),
        retries: 0,
    };
    let next = Arc::new(AtomicU32::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight.div_ceil(32) {
        // One connection carries 32 calls at a time.
        let client = Arc::new(Client::connect(&config).await?);
        for _ in 0..in_flight.min(32) {
            let (client, next) = (Arc::clone(&client), Arc::clone(&next));
            let (what, rest) = (what.clone(), rest.to_vec());
            tasks.spawn(async move {
                let mut slowest = Duration::ZERO;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        return Ok::<_, Error>(slowest);
                    }
                    let begun = Instant::now();
                    call(&client, &what, &rest, number).await?;
                    slowest = slowest.max(begun.elapsed());
                }
            });
        }
    }
    let mut slowest = Duration::ZERO;
    while let Some(done) = tasks.join_next().await {
        slowest = slowest.max(done??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(calls) / seconds;
    let line =
        format!("{what}: {calls} calls in {seconds:.2} s, {rate:.0}/s, slowest {slowest:?}\n");
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

async fn call(client: &Client, what: &str, rest: &[String], number: u32) -> Result<(), Error> {
    match (what, rest) {
        ("validate", [code]) => {
            let request = pb::ValidateCodeRequest {
                code: code.clone(),
                subject_claim: None,
            };
            client
                .call(request, |channel, request| async move {
                    channel.validation().validate_code(request).await
                })
                .await?;
        }
        ("issue", [institution, expert]) => {
            let request = issue(institution, expert, number)?;
            client
                .call(request, |channel, request| async move {
                    channel.validity_codes().issue_validity_code(request).await
                })
                .await?;
        }
        _ => return Err("see the head of this example for its arguments".into()),
    }
    Ok(())
}

/// A request for a made-up student, another one for every number and second.
fn issue(
    institution: &str,
    expert: &str,
    number: u32,
) -> Result<pb::IssueValidityCodeRequest, Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has no clock to be given"
    )]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seconds = i64::try_from(now.as_secs())?;
    let salt = now.as_secs() % 500;
    let student = salt * 1_000_000 + u64::from(number);
    Ok(pb::IssueValidityCodeRequest {
        request_id: format!(
            "00000000-0000-7000-8000-{:012x}",
            now.as_nanos() % 0xffff_ffff_ffff
        ),
        subject: Some(pb::Subject {
            person_id: Some(pb::PersonId {
                id: Some(pb::person_id::Id::NationalCode(national_code(
                    400_000_000 + student,
                ))),
            }),
            name: Some(pb::PersonName {
                given_name_fa: "نمونه".to_owned(),
                family_name_fa: "آزمایشی".to_owned(),
                ..pb::PersonName::default()
            }),
            ..pb::Subject::default()
        }),
        program: Some(pb::Program {
            institution_code: institution.to_owned(),
            student_number: format!("{student:010}"),
            degree_level: pb::DegreeLevel::BachelorContinuous.into(),
            field_code: "L-1".to_owned(),
            field_title_fa: "رشته نمایشی".to_owned(),
            study_mode: pb::StudyMode::Day.into(),
            entry_term: Some(pb::Term {
                academic_year: 1400,
                kind: pb::TermKind::First.into(),
            }),
            ..pb::Program::default()
        }),
        document_kind: pb::DocumentKind::Degree.into(),
        attestation: Some(pb::Attestation {
            expert: Some(pb::ActorRef {
                expert: format!("institutions/{institution}/experts/{expert}"),
            }),
            statement_version: "1".to_owned(),
            attest_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        }),
        ..pb::IssueValidityCodeRequest::default()
    })
}

/// Nine digits and the check digit that belongs to them.
fn national_code(nine: u64) -> String {
    let nine = format!("{:09}", nine % 1_000_000_000);
    let weights = (2..=10).rev();
    let sum: u32 = nine
        .bytes()
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let rest = sum % 11;
    format!("{nine}{}", if rest < 2 { rest } else { 11 - rest })
}
