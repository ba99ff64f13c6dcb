//! Many codes: in the database, and remembered.

use std::sync::Arc;
use std::time::Duration;

use gavah_bench::figures::Spread;
use gavah_bench::load::drive;
use gavah_bench::plan::{Bounds, Plan};
use gavah_bench::process::Memory;
use gavah_bench::rounds::{Round, Side, interleave};
use gavah_bench::target::connect;
use gavah_bench::work::{Kind, Work};

use super::Context;
use super::goal::{Bound, Goal, Row};
use crate::commands::bench::child::Server;
use crate::commands::bench::postgres::Postgres;
use crate::commands::bench::run::told;
use crate::commands::bench::site::{Options, Service, Site};
use crate::output::note;
use crate::problem::Problem;
use crate::world::UNIVERSITY;

/// Codes in the small database.
const SMALL: u64 = 10_000;
/// Codes that are asked about, spread over all of a database.
const ASKED: u64 = 20_000;
/// Codes really issued in each; the others are copies of one of them.
const ISSUED: u64 = 100;
/// Rows of one statement.
const CHUNK: u64 = 500_000;
/// Room for all verdicts that the row memory remembers.
const ROOMY: u64 = 8 * 1024 * 1024 * 1024;

/// The 20 digits of the copy with number `i`: scheme, 17 digits, check digits as the service draws them. The factor
/// shares no divisor with 10¹⁷, so every number has other digits.
const CODE: &str = "body || lpad(CAST(98 - mod(CAST(body AS numeric) * 100, 97) AS text), 2, '0')";
const BODY: &str = "'1' || lpad(CAST(mod(CAST(i AS numeric) * 61803398874989483, 100000000000000000) AS text), 17, '0')";

/// Fills the table with copies of an issued code up to so many rows.
async fn fill(postgres: &Postgres, rows: u64) -> Result<(), Problem> {
    let count = postgres.query("SELECT count(*) FROM validity_code").await?;
    let first = count.parse::<u64>().unwrap_or(0) + 1;
    postgres
        .query("CREATE TABLE fill_one AS SELECT * FROM validity_code LIMIT 1")
        .await?;
    for from in (first..=rows).step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
        let to = (from + CHUNK - 1).min(rows);
        let sql = format!(
            "SET synchronous_commit = off;\n\
             INSERT INTO validity_code (id, code, institution_code, person_key, degree_level, document_kind, \
             external_ref, live_key, state, content, issue_time, expire_time, update_time, version)\n\
             SELECT CAST('01' || lpad(to_hex(i), 10, '0') || '70008000000000000000' AS uuid), {CODE}, institution_code, \
             'N:' || i, degree_level, document_kind, 'bench-' || i, 'N:' || i || '/' || live_key, state, content, \
             issue_time + i, expire_time, update_time + i, version\n\
             FROM fill_one, LATERAL (SELECT i, {BODY} AS body FROM generate_series({from}::bigint, {to}::bigint) i) copies"
        );
        postgres.query(&sql).await?;
        note(&format!("{to} of {rows} codes are in the database"));
    }
    postgres
        .query("VACUUM (ANALYZE) validity_code")
        .await
        .map(|_| ())
}

/// Codes of copies, spread over all of them, or one after the other when all are asked for.
async fn some_codes(postgres: &Postgres, rows: u64, asked: u64) -> Result<Arc<[String]>, Problem> {
    let numbers = format!(
        "SELECT {} + mod(i * 7919, {}) AS i FROM generate_series(1, {asked}::bigint) i",
        ISSUED + 1,
        rows - ISSUED,
    );
    let sql = format!("SELECT {CODE} FROM (SELECT {BODY} AS body FROM ({numbers}) numbers) bodies");
    let codes = postgres.query(&sql).await?;
    Ok(codes.lines().map(str::to_owned).collect())
}

/// A site of its own schema with so many codes.
async fn site(context: &Context<'_>, schema: &str, rows: u64) -> Result<(Site, Postgres), Problem> {
    let postgres = context.postgres()?.in_schema(schema);
    let site = Site::create(Some(postgres.clone()), ISSUED).await?;
    fill(&postgres, rows).await?;
    Ok((site, postgres))
}

