//! A published version of a year's working calendar.

use sea_orm::entity::prelude::*;

/// A row of `calendar_version`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "calendar_version")]
pub struct Model {
    /// Jalali year.
    #[sea_orm(primary_key, auto_increment = false)]
    pub year: i32,
    /// Version, from 1; the greatest holds.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// Published, UTC microseconds.
    pub publish_time: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("calendar_version::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
