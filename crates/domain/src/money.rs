//! Amounts of money, which always name their unit.

use std::{error::Error, fmt};

use crate::enums::text_enum;

text_enum! {
    /// The unit of an amount. The new rial has the name of the current one and ten thousand times its value, and for some
    /// years both are in circulation, so an amount without its unit means nothing.
    pub enum MoneyUnit {
        /// The rial as it was before the reform.
        IrrCurrent = "IRR_CURRENT",
        /// The rial of the reform: 10,000 current rials.
        IrrNew = "IRR_NEW",
    }
}

/// How many current rials make one new rial.
const CURRENT_PER_NEW: i64 = 10_000;

/// An amount in whole units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// How many units.
    pub amount: i64,
    /// Of which unit.
    pub unit: MoneyUnit,
}

impl Money {
    /// An amount of a unit.
    #[must_use]
    pub const fn new(amount: i64, unit: MoneyUnit) -> Self {
        Self { amount, unit }
    }

    /// Whether nothing is to be paid.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.amount == 0
    }

    /// The sum of two amounts of one unit.
    ///
    /// # Errors
    ///
    /// [`MoneyError::UnitMismatch`] for two units (convert one first), [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.unit != other.unit {
            return Err(MoneyError::UnitMismatch);
        }
        let amount = self
            .amount
            .checked_add(other.amount)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The same value in another unit: the one place where the two rials meet.
    ///
    /// # Errors
    ///
    /// [`MoneyError::NotExact`] when the value is no whole number of that unit, [`MoneyError::Overflow`].
    pub fn convert(self, to: MoneyUnit) -> Result<Self, MoneyError> {
        let amount = match (self.unit, to) {
            (MoneyUnit::IrrCurrent, MoneyUnit::IrrCurrent)
            | (MoneyUnit::IrrNew, MoneyUnit::IrrNew) => self.amount,
            (MoneyUnit::IrrNew, MoneyUnit::IrrCurrent) => self
                .amount
                .checked_mul(CURRENT_PER_NEW)
                .ok_or(MoneyError::Overflow)?,
            (MoneyUnit::IrrCurrent, MoneyUnit::IrrNew) if self.amount % CURRENT_PER_NEW == 0 => {
                self.amount / CURRENT_PER_NEW
            }
            (MoneyUnit::IrrCurrent, MoneyUnit::IrrNew) => return Err(MoneyError::NotExact),
        };
        Ok(Self { amount, unit: to })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.unit)
    }
}

/// Why amounts could not be reckoned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// The two amounts are of different units.
    UnitMismatch,
    /// The value is no whole number of the other unit.
    NotExact,
    /// The result is beyond 64 bits.
    Overflow,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnitMismatch => "the amounts are of different units",
            Self::NotExact => "the amount is no whole number of the other unit",
            Self::Overflow => "the amount is too large",
        })
    }
}

impl Error for MoneyError {}

#[cfg(test)]
mod tests {
    use super::*;

    const fn current(amount: i64) -> Money {
        Money::new(amount, MoneyUnit::IrrCurrent)
    }

    const fn new(amount: i64) -> Money {
        Money::new(amount, MoneyUnit::IrrNew)
    }

    #[test]
    fn only_amounts_of_one_unit_are_added() {
        assert_eq!(
            current(150_000).checked_add(current(50_000)),
            Ok(current(200_000))
        );
        assert_eq!(
            current(10_000).checked_add(new(1)),
            Err(MoneyError::UnitMismatch)
        );
        assert_eq!(
            current(i64::MAX).checked_add(current(1)),
            Err(MoneyError::Overflow)
        );
    }

    #[test]
    fn conversion_is_exact_or_refused() {
        let cases = [
            (current(150_000), MoneyUnit::IrrNew, Ok(new(15))),
            (new(15), MoneyUnit::IrrCurrent, Ok(current(150_000))),
            (
                current(155_000),
                MoneyUnit::IrrNew,
                Err(MoneyError::NotExact),
            ),
            (
                current(-155_000),
                MoneyUnit::IrrNew,
                Err(MoneyError::NotExact),
            ),
            (current(0), MoneyUnit::IrrNew, Ok(new(0))),
            (current(7), MoneyUnit::IrrCurrent, Ok(current(7))),
            (
                new(i64::MAX),
                MoneyUnit::IrrCurrent,
                Err(MoneyError::Overflow),
            ),
        ];
        for (amount, unit, expected) in cases {
            assert_eq!(amount.convert(unit), expected, "{amount}");
        }
    }

    #[test]
    fn an_amount_is_written_with_its_unit() {
        assert_eq!(current(150_000).to_string(), "150000 IRR_CURRENT");
        assert!(new(0).is_zero() && !new(1).is_zero());
    }
}
