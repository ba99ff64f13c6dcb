//! The documents by which a service is provided: uploaded, published, kept in every version.

use crate::{enums::text_enum, reason::Reason};

/// Largest document, in bytes.
pub const DOCUMENT_MAX_BYTES: usize = 10_000_000;

/// Greatest length of a document's key, in characters.
const KEY_MAX_CHARS: usize = 64;

text_enum! {
    /// What a document is.
    pub enum ServiceDocumentKind {
        /// How requests go (گردش کار).
        Workflow = "WORKFLOW",
        /// A directive (بخشنامه).
        Directive = "DIRECTIVE",
        /// A by-law (آیین‌نامه).
        ByLaw = "BY_LAW",
        /// A guide (راهنما).
        Guide = "GUIDE",
        /// A service-level agreement (توافق‌نامه سطح خدمت).
        Agreement = "AGREEMENT",
        /// The exchange center's general regulations, parent of the agreements (مقررات عمومی).
        GeneralRegulations = "GENERAL_REGULATIONS",
    }
}

text_enum! {
    /// State of a version of a document.
    pub enum ServiceDocumentState {
        /// Uploaded; read by the Organization alone.
        Draft = "DRAFT",
        /// In force.
        Published = "PUBLISHED",
        /// A later version is in force.
        Superseded = "SUPERSEDED",
    }
}

/// Reads the key that a document keeps through its versions: small letters, digits and dashes, `directive-1405-3`.
///
/// # Errors
///
/// [`Reason::FieldRequired`], [`Reason::FieldTooLong`] or [`Reason::FieldFormat`].
pub fn parse_document_key(input: &str) -> Result<String, Reason> {
    if input.is_empty() {
        return Err(Reason::FieldRequired);
    }
    if input.len() > KEY_MAX_CHARS {
        return Err(Reason::FieldTooLong);
    }
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if input.bytes().all(good) && !input.starts_with('-') && !input.ends_with('-') {
        Ok(input.to_owned())
    } else {
        Err(Reason::FieldFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_small_letters_digits_and_dashes() {
        for good in ["a", "directive-1405-3", "77"] {
            assert_eq!(parse_document_key(good), Ok(good.to_owned()));
        }
        let long = "a".repeat(65);
        for (bad, reason) in [
            ("", Reason::FieldRequired),
            ("-a", Reason::FieldFormat),
            ("a-", Reason::FieldFormat),
            ("A", Reason::FieldFormat),
            ("a b", Reason::FieldFormat),
            ("سند", Reason::FieldFormat),
            (long.as_str(), Reason::FieldTooLong),
        ] {
            assert_eq!(parse_document_key(bad), Err(reason), "{bad}");
        }
    }
}
