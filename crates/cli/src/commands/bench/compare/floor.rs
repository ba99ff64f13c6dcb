//! Processor time of a validation, against servers that do nothing but answer, and with traces.

use gavah_bench::rounds::{Round, SideReport};

use super::Context;
use super::goal::{Bound, Goal, Row, side};
use crate::commands::bench::run::{Planned, measure};
use crate::commands::bench::scenario::Scenario;
use crate::commands::bench::site::{Options, Service};
use crate::problem::Problem;

const CPU: fn(&Round) -> Option<f64> = |round| round.cpu_us_per_call;

fn hot(name: &str, context: &Context<'_>, sample_ratio: f64) -> Planned {
    Planned {
        name: name.to_owned(),
        scenario: Scenario::ValidateHot,
        service: Service::Gavah(Options {
            sample_ratio,
            otlp_endpoint: context.otlp_endpoint(),
            ..Options::default()
        }),
    }
}

fn sides(context: &Context<'_>) -> [Planned; 4] {
    [
        Scenario::EchoStock.into(),
        Scenario::EchoTuned.into(),
        hot("validate-hot", context, 0.01),
        Scenario::ValidateCold.into(),
    ]
}

fn cpu(
    sides: &[SideReport],
    ours: &str,
    floor: &str,
) -> Result<Option<gavah_bench::figures::Spread>, Problem> {
    Ok(side(sides, ours)?.ratio(side(sides, floor)?, CPU))
}

/// Hot and cold on SQLite.
pub(super) async fn sqlite(context: &Context<'_>) -> Result<Row, Problem> {
    let site = context.site(None).await?;
    let sides = measure(&site, &sides(context), &context.plan).await?;
    let goals = vec![
        Goal::new(
            "ValidateCode hot, all layers, 1 % traces: CPU ÷ stock echo",
            cpu(&sides, "validate-hot", "echo-stock")?,
            Bound::AtMost(0.8),
        ),
        Goal::new(
            "the same ÷ tuned echo",
            cpu(&sides, "validate-hot", "echo-tuned")?,
            Bound::AtMost(1.6),
        ),
        Goal::new(
            "ValidateCode cold, SQLite: CPU ÷ stock echo",
            cpu(&sides, "validate-cold", "echo-stock")?,
            Bound::AtMost(1.6),
        ),
    ];
    Ok(Row::of(goals, sides))
}

/// Hot and cold on PostgreSQL. The database's own processes are told beside, not counted.
pub(super) async fn postgres(context: &Context<'_>) -> Result<Row, Problem> {
    let site = context.site(Some(context.postgres()?)).await?;
    let sides = measure(&site, &sides(context), &context.plan).await?;
    let database = side(&sides, "validate-cold")?
        .summary
        .database_cpu_us_per_call;
    let goals = vec![
        Goal::new(
            "ValidateCode hot, PostgreSQL: CPU ÷ stock echo",
            cpu(&sides, "validate-hot", "echo-stock")?,
            Bound::AtMost(0.8),
        ),
        Goal::new(
            "ValidateCode cold, PostgreSQL: CPU ÷ stock echo",
            cpu(&sides, "validate-cold", "echo-stock")?,
            Bound::AtMost(3.0),
        ),
        Goal::new(
            "the database's own processes then: CPU µs a call",
            database,
            Bound::Stated,
        ),
    ];
    Ok(Row::of(goals, sides))
}

/// Traces of every call and of one in a hundred, against none.
pub(super) async fn tracing(context: &Context<'_>) -> Result<Row, Problem> {
    let site = context.site(None).await?;
    let off = Planned {
        name: "traces-off".to_owned(),
        scenario: Scenario::ValidateHot,
        service: Service::Gavah(Options {
            sample_ratio: 0.0,
            ..Options::default()
        }),
    };
    let planned = [
        off,
        hot("traces-1-percent", context, 0.01),
        hot("traces-100-percent", context, 1.0),
    ];
    let sides = measure(&site, &planned, &context.plan).await?;
    let goals = vec![
        Goal::new(
            "traces of 1 % of the calls: CPU ÷ no traces",
            cpu(&sides, "traces-1-percent", "traces-off")?,
            Bound::AtMost(1.03),
        ),
        Goal::new(
            "traces of all calls: CPU ÷ no traces",
            cpu(&sides, "traces-100-percent", "traces-off")?,
            Bound::AtMost(1.2),
        ),
    ];
    Ok(Row::of(goals, sides))
}

/// What agreement, quotas and the narrowing of what is told cost: asked by a caller under an agreement with both quotas, and
/// by one that needs none, of one kind of server in the same run.
pub(super) async fn agreement(context: &Context<'_>) -> Result<Row, Problem> {
    let site = context.site(None).await?;
    let planned = [Scenario::ValidateHot, Scenario::ValidateWithoutAgreement].map(Planned::from);
    let sides = measure(&site, &planned, &context.plan).await?;
    let goals = vec![Goal::new(
        "ValidateCode under an agreement with quotas: CPU ÷ without one",
        cpu(&sides, "validate-hot", "validate-without-agreement")?,
        Bound::Stated,
    )];
    Ok(Row::of(goals, sides))
}
