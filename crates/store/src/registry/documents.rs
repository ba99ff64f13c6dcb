//! The documents of the services. Publications are numbered: a number tells all that was in force.

use std::collections::HashMap;

use gavah_domain::attachment::FileDigest;
use gavah_domain::service::ServiceKind;
use gavah_domain::service_document::{ServiceDocumentKind, ServiceDocumentState};
use jiff::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use uuid::Uuid;

use crate::claim::resource_id;
use crate::content::{instant, known};
use crate::entity::service_document::{self, Column};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, RegistryChange, Store, StoreError};

/// Collection of the resource names.
const COLLECTION: &str = "serviceDocuments";

/// A version of a document to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceDocument {
    /// Resource id.
    pub id: Uuid,
    /// What it keeps through its versions.
    pub key: String,
    /// The service; all of them when unset.
    pub service: Option<ServiceKind>,
    /// What it is.
    pub kind: ServiceDocumentKind,
    /// Persian title.
    pub title_fa: String,
    /// English title; may be empty.
    pub title_en: String,
    /// The document it stands under.
    pub parent: Option<Uuid>,
    /// The file.
    pub file: FileDigest,
    /// Size of the file.
    pub size_bytes: i64,
}

/// A version of a document as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredServiceDocument {
    /// What it is.
    pub document: NewServiceDocument,
    /// Its version, from 1.
    pub edition: i32,
    /// State.
    pub state: ServiceDocumentState,
    /// Number of the publication that put it in force.
    pub publication: Option<i64>,
    /// Number of the publication that superseded it.
    pub superseded_by: Option<i64>,
    /// When it was uploaded.
    pub create_time: Timestamp,
    /// When it was published.
    pub publish_time: Option<Timestamp>,
    /// Counts its changes.
    pub version: i64,
}

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

