//! Applications and enrollment certificates, in the issuing order that never
//! changes: record the intent with the exact bytes to sign, sign outside any
//! transaction, record the signed result.

use std::collections::HashMap;

use gavah_domain::certificate::{ApplicationState, Purpose, RequestType, Serial};
use gavah_domain::document::DocumentState;
use gavah_domain::program::Program;
use gavah_domain::record::Subject;
use gavah_domain::tariff::Quote;
use gavah_domain::{JalaliDate, TermId, ValidityCode};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::claim::claim;
use crate::codes::{revocation_json, revocation_read};
use crate::content::{ProgramJson, QuoteJson, SubjectJson, from_json, instant, known, to_json};
use crate::entity::{
    application_step, certificate_application, enrollment_certificate, serial_counter,
};
use crate::tx::Done;
use crate::{
    Act, ActContext, Changed, Claimed, DocumentChange, Issue, Store, StoreError, StoredRevocation,
};

/// What a certificate and its application say; never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateContent {
    /// What was asked for.
    pub request_type: RequestType,
    /// The window's own reference.
    pub window_reference: String,
    /// The student, as on record.
    pub subject: Subject,
    /// The programme, as on record.
    pub program: Program,
    /// The term the certificate is about.
    pub term: TermId,
    /// Purpose.
    pub purpose: Purpose,
    /// Addressee in Persian.
    pub addressee_fa: String,
    /// Addressee in English.
    pub addressee_en: Option<String>,
    /// Last day of validity.
    pub valid_until: JalaliDate,
    /// The ground of the fee.
    pub quote: Quote,
    /// The workflow version.
    pub workflow_version: String,
}

/// A certificate ready to be recorded as an intent.
pub struct IssueCertificate<'a> {
    /// Resource id of the certificate.
    pub id: Uuid,
    /// Resource id of the application.
    pub application_id: Uuid,
    /// The code, freshly drawn.
    pub code: ValidityCode,
    /// Key under which only one application may be open.
    pub open_key: String,
    /// What it says.
    pub content: CertificateContent,
    /// When it is issued; valid from then on.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Timestamp,
    /// Id of the key that will sign.
    pub key_id: String,
    /// The bytes to sign, once the serial is known.
    pub payload: &'a (dyn Fn(Serial) -> Vec<u8> + Sync),
    /// The run that will sign.
    pub lease_owner: Uuid,
    /// Until when no other run may take the intent over.
    pub lease_until: Timestamp,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

/// An intent that is recorded; only the store makes one. Signing consumes it.
#[derive(Debug)]
pub struct Recorded {
    id: Uuid,
    key_id: String,
    payload: Vec<u8>,
    subject_hash: String,
}

/// A signed document on its way back to the store.
#[derive(Debug)]
pub struct Signed {
    id: Uuid,
    document: Vec<u8>,
    subject_hash: String,
}

impl Recorded {
    /// The certificate's resource id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Id of the key the payload names.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Signs the recorded bytes.
    ///
    /// # Errors
    ///
    /// Those of `sign`; the intent stays recorded and is taken up again when its
    /// lease has passed.
    pub fn sign_with<E>(self, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Signed, E> {
        let document = sign(&self.payload)?;
        Ok(Signed {
            id: self.id,
            document,
            subject_hash: self.subject_hash,
        })
    }
}

/// One step of an application's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStep {
    /// The state entered.
    pub state: ApplicationState,
    /// When.
    pub change_time: Timestamp,
    /// Resource name of who acted.
    pub actor: String,
}

/// An application as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApplication {
    /// Resource id.
    pub id: Uuid,
    /// State.
    pub state: ApplicationState,
    /// What it asks for.
    pub content: CertificateContent,
    /// Resource id of its certificate.
    pub certificate_id: Uuid,
    /// History, oldest first.
    pub history: Vec<StoredStep>,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
}

/// A certificate as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// Resource id.
    pub id: Uuid,
    /// The code.
    pub code: ValidityCode,
    /// Serial for filing.
    pub serial: Serial,
    /// Resource id of its application.
    pub application_id: Uuid,
    /// What it says.
    pub content: CertificateContent,
    /// State.
    pub state: DocumentState,
    /// Id of the signing key.
    pub key_id: String,
    /// The signed document; unset while it is being issued.
    pub signed_document: Option<Vec<u8>>,
    /// When it was issued.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Timestamp,
    /// The revocation.
    pub revocation: Option<StoredRevocation>,
    /// The certificate that replaced it.
    pub superseded_by: Option<Uuid>,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

