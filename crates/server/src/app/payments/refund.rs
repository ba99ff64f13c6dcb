//! Paying back.

use std::sync::Arc;

use gavah_domain::dispute::OrderedAct;
use gavah_domain::payment::{LineState, RefundMethod, RefundState};
use gavah_domain::{Money, Reason};
use gavah_gateway::{Failure, Refund};
use gavah_store::{NewRefund, RefundEnd, RefundOutcome, StoredPayment};

use jiff::{SignedDuration, Timestamp};

use super::{by_service, find, named, outcome, refused, to_the_end, unavailable, word};
use crate::app::disputes::ordered;
use crate::app::{App, context, earlier};
use crate::call::Acting;
use crate::config::GATEWAY_TIME_MS;
use crate::convert::names::Collection;
use crate::convert::payment::RefundInput;
use crate::error::{AppError, Refusal};

/// Pays back everything that is due, or records that it was; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED, PAYMENT_NOT_OFFERED,
/// PAYMENT_GATEWAY_REFUSED, PAYMENT_GATEWAY_UNAVAILABLE; [`AppError::Store`].
pub async fn refund(
    app: &Arc<App>,
    call: &Acting,
    input: RefundInput,
) -> Result<Option<StoredPayment>, AppError> {
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(app, async move { pay_back(&of, &call, input).await }).await
}

async fn pay_back(
    app: &App,
    call: &Acting,
    input: RefundInput,
) -> Result<Option<StoredPayment>, AppError> {
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let checked = async {
        let stored = app.store_for(call).payment(input.id).await?;
        let stored = stored.ok_or(Reason::ResourceNotFound)?;
        check(app, &input, &stored, now)?;
        let name = Collection::Payments.name(input.id);
        ordered(app, call, &input.head, OrderedAct::Refund, &name).await?;
        Ok(stored)
    };
    let stored = match checked.await {
        Ok(stored) => stored,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            return find(app, named(&resource)?).await.map(Some);
        }
    };
    if input.head.validate_only {
        return Ok(None);
    }
    let new = NewRefund {
        id: app.new_id(now)?,
        payment_id: stored.id,
        version: input.etag,
        method: input.method,
        also: input.also.iter().map(|it| it.name()).collect(),
        reference: match input.method {
            // Only the gateway's number of the refund is kept.
            RefundMethod::Gateway => String::new(),
            _ => input.reference.clone(),
        },
        reason: input.reason.clone(),
        officer: input.officer.name.clone(),
    };
    match app.store.begin_refund(&context, &new).await? {
        RefundOutcome::Asked(stored, amount) => {
            ask_gateway(app, call, &input, &new, *stored, amount)
                .await
                .map(Some)
        }
        RefundOutcome::NothingDue | RefundOutcome::NotAllowed => Err(not_allowed(&stored)),
        RefundOutcome::Ended(ended) => outcome(app, ended).await.map(Some),
    }
}

/// Within this time a refund that was asked for may still be answered: twice as long as the gateway is ever waited for.
const ANSWER_TIME: SignedDuration = SignedDuration::from_millis(2 * GATEWAY_TIME_MS.cast_signed());

/// What a refund needs, as far as can be said before it begins.
fn check(
    app: &App,
    input: &RefundInput,
    stored: &StoredPayment,
    now: Timestamp,
) -> Result<(), AppError> {
    if stored.version != input.etag {
        return Err(Reason::EtagMismatch.into());
    }
    let asked = stored
        .refunds
        .iter()
        .any(|it| it.state == RefundState::Asked);
    let due = !stored.sum(&[LineState::RefundDue])?.is_zero();
    let used = input.also.iter().all(|also| {
        let name = also.name();
        let mut lines = stored.lines.iter();
        lines.any(|line| line.application == name && line.state == LineState::Used)
    });
    // The gateway may be about to answer; and what a ruling orders is not done by ending what was asked before.
    let asked_just_now = stored.refunds.iter().any(|it| {
        it.state == RefundState::Asked && now.duration_since(it.create_time) < ANSWER_TIME
    });
    let ends = asked && input.method != RefundMethod::Gateway;
    if ends && (asked_just_now || input.head.ordered.is_some()) {
        return Err(not_allowed(stored));
    }
    let fits = match input.method {
        RefundMethod::NotDone => asked,
        RefundMethod::Recorded if asked => input.also.is_empty(),
        RefundMethod::Recorded => used && (due || !input.also.is_empty()),
        RefundMethod::Gateway => used && !asked && (due || !input.also.is_empty()),
    };
    if !fits {
        return Err(not_allowed(stored));
    }
    if input.method == RefundMethod::Gateway && app.gateway.is_none() {
        return Err(Reason::PaymentNotOffered.into());
    }
    Ok(())
}

fn not_allowed(stored: &StoredPayment) -> AppError {
    Refusal::new(Reason::StateTransitionNotAllowed)
        .with("state", stored.state.as_str())
        .with("allowed", "")
        .into()
}

/// Asks the gateway once. Without an answer the refund stays as it is: asked for.
async fn ask_gateway(
    app: &App,
    call: &Acting,
    input: &RefundInput,
    new: &NewRefund,
    stored: StoredPayment,
    amount: Money,
) -> Result<StoredPayment, AppError> {
    let gateway = app.gateway.as_ref().ok_or(Reason::PaymentNotOffered)?;
    let session = input.reference.parse();
    let session = session.map_err(|_| AppError::Internal("a session was not refused"))?;
    let refund = Refund::new(session, amount, "استرداد وجه")
        .map_err(|_| AppError::Internal("a refund cannot be ordered"))?;
    let (end, refusal) = match gateway.refund(&refund).await {
        Ok(refunded) => (RefundEnd::Done(refunded.id), None),
        Err(Failure::Refused { code, meaning }) => (
            RefundEnd::Failed(word(meaning)),
            Some(refused(&stored, code, meaning)),
        ),
        Err(failure @ (Failure::NotReached | Failure::Misconfigured(_))) => (
            RefundEnd::Failed("NOT_REACHED".to_owned()),
            Some(unavailable(&stored, failure)),
        ),
        Err(failure @ Failure::Unknown(_)) => {
            tracing::error!(%failure, payment = %stored.id, "a refund is of unknown outcome");
            return Ok(stored);
        }
    };
    let context = by_service(app, call.trace_id.to_string());
    let ended = app
        .store
        .end_refund(&context, stored.id, new.id, &end)
        .await
        .inspect_err(|error| {
            tracing::error!(%error, payment = %stored.id, refund = %new.id, ?end, "a refund's end could not be recorded");
        })?;
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(ended),
    }
}
