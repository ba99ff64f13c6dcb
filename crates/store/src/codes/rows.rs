//! Reading codes back.

use gavah_domain::ValidityCode;
use gavah_domain::document::DocumentState;
use jiff::Timestamp;
use sea_orm::{EntityTrait, Set};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Attestation, CodeContent, IssueCode, PriorProof, StoredCode, StoredRevocation};
use crate::clocks::month_of;
use crate::content::{
    DocumentJson, ProgramJson, QuoteJson, SubjectJson, from_json, instant, known, to_json,
};
use crate::entity::validity_code;
use crate::{Store, StoreError};

#[derive(Serialize, Deserialize)]
struct CodeJson {
    subject: SubjectJson,
    program: ProgramJson,
    document: DocumentJson,
    double_major: bool,
    external_ref: String,
    attestation: Attestation,
    priors: Vec<(String, Uuid)>,
    quote: QuoteJson,
    workflow: String,
    #[serde(default)]
    documents: i64,
}

#[derive(Serialize, Deserialize)]
struct RevocationJson {
    reason: String,
    legal_basis: String,
    time: i64,
    by: String,
}

/// The JSON of a revocation.
pub(crate) fn revocation_json(revocation: &StoredRevocation) -> Result<String, StoreError> {
    to_json(&RevocationJson {
        reason: revocation.reason.as_str().to_owned(),
        legal_basis: revocation.legal_basis.clone(),
        time: revocation.revoke_time.as_microsecond(),
        by: revocation.revoked_by.clone(),
    })
}

/// A revocation from its JSON.
pub(crate) fn revocation_read(stored: &str) -> Result<StoredRevocation, StoreError> {
    let stored: RevocationJson = from_json(stored, "revocation")?;
    Ok(StoredRevocation {
        reason: known(&stored.reason, "revocation reason")?,
        legal_basis: stored.legal_basis,
        revoke_time: instant(stored.time)?,
        revoked_by: stored.by,
    })
}

impl Store {
    /// A validity code by its resource id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn code(&self, id: Uuid) -> Result<Option<StoredCode>, StoreError> {
        self.read("get_code", async {
            let row = validity_code::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(read_row).transpose()
        })
        .await
    }
}

pub(super) fn new_row(issue: &IssueCode) -> Result<validity_code::ActiveModel, StoreError> {
    let content = &issue.content;
    let json = CodeJson {
        subject: (&content.subject).into(),
        program: (&content.program).into(),
        document: (&content.document).into(),
        double_major: content.double_major_declared,
        external_ref: content.external_ref.clone(),
        attestation: content.attestation.clone(),
        priors: content
            .priors
            .iter()
            .map(|prior| (prior.level.as_str().to_owned(), prior.code_id))
            .collect(),
        quote: (&content.quote).into(),
        workflow: content.workflow_version.clone(),
        documents: content.documents,
    };
    Ok(validity_code::ActiveModel {
        id: Set(issue.id),
        code: Set(issue.code.as_str().to_owned()),
        institution_code: Set(content.program.institution.as_str().to_owned()),
        person_key: Set(content.subject.person_id.key()),
        degree_level: Set(content.program.level.as_str().to_owned()),
        document_kind: Set(content.document.kind.as_str().to_owned()),
        external_ref: Set(content.external_ref.clone()),
        live_key: Set(Some(issue.live_key.clone())),
        state: Set(DocumentState::Active.as_str().to_owned()),
        content: Set(to_json(&json)?),
        issue_time: Set(issue.issue_time.as_microsecond()),
        expire_time: Set(issue.expire_time.map(Timestamp::as_microsecond)),
        revocation: Set(None),
        remark: Set(None),
        superseded_by: Set(None),
        update_time: Set(issue.issue_time.as_microsecond()),
        version: Set(1),
        legacy: Set(issue.legacy),
        agreement: Set(issue.agreement.clone()),
        submit_month: Set(issue.agreement.as_ref().map(|_| month_of(issue.issue_time))),
    })
}

pub(crate) fn read_row(row: validity_code::Model) -> Result<StoredCode, StoreError> {
    let json: CodeJson = from_json(&row.content, "validity_code.content")?;
    Ok(StoredCode {
        id: row.id,
        code: ValidityCode::parse(&row.code)
            .map_err(|_| StoreError::Corrupt("validity_code.code"))?,
        content: CodeContent {
            subject: json.subject.read()?,
            program: json.program.read()?,
            document: json.document.read()?,
            double_major_declared: json.double_major,
            external_ref: json.external_ref,
            attestation: json.attestation,
            priors: json
                .priors
                .into_iter()
                .map(|(level, code_id)| {
                    Ok(PriorProof {
                        level: known(&level, "prior level")?,
                        code_id,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
            quote: json.quote.read()?,
            workflow_version: json.workflow,
            documents: json.documents,
        },
        state: known(&row.state, "validity_code.state")?,
        issue_time: instant(row.issue_time)?,
        expire_time: row.expire_time.map(instant).transpose()?,
        revocation: row.revocation.as_deref().map(revocation_read).transpose()?,
        legacy: row.legacy,
        superseded_by: row.superseded_by,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}
