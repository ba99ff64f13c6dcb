//! The two transactions of issuing.

use gavah_domain::JalaliDate;
use gavah_domain::certificate::{ApplicationState, Serial};
use gavah_domain::document::DocumentState;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, Set};
use uuid::Uuid;

use super::rows::{content_json, get};
use super::{
    COLLECTION, Intent, IssueCertificate, Recorded, Signed, StoredCertificate, application_name,
    name,
};
use crate::claim::{claim, resource_id};
use crate::entity::{
    application_step, certificate_application, enrollment_certificate, serial_counter,
};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Issue, Store, StoreError};

impl Store {
    /// Transaction 1: claim, application, intent with the bytes to sign, audit
    /// entry and event for →ISSUING. `Replayed` says that an earlier call recorded
    /// it: its certificate's id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn record_intent(
        &self,
        context: &ActContext,
        issue: &IssueCertificate<'_>,
    ) -> Result<Issue<Intent>, StoreError> {
        self.run_tx("record_intent", |tx, _| {
            Box::pin(async move {
                if let Some(claimed) = claim(tx, context, &name(issue.id), "").await? {
                    return Ok(Done::Abandon(match claimed {
                        Claimed::Replay { resource, .. } => {
                            Issue::Replayed(Intent::Earlier(resource_id(&resource, COLLECTION)?))
                        }
                        Claimed::Reused => Issue::RequestIdReused,
                    }));
                }
                if !put_application(tx, context, issue).await? {
                    let open = certificate_application::Entity::find()
                        .filter(
                            certificate_application::Column::OpenKey.eq(issue.open_key.as_str()),
                        )
                        .one(tx)
                        .await?
                        .ok_or(StoreError::Conflict)?;
                    return Ok(Done::Abandon(Issue::AlreadyIssued { id: open.id }));
                }
                let serial = next_serial(tx, JalaliDate::of(issue.issue_time).year()).await?;
                let payload =
                    (issue.payload)(serial).ok_or(StoreError::Corrupt("certificate payload"))?;
                if !put_intent(tx, issue, serial, &payload).await? {
                    return Ok(Done::Abandon(Issue::CodeTaken));
                }
                let act = Act {
                    resource: application_name(issue.application_id),
                    action: "CREATE",
                    to: ApplicationState::Issuing.as_str().to_owned(),
                    subject_hash: issue.subject_hash.clone(),
                    institution_code: issue.content.program.institution.as_str().to_owned(),
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(Issue::Issued(Intent::Recorded(Recorded {
                    id: issue.id,
                    key_id: issue.key_id.clone(),
                    payload,
                    subject_hash: issue.subject_hash.clone(),
                }))))
            })
        })
        .await
    }

    /// Transaction 2: the signed result, audit entry and event for →ISSUED. The
    /// loser of a race gets the stored result.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn finish_certificate(
        &self,
        context: &ActContext,
        signed: &Signed,
    ) -> Result<StoredCertificate, StoreError> {
        self.run_tx("finish_certificate", |tx, _| {
            Box::pin(async move {
                use enrollment_certificate::Column;
                let finished = enrollment_certificate::Entity::update_many()
                    .col_expr(Column::SignedDocument, Expr::value(signed.document.clone()))
                    .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
                    .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .filter(Column::Id.eq(signed.id))
                    .filter(Column::SignedDocument.is_null())
                    .filter(Column::State.eq(DocumentState::Active.as_str()))
                    .exec(tx)
                    .await?;
                let stored = get(tx, signed.id).await?;
                if finished.rows_affected == 0 {
                    return Ok(Done::Abandon(stored));
                }
                leave_issuing(tx, context, &stored, ApplicationState::Issued).await?;
                let act = issuing_act(&stored, ApplicationState::Issued, &signed.subject_hash);
                self.append(tx, context, act).await?;
                Ok(Done::Commit(stored))
            })
        })
        .await
    }
}

/// Numbers of a year are handed out in order and without gaps: the row stays
/// locked until the transaction ends, and a rollback gives the number back.
async fn next_serial(tx: &DatabaseTransaction, year: i32) -> Result<Serial, StoreError> {
    use serial_counter::{ActiveModel, Column, Entity};
    Entity::insert(ActiveModel {
        year: Set(year),
        next_number: Set(1),
    })
    .on_conflict(
        OnConflict::column(Column::Year)
            .value(
                Column::NextNumber,
                Expr::col((Entity, Column::NextNumber)).add(1),
            )
            .to_owned(),
    )
    .exec_without_returning(tx)
    .await?;
    let row = Entity::find_by_id(year)
        .one(tx)
        .await?
        .ok_or(StoreError::Corrupt("serial_counter"))?;
    u32::try_from(row.next_number)
        .ok()
        .and_then(|number| Serial::new(year, number).ok())
        .ok_or(StoreError::Corrupt("serial_counter.next_number"))
}

