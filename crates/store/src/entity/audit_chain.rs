//! The chain over the audit entries; `seq` has no gaps and orders the change feed.

use sea_orm::entity::prelude::*;

/// A row of `audit_chain`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_chain")]
pub struct Model {
    /// Place in the chain, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The audit entry.
    pub entry_id: Uuid,
    /// Hash of the entry before.
    pub prev_hash: Vec<u8>,
    /// SHA-256 over prev_hash and the entry.
    pub hash: Vec<u8>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("audit_chain::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
