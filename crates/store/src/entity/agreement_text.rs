//! A version of the text of a service-level agreement.

use sea_orm::entity::prelude::*;

/// A row of `agreement_text`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agreement_text")]
pub struct Model {
    /// Service.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service: String,
    /// Version, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// Jalali day on which it was last edited, `14050223`.
    pub edit_date: i32,
    /// Persian title.
    pub title_fa: String,
    /// Persian title of the document it stands under.
    pub parent_fa: String,
    /// Clauses, a JSON array.
    pub clauses: String,
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
