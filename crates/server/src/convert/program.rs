//! Programmes of study, documents on paper, fees and revocations: what several
//! messages are made of.

use gavah_api::v1 as pb;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::{Program, ProgramInput};
use gavah_domain::tariff::Quote;
use gavah_domain::validity::DocumentFacts;
use gavah_domain::{Money, Reason, Violations};
use gavah_store::StoredRevocation;

use super::Known;
use super::enums::{from_pb, to_pb};
use super::identity::shown;
use super::time::{instant_to_pb, jalali_to_pb, term, term_to_pb};

/// A value that names an institution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named<T> {
    /// The value, with the institution's registered code where there is one.
    pub(super) value: T,
    /// Whether the institution is registered.
    pub(super) registered: bool,
}

impl<T> Named<T> {
    /// The value, when its institution is registered: one that is not and one
    /// that is somebody else's are the same to a caller.
    ///
    /// # Errors
    ///
    /// [`Reason::InstitutionNotOwned`].
    pub(super) fn registered(self) -> Result<T, Reason> {
        if self.registered {
            Ok(self.value)
        } else {
            Err(Reason::InstitutionNotOwned)
        }
    }
}

/// An institution by its code or an alias.
pub(super) fn institution(
    given: &str,
    known: &Known<'_>,
) -> Result<Named<InstitutionCode>, Reason> {
    let given = InstitutionCode::parse(given)?;
    let found = known.registered(&given);
    Ok(Named {
        registered: found.is_some(),
        value: found.unwrap_or(given),
    })
}

/// An institution to filter by; empty means no filter.
pub(super) fn institution_filter(
    given: &str,
    known: &Known<'_>,
) -> Result<Option<Named<InstitutionCode>>, Reason> {
    if given.is_empty() {
        Ok(None)
    } else {
        institution(given, known).map(Some)
    }
}

/// A programme; its term of entry must have begun.
pub(super) fn program(
    given: &pb::Program,
    known: &Known<'_>,
) -> Result<Named<Program>, Violations> {
    let entry_term = given.entry_term.as_ref().map(|entry| {
        let entry = term(entry)?;
        known
            .snapshot
            .terms
            .not_in_future(entry, known.today())
            .map(|()| entry)
    });
    let input = |institution| ProgramInput {
        institution,
        unit_name_fa: &given.unit_name_fa,
        student_number: &given.student_number,
        degree_level: from_pb(given.degree_level),
        field_code: &given.field_code,
        field_title_fa: &given.field_title_fa,
        field_title_en: &given.field_title_en,
        study_mode: from_pb(given.study_mode),
        entry_term,
    };
    match institution(&given.institution_code, known) {
        Ok(Named { value, registered }) => {
            Program::parse(input(value)).map(|value| Named { value, registered })
        }
        Err(reason) => {
            let mut found = Violations::default();
            found.push("institution_code", reason);
            // Any code in its place, so that the rest is judged all the same.
            if let Ok(Err(rest)) = InstitutionCode::parse("-").map(|any| Program::parse(input(any)))
            {
                found.extend(rest);
            }
            Err(found)
        }
    }
}

/// The contract's form of a programme.
#[must_use]
pub fn program_to_pb(program: &Program) -> pb::Program {
    pb::Program {
        institution_code: program.institution.as_str().to_owned(),
        unit_name_fa: shown(program.unit_name_fa.as_ref()),
        student_number: program.student_number.as_str().to_owned(),
        degree_level: to_pb(program.level),
        field_code: program.field_code.clone(),
        field_title_fa: program.field_title_fa.as_str().to_owned(),
        field_title_en: shown(program.field_title_en.as_ref()),
        study_mode: to_pb(program.study_mode),
        entry_term: Some(term_to_pb(program.entry_term)),
    }
}

/// The contract's form of what a paper says; its kind is told beside it.
#[must_use]
pub fn document_to_pb(document: &DocumentFacts) -> pb::Document {
    pb::Document {
        number: document.number.clone().unwrap_or_default(),
        issue_date: document.issue_date.map(jalali_to_pb),
        start_date: document.start_date.map(jalali_to_pb),
        end_date: document.end_date.map(jalali_to_pb),
        gpa_hundredths: document.gpa_hundredths.map(i32::from),
    }
}

/// The contract's form of an amount.
#[must_use]
pub fn money_to_pb(money: Money) -> pb::Money {
    pb::Money {
        amount: money.amount,
        unit: to_pb(money.unit),
    }
}

