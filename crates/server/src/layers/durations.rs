//! How long calls take, by method and status. Looking a histogram up by its labels costs more than counting in it, so
//! each is looked up once.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use metrics::Histogram;
use tokio::time::{Duration, Instant};
use tonic::Code;

use crate::policy::{self, POLICY};

use super::names;

/// Codes are numbered from 0.
const CODES: usize = Code::Unauthenticated as usize + 1;

/// The histograms, made as they are needed: a row for each method there is, and one for those there are not.
pub(super) struct Durations([[OnceLock<Histogram>; CODES]; POLICY.len() + 1]);

impl Default for Durations {
    fn default() -> Self {
        Self([const { [const { OnceLock::new() }; CODES] }; POLICY.len() + 1])
    }
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durations").finish_non_exhaustive()
    }
}

/// The measurement of one call.
#[derive(Debug)]
pub(super) struct Measure {
    of: Arc<Durations>,
    row: usize,
    begun: Instant,
}

impl Durations {
    /// Begins to measure a call of this path.
    pub(super) fn begin(self: &Arc<Self>, path: &str) -> Measure {
        Measure {
            of: Arc::clone(self),
            row: policy::row(path).unwrap_or(POLICY.len()),
            begun: Instant::now(),
        }
    }
}

impl Measure {
    /// The method, without a leading slash; one word for all that do not exist.
    pub(super) fn method(&self) -> &'static str {
        POLICY
            .get(self.row)
            .and_then(|(path, _)| path.strip_prefix('/'))
            .unwrap_or(names::UNKNOWN_METHOD)
    }

    /// Records how long it took until now.
    pub(super) fn end(&self, code: Code) -> Duration {
        let took = self.begun.elapsed();
        let of_method = self.of.0.get(self.row);
        if let Some(histogram) = of_method.and_then(|codes| codes.get(code as usize)) {
            let histogram = histogram.get_or_init(|| {
                metrics::histogram!(
                    names::RPC_DURATION_SECONDS,
                    names::LABEL_METHOD => self.method(),
                    names::LABEL_STATUS_CODE => names::code_name(code),
                )
            });
            histogram.record(took.as_secs_f64());
        }
        took
    }
}
