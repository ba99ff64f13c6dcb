//! An audit entry: references and keyed hashes only, never personal data. Append-only.

use sea_orm::entity::prelude::*;

/// A row of `audit_entry`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When, UTC microseconds.
    pub act_time: i64,
    /// Resource name of the caller that acted.
    pub actor: String,
    /// The expert named, empty when none.
    pub on_behalf: String,
    /// Full name of the RPC.
    pub method: String,
    /// Resource name.
    pub resource: String,
    /// What was done.
    pub action: String,
    /// State before, empty when none.
    pub from_state: String,
    /// State after, empty when none.
    pub to_state: String,
    /// Reason given, empty when none.
    pub reason: String,
    /// Keyed hash of the subject, empty when none.
    pub subject_hash: String,
    /// Institution code.
    pub institution_code: String,
    /// The caller's retry key.
    pub request_id: String,
    /// Trace id of the call.
    pub trace_id: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("audit_entry::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