/// The contract's form of a fee.
#[must_use]
pub fn quote_to_pb(quote: &Quote) -> pb::Quote {
    pb::Quote {
        basis: to_pb(quote.basis),
        fee: quote.fee.map(money_to_pb),
        budget_year: quote.year,
        evidence: quote.evidence.clone(),
        tariff_version: quote.ground.as_ref().map_or(0, |ground| ground.version),
        digest: quote
            .ground
            .as_ref()
            .map_or_else(String::new, |ground| ground.digest.clone()),
    }
}

/// The contract's form of a revocation.
#[must_use]
pub fn revocation_to_pb(revocation: &StoredRevocation) -> pb::Revocation {
    pb::Revocation {
        reason: to_pb(revocation.reason),
        legal_basis: revocation.legal_basis.clone(),
        revoke_time: Some(instant_to_pb(revocation.revoke_time)),
        revoked_by: revocation.revoked_by.clone(),
    }
}

#[cfg(test)]
mod tests {
    use gavah_domain::MoneyUnit;
    use gavah_domain::tariff::{QuoteBasis, QuoteGround};

    use super::*;
    use crate::convert::fixtures;

    #[test]
    fn everything_wrong_with_a_programme_is_told_even_without_its_institution() {
        let snapshot = fixtures::snapshot();
        let given = pb::Program {
            institution_code: "A/B".to_owned(),
            student_number: "12".to_owned(),
            entry_term: Some(fixtures::term(1405, pb::TermKind::First)),
            ..Default::default()
        };
        let refused = program(&given, &fixtures::known(&snapshot)).unwrap_err();
        let refused: Vec<_> = refused
            .iter()
            .map(|v| (v.field.as_str(), v.reason))
            .collect();
        assert_eq!(
            refused,
            [
                ("institution_code", Reason::FieldFormat),
                ("student_number", Reason::FieldFormat),
                ("degree_level", Reason::FieldRequired),
                ("field_code", Reason::FieldRequired),
                ("field_title_fa", Reason::FieldRequired),
                ("study_mode", Reason::FieldRequired),
                ("entry_term", Reason::TermInFuture),
            ]
        );
    }

    #[test]
    fn an_alias_becomes_the_registered_code() {
        let snapshot = fixtures::snapshot();
        let known = fixtures::known(&snapshot);
        for (given, code, registered) in [
            ("UT", "UT", true),
            ("ut", "UT", true),
            ("۱۰۱۳", "UT", true),
            ("SBU", "SBU", false),
        ] {
            let found = institution(given, &known).unwrap();
            assert_eq!(
                (found.value.as_str(), found.registered),
                (code, registered),
                "{given}"
            );
        }
        let unknown = institution("SBU", &known).unwrap().registered();
        assert_eq!(unknown, Err(Reason::InstitutionNotOwned));
        assert_eq!(institution_filter("", &known), Ok(None));
    }

    #[test]
    fn a_programme_reads_back() {
        let snapshot = fixtures::snapshot();
        let given = fixtures::program();
        let read = program(&given, &fixtures::known(&snapshot)).unwrap();
        assert!(read.registered);
        assert_eq!(program_to_pb(&read.value), given);
    }

    #[test]
    fn a_fee_names_its_unit_and_its_ground() {
        let fee = Some(Money::new(500, MoneyUnit::IrrNew));
        let evidence = "budget law, table 7".to_owned();
        let quote = Quote {
            basis: QuoteBasis::TariffRow,
            fee,
            year: 1405,
            evidence,
            ground: Some(QuoteGround {
                version: 2,
                digest: "d".repeat(64),
            }),
        };
        let shown = quote_to_pb(&quote);
        assert_eq!(shown.basis(), pb::QuoteBasis::TariffRow);
        assert_eq!(
            shown.fee.map(|fee| (fee.amount, fee.unit())),
            Some((500, pb::MoneyUnit::IrrNew))
        );
        assert_eq!(
            (shown.budget_year, shown.evidence.as_str()),
            (1405, "budget law, table 7")
        );
        assert_eq!((shown.tariff_version, shown.digest.len()), (2, 64));
        let older = quote_to_pb(&Quote {
            ground: None,
            ..quote
        });
        assert_eq!((older.tariff_version, older.digest.as_str()), (0, ""));
    }
}
