//! A registered client certificate; the fingerprint is 64 lower-case hex digits.

use sea_orm::entity::prelude::*;

/// A row of `client_certificate`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "client_certificate")]
pub struct Model {
    /// SHA-256 of the certificate.
    #[sea_orm(primary_key, auto_increment = false)]
    pub fingerprint: String,
    /// Caller id.
    pub caller_id: String,
    /// 1 or 2 while active, unset when retired: a unique index on (caller, slot) keeps at most two active.
    pub slot: Option<i32>,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Retired, UTC microseconds.
    pub retire_time: Option<i64>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("client_certificate::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
