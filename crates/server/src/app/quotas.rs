//! How often agreements may be used: calls a day, counted by all nodes together, and calls a second, on each node.
//!
//! As with budgets no call waits for a write: calls are counted on the node and told to the store every second, so
//! together the nodes can overdraw a day by what they let through in that second.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use gavah_domain::agreement::Agreement;
use gavah_domain::{JalaliDate, Reason};
use gavah_store::{AgreementUse, JOB_METHOD, StoreError, agreement_name};
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;

use super::App;
use crate::call::Acting;
use crate::error::{AppError, Refusal};

/// Calls that were refused for a quota, by limit.
pub const QUOTAS_EXCEEDED: &str = "gavah_quotas_exceeded_total";

/// Days for which the use of agreements is kept.
const KEPT_DAYS: i64 = 400;

/// The method whose rows are acts of their own.
const STREAM_ISSUE: &str = "/gavah.v1.ValidityCodeService/StreamIssueValidityCodes";

const DAILY: &str = "daily_calls";
const BURST: &str = "burst";

/// As how many calls something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A call of its own, with so many questions; at least one.
    Call(u32),
    /// So many rows of a stream or of a job, whose pace the service itself sets: they count for the day, and not as a burst.
    Rows(u32),
}

impl Counted {
    const fn calls(self) -> u32 {
        match self {
            Self::Call(0) => 1,
            Self::Call(calls) | Self::Rows(calls) => calls,
        }
    }

    /// One act by the method that asked for it.
    pub(super) fn one(call: &Acting) -> Self {
        match call.method {
            STREAM_ISSUE | JOB_METHOD => Self::Rows(1),
            _ => Self::Call(1),
        }
    }
}

/// The use of all agreements.
#[derive(Debug, Default)]
pub struct Quotas(RwLock<HashMap<String, Arc<Use>>>);

#[derive(Debug, Default)]
struct Use {
    today: Mutex<Today>,
    burst: Mutex<Option<(u32, Arc<DefaultDirectRateLimiter>)>>,
}

#[derive(Debug, Default)]
struct Today {
    day: i32,
    /// As the store last told, of all nodes.
    stored: i64,
    /// What the store does not know of yet.
    fresh: i64,
}

impl Today {
    /// A new day begins with nothing used; who comes late with the day before counts for the new one.
    fn begin(&mut self, day: i32) {
        if self.day < day {
            *self = Self {
                day,
                ..Self::default()
            };
        }
    }

    const fn calls(&self) -> i64 {
        self.stored + self.fresh
    }
}

impl Quotas {
    /// Counts a call of all these agreements, or of none of them.
    ///
    /// # Errors
    ///
    /// DAILY_QUOTA until the next day in Tehran, BURST for as long as it takes.
    pub fn take<'a>(
        &self,
        call: &Acting,
        agreements: impl Iterator<Item = &'a Agreement>,
        counted: Counted,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let day = JalaliDate::of(now).as_i32();
        let calls = i64::from(counted.calls());
        let mut taken = Taken {
            day,
            calls,
            uses: Vec::new(),
        };
        let mut fewest_left = None;
        for agreement in agreements {
            let used = self.of(&agreement.id);
            let left = used.take(agreement, day, calls);
            let left = left.ok_or_else(|| daily(agreement, now))?;
            fewest_left = match (fewest_left, left) {
                (Some(fewest), Some(left)) => Some(i64::min(fewest, left)),
                (fewest, left) => fewest.or(left),
            };
            taken.uses.push((agreement, used));
        }
        if matches!(counted, Counted::Call(_)) {
            // The agency's before the hub's: an agency that asks too often takes nothing from the others.
            for (agreement, used) in taken.uses.iter().rev() {
                if let Some(limiter) = agreement.burst.and_then(|burst| used.limiter(burst))
                    && let Err(until) = limiter.check()
                {
                    let wait = until.wait_time_from(limiter.clock().now());
                    return Err(exceeded(agreement, Reason::Burst, BURST, wait));
                }
            }
        }
        taken.uses.clear();
        if let Some(left) = fewest_left {
            call.slot.left(left);
        }
        Ok(())
    }

    /// How many calls of an agreement are left today; `None` without a bound.
    #[must_use]
    pub fn left(&self, agreement: &Agreement, now: Timestamp) -> Option<i64> {
        left(
            agreement,
            self.of(&agreement.id).calls(JalaliDate::of(now).as_i32()),
        )
    }

    /// Tells the store of the calls, and learns what all nodes counted.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was counted is told the next time then.
    pub async fn settle(&self, app: &App) -> Result<(), StoreError> {
        let uses = self.take_fresh();
        if !uses.is_empty()
            && let Err(error) = app.store.use_agreements(&uses).await
        {
            // What may have been stored is not told twice: the next look says what was.
            if error == StoreError::CommitUnknown {
                return Err(error);
            }
            for used in uses {
                let own = self.of(&used.agreement_id);
                let mut today = own.today();
                if today.day == used.day {
                    today.stored -= used.calls;
                    today.fresh += used.calls;
                }
            }
            return Err(error);
        }
        let day = JalaliDate::of(app.clock.now()).as_i32();
        for used in app.store.agreements_used_on(day).await? {
            let own = self.of(&used.agreement_id);
            let mut today = own.today();
            today.begin(day);
            if today.day == day {
                today.stored = used.calls;
            }
        }
        Ok(())
    }

    /// Forgets what was used long ago.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget(&self, app: &App) -> Result<(), StoreError> {
        let first = JalaliDate::of(app.clock.now()).plus_days(-KEPT_DAYS);
        app.store.forget_agreement_use_before(first.as_i32()).await
    }

    fn take_fresh(&self) -> Vec<AgreementUse> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let taken = all.iter().filter_map(|(agreement_id, used)| {
            let mut today = used.today();
            // Less than nothing while a call is given back that was told already.
            if today.fresh <= 0 {
                return None;
            }
            let calls = std::mem::take(&mut today.fresh);
            // Until the store tells again.
            today.stored += calls;
            Some(AgreementUse {
                agreement_id: agreement_id.clone(),
                day: today.day,
                calls,
            })
        });
        let mut taken: Vec<_> = taken.collect();
        // In one order on all nodes, so that none waits for a row that the other holds.
        taken.sort_by(|one, other| one.agreement_id.cmp(&other.agreement_id));
        taken
    }

    fn of(&self, agreement_id: &str) -> Arc<Use> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = known.get(agreement_id) {
            return Arc::clone(used);
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(agreement_id.to_owned()).or_default())
    }
}

