//! Jobs that work through a file.

use crate::enums::text_enum;

/// Most rows of a job.
pub const JOB_ROWS_MAX: u32 = 100_000;

/// Most bytes of all rows of a job: 2 kB for each of the most rows.
pub const JOB_BYTES_MAX: usize = 200_000_000;

/// Most jobs of a caller that have not ended.
pub const OPEN_JOBS_MAX: u64 = 5;

/// From this row on the rate of failures is looked at: of a few, one is many.
const RATE_COUNTS_FROM: u32 = 100;

text_enum! {
    /// State of a job.
    pub enum JobState {
        /// Not begun yet.
        Queued = "QUEUED",
        /// Being worked through.
        Running = "RUNNING",
        /// Every row has its outcome.
        Done = "DONE",
        /// Ended by the service.
        Stopped = "STOPPED",
        /// Ended by the caller.
        Cancelled = "CANCELLED",
    }
}

impl JobState {
    /// Whether nothing follows any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Stopped | Self::Cancelled)
    }
}

/// Whether so many failures are too many.
#[must_use]
pub fn too_many_failed(issued: u32, failed: u32, max_percent: Option<u8>) -> bool {
    let done = u64::from(issued) + u64::from(failed);
    max_percent.is_some_and(|percent| {
        done >= u64::from(RATE_COUNTS_FROM) && u64::from(failed) * 100 > done * u64::from(percent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_from_the_hundredth_row_and_only_above_the_threshold() {
        for (issued, failed, percent, stop) in [
            (0, 99, Some(0), false),
            (99, 1, Some(0), true),
            (99, 1, Some(1), false),
            (98, 2, Some(1), true),
            (0, 100, Some(99), true),
            (0, 100, Some(100), false),
            (0, 100_000, None, false),
            (100, 0, Some(0), false),
        ] {
            assert_eq!(
                too_many_failed(issued, failed, percent),
                stop,
                "{issued} {failed} {percent:?}"
            );
        }
    }

    #[test]
    fn three_states_are_ends() {
        let ends: Vec<_> = JobState::ALL
            .iter()
            .filter(|state| state.has_ended())
            .collect();
        assert_eq!(
            ends,
            [&JobState::Done, &JobState::Stopped, &JobState::Cancelled]
        );
    }
}
