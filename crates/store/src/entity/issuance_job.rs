//! A job that issues validity codes from a file.

use sea_orm::entity::prelude::*;

/// A row of `issuance_job`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "issuance_job")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The caller that submitted it.
    pub caller_id: String,
    /// The caller's institution.
    pub institution_code: String,
    /// The caller's own name for it.
    pub label: String,
    /// State.
    pub state: String,
    /// Rows of the file.
    pub total: i32,
    /// Rows that got a code.
    pub issued: i32,
    /// Rows that were refused.
    pub failed: i32,
    /// Rows whose applications waited for their payment when they were done.
    pub unpaid: i32,
    /// Above so many failed rows in a hundred it stops.
    pub max_error_percent: Option<i32>,
    /// Why it was stopped; may be empty.
    pub stop_reason: String,
    /// Until when a node works on it, UTC microseconds.
    pub lease_until: i64,
    /// Submitted, UTC microseconds.
    pub create_time: i64,
    /// Last gone on, UTC microseconds.
    pub update_time: i64,
    /// Ended, UTC microseconds.
    pub end_time: Option<i64>,
    /// Counts its states; the etag.
    pub version: i64,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
