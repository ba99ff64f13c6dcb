//! Payments of quoted fees.
//!
//! What the gateway says of the money is recorded first and alone; then each application goes on by itself, here or on any
//! node, as often as it takes. The gateway is asked in a task of its own, so that its answer is recorded even when whoever
//! asked has gone.

mod reconcile;
mod refund;
pub(crate) mod settle;

use std::sync::Arc;

use gavah_domain::caller::CallerClass;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::payment::{LineState, PaymentState, total};
use gavah_domain::service::ServiceKind;
use gavah_domain::{Money, PersonId, Reason, Violations};
use gavah_gateway::{
    Authority, Failure, Fault, Gateway, InvalidInput, Meaning, Order, Rials, Standing, Uncertainty,
};
use gavah_store::{ActContext, Finding, NewPayment, PaymentFilter, PaymentOutcome, StoredPayment};
use jiff::Timestamp;
use tracing::Instrument;
use uuid::Uuid;

pub use reconcile::reconcile;
pub use refund::refund;

use super::certificates::read::list_scope;
use super::{App, context, earlier, may_read, owns};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::names::Collection;
use crate::convert::payment::{ConfirmInput, ListInput, Payable, StartInput};
use crate::error::{AppError, Refusal};

/// The gateway's name in the books.
const GATEWAY: &str = "zarinpal";

const PAYMENTS: Collection = Collection::Payments;

/// Lines that go on within the call that confirmed them; the others follow by themselves.
const AT_ONCE: u64 = 20;

/// Does the work to its end, also when whoever asked for it has gone.
async fn to_the_end<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = Result<T, AppError>> + Send + 'static,
) -> Result<T, AppError> {
    app.home
        .spawn(work.in_current_span())
        .await
        .map_err(|_| AppError::Internal("work on a payment panicked"))?
}

/// The context of what the service finds out by itself.
fn by_service(app: &App, trace_id: String) -> ActContext {
    ActContext {
        actor: "service/payments".to_owned(),
        now: app.clock.now(),
        trace_id,
        claim: None,
    }
}

/// Where the payer of an open payment is sent.
#[must_use]
pub fn redirect_url(app: &App, stored: &StoredPayment) -> Option<String> {
    let gateway = app.gateway.as_ref()?;
    let open = stored.state == PaymentState::Redirected && app.clock.now() < stored.expire_time;
    let authority = stored.authority.as_deref().filter(|_| open)?;
    Some(gateway.redirect_url(&authority.parse().ok()?))
}

/// What is to be paid for.
struct Bill {
    institution: InstitutionCode,
    person_key: String,
    service: ServiceKind,
    amount: Money,
    expire_time: Timestamp,
    lines: Vec<(String, Money)>,
}

/// An application that waits for its payment.
struct Due {
    institution: InstitutionCode,
    person: PersonId,
    fee: Option<Money>,
    pay_until: Option<Timestamp>,
    waits: bool,
    state: &'static str,
}

/// Begins a payment; `None` when only checking.
///
/// # Errors
///
/// PAYMENT_NOT_OFFERED, RESOURCE_NOT_FOUND, STATE_TRANSITION_NOT_ALLOWED, OPEN_PAYMENT_EXISTS, REQUEST_ID_REUSED,
/// PAYMENT_GATEWAY_REFUSED, PAYMENT_GATEWAY_UNAVAILABLE; [`AppError::Store`].
pub async fn start(
    app: &Arc<App>,
    call: &Acting,
    input: StartInput,
) -> Result<Option<StoredPayment>, AppError> {
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(app, async move { begin(&of, &call, input).await }).await
}

