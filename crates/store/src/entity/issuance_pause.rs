//! A pause of issuing, in force or ended.

use sea_orm::entity::prelude::*;

/// A row of `issuance_pause`.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "issuance_pause")]
pub struct Model {
    /// The service.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service: String,
    /// Institution code, empty for all.
    #[sea_orm(primary_key, auto_increment = false)]
    pub institution_code: String,
    /// Whether it is in force.
    pub in_force: bool,
    /// Why, as given.
    pub reason: String,
    /// Since when it was last in force, UTC microseconds.
    pub pause_time: i64,
    /// Resource name of the caller that paused it.
    pub paused_by: String,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
