//! Disputes: opened, negotiated, and ended by agreement, by a ruling, or by who opened them.

pub(crate) mod fulfil;
mod rows;

use gavah_domain::dispute::{
    ActionState, DisputeState, OrderedAct, Party, RulingOutcome, deadline, may_be_ruled,
};
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};
use uuid::Uuid;

use crate::claim::{claim, resource_id};
use crate::entity::{dispute, dispute_action, dispute_message};
use crate::tariffs::sha256;
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, PageKey, Store, StoreError};
pub use fulfil::Ordered;
use rows::{read_message, read_some, ruling_json, stance_json};

/// Collection of the resource names.
pub(crate) const COLLECTION: &str = "disputes";

/// A dispute to open.
#[derive(Clone, PartialEq, Eq)]
pub struct NewDispute {
    /// Resource id.
    pub id: Uuid,
    /// Resource name of what it is about.
    pub subject: String,
    /// Resource name of the consumer.
    pub consumer: String,
    /// Of an agency, id of the caller through which it speaks.
    pub through: String,
    /// Which party opens it.
    pub opened_by: Party,
    /// The statement.
    pub statement: String,
}

/// Where a party stands.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stance {
    /// The terms it agrees to; empty until it names some.
    pub terms: String,
    /// Who recorded them.
    pub terms_by: String,
    /// When.
    pub terms_time: Option<Timestamp>,
    /// Who consented to an early ruling; empty when nobody did.
    pub consent_by: String,
    /// When.
    pub consent_time: Option<Timestamp>,
}

/// An action to order.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAction {
    /// What is to be done.
    pub act: OrderedAct,
    /// Resource name of what it is to be done to.
    pub target: String,
    /// How; may be empty.
    pub note: String,
}

/// A ruling to give.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRuling {
    /// In whose favour.
    pub outcome: RulingOutcome,
    /// The decision.
    pub text: String,
    /// The legal basis.
    pub legal_basis: String,
    /// What it orders, in order.
    pub actions: Vec<NewAction>,
}

/// What a party does to a dispute.
#[derive(Clone, PartialEq, Eq)]
pub enum DisputeStep {
    /// Agrees to these terms.
    Agree(String),
    /// Consents to a ruling before the deadline.
    Consent,
    /// Takes it back.
    Withdraw,
    /// Decides it.
    Rule(Box<NewRuling>),
}

/// An action that was ordered.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredAction {
    /// Its number in the ruling, from 1.
    pub number: i32,
    /// What is to be done.
    pub act: OrderedAct,
    /// Resource name of what it is to be done to.
    pub target: String,
    /// How; may be empty.
    pub note: String,
    /// Resource name of what came of it; empty until it is done.
    pub result: String,
    /// Who did or closed it; empty until then.
    pub done_by: String,
    /// When.
    pub done_time: Option<Timestamp>,
    /// Why it can no longer be done; empty unless it was closed.
    pub close_reason: String,
}

impl StoredAction {
    /// How far it is.
    #[must_use]
    pub fn state(&self) -> ActionState {
        match self.done_time {
            None => ActionState::Open,
            Some(_) if self.close_reason.is_empty() => ActionState::Done,
            Some(_) => ActionState::Closed,
        }
    }
}

/// A ruling as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRuling {
    /// In whose favour.
    pub outcome: RulingOutcome,
    /// The decision.
    pub text: String,
    /// The legal basis.
    pub legal_basis: String,
    /// What it orders, in order.
    pub actions: Vec<StoredAction>,
    /// Who decided.
    pub ruled_by: String,
    /// When.
    pub rule_time: Timestamp,
}

