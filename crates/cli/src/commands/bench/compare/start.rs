//! Time until it can be called, and memory at rest.

use std::time::Duration;

use gavah_bench::figures::Spread;
use tokio::time::sleep;

use super::Context;
use super::goal::{Bound, Goal, Row};
use super::scale::resident_mib;
use crate::commands::bench::site::{Options, Service};
use crate::problem::Problem;

/// Starts of a server.
const STARTS: usize = 10;
/// Rest before its memory is looked at.
const REST: Duration = Duration::from_secs(2);

pub(super) async fn measure(context: &Context<'_>) -> Result<Row, Problem> {
    let site = context.site(None).await?;
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let server = site
            .start("start", &Service::Gavah(Options::default()))
            .await?;
        ready.push(server.ready_after.as_secs_f64());
        sleep(REST).await;
        resident.push(resident_mib(&server)?);
    }
    let goals = vec![
        Goal::new(
            "seconds until it can be called",
            Spread::of(&ready),
            Bound::AtMost(0.3),
        ),
        Goal::new(
            "resident MiB at rest",
            Spread::of(&resident),
            Bound::AtMost(40.0),
        ),
    ];
    Ok(Row::of(goals, Vec::new()))
}
