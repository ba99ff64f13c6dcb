//! When a call is made again, and after how long.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};

use crate::Failure;

/// Pause before the first repetition; doubled with each further one up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The one refusal of a finished call that invites a repetition: another act came between.
const CONCURRENT_UPDATE: &str = "CONCURRENT_UPDATE";

/// Where a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service answered with this status.
    Answer,
    /// The connection failed before an answer came; whether the service acted is unknown.
    Connection,
    /// The time was up.
    Time,
    /// The server does not accept the client's certificate.
    Certificate,
}

impl Fault {
    /// A status of the service has no source; one that the transport made up has the error it was made from.
    pub(crate) fn of(status: &Status) -> Fault {
        let mut source = status.source();
        let mut fault = match source {
            None => Fault::Answer,
            Some(_) => Fault::Connection,
        };
        while let Some(error) = source {
            if error.is::<TimeoutExpired>() {
                return Fault::Time;
            }
            if alert(error).is_some() {
                fault = Fault::Certificate;
            }
            source = error.source();
        }
        fault
    }
}

/// The TLS alert in an error's text. HTTP/2 keeps of a broken connection's error only its text.
pub(crate) fn alert(error: &(dyn Error + 'static)) -> Option<String> {
    let text = error.to_string();
    let (_, alert) = text.split_once("received fatal alert: ")?;
    Some(alert.to_owned())
}

/// Whether a failed attempt may be followed by another.
pub(crate) fn is_worth_repeating(fault: Fault, failure: &Failure) -> bool {
    match fault {
        Fault::Answer => match failure.code {
            Code::Unavailable => true,
            Code::Aborted => failure.reason.as_deref() == Some(CONCURRENT_UPDATE),
            _ => false,
        },
        // Codes by which the transport names a connection that was refused, reset or closed under a call. The others
        // are the peer's complaint about this client's behaviour.
        Fault::Connection => matches!(
            failure.code,
            Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
        ),
        Fault::Time | Fault::Certificate => false,
    }
}

/// The pause before repetition `number` (from 1): exponential, never shorter than the service asked for, lengthened
/// by up to a half as `random` says so that clients which failed together do not come back together.
pub(crate) fn pause(number: u32, retry_after: Option<Duration>, random: u8) -> Duration {
    let exponential = FIRST_PAUSE
        .saturating_mul(
            1_u32
                .checked_shl(number.saturating_sub(1))
                .unwrap_or(u32::MAX),
        )
        .min(LONGEST_PAUSE);
    let base = exponential.max(retry_after.unwrap_or_default());
    base.saturating_add(base.mul_f64(f64::from(random) / 512.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_pause_doubles_up_to_two_seconds() {
        let pauses = [1, 2, 3, 6, 7, 33, u32::MAX].map(|number| pause(number, None, 0));
        assert_eq!(pauses, [50, 100, 200, 1600, 2000, 2000, 2000].map(ms));
    }

    #[test]
    fn chance_lengthens_the_pause_by_less_than_a_half() {
        assert_eq!(pause(1, None, 128), Duration::from_micros(62_500));
        assert!(pause(1, None, 255) < ms(75));
    }

    #[test]
    fn the_pause_is_never_shorter_than_the_service_asked_for() {
        assert_eq!(pause(1, Some(ms(100)), 0), ms(100));
        assert_eq!(pause(1, Some(ms(10)), 0), ms(50));
        assert_eq!(pause(1, Some(ms(30_000)), 0), ms(30_000));
        assert!(pause(1, Some(Duration::MAX), 255) >= Duration::MAX / 2);
    }

    #[test]
    fn of_the_services_answers_only_unavailable_and_concurrent_update_are_repeated() {
        for code in (0..=16).map(Code::from_i32) {
            for reason in [None, Some("CONCURRENT_UPDATE"), Some("ETAG_MISMATCH")] {
                let mut failure = Failure::of(&Status::new(code, "the call failed"));
                failure.reason = reason.map(str::to_owned);
                let expected = code == Code::Unavailable
                    || code == Code::Aborted && reason == Some("CONCURRENT_UPDATE");
                assert_eq!(
                    is_worth_repeating(Fault::Answer, &failure),
                    expected,
                    "{failure}"
                );
            }
        }
    }

    #[test]
    fn a_status_that_wraps_an_error_is_a_lost_connection() {
        let status = Status::from_error("connection reset".into());
        assert_eq!(Fault::of(&status), Fault::Connection);
        assert!(is_worth_repeating(
            Fault::of(&status),
            &Failure::of(&status)
        ));
        assert_eq!(
            Fault::of(&Status::unknown("connection reset")),
            Fault::Answer
        );
    }
}
