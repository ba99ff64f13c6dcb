//! Payments.

use gavah_api::v1 as pb;
use gavah_domain::caller::CallerClass;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::payment::{
    DifferenceKind, LineState, NOTE_MAX_CHARS, PaymentState, RefundMethod,
};
use gavah_domain::{JalaliDate, Money, PersonId, Reason, Violations};
use gavah_store::{PageKey, StoredLine, StoredPayment, StoredRefund};
use uuid::Uuid;

use super::certificate::{GetInput, get_named};
use super::enums::{from_pb, to_pb};
use super::head::{Head, open};
use super::identity::subject_claim;
use super::names::Collection;
use super::page::{Page, take_page};
use super::program::{Named, institution_filter, money_to_pb};
use super::revocation::{Officer, officer};
use super::time::{self, instant_to_pb, jalali};
use super::{Known, check_rules, settle, silent_debug, text, too_many};
use crate::error::AppError;

const PAYMENTS: Collection = Collection::Payments;

/// Most payments of a page: each may have a thousand lines.
const PAGE_MAX: u64 = 100;

/// Most lines of a payment that a list tells.
const LISTED_LINES_MAX: usize = 10;

/// An application to be paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payable {
    /// For an enrollment certificate: its resource id.
    Certificate(Uuid),
    /// For a validity code: its resource id.
    Code(Uuid),
}

impl Payable {
    /// Reads the name of an application of either kind.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`].
    pub fn parse(name: &str) -> Result<Self, Reason> {
        let certificate = Collection::EnrollmentCertificateApplications.parse(name);
        match certificate {
            Ok(id) => Ok(Self::Certificate(id)),
            Err(_) => Collection::ValidityCodeApplications
                .parse(name)
                .map(Self::Code),
        }
    }

    /// The resource name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Certificate(id) => Collection::EnrollmentCertificateApplications.name(id),
            Self::Code(id) => Collection::ValidityCodeApplications.name(id),
        }
    }
}

/// A payment to begin.
#[derive(Clone, PartialEq, Eq)]
pub struct StartInput {
    /// Retry key.
    pub head: Head,
    /// What is paid for, in the order of the names: one certificate's application or some of codes.
    pub applications: Vec<Payable>,
    /// Where the payer is sent back to.
    pub callback_url: String,
    /// The person for whom the window acts.
    pub claim: Option<PersonId>,
}

/// A payment that the gateway is to be asked about.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfirmInput {
    /// Retry key.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The person for whom the window acts.
    pub claim: Option<PersonId>,
}

/// Which payments are listed.
#[derive(Clone, PartialEq, Eq)]
pub struct ListInput {
    /// The page.
    pub page: Page<PageKey>,
    /// Only this institution, by its registered code.
    pub institution: Option<InstitutionCode>,
    /// Only this state.
    pub state: Option<PaymentState>,
    /// Only of this application.
    pub application: Option<Payable>,
    /// Only this person; always set for the single window.
    pub claim: Option<PersonId>,
}

silent_debug!(StartInput, ConfirmInput, ListInput);

/// Money to pay back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundInput {
    /// Retry key.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The version that the officer saw.
    pub etag: i64,
    /// How.
    pub method: RefundMethod,
    /// The gateway's session or the officer's reference; empty with NOT_DONE.
    pub reference: String,
    /// Applications whose fees are paid back though their documents are issued.
    pub also: Vec<Payable>,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub officer: Officer,
}

/// A payment of a day file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    /// The gateway's name of it.
    pub authority: String,
    /// The gateway's number of the transaction.
    pub reference: String,
    /// What was paid.
    pub amount: Money,
}

/// A day to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileInput {
    /// Retry key.
    pub head: Head,
    /// The day.
    pub day: JalaliDate,
    /// What the file says was paid on it.
    pub rows: Vec<DayRow>,
}

/// What a day file and the service say differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// The gateway's name of the payment.
    pub authority: String,
    /// The payment, where there is one.
    pub payment: Option<Uuid>,
}