/// Calls that were counted and are given back when it is dropped with them: a call counts for all agreements or for none.
struct Taken<'a> {
    day: i32,
    calls: i64,
    uses: Vec<(&'a Agreement, Arc<Use>)>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for (_, used) in &self.uses {
            let mut today = used.today();
            if today.day == self.day {
                today.fresh -= self.calls;
            }
        }
    }
}

impl Use {
    /// Counts calls if so many are left, and says how many are then, under one lock; `None` when too few are left.
    #[expect(
        clippy::option_option,
        reason = "the inner says that there is no bound"
    )]
    fn take(&self, agreement: &Agreement, day: i32, calls: i64) -> Option<Option<i64>> {
        let mut today = self.today();
        today.begin(day);
        let left = left(agreement, today.calls());
        if left.is_some_and(|left| left < calls) {
            return None;
        }
        today.fresh += calls;
        Some(left.map(|left| left - calls))
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self, day: i32) -> i64 {
        let mut today = self.today();
        today.begin(day);
        today.calls()
    }

    /// The limiter of so many calls a second; a new one when the agreement's number has changed.
    fn limiter(&self, burst: u32) -> Option<Arc<DefaultDirectRateLimiter>> {
        let burst = NonZeroU32::new(burst)?;
        let mut held = self.burst.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((known, limiter)) if *known == burst.get() => Some(Arc::clone(limiter)),
            _ => {
                let limiter = Arc::new(RateLimiter::direct(Quota::per_second(burst)));
                *held = Some((burst.get(), Arc::clone(&limiter)));
                Some(limiter)
            }
        }
    }
}

fn left(agreement: &Agreement, used: i64) -> Option<i64> {
    let most = agreement.daily_calls?;
    Some((i64::from(most) - used).max(0))
}

fn daily(agreement: &Agreement, now: Timestamp) -> AppError {
    let end = JalaliDate::of(now).end_exclusive();
    let wait = end.as_microsecond() - now.as_microsecond();
    let wait = Duration::from_micros(u64::try_from(wait).unwrap_or_default());
    exceeded(agreement, Reason::DailyQuota, DAILY, wait)
}

fn exceeded(
    agreement: &Agreement,
    reason: Reason,
    limit: &'static str,
    wait: Duration,
) -> AppError {
    metrics::counter!(QUOTAS_EXCEEDED, "limit" => limit).increment(1);
    let name = agreement_name(&agreement.id);
    let mut refusal = Refusal::new(reason)
        .with("limit", limit)
        .with("agreement", name.clone());
    refusal.retry_after = Some(wait);
    refusal.quota = Some(name);
    refusal.into()
}
