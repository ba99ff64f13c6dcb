//! Medians and spreads.

use serde::{Serialize, Serializer};

/// What several rounds gave: the middle one, and between which two all of them lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle value; of an even number of rounds the mean of the two in the middle.
    #[serde(serialize_with = "rounded")]
    pub median: f64,
    /// The least value.
    #[serde(serialize_with = "rounded")]
    pub lowest: f64,
    /// The greatest value.
    #[serde(serialize_with = "rounded")]
    pub highest: f64,
}

impl Spread {
    /// Of some values; none when there is none, or one that is no number.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        if sorted.iter().any(|value| !value.is_finite()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, sorted[middle]),
        };
        Some(Self {
            median,
            lowest: *sorted.first()?,
            highest: *sorted.last()?,
        })
    }

    /// Of the ratios of what was measured in the same rounds; none when a divisor is zero.
    #[must_use]
    pub fn of_ratios(dividends: &[f64], divisors: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = dividends
            .iter()
            .zip(divisors)
            .map(|(dividend, divisor)| dividend / divisor)
            .collect();
        Self::of(&ratios)
    }
}

/// To a thousandth: more digits say nothing.
pub(crate) fn rounded<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((value * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_spread_holds_all_values() {
        for (values, median, lowest, highest) in [
            (&[3.0][..], 3.0, 3.0, 3.0),
            (&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0),
            (&[4.0, 1.0, 2.0, 100.0], 3.0, 1.0, 100.0),
        ] {
            let spread = Spread::of(values);
            assert_eq!(
                spread,
                Some(Spread {
                    median,
                    lowest,
                    highest
                })
            );
        }
    }

    #[test]
    fn nothing_and_what_is_no_number_has_no_spread() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine became twice as slow in the second round: the ratio did not change.
        let ratio = Spread::of_ratios(&[10.0, 20.0], &[5.0, 10.0]);
        assert_eq!(
            ratio,
            Some(Spread {
                median: 2.0,
                lowest: 2.0,
                highest: 2.0
            })
        );
    }
}
