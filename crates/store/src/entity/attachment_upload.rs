//! Who sent a file.

use sea_orm::entity::prelude::*;

/// A row of `attachment_upload`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachment_upload")]
pub struct Model {
    /// SHA-256 of the file.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sha256: String,
    /// Resource name of the caller.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uploader: String,
    /// When, UTC microseconds.
    pub upload_time: i64,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
