//! A row of a tariff table.

use sea_orm::entity::prelude::*;

/// A row of `tariff_version_row`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tariff_version_row")]
pub struct Model {
    /// Jalali year.
    #[sea_orm(primary_key, auto_increment = false)]
    pub year: i32,
    /// Version of the table.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// Place in the table, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// Service.
    pub service: String,
    /// Request type, any when unset.
    pub request_type: Option<String>,
    /// Institution type, any when unset.
    pub institution_type: Option<String>,
    /// First day, as a number; the whole year when unset.
    pub from_date: Option<i32>,
    /// Amount in `unit`.
    pub amount: i64,
    /// Money unit.
    pub unit: String,
    /// Legal reference.
    pub legal_reference: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("tariff_version_row::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
