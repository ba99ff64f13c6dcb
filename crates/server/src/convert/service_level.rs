//! Reports of service levels.

use gavah_api::v1 as pb;
use gavah_domain::service::ServiceKind;
use gavah_domain::{Reason, Violations};
use gavah_store::{ReportFilter, ReportParts, ReportRow, agreement_name};

use super::enums::{from_pb, to_pb};
use super::program::Named;
use super::program::institution_filter;
use super::{Known, check_rules, settle};
use crate::error::AppError;

/// Most months of a report.
const MONTHS_MAX: i32 = 60;

const AGREEMENTS: &str = "agreements/";

/// Reads what a report is asked of.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has registered the institution.
pub fn report(
    request: &pb::GetSlaReportRequest,
    known: &Known<'_>,
) -> Result<ReportFilter, AppError> {
    let mut found = Violations::default();
    let number = |month: &pb::JalaliMonth| month.year * 12 + month.month - 1;
    let from = request.from_month.unwrap_or_default();
    let to = request.to_month.unwrap_or(from);
    let months = number(&to) - number(&from) + 1;
    if !(1..=MONTHS_MAX).contains(&months) {
        found.push("to_month", Reason::FieldFormat);
    }
    let service: Option<ServiceKind> = from_pb(request.service);
    let request_type = Some(request.request_type.clone()).filter(|kind| !kind.is_empty());
    let services = match service {
        Some(service) => vec![service],
        None => vec![
            ServiceKind::EnrollmentCertificate,
            ServiceKind::ValidityCode,
        ],
    };
    let of_service = |kind: &String| {
        let mut types = services.iter().flat_map(|service| service.request_types());
        types.any(|known| known == kind)
    };
    if request_type.as_ref().is_some_and(|kind| !of_service(kind)) {
        found.push("request_type", Reason::FieldFormat);
    }
    let agreement = match request.agreement.as_str() {
        "" => None,
        name => match name.strip_prefix(AGREEMENTS) {
            Some(id) if !id.is_empty() => Some(id.to_owned()),
            _ => {
                found.push("agreement", Reason::FieldFormat);
                None
            }
        },
    };
    let institution = institution_filter(&request.institution_code, known);
    let institution = found.take("institution_code", institution);
    let mut parts = ReportParts::default();
    for dimension in request.group_by() {
        match dimension {
            pb::SlaDimension::RequestType => parts.request_type = true,
            pb::SlaDimension::Institution => parts.institution = true,
            pb::SlaDimension::Agreement => parts.agreement = true,
            pb::SlaDimension::Month => parts.month = true,
            pb::SlaDimension::Unspecified => {}
        }
    }
    let institution = settle(check_rules(request), found, institution)?;
    let institution = institution.map(Named::registered).transpose()?;
    Ok(ReportFilter {
        service,
        request_type,
        institution: institution.map(|code| code.as_str().to_owned()),
        agreement,
        from_month: from.year * 100 + from.month,
        to_month: to.year * 100 + to.month,
        parts,
    })
}

/// The contract's form of a row.
#[must_use]
pub fn row_to_pb(row: &ReportRow) -> pb::SlaReportRow {
    let seconds = |micros: Option<i64>| micros.unwrap_or_default() / 1_000_000;
    let figures = &row.figures;
    pb::SlaReportRow {
        service: to_pb(row.service),
        request_type: row.request_type.clone(),
        institution_code: row.institution.clone(),
        agreement: match row.agreement.as_str() {
            "" => String::new(),
            id => agreement_name(id),
        },
        month: (row.month != 0).then_some(pb::JalaliMonth {
            year: row.month / 100,
            month: row.month % 100,
        }),
        submitted: figures.submitted,
        measured: figures.measured,
        average_seconds: seconds(figures.average_micros()),
        p50_seconds: seconds(figures.p50_micros),
        p90_seconds: seconds(figures.p90_micros),
        p99_seconds: seconds(figures.p99_micros),
        open: figures.open,
        overdue: figures.overdue,
        breached: figures.breached,
    }
}
