//! What a message may say: every violation by path and reason, all of them at once.

mod codes;
mod others;
mod questions;

use gavah_api::v1 as pb;
use tonic::Code;

use crate::peer::Answer;

/// Spoils a request, and what is then told: the path and the reason.
type Row<R> = (fn(&mut R), &'static str, &'static str);

#[track_caller]
fn told<T>(answer: Answer<T>) -> Vec<(String, String)> {
    let Err(failure) = answer else {
        return Vec::new();
    };
    assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
    failure
        .violations
        .into_iter()
        .map(|violation| (violation.field, violation.reason))
        .collect()
}

/// Every row is told as it says and nothing else is.
async fn check<R: Clone, T>(good: &R, rows: &[Row<R>], call: impl AsyncFn(R) -> Answer<T>) {
    let mut wrong = Vec::new();
    for (spoil, path, reason) in rows {
        let mut request = good.clone();
        spoil(&mut request);
        let told = told(call(request).await);
        if told != [((*path).to_owned(), (*reason).to_owned())] {
            wrong.push(format!("{path} {reason}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(told(call(good.clone()).await), []);
}

/// A Jalali day that may not exist.
fn day(year: i32, month: i32, day: i32) -> Option<pb::JalaliDate> {
    Some(pb::JalaliDate { year, month, day })
}
