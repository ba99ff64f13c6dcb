//! How much load, for how long. Every plan is bounded in calls and in time.

use std::time::Duration;

use serde::Serialize;

/// Bounds that no command line can exceed.
const MOST_RATE: f64 = 1_000_000.0;
const MOST_IN_FLIGHT: usize = 8_192;
const MOST_CALLS: u64 = 100_000_000;
const LONGEST: Duration = Duration::from_secs(3_600);
const MOST_ROUNDS: usize = 100;
const MOST_CONNECTIONS: usize = 1_024;

/// How calls follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// So many calls a second are sent, whether the earlier ones were answered or not: as callers that know nothing
    /// of each other do.
    Open {
        /// Calls a second.
        rate: f64,
    },
    /// So many calls are in flight; the next is sent when one is answered.
    Closed {
        /// Calls in flight.
        in_flight: usize,
    },
}

/// One measurement, for one side or for several that take turns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Plan {
    /// How calls follow one another.
    pub pattern: Pattern,
    /// Connections over which the calls are spread.
    pub connections: usize,
    /// Load before each round that is not counted.
    #[serde(rename = "warm_up_seconds", serialize_with = "seconds")]
    pub warm_up: Duration,
    /// Length of a round.
    #[serde(rename = "round_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Calls of a round at most.
    pub max_calls: u64,
    /// Rounds.
    pub rounds: usize,
}

fn seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// A plan that would load nothing, or without end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} must be {bounds}, not {given}")]
pub struct PlanError {
    /// What is out of bounds.
    pub what: &'static str,
    /// Its bounds.
    pub bounds: String,
    /// What was given.
    pub given: String,
}

impl Plan {
    /// Passes a plan that loads something and ends.
    ///
    /// # Errors
    /// [`PlanError`] for the first figure out of bounds.
    pub fn checked(self) -> Result<Self, PlanError> {
        match self.pattern {
            Pattern::Open { rate } => within("the rate", rate, f64::MIN_POSITIVE, MOST_RATE)?,
            Pattern::Closed { in_flight } => {
                within("the number in flight", in_flight, 1, MOST_IN_FLIGHT)?;
            }
        }
        within(
            "the number of connections",
            self.connections,
            1,
            MOST_CONNECTIONS,
        )?;
        within("the number of rounds", self.rounds, 1, MOST_ROUNDS)?;
        within("the number of calls", self.max_calls, 1, MOST_CALLS)?;
        let (warm_up, round) = (self.warm_up.as_secs_f64(), self.duration.as_secs_f64());
        within("the warm-up's seconds", warm_up, 0.0, LONGEST.as_secs_f64())?;
        within(
            "a round's seconds",
            round,
            f64::MIN_POSITIVE,
            LONGEST.as_secs_f64(),
        )?;
        Ok(self)
    }

    /// The bounds of one round.
    #[must_use]
    pub fn round(&self) -> Bounds {
        Bounds {
            duration: self.duration,
            calls: self.max_calls,
        }
    }

    /// The bounds of the load before a round.
    #[must_use]
    pub fn before(&self) -> Bounds {
        Bounds {
            duration: self.warm_up,
            calls: self.max_calls,
        }
    }
}

/// When a load ends: with the first of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// No call is begun later.
    pub duration: Duration,
    /// No more calls are made.
    pub calls: u64,
}

fn within<T: PartialOrd + std::fmt::Display + Copy>(
    what: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), PlanError> {
    // Also false for what is no number.
    if value >= least && value <= most {
        return Ok(());
    }
    let some = format!("more than 0 and at most {most}");
    let bounds = match least.to_string().parse::<f64>() {
        Ok(least) if least > 0.0 && least < 1.0 => some,
        _ => format!("between {least} and {most}"),
    };
    Err(PlanError {
        what,
        bounds,
        given: value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Plan = Plan {
        pattern: Pattern::Closed { in_flight: 64 },
        connections: 8,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(5),
        max_calls: 1_000,
        rounds: 3,
    };

    #[test]
    fn a_plan_that_loads_nothing_or_without_end_is_refused() {
        assert_eq!(GOOD.checked(), Ok(GOOD));
        let rate = |rate| Plan {
            pattern: Pattern::Open { rate },
            ..GOOD
        };
        assert!(rate(0.5).checked().is_ok());
        for bad in [
            rate(0.0),
            rate(-1.0),
            rate(f64::NAN),
            rate(f64::INFINITY),
            Plan {
                pattern: Pattern::Closed { in_flight: 0 },
                ..GOOD
            },
            Plan {
                pattern: Pattern::Closed {
                    in_flight: 1_000_000,
                },
                ..GOOD
            },
            Plan {
                connections: 0,
                ..GOOD
            },
            Plan { rounds: 0, ..GOOD },
            Plan {
                max_calls: 0,
                ..GOOD
            },
            Plan {
                max_calls: u64::MAX,
                ..GOOD
            },
            Plan {
                duration: Duration::ZERO,
                ..GOOD
            },
            Plan {
                duration: Duration::from_secs(86_400),
                ..GOOD
            },
            Plan {
                warm_up: Duration::MAX,
                ..GOOD
            },
        ] {
            assert!(bad.checked().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_refusal_says_what_would_be_right() {
        let zero = Plan {
            pattern: Pattern::Open { rate: 0.0 },
            ..GOOD
        };
        assert_eq!(
            zero.checked().unwrap_err().to_string(),
            "the rate must be more than 0 and at most 1000000, not 0"
        );
        let none = Plan { rounds: 0, ..GOOD };
        assert_eq!(
            none.checked().unwrap_err().to_string(),
            "the number of rounds must be between 1 and 100, not 0"
        );
    }
}