async fn begin(
    app: &App,
    call: &Acting,
    input: StartInput,
) -> Result<Option<StoredPayment>, AppError> {
    let gateway = app.gateway.as_ref().ok_or(Reason::PaymentNotOffered)?;
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let billed = async {
        let bill = bill(app, call, &input, now).await?;
        // What the gateway would not take is not recorded.
        order(&bill.lines, bill.amount, &input.callback_url, Uuid::nil())?;
        let names = bill.lines.iter().map(|(name, _)| name.clone()).collect();
        match app.store_for(call).being_paid(names).await?.first() {
            Some(application) => Err(open_exists(app, application).await?),
            None => Ok(bill),
        }
    };
    let bill = match billed.await {
        Ok(bill) => bill,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            let stored = find(app, named(&resource)?).await?;
            return open(app, call, gateway, stored).await.map(Some);
        }
    };
    if input.head.validate_only {
        return Ok(None);
    }
    let new = NewPayment {
        id: app.new_id(now)?,
        gateway: GATEWAY.to_owned(),
        service: bill.service,
        institution: bill.institution,
        caller_id: call.caller.id.as_str().to_owned(),
        person_key: bill.person_key,
        amount: bill.amount,
        callback_url: input.callback_url,
        expire_time: bill.expire_time,
        lines: bill.lines,
    };
    let created = app.store_for(call).create_payment(&context, &new).await?;
    let stored = outcome(app, created).await?;
    open(app, call, gateway, stored).await.map(Some)
}

fn named(resource: &str) -> Result<Uuid, AppError> {
    let id = PAYMENTS.parse(resource);
    id.map_err(|_| AppError::Internal("a claim names no payment"))
}

async fn find(app: &App, id: Uuid) -> Result<StoredPayment, AppError> {
    let stored = app.store.payment(id).await?;
    stored.ok_or(AppError::Internal("a payment is missing"))
}

/// What became of an act, for its caller.
async fn outcome(app: &App, outcome: PaymentOutcome) -> Result<StoredPayment, AppError> {
    match outcome {
        PaymentOutcome::Done(stored) => Ok(*stored),
        PaymentOutcome::Replayed(id) => find(app, id).await,
        PaymentOutcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
        PaymentOutcome::OpenExists(id) => Err(exists(id)),
        PaymentOutcome::Moved => Err(Reason::EtagMismatch.into()),
    }
}

fn exists(id: Uuid) -> AppError {
    Refusal::new(Reason::OpenPaymentExists)
        .with("resource", PAYMENTS.name(id))
        .into()
}

/// The refusal that names the open payment of an application.
async fn open_exists(app: &App, application: &str) -> Result<AppError, AppError> {
    let filter = PaymentFilter {
        scope: gavah_store::Scope::All,
        service: None,
        state: None,
        application: Some(application.to_owned()),
    };
    let payments = app.store.list_payments(&filter, None, 10).await?;
    let waits = |payment: &&StoredPayment| {
        let mut lines = payment.lines.iter();
        payment.state.is_open()
            || (payment.state.has_money() && lines.any(|line| line.state == LineState::Waiting))
    };
    let open = payments.iter().find(waits);
    Ok(open.map_or(Reason::OpenPaymentExists.into(), |open| exists(open.id)))
}

/// Everything that is to be paid: applications that the caller may pay for and that wait for it, all of one institution.
async fn bill(
    app: &App,
    call: &Acting,
    input: &StartInput,
    now: Timestamp,
) -> Result<Bill, AppError> {
    let mut lines = Vec::new();
    let mut whole: Option<Bill> = None;
    for application in &input.applications {
        let name = application.name();
        let due = due(app, call, *application, input.claim.as_ref()).await?;
        let pay_until = due.pay_until.filter(|until| due.waits && now < *until);
        let (Some(fee), Some(pay_until)) = (due.fee, pay_until) else {
            return Err(Refusal::new(Reason::StateTransitionNotAllowed)
                .with("state", due.state)
                .with("allowed", "")
                .with("resource", name)
                .into());
        };
        lines.push((name, fee));
        let bill = whole.get_or_insert_with(|| Bill {
            institution: due.institution.clone(),
            person_key: due.person.key(),
            service: match application {
                Payable::Certificate(_) => ServiceKind::EnrollmentCertificate,
                Payable::Code(_) => ServiceKind::ValidityCode,
            },
            amount: fee,
            expire_time: pay_until,
            lines: Vec::new(),
        });
        if bill.institution != due.institution {
            let mut found = Violations::default();
            found.push("applications", Reason::FieldFormat);
            return Err(found.into());
        }
        bill.expire_time = bill.expire_time.min(pay_until);
    }
    let mut bill = whole.ok_or(AppError::Internal("a payment for nothing was not refused"))?;
    if lines.len() > 1 {
        bill.person_key.clear();
    }
    bill.amount = total(lines.iter().map(|(_, fee)| *fee))
        .map_err(|_| AppError::Internal("the fees cannot be added up"))?;
    bill.lines = lines;
    Ok(bill)
}

