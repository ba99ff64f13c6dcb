//! Creating and replacing records, many in one transaction.

use std::collections::HashMap;

use gavah_domain::record::supersedes;
use sea_orm::DatabaseTransaction;
use sea_orm::sea_query::ArrayType;
use uuid::Uuid;

use super::rows::{new_row, read_row, replace_all};
use super::{COLLECTION, RecordOutcome, RecordRow, StoredRecord, name};
use crate::certificates::end_with_enrollment;
use crate::claim::{earlier, replayed_ids, resource_id};
use crate::entity::enrollment_record;
use crate::joint::{Joint, key};
use crate::rows::{self, Rows};
use crate::tx::Done;
use crate::{Act, Claimed, Store, StoreError};

impl Joint for RecordRow {
    type Answer = RecordOutcome;

    const NAME: &'static str = "upsert_records";
    const MOST: usize = 500;
    const ACTS: bool = true;

    fn keys(&self) -> Vec<u64> {
        let claim = self.context.claim.as_ref();
        let claim = claim.map(|claim| key(&claim.key()));
        claim.into_iter().chain([key(&self.student())]).collect()
    }

    async fn run(store: &Store, group: &[&Self]) -> Result<Vec<RecordOutcome>, StoreError> {
        store
            .run_tx(Self::NAME, |tx, _| {
                Box::pin(async move {
                    let outcomes = upsert_all(store, tx, group).await?;
                    let reused = |outcome: &_| matches!(outcome, RecordOutcome::RequestIdReused);
                    Ok(if outcomes.iter().all(reused) {
                        Done::Abandon(outcomes)
                    } else {
                        Done::Commit(outcomes)
                    })
                })
            })
            .await
    }
}

async fn upsert_all(
    store: &Store,
    tx: &DatabaseTransaction,
    group: &[&RecordRow],
) -> Result<Vec<RecordOutcome>, StoreError> {
    // Their rows stay locked: changes of a record come one after the other.
    let mut existing = existing(tx, group).await?;
    let contexts: Vec<_> = group.iter().map(|row| &row.context).collect();
    let claimed = earlier(tx, &contexts).await?;
    let replayed = replayed(tx, &claimed).await?;

    let mut outcomes = Vec::with_capacity(group.len());
    let (mut created, mut replaced) = (Vec::new(), Vec::new());
    let (mut claims, mut acts) = (Vec::new(), Vec::new());
    for (row, claimed) in group.iter().zip(claimed) {
        if let Some(claimed) = claimed {
            outcomes.push(replay(claimed, &replayed)?);
            continue;
        }
        let before = existing.remove(&row.student());
        let stored = StoredRecord {
            id: before.as_ref().map_or(row.id, |before| before.id),
            record: row.record.clone(),
        };
        let (word, outcome) = match before {
            None => {
                created.push(new_row(&stored)?);
                acts.push((&row.context, act(&stored, "CREATE", "", row)));
                ("CREATED", RecordOutcome::Created(stored))
            }
            Some(before) if supersedes(before.record.as_of_time, stored.record.as_of_time) => {
                let from = before.record.status.as_str();
                acts.push((&row.context, act(&stored, "REPLACE", from, row)));
                replaced.push((before, stored.clone()));
                ("REPLACED", RecordOutcome::Replaced(stored))
            }
            Some(before) => ("KEPT_NEWER", RecordOutcome::KeptNewer(before)),
        };
        claims.push((&row.context, outcome.resource(), word));
        outcomes.push(outcome);
    }
    let count = created.len();
    if rows::insert_new(tx, created).await? != count {
        // Somebody stored one of these students in between: look again.
        return Err(StoreError::Conflict);
    }
    replace_all(tx, &replaced).await?;
    for (row, outcome) in group.iter().zip(&outcomes) {
        if let RecordOutcome::Replaced(stored) = outcome {
            let (context, hash) = (&row.context, &row.subject_hash);
            let ended = end_with_enrollment(tx, context, &stored.record, hash).await?;
            acts.extend(ended.into_iter().map(|act| (context, act)));
        }
    }
    store.record_all(tx, claims, acts).await?;
    Ok(outcomes)
}

async fn existing(
    tx: &DatabaseTransaction,
    group: &[&RecordRow],
) -> Result<HashMap<(String, String), StoredRecord>, StoreError> {
    let mut students: Vec<_> = group.iter().map(|row| row.student()).collect();
    // Locked in one order everywhere.
    students.sort_unstable();
    let mut keys = Rows::new(&[
        ("institution_code", ArrayType::String),
        ("student_number", ArrayType::String),
    ]);
    for (institution, number) in students {
        keys.push([institution.into(), number.into()]);
    }
    let found = rows::find::<enrollment_record::Entity>(tx, keys, true).await?;
    let records = found.into_iter().map(|row| {
        let student = (row.institution_code.clone(), row.student_number.clone());
        Ok((student, read_row(row)?))
    });
    records.collect()
}

async fn replayed(
    tx: &DatabaseTransaction,
    claimed: &[Option<Claimed>],
) -> Result<HashMap<Uuid, StoredRecord>, StoreError> {
    let mut ids = Rows::new(&[("id", ArrayType::Uuid)]);
    for id in replayed_ids(claimed, COLLECTION)? {
        ids.push([id.into()]);
    }
    let found = rows::find::<enrollment_record::Entity>(tx, ids, false).await?;
    let records = found.into_iter().map(|row| Ok((row.id, read_row(row)?)));
    records.collect()
}

fn replay(
    claimed: Claimed,
    replayed: &HashMap<Uuid, StoredRecord>,
) -> Result<RecordOutcome, StoreError> {
    let Claimed::Replay { resource, outcome } = claimed else {
        return Ok(RecordOutcome::RequestIdReused);
    };
    let stored = replayed
        .get(&resource_id(&resource, COLLECTION)?)
        .cloned()
        .ok_or(StoreError::Corrupt("enrollment_record is missing"))?;
    match outcome.as_str() {
        "CREATED" => Ok(RecordOutcome::Created(stored)),
        "REPLACED" => Ok(RecordOutcome::Replaced(stored)),
        "KEPT_NEWER" => Ok(RecordOutcome::KeptNewer(stored)),
        _ => Err(StoreError::Corrupt("request_claim.outcome")),
    }
}

fn act(stored: &StoredRecord, action: &'static str, from: &str, row: &RecordRow) -> Act {
    Act {
        resource: name(stored.id),
        action,
        from: from.to_owned(),
        to: stored.record.status.as_str().to_owned(),
        subject_hash: row.subject_hash.clone(),
        institution_code: stored.record.program.institution.as_str().to_owned(),
        ..Act::default()
    }
}

impl RecordRow {
    /// Institution and student number.
    fn student(&self) -> (String, String) {
        let program = &self.record.program;
        (
            program.institution.as_str().to_owned(),
            program.student_number.as_str().to_owned(),
        )
    }
}

impl RecordOutcome {
    fn resource(&self) -> String {
        match self {
            Self::Created(stored) | Self::Replaced(stored) | Self::KeptNewer(stored) => {
                name(stored.id)
            }
            Self::RequestIdReused => String::new(),
        }
    }
}