#[derive(Serialize, Deserialize)]
struct CertificateJson {
    request_type: String,
    window_reference: String,
    subject: SubjectJson,
    program: ProgramJson,
    term: String,
    purpose: String,
    addressee_fa: String,
    addressee_en: Option<String>,
    valid_until: i32,
    quote: QuoteJson,
    workflow: String,
}

fn name(id: Uuid) -> String {
    format!("enrollmentCertificates/{id}")
}

fn application_name(id: Uuid) -> String {
    format!("enrollmentCertificateApplications/{id}")
}

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
        self.run_tx("record_intent", async |tx| {
            if let Some(claimed) = claim(tx, context, &name(issue.id), "").await? {
                return Ok(Done::Abandon(match claimed {
                    Claimed::Replay { resource, .. } => {
                        Issue::Replayed(Intent::Earlier(certificate_id(&resource)?))
                    }
                    Claimed::Reused => Issue::RequestIdReused,
                }));
            }
            if !put_application(tx, context, issue).await? {
                let open = certificate_application::Entity::find()
                    .filter(certificate_application::Column::OpenKey.eq(issue.open_key.as_str()))
                    .one(tx)
                    .await?
                    .ok_or(StoreError::Conflict)?;
                return Ok(Done::Abandon(Issue::AlreadyIssued { id: open.id }));
            }
            let serial = next_serial(tx, JalaliDate::of(issue.issue_time).year()).await?;
            let payload = (issue.payload)(serial);
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
        // The claim was made with the intent.
        let context = ActContext {
            claim: None,
            ..context.clone()
        };
        self.run_tx("finish_certificate", async |tx| {
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
            leave_issuing(tx, &context, &stored, ApplicationState::Issued).await?;
            let act = issuing_act(&stored, ApplicationState::Issued, &signed.subject_hash);
            self.append(tx, &context, act).await?;
            Ok(Done::Commit(stored))
        })
        .await
    }

    /// Takes over intents whose lease has passed, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_expired_intents(
        &self,
        owner: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        self.run_tx("take_expired_intents", async |tx| {
            use enrollment_certificate::Column;
            let expired = enrollment_certificate::Entity::find()
                .filter(Column::SignedDocument.is_null())
                .filter(Column::State.eq(DocumentState::Active.as_str()))
                .filter(Column::LeaseUntil.lt(now.as_microsecond()))
                .order_by_asc(Column::LeaseUntil)
                .limit(limit)
                .all(tx)
                .await?;
            let mut taken = Vec::new();
            for row in expired {
                let updated = enrollment_certificate::Entity::update_many()
                    .col_expr(Column::LeaseOwner, Expr::value(owner))
                    .col_expr(
                        Column::LeaseUntil,
                        Expr::value(lease_until.as_microsecond()),
                    )
                    .filter(Column::Id.eq(row.id))
                    .filter(Column::SignedDocument.is_null())
                    .filter(Column::LeaseUntil.eq(row.lease_until))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 1 {
                    taken.push(read_certificate(row)?);
                }
            }
            Ok(Done::Commit(taken))
        })
        .await
    }

    /// The recorded intent of a certificate that is still being issued, with the
    /// stored bytes; `None` when it is signed or cancelled.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn intent(
        &self,
        id: Uuid,
        subject_hash: String,
    ) -> Result<Option<Recorded>, StoreError> {
        self.read("get_intent", async {
            let row = enrollment_certificate::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            let active = DocumentState::Active.as_str();
            Ok(row
                .filter(|row| row.signed_document.is_none() && row.state == active)
                .map(|row| Recorded {
                    id: row.id,
                    key_id: row.key_id,
                    payload: row.payload,
                    subject_hash,
                }))
        })
        .await
    }

    /// Gives up an intent whose guards no longer hold: the application is
    /// cancelled and the certificate never becomes valid.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn cancel_intent(
        &self,
        context: &ActContext,
        id: Uuid,
        reason: &str,
        subject_hash: &str,
    ) -> Result<(), StoreError> {
        self.run_tx("cancel_intent", async |tx| {
            use enrollment_certificate::Column;
            let cancelled = enrollment_certificate::Entity::update_many()
                .col_expr(Column::State, Expr::value(DocumentState::Revoked.as_str()))
                .col_expr(Column::Remark, Expr::value(reason))
                .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
                .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
                .col_expr(
                    Column::UpdateTime,
                    Expr::value(context.now.as_microsecond()),
                )
                .filter(Column::Id.eq(id))
                .filter(Column::SignedDocument.is_null())
                .filter(Column::State.eq(DocumentState::Active.as_str()))
                .exec(tx)
                .await?;
            if cancelled.rows_affected == 0 {
                return Ok(Done::Abandon(()));
            }
            let stored = get(tx, id).await?;
            leave_issuing(tx, context, &stored, ApplicationState::Cancelled).await?;
            let act = Act {
                reason: reason.to_owned(),
                ..issuing_act(&stored, ApplicationState::Cancelled, subject_hash)
            };
            self.append(tx, context, act).await?;
            Ok(Done::Commit(()))
        })
        .await
    }

    /// A certificate by its resource id, signed or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn certificate(&self, id: Uuid) -> Result<Option<StoredCertificate>, StoreError> {
        self.read("get_certificate", async {
            let row = enrollment_certificate::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(read_certificate).transpose()
        })
        .await
    }

    /// Many certificates by their digits, in no order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_certificates(
        &self,
        codes: &[ValidityCode],
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        self.read("find_certificates", async {
            let codes = codes.iter().map(ValidityCode::as_str);
            let rows = enrollment_certificate::Entity::find()
                .filter(enrollment_certificate::Column::Code.is_in(codes))
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_certificate).collect()
        })
        .await
    }

    /// An application with its history.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn application(&self, id: Uuid) -> Result<Option<StoredApplication>, StoreError> {
        self.read("get_application", async {
            let row = certificate_application::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            let Some(row) = row else { return Ok(None) };
            let mut steps = steps_of(&self.inner.db, std::slice::from_ref(&row)).await?;
            let history = steps.remove(&row.id).unwrap_or_default();
            read_application(row, history).map(Some)
        })
        .await
    }

    /// Whether an application with this key is open, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn application_open(&self, open_key: &str) -> Result<bool, StoreError> {
        self.read("find_open_application", async {
            let row = certificate_application::Entity::find()
                .filter(certificate_application::Column::OpenKey.eq(open_key))
                .one(&self.inner.db)
                .await?;
            Ok(row.is_some())
        })
        .await
    }

    /// Suspends, reinstates or revokes an issued certificate.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Corrupt`] when there is no such certificate.
    pub async fn change_certificate(
        &self,
        context: &ActContext,
        id: Uuid,
        change: &DocumentChange<'_>,
    ) -> Result<Changed<StoredCertificate>, StoreError> {
        self.run_tx("change_certificate", async |tx| {
            if let Some(claimed) = claim(tx, context, &name(id), change.action.as_str()).await? {
                return Ok(Done::Abandon(match claimed {
                    Claimed::Replay { resource, .. } => {
                        Changed::Done(get(tx, certificate_id(&resource)?).await?)
                    }
                    Claimed::Reused => Changed::RequestIdReused,
                }));
            }
            let stored = get(tx, id).await?;
            if change.etag.is_some_and(|etag| etag != stored.version) {
                return Ok(Done::Abandon(Changed::EtagMismatch));
            }
            let Ok(state) = change.action.apply(stored.state) else {
                return Ok(Done::Abandon(Changed::NotAllowed));
            };
            use enrollment_certificate::Column;
            let revocation = change
                .revocation
                .as_ref()
                .map(revocation_json)
                .transpose()?;
            let updated = enrollment_certificate::Entity::update_many()
                .col_expr(Column::State, Expr::value(state.as_str()))
                .col_expr(Column::Remark, Expr::value(change.remark))
                .col_expr(Column::Revocation, Expr::value(revocation))
                .col_expr(
                    Column::UpdateTime,
                    Expr::value(context.now.as_microsecond()),
                )
                .col_expr(Column::Version, Expr::value(stored.version + 1))
                .filter(Column::Id.eq(id))
                .filter(Column::Version.eq(stored.version))
                .exec(tx)
                .await?;
            if updated.rows_affected == 0 {
                return Err(StoreError::Conflict);
            }
            let act = Act {
                resource: name(id),
                action: change.action.as_str(),
                from: stored.state.as_str().to_owned(),
                to: state.as_str().to_owned(),
                reason: change
                    .revocation
                    .as_ref()
                    .map_or_else(String::new, |revocation| revocation.reason.to_string()),
                subject_hash: change.subject_hash.to_owned(),
                institution_code: stored.content.program.institution.as_str().to_owned(),
                ..Act::default()
            };
            self.append(tx, context, act).await?;
            Ok(Done::Commit(Changed::Done(get(tx, id).await?)))
        })
        .await
    }
}