async fn put_application(
    tx: &DatabaseTransaction,
    context: &ActContext,
    issue: &IssueCertificate<'_>,
) -> Result<bool, StoreError> {
    let now = issue.issue_time.as_microsecond();
    let state = ApplicationState::Issuing.as_str().to_owned();
    let inserted = certificate_application::Entity::insert(certificate_application::ActiveModel {
        id: Set(issue.application_id),
        institution_code: Set(issue.content.program.institution.as_str().to_owned()),
        person_key: Set(issue.content.subject.person_id.key()),
        open_key: Set(Some(issue.open_key.clone())),
        state: Set(state.clone()),
        content: Set(content_json(&issue.content)?),
        certificate_id: Set(issue.id),
        create_time: Set(now),
        update_time: Set(now),
    })
    .on_conflict(OnConflict::new().do_nothing().to_owned())
    .exec_without_returning(tx)
    .await?;
    if inserted == 0 {
        return Ok(false);
    }
    application_step::Entity::insert(application_step::ActiveModel {
        application_id: Set(issue.application_id),
        step: Set(0),
        state: Set(state),
        change_time: Set(now),
        actor: Set(context.actor.clone()),
    })
    .exec_without_returning(tx)
    .await?;
    Ok(true)
}

async fn put_intent(
    tx: &DatabaseTransaction,
    issue: &IssueCertificate<'_>,
    serial: Serial,
    payload: &[u8],
) -> Result<bool, StoreError> {
    let inserted = enrollment_certificate::Entity::insert(enrollment_certificate::ActiveModel {
        id: Set(issue.id),
        code: Set(issue.code.as_str().to_owned()),
        serial: Set(serial.to_string()),
        application_id: Set(issue.application_id),
        institution_code: Set(issue.content.program.institution.as_str().to_owned()),
        person_key: Set(issue.content.subject.person_id.key()),
        state: Set(DocumentState::Active.as_str().to_owned()),
        content: Set(content_json(&issue.content)?),
        payload: Set(payload.to_vec()),
        key_id: Set(issue.key_id.clone()),
        signed_document: Set(None),
        lease_owner: Set(Some(issue.lease_owner)),
        lease_until: Set(Some(issue.lease_until.as_microsecond())),
        issue_time: Set(issue.issue_time.as_microsecond()),
        expire_time: Set(issue.expire_time.as_microsecond()),
        revocation: Set(None),
        remark: Set(None),
        superseded_by: Set(None),
        update_time: Set(issue.issue_time.as_microsecond()),
        version: Set(1),
    })
    .on_conflict(OnConflict::new().do_nothing().to_owned())
    .exec_without_returning(tx)
    .await?;
    Ok(inserted == 1)
}

/// The application leaves ISSUING for a final state.
pub(super) async fn leave_issuing(
    tx: &DatabaseTransaction,
    context: &ActContext,
    certificate: &StoredCertificate,
    state: ApplicationState,
) -> Result<(), StoreError> {
    use certificate_application::Column;
    let now = context.now.as_microsecond();
    let updated = certificate_application::Entity::update_many()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::OpenKey, Expr::value(None::<String>))
        .col_expr(Column::UpdateTime, Expr::value(now))
        .filter(Column::Id.eq(certificate.application_id))
        .filter(Column::State.eq(ApplicationState::Issuing.as_str()))
        .exec(tx)
        .await?;
    if updated.rows_affected == 0 {
        return Err(StoreError::Corrupt("certificate_application.state"));
    }
    application_step::Entity::insert(application_step::ActiveModel {
        application_id: Set(certificate.application_id),
        step: Set(1),
        state: Set(state.as_str().to_owned()),
        change_time: Set(now),
        actor: Set(context.actor.clone()),
    })
    .exec_without_returning(tx)
    .await?;
    Ok(())
}

pub(super) fn issuing_act(
    stored: &StoredCertificate,
    to: ApplicationState,
    subject_hash: &str,
) -> Act {
    Act {
        resource: application_name(stored.application_id),
        action: "FINISH",
        from: ApplicationState::Issuing.as_str().to_owned(),
        to: to.as_str().to_owned(),
        subject_hash: subject_hash.to_owned(),
        institution_code: stored.content.program.institution.as_str().to_owned(),
        ..Act::default()
    }
}
