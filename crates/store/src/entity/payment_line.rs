//! An application that a payment pays for.

use sea_orm::entity::prelude::*;

/// A row of `payment_line`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_line")]
pub struct Model {
    /// The payment.
    #[sea_orm(primary_key, auto_increment = false)]
    pub payment_id: Uuid,
    /// Its place among the others, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// Resource name of the application.
    pub application: String,
    /// The fee, in `unit`.
    pub amount: i64,
    /// Unit of the fee, as it was quoted.
    pub unit: String,
    /// How it stands.
    pub state: String,
    /// The application, while the payment can be paid: only one payment of it can.
    pub open_application: Option<String>,
    /// When it is to go on, UTC microseconds; unset when it need not.
    pub next_time: Option<i64>,
    /// The refund that it belongs to.
    pub refund_id: Option<Uuid>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("payment_line::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