/// What transaction 1 recorded.
#[derive(Debug)]
pub enum Intent {
    /// A new intent, ready to be signed.
    Recorded(Recorded),
    /// An earlier call's certificate, by its id.
    Earlier(Uuid),
}

fn certificate_id(resource: &str) -> Result<Uuid, StoreError> {
    resource
        .strip_prefix("enrollmentCertificates/")
        .and_then(|id| id.parse().ok())
        .ok_or(StoreError::Corrupt("request_claim.resource"))
}

async fn get(tx: &DatabaseTransaction, id: Uuid) -> Result<StoredCertificate, StoreError> {
    let row = enrollment_certificate::Entity::find_by_id(id)
        .one(tx)
        .await?
        .ok_or(StoreError::Corrupt("enrollment_certificate is missing"))?;
    read_certificate(row)
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
async fn leave_issuing(
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

fn issuing_act(stored: &StoredCertificate, to: ApplicationState, subject_hash: &str) -> Act {
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

fn content_json(content: &CertificateContent) -> Result<String, StoreError> {
    to_json(&CertificateJson {
        request_type: content.request_type.as_str().to_owned(),
        window_reference: content.window_reference.clone(),
        subject: (&content.subject).into(),
        program: (&content.program).into(),
        term: content.term.to_string(),
        purpose: content.purpose.as_str().to_owned(),
        addressee_fa: content.addressee_fa.clone(),
        addressee_en: content.addressee_en.clone(),
        valid_until: content.valid_until.as_i32(),
        quote: (&content.quote).into(),
        workflow: content.workflow_version.clone(),
    })
}

fn content_read(stored: &str) -> Result<CertificateContent, StoreError> {
    let json: CertificateJson = from_json(stored, "certificate content")?;
    Ok(CertificateContent {
        request_type: known(&json.request_type, "request type")?,
        window_reference: json.window_reference,
        subject: json.subject.read()?,
        program: json.program.read()?,
        term: TermId::parse(&json.term).map_err(|_| StoreError::Corrupt("certificate term"))?,
        purpose: known(&json.purpose, "purpose")?,
        addressee_fa: json.addressee_fa,
        addressee_en: json.addressee_en,
        valid_until: JalaliDate::from_i32(json.valid_until)
            .map_err(|_| StoreError::Corrupt("certificate valid_until"))?,
        quote: json.quote.read()?,
        workflow_version: json.workflow,
    })
}

pub(crate) fn read_certificate(
    row: enrollment_certificate::Model,
) -> Result<StoredCertificate, StoreError> {
    Ok(StoredCertificate {
        id: row.id,
        code: ValidityCode::parse(&row.code)
            .map_err(|_| StoreError::Corrupt("enrollment_certificate.code"))?,
        serial: Serial::parse(&row.serial)
            .map_err(|_| StoreError::Corrupt("enrollment_certificate.serial"))?,
        application_id: row.application_id,
        content: content_read(&row.content)?,
        state: known(&row.state, "enrollment_certificate.state")?,
        key_id: row.key_id,
        signed_document: row.signed_document,
        issue_time: instant(row.issue_time)?,
        expire_time: instant(row.expire_time)?,
        revocation: row.revocation.as_deref().map(revocation_read).transpose()?,
        superseded_by: row.superseded_by,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}

/// The histories of applications, by application.
pub(crate) async fn steps_of(
    db: &impl ConnectionTrait,
    rows: &[certificate_application::Model],
) -> Result<HashMap<Uuid, Vec<StoredStep>>, StoreError> {
    let mut steps: HashMap<Uuid, Vec<StoredStep>> = HashMap::new();
    let found = application_step::Entity::find()
        .filter(application_step::Column::ApplicationId.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(application_step::Column::Step)
        .all(db)
        .await?;
    for row in found {
        steps
            .entry(row.application_id)
            .or_default()
            .push(StoredStep {
                state: known(&row.state, "application_step.state")?,
                change_time: instant(row.change_time)?,
                actor: row.actor,
            });
    }
    Ok(steps)
}

pub(crate) fn read_application(
    row: certificate_application::Model,
    history: Vec<StoredStep>,
) -> Result<StoredApplication, StoreError> {
    Ok(StoredApplication {
        id: row.id,
        state: known(&row.state, "certificate_application.state")?,
        content: content_read(&row.content)?,
        certificate_id: row.certificate_id,
        history,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
    })
}
