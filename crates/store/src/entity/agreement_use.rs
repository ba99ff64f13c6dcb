//! How often an agreement was used on a day.

use sea_orm::entity::prelude::*;

/// A row of `agreement_use`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agreement_use")]
pub struct Model {
    /// The agreement.
    #[sea_orm(primary_key, auto_increment = false)]
    pub agreement_id: String,
    /// Jalali day, `14050223`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i32,
    /// Calls.
    pub calls: i64,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
