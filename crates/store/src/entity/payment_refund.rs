//! Money that is paid back, or asked to be.

use sea_orm::entity::prelude::*;

/// A row of `payment_refund`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_refund")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The payment.
    pub payment_id: Uuid,
    /// How much, in current rials.
    pub amount: i64,
    /// State.
    pub state: String,
    /// How.
    pub method: String,
    /// The gateway's number of it, or the officer's reference; empty until known.
    pub reference: String,
    /// Why, as the officer said.
    pub reason: String,
    /// Resource name of who asked for it.
    pub actor: String,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("payment_refund::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
