//! On whose behalf the national hub calls: three entries of the metadata, read once, beside the caller.
//!
//! They name no caller: who calls is the certificate's matter. What they say is believed only of a caller of class
//! `NATIONAL_HUB`, and holds only as far as agreements go ([`mandate`](crate::app::mandate)).

use gavah_domain::agreement::AgreementPurpose;
use gavah_domain::caller::CallerClass;
use gavah_domain::{LegalEntityId, Reason, Violations};
use http::HeaderMap;

use crate::error::AppError;

/// The agency's national id, eleven digits.
pub const ON_BEHALF_OF: &str = "gavah-on-behalf-of";
/// For what: the name of an [`AgreementPurpose`].
pub const PURPOSE: &str = "gavah-purpose";
/// The agency's agreement, `agreements/{id}`.
pub const AGREEMENT: &str = "gavah-agreement";

/// Longest name of an agreement.
const AGREEMENT_MAX_BYTES: usize = 200;

/// The agency for which the hub calls, for what, and under which agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBehalf {
    /// The agency.
    pub agency: LegalEntityId,
    /// For what it asks.
    pub purpose: AgreementPurpose,
    /// Id of its agreement.
    pub agreement: String,
}

/// Reads the metadata; `None` when there is none of it.
///
/// # Errors
///
/// ON_BEHALF_NOT_ALLOWED for any class but the hub's; every entry that is missing, given twice or malformed.
pub fn read(headers: &HeaderMap, class: CallerClass) -> Result<Option<OnBehalf>, AppError> {
    let names = [ON_BEHALF_OF, PURPOSE, AGREEMENT];
    if !names.iter().any(|name| headers.contains_key(*name)) {
        return Ok(None);
    }
    if class != CallerClass::NationalHub {
        return Err(Reason::OnBehalfNotAllowed.into());
    }
    let mut found = Violations::default();
    let mut take = |name: &'static str| {
        let field = format!("metadata.{name}");
        found.take(&field, single(headers, name))
    };
    let [agency, purpose, agreement] = names.map(&mut take);
    let agency = agency.and_then(|text| {
        let field = format!("metadata.{ON_BEHALF_OF}");
        found.take(&field, exact(text))
    });
    let purpose = purpose.and_then(|text| {
        let field = format!("metadata.{PURPOSE}");
        found.take(&field, text.parse())
    });
    let agreement = agreement.and_then(|text| {
        let id = text.strip_prefix("agreements/").filter(|id| !id.is_empty());
        let id = id.filter(|id| id.len() <= AGREEMENT_MAX_BYTES);
        let field = format!("metadata.{AGREEMENT}");
        found.take(&field, id.ok_or(Reason::FieldFormat))
    });
    let read = agency.zip(purpose).zip(agreement);
    let read = read.map(|((agency, purpose), agreement)| OnBehalf {
        agency,
        purpose,
        agreement: agreement.to_owned(),
    });
    Ok(Some(found.finish(read)?))
}

/// What a call lacks that may only be made on behalf of an agency.
#[must_use]
pub fn absent() -> AppError {
    let mut found = Violations::default();
    for name in [ON_BEHALF_OF, PURPOSE, AGREEMENT] {
        found.push(format!("metadata.{name}"), Reason::FieldRequired);
    }
    found.into()
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Reason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Reason::FieldRequired)?;
    if values.next().is_some() {
        return Err(Reason::FieldFormat);
    }
    match value.to_str() {
        Ok("") => Err(Reason::FieldRequired),
        Ok(value) => Ok(value),
        Err(_) => Err(Reason::FieldFormat),
    }
}

/// The id in ASCII digits and nothing else: metadata is written by machines.
fn exact(text: &str) -> Result<LegalEntityId, Reason> {
    let id = LegalEntityId::parse(text)?;
    if id.as_str() == text {
        Ok(id)
    } else {
        Err(Reason::FieldFormat)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const GOOD: [(&str, &str); 3] = [
        (ON_BEHALF_OF, "14099999990"),
        (PURPOSE, "VALIDATE"),
        (AGREEMENT, "agreements/agency/agencies/14099999990"),
    ];

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in entries {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn broken(entries: &[(&'static str, &str)]) -> Vec<(String, Reason)> {
        match read(&headers(entries), CallerClass::NationalHub) {
            Err(AppError::Invalid(found)) => found
                .into_vec()
                .into_iter()
                .map(|violation| (violation.field, violation.reason))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_but_the_hub_may_even_try() {
        for class in CallerClass::ALL.iter().copied() {
            assert_eq!(read(&HeaderMap::new(), class), Ok(None), "{class}");
            for entry in GOOD {
                let tried = read(&headers(&[entry]), class);
                if class != CallerClass::NationalHub {
                    let refused = AppError::from(Reason::OnBehalfNotAllowed);
                    assert_eq!(tried, Err(refused), "{class}");
                }
            }
        }
    }

    #[test]
    fn all_three_are_read_together() {
        let read = read(&headers(&GOOD), CallerClass::NationalHub);
        let expected = OnBehalf {
            agency: LegalEntityId::parse("14099999990").unwrap(),
            purpose: AgreementPurpose::Validate,
            agreement: "agency/agencies/14099999990".to_owned(),
        };
        assert_eq!(read, Ok(Some(expected)));
    }

    #[test]
    fn what_is_missing_repeated_or_malformed_is_named() {
        let field = |name: &str| format!("metadata.{name}");
        for left in 0..3 {
            let mut entries = GOOD.to_vec();
            let (name, value) = entries.remove(left);
            assert_eq!(broken(&entries), [(field(name), Reason::FieldRequired)]);
            entries.push((name, ""));
            assert_eq!(broken(&entries), [(field(name), Reason::FieldRequired)]);
            entries.push((name, value));
            assert_eq!(broken(&entries), [(field(name), Reason::FieldFormat)]);
        }
        for (agency, reason) in [
            ("1409999999", Reason::FieldFormat),
            ("14099999991", Reason::NationalIdChecksum),
            ("140-99999990", Reason::FieldFormat),
            (" 14099999990", Reason::FieldFormat),
            ("14099999990,14099999990", Reason::FieldFormat),
            ("callers/hub", Reason::FieldFormat),
        ] {
            let entries = [(ON_BEHALF_OF, agency), GOOD[1], GOOD[2]];
            assert_eq!(
                broken(&entries),
                [(field(ON_BEHALF_OF), reason)],
                "{agency}"
            );
        }
        for purpose in ["validate", "VALIDATE,MATCH", "AUDIT"] {
            let entries = [GOOD[0], (PURPOSE, purpose), GOOD[2]];
            let expected = [(field(PURPOSE), Reason::FieldFormat)];
            assert_eq!(broken(&entries), expected, "{purpose}");
        }
        for agreement in ["agency", "agreements/", "Agreements/agency"] {
            let entries = [GOOD[0], GOOD[1], (AGREEMENT, agreement)];
            let expected = [(field(AGREEMENT), Reason::FieldFormat)];
            assert_eq!(broken(&entries), expected, "{agreement}");
        }
        let all = [(ON_BEHALF_OF, "1"), (PURPOSE, "x"), (AGREEMENT, "y")];
        assert_eq!(broken(&all).len(), 3);
    }
}
