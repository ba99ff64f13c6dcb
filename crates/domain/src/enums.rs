//! Enums with one stable text form: the name on the wire, in the store and in logs is written once, beside the variant.

/// An enum whose values have stable text names.
pub trait TextEnum: Copy + Sized + 'static {
    /// Every value, in the order of declaration.
    const ALL: &'static [Self];

    /// The stable name of the value, in SCREAMING_SNAKE_CASE.
    fn as_str(self) -> &'static str;
}

/// Declares an enum with stable text names: `ALL`, `as_str`, `Display`, `FromStr` (exact name, else
/// [`Reason::FieldFormat`](crate::Reason::FieldFormat)) and [`TextEnum`].
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant ),+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// The stable name of the value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text ),+
                }
            }
        }

        impl $crate::enums::TextEnum for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::reason::Reason;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == text)
                    .ok_or($crate::reason::Reason::FieldFormat)
            }
        }
    };
}

pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::MoneyUnit, reason::Reason};

    fn names<T: TextEnum>() -> Vec<&'static str> {
        T::ALL.iter().map(|value| value.as_str()).collect()
    }

    #[test]
    fn a_name_reads_back_to_its_value() {
        for unit in MoneyUnit::ALL {
            assert_eq!(unit.to_string().parse(), Ok(*unit));
        }
        assert_eq!(names::<MoneyUnit>(), ["IRR_CURRENT", "IRR_NEW"]);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        for text in ["", "irr_new", "IRR_NEW ", "TOMAN"] {
            assert_eq!(
                text.parse::<MoneyUnit>(),
                Err(Reason::FieldFormat),
                "{text:?}"
            );
        }
    }
}
