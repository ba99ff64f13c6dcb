//! A row of a job; the request is there until it is done.

use sea_orm::entity::prelude::*;

/// A row of `issuance_job_row`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "issuance_job_row")]
pub struct Model {
    /// The job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: Uuid,
    /// Its place in the file.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    /// Whether it waits, is done, or was not begun.
    pub state: String,
    /// What it asks for, as the contract encodes it; empty once it is done.
    pub request: Vec<u8>,
    /// The code that was issued.
    pub code_id: Option<Uuid>,
    /// The application that waits for its payment.
    pub application_id: Option<Uuid>,
    /// Why none was, as the contract encodes it.
    pub status: Option<Vec<u8>>,
}

/// Prints nothing: it is about a student.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("issuance_job_row::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
