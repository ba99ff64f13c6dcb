//! Certificates that end with the enrollment they certify.

use std::collections::HashMap;

use gavah_domain::document::{DocumentState, RevocationReason};
use gavah_domain::record::EnrollmentRecord;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};

use super::rows::read_certificate;
use super::{StoredCertificate, name};
use crate::codes::revocation_json;
use crate::content::{from_json, known};
use crate::entity::{enrollment_certificate, workflow_version};
use crate::seed::WorkflowRules;
use crate::{Act, ActContext, StoreError, StoredRevocation};

/// Revokes the live certificates of a record whose enrollment is over, but for those whose
/// purpose outlives it by the workflow version they were issued under; the acts of it, for
/// the audit. Who calls holds the record's row, and a certificate is signed only under it.
pub(crate) async fn end_with_enrollment(
    tx: &DatabaseTransaction,
    context: &ActContext,
    record: &EnrollmentRecord,
    subject_hash: &str,
) -> Result<Vec<Act>, StoreError> {
    use enrollment_certificate::Column;
    if !record.status.ends_enrollment() {
        return Ok(Vec::new());
    }
    let program = &record.program;
    let live = [DocumentState::Active, DocumentState::Suspended];
    let found = enrollment_certificate::Entity::find()
        .filter(Column::PersonKey.eq(record.subject.person_id.key()))
        .filter(Column::InstitutionCode.eq(program.institution.as_str()))
        .filter(Column::State.is_in(live.map(DocumentState::as_str)))
        .filter(Column::SignedDocument.is_not_null())
        .order_by_asc(Column::Id)
        .all(tx)
        .await?;
    let mut rules = HashMap::new();
    let mut acts = Vec::new();
    for row in found {
        let stored = read_certificate(row)?;
        if stored.content.program.student_number != program.student_number
            || !ends(tx, &stored, &mut rules).await?
        {
            continue;
        }
        let revocation = StoredRevocation {
            reason: RevocationReason::EnrollmentEnded,
            legal_basis: String::new(),
            revoke_time: context.now,
            revoked_by: context.actor.clone(),
        };
        let updated = enrollment_certificate::Entity::update_many()
            .col_expr(Column::State, Expr::value(DocumentState::Revoked.as_str()))
            .col_expr(
                Column::Revocation,
                Expr::value(revocation_json(&revocation)?),
            )
            .col_expr(
                Column::UpdateTime,
                Expr::value(context.now.as_microsecond()),
            )
            .col_expr(Column::Version, Expr::value(stored.version + 1))
            .filter(Column::Id.eq(stored.id))
            .filter(Column::Version.eq(stored.version))
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::Conflict);
        }
        acts.push(Act {
            resource: name(stored.id),
            action: "REVOKE",
            from: stored.state.as_str().to_owned(),
            to: DocumentState::Revoked.as_str().to_owned(),
            reason: RevocationReason::EnrollmentEnded.as_str().to_owned(),
            subject_hash: subject_hash.to_owned(),
            institution_code: program.institution.as_str().to_owned(),
            ..Act::default()
        });
    }
    Ok(acts)
}

/// Whether the certificate ends with the enrollment by its own workflow version.
async fn ends(
    tx: &DatabaseTransaction,
    stored: &StoredCertificate,
    rules: &mut HashMap<String, WorkflowRules>,
) -> Result<bool, StoreError> {
    let id = &stored.content.workflow_version;
    if !rules.contains_key(id) {
        let row = workflow_version::Entity::find_by_id(id.as_str())
            .one(tx)
            .await?;
        // Without rules of its own nothing outlives the enrollment.
        let Some(row) = row else { return Ok(true) };
        let read = from_json(&row.rules, "workflow_version.rules")?;
        rules.insert(id.clone(), read);
    }
    let outliving = rules
        .get(id)
        .map(|rules| rules.outlives_enrollment.as_slice());
    for purpose in outliving.unwrap_or_default() {
        if stored.content.purpose == known(purpose, "workflow outlives_enrollment")? {
            return Ok(false);
        }
    }
    Ok(true)
}
