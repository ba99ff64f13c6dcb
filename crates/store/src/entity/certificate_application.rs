//! An application for an enrollment certificate; `content` is JSON. `open_key` is set while the application is open and unique among open ones.

use sea_orm::entity::prelude::*;

/// A row of `certificate_application`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_application")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Institution code.
    pub institution_code: String,
    /// Key of the person.
    pub person_key: String,
    /// Uniqueness key while open.
    pub open_key: Option<String>,
    /// State.
    pub state: String,
    /// What it says, JSON.
    pub content: String,
    /// The certificate.
    pub certificate_id: Uuid,
    /// Created, UTC microseconds.
    pub create_time: i64,
    /// Last changed, UTC microseconds.
    pub update_time: i64,
    /// Counts the changes of the row; the etag.
    pub version: i64,
    /// Until when it can be paid, UTC microseconds; set while it waits for that.
    pub pay_until: Option<i64>,
    /// Type of the request, once it was handed in.
    pub request_type: Option<String>,
    /// Id of the agreement under which it was handed in first.
    pub agreement: Option<String>,
    /// Handed in first, UTC microseconds.
    pub submit_time: Option<i64>,
    /// Jalali month of that in Tehran, year and month as one number.
    pub submit_month: Option<i32>,
    /// Until when the initial result was promised, UTC microseconds.
    pub due_time: Option<i64>,
    /// The initial result, UTC microseconds.
    pub result_time: Option<i64>,
    /// Working time until then, microseconds; unset where a year had no calendar.
    pub result_elapsed: Option<i64>,
    /// The first decision, UTC microseconds.
    pub decision_time: Option<i64>,
    /// Working time until then, microseconds; unset where a year had no calendar.
    pub decision_elapsed: Option<i64>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("certificate_application::Model(…)")
    }
}

/// No relation is followed by the object mapper.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
