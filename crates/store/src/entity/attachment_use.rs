//! What a file belongs to.

use sea_orm::entity::prelude::*;

/// A row of `attachment_use`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachment_use")]
pub struct Model {
    /// SHA-256 of the file.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sha256: String,
    /// Resource name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub resource: String,
    /// The institution that the resource is about.
    pub institution_code: String,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
