//! Loading a seed.

use gavah_domain::JalaliDate;
use gavah_domain::agreement::{AgreementEnd, AgreementState};
use gavah_domain::document::DocumentState;
use gavah_domain::service::ServiceCallState;
use jiff::Timestamp;
use sea_orm::Iterable;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    IntoActiveModel, QuerySelect, Set,
};

use super::{
    AgreementSeed, AgreementTextSeed, CallSeed, Seed, SeedError, TermSeed, WorkflowRules,
    WorkflowSeed,
};
use crate::content::{from_json, to_json};
use crate::entity::{agreement, agreement_text, service_call, term, workflow_version};
use crate::registry::bump;
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError};

/// Key of the advisory lock under which one seed at a time is loaded.
const SEED_LOCK: i64 = 0x6761_7661_6803;

impl Store {
    /// Loads a checked seed in one transaction: rows with a known id are
    /// replaced; workflow versions and tariff tables never change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Config`] when the seed is not usable; other [`StoreError`]s.
    pub async fn load_seed(&self, context: &ActContext, seed: &Seed) -> Result<(), StoreError> {
        seed.check()
            .map_err(|error| StoreError::Config(error.to_string()))?;
        self.run_tx("load_seed", |tx, _| {
            Box::pin(async move {
                one_at_a_time(tx).await?;
                for term in &seed.term {
                    put(tx, term_row(term)?).await?;
                }
                for (index, workflow) in seed.workflow.iter().enumerate() {
                    if !publish(tx, workflow).await? {
                        return Err(unknown(format!(
                            "workflow[{index}] is published with other rules"
                        )));
                    }
                }
                for (index, call) in seed.call.iter().enumerate() {
                    let workflow = workflow_version::Entity::find_by_id(call.workflow.as_str());
                    if workflow.one(tx).await?.is_none() {
                        return Err(unknown(format!("call[{index}].workflow")));
                    }
                    let stored = service_call::Entity::find_by_id(call.id.as_str());
                    let stored = stored.lock_exclusive().one(tx).await?;
                    let closed = ServiceCallState::Closed.as_str();
                    if stored.as_ref().is_some_and(|stored| stored.state == closed)
                        && call.state != closed
                    {
                        return Err(unknown(format!("call[{index}] has closed")));
                    }
                    let version = stored.map_or(1, |stored| stored.version + 1);
                    put(tx, call_row(call, version)?).await?;
                }
                for (index, agreement) in seed.agreement.iter().enumerate() {
                    let call = service_call::Entity::find_by_id(agreement.call.as_str());
                    if call.one(tx).await?.is_none() {
                        return Err(unknown(format!("agreement[{index}].call")));
                    }
                    for consumer in &agreement.consumers {
                        if !put_agreement(tx, agreement, consumer, context.now).await? {
                            return Err(unknown(format!("agreement[{index}] has ended")));
                        }
                    }
                }
                for (index, text) in seed.agreement_text.iter().enumerate() {
                    if !publish_text(tx, text).await? {
                        return Err(unknown(format!(
                            "agreement_text[{index}] is published with another text"
                        )));
                    }
                }
                for (index, tariff) in seed.tariff.iter().enumerate() {
                    let load = self.load_tariff(tx, context, tariff).await?;
                    load.version()
                        .map_err(|why| unknown(format!("tariff[{index}] {why}")))?;
                }
                bump(tx).await?;
                let act = Act {
                    resource: "referenceData".to_owned(),
                    action: "LOAD_SEED",
                    to: DocumentState::Active.as_str().to_owned(),
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }
}

/// Two seeds at the same moment would not see what the other publishes. SQLite has one writer anyway.
async fn one_at_a_time(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({SEED_LOCK})"))
            .await?;
    }
    Ok(())
}

/// Inserts a row, or replaces the one with the same primary key.
async fn put<M>(tx: &DatabaseTransaction, row: M) -> Result<(), StoreError>
where
    M: ActiveModelTrait + Send,
    <M::Entity as EntityTrait>::Model: IntoActiveModel<M>,
{
    use sea_orm::PrimaryKeyToColumn;
    let keys: Vec<_> = <M::Entity as EntityTrait>::PrimaryKey::iter()
        .map(PrimaryKeyToColumn::into_column)
        .collect();
    let key_names: Vec<String> = keys
        .iter()
        .map(sea_orm::IdenStatic::as_str)
        .map(str::to_owned)
        .collect();
    let others = <M::Entity as EntityTrait>::Column::iter().filter(|column| {
        !key_names
            .iter()
            .any(|key| key == sea_orm::IdenStatic::as_str(column))
    });
    M::Entity::insert(row)
        .on_conflict(OnConflict::columns(keys).update_columns(others).to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Publishes a workflow version. It never changes from then on, because documents
/// were issued under it; `false` when it would.
async fn publish(tx: &DatabaseTransaction, new: &WorkflowSeed) -> Result<bool, StoreError> {
    let published = workflow_version::Entity::find_by_id(new.id.as_str());
    let Some(published) = published.one(tx).await? else {
        put(tx, workflow_row(new)?).await?;
        return Ok(true);
    };
    let rules: WorkflowRules = from_json(&published.rules, "workflow_version.rules")?;
    Ok(published.service == new.service && rules == new.rules)
}

/// An entry that does not go with what is stored.
fn unknown(place: String) -> StoreError {
    StoreError::Config(SeedError(vec![place]).to_string())
}

fn day(text: &str) -> Result<JalaliDate, StoreError> {
    JalaliDate::parse(text).map_err(|_| StoreError::Config("seed date".to_owned()))
}

fn term_row(term: &TermSeed) -> Result<term::ActiveModel, StoreError> {
    Ok(term::ActiveModel {
        academic_year: Set(term.academic_year),
        kind: Set(term.kind.clone()),
        start_date: Set(day(&term.start)?.as_i32()),
        end_date: Set(day(&term.end)?.as_i32()),
    })
}

fn workflow_row(workflow: &WorkflowSeed) -> Result<workflow_version::ActiveModel, StoreError> {
    Ok(workflow_version::ActiveModel {
        id: Set(workflow.id.clone()),
        service: Set(workflow.service.clone()),
        rules: Set(to_json(&workflow.rules)?),
    })
}

fn call_row(call: &CallSeed, version: i64) -> Result<service_call::ActiveModel, StoreError> {
    let closes = call.closes.as_deref().map(day).transpose()?;
    Ok(service_call::ActiveModel {
        id: Set(call.id.clone()),
        service: Set(call.service.clone()),
        state: Set(call.state.clone()),
        open_time: Set(day(&call.opens)?.start_of_day().as_microsecond()),
        close_time: Set(closes.map(|day| day.end_exclusive().as_microsecond())),
        eligible_types: Set(to_json(&call.eligible_types)?),
        document_kinds: Set(to_json(&call.document_kinds)?),
        workflow_version: Set(call.workflow.clone()),
        run_off_days: Set(i32::from(call.run_off_days)),
        version: Set(version),
        sla_targets: Set(to_json(&call.sla_targets)?),
    })
}

/// Puts an agreement as it is in the seed; `false` when it has ended, which is for good.
async fn put_agreement(
    tx: &DatabaseTransaction,
    seed: &AgreementSeed,
    consumer: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let id = format!("{}/{consumer}", seed.id);
    let stored = agreement::Entity::find_by_id(id.as_str());
    // What somebody ends meanwhile stays ended.
    let stored = stored.lock_exclusive().one(tx).await?;
    let ended = AgreementState::Terminated.as_str();
    if stored.as_ref().is_some_and(|stored| stored.state == ended) && seed.state != ended {
        return Ok(false);
    }
    let now = now.as_microsecond();
    let by_provider = AgreementEnd::ByProvider.as_str();
    let accepted = stored.as_ref();
    let row = agreement::ActiveModel {
        id: Set(id),
        call_id: Set(seed.call.clone()),
        consumer: Set(consumer.to_owned()),
        state: Set(seed.state.clone()),
        purposes: Set(to_json(&seed.purposes)?),
        through: Set(seed.through.clone()),
        end_reason: Set(match accepted {
            Some(stored) if stored.state == ended => stored.end_reason.clone(),
            _ => (seed.state == ended).then(|| by_provider.to_owned()),
        }),
        fields: Set(to_json(&seed.fields)?),
        daily_calls: Set(seed.daily_calls.map(i64::from)),
        burst: Set(seed.burst.map(i64::from)),
        text_version: Set(accepted.map_or(0, |stored| stored.text_version)),
        accepted_by: Set(accepted.map_or_else(String::new, |stored| stored.accepted_by.clone())),
        accept_time: Set(accepted.and_then(|stored| stored.accept_time)),
        create_time: Set(accepted.map_or(now, |stored| stored.create_time)),
        update_time: Set(now),
        version: Set(accepted.map_or(1, |stored| stored.version + 1)),
    };
    put(tx, row).await?;
    Ok(true)
}

/// Publishes a version of a text. It never changes from then on, because it was agreed on; `false` when it would.
async fn publish_text(
    tx: &DatabaseTransaction,
    new: &AgreementTextSeed,
) -> Result<bool, StoreError> {
    let row = agreement_text::Model {
        service: new.service.clone(),
        version: new.version,
        edit_date: day(&new.edit_date)?.as_i32(),
        title_fa: new.title_fa.clone(),
        parent_fa: new.parent_fa.clone(),
        clauses: to_json(&new.clause)?,
    };
    let key = (new.service.clone(), new.version);
    match agreement_text::Entity::find_by_id(key).one(tx).await? {
        Some(published) => Ok(published == row),
        None => {
            put(tx, row.into_active_model().reset_all()).await?;
            Ok(true)
        }
    }
}
