//! Issuing: claim, code, audit entry and event in one transaction.

use gavah_domain::document::DocumentState;
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::rows::{new_row, replayed};
use super::{Issue, IssueCode, StoredCode, name};
use crate::claim::claim;
use crate::entity::{expert, validity_code};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

impl Store {
    /// Records a validity code: claim, code, audit entry and event in one
    /// transaction. Expired holders of the key give way first.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::CommitUnknown`] the same request_id
    /// tells whether the code exists.
    pub async fn issue_code(
        &self,
        context: &ActContext,
        issue: &IssueCode,
    ) -> Result<Issue<StoredCode>, StoreError> {
        self.run_tx("issue_code", |tx, _| {
            Box::pin(async move {
                if let Some(claimed) = claim(tx, context, &name(issue.id), "").await? {
                    return Ok(Done::Abandon(match claimed {
                        Claimed::Replay { resource, .. } => {
                            Issue::Replayed(replayed(tx, &resource).await?)
                        }
                        Claimed::Reused => Issue::RequestIdReused,
                    }));
                }
                if !expert_is_active(tx, issue).await? {
                    return Ok(Done::Abandon(Issue::ExpertNotActive));
                }
                clear_expired(tx, issue).await?;
                let row = new_row(issue)?;
                let inserted = validity_code::Entity::insert(row)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(tx)
                    .await?;
                if inserted == 0 {
                    let holder = validity_code::Entity::find()
                        .filter(validity_code::Column::LiveKey.eq(issue.live_key.as_str()))
                        .one(tx)
                        .await?;
                    return Ok(Done::Abandon(holder.map_or(Issue::CodeTaken, |holder| {
                        Issue::AlreadyIssued { id: holder.id }
                    })));
                }
                let act = Act {
                    resource: name(issue.id),
                    action: "ISSUE",
                    to: DocumentState::Active.as_str().to_owned(),
                    subject_hash: issue.subject_hash.clone(),
                    institution_code: issue.content.program.institution.as_str().to_owned(),
                    on_behalf: format!(
                        "institutions/{}/experts/{}",
                        issue.content.program.institution.as_str(),
                        issue.content.attestation.expert_code
                    ),
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(Issue::Issued(fresh(issue))))
            })
        })
        .await
    }

    /// Who holds the key now, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn live_code(
        &self,
        live_key: &str,
        now: Timestamp,
    ) -> Result<Option<Uuid>, StoreError> {
        self.read("find_live_code", async {
            Ok(validity_code::Entity::find()
                .filter(validity_code::Column::LiveKey.eq(live_key))
                .one(&self.inner.db)
                .await?
                .filter(|row| row.expire_time.is_none_or(|end| end > now.as_microsecond()))
                .map(|row| row.id))
        })
        .await
    }

    /// Whether an expert may attest, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn expert_active(
        &self,
        institution: &str,
        expert_code: &str,
    ) -> Result<bool, StoreError> {
        let key = (institution.to_owned(), expert_code.to_owned());
        self.read("find_expert", async {
            let found = expert::Entity::find_by_id(key).one(&self.inner.db).await?;
            Ok(found.is_some_and(|expert| expert.state == "ACTIVE"))
        })
        .await
    }
}

async fn expert_is_active(tx: &DatabaseTransaction, issue: &IssueCode) -> Result<bool, StoreError> {
    let key = (
        issue.content.program.institution.as_str().to_owned(),
        issue.content.attestation.expert_code.clone(),
    );
    let expert = expert::Entity::find_by_id(key).one(tx).await?;
    Ok(expert.is_some_and(|expert| expert.state == "ACTIVE"))
}

/// An expired code no longer holds its key.
async fn clear_expired(tx: &DatabaseTransaction, issue: &IssueCode) -> Result<(), StoreError> {
    validity_code::Entity::update_many()
        .col_expr(validity_code::Column::LiveKey, Expr::value(None::<String>))
        .filter(validity_code::Column::LiveKey.eq(issue.live_key.as_str()))
        .filter(validity_code::Column::ExpireTime.lte(issue.issue_time.as_microsecond()))
        .exec(tx)
        .await?;
    Ok(())
}

fn fresh(issue: &IssueCode) -> StoredCode {
    StoredCode {
        id: issue.id,
        code: issue.code,
        content: issue.content.clone(),
        state: DocumentState::Active,
        issue_time: issue.issue_time,
        expire_time: issue.expire_time,
        revocation: None,
        superseded_by: None,
        update_time: issue.issue_time,
        version: 1,
    }
}
