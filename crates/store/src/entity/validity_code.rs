//! A validity code; `live_key` is set while the code is live and unique among live codes; `content` is JSON.

use sea_orm::entity::prelude::*;

/// A row of `validity_code`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "validity_code")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Code.
    pub code: String,
    /// Institution code.
    pub institution_code: String,
    /// Key of the person.
    pub person_key: String,
    /// Degree level.
    pub degree_level: String,
    /// Document kind.
    pub document_kind: String,
    /// The caller's own reference.
    pub external_ref: String,
    /// Uniqueness key while live.
    pub live_key: Option<String>,
    /// State.
    pub state: String,
    /// Immutable content, JSON.
    pub content: String,
    /// Issued, UTC microseconds.
    pub issue_time: i64,
    /// Expires, UTC microseconds.
    pub expire_time: Option<i64>,
    /// Revocation, JSON.
    pub revocation: Option<String>,
    /// Remark of the last suspension or reinstatement.
    pub remark: Option<String>,
    /// The document that replaced it.
    pub superseded_by: Option<Uuid>,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts the changes of the row; the etag.
    pub version: i64,
    /// Whether it was issued before this service.
    pub legacy: bool,
    /// Id of the agreement, of a code that was issued in the call that asked for it.
    pub agreement: Option<String>,
    /// Jalali month in Tehran in which that was, year and month as one number.
    pub submit_month: Option<i32>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("validity_code::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
