//! What is on record stays as it is: triggers hold the owner, missing grants hold the server.

use gavah_testkit::fixtures;

use crate::harness::TestStore;
use crate::raw::Raw;

cases! {
    audit_rows_are_neither_changed_nor_deleted_nor_replaced,
    what_is_published_or_said_is_neither_changed_nor_deleted_nor_replaced,
}

cases_of! { postgres_only, Postgres:
    the_server_lacks_the_right_to_change_the_audit_or_the_schema,
    the_server_may_delete_only_where_it_must,
    the_server_lacks_the_right_to_change_what_is_published_or_said,
}

/// The tables of the audit, and a column of each.
const AUDIT: [(&str, &str); 3] = [
    ("audit_entry", "reason"),
    ("change_event", "kind"),
    ("audit_chain", "seq"),
];

/// The tables of published tariffs and calendars and of what parties said, and a column of each.
const PUBLISHED_OR_SAID: [(&str, &str); 5] = [
    ("tariff_version", "legal_reference"),
    ("tariff_version_row", "legal_reference"),
    ("calendar_version", "publish_time"),
    ("calendar_version_row", "title"),
    ("dispute_message", "message"),
];

/// A row in each table of calendars and of disputes' messages.
const ROWS: [&str; 4] = [
    "INSERT INTO calendar_version (year, version, publish_time) VALUES (1403, 1, 0)",
    "INSERT INTO calendar_version_row (year, version, position, kind, from_date, to_date, title) \
     VALUES (1403, 1, 0, 'HOLIDAY', 14030101, 14030104, 'Nowruz')",
    "INSERT INTO dispute (id, resource, subject, consumer, through, state, opened_by, statement, deadline, consumer_stance, \
     provider_stance, messages, create_time, update_time, version) \
     VALUES ({id}, 'a', 'b', 'c', 'd', 'OPEN', 'CONSUMER', 'e', 0, '', '', 1, 0, 0, 1)",
    "INSERT INTO dispute_message (dispute_id, number, party, author, message, create_time) \
     VALUES ({id}, 1, 'CONSUMER', 'a', 'b', 0)",
];

/// Whatever would change a row of the table is refused to the owner and the superuser, and no row is lost.
async fn assert_kept(store: &TestStore, table: &str, column: &str) {
    let mut raw = store.place.superuser().await;
    let rows = store.count(table).await;
    assert!(rows > 0, "{table} has rows");
    let mut attempts = vec![
        format!("UPDATE {table} SET {column} = {column}"),
        format!("UPDATE {table} SET {column} = {column} WHERE 1 = 0 OR {column} IS NOT NULL"),
        format!("DELETE FROM {table}"),
    ];
    if store.is_postgres() {
        attempts.push(format!("TRUNCATE {table} CASCADE"));
    } else {
        attempts.push(format!(
            "INSERT OR REPLACE INTO {table} SELECT * FROM {table}"
        ));
    }
    for attempt in attempts {
        let refused = raw.run(&attempt).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(store.count(table).await, rows);
}

/// The server's role may not run the statement.
async fn assert_no_right(server: &mut Raw, attempt: &str) {
    let refused = server.run(attempt).await.unwrap_err();
    let code = refused.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused}");
}

async fn audit_rows_are_neither_changed_nor_deleted_nor_replaced(store: TestStore) {
    store.settle().await;
    for (table, column) in AUDIT {
        assert_kept(&store, table, column).await;
    }
}

async fn the_server_lacks_the_right_to_change_the_audit_or_the_schema(store: TestStore) {
    let mut server = store.place.raw_runtime().await;
    for (table, column) in AUDIT {
        for attempt in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            format!("DROP TRIGGER {table}_append_only ON {table}"),
            format!("DROP TABLE {table}"),
        ] {
            assert_no_right(&mut server, &attempt).await;
        }
    }
    for attempt in [
        "CREATE TABLE own (id integer)",
        "CREATE FUNCTION own() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION refuse_change()",
        "ALTER TABLE validity_code ADD COLUMN own integer",
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('own', 0)",
        "DELETE FROM seaql_migrations",
        "SET session_replication_role = replica",
    ] {
        assert_no_right(&mut server, attempt).await;
    }
}

async fn the_server_may_delete_only_where_it_must(store: TestStore) {
    let may = "SELECT table_name::text FROM information_schema.role_table_grants \
               WHERE grantee = current_user AND privilege_type = 'DELETE' ORDER BY 1";
    let tables = store.place.raw_runtime().await.texts(may).await;
    assert_eq!(
        tables,
        [
            "agreement_use",
            "attachment",
            "attachment_upload",
            "attachment_use",
            "audit_pending",
            "institution_alias",
            "issuance_job",
            "issuance_job_row",
            "lookup_budget",
            "lookup_subject"
        ]
    );
}

async fn what_is_published_or_said_is_neither_changed_nor_deleted_nor_replaced(store: TestStore) {
    let mut seed = fixtures::seed(&[]);
    seed.tariff[0].row = vec![fixtures::tariff_row("VALIDITY_CODE", 5)];
    let operator = fixtures::operator(fixtures::now());
    store.load_seed(&operator, &seed).await.unwrap();
    let id = if store.is_postgres() {
        "'00000000-0000-4000-8000-000000000001'"
    } else {
        "x'00000000000040008000000000000001'"
    };
    let mut raw = store.place.raw().await;
    for row in ROWS {
        raw.run(&row.replace("{id}", id)).await.unwrap();
    }
    for (table, column) in PUBLISHED_OR_SAID {
        assert_kept(&store, table, column).await;
    }
}

async fn the_server_lacks_the_right_to_change_what_is_published_or_said(store: TestStore) {
    let mut server = store.place.raw_runtime().await;
    for (table, column) in PUBLISHED_OR_SAID {
        for attempt in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            assert_no_right(&mut server, &attempt).await;
        }
    }
}
