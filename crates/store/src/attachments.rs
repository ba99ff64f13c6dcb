//! Files that come with applications. The bytes lie beside the database; here stands which files there are, who sent
//! them and what they belong to.
//!
//! A file is PENDING until its bytes are kept, then STORED. One that belongs to nothing for a while is SWEPT: from then
//! on nothing can begin to use it, its bytes go, and then its row.

use gavah_domain::attachment::{Attachment, FileDigest, MediaType};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::content::{instant, known};
use crate::entity::{attachment, attachment_upload, attachment_use};
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError};

const PENDING: &str = "PENDING";
const STORED: &str = "STORED";
const SWEPT: &str = "SWEPT";

/// A file as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttachment {
    /// The file.
    pub file: FileDigest,
    /// What it is.
    pub media_type: MediaType,
    /// Its size.
    pub size_bytes: i64,
    /// When it was first kept.
    pub create_time: Timestamp,
    /// Resource names of the callers that sent it.
    pub uploaders: Vec<String>,
    /// Codes of the institutions whose applications it belongs to.
    pub institutions: Vec<String>,
}

/// Resource name of a file.
fn name(file: FileDigest) -> String {
    format!("attachments/{file}")
}

impl Store {
    /// Announces a file whose bytes are about to be kept; `false` while the same file is being removed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn announce_attachment(
        &self,
        file: FileDigest,
        media_type: MediaType,
        size_bytes: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run_tx("announce_attachment", |tx, _| {
            Box::pin(async move {
                use attachment::Column;
                let now = now.as_microsecond();
                attachment::Entity::insert(attachment::ActiveModel {
                    sha256: Set(file.to_string()),
                    media_type: Set(media_type.as_str().to_owned()),
                    size_bytes: Set(size_bytes),
                    state: Set(PENDING.to_owned()),
                    create_time: Set(now),
                    loose_since: Set(Some(now)),
                })
                .on_conflict(
                    OnConflict::column(Column::Sha256)
                        .update_column(Column::LooseSince)
                        .action_and_where(
                            Expr::col((attachment::Entity, Column::LooseSince)).is_not_null(),
                        )
                        .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
                let row = attachment::Entity::find_by_id(file.to_string())
                    .one(tx)
                    .await?;
                let swept = row.is_none_or(|row| row.state == SWEPT);
                Ok(if swept {
                    Done::Abandon(false)
                } else {
                    Done::Commit(true)
                })
            })
        })
        .await
    }

