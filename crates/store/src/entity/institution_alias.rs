//! A further code of an institution; also holds the institution's own code, so that no alias shadows a code.

use sea_orm::entity::prelude::*;

/// A row of `institution_alias`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "institution_alias")]
pub struct Model {
    /// The code or alias.
    #[sea_orm(primary_key, auto_increment = false)]
    pub alias: String,
    /// Institution code.
    pub institution_code: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("institution_alias::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
