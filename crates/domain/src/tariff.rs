//! Fees: quoted from the tables of the budget year, and free only for a reason that can be shown.

use std::cmp::Reverse;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::{
    calendar::JalaliDate, enums::text_enum, institution::InstitutionType, money::Money,
    reason::Reason, service::ServiceKind,
};

/// The one request type of the validity code service.
pub const ISSUE: &str = "ISSUE";

/// A row of a tariff table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffRow {
    /// The service.
    pub service: ServiceKind,
    /// Type of request the row is for; `None` means any.
    pub request_type: Option<String>,
    /// Kind of institution the row is for; `None` means any.
    pub institution_type: Option<InstitutionType>,
    /// The day of the year from which the row holds; the whole year when unset.
    pub from_date: Option<JalaliDate>,
    /// The fee.
    pub fee: Money,
    /// The provision the fee rests on.
    pub legal_reference: String,
}

/// A published version of a budget year's tariff table. A table without rows is a table: everything is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffYear {
    /// The budget year, which is the Jalali year.
    pub year: i32,
    /// Its version, from 1. The greatest one decides; those before stay readable.
    pub version: i32,
    /// The law.
    pub legal_reference: String,
    /// SHA-256 over [`TariffYear::canonical_text`], 64 lower-case hex digits.
    pub digest: String,
    /// When it was published; unset for tables older than versions.
    pub publish_time: Option<Timestamp>,
    /// Its rows.
    pub rows: Vec<TariffRow>,
}

impl TariffYear {
    /// What its digest is over: each part with its length, so that no two tables have the same text. Neither version nor
    /// time is in it: the same content has the same digest.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let mut text = "gavah tariff table 1\n".to_owned();
        part(&mut text, "budget_year", &self.year.to_string());
        part(&mut text, "legal_reference", &self.legal_reference);
        for row in &self.rows {
            part(&mut text, "service", row.service.as_str());
            let request_type = row.request_type.as_deref();
            part(&mut text, "request_type", request_type.unwrap_or_default());
            let kind = row.institution_type.map(InstitutionType::as_str);
            part(&mut text, "institution_type", kind.unwrap_or_default());
            let from = row.from_date.map(|date| date.to_string());
            part(&mut text, "from_date", &from.unwrap_or_default());
            part(&mut text, "fee", &row.fee.to_string());
            part(&mut text, "legal_reference", &row.legal_reference);
        }
        text
    }
}

/// The version of a year's table that decides.
#[must_use]
pub fn newest(tables: &[TariffYear], year: i32) -> Option<&TariffYear> {
    let versions = tables.iter().filter(|table| table.year == year);
    versions.max_by_key(|table| table.version)
}

/// `name length:value` and the end of the line.
fn part(text: &mut String, name: &str, value: &str) {
    // writing to a text cannot fail
    let _ = writeln!(text, "{name} {}:{value}", value.len());
}

text_enum! {
    /// On what ground a fee was decided.
    pub enum QuoteBasis {
        /// A row of the year's table with a price.
        TariffRow = "TARIFF_ROW",
        /// A row of the year's table with price zero.
        ZeroRow = "ZERO_ROW",
        /// The year's table has no row for it: completely free.
        FreeNoTariffRow = "FREE_NO_TARIFF_ROW",
        /// Exempt by rule.
        Exempt = "EXEMPT",
    }
}

/// The fee of an act and its ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The ground.
    pub basis: QuoteBasis,
    /// The fee; set exactly when something is to be paid.
    pub fee: Option<Money>,
    /// The budget year of the table.
    pub year: i32,
    /// The legal reference of the row, or that there is none.
    pub evidence: String,
    /// The table it rests on; none where no table decided, and in quotes older than versions.
    pub ground: Option<QuoteGround>,
}

/// What makes a quote provable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteGround {
    /// Version of the year's table.
    pub version: i32,
    /// SHA-256 over [`Quoted::text`], 64 lower-case hex digits.
    pub digest: String,
}

/// What a fee is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced<'a> {
    /// The service.
    pub service: ServiceKind,
    /// Type of request.
    pub request_type: &'a str,
    /// Kind of institution.
    pub institution_type: InstitutionType,
    /// The day, which also says the budget year.
    pub date: JalaliDate,
}

/// A quote with the text that its digest is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// The quote.
    pub quote: Quote,
    /// Everything that decided it, each part with its length.
    pub text: String,
}

impl Quote {
    /// Whether the act may go on without a payment.
    ///
    /// # Errors
    ///
    /// [`Reason::PaymentRequired`] when there is a fee.
    pub const fn require_free(&self) -> Result<(), Reason> {
        match self.basis {
            QuoteBasis::TariffRow => Err(Reason::PaymentRequired),
            QuoteBasis::ZeroRow | QuoteBasis::FreeNoTariffRow | QuoteBasis::Exempt => Ok(()),
        }
    }
}

/// The fee of a request, by the greatest version of its year's table. Of the rows that fit and hold on the day, the most
/// specific one decides: both type of request and kind of institution, then type of request, then kind of institution, then
/// neither; of equals the one that holds from the latest day; of those the first. `sha256` gives 64 hex digits.
///
/// # Errors
///
/// [`Reason::TariffYearNotLoaded`] when there is no table for the year: that nothing is known does not make it free.
pub fn quote(
    tables: &[TariffYear],
    asked: &Priced<'_>,
    sha256: impl Fn(&str) -> String,
) -> Result<Quoted, Reason> {
    let year = asked.date.year();
    let table = newest(tables, year).ok_or(Reason::TariffYearNotLoaded)?;
    let fitting = table.rows.iter().filter(|row| {
        row.service == asked.service
            && row
                .request_type
                .as_deref()
                .is_none_or(|only| only == asked.request_type)
            && row
                .institution_type
                .is_none_or(|only| only == asked.institution_type)
            && row.from_date.is_none_or(|from| from <= asked.date)
    });
    // false sorts before true, so the least key names most; `min_by_key` keeps the first of equals
    let row = fitting.min_by_key(|row| {
        (
            row.request_type.is_none(),
            row.institution_type.is_none(),
            Reverse(row.from_date),
        )
    });
    let (basis, fee, evidence) = match row {
        None => (
            QuoteBasis::FreeNoTariffRow,
            None,
            format!("no row in table of year {year}"),
        ),
        Some(row) if row.fee.amount == 0 => {
            (QuoteBasis::ZeroRow, None, row.legal_reference.clone())
        }
        Some(row) => (
            QuoteBasis::TariffRow,
            Some(row.fee),
            row.legal_reference.clone(),
        ),
    };
    let mut text = "gavah quote 1\n".to_owned();
    part(&mut text, "service", asked.service.as_str());
    part(&mut text, "request_type", asked.request_type);
    part(
        &mut text,
        "institution_type",
        asked.institution_type.as_str(),
    );
    part(&mut text, "budget_year", &year.to_string());
    part(&mut text, "tariff_version", &table.version.to_string());
    part(&mut text, "tariff_digest", &table.digest);
    part(&mut text, "basis", basis.as_str());
    let amount = fee.map(|fee| fee.to_string()).unwrap_or_default();
    part(&mut text, "fee", &amount);
    part(&mut text, "evidence", &evidence);
    let digest = sha256(&text);
    let quote = Quote {
        basis,
        fee,
        year,
        evidence,
        ground: Some(QuoteGround {
            version: table.version,
            digest,
        }),
    };
    Ok(Quoted { quote, text })
}

#[cfg(test)]
mod tests;
