//! Budgets of lookups, for each caller, each agency that the hub asks for, the hub as a whole, and day: of wrong guesses, so
//! that codes cannot be found by trying, and of distinct subjects, so that a caller does not ask for everybody.
//!
//! Spending is counted on the node and told to the store every second: no call waits for
//! it, all nodes learn of it, and a restart forgets at most that second.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::iter;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use gavah_domain::{JalaliDate, PersonId, Reason};
use gavah_store::{Spending, Spent, StoreError};
use jiff::Timestamp;

use super::App;
use crate::call::Acting;
use crate::config::BudgetsConfig;
use crate::error::{AppError, Refusal};

/// Budgets that callers have used up, by limit.
pub const BUDGETS_EXHAUSTED: &str = "gavah_lookup_budgets_exhausted_total";

/// Days for which spending is kept.
const KEPT_DAYS: i64 = 7;

/// The budgets of all callers.
#[derive(Debug)]
pub struct Budgets {
    limits: BudgetsConfig,
    callers: RwLock<HashMap<String, Arc<Budget>>>,
}

/// The budget of one caller.
#[derive(Debug, Default)]
struct Budget {
    /// The instant, in microseconds, until which nothing is looked up for it.
    spent_until: AtomicI64,
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    day: i32,
    /// As the store last told, of all nodes.
    stored: (i64, i64),
    /// Wrong guesses that the store does not know of yet.
    negatives: i64,
    /// Subjects asked for through this node.
    subjects: HashSet<i64>,
    /// Those of them that the store does not know of yet.
    fresh: Vec<i64>,
    /// The limits that were found to be exceeded.
    exceeded: HashSet<&'static str>,
}

/// What all agencies of a hub together spend is kept under its name and this.
const AGENCIES: &str = "/agencies";

