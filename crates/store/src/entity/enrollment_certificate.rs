//! An enrollment certificate. Until `signed_document` is there it is being issued and validates as unknown.

use sea_orm::entity::prelude::*;

/// A row of `enrollment_certificate`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollment_certificate")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Code.
    pub code: String,
    /// Serial for filing.
    pub serial: String,
    /// The application.
    pub application_id: Uuid,
    /// Institution code.
    pub institution_code: String,
    /// Key of the person.
    pub person_key: String,
    /// State.
    pub state: String,
    /// Immutable content, JSON.
    pub content: String,
    /// The exact bytes to sign.
    pub payload: Vec<u8>,
    /// Id of the signing key.
    pub key_id: String,
    /// The signed document.
    pub signed_document: Option<Vec<u8>>,
    /// The run that is signing it.
    pub lease_owner: Option<Uuid>,
    /// Until when the lease holds, UTC microseconds.
    pub lease_until: Option<i64>,
    /// Issued, UTC microseconds.
    pub issue_time: i64,
    /// Expires, UTC microseconds.
    pub expire_time: i64,
    /// Revocation, JSON.
    pub revocation: Option<String>,
    /// Remark of the last suspension or reinstatement.
    pub remark: Option<String>,
    /// The document that replaced it.
    pub superseded_by: Option<Uuid>,
    /// The document that it replaces.
    pub supersedes: Option<Uuid>,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts the changes of the row; the etag.
    pub version: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("enrollment_certificate::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
