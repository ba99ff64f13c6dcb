//! How promises were kept.

use gavah_api::v1 as pb;
use gavah_domain::{Clock, JalaliDate, SystemClock};
use miette::{Result, miette};
use serde_json::json;

use super::{Callers, Tell, fields, must_grant};
use crate::demo::step::Asked;
use crate::world::ORGANIZATION;

/// The report of this month, by type of request.
pub(super) async fn report(callers: &Callers, tell: Tell<'_>) -> Result<()> {
    let today = JalaliDate::of(SystemClock.now());
    let asked = Asked {
        title: "the Organization reads how its promises were kept this month: the average is the promised figure",
        caller: ORGANIZATION,
        rpc: "SlaService/GetSlaReport",
    };
    let request = pb::GetSlaReportRequest {
        from_month: Some(pb::JalaliMonth {
            year: today.year(),
            month: today.month().into(),
        }),
        group_by: vec![pb::SlaDimension::RequestType.into()],
        ..Default::default()
    };
    let called = callers
        .organization
        .call(request, |channel, request| async move {
            channel.service_levels().get_sla_report(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let rows = reply.message().rows.iter().map(|row| {
        let average = format!(
            "{} submitted, average {} s of working time, P90 {} s, {} open, {} overdue, {} breached",
            row.submitted, row.average_seconds, row.p90_seconds, row.open, row.overdue, row.breached
        );
        (row.request_type.clone(), json!(average))
    });
    let rows: serde_json::Map<_, _> = rows.collect();
    if rows.len() < 3 {
        return Err(miette!("the report has {} rows", rows.len()));
    }
    tell(&asked.answered(&reply, fields(json!(rows))))
}
