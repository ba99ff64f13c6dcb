//! What is on record stays as it is: triggers hold the owner, missing grants hold the server.

use gavah_testkit::fixtures;

use crate::harness::TestStore;

cases! {
    audit_rows_are_neither_changed_nor_deleted_nor_replaced,
    published_tariffs_are_neither_changed_nor_deleted_nor_replaced,
}

cases_of! { postgres_only, Postgres:
    the_server_lacks_the_right_to_change_the_audit_or_the_schema,
    the_server_may_delete_only_where_it_must,
    the_server_lacks_the_right_to_change_published_tariffs,
}

const TABLES: [&str; 3] = ["audit_entry", "change_event", "audit_chain"];

async fn audit_rows_are_neither_changed_nor_deleted_nor_replaced(store: TestStore) {
    store.settle().await;
    let mut raw = store.place.superuser().await;
    for (table, column) in TABLES.into_iter().zip(["reason", "kind", "seq"]) {
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
}

async fn the_server_lacks_the_right_to_change_the_audit_or_the_schema(store: TestStore) {
    let mut server = store.place.raw_runtime().await;
    let mut attempts = Vec::new();
    for table in TABLES {
        attempts.extend([
            format!("UPDATE {table} SET entry_id = entry_id"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            format!("DROP TRIGGER {table}_append_only ON {table}"),
            format!("DROP TABLE {table}"),
        ]);
    }
    attempts[0] = "UPDATE audit_entry SET reason = ''".to_owned();
    attempts.extend(
        [
            "CREATE TABLE own (id integer)",
            "CREATE FUNCTION own() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION refuse_change()",
            "ALTER TABLE validity_code ADD COLUMN own integer",
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('own', 0)",
            "DELETE FROM seaql_migrations",
            "SET session_replication_role = replica",
        ]
        .map(str::to_owned),
    );
    for attempt in attempts {
        let refused = server.run(&attempt).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused}");
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

const PUBLISHED: [&str; 2] = ["tariff_version", "tariff_version_row"];

async fn published_tariffs_are_neither_changed_nor_deleted_nor_replaced(store: TestStore) {
    let mut seed = fixtures::seed(&[]);
    seed.tariff[0].row = vec![fixtures::tariff_row("VALIDITY_CODE", 5)];
    let operator = fixtures::operator(fixtures::now());
    store.load_seed(&operator, &seed).await.unwrap();
    let mut raw = store.place.superuser().await;
    for table in PUBLISHED {
        assert_eq!(store.count(table).await, 1);
        let mut attempts = vec![
            format!("UPDATE {table} SET legal_reference = 'another'"),
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
        assert_eq!(store.count(table).await, 1);
    }
}

async fn the_server_lacks_the_right_to_change_published_tariffs(store: TestStore) {
    let mut server = store.place.raw_runtime().await;
    for table in PUBLISHED {
        for attempt in [
            format!("UPDATE {table} SET legal_reference = 'another'"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let refused = server.run(&attempt).await.unwrap_err();
            let code = refused.as_database_error().and_then(|error| error.code());
            assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused}");
        }
    }
}
