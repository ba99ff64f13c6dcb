//! Payments from their beginning to the money.

use gavah_domain::certificate::ApplicationState;
use gavah_domain::code_application::CodeApplicationState;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::payment::{LineState, PaymentState};
use gavah_domain::service::ServiceKind;
use gavah_domain::{JalaliDate, Money};
use jiff::{SignedDuration, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use uuid::Uuid;

use super::{COLLECTION, StoredPayment, TOGETHER, act, get, name, whole};
use crate::claim::{claim, resource_id};
use crate::entity::{certificate_application, code_application, payment, payment_line};
use crate::rows;
use crate::tx::Done;
use crate::{ActContext, Claimed, Store, StoreError};

/// The gateway is asked for the first time so long after the payer was sent there, and then after twice the time.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(30);

/// At least so often.
const LAST_LOOK: SignedDuration = SignedDuration::from_mins(10);

/// A payment to begin.
#[derive(Clone)]
pub struct NewPayment {
    /// Resource id.
    pub id: Uuid,
    /// The gateway, by its name.
    pub gateway: String,
    /// Whose applications it pays for.
    pub service: ServiceKind,
    /// The institution of all of them.
    pub institution: InstitutionCode,
    /// The caller that begins it.
    pub caller_id: String,
    /// Key of the only person concerned; empty when there are many.
    pub person_key: String,
    /// What is to be paid, in current rials.
    pub amount: Money,
    /// Where the payer is sent back to.
    pub callback_url: String,
    /// Until when it can be paid.
    pub expire_time: Timestamp,
    /// Resource names of the applications with their fees.
    pub lines: Vec<(String, Money)>,
}

/// Without the person concerned, and without the callback, which may carry a token.
impl std::fmt::Debug for NewPayment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPayment")
            .field("id", &self.id)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// What became of an act on a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The payment after it.
    Done(Box<StoredPayment>),
    /// An earlier call with this request_id did it: the payment's id.
    Replayed(Uuid),
    /// The request_id stands for another request.
    RequestIdReused,
    /// Another payment of one of the applications is open.
    OpenExists(Uuid),
    /// The payment has changed since it was read.
    Moved,
}

/// What was found out about a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The gateway opened it under this name.
    Opened(String),
    /// The gateway confirmed the money, with its number and its fee.
    Paid {
        /// The gateway's number of the transaction.
        reference: String,
        /// The gateway's fee in current rials.
        fee: Option<i64>,
    },
    /// It cannot be paid: why, by a stable name.
    Failed(String),
    /// The gateway never opened it, and nobody asks any more.
    NotOpened,
    /// Its time is over and it was not paid.
    Expired,
    /// Nothing new.
    Nothing,
}

impl Finding {
    /// Why the payment failed, by a stable name, if it did.
    fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(why) => Some(why),
            Self::NotOpened => Some("NOT_OPENED"),
            Self::Opened(_) | Self::Paid { .. } | Self::Expired | Self::Nothing => None,
        }
    }
}

/// What a request_id stands for already.
pub(super) fn before(claimed: Option<Claimed>) -> Result<Option<PaymentOutcome>, StoreError> {
    Ok(match claimed {
        None => None,
        Some(Claimed::Reused) => Some(PaymentOutcome::RequestIdReused),
        Some(Claimed::Replay { resource, .. }) => Some(PaymentOutcome::Replayed(resource_id(
            &resource, COLLECTION,
        )?)),
    })
}

