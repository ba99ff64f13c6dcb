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
    /// Caller of the hub through which an agency calls.
    pub through: Option<String>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// What may be told, JSON array.
    pub fields: String,
    /// Most calls a day.
    pub daily_calls: Option<i64>,
    /// Most calls a second.
    pub burst: Option<i64>,
    /// Version of the text that was accepted; 0 when none was.
    pub text_version: i32,
    /// Resource name of the caller that accepted it, empty when nobody did.
    pub accepted_by: String,
    /// When it was accepted, UTC microseconds.
    pub accept_time: Option<i64>,
    /// When it was asked for, UTC microseconds; 0 when it was loaded by an early version.
    pub create_time: i64,
    /// When it last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts its changes.
    pub version: i64,
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
