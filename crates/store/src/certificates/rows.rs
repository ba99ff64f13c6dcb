//! Reading certificates and applications back.

use std::collections::HashMap;

use gavah_domain::certificate::Serial;
use gavah_domain::{JalaliDate, TermId, ValidityCode};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::application::{application_content, remarks_read};
use super::{CertificateContent, Paper, StoredApplication, StoredCertificate, StoredStep};
use crate::codes::revocation_read;
use crate::content::{
    AttachmentJson, ProgramJson, QuoteJson, SubjectJson, attachments_json, attachments_read,
    from_json, instant, known, to_json,
};
use crate::entity::{application_step, certificate_application, enrollment_certificate};
use crate::{Store, StoreError};

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
    #[serde(default)]
    documents: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paper: Option<PaperJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<AttachmentJson>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PaperJson {
    number: String,
    issue_date: i32,
}

impl From<&Paper> for PaperJson {
    fn from(paper: &Paper) -> Self {
        Self {
            number: paper.number.clone(),
            issue_date: paper.issue_date.as_i32(),
        }
    }
}

impl PaperJson {
    pub(super) fn read(self) -> Result<Paper, StoreError> {
        Ok(Paper {
            number: self.number,
            issue_date: JalaliDate::from_i32(self.issue_date)
                .map_err(|_| StoreError::Corrupt("paper"))?,
        })
    }
}

impl Store {
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

    /// An application with its history.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn application(&self, id: Uuid) -> Result<Option<StoredApplication>, StoreError> {
        self.read("get_application", application_in(&self.inner.db, id))
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
}

pub(super) async fn get(
    tx: &DatabaseTransaction,
    id: Uuid,
) -> Result<StoredCertificate, StoreError> {
    let row = enrollment_certificate::Entity::find_by_id(id)
        .one(tx)
        .await?
        .ok_or(StoreError::Corrupt("enrollment_certificate is missing"))?;
    read_certificate(row)
}

/// An application with its history.
pub(super) async fn application_in(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<StoredApplication>, StoreError> {
    let row = certificate_application::Entity::find_by_id(id)
        .one(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut steps = steps_of(db, std::slice::from_ref(&row)).await?;
    let history = steps.remove(&row.id).unwrap_or_default();
    read_application(row, history).map(Some)
}

pub(super) fn content_json(content: &CertificateContent) -> Result<String, StoreError> {
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
        documents: content.documents,
        replaces: content.replaces.map(|id| id.to_string()),
        paper: content.paper.as_ref().map(PaperJson::from),
        attachments: attachments_json(&content.attachments),
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
        documents: json.documents,
        replaces: json
            .replaces
            .map(|id| known(&id, "certificate replaces"))
            .transpose()?,
        paper: json.paper.map(PaperJson::read).transpose()?,
        attachments: attachments_read(json.attachments)?,
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
        supersedes: row.supersedes,
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
                decider: row.decider,
                decider_hash: row.decider_hash,
                reason: row.reason,
                remarks: remarks_read(&row.remarks)?,
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
        content: application_content(&row.content)?,
        certificate_id: row.certificate_id,
        history,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        pay_until: row.pay_until.map(instant).transpose()?,
        version: row.version,
    })
}