/// A bound by its name.
type Limit = (&'static str, usize);

impl Budgets {
    /// Nothing spent yet.
    #[must_use]
    pub fn new(limits: BudgetsConfig) -> Self {
        Self {
            limits,
            callers: RwLock::default(),
        }
    }

    /// Whether the caller may look anything up.
    ///
    /// # Errors
    ///
    /// NEGATIVE_LOOKUPS with the limit, until the next day in Tehran.
    pub(super) fn check(&self, call: &Acting, now: Timestamp) -> Result<(), AppError> {
        let mut spenders = spenders(call);
        spenders.try_for_each(|spender| self.check_one(&spender, now))
    }

    fn check_one(&self, spender: &str, now: Timestamp) -> Result<(), AppError> {
        let Some(budget) = self.known(spender) else {
            return Ok(());
        };
        let until = budget.spent_until.load(Ordering::Acquire);
        let left = until - now.as_microsecond();
        if left <= 0 {
            return Ok(());
        }
        let [(negatives, _), (subjects, _)] = self.limits_of(spender);
        let limit = if budget.today().exceeded.contains(negatives) {
            negatives
        } else {
            subjects
        };
        let mut refusal = Refusal::new(Reason::NegativeLookups).with("limit", limit);
        refusal.retry_after = u64::try_from(left).ok().map(Duration::from_micros);
        Err(refusal.into())
    }

    fn known(&self, caller: &str) -> Option<Arc<Budget>> {
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        callers.get(caller).cloned()
    }

    fn of(&self, caller: &str) -> Arc<Budget> {
        if let Some(budget) = self.known(caller) {
            return budget;
        }
        let mut callers = self.callers.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(callers.entry(caller.to_owned()).or_default())
    }

    /// What a spender may spend in a day: wrong guesses, and distinct subjects.
    fn limits_of(&self, spender: &str) -> [Limit; 2] {
        let limits = &self.limits;
        if spender.ends_with(AGENCIES) {
            [
                (
                    "hub_negative_lookups_per_day",
                    limits.hub_negative_lookups_per_day,
                ),
                ("hub_subjects_per_day", limits.hub_subjects_per_day),
            ]
        } else {
            [
                ("negative_lookups_per_day", limits.negative_lookups_per_day),
                ("subjects_per_day", limits.subjects_per_day),
            ]
        }
    }

    /// Counts what a caller's lookups came to: whether each was a wrong guess, and whom it named.
    pub(super) fn spend<'a>(
        &self,
        app: &App,
        call: &Acting,
        lookups: impl Iterator<Item = (bool, Option<&'a PersonId>)>,
        now: Timestamp,
    ) {
        let (mut negatives, mut subjects) = (0, Vec::new());
        for (guessed_wrong, claim) in lookups {
            negatives += i64::from(guessed_wrong);
            subjects.extend(claim.map(|person| part_of_hash(&app.subject_hash(person))));
        }
        if negatives == 0 && subjects.is_empty() {
            return;
        }
        for spender in spenders(call) {
            self.spend_one(&spender, negatives, &subjects, now);
        }
    }

    fn spend_one(&self, spender: &str, negatives: i64, subjects: &[i64], now: Timestamp) {
        let [_, (_, most)] = self.limits_of(spender);
        let budget = self.of(spender);
        let mut today = budget.today();
        today.begin(now);
        today.negatives += negatives;
        for subject in subjects {
            // One more than the budget is enough to know that it is exceeded.
            let room = today.subjects.len() <= most;
            if room && today.subjects.insert(*subject) {
                today.fresh.push(*subject);
            }
        }
        self.judge(spender, &budget, &mut today, now);
    }

    /// Counts a person asked about.
    pub(super) fn ask(&self, app: &App, call: &Acting, person: &PersonId, now: Timestamp) {
        self.spend(app, call, iter::once((false, Some(person))), now);
    }

    /// Counts so many wrong guesses that named nobody.
    pub(super) fn guessed_wrong(&self, app: &App, call: &Acting, guesses: usize, now: Timestamp) {
        self.spend(app, call, iter::repeat_n((true, None), guesses), now);
    }

    /// Closes a budget that is used up.
    fn judge(&self, caller: &str, budget: &Budget, today: &mut Today, now: Timestamp) {
        let (negatives, subjects) = today.stored;
        // Whether a subject was asked for before, through whichever node, the store knows.
        let spent = [negatives + today.negatives, subjects];
        for ((limit, most), spent) in self.limits_of(caller).into_iter().zip(spent) {
            if usize::try_from(spent).unwrap_or(usize::MAX) <= most || !today.exceeded.insert(limit)
            {
                continue;
            }
            let end = JalaliDate::of(now).end_exclusive();
            budget
                .spent_until
                .store(end.as_microsecond(), Ordering::Release);
            metrics::counter!(BUDGETS_EXHAUSTED, "limit" => limit).increment(1);
            tracing::warn!(
                caller,
                limit,
                most,
                "a caller has used up its budget of lookups"
            );
        }
    }

    /// Tells the store what was spent, and learns what all nodes spent.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was spent is told the next time then.
    pub async fn settle(&self, app: &App) -> Result<(), StoreError> {
        let now = app.clock.now();
        let mut spending = self.take();
        if !spending.is_empty()
            && let Err(error) = app.store.spend(&spending).await
        {
            if error == StoreError::CommitUnknown {
                // What may have been stored is not told twice; a subject counts once however often it is told.
                for spent in &mut spending {
                    spent.negatives = 0;
                }
            }
            self.give_back(spending);
            return Err(error);
        }
        self.learn(
            &app.store.spent_on(JalaliDate::of(now).as_i32()).await?,
            now,
        );
        Ok(())
    }

    /// Forgets what was spent long ago: in the store after a week, in memory, whom it was about, with the day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget(&self, app: &App) -> Result<(), StoreError> {
        let today = JalaliDate::of(app.clock.now());
        for (_, budget) in self.all() {
            budget.today().leave(today);
        }
        let first = today.plus_days(-KEPT_DAYS).as_i32();
        while app.store.forget_spending_before(first).await? {}
        Ok(())
    }

    fn all(&self) -> Vec<(String, Arc<Budget>)> {
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        let callers = callers.iter();
        callers
            .map(|(caller, budget)| (caller.clone(), Arc::clone(budget)))
            .collect()
    }

    fn take(&self) -> Vec<Spending> {
        let mut spending = Vec::new();
        for (caller_id, budget) in self.all() {
            let mut today = budget.today();
            let (negatives, subjects) = (today.negatives, std::mem::take(&mut today.fresh));
            today.negatives = 0;
            // Until the store tells again.
            today.stored.0 += negatives;
            if negatives > 0 || !subjects.is_empty() {
                spending.push(Spending {
                    caller_id,
                    day: today.day,
                    negatives,
                    subjects,
                });
            }
        }
        spending
    }

    fn give_back(&self, spending: Vec<Spending>) {
        for spent in spending {
            let budget = self.of(&spent.caller_id);
            let mut today = budget.today();
            if today.day == spent.day {
                today.stored.0 -= spent.negatives;
                today.negatives += spent.negatives;
                today.fresh.extend(spent.subjects);
            }
        }
    }

    fn learn(&self, spent: &[Spent], now: Timestamp) {
        for spent in spent {
            let budget = self.of(&spent.caller_id);
            let mut today = budget.today();
            today.begin(now);
            today.stored = (spent.negatives, spent.subjects);
            self.judge(&spent.caller_id, &budget, &mut today, now);
        }
    }
}

impl Budget {
    fn today(&self) -> MutexGuard<'_, Today> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Today {
    /// A new day begins with nothing spent.
    fn begin(&mut self, now: Timestamp) {
        let day = JalaliDate::of(now).as_i32();
        if self.day != day {
            *self = Self {
                day,
                ..Self::default()
            };
        }
    }

    /// Lets go of the subjects of a day that is over; what the store does not know of yet it is still told.
    fn leave(&mut self, today: JalaliDate) {
        if self.day < today.as_i32() {
            self.subjects = HashSet::new();
        }
    }
}

/// By what names a call spends: the caller's, or for the hub the agency's for which it asks, and that of all its agencies.
fn spenders(call: &Acting) -> impl Iterator<Item = Cow<'_, str>> {
    let caller = call.caller.id.as_str();
    let (first, second) = match &call.on_behalf {
        None => (Cow::Borrowed(caller), None),
        Some(behalf) => {
            let all = format!("{caller}{AGENCIES}");
            let agency = format!("{all}/{}", behalf.agency.as_str());
            (Cow::Owned(agency), Some(Cow::Owned(all)))
        }
    };
    iter::once(first).chain(second)
}

/// The first eight bytes of a keyed hash in hexadecimal digits: enough to tell subjects
/// apart, too little to find one.
pub(super) fn part_of_hash(hash: &str) -> i64 {
    let part = hash
        .get(..16)
        .and_then(|part| u64::from_str_radix(part, 16).ok());
    part.unwrap_or_default().cast_signed()
}
