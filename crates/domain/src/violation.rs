//! All that is wrong with an input at once, each with the path of its field.

use std::{error::Error, fmt};

use crate::reason::Reason;

/// One field that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the contract: `program.student_number`, `rows[3].subject`.
    pub field: String,
    /// The rule it breaks.
    pub reason: Reason,
}

/// The violations found while parsing one message.
///
/// A parser goes on after the first violation, so that the caller can correct everything in one go: it collects with
/// [`Violations::take`] and ends with [`Violations::finish`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Records that `field` breaks the rule `reason`.
    pub fn push(&mut self, field: impl Into<String>, reason: Reason) {
        self.0.push(Violation {
            field: field.into(),
            reason,
        });
    }

    /// The parsed value, or `None` after recording why `field` could not be parsed.
    pub fn take<T>(&mut self, field: &str, parsed: Result<T, Reason>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(reason) => {
                self.push(field, reason);
                None
            }
        }
    }

    /// Like [`Violations::take`] for a message inside the message: its violations are recorded under `prefix`.
    pub fn take_nested<T>(&mut self, prefix: &str, parsed: Result<T, Violations>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(inner) => {
                self.extend(inner.nest(prefix));
                None
            }
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many violations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The violations in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }

    /// The violations in the order in which they were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    /// The same violations with every path below `prefix`: `subject` and `birth_date` give `subject.birth_date`.
    #[must_use]
    pub fn nest(mut self, prefix: &str) -> Violations {
        for violation in &mut self.0 {
            violation.field = format!("{prefix}.{}", violation.field);
        }
        self
    }

    /// Adds the violations of another parser.
    pub fn extend(&mut self, other: Violations) {
        self.0.extend(other.0);
    }

    /// Ends a parser: `value` when nothing is wrong.
    ///
    /// # Errors
    ///
    /// The violations, when there are any, or when the value could not be built.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Violations> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self(vec![violation])
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => f.write_str("1 violation"),
            count => write!(f, "{count} violations"),
        }
    }
}

impl Error for Violations {}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(a: Result<u8, Reason>, b: Result<u8, Reason>) -> Result<(u8, u8), Violations> {
        let mut violations = Violations::default();
        let a = violations.take("a", a);
        let b = violations.take("b", b);
        violations.finish(a.zip(b))
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let refused = both(Err(Reason::FieldRequired), Err(Reason::FieldTooLong)).unwrap_err();
        let seen: Vec<_> = refused
            .iter()
            .map(|v| (v.field.as_str(), v.reason))
            .collect();
        assert_eq!(
            seen,
            [("a", Reason::FieldRequired), ("b", Reason::FieldTooLong)]
        );
        assert_eq!(refused.to_string(), "2 violations");
        assert_eq!(both(Ok(1), Ok(2)), Ok((1, 2)));
    }

    #[test]
    fn a_value_is_refused_when_there_is_any_violation() {
        let mut violations = Violations::default();
        violations.push("x", Reason::FieldFormat);
        assert!(violations.finish(Some(1)).is_err());
        assert!(Violations::default().finish::<u8>(None).is_err());
    }

    #[test]
    fn nested_violations_carry_the_whole_path() {
        let mut outer = Violations::default();
        outer.push("purpose", Reason::FieldRequired);
        let inner = both(Ok(1), Err(Reason::NameScript));
        assert_eq!(outer.take_nested("rows[3].subject", inner), None);
        let fields: Vec<_> = outer.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["purpose", "rows[3].subject.b"]);
    }
}
