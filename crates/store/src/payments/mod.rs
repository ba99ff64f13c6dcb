//! Payments: their rows, and how they are read.
//!
//! The money is recorded first and alone; what it pays for follows line by line, each in the transaction that moves the
//! application, so that work that is cut off anywhere goes on where it stopped.

mod lines;
mod open;
mod reconcile;
mod refund;

use std::collections::HashMap;

use gavah_domain::institution::InstitutionCode;
use gavah_domain::payment::{LineState, PaymentState, RefundMethod, RefundState};
use gavah_domain::service::ServiceKind;
use gavah_domain::{Money, MoneyUnit};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

pub use lines::DueLine;
pub(crate) use lines::Followed;
pub use open::{Finding, NewPayment, PaymentOutcome};
pub use reconcile::Matched;
pub use refund::{NewRefund, RefundEnd, RefundOutcome};

use crate::content::{instant, known};
use crate::entity::{payment, payment_line, payment_refund};
use crate::listing::condition;
use crate::{Act, PageKey, Scope, Store, StoreError};

/// Collection of the resource names.
pub(crate) const COLLECTION: &str = "payments";

/// Payments whose lines are read together.
const TOGETHER: usize = 500;

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

/// A payment as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPayment {
    /// Resource id.
    pub id: Uuid,
    /// The gateway, by its name.
    pub gateway: String,
    /// Whose applications it pays for.
    pub service: ServiceKind,
    /// The institution of all of them.
    pub institution: InstitutionCode,
    /// The caller that began it.
    pub caller_id: String,
    /// Key of the only person concerned; empty when there are many.
    pub person_key: String,
    /// What is to be paid, in current rials.
    pub amount: Money,
    /// State.
    pub state: PaymentState,
    /// The gateway's name of it, once opened.
    pub authority: Option<String>,
    /// The gateway's number of the transaction, once the money is in.
    pub reference: Option<String>,
    /// The gateway's fee in current rials, where it told one.
    pub fee: Option<i64>,
    /// Where the payer is sent back to.
    pub callback_url: String,
    /// Why it failed; may be empty.
    pub failure: String,
    /// Until when it can be paid.
    pub expire_time: Timestamp,
    /// When the money came in.
    pub verify_time: Option<Timestamp>,
    /// When the gateway's day file said the same.
    pub settle_time: Option<Timestamp>,
    /// When it was recorded.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
    /// What it pays for, in order.
    pub lines: Vec<StoredLine>,
    /// What was paid back, or asked to be, oldest first.
    pub refunds: Vec<StoredRefund>,
}

/// Without the person concerned, and without the callback, which may carry a token.
impl std::fmt::Debug for StoredPayment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredPayment")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("amount", &self.amount)
            .field("lines", &self.lines)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// An application that a payment pays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Its place.
    pub position: i32,
    /// Resource name of the application.
    pub application: String,
    /// The fee as it was quoted.
    pub fee: Money,
    /// How it stands.
    pub state: LineState,
    /// The refund that it belongs to.
    pub refund: Option<Uuid>,
}

/// Money that is paid back, or asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRefund {
    /// Id.
    pub id: Uuid,
    /// How much, in current rials.
    pub amount: Money,
    /// Whether it was carried out.
    pub state: RefundState,
    /// How.
    pub method: RefundMethod,
    /// The gateway's number of it, or the officer's reference; empty until known.
    pub reference: String,
    /// Resource name of who asked for it.
    pub actor: String,
    /// When it was asked for.
    pub create_time: Timestamp,
}

impl StoredPayment {
    /// What the lines in one of these states come to, in current rials.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when that is not whole.
    pub fn sum(&self, states: &[LineState]) -> Result<Money, StoreError> {
        let lines = self
            .lines
            .iter()
            .filter(|line| states.contains(&line.state));
        gavah_domain::payment::total(lines.map(|line| line.fee))
            .map_err(|_| StoreError::Corrupt("payment_line.amount"))
    }

    fn act(&self, action: &'static str, to: PaymentState) -> Act {
        Act {
            from: self.state.as_str().to_owned(),
            to: to.as_str().to_owned(),
            ..act(self.id, action, self.service, &self.institution)
        }
    }
}

/// What a student pays is no concern of the institution's feed: it names no institution, by which the single window's feed
/// knows it.
fn act(id: Uuid, action: &'static str, service: ServiceKind, institution: &InstitutionCode) -> Act {
    Act {
        resource: name(id),
        action,
        institution_code: match service {
            ServiceKind::ValidityCode => institution.as_str().to_owned(),
            ServiceKind::EnrollmentCertificate => String::new(),
        },
        ..Act::default()
    }
}

/// Filters of payments, combined with "and".
#[derive(Clone)]
pub struct PaymentFilter {
    /// Rows the caller may see.
    pub scope: Scope,
    /// Whose applications they pay for.
    pub service: Option<ServiceKind>,
    /// State.
    pub state: Option<PaymentState>,
    /// Resource name of an application that it pays for.
    pub application: Option<String>,
}

