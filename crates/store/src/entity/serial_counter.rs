//! The next serial number of a Jalali year.

use sea_orm::entity::prelude::*;

/// A row of `serial_counter`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "serial_counter")]
pub struct Model {
    /// Jalali year.
    #[sea_orm(primary_key, auto_increment = false)]
    pub year: i32,
    /// Next number.
    pub next_number: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("serial_counter::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
