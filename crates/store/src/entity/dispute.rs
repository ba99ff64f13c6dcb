//! A dispute between a consumer and the provider.

use sea_orm::entity::prelude::*;

/// A row of `dispute`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dispute")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Resource name.
    pub resource: String,
    /// Resource name of what it is about.
    pub subject: String,
    /// Resource name of the consumer.
    pub consumer: String,
    /// Of an agency, id of the caller through which it speaks; empty otherwise.
    pub through: String,
    /// State.
    pub state: String,
    /// The party that opened it.
    pub opened_by: String,
    /// The statement it was opened with.
    pub statement: String,
    /// When the month of negotiation is over, UTC microseconds.
    pub deadline: i64,
    /// Where the consumer stands, JSON.
    pub consumer_stance: String,
    /// Where the provider stands, JSON.
    pub provider_stance: String,
    /// How many messages it has.
    pub messages: i32,
    /// The ruling without what it orders, JSON.
    pub ruling: Option<String>,
    /// Opened, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts its changes; the etag.
    pub version: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dispute::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