    /// Says that the bytes are kept, and who sent them.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_attachment(
        &self,
        context: &ActContext,
        file: FileDigest,
    ) -> Result<StoredAttachment, StoreError> {
        self.run_tx("keep_attachment", |tx, _| {
            Box::pin(async move {
                use attachment::Column;
                attachment::Entity::update_many()
                    .col_expr(Column::State, Expr::value(STORED))
                    .filter(Column::Sha256.eq(file.to_string()))
                    .filter(Column::State.eq(PENDING))
                    .exec(tx)
                    .await?;
                let upload = attachment_upload::ActiveModel {
                    sha256: Set(file.to_string()),
                    uploader: Set(context.actor.clone()),
                    upload_time: Set(context.now.as_microsecond()),
                };
                if crate::rows::insert_new(tx, [upload]).await? > 0 {
                    let act = Act {
                        resource: name(file),
                        action: "UPLOAD",
                        to: STORED.to_owned(),
                        ..Act::default()
                    };
                    self.append(tx, context, act).await?;
                }
                let stored = find(tx, file).await?;
                Ok(Done::Commit(stored.ok_or(StoreError::Conflict)?))
            })
        })
        .await
    }

    /// A file whose bytes are kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn attachment(
        &self,
        file: FileDigest,
    ) -> Result<Option<StoredAttachment>, StoreError> {
        self.read("get_attachment", find(&self.inner.db, file))
            .await
    }

    /// Puts on record that a file was read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn note_download(
        &self,
        context: &ActContext,
        file: FileDigest,
    ) -> Result<(), StoreError> {
        self.run_tx("note_download", |tx, _| {
            Box::pin(async move {
                let act = Act {
                    resource: name(file),
                    action: "DOWNLOAD",
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }

    /// Files that belong to nothing since before `limit`, those longest that do, at most `most`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn loose_attachments(
        &self,
        limit: Timestamp,
        most: u64,
    ) -> Result<Vec<FileDigest>, StoreError> {
        self.read("find_loose_attachments", async {
            let found = attachment::Entity::find()
                .filter(idle(limit))
                .order_by_asc(attachment::Column::LooseSince)
                .limit(most)
                .all(&self.inner.db)
                .await?;
            found.iter().map(|row| digest(&row.sha256)).collect()
        })
        .await
    }

    /// Takes a file out of use that belongs to nothing since before `limit`: its bytes may go, and until `limit` is
    /// `since` they are this sweep's alone to remove. `false` when it is in use again or another sweep was quicker.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sweep_attachment(
        &self,
        file: FileDigest,
        limit: Timestamp,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run_tx("sweep_attachment", |tx, _| {
            Box::pin(async move {
                use attachment::Column;
                let taken = attachment::Entity::update_many()
                    .col_expr(Column::State, Expr::value(SWEPT))
                    .col_expr(
                        Column::LooseSince,
                        Expr::value(Some(since.as_microsecond())),
                    )
                    .filter(Column::Sha256.eq(file.to_string()))
                    .filter(idle(limit))
                    .exec(tx)
                    .await?;
                Ok(Done::Commit(taken.rows_affected > 0))
            })
        })
        .await
    }

    /// Forgets a swept file whose bytes are gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_attachment(
        &self,
        context: &ActContext,
        file: FileDigest,
    ) -> Result<(), StoreError> {
        self.run_tx("forget_attachment", |tx, _| {
            Box::pin(async move {
                let swept = attachment::Entity::find_by_id(file.to_string())
                    .filter(attachment::Column::State.eq(SWEPT))
                    .one(tx)
                    .await?;
                if swept.is_none() {
                    // Another node was quicker.
                    return Ok(Done::Abandon(()));
                }
                attachment_upload::Entity::delete_many()
                    .filter(attachment_upload::Column::Sha256.eq(file.to_string()))
                    .exec(tx)
                    .await?;
                let gone = attachment::Entity::delete_by_id(file.to_string())
                    .exec(tx)
                    .await?;
                if gone.rows_affected > 0 {
                    let act = Act {
                        resource: name(file),
                        action: "SWEEP",
                        from: STORED.to_owned(),
                        ..Act::default()
                    };
                    self.append(tx, context, act).await?;
                }
                Ok(Done::Commit(()))
            })
        })
        .await
    }
}

/// Belongs to nothing since before `limit`.
fn idle(limit: Timestamp) -> SimpleExpr {
    let used = Query::select()
        .column(attachment_use::Column::Sha256)
        .from(attachment_use::Entity)
        .to_owned();
    attachment::Column::LooseSince
        .lt(limit.as_microsecond())
        .and(attachment::Column::Sha256.not_in_subquery(used))
}

/// Has a resource use exactly these files; `false` when one of them, not used by it so far, was not sent by the caller
/// or is not kept.
pub(crate) async fn attach(
    tx: &DatabaseTransaction,
    context: &ActContext,
    resource: &str,
    institution: &str,
    attachments: &[Attachment],
) -> Result<bool, StoreError> {
    use attachment::Column;
    use attachment_use::Column as Use;
    let mut wanted: Vec<_> = attachments.iter().map(|it| it.file.to_string()).collect();
    wanted.sort();
    wanted.dedup();
    let used = attachment_use::Entity::find()
        .filter(Use::Resource.eq(resource))
        .all(tx)
        .await?;
    let used: Vec<_> = used.into_iter().map(|row| row.sha256).collect();
    let left: Vec<_> = used.iter().filter(|file| !wanted.contains(file)).collect();
    if !left.is_empty() {
        attachment_use::Entity::delete_many()
            .filter(Use::Resource.eq(resource))
            .filter(Use::Sha256.is_in(left.clone()))
            .exec(tx)
            .await?;
        // Also of those that others use: two that leave one file at the same time do not see each other.
        attachment::Entity::update_many()
            .col_expr(
                Column::LooseSince,
                Expr::value(Some(context.now.as_microsecond())),
            )
            .filter(Column::Sha256.is_in(left))
            .exec(tx)
            .await?;
    }
    wanted.retain(|file| !used.contains(file));
    if wanted.is_empty() {
        return Ok(true);
    }
    let sent = Query::select()
        .column(attachment_upload::Column::Sha256)
        .from(attachment_upload::Entity)
        .and_where(attachment_upload::Column::Uploader.eq(context.actor.as_str()))
        .to_owned();
    // The rows are held from here on: a sweep waits, and then finds them in use.
    let held = attachment::Entity::update_many()
        .col_expr(Column::LooseSince, Expr::value(None::<i64>))
        .filter(Column::Sha256.is_in(wanted.clone()))
        .filter(Column::State.eq(STORED))
        .filter(Column::Sha256.in_subquery(sent))
        .exec(tx)
        .await?;
    if held.rows_affected < wanted.len() as u64 {
        return Ok(false);
    }
    let rows = wanted
        .into_iter()
        .map(|sha256| attachment_use::ActiveModel {
            sha256: Set(sha256),
            resource: Set(resource.to_owned()),
            institution_code: Set(institution.to_owned()),
        });
    crate::rows::insert(tx, rows).await?;
    Ok(true)
}

async fn find(
    db: &impl sea_orm::ConnectionTrait,
    file: FileDigest,
) -> Result<Option<StoredAttachment>, StoreError> {
    let row = attachment::Entity::find_by_id(file.to_string())
        .filter(attachment::Column::State.eq(STORED))
        .one(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let uploads = attachment_upload::Entity::find()
        .filter(attachment_upload::Column::Sha256.eq(file.to_string()))
        .all(db)
        .await?;
    let uses = attachment_use::Entity::find()
        .filter(attachment_use::Column::Sha256.eq(file.to_string()))
        .all(db)
        .await?;
    Ok(Some(StoredAttachment {
        file,
        media_type: known(&row.media_type, "attachment.media_type")?,
        size_bytes: row.size_bytes,
        create_time: instant(row.create_time)?,
        uploaders: uploads.into_iter().map(|row| row.uploader).collect(),
        institutions: uses.into_iter().map(|row| row.institution_code).collect(),
    }))
}

fn digest(stored: &str) -> Result<FileDigest, StoreError> {
    FileDigest::parse(stored).map_err(|_| StoreError::Corrupt("attachment.sha256"))
}
