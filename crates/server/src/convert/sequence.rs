//! The numbers of a stream's rows.

use std::ops::RangeInclusive;

use gavah_domain::{Reason, Violations};

/// Reads the numbers of a stream's rows: each greater than the one before.
#[derive(Debug)]
pub struct Sequence {
    field: &'static str,
    left: Option<RangeInclusive<i64>>,
}

impl Sequence {
    /// A stream whose rows tell their numbers in `field`, of those `allowed`.
    #[must_use]
    pub fn new(field: &'static str, allowed: RangeInclusive<i64>) -> Self {
        Self {
            field,
            left: Some(allowed),
        }
    }

    /// The number of the next row.
    ///
    /// # Errors
    ///
    /// The violation: nothing after it can be told apart from what came before.
    pub fn next(&mut self, given: i64) -> Result<i64, Violations> {
        match &self.left {
            Some(left) if left.contains(&given) => {
                let end = *left.end();
                self.left = given.checked_add(1).map(|next| next..=end);
                Ok(given)
            }
            _ => {
                let mut violations = Violations::default();
                violations.push(self.field, Reason::FieldFormat);
                Err(violations)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the numbers are taken.
    fn taken(allowed: RangeInclusive<i64>, given: &[i64]) -> Vec<bool> {
        let mut sequence = Sequence::new("row.sequence", allowed);
        given
            .iter()
            .map(|given| sequence.next(*given).is_ok())
            .collect()
    }

    #[test]
    fn a_number_that_does_not_increase_is_a_violation_of_its_field() {
        let mut sequence = Sequence::new("row.sequence", 0..=9);
        sequence.next(3).unwrap();
        let found = sequence.next(3).unwrap_err().into_vec();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].field.as_str(), found[0].reason),
            ("row.sequence", Reason::FieldFormat)
        );
    }

    #[test]
    fn numbers_begin_anywhere_and_increase_with_or_without_gaps_to_the_last_one() {
        let all = i64::MIN..=i64::MAX;
        assert_eq!(
            taken(all.clone(), &[-7, -6, 0, 0, 5, 4, 6]),
            [true, true, true, false, true, false, true]
        );
        assert_eq!(taken(all, &[i64::MAX, i64::MAX, 0]), [true, false, false]);
        assert_eq!(
            taken(0..=9, &[-1, 0, 10, 9, 9, 10]),
            [false, true, false, true, false, false]
        );
    }
}