/// Reads a payment to begin.
///
/// # Errors
///
/// Every violation at once.
pub fn start(
    mut request: pb::StartPaymentRequest,
    class: CallerClass,
) -> Result<StartInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let mut applications = Vec::new();
    if !too_many(&annotated, "applications") {
        for (place, name) in request.applications.iter().enumerate() {
            let field = format!("applications[{place}]");
            let Some(application) = found.take(&field, Payable::parse(name)) else {
                continue;
            };
            // The window pays for certificates, institutions for codes; each once, and a certificate alone.
            let fits = match application {
                Payable::Certificate(_) => class == CallerClass::SingleWindow && place == 0,
                Payable::Code(_) => class != CallerClass::SingleWindow,
            };
            if !fits || applications.contains(&application) {
                found.push(field, Reason::FieldFormat);
            }
            applications.push(application);
        }
    }
    applications.sort_unstable();
    let claim = subject_claim(request.subject_claim.as_ref(), class, &mut found);
    let input = head.map(|head| StartInput {
        head,
        applications,
        callback_url: request.callback_url,
        claim,
    });
    settle(annotated, found, input)
}

/// Reads that the gateway is to be asked about a payment.
///
/// # Errors
///
/// Every violation at once.
pub fn confirm(
    mut request: pb::ConfirmPaymentRequest,
    class: CallerClass,
) -> Result<ConfirmInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", PAYMENTS.parse(&request.name));
    let claim = subject_claim(request.subject_claim.as_ref(), class, &mut found);
    let input = head
        .zip(id)
        .map(|(head, id)| ConfirmInput { head, id, claim });
    settle(annotated, found, input)
}

/// Reads a request for one payment.
///
/// # Errors
///
/// Every violation at once.
pub fn get(request: &pb::GetPaymentRequest, class: CallerClass) -> Result<GetInput, AppError> {
    let claim = request.subject_claim.as_ref();
    get_named(check_rules(request), PAYMENTS, &request.name, claim, class)
}

/// Reads a request for a list.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has registered the institution.
pub fn list(
    mut request: pb::ListPaymentsRequest,
    class: CallerClass,
    known: &Known<'_>,
) -> Result<ListInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let page = take_page(&mut request, &mut found);
    let institution = institution_filter(&request.institution_code, known);
    let institution = found.take("institution_code", institution);
    let application = match request.application.as_str() {
        "" => Some(None),
        name => found.take("application", Payable::parse(name).map(Some)),
    };
    let claim = subject_claim(request.subject_claim.as_ref(), class, &mut found);
    let input = page.zip(institution).zip(application);
    let ((page, institution), application) = settle(annotated, found, input)?;
    Ok(ListInput {
        page: Page {
            size: page.size.min(PAGE_MAX),
            ..page
        },
        institution: institution.map(Named::registered).transpose()?,
        state: from_pb(request.state),
        application,
        claim,
    })
}

/// Reads a refund.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn refund(mut request: pb::RefundPaymentRequest) -> Result<RefundInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", PAYMENTS.parse(&request.name));
    let method = from_pb(request.method).ok_or(Reason::FieldRequired);
    let method = found.take("method", method);
    let reference = request.reference.as_str();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let session = |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let reference_fits = match method {
        Some(RefundMethod::NotDone) => match reference {
            "" => Ok(()),
            _ => Err(Reason::FieldFormat),
        },
        Some(_) if reference.is_empty() => Err(Reason::FieldRequired),
        Some(RefundMethod::Gateway) if !session(reference) => Err(Reason::FieldFormat),
        Some(_) if !reference.bytes().all(word) => Err(Reason::FieldFormat),
        Some(_) | None => Ok(()),
    };
    found.take("reference", reference_fits);
    let mut also = Vec::new();
    if !too_many(&annotated, "also") {
        for (place, name) in request.also.iter().enumerate() {
            let field = format!("also[{place}]");
            also.extend(found.take(&field, Payable::parse(name)));
        }
        if !also.is_empty() && method == Some(RefundMethod::NotDone) {
            found.push("also", Reason::FieldFormat);
        }
    }
    let reason = found.take("reason", text(&request.reason, NOTE_MAX_CHARS));
    let officer = officer(request.officer.as_ref(), &mut found);
    let input = (|| {
        Some(RefundInput {
            head: head?,
            id: id?,
            etag: 0,
            method: method?,
            reference: reference.to_owned(),
            also,
            reason: reason?,
            officer: officer?,
        })
    })();
    let input = settle(annotated, found, input)?;
    let etag = time::etag(&request.etag)?.ok_or(Reason::EtagMismatch)?;
    Ok(RefundInput { etag, ..input })
}

