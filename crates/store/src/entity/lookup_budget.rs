//! What a caller has spent of its budgets on a day.

use sea_orm::entity::prelude::*;

/// A row of `lookup_budget`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lookup_budget")]
pub struct Model {
    /// Caller id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller_id: String,
    /// Jalali day, `14050223`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i32,
    /// Wrong guesses.
    pub negatives: i64,
    /// Distinct subjects.
    pub subjects: i64,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