/// A dispute as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDispute {
    /// Resource id.
    pub id: Uuid,
    /// Resource name of what it is about.
    pub subject: String,
    /// Resource name of the consumer.
    pub consumer: String,
    /// Of an agency, id of the caller through which it speaks; empty otherwise.
    pub through: String,
    /// State.
    pub state: DisputeState,
    /// Which party opened it.
    pub opened_by: Party,
    /// The statement it was opened with.
    pub statement: String,
    /// When the month of negotiation is over.
    pub deadline: Timestamp,
    /// Where the consumer stands.
    pub consumer_stance: Stance,
    /// Where the provider stands.
    pub provider_stance: Stance,
    /// How many messages it has.
    pub messages: i32,
    /// The ruling.
    pub ruling: Option<StoredRuling>,
    /// When it was opened.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// A message as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The dispute.
    pub dispute_id: Uuid,
    /// Its number, from 1.
    pub number: i32,
    /// Whose it is.
    pub party: Party,
    /// Resource name of the caller that posted it.
    pub author: String,
    /// The message.
    pub text: String,
    /// When it was posted.
    pub create_time: Timestamp,
}

/// Prints nothing: what parties write may tell of persons.
macro_rules! silent {
    ($($name:ident),+ $(,)?) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        })+
    };
}

silent! {
    DisputeStep, NewAction, NewDispute, NewRuling, Stance, StoredAction, StoredDispute, StoredMessage, StoredRuling,
}

/// Whose disputes a caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisputeParties {
    /// Everybody's.
    All,
    /// Of these consumers, and of agencies through this caller.
    Of {
        /// Resource names of the consumers.
        consumers: Vec<String>,
        /// Id of the caller.
        through: String,
    },
}

impl DisputeParties {
    /// Whether the dispute is among them.
    #[must_use]
    pub fn include(&self, dispute: &StoredDispute) -> bool {
        match self {
            Self::All => true,
            Self::Of { consumers, through } => {
                consumers.contains(&dispute.consumer) || dispute.through == *through
            }
        }
    }
}

/// Which disputes to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeFilter {
    /// Whose.
    pub parties: DisputeParties,
    /// In this state.
    pub state: Option<DisputeState>,
    /// On this subject.
    pub subject: Option<String>,
}

/// What became of an act on a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisputeOutcome<T = StoredDispute> {
    /// What there is after it, or after the earlier call with this request_id.
    Done(Box<T>),
    /// The request_id stands for another request.
    RequestIdReused,
    /// There is no such dispute.
    NotFound,
    /// It has changed since it was read.
    EtagMismatch,
    /// Its state does not allow the act.
    NotAllowed(DisputeState),
    /// The parties have an open one on the subject.
    Exists(Uuid),
    /// It cannot be ruled before this instant.
    NotOver(Timestamp),
    /// The other party opened it.
    NotTheOpener,
    /// The action is not open any more.
    ActionOver(ActionState),
}

impl StoredDispute {
    /// The stance of a party.
    #[must_use]
    pub fn stance(&self, party: Party) -> &Stance {
        match party {
            Party::Consumer => &self.consumer_stance,
            Party::Provider => &self.provider_stance,
        }
    }

    /// The state after a party's step.
    ///
    /// # Errors
    ///
    /// Why it cannot be taken: never [`DisputeOutcome::Done`].
    pub fn after(
        &self,
        step: &DisputeStep,
        party: Party,
        etag: Option<i64>,
        now: Timestamp,
    ) -> Result<DisputeState, DisputeOutcome> {
        if etag.is_some_and(|etag| etag != self.version) {
            return Err(DisputeOutcome::EtagMismatch);
        }
        if !self.state.is_open() {
            return Err(DisputeOutcome::NotAllowed(self.state));
        }
        let other = match party {
            Party::Consumer => Party::Provider,
            Party::Provider => Party::Consumer,
        };
        match step {
            DisputeStep::Agree(terms) if self.stance(other).terms == *terms => {
                Ok(DisputeState::Agreed)
            }
            DisputeStep::Agree(_) | DisputeStep::Consent => {
                Ok(self.state.answered(party, self.opened_by))
            }
            DisputeStep::Withdraw if party == self.opened_by => Ok(DisputeState::Withdrawn),
            DisputeStep::Withdraw => Err(DisputeOutcome::NotTheOpener),
            DisputeStep::Rule(_) => {
                let stances = [&self.consumer_stance, &self.provider_stance];
                let consents = stances.map(|stance| stance.consent_time.is_some());
                match may_be_ruled(now, self.deadline, consents) {
                    Ok(()) => Ok(DisputeState::Ruled),
                    Err(_) => Err(DisputeOutcome::NotOver(self.deadline)),
                }
            }
        }
    }

