//! What a caller's request_id stands for. `method` is the RPC's full name; in a batch `row` is the row's place, else -1.

use sea_orm::entity::prelude::*;

/// A row of `request_claim`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "request_claim")]
pub struct Model {
    /// Caller id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller_id: String,
    /// Full name of the RPC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub method: String,
    /// The caller's retry key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: Uuid,
    /// Place in the batch, -1 outside one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub row: i32,
    /// SHA-256 over the parsed input.
    pub digest: Vec<u8>,
    /// Resource name.
    pub resource: String,
    /// What was answered besides the resource.
    pub outcome: String,
    /// Created, UTC microseconds.
    pub create_time: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("request_claim::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
