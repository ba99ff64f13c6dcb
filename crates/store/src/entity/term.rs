//! A term of an academic year; dates as yyyymmdd of the Jalali calendar.

use sea_orm::entity::prelude::*;

/// A row of `term`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "term")]
pub struct Model {
    /// Jalali year in which the academic year starts.
    #[sea_orm(primary_key, auto_increment = false)]
    pub academic_year: i32,
    /// Kind.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// First day, yyyymmdd.
    pub start_date: i32,
    /// Last day, yyyymmdd.
    pub end_date: i32,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("term::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
