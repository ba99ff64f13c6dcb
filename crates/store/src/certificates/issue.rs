//! The two transactions of issuing.

use gavah_domain::certificate::{ApplicationState, Serial};
use gavah_domain::document::DocumentState;
use gavah_domain::record::obstacles;
use gavah_domain::sla::ClockState;
use gavah_domain::{JalaliDate, Reason};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, Set};
use uuid::Uuid;

use super::application::{NewStep, Put, TABLE, put_steps, steps_so_far};
use super::rows::{content_json, get};
use super::{
    CertificateContent, Intent, IssueCertificate, Recorded, Signed, StoredCertificate,
    application_name, name,
};
use crate::attachments::attach;
use crate::claim::claim;
use crate::clocks::{Promise, carry_on};
use crate::entity::{
    application_step, certificate_application, enrollment_certificate, serial_counter,
};
use crate::payments::Followed;
use crate::records::find_locked;
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

impl Store {
    /// Transaction 1: claim, application, intent with the bytes to sign, audit
    /// entry and event for →ISSUING.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn record_intent(
        &self,
        context: &ActContext,
        issue: &IssueCertificate<'_>,
    ) -> Result<Intent, StoreError> {
        self.run_tx("record_intent", |tx, _| {
            Box::pin(async move {
                let resource = match issue.application {
                    Some(change) => application_name(change.id),
                    None => name(issue.id),
                };
                if let Some(claimed) = claim(tx, context, &resource, "").await? {
                    return Ok(Done::Abandon(match claimed {
                        Claimed::Replay { resource, .. } => Intent::Earlier(resource),
                        Claimed::Reused => Intent::RequestIdReused,
                    }));
                }
                let put = match issue.application {
                    Some(change) => self.put_application(tx, context, change).await?,
                    None => self.put_decided(tx, context, issue).await?,
                };
                match put {
                    Put::Done => {}
                    Put::OpenExists(id) => return Ok(Done::Abandon(Intent::OpenExists(id))),
                    Put::Moved => return Ok(Done::Abandon(Intent::Moved)),
                    Put::AttachmentMissing => {
                        return Ok(Done::Abandon(Intent::AttachmentMissing));
                    }
                }
                let serial = next_serial(tx, JalaliDate::of(issue.issue_time).year()).await?;
                let payload =
                    (issue.payload)(serial).ok_or(StoreError::Corrupt("certificate payload"))?;
                if !put_intent(tx, issue, serial, &payload).await? {
                    return Ok(Done::Abandon(Intent::CodeTaken));
                }
                Ok(Done::Commit(Intent::Recorded(Recorded {
                    id: issue.id,
                    key_id: issue.key_id.clone(),
                    payload,
                    subject_hash: issue.subject_hash.clone(),
                })))
            })
        })
        .await
    }

    /// Transaction 2: the signed result, audit entry and event for →ISSUED, and with
    /// them the end of the certificate that it replaces. The loser of a race gets the
    /// stored result. Refused, with the reason, when the record no longer allows it, or
    /// the certificate to replace is no longer active.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn finish_certificate(
        &self,
        context: &ActContext,
        signed: &Signed,
    ) -> Result<Result<StoredCertificate, Reason>, StoreError> {
        self.run_tx("finish_certificate", |tx, _| {
            Box::pin(async move {
                use enrollment_certificate::Column;
                let intent = get(tx, signed.id).await?;
                if let Some(reason) = obstacle(tx, &intent.content).await? {
                    let open =
                        intent.signed_document.is_none() && intent.state == DocumentState::Active;
                    return Ok(Done::Abandon(if open { Err(reason) } else { Ok(intent) }));
                }
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
                    return Ok(Done::Abandon(Ok(stored)));
                }
                if let Some(old) = stored.supersedes
                    && !self.supersede(tx, context, old, signed).await?
                {
                    return Ok(Done::Abandon(Err(Reason::StateTransitionNotAllowed)));
                }
                self.leave_issuing(tx, context, &stored, ApplicationState::Issued)
                    .await?;
                let act = issuing_act(&stored, ApplicationState::Issued, &signed.subject_hash);
                self.append(tx, context, act).await?;
                Ok(Done::Commit(Ok(stored)))
            })
        })
        .await
    }

    /// Ends an active certificate in favour of a new one; `false` when it is not active.
    async fn supersede(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        old: Uuid,
        new: &Signed,
    ) -> Result<bool, StoreError> {
        use enrollment_certificate::Column;
        let (active, superseded) = (DocumentState::Active, DocumentState::Superseded);
        let updated = enrollment_certificate::Entity::update_many()
            .col_expr(Column::State, Expr::value(superseded.as_str()))
            .col_expr(Column::SupersededBy, Expr::value(new.id))
            .col_expr(
                Column::UpdateTime,
                Expr::value(context.now.as_microsecond()),
            )
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.eq(old))
            .filter(Column::State.eq(active.as_str()))
            .filter(Column::SignedDocument.is_not_null())
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Ok(false);
        }
        let stored = get(tx, old).await?;
        let act = Act {
            resource: name(old),
            action: "SUPERSEDE",
            from: active.as_str().to_owned(),
            to: superseded.as_str().to_owned(),
            subject_hash: new.subject_hash.clone(),
            institution_code: stored.content.program.institution.as_str().to_owned(),
            ..Act::default()
        };
        self.append(tx, context, act).await?;
        Ok(true)
    }

    /// The rows, audit entry and event of an application that is decided in the call that
    /// makes it.
    async fn put_decided(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        issue: &IssueCertificate<'_>,
    ) -> Result<Put, StoreError> {
        let priced = issue.content.quote.require_free().is_err();
        if priced && issue.content.replaces.is_none() {
            return Err(StoreError::Corrupt("issued without a payment"));
        }
        if !insert_decided(tx, context, issue).await? {
            let open = certificate_application::Entity::find()
                .filter(certificate_application::Column::OpenKey.eq(issue.open_key.as_str()))
                .one(tx)
                .await?
                .ok_or(StoreError::Conflict)?;
            return Ok(Put::OpenExists(open.id));
        }
        let resource = application_name(issue.application_id);
        let (institution, files) = (
            &issue.content.program.institution,
            &issue.content.attachments,
        );
        if !attach(tx, context, &resource, institution.as_str(), files).await? {
            return Ok(Put::AttachmentMissing);
        }
        let act = Act {
            resource,
            action: "CREATE",
            to: ApplicationState::Issuing.as_str().to_owned(),
            subject_hash: issue.subject_hash.clone(),
            institution_code: issue.content.program.institution.as_str().to_owned(),
            ..Act::default()
        };
        self.append(tx, context, act).await?;
        Ok(Put::Done)
    }

    /// The application leaves ISSUING for a final state.
    pub(super) async fn leave_issuing(
        &self,
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
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.eq(certificate.application_id))
            .filter(Column::State.eq(ApplicationState::Issuing.as_str()))
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::Corrupt("certificate_application.state"));
        }
        let first = steps_so_far(tx, certificate.application_id).await?;
        let step = NewStep::by_caller(state, FINISH);
        put_steps(tx, context, certificate.application_id, first, &[step]).await?;
        let begun = application_step::Entity::find_by_id((certificate.application_id, 0))
            .one(tx)
            .await?;
        // What is decided in the call that makes it is free, or corrects what was paid for before.
        if begun.is_some_and(|step| step.state == ApplicationState::Issuing.as_str()) {
            return Ok(());
        }
        let followed = Followed {
            application: application_name(certificate.application_id),
            quote: Some(&certificate.content.quote),
            entered: vec![state.as_str()],
        };
        self.follow_payment(tx, context, &followed).await
    }
}