/// An application that the caller may pay for, as it is.
async fn due(
    app: &App,
    call: &Acting,
    application: Payable,
    claim: Option<&PersonId>,
) -> Result<Due, AppError> {
    let store = app.store_for(call);
    let due = match application {
        Payable::Certificate(id) => store.application(id).await?.map(|stored| Due {
            institution: stored.content.institution,
            person: stored.content.subject.person_id,
            fee: stored.content.quote.and_then(|quote| quote.fee),
            pay_until: stored.pay_until,
            waits: stored.state == gavah_domain::certificate::ApplicationState::AwaitingPayment,
            state: stored.state.as_str(),
        }),
        Payable::Code(id) => store.code_application(id).await?.map(|stored| Due {
            institution: stored.content.program.institution,
            person: stored.content.subject.person_id,
            fee: stored.content.quote.fee,
            pay_until: stored.pay_until,
            waits: stored.state
                == gavah_domain::code_application::CodeApplicationState::AwaitingPayment,
            state: stored.state.as_str(),
        }),
    };
    due.filter(|due| match application {
        Payable::Certificate(_) => claim == Some(&due.person),
        Payable::Code(_) => {
            owns(call, &due.institution) && claim.is_none_or(|claim| *claim == due.person)
        }
    })
    .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// What the gateway is asked to open.
fn order(
    lines: &[(String, Money)],
    amount: Money,
    callback_url: &str,
    id: Uuid,
) -> Result<Order, AppError> {
    // Nothing of it tells whom the payment is about.
    let text = match lines {
        [(name, _)]
            if Collection::EnrollmentCertificateApplications
                .parse(name)
                .is_ok() =>
        {
            "گواهی اشتغال به تحصیل".to_owned()
        }
        lines => format!("کد صحت ({})", lines.len()),
    };
    Order::new(amount, &text, callback_url, &id.to_string()).map_err(|invalid| match invalid {
        InvalidInput::Callback => {
            let mut found = Violations::default();
            found.push("callback_url", Reason::FieldFormat);
            found.into()
        }
        _ => AppError::Internal("a payment cannot be ordered"),
    })
}

/// Has the gateway open a payment that is not opened yet. An authority whose answer was lost is known to nobody, so another
/// may be asked for.
async fn open(
    app: &App,
    call: &Acting,
    gateway: &Arc<dyn Gateway>,
    stored: StoredPayment,
) -> Result<StoredPayment, AppError> {
    if stored.state != PaymentState::Created || app.clock.now() >= stored.expire_time {
        return Ok(stored);
    }
    let lines = stored.lines.iter();
    let lines: Vec<_> = lines
        .map(|line| (line.application.clone(), line.fee))
        .collect();
    let order = order(&lines, stored.amount, &stored.callback_url, stored.id)?;
    let (finding, refusal) = match gateway.request(&order).await {
        Ok(authority) => (Finding::Opened(authority.as_str().to_owned()), None),
        Err(failure) => {
            let Some((code, meaning)) = never_opens(failure) else {
                return Err(unavailable(&stored, failure));
            };
            (
                Finding::Failed(word(meaning)),
                Some(refused(&stored, code, meaning)),
            )
        }
    };
    let context = by_service(app, call.trace_id.to_string());
    let recorded = app
        .store
        .record_finding(&context, stored.id, &finding)
        .await?;
    match refusal {
        Some(refusal) => Err(refusal),
        None => outcome(app, recorded).await,
    }
}

/// Why asking again to open the same payment is of no use, with the gateway's code; `None` when it may be. What is wrong
/// with the merchant is not the payment's fault; a callback of another domain is.
const fn never_opens(failure: Failure) -> Option<(Option<i32>, Meaning)> {
    match failure {
        Failure::Refused {
            code,
            meaning: meaning @ Meaning::InvalidRequest,
        } => Some((code, meaning)),
        Failure::Refused { code, meaning } if !passes(meaning) => Some((code, meaning)),
        Failure::Misconfigured(Fault::Merchant {
            code,
            meaning: meaning @ Meaning::CallbackDomain,
        }) => Some((Some(code), meaning)),
        _ => None,
    }
}

/// Refusals of the gateway that a later attempt may overcome.
const fn passes(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::TooManyAttempts | Meaning::TerminalLimit | Meaning::InvalidRequest
    )
}

