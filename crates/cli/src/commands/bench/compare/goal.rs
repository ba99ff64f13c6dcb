//! Goals, and whether they are met.

use gavah_bench::figures::Spread;
use gavah_bench::rounds::SideReport;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// A row of the table: what was measured for some goals that belong together.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Row {
    /// Its name on the command line.
    pub(super) row: String,
    /// Why it could not be measured.
    pub(super) cannot_run: Option<String>,
    /// Its goals.
    pub(super) goals: Vec<Goal>,
    /// The sides that were measured.
    pub(super) sides: Vec<SideReport>,
    /// What else there is to know.
    pub(super) facts: Map<String, Value>,
}

/// One goal.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Goal {
    /// What was measured.
    pub(super) measure: String,
    /// The figure over the rounds; none when a round gave none.
    pub(super) figure: Option<Spread>,
    /// What it should be: `≤ 0.8`, or `stated`.
    pub(super) goal: String,
    /// Whether the median is.
    pub(super) met: Option<bool>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// No more.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
    /// Told, whatever it is.
    Stated,
}

impl Row {
    pub(super) fn of(goals: Vec<Goal>, sides: Vec<SideReport>) -> Self {
        Self {
            goals,
            sides,
            ..Self::default()
        }
    }

    pub(super) fn impossible(problem: &Problem) -> Self {
        Self {
            cannot_run: Some(problem.to_string()),
            ..Self::default()
        }
    }

    pub(super) fn named(mut self, row: &str) -> Self {
        row.clone_into(&mut self.row);
        self
    }

    pub(super) fn with(mut self, name: &str, fact: impl Serialize) -> Self {
        // All that is told here can be written as JSON.
        let value = serde_json::to_value(fact).unwrap_or_default();
        self.facts.insert(name.to_owned(), value);
        self
    }
}

impl Goal {
    pub(super) fn new(measure: &str, figure: Option<Spread>, bound: Bound) -> Self {
        let (goal, met) = match bound {
            Bound::AtMost(most) => (
                format!("≤ {most}"),
                figure.map(|found| found.median <= most),
            ),
            Bound::AtLeast(least) => (
                format!("≥ {least}"),
                figure.map(|found| found.median >= least),
            ),
            Bound::Stated => ("stated".to_owned(), None),
        };
        Self {
            measure: measure.to_owned(),
            figure,
            goal,
            met,
        }
    }
}

/// A side by its name.
pub(super) fn side<'a>(sides: &'a [SideReport], name: &str) -> Result<&'a SideReport, Problem> {
    let found = sides.iter().find(|side| side.name == name);
    found.ok_or_else(|| Problem::Internal(format!("{name} was not measured")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides_and_what_is_missing_decides_nothing() {
        let figure = |value| Spread::of(&[value, value, 100.0]);
        let met = |figure, bound| Goal::new("", figure, bound).met;
        assert_eq!(met(figure(0.8), Bound::AtMost(0.8)), Some(true));
        assert_eq!(met(figure(0.9), Bound::AtMost(0.8)), Some(false));
        assert_eq!(met(figure(1.0), Bound::AtLeast(1.0)), Some(true));
        assert_eq!(met(figure(0.9), Bound::AtLeast(1.0)), Some(false));
        assert_eq!(met(figure(0.9), Bound::Stated), None);
        assert_eq!(met(None, Bound::AtMost(0.8)), None);
    }

    #[test]
    fn a_row_that_could_not_be_measured_says_why() {
        let row = Row::impossible(&Problem::usage("pgbench is not there")).named("issue");
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["row"], "issue");
        assert_eq!(json["cannot_run"], "pgbench is not there");
        assert_eq!(json["goals"], serde_json::json!([]));
    }
}