/// ValidateCode without remembered verdicts, in a large database against a small one.
pub(super) async fn measure(context: &Context<'_>) -> Result<Row, Problem> {
    let large = context.args.large;
    let (names, sizes) = (["small", "large"], [SMALL, large]);
    let (mut sites, mut works) = (Vec::new(), Vec::new());
    for (name, rows) in names.into_iter().zip(sizes) {
        let (site, postgres) = site(context, &format!("gavah_bench_{name}"), rows).await?;
        let codes = some_codes(&postgres, rows, ASKED).await?;
        works.push(Arc::new(Work::new(Kind::Validate(codes))));
        sites.push(site);
    }
    let cold = Service::Gavah(Options {
        verdict_bytes: Some(0),
        ..Options::default()
    });
    let open = async |index: usize| -> Result<(Side, Plan, Server), Problem> {
        let site: &Site = &sites[index];
        let server = site.start(names[index], &cold).await?;
        let config = site.client_config(UNIVERSITY, server.port)?;
        let side = Side {
            clients: connect(&config, context.plan.connections).await?,
            work: Arc::clone(&works[index]),
            pid: Some(server.pid()),
            database_pid: site.database_pid,
        };
        Ok((side, context.plan, server))
    };
    let named = names.map(str::to_owned);
    let sides = interleave(&named, context.plan.rounds, open, told).await?;
    let [small, big] = &sides[..] else {
        return Err(Problem::Internal("two sides were measured".to_owned()));
    };
    let ratio = |figure: fn(&Round) -> Option<f64>| big.ratio(small, figure);
    #[expect(clippy::cast_precision_loss, reason = "a figure of a report")]
    let p99 = |round: &Round| round.latency.map(|latency| latency.p99_us as f64);
    let text = |what: &str| format!("ValidateCode cold, {large} codes ÷ {SMALL}: {what}");
    let goals = vec![
        Goal::new(&text("p99"), ratio(p99), Bound::AtMost(1.2)),
        Goal::new(
            &text("CPU of the service"),
            ratio(|round| round.cpu_us_per_call),
            Bound::AtMost(1.2),
        ),
        Goal::new(
            &text("CPU of the database"),
            ratio(|round| round.database_cpu_us_per_call),
            Bound::Stated,
        ),
    ];
    Ok(Row::of(goals, sides))
}

/// Resident memory with many codes remembered: all of them, and as many as the default bound lets.
pub(super) async fn memory(context: &Context<'_>) -> Result<Row, Problem> {
    let remembered = context.args.remembered;
    let (site, postgres) = site(context, "gavah_bench_memory", remembered + ISSUED).await?;
    let codes = some_codes(&postgres, remembered + ISSUED, remembered).await?;
    let mut goals = Vec::new();
    let kept = [
        (
            format!("resident MiB with {remembered} codes remembered"),
            Some(ROOMY),
        ),
        (
            format!("resident MiB after {remembered} codes with the default bound"),
            None,
        ),
    ];
    for (measure, verdict_bytes) in kept {
        let service = Service::Gavah(Options {
            verdict_bytes,
            ..Options::default()
        });
        let server = site.start("memory", &service).await?;
        let config = site.client_config(UNIVERSITY, server.port)?;
        let clients = connect(&config, context.plan.connections).await?;
        let work = Arc::new(Work::new(Kind::Validate(Arc::clone(&codes))));
        let bounds = Bounds {
            // Every code once.
            calls: remembered,
            duration: Duration::from_secs(3_600),
        };
        let tally = drive(&clients, &work, context.plan.pattern, bounds).await;
        if tally.good < remembered {
            return Err(Problem::Internal(format!(
                "{} of {remembered} codes were validated: {:?}",
                tally.good, tally.refused
            )));
        }
        goals.push(Goal::new(
            &measure,
            Spread::of(&[resident_mib(&server)?]),
            Bound::Stated,
        ));
    }
    Ok(Row::of(goals, Vec::new()))
}

/// What is resident in a server now.
#[expect(clippy::cast_precision_loss, reason = "a figure of a report")]
pub(super) fn resident_mib(server: &Server) -> Result<f64, Problem> {
    Ok(Memory::of(server.pid())?.resident_kib as f64 / 1024.0)
}
