//! Something that a ruling orders.

use sea_orm::entity::prelude::*;

/// A row of `dispute_action`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dispute_action")]
pub struct Model {
    /// The dispute.
    #[sea_orm(primary_key, auto_increment = false)]
    pub dispute_id: Uuid,
    /// Its number in the ruling, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// What is to be done.
    pub act: String,
    /// Resource name of what it is to be done to.
    pub target: String,
    /// How; may be empty.
    pub note: String,
    /// Resource name of what came of it; empty until it is done.
    pub result: String,
    /// Who did or closed it; empty until then.
    pub done_by: String,
    /// When, UTC microseconds.
    pub done_time: Option<i64>,
    /// Why it can no longer be done; empty unless it was closed.
    pub close_reason: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dispute_action::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
