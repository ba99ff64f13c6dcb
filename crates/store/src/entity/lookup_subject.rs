//! A subject that a caller asked for on a day, as a part of its keyed hash.

use sea_orm::entity::prelude::*;

/// A row of `lookup_subject`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lookup_subject")]
pub struct Model {
    /// Caller id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller_id: String,
    /// Jalali day, `14050223`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i32,
    /// The first eight bytes of the keyed hash.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: i64,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
