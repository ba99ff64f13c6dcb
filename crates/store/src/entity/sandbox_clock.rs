//! One row: how far the clock of a sandbox was moved.

use sea_orm::entity::prelude::*;

/// A row of `sandbox_clock`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sandbox_clock")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// How far it is ahead of the real time.
    pub ahead_micros: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sandbox_clock::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
