//! Codes that were issued before this service.

use gavah_api::v1 as pb;
use gavah_domain::program::Program;
use gavah_domain::record::{Subject, parse_external_ref};
use gavah_domain::validity::DocumentFacts;
use gavah_domain::{Reason, ValidityCode, Violations};
use jiff::Timestamp;
use uuid::Uuid;

use super::code::document;
use super::enums::from_pb;
use super::head::{digest_of, open};
use super::identity::subject;
use super::program::{Named, program};
use super::time::instant;
use super::{Known, check_rules, required, settle, silent_debug};
use crate::error::AppError;

/// A code to import.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyInput {
    /// The digits.
    pub code: ValidityCode,
    /// The student.
    pub subject: Subject,
    /// The programme, with its institution's registered code.
    pub program: Program,
    /// The document.
    pub document: DocumentFacts,
    /// Whether a second major was declared.
    pub double_major_declared: bool,
    /// The importer's own reference; may be empty.
    pub external_ref: String,
    /// When it was issued.
    pub issue_time: Timestamp,
}

/// One row of a batch.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyRow {
    /// Digest over the row.
    pub digest: [u8; 32],
    /// The code, or everything that is wrong with it.
    pub code: Result<LegacyInput, AppError>,
}

/// Codes to import.
#[derive(Clone, PartialEq, Eq)]
pub struct ImportInput {
    /// Retry key of the batch.
    pub request_id: Uuid,
    /// Whether only to check.
    pub validate_only: bool,
    /// The rows, in order.
    pub rows: Vec<LegacyRow>,
}

silent_debug!(LegacyInput, LegacyRow, ImportInput);

/// Reads codes to import; a row that is wrong is refused alone.
///
/// # Errors
///
/// Every violation of the batch itself at once.
pub fn import(
    mut request: pb::BatchImportLegacyCodesRequest,
    known: &Known<'_>,
) -> Result<ImportInput, AppError> {
    let (annotated, head) = open(&mut request);
    let head = settle(annotated, Violations::default(), head)?;
    let rows = request.codes.iter().enumerate();
    let rows = rows.map(|(index, given)| LegacyRow {
        digest: digest_of("gavah.v1.LegacyCode", given),
        code: row(index, given, known),
    });
    Ok(ImportInput {
        request_id: head.request_id,
        validate_only: head.validate_only,
        rows: rows.collect(),
    })
}

fn row(index: usize, given: &pb::LegacyCode, known: &Known<'_>) -> Result<LegacyInput, AppError> {
    let path = format!("codes[{index}]");
    let mut found = Violations::default();
    let code = found.take_nested(&path, legacy(given, known));
    let code = settle(check_rules(given).nest(&path), found, code)?;
    Ok(code.registered()?)
}

fn legacy(given: &pb::LegacyCode, known: &Known<'_>) -> Result<Named<LegacyInput>, Violations> {
    let today = known.today();
    let mut found = Violations::default();
    let code = ValidityCode::parse(&given.code).or(Err(Reason::FieldFormat));
    let code = found.take("code", code);
    let person = given.subject.as_ref().map(|given| subject(given, today));
    let person = required(&mut found, "subject", person);
    let programme = given.program.as_ref().map(|given| program(given, known));
    let programme = required(&mut found, "program", programme);
    let kind = from_pb(given.document_kind);
    let kind = found.take("document_kind", kind.ok_or(Reason::FieldRequired));
    let facts = document(given.document.as_ref(), kind, today);
    let facts = found.take_nested("document", facts);
    let external_ref = found.take("external_ref", parse_external_ref(&given.external_ref));
    let issued = given.issue_time.as_ref().map(instant);
    let issued = issued.unwrap_or(Err(Reason::FieldRequired));
    let issued = issued.and_then(|at| {
        if at > known.now {
            Err(Reason::FieldFormat)
        } else {
            Ok(at)
        }
    });
    let issued = found.take("issue_time", issued);
    let legacy = (|| {
        let programme = programme?;
        let registered = programme.registered;
        let value = LegacyInput {
            code: code?,
            subject: person?,
            program: programme.value,
            document: kind.and(facts)?,
            double_major_declared: given.double_major_declared,
            external_ref: external_ref?,
            issue_time: issued?,
        };
        Some(Named { value, registered })
    })();
    found.finish(legacy)
}
