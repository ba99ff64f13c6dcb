//! Flags that name a person.

use clap::Args;
use gavah_api::v1 as pb;
use serde_json::{Value, json};

use crate::message;
use crate::problem::Problem;

/// The person whose document it must be.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct SubjectClaim {
    /// The document must be about the person with this national code
    #[arg(long, value_name = "DIGITS")]
    claim_national_code: Option<String>,
    /// The document must be about the person with this foreign code: YEKTA:…, FARAGIR:… or FIDA:…
    #[arg(long, value_name = "KIND:DIGITS")]
    claim_foreign_code: Option<String>,
    /// The document must be about the person with this passport: IRQ:A1234567
    #[arg(long, value_name = "COUNTRY:NUMBER")]
    claim_passport: Option<String>,
}

impl SubjectClaim {
    /// The claim, if there is one.
    pub(crate) fn read(&self) -> Result<Option<pb::PersonId>, Problem> {
        let id = json(
            self.claim_national_code.as_deref(),
            self.claim_foreign_code.as_deref(),
            self.claim_passport.as_deref(),
        );
        match id {
            Value::Null => Ok(None),
            id => message::request("the claim", &id).map(Some),
        }
    }
}

/// The person a request is about.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Subject")]
pub(crate) struct Identity {
    /// National code (کد ملی)
    #[arg(long, value_name = "DIGITS", conflicts_with = "file")]
    national_code: Option<String>,
    /// Code of a foreign subject: YEKTA:…, FARAGIR:… or FIDA:…
    #[arg(long, value_name = "KIND:DIGITS", conflicts_with = "file")]
    foreign_code: Option<String>,
    /// Passport: IRQ:A1234567
    #[arg(long, value_name = "COUNTRY:NUMBER", conflicts_with = "file")]
    passport: Option<String>,
}

impl Identity {
    fn json(&self) -> Value {
        json(
            self.national_code.as_deref(),
            self.foreign_code.as_deref(),
            self.passport.as_deref(),
        )
    }
}

/// The name of the person a request is about.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Subject")]
pub(crate) struct Name {
    /// Given name in Persian
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    given_name_fa: Option<String>,
    /// Family name in Persian; required unless --no-family-name
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    family_name_fa: Option<String>,
    /// Given name in Latin letters
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    given_name_en: Option<String>,
    /// Family name in Latin letters
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    family_name_en: Option<String>,
    /// The person's documents carry no family name
    #[arg(long, conflicts_with_all = ["file", "family_name_fa", "family_name_en"])]
    no_family_name: bool,
}

/// The subject of a request, as the contract names it.
pub(crate) fn subject(identity: &Identity, name: &Name) -> Value {
    json!({
        "person_id": identity.json(),
        "name": {
            "given_name_fa": name.given_name_fa,
            "family_name_fa": name.family_name_fa,
            "given_name_en": name.given_name_en,
            "family_name_en": name.family_name_en,
            "no_family_name": name.no_family_name,
        },
    })
}

pub(super) fn json(national: Option<&str>, foreign: Option<&str>, passport: Option<&str>) -> Value {
    let split = |text: &str| {
        let (first, second) = text.split_once(':').unwrap_or((text, ""));
        (first.to_owned(), second.to_owned())
    };
    if let Some(digits) = national {
        return json!({"national_code": digits});
    }
    if let Some((kind, value)) = foreign.map(split) {
        return json!({"foreign_code": {"kind": kind, "value": value}});
    }
    match passport.map(split) {
        Some((country, number)) => json!({"passport": {"country": country, "number": number}}),
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_identity_becomes_the_contracts() {
        assert_eq!(json(Some("1"), None, None), json!({"national_code": "1"}));
        let id: pb::PersonId =
            message::request("", &json(None, Some("fida:12345678"), None)).unwrap();
        let Some(pb::person_id::Id::ForeignCode(code)) = id.id else {
            panic!("not a foreign code");
        };
        assert_eq!(
            (code.kind(), code.value.as_str()),
            (pb::ForeignCodeKind::Fida, "12345678")
        );
        assert_eq!(
            json(None, None, Some("IRQ:A1")),
            json!({"passport": {"country": "IRQ", "number": "A1"}})
        );
        assert_eq!(json(None, None, None), Value::Null);
    }
}
