//! Pages: newest first, by a key that does not move when rows are added.

use jiff::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::certificates::{read_application, read_certificate};
use crate::codes::{read_code_application, read_row};
use crate::entity::{
    certificate_application, code_application, enrollment_certificate, validity_code,
};
use crate::{
    Store, StoreError, StoredApplication, StoredCertificate, StoredCode, StoredCodeApplication,
};

/// Where a page ended: the last row's time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageKey {
    /// Time of the last row, UTC microseconds.
    pub micros: i64,
    /// Id of the last row.
    pub id: Uuid,
}

/// Which rows a caller may see at all.
#[derive(Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every row.
    All,
    /// Rows of these institutions.
    Institutions(Vec<String>),
    /// Rows of one person, by the person's key.
    Person(String),
    /// Rows of one person at these institutions.
    PersonAt {
        /// The person's key.
        person: String,
        /// Codes of the institutions.
        institutions: Vec<String>,
    },
}

/// Filters of validity codes, combined with "and".
#[derive(Clone)]
pub struct CodeFilter {
    /// Rows the caller may see.
    pub scope: Scope,
    /// State, by name.
    pub state: Option<&'static str>,
    /// Document kind, by name.
    pub document_kind: Option<&'static str>,
    /// The caller's own reference.
    pub external_ref: Option<String>,
    /// Issued at or after.
    pub issued_from: Option<Timestamp>,
    /// Issued before.
    pub issued_before: Option<Timestamp>,
}

/// Filters of certificates and of all applications, combined with "and".
#[derive(Clone)]
pub struct CertificateFilter {
    /// Rows the caller may see.
    pub scope: Scope,
    /// State, by name.
    pub state: Option<&'static str>,
}

/// Rows of `scope` after `after`, where the table is keyed by `time` and `id`.
pub(crate) fn condition<C: ColumnTrait>(
    scope: &Scope,
    after: Option<PageKey>,
    institution: C,
    person: C,
    time: C,
    id: C,
) -> Condition {
    let condition = Condition::all();
    let condition = match scope {
        Scope::All => condition,
        Scope::Institutions(codes) => condition.add(institution.is_in(codes.iter().cloned())),
        Scope::Person(key) => condition.add(person.eq(key.as_str())),
        Scope::PersonAt {
            person: key,
            institutions,
        } => condition
            .add(person.eq(key.as_str()))
            .add(institution.is_in(institutions.iter().cloned())),
    };
    // One comparison of pairs: an index on both columns can start there.
    condition.add_option(after.map(|after| {
        Expr::tuple([time.into_expr(), id.into_expr()]).lt(Expr::tuple([
            Expr::value(after.micros),
            Expr::value(after.id),
        ]))
    }))
}

impl Store {
    /// A page of validity codes, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_codes(
        &self,
        filter: &CodeFilter,
        after: Option<PageKey>,
        size: u64,
    ) -> Result<Vec<StoredCode>, StoreError> {
        use validity_code::Column;
        let condition = condition(
            &filter.scope,
            after,
            Column::InstitutionCode,
            Column::PersonKey,
            Column::IssueTime,
            Column::Id,
        )
        .add_option(filter.state.map(|state| Column::State.eq(state)))
        .add_option(
            filter
                .document_kind
                .map(|kind| Column::DocumentKind.eq(kind)),
        )
        .add_option(
            filter
                .external_ref
                .as_ref()
                .map(|own| Column::ExternalRef.eq(own.as_str())),
        )
        .add_option(
            filter
                .issued_from
                .map(|from| Column::IssueTime.gte(from.as_microsecond())),
        )
        .add_option(
            filter
                .issued_before
                .map(|end| Column::IssueTime.lt(end.as_microsecond())),
        );
        self.read("list_codes", async {
            let rows = validity_code::Entity::find()
                .filter(condition)
                .order_by_desc(Column::IssueTime)
                .order_by_desc(Column::Id)
                .limit(size)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_row).collect()
        })
        .await
    }

    /// A page of issued certificates, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_certificates(
        &self,
        filter: &CertificateFilter,
        after: Option<PageKey>,
        size: u64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        use enrollment_certificate::Column;
        let condition = condition(
            &filter.scope,
            after,
            Column::InstitutionCode,
            Column::PersonKey,
            Column::IssueTime,
            Column::Id,
        )
        .add(Column::SignedDocument.is_not_null())
        .add_option(filter.state.map(|state| Column::State.eq(state)));
        self.read("list_certificates", async {
            let rows = enrollment_certificate::Entity::find()
                .filter(condition)
                .order_by_desc(Column::IssueTime)
                .order_by_desc(Column::Id)
                .limit(size)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_certificate).collect()
        })
        .await
    }

    /// A page of applications, newest first, each with its history.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_applications(
        &self,
        filter: &CertificateFilter,
        after: Option<PageKey>,
        size: u64,
    ) -> Result<Vec<StoredApplication>, StoreError> {
        use certificate_application::Column;
        let condition = condition(
            &filter.scope,
            after,
            Column::InstitutionCode,
            Column::PersonKey,
            Column::CreateTime,
            Column::Id,
        )
        .add_option(filter.state.map(|state| Column::State.eq(state)));
        self.read("list_applications", async {
            let rows = certificate_application::Entity::find()
                .filter(condition)
                .order_by_desc(Column::CreateTime)
                .order_by_desc(Column::Id)
                .limit(size)
                .all(&self.inner.db)
                .await?;
            let mut steps = crate::certificates::steps_of(&self.inner.db, &rows).await?;
            rows.into_iter()
                .map(|row| {
                    let history = steps.remove(&row.id).unwrap_or_default();
                    read_application(row, history)
                })
                .collect()
        })
        .await
    }

    /// A page of applications for validity codes, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_code_applications(
        &self,
        filter: &CertificateFilter,
        after: Option<PageKey>,
        size: u64,
    ) -> Result<Vec<StoredCodeApplication>, StoreError> {
        use code_application::Column;
        let condition = condition(
            &filter.scope,
            after,
            Column::InstitutionCode,
            Column::PersonKey,
            Column::CreateTime,
            Column::Id,
        )
        .add_option(filter.state.map(|state| Column::State.eq(state)));
        self.read("list_code_applications", async {
            let rows = code_application::Entity::find()
                .filter(condition)
                .order_by_desc(Column::CreateTime)
                .order_by_desc(Column::Id)
                .limit(size)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_code_application).collect()
        })
        .await
    }
}
