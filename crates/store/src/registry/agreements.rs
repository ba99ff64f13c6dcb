//! Service calls, the agreements under them, and the texts that are agreed on.

use gavah_domain::JalaliDate;
use gavah_domain::agreement::{Agreement, AgreementEnd, AgreementState};
use gavah_domain::service::{ServiceCall, ServiceCallState, ServiceKind};
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};

use crate::content::{from_json, instant, known, to_json};
use crate::entity::{agreement, agreement_text, service_call, workflow_version};
use crate::registry::bump;
use crate::seed::Clause;
use crate::tx::Done;
use crate::{Act, ActContext, RegistryChange, Store, StoreError};

/// An agreement as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAgreement {
    /// The agreement.
    pub agreement: Agreement,
    /// Version of the text that was accepted; 0 when it was loaded from a file.
    pub text_version: i32,
    /// Resource name of the caller that accepted it; empty when it was loaded from a file.
    pub accepted_by: String,
    /// When it was accepted.
    pub accept_time: Option<Timestamp>,
    /// When it was asked for; unset when an early version loaded it.
    pub create_time: Option<Timestamp>,
    /// When it last changed.
    pub update_time: Option<Timestamp>,
    /// Counts its changes.
    pub version: i64,
}

/// A service call as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCall {
    /// The call.
    pub call: ServiceCall,
    /// Counts its changes.
    pub version: i64,
}

/// A version of the text of a service-level agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementText {
    /// The service.
    pub service: ServiceKind,
    /// The version, from 1.
    pub version: i32,
    /// When it was last edited.
    pub edit_date: JalaliDate,
    /// Persian title.
    pub title_fa: String,
    /// Persian title of the document it stands under.
    pub parent_fa: String,
    /// The clauses; the first is clause 1.
    pub clauses: Vec<Clause>,
}

/// A change of an agreement's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementStep {
    /// Its id.
    pub id: String,
    /// The state to enter.
    pub to: AgreementState,
    /// Why it ends, when it does.
    pub end: Option<AgreementEnd>,
    /// What is granted of calls a day and calls a second, when that is decided.
    pub granted: Option<(Option<u32>, Option<u32>)>,
    /// Why, as given.
    pub remark: String,
    /// The version it was read in.
    pub etag: Option<i64>,
}

/// Which agreements to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgreementFilter {
    /// Of one of these consumers, or through this caller; anybody's when unset.
    pub of: Option<(Vec<String>, String)>,
    /// Of this call.
    pub call_id: Option<String>,
    /// In this state.
    pub state: Option<AgreementState>,
}

/// Most agreements in one listing.
const LISTED: u64 = 1000;

/// The resource name of a call.
#[must_use]
pub fn call_name(id: &str) -> String {
    format!("serviceCalls/{id}")
}

/// The resource name of an agreement.
#[must_use]
pub fn agreement_name(id: &str) -> String {
    format!("agreements/{id}")
}

