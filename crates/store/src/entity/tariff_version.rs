//! A published version of a tariff table.

use sea_orm::entity::prelude::*;

/// A row of `tariff_version`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tariff_version")]
pub struct Model {
    /// Jalali year.
    #[sea_orm(primary_key, auto_increment = false)]
    pub year: i32,
    /// Version, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// Legal reference.
    pub legal_reference: String,
    /// SHA-256 over its content, 64 hex digits.
    pub digest: String,
    /// Microseconds; unset for tables older than versions.
    pub publish_time: Option<i64>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("tariff_version::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
