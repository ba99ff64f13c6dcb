//! Many rows in one statement: `UNNEST` of one array for each column on
//! PostgreSQL, where the statement is the same for any number of rows and is
//! planned once; `VALUES` on SQLite.

use std::collections::BTreeMap;

use sea_orm::sea_query::{ArrayType, ColumnType, Value};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend,
    EntityName, EntityTrait, IdenStatic, Iterable, Statement,
};
use uuid::Uuid;

use crate::StoreError;

/// Columns of equal length, none with a NULL.
pub(crate) struct Rows {
    columns: Vec<(&'static str, ArrayType)>,
    cells: Vec<Vec<Value>>,
}

impl Rows {
    pub(crate) fn new(columns: &[(&'static str, ArrayType)]) -> Self {
        Self {
            columns: columns.to_vec(),
            cells: vec![Vec::new(); columns.len()],
        }
    }

    /// One more row; as many values as there are columns.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        for (column, value) in self.cells.iter_mut().zip(row) {
            column.push(value);
        }
    }

    /// The statement `before (the rows) after`, where the rows stand as a query.
    pub(crate) fn statement(self, backend: DbBackend, before: &str, after: &str) -> Statement {
        let mut values = Vec::new();
        let rows = self.query(backend, &mut values);
        Statement::from_sql_and_values(backend, format!("{before}{rows}{after}"), values)
    }

    /// The rows as a query whose values come behind those that are there.
    fn query(self, backend: DbBackend, values: &mut Vec<Value>) -> String {
        match backend {
            DbBackend::Postgres => {
                let arrays = (values.len() + 1..).zip(&self.columns);
                let arrays: Vec<_> = arrays
                    .map(|(place, (_, kind))| format!("${place}::{}[]", type_name(kind)))
                    .collect();
                let kinds = self.columns.into_iter().map(|(_, kind)| kind);
                values.extend(
                    kinds
                        .zip(self.cells)
                        .map(|(kind, cells)| Value::Array(kind, Some(Box::new(cells)))),
                );
                format!("SELECT * FROM UNNEST({})", arrays.join(", "))
            }
            _ => {
                let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
                let count = self.cells.first().map_or(0, Vec::len);
                values.extend(transposed(self.cells));
                format!("VALUES {}", vec![row.as_str(); count].join(", "))
            }
        }
    }
}

/// The rows of a table that have one of the keys, whose columns are named as the
/// table's: one look into the index for each key, whatever the planner believes of
/// the table's size. With `lock` they are locked, in the order of the keys.
pub(crate) async fn find<E: EntityTrait>(
    db: &impl ConnectionTrait,
    keys: Rows,
    lock: bool,
) -> Result<Vec<E::Model>, StoreError> {
    if keys.cells.iter().all(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let entity = E::default();
    let table = entity.table_name();
    let names: Vec<_> = keys.columns.iter().map(|(name, _)| *name).collect();
    let same: Vec<_> = names
        .iter()
        .map(|name| format!("{table}.{name} = wanted.{name}"))
        .collect();
    let same = same.join(" AND ");
    let backend = db.get_database_backend();
    let after = match backend {
        DbBackend::Postgres => {
            let lock = if lock { " FOR UPDATE" } else { "" };
            format!(
                ") SELECT found.* FROM wanted CROSS JOIN LATERAL \
                 (SELECT * FROM {table} WHERE {same} LIMIT 1{lock}) found"
            )
        }
        // The one writer has no need of locks, and CROSS JOIN keeps the order.
        _ => format!(") SELECT {table}.* FROM wanted CROSS JOIN {table} WHERE {same}"),
    };
    let before = format!("WITH wanted ({}) AS (", names.join(", "));
    let statement = keys.statement(backend, &before, &after);
    Ok(E::find().from_raw_sql(statement).all(db).await?)
}

/// Cells column by column, told row by row.
fn transposed(cells: Vec<Vec<Value>>) -> Vec<Value> {
    let mut columns: Vec<_> = cells.into_iter().map(Vec::into_iter).collect();
    let mut values = Vec::new();
    loop {
        let before = values.len();
        values.extend(columns.iter_mut().filter_map(Iterator::next));
        if values.len() == before {
            return values;
        }
    }
}

fn type_name(kind: &ArrayType) -> &'static str {
    match kind {
        ArrayType::Uuid => "uuid",
        ArrayType::BigInt => "bigint",
        ArrayType::Int => "integer",
        ArrayType::Bool => "boolean",
        ArrayType::Bytes => "bytea",
        _ => "text",
    }
}

fn kind_of(column: &ColumnType) -> ArrayType {
    match column {
        ColumnType::Uuid => ArrayType::Uuid,
        ColumnType::BigInteger => ArrayType::BigInt,
        ColumnType::Integer => ArrayType::Int,
        ColumnType::Boolean => ArrayType::Bool,
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => ArrayType::Bytes,
        _ => ArrayType::String,
    }
}

/// Inserts the rows that no constraint of uniqueness forbids; how many.
pub(crate) async fn insert_new<A: ActiveModelTrait>(
    tx: &DatabaseTransaction,
    models: impl IntoIterator<Item = A>,
) -> Result<usize, StoreError> {
    let mut inserted = 0;
    for statement in inserts(tx.get_database_backend(), models, " ON CONFLICT DO NOTHING") {
        inserted += tx.execute_raw(statement).await?.rows_affected();
    }
    Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
}

/// The same for tables with a column `id`: the ids of the inserted rows.
pub(crate) async fn insert_new_ids<A: ActiveModelTrait>(
    tx: &DatabaseTransaction,
    models: impl IntoIterator<Item = A>,
) -> Result<Vec<Uuid>, StoreError> {
    let mut ids = Vec::new();
    let tail = " ON CONFLICT DO NOTHING RETURNING id";
    for statement in inserts(tx.get_database_backend(), models, tail) {
        for row in tx.query_all_raw(statement).await? {
            ids.push(row.try_get("", "id")?);
        }
    }
    Ok(ids)
}

/// Inserts rows that nothing may forbid.
pub(crate) async fn insert<A: ActiveModelTrait>(
    tx: &DatabaseTransaction,
    models: impl IntoIterator<Item = A>,
) -> Result<(), StoreError> {
    for statement in inserts(tx.get_database_backend(), models, "") {
        tx.execute_raw(statement).await?;
    }
    Ok(())
}

/// Rows for several tables, inserted together: on PostgreSQL in one statement, which
/// costs one way there and back instead of one for each table.
#[derive(Default)]
pub(crate) struct Inserts(Vec<Insert>);

struct Insert {
    before: String,
    rows: Rows,
    tail: &'static str,
}

impl Inserts {
    /// Rows that nothing may forbid.
    pub(crate) fn add<A: ActiveModelTrait>(&mut self, models: impl IntoIterator<Item = A>) {
        self.push(models, "");
    }

