//! A service call; lists are JSON arrays of names.

use sea_orm::entity::prelude::*;

/// A row of `service_call`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "service_call")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Service.
    pub service: String,
    /// State.
    pub state: String,
    /// Opens, UTC microseconds.
    pub open_time: i64,
    /// Closes, UTC microseconds.
    pub close_time: Option<i64>,
    /// Institution types, JSON array.
    pub eligible_types: String,
    /// Document kinds, JSON array.
    pub document_kinds: String,
    /// Workflow version.
    pub workflow_version: String,
    /// Days for requests in flight after the close.
    pub run_off_days: i32,
    /// Counts its changes.
    pub version: i64,
    /// Working hours promised for types of request, JSON object.
    pub sla_targets: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("service_call::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