    /// What its ruling ordered under this number.
    #[must_use]
    pub fn action(&self, number: i32) -> Option<&StoredAction> {
        let mut actions = self.ruling.iter().flat_map(|ruling| &ruling.actions);
        actions.find(|action| action.number == number)
    }

    /// Whether an action may be closed.
    ///
    /// # Errors
    ///
    /// Why it may not: never [`DisputeOutcome::Done`].
    pub fn may_close(&self, number: i32, etag: Option<i64>) -> Result<(), DisputeOutcome> {
        let Some(action) = self.action(number) else {
            return Err(DisputeOutcome::NotFound);
        };
        if etag.is_some_and(|etag| etag != self.version) {
            return Err(DisputeOutcome::EtagMismatch);
        }
        match action.state() {
            ActionState::Open => Ok(()),
            over => Err(DisputeOutcome::ActionOver(over)),
        }
    }
}

pub(crate) fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

/// What may be told of a text in the audit: that it was this one, to who has it.
fn hash_of(text: &str) -> String {
    format!("sha256 {}", sha256(text))
}

fn act(row: &dispute::Model, action: &'static str, from: &str, to: &str, reason: String) -> Act {
    let institution = row.consumer.strip_prefix("institutions/");
    Act {
        resource: row.resource.clone(),
        action,
        from: from.to_owned(),
        to: to.to_owned(),
        reason,
        institution_code: institution.unwrap_or_default().to_owned(),
        ..Act::default()
    }
}

