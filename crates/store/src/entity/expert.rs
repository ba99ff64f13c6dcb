//! An expert of an institution.

use sea_orm::entity::prelude::*;

/// A row of `expert`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "expert")]
pub struct Model {
    /// Institution code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub institution_code: String,
    /// The institution's code for the expert.
    #[sea_orm(primary_key, auto_increment = false)]
    pub expert_code: String,
    /// Persian display name.
    pub display_name_fa: String,
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
        f.write_str("expert::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
