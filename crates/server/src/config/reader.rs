//! Reads a TOML document key by key and keeps count: every wrong value, every missing key and every key that nobody
//! asked for becomes a [`Problem`].
//!
//! Deserializing into a struct would stop at the first of them.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// A document being read.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// From which relative paths count.
    pub(super) folder: &'a Path,
    sections: DeTable<'a>,
    /// What was found wrong.
    pub(super) problems: Vec<Problem>,
    /// Every key that was asked for, as `section.key`.
    #[cfg(test)]
    pub(super) keys: Vec<String>,
}

/// One table of the document.
pub(super) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: &'static str,
    table: DeTable<'a>,
    keys: Vec<&'static str>,
}

/// A value and the bytes of the document it was read from.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// Where in the document; none for what is not there.
pub(super) type Span = Option<Range<usize>>;

/// There is no value, and the problem has been reported.
pub(super) struct Reported;

impl<'a> Reader<'a> {
    /// Parses a document. One that is not TOML is told as that alone: what its values are would be a guess.
    pub(super) fn new(text: &'a str, folder: &'a Path) -> Result<Self, Vec<Problem>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            text,
            folder,
            sections: document.into_inner(),
            problems: Vec::new(),
            #[cfg(test)]
            keys: Vec::new(),
        };
        for error in errors {
            let problem = format!("not TOML: {}", error.message());
            reader.problem(error.span(), String::new(), problem);
        }
        // What follows an error on its line follows from it.
        reader.problems.dedup_by_key(|problem| problem.line);
        match reader.problems.is_empty() {
            true => Ok(reader),
            false => Err(reader.problems),
        }
    }

    /// Reads one table with `read`; a missing one counts as empty. Then reports the keys that `read` did not ask for.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        let mut table = DeTable::new();
        if let Some((_, value)) = self.sections.remove_entry(name) {
            let span = Some(value.span());
            match value.into_inner() {
                DeValue::Table(found) => table = found,
                _ => self.problem(
                    span,
                    name.to_owned(),
                    format!("must be a table, written [{name}]"),
                ),
            }
        }
        let mut section = Section {
            reader: self,
            name,
            table,
            keys: Vec::new(),
        };
        let result = read(&mut section);
        section.finish();
        result
    }

    /// Reports the tables and keys at the top that nobody asked for.
    pub(super) fn finish(&mut self, names: &[&str]) {
        for (key, _) in std::mem::take(&mut self.sections) {
            let text = format!("unknown; the sections are {}", names.join(", "));
            self.problem(Some(key.span()), key.into_inner().into_owned(), text);
        }
        self.problems
            .sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    }

    fn problem(&mut self, span: Span, key: String, text: String) {
        let line = span.map(|span| {
            let before = self.text.as_bytes().iter().take(span.start);
            before.filter(|byte| **byte == b'\n').count() + 1
        });
        self.problems.push(Problem { line, key, text });
    }
}

impl Section<'_, '_> {
    /// From which relative paths count.
    pub(super) fn folder(&self) -> &Path {
        self.reader.folder
    }

    /// Takes a value of the right type out of the table; another type is a problem, absence is not.
    pub(super) fn take<T: FromToml>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Found<T>>, Reported> {
        let Some(Found { value, span }) = self.take_any(key) else {
            return Ok(None);
        };
        match T::from_toml(value) {
            Some(value) => Ok(Some(Found { value, span })),
            None => Err(self.wrong(key, span, format!("must be {}", T::EXPECTED))),
        }
    }

    /// Takes a value of whatever type out of the table.
    pub(super) fn take_any(&mut self, key: &'static str) -> Option<Found<DeValue<'_>>> {
        self.keys.push(key);
        let (_, value) = self.table.remove_entry(key)?;
        let span = Some(value.span());
        Some(Found {
            value: value.into_inner(),
            span,
        })
    }

    /// As [`Section::take`]; a missing key is a problem too, told with what the key is for.
    pub(super) fn require<T: FromToml>(
        &mut self,
        key: &'static str,
        what: &str,
    ) -> Result<Found<T>, Reported> {
        self.take(key)?.ok_or_else(|| self.missing(key, what))
    }

    /// Where the value of a key is that has not been taken yet.
    pub(super) fn span(&self, key: &str) -> Span {
        self.table.get(key).map(Spanned::span)
    }

    /// Reports a key that must be there.
    pub(super) fn missing(&mut self, key: &str, what: &str) -> Reported {
        self.wrong(key, None, format!("missing; it must name {what}"))
    }

    /// Reports a problem.
    pub(super) fn wrong(&mut self, key: &str, span: Span, text: impl Into<String>) -> Reported {
        let key = self.path(key);
        self.reader.problem(span, key, text.into());
        Reported
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn finish(mut self) {
        for (key, _) in std::mem::take(&mut self.table) {
            let (span, key) = (Some(key.span()), key.into_inner());
            let in_a_file = format!("{key}_file");
            let text = match self.keys.iter().find(|known| **known == in_a_file) {
                Some(known) => format!("unknown; secrets lie in files of their own, write {known}"),
                None => format!(
                    "unknown; the keys of [{}] are {}",
                    self.name,
                    self.keys.join(", ")
                ),
            };
            self.wrong(&key, span, text);
        }
        #[cfg(test)]
        for key in &self.keys {
            let path = self.path(key);
            self.reader.keys.push(path);
        }
    }
}

/// A type of value that a key may have.
pub(super) trait FromToml: Sized {
    /// "must be …"
    const EXPECTED: &'static str;

    /// None when the value is of another type.
    fn from_toml(value: DeValue<'_>) -> Option<Self>;
}

impl FromToml for String {
    const EXPECTED: &'static str = "a text in quotation marks";

    fn from_toml(value: DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Cow::into_owned(text)),
            _ => None,
        }
    }
}

impl FromToml for u64 {
    const EXPECTED: &'static str = "a whole number, not negative";

    fn from_toml(value: DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }
}

impl FromToml for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_toml(value: DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

impl FromToml for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_toml(value: DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        }
    }
}

impl FromToml for Vec<String> {
    const EXPECTED: &'static str = "a list of texts in quotation marks";

    fn from_toml(value: DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Array(items) => items
                .into_iter()
                .map(Spanned::into_inner)
                .map(String::from_toml)
                .collect(),
            _ => None,
        }
    }
}
