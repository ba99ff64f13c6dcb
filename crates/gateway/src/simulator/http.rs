//! The simulator's side of the protocol.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State as Held};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use url::{Host, Url, form_urlencoded};

use super::{Shared, SimulatedFault};

/// How long a silent simulator holds a connection.
const SILENCE: Duration = Duration::from_secs(30);
/// Longer than any answer of the protocol.
const LONG: usize = 1024 * 1024;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/pg/v4/payment/{call}", post(call))
        .route("/pg/StartPay/{authority}", get(page))
        .route("/api/v4/graphql", post(refund))
        .route("/simulator/day-file/{date}", get(day_file))
        .route("/simulator/session/{authority}", get(session))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state(shared)
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}

fn refused(code: i32) -> Response {
    let error = json!({ "code": code, "message": "refused by the simulator", "validations": [] });
    json_answer(StatusCode::OK, &json!({ "data": [], "errors": error }))
}

/// Plays a fault around an act: what it prevents, what it does to the answer.
async fn play(fault: Option<SimulatedFault>, act: impl FnOnce() -> Response) -> Response {
    match fault {
        Some(SimulatedFault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(SimulatedFault::Status(status)) => {
            let status = StatusCode::from_u16(status);
            return status
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
                .into_response();
        }
        Some(SimulatedFault::Silence) => {
            tokio::time::sleep(SILENCE).await;
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Some(SimulatedFault::Code(code)) => return refused(code),
        _ => {}
    }
    let answer = act();
    match fault {
        Some(SimulatedFault::AnswerLost) => {
            let cut = futures_util::stream::once(async {
                Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            Body::from_stream(cut).into_response()
        }
        Some(SimulatedFault::Unreadable) => "<html>".into_response(),
        Some(SimulatedFault::TooLong) => " ".repeat(LONG).into_response(),
        _ => answer,
    }
}

async fn call(Held(shared): Held<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refused(-9);
    };
    if body["merchant_id"].as_str() != Some(&shared.config.merchant_id) {
        return refused(-10);
    }
    let authority = body["authority"].as_str().unwrap_or_default();
    let fault = shared.ledger().strike(authority, false);
    play(fault, || {
        match act(&shared, &name, authority, &body, fault) {
            Ok(data) => json_answer(StatusCode::OK, &json!({ "data": data, "errors": [] })),
            Err(0) => StatusCode::NOT_FOUND.into_response(),
            Err(code) => refused(code),
        }
    })
    .await
}

/// One call of the merchant; the error is a code, 0 for a call that the protocol does not have.
fn act(
    shared: &Shared,
    name: &str,
    authority: &str,
    body: &Value,
    fault: Option<SimulatedFault>,
) -> Result<Value, i32> {
    let now = (shared.config.now)();
    let mut ledger = shared.ledger();
    let amount = body["amount"].as_i64().filter(|amount| *amount >= 1_000);
    match name {
        "request.json" => {
            let amount = amount.ok_or(-9)?;
            let callback = body["callback_url"].as_str().ok_or(-9)?;
            let is_whole = Url::parse(callback).is_ok()
                && body["description"].is_string()
                && body["currency"] == "IRR";
            if !is_whole {
                return Err(-9);
            }
            let authority = ledger.open(amount, callback, shared.config.capacity, now)?;
            Ok(
                json!({ "code": 100, "message": "Success", "authority": authority, "fee_type": "Merchant", "fee": 0 }),
            )
        }
        "verify.json" => {
            let (code, ref_id) = ledger.verify(authority, amount.ok_or(-9)?, now)?;
            let code = match fault {
                Some(SimulatedFault::VerifiedAlready) => 101,
                _ => code,
            };
            Ok(
                json!({ "code": code, "message": "Verified", "ref_id": ref_id, "fee_type": "Merchant", "fee": 0 }),
            )
        }
        "unVerified.json" => {
            let entry = |(authority, payment): (&String, &super::ledger::Payment)| {
                let date = payment.changed_at.strftime("%Y-%m-%d %H:%M:%S").to_string();
                json!({ "authority": authority, "amount": payment.amount, "callback_url": payment.callback_url,
                    "referer": "/", "date": date })
            };
            let entries: Vec<_> = ledger.unverified().map(entry).collect();
            Ok(json!({ "code": "100", "message": "Success", "authorities": entries }))
        }
        "inquiry.json" => {
            let payment = ledger.payment(authority).ok_or(-54)?;
            Ok(json!({ "code": 100, "message": "Success", "status": payment.state.as_str() }))
        }
        "reverse.json" => {
            ledger.reverse(authority, now)?;
            Ok(json!({ "code": 100, "message": "Reversed" }))
        }
        _ => Err(0),
    }
}

/// What the real gateway gives out in its panel: the file of a day (in Tehran).
async fn day_file(Held(shared): Held<Arc<Shared>>, Path(date): Path<String>) -> Response {
    match date.parse() {
        Ok(date) => {
            let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
            (kind, shared.ledger().day_file(date)).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What the real gateway shows in its panel: the number of a payment's session, by which it pays back.
async fn session(Held(shared): Held<Arc<Shared>>, Path(authority): Path<String>) -> Response {
    match shared.ledger().payment(&authority) {
        Some(payment) => payment.session.to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn refund(Held(shared): Held<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let expected = format!("Bearer {}", shared.config.access_token);
    let told = headers.get(header::AUTHORIZATION);
    if told.is_none_or(|told| told.as_bytes() != expected.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fault = shared.ledger().strike("", false);
    play(fault, || {
        let variables = &body["variables"];
        let session = variables["session_id"]
            .as_str()
            .and_then(|id| id.parse().ok());
        let amount = variables["amount"].as_i64();
        let now = (shared.config.now)();
        let id = session
            .zip(amount)
            .and_then(|(session, amount)| shared.ledger().refund(session, amount, now));
        let answer = match id {
            Some(id) => {
                json!({ "data": { "resource": { "id": id.to_string(), "amount": amount } } })
            }
            None => json!({ "data": { "resource": null },
                "errors": [{ "message": "refused", "extensions": { "category": "validation" } }] }),
        };
        json_answer(StatusCode::OK, &answer)
    })
    .await
}

/// The payer's page; with `as=approve` or `as=cancel`, the payer has decided.
async fn page(
    Held(shared): Held<Arc<Shared>>,
    Path(authority): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let choice = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "as");
    let approved = match choice.as_ref().map(|(_, value)| value.as_ref()) {
        Some("approve") => true,
        Some("cancel") => false,
        _ if shared.ledger().payment(&authority).is_some() => {
            return Html("<!doctype html><title>Simulated payment</title><a href=\"?as=approve\">Pay</a> <a href=\"?as=cancel\">Cancel</a>").into_response();
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let now = (shared.config.now)();
    let (callback, is_paid, fault) = {
        let mut ledger = shared.ledger();
        let fault = ledger.strike(&authority, true);
        let charged = match fault {
            Some(SimulatedFault::WrongAmount(amount)) => Some(amount),
            _ => None,
        };
        ledger.pay(&authority, approved, charged, now);
        let Some(payment) = ledger.payment(&authority) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let is_paid = !matches!(payment.state.as_str(), "FAILED" | "REVERSED");
        (payment.callback_url.clone(), is_paid, fault)
    };
    let Ok(mut url) = Url::parse(&callback) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let status = if is_paid { "OK" } else { "NOK" };
    url.query_pairs_mut()
        .append_pair("Authority", &authority)
        .append_pair("Status", status);
    // A simulator calls nobody outside its machine.
    let is_loopback = matches!(url.host(), Some(Host::Ipv4(ip)) if ip.is_loopback());
    if is_loopback && fault == Some(SimulatedFault::DuplicateCallback) {
        // Whether anybody hears it is not the gateway's concern.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5));
        if let Ok(client) = client.build() {
            let _ = client.get(url.as_str()).send().await;
        }
    }
    (StatusCode::FOUND, [(header::LOCATION, url.to_string())]).into_response()
}
