//! A caller.

use sea_orm::entity::prelude::*;

/// A row of `caller`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "caller")]
pub struct Model {
    /// Caller id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller_id: String,
    /// Caller class.
    pub class: String,
    /// Institution code.
    pub institution_code: Option<String>,
    /// Display name.
    pub display_name: String,
    /// State.
    pub state: String,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts the changes of the row; the etag.
    pub version: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("caller::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