impl Store {
    /// Records a payment before the gateway is asked to open it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_payment(
        &self,
        context: &ActContext,
        new: &NewPayment,
    ) -> Result<PaymentOutcome, StoreError> {
        self.run_tx("create_payment", |tx, _| {
            Box::pin(async move {
                let claimed = claim(tx, context, &name(new.id), "").await?;
                if let Some(earlier) = before(claimed)? {
                    return Ok(Done::Abandon(earlier));
                }
                let now = context.now.as_microsecond();
                let row = payment::ActiveModel {
                    id: Set(new.id),
                    gateway: Set(new.gateway.clone()),
                    service: Set(new.service.as_str().to_owned()),
                    institution_code: Set(new.institution.as_str().to_owned()),
                    caller_id: Set(new.caller_id.clone()),
                    person_key: Set(new.person_key.clone()),
                    amount: Set(new.amount.amount),
                    state: Set(PaymentState::Created.as_str().to_owned()),
                    authority: Set(None),
                    reference: Set(None),
                    fee: Set(None),
                    callback_url: Set(new.callback_url.clone()),
                    failure: Set(String::new()),
                    expire_time: Set(new.expire_time.as_microsecond()),
                    // One that is never opened ends with its time.
                    look_time: Set(Some(new.expire_time.as_microsecond())),
                    looks: Set(0),
                    verify_time: Set(None),
                    settle_time: Set(None),
                    create_time: Set(now),
                    update_time: Set(now),
                    version: Set(1),
                };
                rows::insert(tx, [row]).await?;
                let line = |(position, (application, fee)): (i32, &(String, Money))| {
                    payment_line::ActiveModel {
                        payment_id: Set(new.id),
                        position: Set(position),
                        application: Set(application.clone()),
                        amount: Set(fee.amount),
                        unit: Set(fee.unit.as_str().to_owned()),
                        state: Set(LineState::Waiting.as_str().to_owned()),
                        open_application: Set(Some(application.clone())),
                        next_time: Set(None),
                        refund_id: Set(None),
                    }
                };
                let lines = (0..).zip(&new.lines).map(line);
                if rows::insert_new(tx, lines).await? != new.lines.len() {
                    let taken = new
                        .lines
                        .iter()
                        .map(|(application, _)| application.as_str());
                    let other = payment_line::Entity::find()
                        .filter(payment_line::Column::OpenApplication.is_in(taken))
                        .filter(payment_line::Column::PaymentId.ne(new.id))
                        .one(tx)
                        .await?
                        // It ended in between: try again.
                        .ok_or(StoreError::Conflict)?;
                    return Ok(Done::Abandon(PaymentOutcome::OpenExists(other.payment_id)));
                }
                if !still_wait(tx, new).await? {
                    // One ended since it was looked at: try again, and be told.
                    return Err(StoreError::Conflict);
                }
                let mut created = act(new.id, "CREATE", new.service, &new.institution);
                PaymentState::Created.as_str().clone_into(&mut created.to);
                self.append(tx, context, created).await?;
                let stored = get(tx, new.id).await?;
                Ok(Done::Commit(PaymentOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// Records what was found out about a payment. What it says of the money is recorded alone: the applications follow.
    /// A finding that is known already, or comes too late to matter, changes nothing; it still claims the request_id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Constraint`] when another payment has the gateway's number already.
    pub async fn record_finding(
        &self,
        context: &ActContext,
        id: Uuid,
        finding: &Finding,
    ) -> Result<PaymentOutcome, StoreError> {
        self.run_tx("record_finding", |tx, _| {
            Box::pin(async move {
                let claimed = claim(tx, context, &name(id), "").await?;
                if let Some(earlier) = before(claimed)? {
                    return Ok(Done::Abandon(earlier));
                }
                let stored = get(tx, id).await?;
                let (to, action) = match finding {
                    Finding::NotOpened if stored.state != PaymentState::Created => {
                        return Ok(Done::Commit(PaymentOutcome::Done(Box::new(stored))));
                    }
                    Finding::NotOpened => (PaymentState::Failed, "FAIL"),
                    Finding::Opened(_) => (PaymentState::Redirected, "REDIRECT"),
                    Finding::Paid { .. } => (PaymentState::Verified, "VERIFY"),
                    Finding::Failed(_) => (PaymentState::Failed, "FAIL"),
                    Finding::Expired => (PaymentState::Expired, "EXPIRE"),
                    Finding::Nothing => {
                        return Ok(Done::Commit(PaymentOutcome::Done(Box::new(stored))));
                    }
                };
                if !stored.state.may_become(to) {
                    if !stored.state.is_open() {
                        // Asked about once more, and nothing came of it.
                        look_no_more(tx, id).await?;
                    }
                    return Ok(Done::Commit(PaymentOutcome::Done(Box::new(stored))));
                }
                self.find_out(tx, context, &stored, to, action, finding)
                    .await?;
                if to == PaymentState::Verified && stored.state == PaymentState::Expired {
                    // Late money: its applications ended with it, or are about to.
                    give_back(tx, id).await?;
                    self.owe(tx, context, id).await?;
                }
                let stored = get(tx, id).await?;
                Ok(Done::Commit(PaymentOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// The payment enters the state of a finding, with its audit entry and event.
    pub(super) async fn find_out(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        stored: &StoredPayment,
        to: PaymentState,
        action: &'static str,
        finding: &Finding,
    ) -> Result<(), StoreError> {
        found_out(tx, context, stored, to, finding).await?;
        let mut act = stored.act(action, to);
        if let Some(why) = finding.failure() {
            why.clone_into(&mut act.reason);
        }
        self.append(tx, context, act).await
    }

    /// Takes open payments that the gateway is to be asked about now, at most `limit`, for this node: others ask about them
    /// only later.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_payments_to_look_at(
        &self,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        use payment::Column;
        let any_due = self.read("find_due_payments", async {
            let due = payment::Entity::find()
                .filter(Column::LookTime.lte(now.as_microsecond()))
                .one(&self.inner.db)
                .await?;
            Ok(due.is_some())
        });
        if !any_due.await? {
            return Ok(Vec::new());
        }
        self.run_tx("take_payments", |tx, _| {
            Box::pin(async move {
                let due = payment::Entity::find()
                    .filter(Column::LookTime.lte(now.as_microsecond()))
                    .order_by_asc(Column::LookTime)
                    .limit(limit)
                    .all(tx)
                    .await?;
                let mut taken = Vec::new();
                for row in due {
                    let expire_time = crate::content::instant(row.expire_time)?;
                    let next = next_look(now, row.looks.saturating_add(1), expire_time)?;
                    let updated = payment::Entity::update_many()
                        .col_expr(Column::LookTime, Expr::value(next.as_microsecond()))
                        .col_expr(Column::Looks, Expr::col(Column::Looks).add(1))
                        .filter(Column::Id.eq(row.id))
                        .filter(Column::LookTime.eq(row.look_time))
                        .exec(tx)
                        .await?;
                    if updated.rows_affected == 1 {
                        taken.push(row);
                    }
                }
                let taken = whole(tx, taken).await?;
                Ok(match taken.is_empty() {
                    true => Done::Abandon(taken),
                    false => Done::Commit(taken),
                })
            })
        })
        .await
    }

    /// Before the gateway is asked about a payment that is over: should the answer be lost, it is asked again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn look_again(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        use payment::Column;
        let again = now
            .checked_add(FIRST_LOOK)
            .map_err(|_| StoreError::Corrupt("payment.look_time"))?;
        self.run_tx("look_again", |tx, _| {
            Box::pin(async move {
                payment::Entity::update_many()
                    .col_expr(Column::LookTime, Expr::value(again.as_microsecond()))
                    .filter(Column::Id.eq(id))
                    .filter(Column::LookTime.is_null())
                    .filter(Column::VerifyTime.is_null())
                    .exec(tx)
                    .await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }

    /// Which of these applications somebody may be paying for right now.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn being_paid(&self, applications: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.read("find_open_payments", async {
            use payment_line::Column;
            // Money of a payment that had failed is on its way without being the open one.
            let underway = Condition::all()
                .add(Column::Application.is_in(applications.clone()))
                .add(Column::State.eq(LineState::Waiting.as_str()))
                .add(Column::NextTime.is_not_null());
            let open = Column::OpenApplication.is_in(applications);
            let lines = payment_line::Entity::find()
                .filter(Condition::any().add(open).add(underway))
                .all(&self.inner.db)
                .await?;
            Ok(lines.into_iter().map(|line| line.application).collect())
        })
        .await
    }

    /// The payments that a gateway knows by one of these names.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn payments_by_authority(
        &self,
        gateway: &str,
        authorities: &[String],
    ) -> Result<Vec<StoredPayment>, StoreError> {
        self.read("find_payments", async {
            let mut found = Vec::new();
            for part in authorities.chunks(500) {
                let rows = payment::Entity::find()
                    .filter(payment::Column::Gateway.eq(gateway))
                    .filter(payment::Column::Authority.is_in(part.iter().cloned()))
                    .all(&self.inner.db)
                    .await?;
                found.extend(whole(&self.inner.db, rows).await?);
            }
            Ok(found)
        })
        .await
    }

    /// The payments of a gateway whose money came in on a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn payments_verified_on(
        &self,
        gateway: &str,
        day: JalaliDate,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        use payment::Column;
        self.read("payments_of_a_day", async {
            let rows = payment::Entity::find()
                .filter(Column::Gateway.eq(gateway))
                .filter(Column::VerifyTime.gte(day.start_of_day().as_microsecond()))
                .filter(Column::VerifyTime.lt(day.end_exclusive().as_microsecond()))
                .order_by_asc(Column::VerifyTime)
                .order_by_asc(Column::Id)
                .all(&self.inner.db)
                .await?;
            whole(&self.inner.db, rows).await
        })
        .await
    }
}

/// Whether all applications of a payment wait for it. Their rows are held: one that ends from now on finds its payment.
async fn still_wait(tx: &DatabaseTransaction, new: &NewPayment) -> Result<bool, StoreError> {
    let collection = match new.service {
        ServiceKind::EnrollmentCertificate => crate::certificates::APPLICATIONS,
        ServiceKind::ValidityCode => crate::codes::APPLICATIONS,
    };
    let names = new.lines.iter().map(|(application, _)| application);
    let ids = names.map(|application| resource_id(application, collection));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let mut waiting = 0;
    for part in ids.chunks(TOGETHER) {
        let part = part.iter().copied();
        waiting += match new.service {
            ServiceKind::EnrollmentCertificate => {
                use certificate_application::{Column, Entity};
                let state = ApplicationState::AwaitingPayment.as_str();
                let rows = Entity::find().filter(Column::Id.is_in(part));
                let rows = rows.filter(Column::State.eq(state)).lock_shared();
                let ids = rows.select_only().column(Column::Id).into_tuple::<Uuid>();
                ids.all(tx).await?.len()
            }
            ServiceKind::ValidityCode => {
                use code_application::{Column, Entity};
                let state = CodeApplicationState::AwaitingPayment.as_str();
                let rows = Entity::find().filter(Column::Id.is_in(part));
                let rows = rows.filter(Column::State.eq(state)).lock_shared();
                let ids = rows.select_only().column(Column::Id).into_tuple::<Uuid>();
                ids.all(tx).await?.len()
            }
        };
    }
    Ok(waiting == ids.len())
}

/// The row of a finding.
async fn found_out(
    tx: &DatabaseTransaction,
    context: &ActContext,
    stored: &StoredPayment,
    to: PaymentState,
    finding: &Finding,
) -> Result<(), StoreError> {
    use payment::Column;
    let now = context.now.as_microsecond();
    let mut update = payment::Entity::update_many()
        .col_expr(Column::State, Expr::value(to.as_str()))
        .col_expr(Column::UpdateTime, Expr::value(now))
        .col_expr(Column::Version, Expr::value(stored.version + 1))
        .filter(Column::Id.eq(stored.id))
        .filter(Column::Version.eq(stored.version));
    update = match finding {
        Finding::Opened(authority) => {
            let look = next_look(context.now, 0, stored.expire_time)?;
            update
                .col_expr(Column::Authority, Expr::value(authority.as_str()))
                .col_expr(Column::LookTime, Expr::value(look.as_microsecond()))
        }
        Finding::Paid { reference, fee } => update
            .col_expr(Column::Reference, Expr::value(reference.as_str()))
            .col_expr(Column::Fee, Expr::value(*fee))
            .col_expr(Column::VerifyTime, Expr::value(now)),
        Finding::Failed(_) | Finding::NotOpened => {
            update.col_expr(Column::Failure, Expr::value(finding.failure()))
        }
        Finding::Expired | Finding::Nothing => update,
    };
    if to != PaymentState::Redirected {
        update = update.col_expr(Column::LookTime, Expr::value(None::<i64>));
    }
    if update.exec(tx).await?.rows_affected == 0 {
        return Err(StoreError::Conflict);
    }
    if to == PaymentState::Redirected {
        return Ok(());
    }
    let lines =
        payment_line::Entity::update_many().filter(payment_line::Column::PaymentId.eq(stored.id));
    let lines = match to {
        // Until the money has reached an application, nobody else pays for it and its time does not end.
        PaymentState::Verified => {
            lines.col_expr(payment_line::Column::NextTime, Expr::value(Some(now)))
        }
        _ => lines.col_expr(
            payment_line::Column::OpenApplication,
            Expr::value(None::<String>),
        ),
    };
    lines.exec(tx).await?;
    Ok(())
}

/// Nothing more is asked about a payment by itself.
async fn look_no_more(tx: &DatabaseTransaction, id: Uuid) -> Result<(), StoreError> {
    payment::Entity::update_many()
        .col_expr(payment::Column::LookTime, Expr::value(None::<i64>))
        .filter(payment::Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// All that it was to pay for is to be paid back.
async fn give_back(tx: &DatabaseTransaction, id: Uuid) -> Result<(), StoreError> {
    use payment_line::Column;
    payment_line::Entity::update_many()
        .col_expr(Column::State, Expr::value(LineState::RefundDue.as_str()))
        .col_expr(Column::NextTime, Expr::value(None::<i64>))
        .col_expr(Column::OpenApplication, Expr::value(None::<String>))
        .filter(Column::PaymentId.eq(id))
        .filter(Column::State.eq(LineState::Waiting.as_str()))
        .exec(tx)
        .await?;
    Ok(())
}

/// When to ask the gateway again: soon after the payer was sent there, then ever more seldom, and when the time is over.
fn next_look(now: Timestamp, looks: i32, expire_time: Timestamp) -> Result<Timestamp, StoreError> {
    let doublings = looks.clamp(0, 10);
    let wait = FIRST_LOOK.checked_mul(1 << doublings).unwrap_or(LAST_LOOK);
    let next = now
        .checked_add(Ord::min(wait, LAST_LOOK))
        .map_err(|_| StoreError::Corrupt("payment.look_time"))?;
    Ok(match now < expire_time {
        true => Ord::min(next, expire_time),
        false => next,
    })
}
