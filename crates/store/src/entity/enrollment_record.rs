//! An enrollment record; `content` is JSON.

use sea_orm::entity::prelude::*;

/// A row of `enrollment_record`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollment_record")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Institution code.
    pub institution_code: String,
    /// Student number.
    pub student_number: String,
    /// Key of the person.
    pub person_key: String,
    /// Enrollment status.
    pub status: String,
    /// Immutable content, JSON.
    pub content: String,
    /// True as of, UTC microseconds.
    pub as_of_time: i64,
    /// Received, UTC microseconds.
    pub receive_time: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("enrollment_record::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
