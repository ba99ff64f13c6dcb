//! A loaded tariff table.

use sea_orm::entity::prelude::*;

/// A row of `tariff_year`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tariff_year")]
pub struct Model {
    /// Jalali year.
    #[sea_orm(primary_key, auto_increment = false)]
    pub year: i32,
    /// Legal reference.
    pub legal_reference: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("tariff_year::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