impl Store {
    /// A payment with its lines and refunds.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn payment(&self, id: Uuid) -> Result<Option<StoredPayment>, StoreError> {
        self.read("get_payment", find(&self.inner.db, id)).await
    }

    /// A page of payments, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_payments(
        &self,
        filter: &PaymentFilter,
        after: Option<PageKey>,
        size: u64,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        use payment::Column;
        let paying = filter.application.as_ref().map(|application| {
            let lines = payment_line::Entity::find()
                .select_only()
                .column(payment_line::Column::PaymentId)
                .filter(payment_line::Column::Application.eq(application.as_str()));
            Column::Id.in_subquery(sea_orm::QueryTrait::into_query(lines))
        });
        let condition = condition(
            &filter.scope,
            after,
            Column::InstitutionCode,
            Column::PersonKey,
            Column::CreateTime,
            Column::Id,
        )
        .add_option(
            filter
                .service
                .map(|service| Column::Service.eq(service.as_str())),
        )
        .add_option(filter.state.map(|state| Column::State.eq(state.as_str())))
        .add_option(paying);
        self.read("list_payments", async {
            let db = &self.inner.db;
            let rows = payment::Entity::find()
                .filter(condition)
                .order_by_desc(Column::CreateTime)
                .order_by_desc(Column::Id)
                .limit(size)
                .all(db)
                .await?;
            whole(db, rows).await
        })
        .await
    }
}

async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<StoredPayment>, StoreError> {
    let row = payment::Entity::find_by_id(id).one(db).await?;
    Ok(whole(db, row.into_iter().collect()).await?.pop())
}

/// The same, held until the transaction ends: who reckons what is due must not be overtaken. Lines are moved before it is
/// taken or under it, never the other way round.
async fn hold(tx: &DatabaseTransaction, id: Uuid) -> Result<StoredPayment, StoreError> {
    payment::Entity::find_by_id(id)
        .lock_exclusive()
        .one(tx)
        .await?;
    get(tx, id).await
}

/// A payment that is known to be there.
async fn get(tx: &DatabaseTransaction, id: Uuid) -> Result<StoredPayment, StoreError> {
    find(tx, id)
        .await?
        .ok_or(StoreError::Corrupt("payment is missing"))
}

/// Rows with their lines and refunds, in their order.
async fn whole(
    db: &impl ConnectionTrait,
    rows: Vec<payment::Model>,
) -> Result<Vec<StoredPayment>, StoreError> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let (mut lines, mut refunds) = (Vec::new(), Vec::new());
    for ids in ids.chunks(TOGETHER) {
        lines.extend(
            payment_line::Entity::find()
                .filter(payment_line::Column::PaymentId.is_in(ids.iter().copied()))
                .order_by_asc(payment_line::Column::Position)
                .all(db)
                .await?,
        );
        refunds.extend(
            payment_refund::Entity::find()
                .filter(payment_refund::Column::PaymentId.is_in(ids.iter().copied()))
                .order_by_asc(payment_refund::Column::CreateTime)
                .order_by_asc(payment_refund::Column::Id)
                .all(db)
                .await?,
        );
    }
    let mut payments = rows
        .into_iter()
        .map(read)
        .collect::<Result<Vec<_>, StoreError>>()?;
    let places = payments.iter().map(|payment| payment.id).zip(0_usize..);
    let places: HashMap<_, _> = places.collect();
    for line in lines {
        let place = places.get(&line.payment_id);
        if let Some(owner) = place.and_then(|place| payments.get_mut(*place)) {
            owner.lines.push(read_line(line)?);
        }
    }
    for refund in refunds {
        let place = places.get(&refund.payment_id);
        if let Some(owner) = place.and_then(|place| payments.get_mut(*place)) {
            owner.refunds.push(read_refund(refund)?);
        }
    }
    Ok(payments)
}

const fn rials(amount: i64) -> Money {
    Money::new(amount, MoneyUnit::IrrCurrent)
}

fn read(row: payment::Model) -> Result<StoredPayment, StoreError> {
    Ok(StoredPayment {
        id: row.id,
        gateway: row.gateway,
        service: known(&row.service, "payment.service")?,
        institution: InstitutionCode::parse(&row.institution_code)
            .map_err(|_| StoreError::Corrupt("payment.institution_code"))?,
        caller_id: row.caller_id,
        person_key: row.person_key,
        amount: rials(row.amount),
        state: known(&row.state, "payment.state")?,
        authority: row.authority,
        reference: row.reference,
        fee: row.fee,
        callback_url: row.callback_url,
        failure: row.failure,
        expire_time: instant(row.expire_time)?,
        verify_time: row.verify_time.map(instant).transpose()?,
        settle_time: row.settle_time.map(instant).transpose()?,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
        lines: Vec::new(),
        refunds: Vec::new(),
    })
}

fn read_line(row: payment_line::Model) -> Result<StoredLine, StoreError> {
    Ok(StoredLine {
        position: row.position,
        application: row.application,
        fee: Money::new(row.amount, known(&row.unit, "payment_line.unit")?),
        state: known(&row.state, "payment_line.state")?,
        refund: row.refund_id,
    })
}

fn read_refund(row: payment_refund::Model) -> Result<StoredRefund, StoreError> {
    Ok(StoredRefund {
        id: row.id,
        amount: rials(row.amount),
        state: known(&row.state, "payment_refund.state")?,
        method: known(&row.method, "payment_refund.method")?,
        reference: row.reference,
        actor: row.actor,
        create_time: instant(row.create_time)?,
    })
}
