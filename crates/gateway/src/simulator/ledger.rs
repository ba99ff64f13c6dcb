//! The simulator's payments. Numbers are given in order, so the same calls make the same ledger.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use gavah_domain::JalaliDate;
use jiff::{Timestamp, civil::Date};

use super::SimulatedFault;

/// No test plans more.
const MAX_FAULTS: usize = 1_000;

/// The gateway refunds no less than this.
const LEAST_REFUND: i64 = 20_000;

/// How a payment stands, in the protocol's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    InBank,
    Failed,
    Paid,
    Verified,
    Reversed,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InBank => "IN_BANK",
            Self::Failed => "FAILED",
            Self::Paid => "PAID",
            Self::Verified => "VERIFIED",
            Self::Reversed => "REVERSED",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) session: u64,
    pub(super) amount: i64,
    pub(super) refunded: i64,
    pub(super) callback_url: String,
    pub(super) state: State,
    pub(super) created_at: Timestamp,
    pub(super) changed_at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    payments: BTreeMap<String, Payment>,
    faults: VecDeque<(Option<String>, SimulatedFault)>,
    refunds: u64,
}

impl Ledger {
    pub(super) fn plan(&mut self, authority: Option<&str>, fault: SimulatedFault) -> bool {
        let has_room = self.faults.len() < MAX_FAULTS;
        if has_room {
            self.faults.push_back((authority.map(str::to_owned), fault));
        }
        has_room
    }

    /// The fault that strikes here: the first that is planned for this authority or for any.
    pub(super) fn strike(&mut self, authority: &str, is_page: bool) -> Option<SimulatedFault> {
        let at = self.faults.iter().position(|(whose, fault)| {
            fault.is_of_page() == is_page && whose.as_deref().is_none_or(|whose| whose == authority)
        })?;
        self.faults.remove(at).map(|(_, fault)| fault)
    }

    pub(super) fn payment(&self, authority: &str) -> Option<&Payment> {
        self.payments.get(authority)
    }

    pub(super) fn open(
        &mut self,
        amount: i64,
        callback_url: &str,
        capacity: usize,
        now: Timestamp,
    ) -> Result<String, i32> {
        if self.payments.len() >= capacity {
            return Err(-13);
        }
        let session = self.payments.len() as u64 + 1;
        let authority = format!("A{session:035}");
        let payment = Payment {
            session,
            amount,
            refunded: 0,
            callback_url: callback_url.to_owned(),
            state: State::InBank,
            created_at: now,
            changed_at: now,
        };
        self.payments.insert(authority.clone(), payment);
        Ok(authority)
    }

    /// The payer pays or gives up, once.
    pub(super) fn pay(
        &mut self,
        authority: &str,
        approved: bool,
        charged: Option<i64>,
        now: Timestamp,
    ) {
        let Some(payment) = self.payments.get_mut(authority) else {
            return;
        };
        if payment.state == State::InBank {
            payment.state = if approved { State::Paid } else { State::Failed };
            payment.amount = charged.unwrap_or(payment.amount);
            payment.changed_at = now;
        }
    }

    /// The code, and the number of the transaction.
    pub(super) fn verify(
        &mut self,
        authority: &str,
        amount: i64,
        now: Timestamp,
    ) -> Result<(i32, u64), i32> {
        let payment = self.payments.get_mut(authority).ok_or(-54)?;
        match payment.state {
            State::InBank | State::Failed | State::Reversed => Err(-51),
            State::Paid | State::Verified if payment.amount != amount => Err(-50),
            State::Verified => Ok((101, ref_id(payment))),
            State::Paid => {
                payment.state = State::Verified;
                payment.changed_at = now;
                Ok((100, ref_id(payment)))
            }
        }
    }

    pub(super) fn reverse(&mut self, authority: &str, now: Timestamp) -> Result<(), i32> {
        let payment = self.payments.get_mut(authority).ok_or(-54)?;
        if !matches!(payment.state, State::Paid | State::Verified) || payment.refunded > 0 {
            return Err(-61);
        }
        payment.state = State::Reversed;
        payment.changed_at = now;
        Ok(())
    }

    /// The number of the refund.
    pub(super) fn refund(&mut self, session: u64, amount: i64, now: Timestamp) -> Option<u64> {
        let mut payments = self.payments.values_mut();
        let payment = payments.find(|payment| payment.session == session)?;
        let left = payment.amount - payment.refunded;
        if payment.state != State::Verified || amount < LEAST_REFUND || amount > left {
            return None;
        }
        payment.refunded += amount;
        payment.changed_at = now;
        self.refunds += 1;
        Some(self.refunds)
    }

    /// The last hundred payments that are made and not verified.
    pub(super) fn unverified(&self) -> impl Iterator<Item = (&String, &Payment)> {
        let paid = |(_, payment): &(&String, &Payment)| payment.state == State::Paid;
        self.payments.iter().rev().filter(paid).take(100)
    }

    pub(super) fn day_file(&self, day: Date) -> String {
        let mut file =
            String::from("authority,ref_id,amount,refunded,state,created_at,changed_at\n");
        let of_day = |payment: &&Payment| JalaliDate::of(payment.changed_at).to_gregorian() == day;
        for (authority, payment) in &self.payments {
            if !of_day(&payment) {
                continue;
            }
            let number = match payment.state {
                State::InBank | State::Failed => String::new(),
                State::Paid | State::Verified | State::Reversed => ref_id(payment).to_string(),
            };
            // Writing to a text cannot fail, and nothing here needs quotes.
            let _ = writeln!(
                file,
                "{authority},{number},{},{},{},{},{}",
                payment.amount,
                payment.refunded,
                payment.state.as_str(),
                payment.created_at,
                payment.changed_at
            );
        }
        file
    }
}

const fn ref_id(payment: &Payment) -> u64 {
    1_000_000 + payment.session
}
