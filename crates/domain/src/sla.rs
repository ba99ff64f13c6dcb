//! The clock of a service level: it starts when an application is handed in, stands still while the applicant or a payment
//! is waited for, and stops at the first decision. What is promised is the time to the *initial result*: the first decision
//! or the first return, whichever comes earlier.

use jiff::{SignedDuration, Timestamp};

use crate::{
    certificate::ApplicationState,
    code_application::CodeApplicationState,
    working_calendar::{WorkingCalendar, YearMissing},
};

/// Longest target of a request type, in working hours.
pub const TARGET_MAX_HOURS: u32 = 5_000;

/// What being in a state means to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEffect {
    /// Not handed in yet.
    Idle,
    /// The service is at work.
    Runs,
    /// Given back to the applicant: an initial result, and a pause.
    WaitsForApplicant,
    /// A payment is waited for: a pause.
    WaitsForPayment,
    /// Decided: the clock stops.
    Decides,
    /// Ended without a decision.
    Ends,
}

/// A state of an application that has a clock.
pub trait ClockState: Copy {
    /// What being in it means to the clock.
    fn clock(self) -> ClockEffect;
}

impl ClockState for ApplicationState {
    /// The institution's confirmation is a step on the way and no decision: nothing is announced by it.
    fn clock(self) -> ClockEffect {
        match self {
            Self::Draft => ClockEffect::Idle,
            Self::Submitted
            | Self::UniversityReview
            | Self::UniversityConfirmed
            | Self::OrganizationReview
            | Self::ReturnedToUniversity
            | Self::Paid => ClockEffect::Runs,
            Self::Returned => ClockEffect::WaitsForApplicant,
            Self::AwaitingPayment => ClockEffect::WaitsForPayment,
            Self::Approved
            | Self::UniversityRejected
            | Self::OrganizationRejected
            | Self::Issuing
            | Self::Issued => ClockEffect::Decides,
            Self::Cancelled | Self::PaymentExpired => ClockEffect::Ends,
        }
    }
}

impl ClockState for CodeApplicationState {
    /// The expert's confirmation is a step on the way and no decision: nothing is announced by it.
    fn clock(self) -> ClockEffect {
        match self {
            Self::Submitted
            | Self::Validated
            | Self::ExpertConfirmed
            | Self::OrganizationReview
            | Self::Paid => ClockEffect::Runs,
            Self::Returned => ClockEffect::WaitsForApplicant,
            Self::AwaitingPayment => ClockEffect::WaitsForPayment,
            Self::Approved | Self::Issued | Self::Rejected => ClockEffect::Decides,
            Self::Cancelled | Self::PaymentExpired => ClockEffect::Ends,
        }
    }
}

/// Where a clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// Nothing was handed in.
    Idle,
    /// It runs.
    Runs,
    /// It stands still and will go on.
    Paused,
    /// It has stopped for good.
    Stopped,
}

/// Something that happened, and what the clock showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub time: Timestamp,
    /// Working time until then, without pauses; unknown when a year of it had no calendar.
    pub elapsed: Option<SignedDuration>,
}

/// What a clock shows after some steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Where it is.
    pub hand: Hand,
    /// When it was started.
    pub start: Option<Timestamp>,
    /// Working time up to the last step.
    pub elapsed: Result<SignedDuration, YearMissing>,
    /// The initial result.
    pub result: Option<Mark>,
    /// The first decision.
    pub decision: Option<Mark>,
    /// When it began to run last, while it runs.
    since: Option<Timestamp>,
}

impl Reading {
    /// Reads the clock after steps, oldest first. A step whose time is before the step in front of it, as clocks of two nodes
    /// may differ, adds nothing.
    pub fn after(
        calendar: &WorkingCalendar,
        steps: impl IntoIterator<Item = (Timestamp, ClockEffect)>,
    ) -> Self {
        let mut clock = Self {
            hand: Hand::Idle,
            start: None,
            elapsed: Ok(SignedDuration::ZERO),
            result: None,
            decision: None,
            since: None,
        };
        for (time, effect) in steps {
            if clock.hand == Hand::Stopped {
                break;
            }
            clock.enter(calendar, time, effect);
        }
        clock
    }

