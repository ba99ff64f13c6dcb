//! Between the contract and the domain.
//!
//! A request is read in two passes, so that all that is wrong with it is told at
//! once: first the rules annotated in the contract ([`check_rules`]), then the
//! domain's parsers, of which only what adds something is kept. What comes out
//! are plain inputs of domain types, one struct per operation; nothing behind
//! them looks at the wire again. Replies go the other way and cannot fail.
//!
//! Inputs carry personal data and codes, so their `Debug` prints their name only.

pub mod agreement;
pub mod application;
pub mod attachment;
pub mod audit;
pub mod certificate;
pub mod change;
pub mod code;
pub mod code_application;
pub mod dispute;
pub mod document;
pub mod enums;
pub mod feed;
mod head;
pub mod identity;
pub mod incident;
pub mod inquiry;
pub mod job;
pub mod legacy;
pub mod names;
pub mod page;
pub mod payment;
pub mod program;
pub mod record;
pub mod registry;
pub mod revocation;
pub mod sandbox;
pub mod sequence;
pub mod service_level;
pub mod tariff;
pub mod time;
pub mod verdict;

#[cfg(test)]
mod fixtures;

use std::collections::HashSet;

use gavah_api::{Rule, Validate};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::violation::Violation;
use gavah_domain::{DisplayText, JalaliDate, Reason, Violations};
use gavah_store::Snapshot;
use jiff::Timestamp;

pub use head::{Head, WriteRequest};

use crate::error::AppError;

/// What is known when a request is read.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The instant of the call.
    pub now: Timestamp,
    /// The registry: institution codes with their aliases, and the terms.
    pub snapshot: &'a Snapshot,
}

impl Known<'_> {
    /// The date of the call in Tehran.
    #[must_use]
    pub fn today(&self) -> JalaliDate {
        JalaliDate::of(self.now)
    }

    /// The registered code of an institution given by its code or an alias.
    #[must_use]
    pub fn registered(&self, code_or_alias: &InstitutionCode) -> Option<InstitutionCode> {
        let found = self.snapshot.institution(code_or_alias.as_str());
        found.map(|stored| stored.institution.code.clone())
    }

    /// As [`Known::registered`]; an unknown code stays as it is.
    #[must_use]
    pub fn registered_or_given(&self, code_or_alias: InstitutionCode) -> InstitutionCode {
        self.registered(&code_or_alias).unwrap_or(code_or_alias)
    }
}

/// Prints the instant: the registry is long.
impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// What a message breaks of the rules annotated in the contract.
#[must_use]
pub fn check_rules(message: &impl Validate) -> Violations {
    let mut found = Violations::default();
    for broken in message.violations() {
        let reason = match broken.rule {
            Rule::Required => Reason::FieldRequired,
            Rule::TooLong => Reason::FieldTooLong,
            Rule::Format => Reason::FieldFormat,
            Rule::TooMany => Reason::BatchTooLarge,
        };
        found.push(broken.field, reason);
    }
    found
}

/// Both passes in one list, each field once. The annotated rules come first and
/// speak of the parts of a field rather than the whole, so a finding of the
/// domain on a field they complain about, or on what it is part of, adds
/// nothing. Only a date is better told as a whole: that it does not exist says
/// more than which of its numbers is out of range.
fn both(annotated: Violations, parsed: Violations) -> Violations {
    let mut all: Vec<Violation> = annotated.into_vec();
    let mut told: HashSet<String> = all.iter().flat_map(|known| places(&known.field)).collect();
    for found in parsed {
        if found.reason == Reason::JalaliDateInvalid && told.contains(&found.field) {
            all.retain(|known| places(&known.field).all(|place| place != found.field));
            all.push(found);
        } else if !told.contains(&found.field) {
            told.extend(places(&found.field));
            all.push(found);
        }
    }
    let mut both = Violations::default();
    for violation in all {
        both.push(violation.field, violation.reason);
    }
    both
}

/// A path and everything it leads through: `a[0].b` is in `a[0]`, and that in
/// `a`.
fn places(path: &str) -> impl Iterator<Item = String> {
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
    ends.chain([path.len()]).map(|end| path[..end].to_owned())
}

/// Whether a list has more items than allowed, which then are not read at all.
fn too_many(annotated: &Violations, list: &str) -> bool {
    let mut broken = annotated.iter();
    broken.any(|known| known.reason == Reason::BatchTooLarge && known.field == list)
}

