//! Disputes as rows, and back.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NewRuling, Stance, StoredAction, StoredDispute, StoredMessage, StoredRuling};
use crate::content::{from_json, instant, known, to_json};
use crate::entity::{dispute, dispute_action, dispute_message};
use crate::{ActContext, StoreError};

#[derive(Serialize, Deserialize)]
struct StanceJson {
    terms: String,
    terms_by: String,
    terms_micros: Option<i64>,
    consent_by: String,
    consent_micros: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct RulingJson {
    outcome: String,
    text: String,
    legal_basis: String,
    ruled_by: String,
    rule_micros: i64,
}

pub(super) fn stance_json(stance: &Stance) -> Result<String, StoreError> {
    to_json(&StanceJson {
        terms: stance.terms.clone(),
        terms_by: stance.terms_by.clone(),
        terms_micros: stance.terms_time.map(Timestamp::as_microsecond),
        consent_by: stance.consent_by.clone(),
        consent_micros: stance.consent_time.map(Timestamp::as_microsecond),
    })
}

fn stance(json: &str) -> Result<Stance, StoreError> {
    let read: StanceJson = from_json(json, "dispute's stance")?;
    Ok(Stance {
        terms: read.terms,
        terms_by: read.terms_by,
        terms_time: read.terms_micros.map(instant).transpose()?,
        consent_by: read.consent_by,
        consent_time: read.consent_micros.map(instant).transpose()?,
    })
}

pub(super) fn ruling_json(ruling: &NewRuling, context: &ActContext) -> Result<String, StoreError> {
    to_json(&RulingJson {
        outcome: ruling.outcome.as_str().to_owned(),
        text: ruling.text.clone(),
        legal_basis: ruling.legal_basis.clone(),
        ruled_by: context.actor.clone(),
        rule_micros: context.now.as_microsecond(),
    })
}

fn ruling(json: &str, actions: Vec<StoredAction>) -> Result<StoredRuling, StoreError> {
    let read: RulingJson = from_json(json, "dispute.ruling")?;
    Ok(StoredRuling {
        outcome: known(&read.outcome, "dispute.ruling")?,
        text: read.text,
        legal_basis: read.legal_basis,
        actions,
        ruled_by: read.ruled_by,
        rule_time: instant(read.rule_micros)?,
    })
}

/// The disputes of these rows, with what was ordered in them, in their order.
pub(super) async fn read_some(
    db: &impl ConnectionTrait,
    rows: Vec<dispute::Model>,
) -> Result<Vec<StoredDispute>, StoreError> {
    use dispute_action::Column;
    let ruled = rows.iter().filter(|row| row.ruling.is_some());
    let ruled: Vec<Uuid> = ruled.map(|row| row.id).collect();
    let mut actions: HashMap<Uuid, Vec<StoredAction>> = HashMap::new();
    if !ruled.is_empty() {
        let found = dispute_action::Entity::find()
            .filter(Column::DisputeId.is_in(ruled))
            .order_by_asc(Column::Number)
            .all(db)
            .await?;
        for row in found {
            let of = actions.entry(row.dispute_id).or_default();
            of.push(read_action(row)?);
        }
    }
    let read = |row: dispute::Model| {
        let actions = actions.remove(&row.id).unwrap_or_default();
        read(row, actions)
    };
    rows.into_iter().map(read).collect()
}

pub(super) fn read_action(row: dispute_action::Model) -> Result<StoredAction, StoreError> {
    Ok(StoredAction {
        number: row.number,
        act: known(&row.act, "dispute_action.act")?,
        target: row.target,
        note: row.note,
        result: row.result,
        done_by: row.done_by,
        done_time: row.done_time.map(instant).transpose()?,
        close_reason: row.close_reason,
    })
}

fn read(row: dispute::Model, actions: Vec<StoredAction>) -> Result<StoredDispute, StoreError> {
    let given = row.ruling.as_deref();
    Ok(StoredDispute {
        state: known(&row.state, "dispute.state")?,
        opened_by: known(&row.opened_by, "dispute.opened_by")?,
        deadline: instant(row.deadline)?,
        consumer_stance: stance(&row.consumer_stance)?,
        provider_stance: stance(&row.provider_stance)?,
        ruling: given.map(|json| ruling(json, actions)).transpose()?,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        id: row.id,
        subject: row.subject,
        consumer: row.consumer,
        through: row.through,
        statement: row.statement,
        messages: row.messages,
        version: row.version,
    })
}

pub(super) fn read_message(row: dispute_message::Model) -> Result<StoredMessage, StoreError> {
    Ok(StoredMessage {
        party: known(&row.party, "dispute_message.party")?,
        create_time: instant(row.create_time)?,
        dispute_id: row.dispute_id,
        number: row.number,
        author: row.author,
        text: row.message,
    })
}
