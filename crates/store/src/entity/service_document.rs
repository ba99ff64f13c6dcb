//! A version of a document of a service.

use sea_orm::entity::prelude::*;

/// A row of `service_document`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "service_document")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What it keeps through its versions.
    pub document_key: String,
    /// Its version, from 1.
    pub edition: i32,
    /// The service; empty for all of them.
    pub service: String,
    /// What it is.
    pub kind: String,
    /// Persian title.
    pub title_fa: String,
    /// English title; may be empty.
    pub title_en: String,
    /// The document it stands under.
    pub parent: Option<Uuid>,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Size of the file.
    pub size_bytes: i64,
    /// State.
    pub state: String,
    /// Number of the publication that put it in force.
    pub publication: Option<i64>,
    /// Number of the publication that superseded it.
    pub superseded_by: Option<i64>,
    /// Resource name of who uploaded it.
    pub uploader: String,
    /// Uploaded, UTC microseconds.
    pub create_time: i64,
    /// Published, UTC microseconds.
    pub publish_time: Option<i64>,
    /// Counts its changes; the etag.
    pub version: i64,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
