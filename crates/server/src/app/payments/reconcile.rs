//! A day compared with the gateway's file of it.

use std::collections::{HashMap, HashSet};

use gavah_domain::payment::DifferenceKind;
use gavah_domain::{MoneyUnit, Reason};
use gavah_store::{ActContext, Matched, StoredPayment};

use super::GATEWAY;
use crate::app::{App, context};
use crate::call::Acting;
use crate::convert::payment::{DayRow, Difference, ReconcileInput};
use crate::error::AppError;

/// Payments that are settled in one transaction.
const TOGETHER: usize = 200;

/// Compares; how many payments both sides say the same of, and what differs. Unless only checking, those are settled and
/// what only the file knows as paid is asked about.
///
/// # Errors
///
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn reconcile(
    app: &App,
    call: &Acting,
    input: ReconcileInput,
) -> Result<(usize, Vec<Difference>), AppError> {
    let store = app.store_for(call);
    let authorities: Vec<_> = input.rows.iter().map(|row| row.authority.clone()).collect();
    let known = store.payments_by_authority(GATEWAY, &authorities).await?;
    let of_day = store.payments_verified_on(GATEWAY, input.day).await?;
    let (matched, differences) = compare(&input.rows, &known, &of_day);
    if !input.head.validate_only {
        let context = context(call, &input.head, None, app.clock.now());
        let resource = format!("paymentDays/{}", input.day.as_i32());
        let claimed = match &context.claim {
            Some(claim) => store.claimed(claim).await?,
            None => None,
        };
        if claimed.is_none() {
            // Settling again changes nothing: what is cut off is done whole by the next call.
            let unclaimed = ActContext {
                claim: None,
                ..context.clone()
            };
            for settled in matched.settled.chunks(TOGETHER) {
                let part = Matched {
                    settled: settled.to_vec(),
                    to_ask: Vec::new(),
                };
                store.settle_payments(&unclaimed, &resource, &part).await?;
            }
        }
        let rest = Matched {
            settled: Vec::new(),
            to_ask: matched.to_ask.clone(),
        };
        if !store.settle_payments(&context, &resource, &rest).await? {
            return Err(Reason::RequestIdReused.into());
        }
    }
    Ok((matched.settled.len(), differences))
}

/// What both sides say the same of, and what differs.
fn compare(
    rows: &[DayRow],
    known: &[StoredPayment],
    of_day: &[StoredPayment],
) -> (Matched, Vec<Difference>) {
    let known: HashMap<_, _> = known
        .iter()
        .filter_map(|payment| Some((payment.authority.as_deref()?, payment)))
        .collect();
    let mut matched = Matched::default();
    let mut differences = Vec::new();
    let mut seen = HashSet::new();
    for row in rows {
        let payment = known.get(row.authority.as_str());
        let kind = if !seen.insert(row.authority.as_str()) {
            Some(DifferenceKind::Twice)
        } else {
            payment.map_or(Some(DifferenceKind::UnknownHere), |payment| {
                judge(row, payment)
            })
        };
        match (kind, payment) {
            (None, Some(payment)) => matched.settled.push(payment.id),
            (Some(DifferenceKind::NotVerifiedHere), Some(payment)) => {
                matched.to_ask.push(payment.id);
            }
            _ => {}
        }
        differences.extend(kind.map(|kind| Difference {
            kind,
            authority: row.authority.clone(),
            payment: payment.map(|payment| payment.id),
        }));
    }
    let missing = of_day.iter().filter_map(|payment| {
        let authority = payment.authority.as_deref()?;
        // The file of another day has it when the money was found out about after midnight.
        let missing = payment.settle_time.is_none() && !seen.contains(authority);
        missing.then(|| Difference {
            kind: DifferenceKind::MissingInFile,
            authority: authority.to_owned(),
            payment: Some(payment.id),
        })
    });
    differences.extend(missing);
    (matched, differences)
}

/// What the file and the service say differently of one payment.
fn judge(row: &DayRow, payment: &StoredPayment) -> Option<DifferenceKind> {
    // Compared by value: a file may write either rial.
    if row.amount.convert(MoneyUnit::IrrCurrent) != Ok(payment.amount) {
        return Some(DifferenceKind::Amount);
    }
    match &payment.reference {
        None => Some(DifferenceKind::NotVerifiedHere),
        Some(reference) if *reference != row.reference => Some(DifferenceKind::Reference),
        Some(_) => None,
    }
}
