//! Inquiries by person.

use gavah_api::v1 as pb;
use gavah_domain::disclosure::Extent;
use gavah_domain::institution::Institution;
use gavah_domain::{PersonId, Violations};

use super::enums::to_pb;
use super::identity::person_id;
use super::time::{instant_to_pb, term_to_pb};
use super::verdict::{Disclosure, Found};
use super::{check_rules, required, settle};
use crate::app::inquiries::{CodeFound, Coverage, EnrollmentFound};
use crate::error::AppError;

/// What a statement of coverage means.
const STATEMENT_FA: &str = "این پاسخ تنها از آنچه مؤسسه‌های نام‌برده ثبت کرده‌اند خبر دارد؛ یافت نشدن به معنای دانشجو نبودن یا مدرک نداشتن نیست.";
const STATEMENT_EN: &str = "the answer knows only what the named institutions have on record; that nothing is found does not mean that somebody is no student or has no document";

/// Reads whose codes are asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn codes(request: &pb::InquireValidityCodesRequest) -> Result<PersonId, AppError> {
    let mut found = Violations::default();
    let given = request.person_id.as_ref().map(person_id);
    let person = required(&mut found, "person_id", given);
    settle(check_rules(request), found, person)
}

/// Reads whose enrollments are asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn enrollment(request: &pb::InquireEnrollmentRequest) -> Result<PersonId, AppError> {
    let mut found = Violations::default();
    let given = request.person_id.as_ref().map(person_id);
    let person = required(&mut found, "person_id", given);
    settle(check_rules(request), found, person)
}

/// The contract's form of a code on record.
#[must_use]
pub fn code_to_pb(found: &CodeFound, institution: Option<&Institution>) -> pb::CodeOnRecord {
    let disclosure = Disclosure {
        found: Found::Code(&found.stored),
        institution,
        told: found.told,
        claim: None,
    };
    pb::CodeOnRecord {
        outcome: to_pb(found.verdict.outcome),
        reason: to_pb(found.verdict.reason),
        document: disclosure.document(),
    }
}

/// The contract's form of an enrollment on record.
#[must_use]
pub fn enrollment_to_pb(
    found: &EnrollmentFound,
    institution: Option<&Institution>,
) -> pb::EnrollmentOnRecord {
    let record = &found.stored.record;
    let whole = |extent: Extent| extent == Extent::Whole;
    let institution = institution.filter(|_| whole(found.told.institution));
    let program = Some(&record.program).filter(|_| whole(found.told.program));
    pb::EnrollmentOnRecord {
        institution_name_fa: institution
            .map(|own| own.name_fa.clone())
            .unwrap_or_default(),
        institution_name_en: institution
            .map(|own| own.name_en.clone())
            .unwrap_or_default(),
        degree_level: program.map_or(0, |program| to_pb(program.level)),
        field_title_fa: program
            .map(|program| program.field_title_fa.as_str().to_owned())
            .unwrap_or_default(),
        status: to_pb(record.status),
        current_term: Some(term_to_pb(record.current_term)),
        registered_units: i32::from(record.registered_units),
        as_of_time: Some(instant_to_pb(record.as_of_time)),
    }
}

/// The contract's form of a statement of coverage.
#[must_use]
pub fn coverage_to_pb(coverage: &Coverage) -> pb::Coverage {
    let institutions = coverage.institutions.iter();
    let institutions = institutions.map(|covered| pb::InstitutionCoverage {
        institution_code: covered.institution_code.clone(),
        records: covered.records,
        first_term: covered.terms.map(|(first, _)| term_to_pb(first)),
        last_term: covered.terms.map(|(_, last)| term_to_pb(last)),
        last_report_time: Some(instant_to_pb(covered.last_time)),
    });
    pb::Coverage {
        institutions: institutions.collect(),
        as_of_time: Some(instant_to_pb(coverage.as_of)),
        statement_fa: STATEMENT_FA.to_owned(),
        statement_en: STATEMENT_EN.to_owned(),
    }
}