    /// Rows of which those are left out that a constraint of uniqueness forbids.
    pub(crate) fn add_new<A: ActiveModelTrait>(&mut self, models: impl IntoIterator<Item = A>) {
        self.push(models, " ON CONFLICT DO NOTHING");
    }

    fn push<A: ActiveModelTrait>(
        &mut self,
        models: impl IntoIterator<Item = A>,
        tail: &'static str,
    ) {
        let parts = by_columns(models).into_iter();
        self.0
            .extend(parts.map(|(before, rows)| Insert { before, rows, tail }));
    }

    /// Whether every row was inserted.
    pub(crate) async fn run(self, tx: &DatabaseTransaction) -> Result<bool, StoreError> {
        let cells = self.0.iter().map(|insert| insert.rows.cells.first());
        let rows: usize = cells.map(|column| column.map_or(0, Vec::len)).sum();
        if rows == 0 {
            return Ok(true);
        }
        let inserted = match tx.get_database_backend() {
            DbBackend::Postgres => {
                let row = tx.query_one_raw(self.whole()).await?;
                let inserted: i64 = row.ok_or(StoreError::Unavailable)?.try_get_by_index(0)?;
                u64::try_from(inserted).unwrap_or_default()
            }
            backend => {
                let mut inserted = 0;
                for Insert { before, rows, tail } in self.0 {
                    let statement = rows.statement(backend, &before, tail);
                    inserted += tx.execute_raw(statement).await?.rows_affected();
                }
                inserted
            }
        };
        Ok(inserted == rows as u64)
    }