impl Store {
    /// Opens a dispute. Its month begins with `context.now`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_dispute(
        &self,
        context: &ActContext,
        new: &NewDispute,
    ) -> Result<DisputeOutcome, StoreError> {
        self.run_tx("open_dispute", |tx, _| {
            Box::pin(async move {
                if let Some(earlier) = earlier(tx, context, new.id).await? {
                    return Ok(Done::Abandon(earlier));
                }
                let open = dispute::Entity::find()
                    .filter(open_on(&new.subject, &new.consumer, &new.through))
                    .one(tx)
                    .await?;
                if let Some(open) = open {
                    return Ok(Done::Abandon(DisputeOutcome::Exists(open.id)));
                }
                let now = context.now.as_microsecond();
                let nowhere = stance_json(&Stance::default())?;
                let row = dispute::ActiveModel {
                    id: Set(new.id),
                    resource: Set(name(new.id)),
                    subject: Set(new.subject.clone()),
                    consumer: Set(new.consumer.clone()),
                    through: Set(new.through.clone()),
                    state: Set(DisputeState::Open.as_str().to_owned()),
                    opened_by: Set(new.opened_by.as_str().to_owned()),
                    statement: Set(new.statement.clone()),
                    deadline: Set(deadline(context.now).as_microsecond()),
                    consumer_stance: Set(nowhere.clone()),
                    provider_stance: Set(nowhere),
                    messages: Set(0),
                    ruling: Set(None),
                    create_time: Set(now),
                    update_time: Set(now),
                    version: Set(1),
                };
                dispute::Entity::insert(row)
                    .exec_without_returning(tx)
                    .await
                    .map_err(|error| match StoreError::from(error) {
                        // Another one was opened since this looked: the next try finds it.
                        StoreError::Constraint(_) => StoreError::Conflict,
                        error => error,
                    })?;
                let row = locked(tx, new.id).await?;
                let row = row.ok_or(StoreError::Corrupt("dispute"))?;
                let reason = format!("{}; {}", new.subject, hash_of(&new.statement));
                let opened = act(&row, "OPEN", "", DisputeState::Open.as_str(), reason);
                self.append(tx, context, opened).await?;
                let stored = with_actions(tx, row).await?;
                Ok(Done::Commit(DisputeOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// Adds a message of a party.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn post_dispute_message(
        &self,
        context: &ActContext,
        id: Uuid,
        party: Party,
        text: &str,
    ) -> Result<DisputeOutcome<StoredMessage>, StoreError> {
        self.run_tx("post_dispute_message", |tx, _| {
            Box::pin(async move {
                let Some(row) = locked(tx, id).await? else {
                    return Ok(Done::Abandon(DisputeOutcome::NotFound));
                };
                let number = row.messages + 1;
                // A replay is told the message that it posted, however many came since.
                match claim(tx, context, &name(id), &number.to_string()).await? {
                    Some(Claimed::Reused) => {
                        return Ok(Done::Abandon(DisputeOutcome::RequestIdReused));
                    }
                    Some(Claimed::Replay { resource, outcome }) => {
                        let of = resource_id(&resource, COLLECTION)?;
                        let number = outcome.parse();
                        let number =
                            number.map_err(|_| StoreError::Corrupt("request_claim.outcome"))?;
                        let stored = message(tx, of, number).await?;
                        return Ok(Done::Abandon(DisputeOutcome::Done(Box::new(stored))));
                    }
                    None => {}
                }
                let before = with_actions(tx, row.clone()).await?;
                if !before.state.is_open() {
                    return Ok(Done::Abandon(DisputeOutcome::NotAllowed(before.state)));
                }
                dispute_message::Entity::insert(dispute_message::ActiveModel {
                    dispute_id: Set(id),
                    number: Set(number),
                    party: Set(party.as_str().to_owned()),
                    author: Set(context.actor.clone()),
                    message: Set(text.to_owned()),
                    create_time: Set(context.now.as_microsecond()),
                })
                .exec_without_returning(tx)
                .await?;
                let state = before.state.answered(party, before.opened_by);
                let change = [
                    (dispute::Column::State, Expr::value(state.as_str())),
                    (dispute::Column::Messages, Expr::value(number)),
                ];
                write(tx, context, &row, change).await?;
                let reason = format!("message {number}; {}", hash_of(text));
                let posted = act(&row, "MESSAGE", &row.state, state.as_str(), reason);
                self.append(tx, context, posted).await?;
                let stored = message(tx, id, number).await?;
                Ok(Done::Commit(DisputeOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// Takes a party's step.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn step_dispute(
        &self,
        context: &ActContext,
        id: Uuid,
        party: Party,
        etag: Option<i64>,
        step: &DisputeStep,
    ) -> Result<DisputeOutcome, StoreError> {
        self.run_tx("step_dispute", |tx, _| {
            Box::pin(async move {
                if let Some(earlier) = earlier(tx, context, id).await? {
                    return Ok(Done::Abandon(earlier));
                }
                // Held from here on: of an agreement and a ruling at once, the second sees the first.
                let Some(row) = locked(tx, id).await? else {
                    return Ok(Done::Abandon(DisputeOutcome::NotFound));
                };
                let before = with_actions(tx, row.clone()).await?;
                let to = match before.after(step, party, etag, context.now) {
                    Ok(to) => to,
                    Err(refused) => return Ok(Done::Abandon(refused)),
                };
                let (action, reason) = self
                    .put_step(tx, context, &row, &before, (party, to), step)
                    .await?;
                let stepped = act(&row, action, &row.state, to.as_str(), reason);
                self.append(tx, context, stepped).await?;
                let stored = read_dispute(tx, id).await?;
                Ok(Done::Commit(DisputeOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// Closes an action that can no longer be done.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn close_dispute_action(
        &self,
        context: &ActContext,
        action: Ordered,
        etag: Option<i64>,
        reason: &str,
    ) -> Result<DisputeOutcome, StoreError> {
        self.run_tx("close_dispute_action", |tx, _| {
            Box::pin(async move {
                let id = action.dispute;
                if let Some(earlier) = earlier(tx, context, id).await? {
                    return Ok(Done::Abandon(earlier));
                }
                // Held from here on: who does the action at once waits, and sees it closed.
                let Some(row) = locked(tx, id).await? else {
                    return Ok(Done::Abandon(DisputeOutcome::NotFound));
                };
                let before = with_actions(tx, row.clone()).await?;
                if let Err(refused) = before.may_close(action.number, etag) {
                    return Ok(Done::Abandon(refused));
                }
                fulfil::put_over(tx, context, action, "", reason).await?;
                write(tx, context, &row, []).await?;
                let told = format!("{}; {}", action.name(), hash_of(reason));
                let closed = act(&row, "CLOSE_ACTION", &row.state, &row.state, told);
                self.append(tx, context, closed).await?;
                let stored = read_dispute(tx, id).await?;
                Ok(Done::Commit(DisputeOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// The rows of a step; what it is called in the audit, and what is told of it there.
    async fn put_step(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        row: &dispute::Model,
        before: &StoredDispute,
        (party, to): (Party, DisputeState),
        step: &DisputeStep,
    ) -> Result<(&'static str, String), StoreError> {
        use dispute::Column;
        let mut change = vec![(Column::State, Expr::value(to.as_str()))];
        let mut stance = before.stance(party).clone();
        let stands = match party {
            Party::Consumer => Column::ConsumerStance,
            Party::Provider => Column::ProviderStance,
        };
        let told = match step {
            DisputeStep::Agree(terms) => {
                stance.terms.clone_from(terms);
                stance.terms_by.clone_from(&context.actor);
                stance.terms_time = Some(context.now);
                change.push((stands, Expr::value(stance_json(&stance)?)));
                let action = match to {
                    DisputeState::Agreed => "AGREE",
                    _ => "PROPOSE",
                };
                (action, format!("{party}; {}", hash_of(terms)))
            }
            DisputeStep::Consent => {
                // The first consent counts, however often it is repeated.
                if stance.consent_time.is_none() {
                    stance.consent_by.clone_from(&context.actor);
                    stance.consent_time = Some(context.now);
                }
                change.push((stands, Expr::value(stance_json(&stance)?)));
                ("CONSENT", party.to_string())
            }
            DisputeStep::Withdraw => ("WITHDRAW", party.to_string()),
            DisputeStep::Rule(ruling) => {
                let json = ruling_json(ruling, context)?;
                change.push((Column::Ruling, Expr::value(json)));
                put_actions(tx, row.id, &ruling.actions).await?;
                (
                    "RULE",
                    format!("{}; {}", ruling.outcome, hash_of(&ruling.text)),
                )
            }
        };
        write(tx, context, row, change).await?;
        Ok(told)
    }

    /// A dispute.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn dispute(&self, id: Uuid) -> Result<Option<StoredDispute>, StoreError> {
        self.read("get_dispute", async {
            let db = &self.inner.db;
            let row = dispute::Entity::find_by_id(id).one(db).await?;
            let found = read_some(db, row.into_iter().collect()).await?;
            Ok(found.into_iter().next())
        })
        .await
    }

    /// The open dispute on a subject, if there is one, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn dispute_open_on(
        &self,
        subject: &str,
        consumer: &str,
        through: &str,
    ) -> Result<Option<Uuid>, StoreError> {
        self.read("find_open_dispute", async {
            let open = dispute::Entity::find().filter(open_on(subject, consumer, through));
            Ok(open.one(&self.inner.db).await?.map(|row| row.id))
        })
        .await
    }

    /// A page of disputes, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_disputes(
        &self,
        filter: &DisputeFilter,
        after: Option<PageKey>,
        size: u64,
    ) -> Result<Vec<StoredDispute>, StoreError> {
        use dispute::Column;
        let mut condition = Condition::all()
            .add_option(filter.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(
                filter
                    .subject
                    .as_ref()
                    .map(|subject| Column::Subject.eq(subject.as_str())),
            );
        if let DisputeParties::Of { consumers, through } = &filter.parties {
            let own = Condition::any()
                .add(Column::Consumer.is_in(consumers.iter().map(String::as_str)))
                .add(Column::Through.eq(through.as_str()));
            condition = condition.add(own);
        }
        if let Some(after) = after {
            let before = Condition::any()
                .add(Column::CreateTime.lt(after.micros))
                .add(
                    Condition::all()
                        .add(Column::CreateTime.eq(after.micros))
                        .add(Column::Id.lt(after.id)),
                );
            condition = condition.add(before);
        }
        self.read("list_disputes", async {
            let db = &self.inner.db;
            let rows = dispute::Entity::find()
                .filter(condition)
                .order_by_desc(Column::CreateTime)
                .order_by_desc(Column::Id)
                .limit(size)
                .all(db)
                .await?;
            read_some(db, rows).await
        })
        .await
    }

    /// Messages of a dispute behind a number, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn dispute_messages(
        &self,
        id: Uuid,
        after: i32,
        size: u64,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        use dispute_message::Column;
        self.read("list_dispute_messages", async {
            let rows = dispute_message::Entity::find()
                .filter(Column::DisputeId.eq(id))
                .filter(Column::Number.gt(after))
                .order_by_asc(Column::Number)
                .limit(size)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_message).collect()
        })
        .await
    }
}

fn open_on(subject: &str, consumer: &str, through: &str) -> Condition {
    use dispute::Column;
    let open = [DisputeState::Open, DisputeState::Negotiation];
    Condition::all()
        .add(Column::Subject.eq(subject))
        .add(Column::Consumer.eq(consumer))
        .add(Column::Through.eq(through))
        .add(Column::State.is_in(open.map(DisputeState::as_str)))
}

async fn earlier(
    tx: &DatabaseTransaction,
    context: &ActContext,
    id: Uuid,
) -> Result<Option<DisputeOutcome>, StoreError> {
    Ok(match claim(tx, context, &name(id), "").await? {
        None => None,
        Some(Claimed::Reused) => Some(DisputeOutcome::RequestIdReused),
        Some(Claimed::Replay { resource, .. }) => {
            let stored = read_dispute(tx, resource_id(&resource, COLLECTION)?).await?;
            Some(DisputeOutcome::Done(Box::new(stored)))
        }
    })
}

async fn locked(tx: &DatabaseTransaction, id: Uuid) -> Result<Option<dispute::Model>, StoreError> {
    Ok(dispute::Entity::find_by_id(id)
        .lock_exclusive()
        .one(tx)
        .await?)
}

async fn with_actions(
    tx: &DatabaseTransaction,
    row: dispute::Model,
) -> Result<StoredDispute, StoreError> {
    let found = read_some(tx, vec![row]).await?.into_iter().next();
    found.ok_or(StoreError::Corrupt("dispute"))
}

async fn read_dispute(tx: &DatabaseTransaction, id: Uuid) -> Result<StoredDispute, StoreError> {
    let row = dispute::Entity::find_by_id(id).one(tx).await?;
    with_actions(tx, row.ok_or(StoreError::Corrupt("dispute is missing"))?).await
}

async fn message(
    tx: &DatabaseTransaction,
    id: Uuid,
    number: i32,
) -> Result<StoredMessage, StoreError> {
    let row = dispute_message::Entity::find_by_id((id, number));
    let row = row.one(tx).await?;
    read_message(row.ok_or(StoreError::Corrupt("dispute_message is missing"))?)
}

/// Writes what changes of a dispute, which is in the version of `row`.
pub(crate) async fn write(
    tx: &DatabaseTransaction,
    context: &ActContext,
    row: &dispute::Model,
    change: impl IntoIterator<Item = (dispute::Column, Expr)>,
) -> Result<(), StoreError> {
    use dispute::Column;
    let now = context.now.as_microsecond();
    let mut update = dispute::Entity::update_many()
        .col_expr(Column::UpdateTime, Expr::value(now))
        .col_expr(Column::Version, Expr::value(row.version + 1));
    for (column, value) in change {
        update = update.col_expr(column, value);
    }
    let written = update
        .filter(Column::Id.eq(row.id))
        .filter(Column::Version.eq(row.version))
        .exec(tx)
        .await?;
    match written.rows_affected {
        0 => Err(StoreError::Conflict),
        _ => Ok(()),
    }
}

async fn put_actions(
    tx: &DatabaseTransaction,
    id: Uuid,
    actions: &[NewAction],
) -> Result<(), StoreError> {
    if actions.is_empty() {
        return Ok(());
    }
    let rows = (1..)
        .zip(actions)
        .map(|(number, action)| dispute_action::ActiveModel {
            dispute_id: Set(id),
            number: Set(number),
            act: Set(action.act.as_str().to_owned()),
            target: Set(action.target.clone()),
            note: Set(action.note.clone()),
            result: Set(String::new()),
            done_by: Set(String::new()),
            done_time: Set(None),
            close_reason: Set(String::new()),
        });
    dispute_action::Entity::insert_many(rows)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