/// Reads a day to compare.
///
/// # Errors
///
/// Every violation at once.
pub fn reconcile(
    mut request: pb::ReconcilePaymentsRequest,
    known: &Known<'_>,
) -> Result<ReconcileInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let day = match &request.day {
        None => Err(Reason::FieldRequired),
        Some(day) => jalali(day),
    };
    let day = found.take("day", day);
    if day.is_some_and(|day| day > known.today()) {
        found.push("day", Reason::FieldFormat);
    }
    let mut rows = Vec::new();
    if !too_many(&annotated, "rows") {
        for (place, row) in request.rows.into_iter().enumerate() {
            let amount = row.amount.unwrap_or_default();
            let field = format!("rows[{place}].amount");
            let unit = from_pb(amount.unit).ok_or(Reason::MoneyUnitRequired);
            if let Some(unit) = found.take(&format!("{field}.unit"), unit) {
                rows.push(DayRow {
                    authority: row.authority,
                    reference: row.reference,
                    amount: Money::new(amount.amount, unit),
                });
            }
        }
    }
    let input = head
        .zip(day)
        .map(|(head, day)| ReconcileInput { head, day, rows });
    settle(annotated, found, input)
}

/// The contract's form of a payment; `redirect_url` where it can be paid.
///
/// # Errors
///
/// [`AppError::Store`] when its lines do not add up.
pub fn payment_to_pb(
    stored: &StoredPayment,
    redirect_url: Option<String>,
) -> Result<pb::Payment, AppError> {
    let due = stored.sum(&[LineState::RefundDue])?;
    Ok(pb::Payment {
        name: PAYMENTS.name(stored.id),
        state: to_pb(stored.state),
        amount: Some(money_to_pb(stored.amount)),
        institution_code: stored.institution.as_str().to_owned(),
        lines: stored.lines.iter().map(line_to_pb).collect(),
        redirect_url: redirect_url.unwrap_or_default(),
        authority: stored.authority.clone().unwrap_or_default(),
        reference: stored.reference.clone().unwrap_or_default(),
        failure: stored.failure.clone(),
        refund_due: Some(money_to_pb(due)),
        refunds: stored.refunds.iter().map(refund_to_pb).collect(),
        expire_time: Some(instant_to_pb(stored.expire_time)),
        verify_time: stored.verify_time.map(instant_to_pb),
        settle_time: stored.settle_time.map(instant_to_pb),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
        line_count: i32::try_from(stored.lines.len()).unwrap_or(i32::MAX),
    })
}

/// The same in a list, which does not tell many lines.
///
/// # Errors
///
/// As [`payment_to_pb`].
pub fn listed_to_pb(
    stored: &StoredPayment,
    redirect_url: Option<String>,
) -> Result<pb::Payment, AppError> {
    let mut payment = payment_to_pb(stored, redirect_url)?;
    if payment.lines.len() > LISTED_LINES_MAX {
        payment.lines.clear();
    }
    Ok(payment)
}

fn line_to_pb(line: &StoredLine) -> pb::PaymentLine {
    pb::PaymentLine {
        application: line.application.clone(),
        fee: Some(money_to_pb(line.fee)),
        state: to_pb(line.state),
    }
}

fn refund_to_pb(refund: &StoredRefund) -> pb::PaymentRefund {
    pb::PaymentRefund {
        amount: Some(money_to_pb(refund.amount)),
        state: to_pb(refund.state),
        method: to_pb(refund.method),
        reference: refund.reference.clone(),
        create_time: Some(instant_to_pb(refund.create_time)),
    }
}

/// The contract's form of a difference.
#[must_use]
pub fn difference_to_pb(difference: Difference) -> pb::PaymentDifference {
    pb::PaymentDifference {
        kind: to_pb(difference.kind),
        authority: difference.authority,
        payment: difference
            .payment
            .map(|id| PAYMENTS.name(id))
            .unwrap_or_default(),
    }
}
