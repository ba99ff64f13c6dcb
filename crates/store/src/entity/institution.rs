//! An institution.

use sea_orm::entity::prelude::*;

/// A row of `institution`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "institution")]
pub struct Model {
    /// Code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub code: String,
    /// Kind.
    pub kind: String,
    /// Central body that acts for it.
    pub parent_code: Option<String>,
    /// Persian name.
    pub name_fa: String,
    /// English name.
    pub name_en: String,
    /// State.
    pub state: String,
    /// Who took over.
    pub successor_code: Option<String>,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts the changes of the row; the etag.
    pub version: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("institution::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
