//! An agreement of one consumer for one call.

use sea_orm::entity::prelude::*;

/// A row of `agreement`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agreement")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The call.
    pub call_id: String,
    /// Resource name of the consumer.
    pub consumer: String,
    /// State.
    pub state: String,
    /// Purposes, JSON array.
    pub purposes: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("agreement::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
