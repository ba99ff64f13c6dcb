//! A row of a working calendar.

use sea_orm::entity::prelude::*;

/// A row of `calendar_version_row`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "calendar_version_row")]
pub struct Model {
    /// Jalali year.
    #[sea_orm(primary_key, auto_increment = false)]
    pub year: i32,
    /// Version of the calendar.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// Place in the calendar, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// What it says.
    pub kind: String,
    /// First day, as a number.
    pub from_date: i32,
    /// Last day, as a number.
    pub to_date: i32,
    /// The only weekday it speaks of.
    pub weekday: Option<String>,
    /// Minutes after midnight at which work begins.
    pub opens: Option<i32>,
    /// Minutes after midnight at which work ends.
    pub closes: Option<i32>,
    /// What it is.
    pub title: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("calendar_version_row::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
