//! One step of an application's history.

use sea_orm::entity::prelude::*;

/// A row of `application_step`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "application_step")]
pub struct Model {
    /// The application.
    #[sea_orm(primary_key, auto_increment = false)]
    pub application_id: Uuid,
    /// Place in the history, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub step: i32,
    /// State.
    pub state: String,
    /// When, UTC microseconds.
    pub change_time: i64,
    /// Resource name of the caller that acted.
    pub actor: String,
    /// Who decided there, as the caller names them; empty when nobody did.
    pub decider: String,
    /// Keyed hash of who decided; empty when nobody did.
    pub decider_hash: String,
    /// Why, empty when not told.
    pub reason: String,
    /// What is to be mended, JSON.
    pub remarks: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("application_step::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