impl Store {
    /// Prepares a call; [`RegistryChange::Exists`] when its id is taken, [`RegistryChange::NotFound`] for an unknown
    /// workflow version.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_service_call(
        &self,
        context: &ActContext,
        new: &ServiceCall,
    ) -> Result<RegistryChange, StoreError> {
        let name = call_name(&new.id);
        self.change_registry("create_service_call", context, &name, &|tx, _| {
            Box::pin(async move {
                let taken = service_call::Entity::find_by_id(new.id.as_str());
                if taken.one(tx).await?.is_some() {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                let workflow = new.workflow_version.as_str();
                let workflow = workflow_version::Entity::find_by_id(workflow);
                let of_the_service = workflow.one(tx).await?;
                if of_the_service.is_none_or(|found| found.service != new.service.as_str()) {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                }
                let names = |names: Vec<&str>| to_json(&names);
                service_call::Entity::insert(service_call::ActiveModel {
                    id: Set(new.id.clone()),
                    service: Set(new.service.as_str().to_owned()),
                    state: Set(new.state.as_str().to_owned()),
                    open_time: Set(new.open_time.as_microsecond()),
                    close_time: Set(new.close_time.map(Timestamp::as_microsecond)),
                    eligible_types: Set(names(
                        new.eligible_types
                            .iter()
                            .map(|kind| kind.as_str())
                            .collect(),
                    )?),
                    document_kinds: Set(names(
                        new.document_kinds
                            .iter()
                            .map(|kind| kind.as_str())
                            .collect(),
                    )?),
                    workflow_version: Set(new.workflow_version.clone()),
                    run_off_days: Set(i32::from(new.run_off_days)),
                    version: Set(1),
                    sla_targets: Set(to_json(&new.sla_targets)?),
                })
                .exec_without_returning(tx)
                .await?;
                let act = call_act(new.id.as_str(), "CREATE", "", new.state.as_str());
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Opens a call that is prepared, or closes one that is open; its agreements end with it.
    /// [`RegistryChange::NotAllowed`] from any other state.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn move_service_call(
        &self,
        context: &ActContext,
        id: &str,
        to: ServiceCallState,
        etag: Option<i64>,
    ) -> Result<RegistryChange, StoreError> {
        let name = call_name(id);
        self.change_registry("move_service_call", context, &name, &|tx, _| {
            Box::pin(async move {
                let row = service_call::Entity::find_by_id(id).one(tx).await?;
                let Some(row) = row else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                if etag.is_some_and(|etag| etag != row.version) {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                let state: ServiceCallState = known(&row.state, "service_call.state")?;
                if !state.next().contains(&to) {
                    return Ok(Done::Abandon(RegistryChange::NotAllowed(row.state)));
                }
                self.enter(tx, context, row, to).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Moves a call, and ends its agreements when it closes.
    async fn enter(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        row: service_call::Model,
        to: ServiceCallState,
    ) -> Result<(), StoreError> {
        use service_call::Column;
        let now = context.now.as_microsecond();
        // Closed before its time, it closes now: requests in flight run off from here.
        let close_time = match to {
            ServiceCallState::Closed => Some(row.close_time.map_or(now, |close| close.min(now))),
            ServiceCallState::Draft | ServiceCallState::Open => row.close_time,
        };
        let moved = service_call::Entity::update_many()
            .col_expr(Column::State, Expr::value(to.as_str()))
            .col_expr(Column::CloseTime, Expr::value(close_time))
            .col_expr(Column::Version, Expr::value(row.version + 1))
            .filter(Column::Id.eq(row.id.as_str()))
            .filter(Column::Version.eq(row.version))
            .exec(tx)
            .await?;
        if moved.rows_affected == 0 {
            return Err(StoreError::Conflict);
        }
        let action = match to {
            ServiceCallState::Closed => "CLOSE",
            ServiceCallState::Draft | ServiceCallState::Open => "OPEN",
        };
        let act = call_act(&row.id, action, &row.state, to.as_str());
        self.append(tx, context, act).await?;
        if to == ServiceCallState::Closed {
            let ended = agreement::Entity::find()
                .filter(agreement::Column::CallId.eq(row.id.as_str()))
                .filter(agreement::Column::State.ne(AgreementState::Terminated.as_str()))
                .order_by_asc(agreement::Column::Id)
                .all(tx)
                .await?;
            for own in ended {
                // What is suspended then is not reinstated by it: nothing of it runs off.
                let suspended = own.state == AgreementState::Suspended.as_str();
                let (end, remark) = match suspended {
                    true => (AgreementEnd::ByProvider, "suspended when its call closed"),
                    false => (AgreementEnd::CallEnded, ""),
                };
                let step = AgreementStep {
                    id: own.id.clone(),
                    to: AgreementState::Terminated,
                    end: Some(end),
                    granted: None,
                    remark: remark.to_owned(),
                    etag: None,
                };
                self.step(tx, context, &own, &step).await?;
            }
        }
        Ok(())
    }

    /// Closes the calls whose time is over, with their agreements; returns how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn close_calls_due(&self, context: &ActContext) -> Result<usize, StoreError> {
        self.run_tx("close_calls", |tx, _| {
            Box::pin(async move {
                let due = service_call::Entity::find()
                    .filter(service_call::Column::State.eq(ServiceCallState::Open.as_str()))
                    .filter(service_call::Column::CloseTime.lte(context.now.as_microsecond()))
                    .all(tx)
                    .await?;
                if due.is_empty() {
                    return Ok(Done::Abandon(0));
                }
                let closed = due.len();
                for row in due {
                    self.enter(tx, context, row, ServiceCallState::Closed)
                        .await?;
                }
                bump(tx).await?;
                Ok(Done::Commit(closed))
            })
        })
        .await
    }

    /// Asks for an agreement; [`RegistryChange::Exists`] when the consumer has one under the call that has not ended,
    /// [`RegistryChange::NotFound`] when there is no call that is not closed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn request_agreement(
        &self,
        context: &ActContext,
        new: &Agreement,
        text_version: i32,
    ) -> Result<RegistryChange, StoreError> {
        let name = agreement_name(&new.id);
        self.change_registry("request_agreement", context, &name, &|tx, _| {
            Box::pin(async move {
                // Held, so that the second of two that ask at once sees the first, and no call closes under one.
                let call = service_call::Entity::find_by_id(new.call_id.as_str()).lock_exclusive();
                let closed = ServiceCallState::Closed.as_str();
                let call = call.one(tx).await?.filter(|call| call.state != closed);
                if call.is_none() {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                }
                let held = agreement::Entity::find()
                    .filter(agreement::Column::CallId.eq(new.call_id.as_str()))
                    .filter(agreement::Column::Consumer.eq(new.consumer.as_str()))
                    // Of the agencies of another caller of the hub nothing is told.
                    .filter(match &new.through {
                        Some(caller) => agreement::Column::Through.eq(caller.as_str()),
                        None => agreement::Column::Through.is_null(),
                    })
                    .filter(agreement::Column::State.ne(AgreementState::Terminated.as_str()));
                if held.one(tx).await?.is_some() {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                let now = context.now.as_microsecond();
                let purposes: Vec<_> = new.purposes.iter().map(|it| it.as_str()).collect();
                let fields: Vec<_> = new.fields.iter().map(|it| it.as_str()).collect();
                agreement::Entity::insert(agreement::ActiveModel {
                    id: Set(new.id.clone()),
                    call_id: Set(new.call_id.clone()),
                    consumer: Set(new.consumer.clone()),
                    state: Set(new.state.as_str().to_owned()),
                    purposes: Set(to_json(&purposes)?),
                    through: Set(new.through.clone()),
                    end_reason: Set(None),
                    fields: Set(to_json(&fields)?),
                    daily_calls: Set(new.daily_calls.map(i64::from)),
                    burst: Set(new.burst.map(i64::from)),
                    text_version: Set(text_version),
                    accepted_by: Set(context.actor.clone()),
                    accept_time: Set(Some(now)),
                    create_time: Set(now),
                    update_time: Set(now),
                    version: Set(1),
                })
                .exec_without_returning(tx)
                .await?;
                let act = Act {
                    reason: format!("text version {text_version}"),
                    ..agreement_act(&new.id, &new.consumer, "REQUEST", "", new.state.as_str())
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Moves an agreement to another state; [`RegistryChange::NotAllowed`] when it cannot go there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn change_agreement(
        &self,
        context: &ActContext,
        step: &AgreementStep,
    ) -> Result<RegistryChange, StoreError> {
        let name = agreement_name(&step.id);
        self.change_registry("change_agreement", context, &name, &|tx, _| {
            Box::pin(async move {
                let row = agreement::Entity::find_by_id(step.id.as_str());
                let Some(row) = row.one(tx).await? else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                if step.etag.is_some_and(|etag| etag != row.version) {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                let state: AgreementState = known(&row.state, "agreement.state")?;
                if !state.next().contains(&step.to) {
                    return Ok(Done::Abandon(RegistryChange::NotAllowed(row.state)));
                }
                self.step(tx, context, &row, step).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    async fn step(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        row: &agreement::Model,
        step: &AgreementStep,
    ) -> Result<(), StoreError> {
        use agreement::Column;
        let mut update = agreement::Entity::update_many()
            .col_expr(Column::State, Expr::value(step.to.as_str()))
            .col_expr(
                Column::EndReason,
                Expr::value(step.end.map(AgreementEnd::as_str)),
            )
            .col_expr(
                Column::UpdateTime,
                Expr::value(context.now.as_microsecond()),
            )
            .col_expr(Column::Version, Expr::value(row.version + 1));
        if let Some((daily_calls, burst)) = step.granted {
            update = update
                .col_expr(Column::DailyCalls, Expr::value(daily_calls.map(i64::from)))
                .col_expr(Column::Burst, Expr::value(burst.map(i64::from)));
        }
        let moved = update
            .filter(Column::Id.eq(row.id.as_str()))
            .filter(Column::Version.eq(row.version))
            .exec(tx)
            .await?;
        if moved.rows_affected == 0 {
            return Err(StoreError::Conflict);
        }
        let action = match (step.to, row.state.as_str()) {
            (AgreementState::Active, "REQUESTED") => "APPROVE",
            (AgreementState::Active, _) => "REINSTATE",
            (AgreementState::Suspended, _) => "SUSPEND",
            (AgreementState::Requested | AgreementState::Terminated, _) => "TERMINATE",
        };
        let reason = match step.end {
            Some(end) if step.remark.is_empty() => end.as_str().to_owned(),
            Some(end) => format!("{end}: {}", step.remark),
            None => step.remark.clone(),
        };
        let act = Act {
            reason,
            ..agreement_act(&row.id, &row.consumer, action, &row.state, step.to.as_str())
        };
        self.append(tx, context, act).await
    }

    /// An agreement, ended or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_agreement(&self, id: &str) -> Result<Option<StoredAgreement>, StoreError> {
        self.read("find_agreement", async {
            let row = agreement::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(read_agreement).transpose()
        })
        .await
    }

    /// Agreements, newest first, at most a thousand.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_agreements(
        &self,
        filter: &AgreementFilter,
    ) -> Result<Vec<StoredAgreement>, StoreError> {
        use agreement::Column;
        self.read("list_agreements", async {
            let mut query = agreement::Entity::find();
            if let Some((consumers, through)) = &filter.of {
                let own = Condition::any()
                    .add(Column::Consumer.is_in(consumers.iter().map(String::as_str)))
                    .add(Column::Through.eq(through.as_str()));
                query = query.filter(own);
            }
            if let Some(call) = &filter.call_id {
                query = query.filter(Column::CallId.eq(call.as_str()));
            }
            if let Some(state) = filter.state {
                query = query.filter(Column::State.eq(state.as_str()));
            }
            let rows = query
                .order_by_desc(Column::CreateTime)
                .order_by_asc(Column::Id)
                .limit(LISTED)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_agreement).collect()
        })
        .await
    }

    /// A call.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_service_call(&self, id: &str) -> Result<Option<StoredCall>, StoreError> {
        self.read("find_service_call", async {
            let row = service_call::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(stored_call).transpose()
        })
        .await
    }

    /// All calls, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_service_calls(&self) -> Result<Vec<StoredCall>, StoreError> {
        self.read("list_service_calls", async {
            let rows = service_call::Entity::find()
                .order_by_asc(service_call::Column::Id)
                .limit(LISTED)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(stored_call).collect()
        })
        .await
    }

    /// The agreements that have not ended, by id.
    pub(crate) async fn agreements_in_hand(&self) -> Result<Vec<Agreement>, StoreError> {
        let rows = agreement::Entity::find()
            .filter(agreement::Column::State.ne(AgreementState::Terminated.as_str()))
            .order_by_asc(agreement::Column::Id)
            .all(&self.inner.db)
            .await?;
        let rows = rows.into_iter().map(read_agreement);
        rows.map(|stored| stored.map(|stored| stored.agreement))
            .collect()
    }

    pub(crate) async fn agreement_texts(&self) -> Result<Vec<AgreementText>, StoreError> {
        let rows = agreement_text::Entity::find()
            .order_by_asc(agreement_text::Column::Service)
            .order_by_asc(agreement_text::Column::Version)
            .all(&self.inner.db)
            .await?;
        let read = |row: agreement_text::Model| {
            Ok(AgreementText {
                service: known(&row.service, "agreement_text.service")?,
                version: row.version,
                edit_date: JalaliDate::from_i32(row.edit_date)
                    .map_err(|_| StoreError::Corrupt("agreement_text.edit_date"))?,
                title_fa: row.title_fa,
                parent_fa: row.parent_fa,
                clauses: from_json(&row.clauses, "agreement_text.clauses")?,
            })
        };
        rows.into_iter().map(read).collect()
    }
}

fn call_act(id: &str, action: &'static str, from: &str, to: &str) -> Act {
    Act {
        resource: call_name(id),
        action,
        from: from.to_owned(),
        to: to.to_owned(),
        ..Act::default()
    }
}

fn agreement_act(id: &str, consumer: &str, action: &'static str, from: &str, to: &str) -> Act {
    let institution = consumer.strip_prefix("institutions/").unwrap_or_default();
    Act {
        resource: agreement_name(id),
        action,
        from: from.to_owned(),
        to: to.to_owned(),
        institution_code: institution.to_owned(),
        ..Act::default()
    }
}

fn read_agreement(row: agreement::Model) -> Result<StoredAgreement, StoreError> {
    let bound = |bound: Option<i64>| {
        let bound = bound.map(u32::try_from).transpose();
        bound.map_err(|_| StoreError::Corrupt("agreement's bounds"))
    };
    // What an early version loaded has no instants.
    let since = |micros: i64| (micros > 0).then(|| instant(micros)).transpose();
    Ok(StoredAgreement {
        agreement: Agreement {
            state: known(&row.state, "agreement.state")?,
            end: row
                .end_reason
                .map(|end| known(&end, "agreement.end_reason"))
                .transpose()?,
            purposes: names(&row.purposes, "agreement.purposes")?,
            fields: names(&row.fields, "agreement.fields")?,
            daily_calls: bound(row.daily_calls)?,
            burst: bound(row.burst)?,
            id: row.id,
            consumer: row.consumer,
            through: row.through,
            call_id: row.call_id,
        },
        text_version: row.text_version,
        accepted_by: row.accepted_by,
        accept_time: row.accept_time.map(instant).transpose()?,
        create_time: since(row.create_time)?,
        update_time: since(row.update_time)?,
        version: row.version,
    })
}

fn stored_call(row: service_call::Model) -> Result<StoredCall, StoreError> {
    let version = row.version;
    read_call(row).map(|call| StoredCall { call, version })
}

pub(crate) fn read_call(row: service_call::Model) -> Result<ServiceCall, StoreError> {
    Ok(ServiceCall {
        service: known(&row.service, "service_call.service")?,
        state: known(&row.state, "service_call.state")?,
        open_time: instant(row.open_time)?,
        close_time: row.close_time.map(instant).transpose()?,
        eligible_types: names(&row.eligible_types, "service_call.eligible_types")?,
        document_kinds: names(&row.document_kinds, "service_call.document_kinds")?,
        workflow_version: row.workflow_version,
        run_off_days: u16::try_from(row.run_off_days)
            .map_err(|_| StoreError::Corrupt("service_call.run_off_days"))?,
        sla_targets: from_json(&row.sla_targets, "service_call.sla_targets")?,
        id: row.id,
    })
}

fn names<T: std::str::FromStr>(json: &str, place: &'static str) -> Result<Vec<T>, StoreError> {
    let names: Vec<String> = from_json(json, place)?;
    names.iter().map(|name| known(name, place)).collect()
}
