//! Quotes that are asked for, and tariff tables.

use gavah_api::v1 as pb;
use gavah_domain::certificate::RequestType;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::service::ServiceKind;
use gavah_domain::tariff::{ISSUE, TariffRow, TariffYear};
use gavah_domain::{JalaliDate, Reason, Violations};

use super::enums::{from_pb, option_to_pb, to_pb};
use super::program::money_to_pb;
use super::time::{instant_to_pb, jalali, jalali_to_pb};
use super::{Known, check_rules, settle};
use crate::error::AppError;

/// What a quote is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteInput {
    /// The service.
    pub service: ServiceKind,
    /// Type of request, as tables name it.
    pub request_type: &'static str,
    /// The institution.
    pub institution: InstitutionCode,
    /// The day.
    pub date: JalaliDate,
}

/// Which table is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListInput {
    /// Budget year.
    pub year: i32,
    /// Version; the newest when unset.
    pub version: Option<i32>,
}

/// Reads what a quote is asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn ask(request: &pb::QuoteFeeRequest, known: &Known<'_>) -> Result<QuoteInput, AppError> {
    let annotated = check_rules(request);
    let mut found = Violations::default();
    let service = found.take(
        "service",
        from_pb(request.service).ok_or(Reason::FieldRequired),
    );
    let kind: Option<RequestType> = from_pb(request.application_type);
    let request_type = service.and_then(|service| {
        let request_type = match (service, kind) {
            (ServiceKind::EnrollmentCertificate, Some(kind)) => Ok(kind.as_str()),
            (ServiceKind::EnrollmentCertificate, None) => Err(Reason::FieldRequired),
            (ServiceKind::ValidityCode, None) => Ok(ISSUE),
            (ServiceKind::ValidityCode, Some(_)) => Err(Reason::FieldFormat),
        };
        found.take("application_type", request_type)
    });
    let institution = InstitutionCode::parse(&request.institution_code);
    let institution = found.take("institution_code", institution);
    let date = match &request.date {
        None => Some(known.today()),
        Some(date) => found.take("date", jalali(date)),
    };
    let input = service.zip(request_type).zip(institution).zip(date);
    let input = input.map(
        |(((service, request_type), institution), date)| QuoteInput {
            service,
            request_type,
            institution: known.registered_or_given(institution),
            date,
        },
    );
    settle(annotated, found, input)
}

/// Reads which table is asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn list(request: &pb::ListTariffRowsRequest) -> Result<ListInput, AppError> {
    let input = ListInput {
        year: request.budget_year,
        version: Some(request.version).filter(|version| *version != 0),
    };
    settle(check_rules(request), Violations::default(), Some(input))
}

/// The contract's form of a table.
#[must_use]
pub fn table_to_pb(table: &TariffYear, newest_version: i32) -> pb::ListTariffRowsResponse {
    pb::ListTariffRowsResponse {
        name: format!("tariffs/{}/versions/{}", table.year, table.version),
        budget_year: table.year,
        version: table.version,
        newest_version,
        legal_reference: table.legal_reference.clone(),
        digest: table.digest.clone(),
        publish_time: table.publish_time.map(instant_to_pb),
        rows: table.rows.iter().map(row_to_pb).collect(),
    }
}

fn row_to_pb(row: &TariffRow) -> pb::TariffRow {
    let kind = row.request_type.as_deref();
    let kind: Option<RequestType> = kind.and_then(|kind| kind.parse().ok());
    pb::TariffRow {
        service: to_pb(row.service),
        application_type: option_to_pb(kind),
        institution_type: option_to_pb(row.institution_type),
        from_date: row.from_date.map(jalali_to_pb),
        fee: Some(money_to_pb(row.fee)),
        legal_reference: row.legal_reference.clone(),
    }
}
