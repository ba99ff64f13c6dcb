//! The change feed.

use gavah_api::v1 as pb;
use gavah_domain::{Reason, Violations};
use gavah_store::{FeedEvent, FeedPage};

use super::page::DEFAULT_SIZE;
use super::time::instant_to_pb;
use super::{check_rules, settle};
use crate::error::AppError;

/// A part of the feed that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListChangesInput {
    /// Behind this place.
    pub after: i64,
    /// At most so many changes.
    pub most: u64,
}

/// Where following the feed begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Behind a place.
    After(i64),
    /// Behind the last change there is.
    Now,
}

/// Reads a request for a part of the feed.
///
/// # Errors
///
/// Every violation at once.
pub fn list_changes(request: &pb::ListChangesRequest) -> Result<ListChangesInput, AppError> {
    let input = ListChangesInput {
        after: request.after_sequence,
        most: size(request.page_size),
    };
    settle(check_rules(request), Violations::default(), Some(input))
}

/// How many rows are asked for; the bounds are among the annotated rules.
pub(super) fn size(given: i32) -> u64 {
    match u64::try_from(given) {
        Ok(0) | Err(_) => DEFAULT_SIZE,
        Ok(size) => size,
    }
}

/// Reads a request to follow the feed.
///
/// # Errors
///
/// Every violation at once.
pub fn watch_changes(request: &pb::WatchChangesRequest) -> Result<Beginning, AppError> {
    let mut found = Violations::default();
    let beginning = match (request.from_now, request.after_sequence) {
        (true, 0) => Beginning::Now,
        (false, after) => Beginning::After(after),
        (true, after) => {
            found.push("from_now", Reason::FieldFormat);
            Beginning::After(after)
        }
    };
    settle(check_rules(request), found, Some(beginning))
}

/// A part of the feed.
#[must_use]
pub fn changes_to_pb(page: &FeedPage) -> pb::ListChangesResponse {
    pb::ListChangesResponse {
        changes: page.events.iter().map(change_to_pb).collect(),
        next_sequence: page.reached,
        more: page.reached < page.end,
    }
}

/// News of the feed.
#[must_use]
pub fn news_to_pb(page: &FeedPage) -> pb::WatchChangesResponse {
    pb::WatchChangesResponse {
        changes: page.events.iter().map(change_to_pb).collect(),
        next_sequence: page.reached,
    }
}

fn change_to_pb(event: &FeedEvent) -> pb::Change {
    pb::Change {
        sequence: event.sequence,
        change_time: Some(instant_to_pb(event.event_time)),
        resource: event.resource.clone(),
        action: event.action.clone(),
        state: event.state.clone(),
        institution_code: event.institution_code.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(input: Result<T, AppError>) -> Vec<(String, Reason)> {
        let AppError::Invalid(violations) = input.unwrap_err() else {
            panic!("no violations");
        };
        let violations = violations.into_vec().into_iter();
        violations.map(|it| (it.field, it.reason)).collect()
    }

    #[test]
    fn a_place_before_the_beginning_and_a_size_out_of_bounds_are_violations() {
        let request = pb::ListChangesRequest {
            after_sequence: -1,
            page_size: 1001,
        };
        assert_eq!(
            refused(list_changes(&request)),
            [
                ("after_sequence".to_owned(), Reason::FieldFormat),
                ("page_size".to_owned(), Reason::FieldFormat),
            ]
        );
        let request = pb::WatchChangesRequest {
            after_sequence: 7,
            from_now: true,
        };
        assert_eq!(
            refused(watch_changes(&request)),
            [("from_now".to_owned(), Reason::FieldFormat)]
        );
    }

    #[test]
    fn the_size_has_a_default() {
        let of = |page_size| {
            let request = pb::ListChangesRequest {
                after_sequence: 3,
                page_size,
            };
            list_changes(&request).unwrap()
        };
        assert_eq!(of(0), ListChangesInput { after: 3, most: 50 });
        assert_eq!(of(7).most, 7);
    }

    #[test]
    fn following_begins_behind_a_place_or_now() {
        let of = |after_sequence, from_now| {
            watch_changes(&pb::WatchChangesRequest {
                after_sequence,
                from_now,
            })
            .unwrap()
        };
        assert_eq!(of(0, false), Beginning::After(0));
        assert_eq!(of(5, false), Beginning::After(5));
        assert_eq!(of(0, true), Beginning::Now);
    }
}
