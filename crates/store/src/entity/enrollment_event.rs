//! An enrollment event as reported.

use sea_orm::entity::prelude::*;

/// A row of `enrollment_event`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollment_event")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The record.
    pub record_id: Uuid,
    /// Kind.
    pub kind: String,
    /// In effect from, yyyymmdd.
    pub effective_date: i32,
    /// True as of, UTC microseconds.
    pub as_of_time: i64,
    /// Received, UTC microseconds.
    pub receive_time: i64,
    /// Whether it changed the record.
    pub applied: bool,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("enrollment_event::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