    /// All of them as one statement of PostgreSQL, which tells how many rows it
    /// inserted.
    fn whole(self) -> Statement {
        let (mut parts, mut counts, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (place, Insert { before, rows, tail }) in self.0.into_iter().enumerate() {
            let rows = rows.query(DbBackend::Postgres, &mut values);
            parts.push(format!("part{place} AS ({before}{rows}{tail} RETURNING 1)"));
            counts.push(format!("(SELECT count(*) FROM part{place})"));
        }
        let sql = format!("WITH {} SELECT {}", parts.join(", "), counts.join(" + "));
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    }
}

/// The statements that insert the rows.
fn inserts<A: ActiveModelTrait>(
    backend: DbBackend,
    models: impl IntoIterator<Item = A>,
    tail: &str,
) -> Vec<Statement> {
    let parts = by_columns(models).into_iter();
    parts
        .map(|(before, rows)| rows.statement(backend, &before, tail))
        .collect()
}

/// The rows with what stands before them in their statement: one for all rows that
/// fill the same columns, because an array is bound without NULLs.
fn by_columns<A: ActiveModelTrait>(models: impl IntoIterator<Item = A>) -> Vec<(String, Rows)> {
    type Column<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;
    let mut by_columns: BTreeMap<Vec<usize>, Rows> = BTreeMap::new();
    for mut model in models {
        let (mut filled, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (place, column) in Column::<A>::iter().enumerate() {
            let value = match model.take(column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
                ActiveValue::NotSet => continue,
            };
            if value != value.as_null() {
                filled.push(place);
                columns.push((column.as_str(), kind_of(column.def().get_column_type())));
                values.push(value);
            }
        }
        let rows = by_columns
            .entry(filled)
            .or_insert_with(|| Rows::new(&columns));
        rows.push(values);
    }
    let table = A::Entity::default();
    let parts = by_columns.into_values().map(|rows| {
        let names: Vec<_> = rows.columns.iter().map(|(name, _)| *name).collect();
        let before = format!("INSERT INTO {} ({}) ", table.table_name(), names.join(", "));
        (before, rows)
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use sea_orm::Set;

    use super::*;
    use crate::entity::audit_pending;

    fn rows() -> Rows {
        let mut rows = Rows::new(&[("a", ArrayType::BigInt), ("b", ArrayType::String)]);
        rows.push([Value::from(1_i64), Value::from("x")]);
        rows.push([Value::from(2_i64), Value::from("y")]);
        rows
    }

    #[test]
    fn postgresql_gets_one_array_a_column_and_the_same_text_for_any_number_of_rows() {
        let statement = rows().statement(DbBackend::Postgres, "INSERT ", " TAIL");
        assert_eq!(
            statement.sql,
            "INSERT SELECT * FROM UNNEST($1::bigint[], $2::text[]) TAIL"
        );
        assert_eq!(statement.values.map(|values| values.0.len()), Some(2));
    }

    #[test]
    fn rows_for_several_tables_are_one_statement_with_all_values_in_their_order() {
        let pending = |id| audit_pending::ActiveModel { entry_id: Set(id) };
        let institution = crate::entity::institution::ActiveModel {
            code: Set("1".to_owned()),
            name_fa: Set("x".to_owned()),
            ..Default::default()
        };
        let mut inserts = Inserts::default();
        inserts.add_new([institution]);
        inserts.add([pending(Uuid::nil()), pending(Uuid::max())]);
        let statement = inserts.whole();
        assert_eq!(
            statement.sql,
            "WITH part0 AS (INSERT INTO institution (code, name_fa) \
             SELECT * FROM UNNEST($1::text[], $2::text[]) ON CONFLICT DO NOTHING RETURNING 1), \
             part1 AS (INSERT INTO audit_pending (entry_id) \
             SELECT * FROM UNNEST($3::uuid[]) RETURNING 1) \
             SELECT (SELECT count(*) FROM part0) + (SELECT count(*) FROM part1)"
        );
        assert_eq!(statement.values.map(|values| values.0.len()), Some(3));
    }

    #[test]
    fn sqlite_gets_the_cells_row_by_row() {
        let statement = rows().statement(DbBackend::Sqlite, "INSERT ", "");
        assert_eq!(statement.sql, "INSERT VALUES (?, ?), (?, ?)");
        let cells = [
            Value::from(1_i64),
            Value::from("x"),
            Value::from(2_i64),
            Value::from("y"),
        ];
        assert_eq!(statement.values.map(|values| values.0), Some(cells.into()));
    }

    #[test]
    fn rows_that_fill_other_columns_go_in_another_statement() {
        let model = |code: Option<&str>| crate::entity::institution::ActiveModel {
            code: Set("1".to_owned()),
            parent_code: Set(code.map(str::to_owned)),
            ..Default::default()
        };
        let models = [model(Some("2")), model(None), model(Some("3"))];
        let sql: Vec<_> = inserts(DbBackend::Postgres, models, "")
            .into_iter()
            .map(|statement| statement.sql)
            .collect();
        assert_eq!(
            sql,
            [
                "INSERT INTO institution (code) SELECT * FROM UNNEST($1::text[])",
                "INSERT INTO institution (code, parent_code) SELECT * FROM UNNEST($1::text[], $2::text[])",
            ]
        );
        assert!(
            inserts(
                DbBackend::Postgres,
                Vec::<audit_pending::ActiveModel>::new(),
                ""
            )
            .is_empty()
        );
    }
}