/// A required message inside the message: its violations are nested, its absence
/// is one.
fn required<T>(
    found: &mut Violations,
    field: &str,
    part: Option<Result<T, Violations>>,
) -> Option<T> {
    match part {
        Some(parsed) => found.take_nested(field, parsed),
        None => found.take(field, Err(Reason::FieldRequired)),
    }
}

/// A text in display form.
fn text(given: &str, max_chars: usize) -> Result<String, Reason> {
    DisplayText::parse(given, max_chars).map(|text| text.as_str().to_owned())
}

/// A text in display form; what is blank is not given.
fn optional_text(given: &str, max_chars: usize) -> Result<Option<String>, Reason> {
    match text(given, max_chars) {
        Err(Reason::FieldRequired) => Ok(None),
        other => other.map(Some),
    }
}

/// Ends the reading of a request.
fn settle<T>(annotated: Violations, parsed: Violations, value: Option<T>) -> Result<T, AppError> {
    let all = both(annotated, parsed);
    if all.is_empty() {
        value.ok_or(AppError::Internal(
            "a request was refused without a violation",
        ))
    } else {
        Err(all.into())
    }
}

/// A `Debug` that prints the type's name and nothing else.
macro_rules! silent_debug {
    ($($name:ident $(<$lifetime:lifetime>)?),+ $(,)?) => {
        $(
            impl std::fmt::Debug for $name$(<$lifetime>)? {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!(stringify!($name), "(…)"))
                }
            }
        )+
    };
}

use silent_debug;

#[cfg(test)]
mod tests {
    use gavah_api::v1 as pb;

    use super::*;

    #[test]
    fn each_annotated_rule_has_its_reason() {
        let request = pb::BatchValidateCodesRequest {
            requests: vec![pb::ValidateCodeRequest {
                purpose: 0,
                code: "1".repeat(129),
                subject_claim: Some(pb::PersonId { id: None }),
            }],
        };
        let found: Vec<_> = check_rules(&request).into_iter().collect();
        let found: Vec<_> = found.iter().map(|v| (v.field.as_str(), v.reason)).collect();
        assert_eq!(
            found,
            [
                ("requests[0].code", Reason::FieldTooLong),
                ("requests[0].subject_claim.id", Reason::FieldRequired),
            ]
        );
        let request = pb::BatchValidateCodesRequest {
            requests: vec![pb::ValidateCodeRequest::default(); 1001],
        };
        let found = check_rules(&request).into_vec();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].reason, Reason::BatchTooLarge);
        let request = pb::ListValidityCodesRequest {
            page_size: -1,
            ..Default::default()
        };
        assert_eq!(
            check_rules(&request).into_vec()[0].reason,
            Reason::FieldFormat
        );
    }

    fn violations(list: &[(&str, Reason)]) -> Violations {
        let mut all = Violations::default();
        for (field, reason) in list {
            all.push(*field, *reason);
        }
        all
    }

    #[test]
    fn a_field_is_reported_once() {
        let annotated = violations(&[
            ("a.b", Reason::FieldTooLong),
            ("list[2].x", Reason::FieldRequired),
            ("date.month", Reason::FieldFormat),
            ("date.day", Reason::FieldFormat),
            ("dates.day", Reason::FieldFormat),
        ]);
        let parsed = violations(&[
            ("a.b", Reason::FieldFormat),
            ("a", Reason::FieldFormat),
            ("a.bc", Reason::FieldFormat),
            ("list", Reason::FieldFormat),
            ("list[2].y", Reason::FieldFormat),
            ("date", Reason::JalaliDateInvalid),
            ("a.bc", Reason::NameScript),
        ]);
        assert_eq!(
            both(annotated, parsed),
            violations(&[
                ("a.b", Reason::FieldTooLong),
                ("list[2].x", Reason::FieldRequired),
                ("dates.day", Reason::FieldFormat),
                ("a.bc", Reason::FieldFormat),
                ("list[2].y", Reason::FieldFormat),
                ("date", Reason::JalaliDateInvalid),
            ])
        );
    }

    #[test]
    fn a_request_without_violation_and_without_value_is_our_fault() {
        let nothing = settle::<()>(Violations::default(), Violations::default(), None);
        assert!(matches!(nothing, Err(AppError::Internal(_))));
    }
}