/// A meaning as a stable name: `AMOUNT_TOO_LARGE`.
fn word(meaning: Meaning) -> String {
    let mut word = String::new();
    for letter in format!("{meaning:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

fn refused(stored: &StoredPayment, code: Option<i32>, meaning: Meaning) -> AppError {
    let refusal = Refusal::new(Reason::PaymentGatewayRefused)
        .with("resource", PAYMENTS.name(stored.id))
        .with("cause", word(meaning));
    match code {
        Some(code) => refusal.with("gateway_code", code.to_string()),
        None => refusal,
    }
    .into()
}

fn unavailable(stored: &StoredPayment, failure: Failure) -> AppError {
    if matches!(failure, Failure::Misconfigured(_)) {
        tracing::error!(%failure, "the payment gateway does not serve this merchant");
    } else {
        tracing::warn!(%failure, "the payment gateway gave no answer");
    }
    Refusal::new(Reason::PaymentGatewayUnavailable)
        .with("resource", PAYMENTS.name(stored.id))
        .into()
}

/// Asks the gateway about a payment and records what it says; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, REQUEST_ID_REUSED, PAYMENT_NOT_OFFERED, PAYMENT_GATEWAY_UNAVAILABLE; [`AppError::Store`].
pub async fn confirm(
    app: &Arc<App>,
    call: &Acting,
    input: ConfirmInput,
) -> Result<Option<StoredPayment>, AppError> {
    let stored = get(app, call, input.id, input.claim.as_ref()).await?;
    if input.head.validate_only {
        return Ok(None);
    }
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(app, async move {
        confirm_to_the_end(&of, &call, &input.head, stored)
            .await
            .map(Some)
    })
    .await
}

async fn confirm_to_the_end(
    app: &App,
    call: &Acting,
    head: &Head,
    stored: StoredPayment,
) -> Result<StoredPayment, AppError> {
    let id = stored.id;
    let context = context(call, head, None, app.clock.now());
    let finding = match ask(app, &stored).await {
        // Its payer was never sent anywhere: what it was to pay for can be paid for by another.
        Ok(_) if stored.state == PaymentState::Created => Finding::NotOpened,
        Ok(finding) => finding,
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            return find(app, named(&resource)?).await;
        }
    };
    if finding != Finding::Nothing {
        // Whatever this call's retry key stands for, what the gateway said is not lost.
        let by_service = by_service(app, call.trace_id.to_string());
        app.store.record_finding(&by_service, id, &finding).await?;
    }
    let claimed = app
        .store
        .record_finding(&context, id, &Finding::Nothing)
        .await?;
    let stored = outcome(app, claimed).await?;
    if !stored.state.has_money() {
        return Ok(stored);
    }
    // What does not go on now goes on by itself.
    if let Err(error) = settle::go_on(app, Some(id), AT_ONCE).await {
        tracing::warn!(error = error.cause(), "what was paid for could not go on");
    }
    find(app, id).await
}

/// What the gateway says of a payment whose money is not in.
///
/// # Errors
///
/// PAYMENT_NOT_OFFERED, PAYMENT_GATEWAY_UNAVAILABLE.
async fn ask(app: &App, stored: &StoredPayment) -> Result<Finding, AppError> {
    let Some(authority) = stored
        .authority
        .as_deref()
        .filter(|_| !stored.state.has_money())
    else {
        return Ok(Finding::Nothing);
    };
    let gateway = app.gateway.as_ref().ok_or(Reason::PaymentNotOffered)?;
    let authority: Authority = authority
        .parse()
        .map_err(|_| AppError::Internal("a stored authority is malformed"))?;
    let amount = Rials::try_from(stored.amount)
        .map_err(|_| AppError::Internal("a stored amount is not in current rials"))?;
    if !stored.state.is_open() {
        app.store.look_again(stored.id, app.clock.now()).await?;
    }
    let mut verified = gateway.verify(&authority, amount).await;
    if matches!(
        &verified,
        Err(Failure::Refused {
            meaning: Meaning::NotPaid,
            ..
        })
    ) && matches!(
        gateway.inquire(&authority).await,
        Ok(Standing::Paid | Standing::Verified)
    ) {
        // Paid in between.
        verified = gateway.verify(&authority, amount).await;
    }
    match verified {
        Ok(settlement) => {
            let receipt = settlement.receipt();
            Ok(Finding::Paid {
                reference: receipt.ref_id.clone(),
                fee: receipt.fee,
            })
        }
        // It may be that the payer is still at the bank: only what is over has failed.
        Err(Failure::Refused {
            meaning: Meaning::NotPaid,
            ..
        }) => match gateway.inquire(&authority).await {
            Ok(Standing::Failed | Standing::Reversed) => Ok(Finding::Failed("NOT_PAID".to_owned())),
            Ok(Standing::InBank) => Ok(Finding::Nothing),
            Ok(Standing::Paid | Standing::Verified) => Err(unavailable(
                stored,
                Failure::Unknown(Uncertainty::GatewayFault),
            )),
            Err(failure) => Err(unavailable(stored, failure)),
        },
        Err(Failure::Refused { meaning, .. }) if !passes(meaning) => {
            tracing::error!(payment = %stored.id, ?meaning, "a payment cannot be verified");
            Ok(Finding::Failed(word(meaning)))
        }
        Err(failure) => Err(unavailable(stored, failure)),
    }
}

/// Reads a payment that the caller may see: the window its subject's, an institution its own of codes, the Organization and
/// auditors all.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn get(
    app: &App,
    call: &Acting,
    id: Uuid,
    claim: Option<&PersonId>,
) -> Result<StoredPayment, AppError> {
    let stored = app.store_for(call).payment(id).await?;
    stored
        .filter(|stored| {
            let claimed = |claim: &PersonId| claim.key() == stored.person_key;
            let within = own_service(call).is_none_or(|service| service == stored.service);
            within
                && match call.caller.class {
                    CallerClass::SingleWindow => claim.is_some_and(claimed),
                    _ => may_read(call, &stored.institution) && claim.is_none_or(claimed),
                }
        })
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Whose payments a class has to do with; of all services when unset.
fn own_service(call: &Acting) -> Option<ServiceKind> {
    match call.caller.class {
        CallerClass::SingleWindow => Some(ServiceKind::EnrollmentCertificate),
        CallerClass::University | CallerClass::CentralBody => Some(ServiceKind::ValidityCode),
        CallerClass::Organization
        | CallerClass::Auditor
        | CallerClass::Monitor
        | CallerClass::NationalHub => None,
    }
}

/// Lists payments the caller may see, newest first; one more than the page has when there is another page.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED; [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    input: &ListInput,
) -> Result<Vec<StoredPayment>, AppError> {
    let filter = PaymentFilter {
        scope: list_scope(call, input.institution.as_ref(), input.claim.as_ref())?,
        service: own_service(call),
        state: input.state,
        application: input.application.map(Payable::name),
    };
    let store = app.store_for(call);
    Ok(store
        .list_payments(&filter, input.page.after, input.page.probe())
        .await?)
}