/// What in the record stands against the certificate. The record's row is held from here
/// on: whoever ends the enrollment afterwards finds the certificate issued. Records are
/// never deleted, so one that is not there was never asked for.
async fn obstacle(
    tx: &DatabaseTransaction,
    content: &CertificateContent,
) -> Result<Option<Reason>, StoreError> {
    let program = &content.program;
    let (institution, number) = (&program.institution, &program.student_number);
    let found = find_locked(tx, institution.as_str(), number.as_str()).await?;
    Ok(found.and_then(|stored| {
        let found = obstacles(&stored.record, &content.subject.name, content.term);
        found.first().copied()
    }))
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

async fn insert_decided(
    tx: &DatabaseTransaction,
    context: &ActContext,
    issue: &IssueCertificate<'_>,
) -> Result<bool, StoreError> {
    let now = issue.issue_time.as_microsecond();
    let inserted = certificate_application::Entity::insert(certificate_application::ActiveModel {
        id: Set(issue.application_id),
        institution_code: Set(issue.content.program.institution.as_str().to_owned()),
        person_key: Set(issue.content.subject.person_id.key()),
        open_key: Set(Some(issue.open_key.clone())),
        state: Set(ApplicationState::Issuing.as_str().to_owned()),
        content: Set(content_json(&issue.content)?),
        certificate_id: Set(issue.id),
        create_time: Set(now),
        update_time: Set(now),
        version: Set(1),
        pay_until: Set(None),
        ..Default::default()
    })
    .on_conflict(OnConflict::new().do_nothing().to_owned())
    .exec_without_returning(tx)
    .await?;
    if inserted == 0 {
        return Ok(false);
    }
    if !issue.agreement.is_empty() {
        let promise = Promise {
            request_type: issue.content.request_type.as_str(),
            agreement: &issue.agreement,
            due_time: None,
        };
        let (id, decided) = (issue.application_id, ApplicationState::Issuing.clock());
        carry_on(tx, TABLE, id, &promise, &[], [decided], issue.issue_time).await?;
    }
    let step = NewStep::by_caller(ApplicationState::Issuing, "CREATE");
    put_steps(tx, context, issue.application_id, 0, &[step]).await?;
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
        supersedes: Set(issue.content.replaces),
        update_time: Set(issue.issue_time.as_microsecond()),
        version: Set(1),
    })
    .on_conflict(OnConflict::new().do_nothing().to_owned())
    .exec_without_returning(tx)
    .await?;
    Ok(inserted == 1)
}

/// The act by which an application leaves ISSUING.
const FINISH: &str = "FINISH";

pub(super) fn issuing_act(
    stored: &StoredCertificate,
    to: ApplicationState,
    subject_hash: &str,
) -> Act {
    Act {
        resource: application_name(stored.application_id),
        action: FINISH,
        from: ApplicationState::Issuing.as_str().to_owned(),
        to: to.as_str().to_owned(),
        subject_hash: subject_hash.to_owned(),
        institution_code: stored.content.program.institution.as_str().to_owned(),
        ..Act::default()
    }
}
