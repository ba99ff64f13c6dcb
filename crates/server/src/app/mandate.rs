//! Under which agreement a call is made, and what that lets it do and be told.

use gavah_domain::Reason;
use gavah_domain::agreement::{Agreement, AgreementField, AgreementPurpose, AgreementState};
use gavah_domain::caller::CallerClass;
use gavah_domain::disclosure::Told;
use jiff::Timestamp;

use super::quotas::Counted;
use super::{App, actor};
use crate::call::Acting;
use crate::error::{AppError, Refusal};
use crate::on_behalf;

/// The agreements a call is made under: none where the class needs none, else the caller's own, and for the hub the
/// agency's too. What it may do is what all of them allow.
#[derive(Debug, Clone, Copy)]
pub struct Mandate<'a> {
    agreements: [Option<&'a Agreement>; 2],
}

impl<'a> Mandate<'a> {
    /// The agreements.
    pub fn agreements(&self) -> impl Iterator<Item = &'a Agreement> + Clone + use<'a> {
        self.agreements.into_iter().flatten()
    }

    /// Whether all of them disclose the field.
    #[must_use]
    pub fn discloses(&self, field: AgreementField) -> bool {
        self.agreements()
            .all(|agreement| agreement.fields.contains(&field))
    }

    /// What of `told` may be told under all of them.
    #[must_use]
    pub fn narrow(&self, told: Told) -> Told {
        self.agreements()
            .fold(told, |told, agreement| agreement.narrow(told))
    }
}

/// Whether the caller may use the service for `purpose` now, `counted` as so many calls of its agreements.
///
/// # Errors
///
/// AGREEMENT_NOT_ACTIVE, PURPOSE_NOT_IN_AGREEMENT; every missing entry of the metadata when the hub names no agency;
/// DAILY_QUOTA, BURST.
pub fn mandate<'a>(
    app: &App,
    call: &'a Acting,
    purpose: AgreementPurpose,
    counted: Counted,
    now: Timestamp,
) -> Result<Mandate<'a>, AppError> {
    let agreements = match call.caller.class {
        CallerClass::University | CallerClass::CentralBody => {
            let mut consumers = vec![actor(call)];
            if let Some(own) = &call.caller.institution {
                consumers.push(format!("institutions/{}", own.as_str()));
            }
            [Some(in_force(call, &consumers, None, purpose, now)?), None]
        }
        CallerClass::NationalHub => {
            let agency = call.on_behalf.as_deref().ok_or_else(on_behalf::absent)?;
            if agency.purpose != purpose {
                return Err(not_agreed(purpose));
            }
            let own = in_force(call, &[actor(call)], None, purpose, now)?;
            let consumer = format!("agencies/{}", agency.agency.as_str());
            let named = Some(agency.agreement.as_str());
            let theirs = in_force(call, &[consumer], named, purpose, now)?;
            [Some(own), Some(theirs)]
        }
        CallerClass::SingleWindow
        | CallerClass::Organization
        | CallerClass::Auditor
        | CallerClass::Monitor => [None, None],
    };
    let mandate = Mandate { agreements };
    app.quotas.take(call, mandate.agreements(), counted, now)?;
    Ok(mandate)
}

/// The first agreement of the consumers that is in force and for the purpose; the one `named`, when it is.
fn in_force<'a>(
    call: &'a Acting,
    consumers: &[String],
    named: Option<&str>,
    purpose: AgreementPurpose,
    now: Timestamp,
) -> Result<&'a Agreement, AppError> {
    let snapshot = &call.snapshot;
    let mut refused = Reason::AgreementNotActive;
    let own = consumers
        .iter()
        .flat_map(|consumer| snapshot.agreements_of(consumer))
        .filter(|agreement| named.is_none_or(|named| agreement.id == named))
        // Of another caller's agencies nothing is told, not even what their agreements lack.
        .filter(|agreement| {
            let through = agreement.through.as_deref();
            through.is_none_or(|caller| caller == call.caller.id.as_str())
        })
        .filter(|agreement| {
            let under = snapshot.call(&agreement.call_id);
            under.is_some_and(|under| under.is_open(now))
        });
    for agreement in own {
        match agreement.permits(purpose) {
            Ok(()) => return Ok(agreement),
            Err(Reason::PurposeNotInAgreement) => refused = Reason::PurposeNotInAgreement,
            Err(_) => {}
        }
    }
    match refused {
        Reason::PurposeNotInAgreement => Err(not_agreed(purpose)),
        refused => Err(refused.into()),
    }
}

/// The agreements that the caller may use now, each with the calls that are left of it today where they are bounded.
#[must_use]
pub fn quotas_left<'a>(
    app: &App,
    call: &'a Acting,
    now: Timestamp,
) -> Vec<(&'a Agreement, Option<i64>)> {
    let own = actor(call);
    let institution = call.caller.institution.as_ref();
    let institution = institution.map(|own| format!("institutions/{}", own.as_str()));
    let usable = |agreement: &&Agreement| {
        let whose = agreement.consumer == own
            || Some(&agreement.consumer) == institution.as_ref()
            || agreement.through.as_deref() == Some(call.caller.id.as_str());
        let under = call.snapshot.call(&agreement.call_id);
        whose
            && agreement.state == AgreementState::Active
            && under.is_some_and(|under| under.is_open(now))
    };
    let usable = call.snapshot.agreements.iter().filter(usable);
    usable
        .map(|agreement| (agreement, app.quotas.left(agreement, now)))
        .collect()
}

pub(super) fn not_agreed(purpose: AgreementPurpose) -> AppError {
    Refusal::new(Reason::PurposeNotInAgreement)
        .with("purpose", purpose.as_str())
        .into()
}
