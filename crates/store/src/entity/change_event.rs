//! A change event: exactly one for each audit entry, in the same transaction.

use sea_orm::entity::prelude::*;

/// A row of `change_event`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change_event")]
pub struct Model {
    /// The audit entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry_id: Uuid,
    /// When, UTC microseconds.
    pub event_time: i64,
    /// Institution code.
    pub institution_code: String,
    /// Caller id.
    pub caller_id: String,
    /// Resource name.
    pub resource: String,
    /// Kind.
    pub kind: String,
    /// State.
    pub state: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("change_event::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