impl Store {
    /// Keeps the next version of a document as a draft. Not under another kind or service than the versions before
    /// ([`RegistryChange::Exists`]), nor under a parent that is not there ([`RegistryChange::NotFound`]).
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn add_service_document(
        &self,
        context: &ActContext,
        new: &NewServiceDocument,
    ) -> Result<RegistryChange, StoreError> {
        let resource = name(new.id);
        self.change_registry("add_service_document", context, &resource, &|tx, _| {
            Box::pin(async move {
                let last = service_document::Entity::find()
                    .filter(Column::DocumentKey.eq(new.key.as_str()))
                    .order_by_desc(Column::Edition)
                    .one(tx)
                    .await?;
                let service = service_text(new.service);
                let same = |last: &service_document::Model| {
                    last.kind == new.kind.as_str() && last.service == service
                };
                if last.as_ref().is_some_and(|last| !same(last)) {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                if let Some(parent) = new.parent
                    && service_document::Entity::find_by_id(parent)
                        .one(tx)
                        .await?
                        .is_none()
                {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                }
                let row = service_document::ActiveModel {
                    id: Set(new.id),
                    document_key: Set(new.key.clone()),
                    edition: Set(last.map_or(1, |last| last.edition + 1)),
                    service: Set(service.to_owned()),
                    kind: Set(new.kind.as_str().to_owned()),
                    title_fa: Set(new.title_fa.clone()),
                    title_en: Set(new.title_en.clone()),
                    parent: Set(new.parent),
                    sha256: Set(new.file.to_string()),
                    size_bytes: Set(new.size_bytes),
                    state: Set(ServiceDocumentState::Draft.as_str().to_owned()),
                    publication: Set(None),
                    superseded_by: Set(None),
                    uploader: Set(context.actor.clone()),
                    create_time: Set(context.now.as_microsecond()),
                    publish_time: Set(None),
                    version: Set(1),
                };
                let insert = service_document::Entity::insert(row);
                insert.exec_without_returning(tx).await.map_err(taken)?;
                let act = Act {
                    resource: name(new.id),
                    action: "UPLOAD",
                    to: ServiceDocumentState::Draft.as_str().to_owned(),
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Puts a draft in force, in place of the version before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn publish_service_document(
        &self,
        context: &ActContext,
        id: Uuid,
        version: i64,
    ) -> Result<RegistryChange, StoreError> {
        let resource = name(id);
        self.change_registry("publish_service_document", context, &resource, &|tx, _| {
            Box::pin(async move {
                let row = service_document::Entity::find_by_id(id).one(tx).await?;
                let Some(row) = row else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                if row.version != version {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                let publication = last_publication(tx).await? + 1;
                let (draft, published) =
                    (ServiceDocumentState::Draft, ServiceDocumentState::Published);
                let superseded = service_document::Entity::find()
                    .filter(Column::DocumentKey.eq(row.document_key.as_str()))
                    .filter(Column::State.eq(published.as_str()))
                    .one(tx)
                    .await?;
                let mut acts = Vec::new();
                if let Some(before) = superseded {
                    if before.edition > row.edition {
                        return Ok(Done::Abandon(RegistryChange::Outdated));
                    }
                    supersede(tx, before.id, publication).await?;
                    acts.push(Act {
                        resource: name(before.id),
                        action: "SUPERSEDE",
                        from: published.as_str().to_owned(),
                        to: ServiceDocumentState::Superseded.as_str().to_owned(),
                        ..Act::default()
                    });
                }
                let updated = service_document::Entity::update_many()
                    .col_expr(Column::State, Expr::value(published.as_str()))
                    .col_expr(Column::Publication, Expr::value(publication))
                    .col_expr(
                        Column::PublishTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .col_expr(Column::Version, Expr::value(version + 1))
                    .filter(Column::Id.eq(id))
                    .filter(Column::Version.eq(version))
                    .filter(Column::State.eq(draft.as_str()))
                    .exec(tx)
                    .await
                    .map_err(taken)?;
                if updated.rows_affected == 0 {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                acts.push(Act {
                    resource: name(id),
                    action: "PUBLISH",
                    from: draft.as_str().to_owned(),
                    to: published.as_str().to_owned(),
                    ..Act::default()
                });
                let acts = acts.into_iter().map(|act| (context, act));
                self.record_all(tx, [], acts).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// The document that an earlier call with this claim uploaded or published.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn claimed_service_document(
        &self,
        context: &ActContext,
    ) -> Result<Option<Uuid>, StoreError> {
        let Some(claim) = &context.claim else {
            return Ok(None);
        };
        match self.claimed(claim).await? {
            Some(Claimed::Replay { resource, .. }) => resource_id(&resource, COLLECTION).map(Some),
            Some(Claimed::Reused) | None => Ok(None),
        }
    }

    /// A version of a document.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn service_document(
        &self,
        id: Uuid,
    ) -> Result<Option<StoredServiceDocument>, StoreError> {
        self.read("get_service_document", async {
            let row = service_document::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(read).transpose()
        })
        .await
    }

    /// Versions of documents by key and version: of one service, with those of all services, or of any; those in force
    /// as of a publication, or all.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn service_documents(
        &self,
        service: Option<ServiceKind>,
        as_of: Option<i64>,
    ) -> Result<Vec<StoredServiceDocument>, StoreError> {
        let mut condition = Condition::all();
        if let Some(service) = service {
            condition = condition.add(Column::Service.is_in([service.as_str(), ""]));
        }
        if let Some(publication) = as_of {
            let still = Condition::any()
                .add(Column::SupersededBy.is_null())
                .add(Column::SupersededBy.gt(publication));
            condition = condition
                .add(Column::Publication.lte(publication))
                .add(still);
        }
        self.read("list_service_documents", async {
            let rows = service_document::Entity::find()
                .filter(condition)
                .order_by_asc(Column::DocumentKey)
                .order_by_asc(Column::Edition)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read).collect()
        })
        .await
    }

    /// Of each service the number of the last publication that it knows; none where nothing was published.
    pub(crate) async fn publications(&self) -> Result<HashMap<ServiceKind, i64>, StoreError> {
        let rows: Vec<(String, Option<i64>)> = service_document::Entity::find()
            .select_only()
            .column(Column::Service)
            .column_as(Column::Publication.max(), "last")
            .filter(Column::Publication.is_not_null())
            .group_by(Column::Service)
            .into_tuple()
            .all(&self.inner.db)
            .await?;
        let of = |service: &str| rows.iter().find(|(of, _)| of == service)?.1;
        let last = |service: &ServiceKind| {
            let last = Ord::max(of(service.as_str()), of(""));
            last.map(|last| (*service, last))
        };
        Ok(ServiceKind::ALL.iter().filter_map(last).collect())
    }
}

async fn supersede(tx: &DatabaseTransaction, id: Uuid, publication: i64) -> Result<(), StoreError> {
    service_document::Entity::update_many()
        .col_expr(
            Column::State,
            Expr::value(ServiceDocumentState::Superseded.as_str()),
        )
        .col_expr(Column::SupersededBy, Expr::value(publication))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Another version or publication took the number since this looked.
fn taken(error: sea_orm::DbErr) -> StoreError {
    match StoreError::from(error) {
        StoreError::Constraint(_) => StoreError::Conflict,
        error => error,
    }
}

async fn last_publication(tx: &DatabaseTransaction) -> Result<i64, StoreError> {
    let last = service_document::Entity::find()
        .filter(Column::Publication.is_not_null())
        .order_by_desc(Column::Publication)
        .one(tx)
        .await?;
    Ok(last.and_then(|row| row.publication).unwrap_or_default())
}

fn service_text(service: Option<ServiceKind>) -> &'static str {
    service.map_or("", ServiceKind::as_str)
}

fn read(row: service_document::Model) -> Result<StoredServiceDocument, StoreError> {
    let service = match row.service.as_str() {
        "" => None,
        service => Some(known(service, "service_document.service")?),
    };
    Ok(StoredServiceDocument {
        document: NewServiceDocument {
            id: row.id,
            key: row.document_key,
            service,
            kind: known(&row.kind, "service_document.kind")?,
            title_fa: row.title_fa,
            title_en: row.title_en,
            parent: row.parent,
            file: FileDigest::parse(&row.sha256)
                .map_err(|_| StoreError::Corrupt("service_document.sha256"))?,
            size_bytes: row.size_bytes,
        },
        edition: row.edition,
        state: known(&row.state, "service_document.state")?,
        publication: row.publication,
        superseded_by: row.superseded_by,
        create_time: instant(row.create_time)?,
        publish_time: row.publish_time.map(instant).transpose()?,
        version: row.version,
    })
}
