//! A file that came with an application, as it is known here.

use sea_orm::entity::prelude::*;

/// A row of `attachment`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachment")]
pub struct Model {
    /// SHA-256 of the file, hexadecimal.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sha256: String,
    /// What it is.
    pub media_type: String,
    /// Its size.
    pub size_bytes: i64,
    /// Whether it is being kept, is kept, or is being removed.
    pub state: String,
    /// First kept, UTC microseconds.
    pub create_time: i64,
    /// Since when it belongs to nothing, UTC microseconds; unset while it belongs to something.
    pub loose_since: Option<i64>,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
