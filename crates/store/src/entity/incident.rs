//! A revocation of many documents.

use sea_orm::entity::prelude::*;

/// A row of `incident`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incident")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// State.
    pub state: String,
    /// Which documents, JSON.
    pub selection: String,
    /// Why.
    pub reason: String,
    /// The legal basis; may be empty.
    pub legal_basis: String,
    /// Documents found when it was proposed.
    pub selected: i64,
    /// Documents revoked so far.
    pub revoked: i64,
    /// Who proposed it.
    pub proposer: String,
    /// Keyed hash of who proposed it.
    pub proposer_hash: String,
    /// Who approved it; empty when nobody did.
    pub approver: String,
    /// The caller through which it was approved; empty when it was not.
    pub approved_by: String,
    /// When, UTC microseconds.
    pub approve_time: Option<i64>,
    /// Until when a node works on it, UTC microseconds.
    pub lease_until: Option<i64>,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts the decisions on it; the etag.
    pub version: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("incident::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