    /// Working time until `now`.
    ///
    /// # Errors
    ///
    /// [`YearMissing`] when a year of it has no table.
    pub fn at(
        &self,
        calendar: &WorkingCalendar,
        now: Timestamp,
    ) -> Result<SignedDuration, YearMissing> {
        let so_far = self.elapsed?;
        match self.since {
            Some(since) => Ok(so_far.saturating_add(calendar.between(since, now)?)),
            None => Ok(so_far),
        }
    }

    fn enter(&mut self, calendar: &WorkingCalendar, time: Timestamp, effect: ClockEffect) {
        if effect == ClockEffect::Idle {
            return;
        }
        self.start.get_or_insert(time);
        self.elapsed = self.at(calendar, time);
        // What goes back in time would be counted twice.
        let latest = self.since.map_or(time, |since| since.max(time));
        let mark = Mark {
            time: latest,
            elapsed: self.elapsed.ok(),
        };
        (self.hand, self.since) = match effect {
            ClockEffect::Idle | ClockEffect::Runs => (Hand::Runs, Some(latest)),
            ClockEffect::WaitsForApplicant | ClockEffect::WaitsForPayment => (Hand::Paused, None),
            ClockEffect::Decides | ClockEffect::Ends => (Hand::Stopped, None),
        };
        if matches!(
            effect,
            ClockEffect::WaitsForApplicant | ClockEffect::Decides
        ) {
            self.result.get_or_insert(mark);
        }
        if effect == ClockEffect::Decides {
            self.decision.get_or_insert(mark);
        }
    }
}

/// The clock of an application as it is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceClock {
    /// Id of the agreement under which it was handed in.
    pub agreement: String,
    /// Type of the request, by its stable name.
    pub request_type: String,
    /// When it was handed in first.
    pub submit_time: Timestamp,
    /// Until when the initial result was promised then; never changes.
    pub due_time: Option<Timestamp>,
    /// The initial result; never changes.
    pub result: Option<Mark>,
    /// The first decision; never changes.
    pub decision: Option<Mark>,
}

impl ServiceClock {
    /// The clock as it is after a reading: what was announced or decided before stays, also when the calendar says something
    /// else by now.
    #[must_use]
    pub fn go_on(&self, reading: &Reading) -> Self {
        Self {
            result: self.result.or(reading.result),
            decision: self.decision.or(reading.decision),
            ..self.clone()
        }
    }
}

/// What the clocks of some applications come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Applications that were handed in.
    pub submitted: i64,
    /// Those whose initial result was announced after a known time.
    pub measured: i64,
    /// The sum of those times, in microseconds of working time.
    pub total_micros: i64,
    /// By nearest rank, half of them took no longer.
    pub p50_micros: Option<i64>,
    /// Ninety in a hundred took no longer.
    pub p90_micros: Option<i64>,
    /// Ninety-nine in a hundred took no longer.
    pub p99_micros: Option<i64>,
    /// Without an initial result, and not taken back.
    pub open: i64,
    /// Those of the open ones whose due time has passed.
    pub overdue: i64,
    /// Those whose initial result came after it was due.
    pub breached: i64,
}

impl Figures {
    /// The average time to the initial result, in microseconds: the promised figure.
    #[must_use]
    pub const fn average_micros(&self) -> Option<i64> {
        self.total_micros.checked_div(self.measured)
    }
}

/// The place, from 1, of a percentile among `count` values in order: the smallest value that so many in a hundred do not
/// exceed. None when there are no values.
#[must_use]
pub const fn nearest_rank(count: u64, percent: u64) -> Option<u64> {
    if count == 0 {
        return None;
    }
    let rank = (count * percent).div_ceil(100);
    Some(if rank == 0 { 1 } else { rank })
}

#[cfg(test)]
#[path = "sla_tests.rs"]
mod tests;
