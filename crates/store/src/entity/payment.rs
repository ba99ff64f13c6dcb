//! A payment at a gateway.

use sea_orm::entity::prelude::*;

/// A row of `payment`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The gateway, by its name.
    pub gateway: String,
    /// Whose applications it pays for.
    pub service: String,
    /// The institution of all of them.
    pub institution_code: String,
    /// The caller that began it.
    pub caller_id: String,
    /// Key of the only person concerned; empty when there are many.
    pub person_key: String,
    /// What is to be paid, in current rials.
    pub amount: i64,
    /// State.
    pub state: String,
    /// The gateway's name of it, once opened.
    pub authority: Option<String>,
    /// The gateway's number of the transaction, once the money is in.
    pub reference: Option<String>,
    /// The gateway's fee in current rials, where it told one.
    pub fee: Option<i64>,
    /// Where the payer is sent back to.
    pub callback_url: String,
    /// Why it failed; may be empty.
    pub failure: String,
    /// Until when it can be paid, UTC microseconds.
    pub expire_time: i64,
    /// When the gateway is asked about it next, UTC microseconds; unset when there is nothing to ask.
    pub look_time: Option<i64>,
    /// How often it was asked about.
    pub looks: i32,
    /// When the money came in, UTC microseconds.
    pub verify_time: Option<i64>,
    /// When the gateway's day file said the same, UTC microseconds.
    pub settle_time: Option<i64>,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts its changes; the etag.
    pub version: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("payment::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
