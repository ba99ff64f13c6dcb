//! What requests cost, and the tables that say so.

use gavah_domain::Reason;
use gavah_domain::caller::CallerClass;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::tariff::{Priced, Quoted, TariffYear, newest, quote};
use gavah_store::{Snapshot, sha256};

use super::owned;
use crate::call::Acting;
use crate::convert::tariff::{ListInput, QuoteInput};
use crate::error::{AppError, Refusal};

/// The quote of what is asked for: the only way to one.
///
/// # Errors
///
/// TARIFF_YEAR_NOT_LOADED with the year.
pub(super) fn quoted(snapshot: &Snapshot, asked: &Priced<'_>) -> Result<Quoted, AppError> {
    let year = asked.date.year();
    quote(&snapshot.tariffs, asked, sha256).map_err(|reason| not_loaded(reason, year))
}

fn not_loaded(reason: Reason, year: i32) -> AppError {
    Refusal::new(reason)
        .with("budget_year", year.to_string())
        .into()
}

/// Quotes a fee without anything coming of it.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED, RESOURCE_NOT_FOUND, INSTITUTION_TYPE_NOT_ELIGIBLE, TARIFF_YEAR_NOT_LOADED.
pub fn quote_fee(call: &Acting, input: &QuoteInput) -> Result<Quoted, AppError> {
    let institution_type = institution_type(call, &input.institution)?;
    quoted(
        &call.snapshot,
        &Priced {
            service: input.service,
            request_type: input.request_type,
            institution_type,
            date: input.date,
        },
    )
}

fn institution_type(
    call: &Acting,
    code: &InstitutionCode,
) -> Result<gavah_domain::institution::InstitutionType, AppError> {
    let institution = match call.caller.class {
        CallerClass::University | CallerClass::CentralBody => owned(call, code)?,
        CallerClass::SingleWindow
        | CallerClass::NationalHub
        | CallerClass::Organization
        | CallerClass::Auditor
        | CallerClass::Monitor => {
            let found = call.snapshot.institution(code.as_str());
            &found.ok_or(Reason::ResourceNotFound)?.institution
        }
    };
    // what is never issued has no price, and must not seem free
    if !institution.kind.is_eligible() {
        return Err(Refusal::new(Reason::InstitutionTypeNotEligible)
            .with("institution_type", institution.kind.as_str())
            .into());
    }
    Ok(institution.kind)
}

/// A version of a year's table, and the number of the newest.
///
/// # Errors
///
/// TARIFF_YEAR_NOT_LOADED; RESOURCE_NOT_FOUND when the year has not that version.
pub fn table(call: &Acting, input: ListInput) -> Result<(&TariffYear, i32), AppError> {
    let tables = &call.snapshot.tariffs;
    let newest = newest(tables, input.year)
        .ok_or_else(|| not_loaded(Reason::TariffYearNotLoaded, input.year))?;
    let version = input.version.unwrap_or(newest.version);
    let mut versions = tables.iter().filter(|table| table.year == input.year);
    let found = versions.find(|table| table.version == version);
    Ok((found.ok_or(Reason::ResourceNotFound)?, newest.version))
}
