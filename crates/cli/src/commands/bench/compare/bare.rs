//! What the database does without the service: the same rows into copies of its tables, by pgbench.

use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::bench::postgres::Postgres;
use crate::problem::Problem;

/// Tables that a bulk of records or codes is written to.
const TABLES: [&str; 6] = [
    "enrollment_record",
    "validity_code",
    "request_claim",
    "audit_entry",
    "audit_pending",
    "change_event",
];

/// Every act's rows beside its document: who asked, the audit's entry, its place in the queue, the event.
const ACT: &str = "\
INSERT INTO bare_request_claim (caller_id, method, request_id, row, digest, resource, outcome, create_time)
SELECT t.caller_id, t.method, CAST(md5(CAST(:base AS text)) AS uuid), i, t.digest, t.resource, t.outcome, t.create_time
FROM one_request_claim t, generate_series(1, 1000) i;
INSERT INTO bare_audit_entry (id, act_time, actor, on_behalf, method, resource, action, from_state, to_state, reason,
  subject_hash, institution_code, request_id, trace_id)
SELECT CAST(md5(:base || '-' || i) AS uuid), t.act_time, t.actor, t.on_behalf, t.method, t.resource, t.action, t.from_state,
  t.to_state, t.reason, t.subject_hash, t.institution_code, t.request_id, t.trace_id
FROM one_audit_entry t, generate_series(1, 1000) i;
INSERT INTO bare_audit_pending (entry_id)
SELECT CAST(md5(:base || '-' || i) AS uuid) FROM generate_series(1, 1000) i;
INSERT INTO bare_change_event (entry_id, event_time, institution_code, caller_id, resource, kind, state)
SELECT CAST(md5(:base || '-' || i) AS uuid), t.event_time, t.institution_code, t.caller_id, t.resource, t.kind, t.state
FROM one_change_event t, generate_series(1, 1000) i;
";

/// A random number that makes the keys of a transaction its own.
const BASE: &str = "\\set base random(1, 9000000000000)\n";

/// Makes copies of the tables with their columns, defaults and indexes, and keeps one real row of each. Foreign keys
/// and triggers are not copied: the bare side has less to do.
pub(super) async fn prepare(postgres: &Postgres) -> Result<(), Problem> {
    let mut sql = "SET client_min_messages = warning;\n".to_owned();
    for table in TABLES {
        sql.push_str(&format!(
            "DROP TABLE IF EXISTS bare_{table}, one_{table};\n\
             CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL);\n\
             CREATE TABLE one_{table} AS SELECT * FROM {table} LIMIT 1;\n"
        ));
    }
    // The rows beside a document are those of the last act, so of the kind that is measured.
    for (table, order) in [
        ("audit_entry", "act_time"),
        ("request_claim", "create_time"),
        ("change_event", "event_time"),
    ] {
        sql.push_str(&format!(
            "TRUNCATE one_{table}; INSERT INTO one_{table} SELECT * FROM {table} ORDER BY {order} DESC LIMIT 1;\n"
        ));
    }
    postgres.query(&sql).await.map(|_| ())
}

/// One code a transaction, as a driver sends it: the statement prepared, its values bound. Returns the definitions of
/// the variables too.
pub(super) async fn one_code(
    postgres: &Postgres,
    folder: &Path,
) -> Result<(PathBuf, Vec<String>), Problem> {
    let content = postgres
        .query("SELECT content FROM one_validity_code")
        .await?;
    let script = format!(
        "{BASE}INSERT INTO bare_validity_code (id, code, institution_code, person_key, degree_level, document_kind, \
         external_ref, live_key, state, content, issue_time, expire_time, update_time, version) \
         VALUES (gen_random_uuid(), '1' || lpad(CAST(:base AS text), 19, '0'), '90001', \
         'N-' || CAST(:base AS text), 'BACHELOR_CONTINUOUS', 'DEGREE', 'bench', 'N-' || CAST(:base AS text), 'ACTIVE', \
         :content, 1800000000000000, NULL, 1800000000000000, 1);\n"
    );
    let path = written(folder, "one-code.sql", &script)?;
    Ok((path, vec![format!("content={content}")]))
}

/// A thousand records a transaction with all that the service writes for them.
pub(super) async fn records(postgres: &Postgres, folder: &Path) -> Result<PathBuf, Problem> {
    let contents = contents(postgres, "enrollment_record").await?;
    let script = format!(
        "{BASE}BEGIN;\n\
         INSERT INTO bare_enrollment_record (id, institution_code, student_number, person_key, status, content, \
         as_of_time, receive_time)\n\
         SELECT gen_random_uuid(), t.institution_code, :base || '-' || c.i, :base || 'N-' || c.i, t.status, c.content, \
         t.as_of_time, t.receive_time\n\
         FROM one_enrollment_record t, unnest({contents}::text[]) WITH ORDINALITY AS c(content, i);\n\
         {ACT}COMMIT;\n"
    );
    written(folder, "records.sql", &script)
}

/// A thousand codes a transaction with all that the service writes for them.
pub(super) async fn codes(postgres: &Postgres, folder: &Path) -> Result<PathBuf, Problem> {
    let contents = contents(postgres, "validity_code").await?;
    let script = format!(
        "{BASE}BEGIN;\n\
         INSERT INTO bare_validity_code (id, code, institution_code, person_key, degree_level, document_kind, \
         external_ref, live_key, state, content, issue_time, expire_time, update_time, version)\n\
         SELECT gen_random_uuid(), '1' || lpad(CAST(CAST(:base AS bigint) * 1000 + c.i AS text), 19, '0'), t.institution_code, \
         'N-' || :base || '-' || c.i, t.degree_level, t.document_kind, t.external_ref, 'N-' || :base || '-' || c.i, \
         t.state, c.content, t.issue_time, t.expire_time, t.update_time, t.version\n\
         FROM one_validity_code t, unnest({contents}::text[]) WITH ORDINALITY AS c(content, i);\n\
         {ACT}COMMIT;\n"
    );
    written(folder, "codes.sql", &script)
}

/// A thousand real contents as an array's literal, so that the bare side sends them too.
async fn contents(postgres: &Postgres, table: &str) -> Result<String, Problem> {
    let rows = format!("SELECT content FROM {table}, generate_series(1, 1000) LIMIT 1000");
    let sql = format!("SELECT quote_literal(CAST(array_agg(content) AS text)) FROM ({rows}) taken");
    postgres.query(&sql).await
}

fn written(folder: &Path, name: &str, script: &str) -> Result<PathBuf, Problem> {
    let path = folder.join(name);
    fs::write(&path, script).map_err(|error| Problem::file(&path, &error))?;
    Ok(path)
}
