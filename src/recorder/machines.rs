//! Machines: how many came and went, how long they took, what they cost.
//!
//! Money is exact: a sum of prices times nanoseconds in whole numbers, made dollars once at the
//! end. A machine is paid for from the instant it runs until it is off, by the second, and for a
//! minimum time.

use std::collections::BTreeMap;

use crate::base::{Duration, Histogram, Money, SimTime, Symbol, cast};
use crate::record::MachineRecord;

/// How many parts of a [`Money`] shares are counted in.
pub const FINE: i64 = 1_000_000;

/// Money times time: millionths of a millionth of a dollar an hour, times nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spent(pub i128);

impl Spent {
    /// What a thing at this price an hour costs in that time.
    #[must_use]
    pub fn of(price: Money, time: Duration) -> Self {
        Self::of_fine(i64::saturating_mul(price.0, FINE), time)
    }

    /// The same of a price in millionths of a [`Money`].
    #[must_use]
    pub fn of_fine(price: i64, time: Duration) -> Self {
        Self(i128::from(price) * i128::from(time.as_nanos()))
    }

    /// In dollars.
    #[must_use]
    pub fn as_usd(self) -> f64 {
        const HOUR: i128 = 3_600_000_000_000;
        // Whole picodollars, then what is left of one: nothing is lost that a float can hold.
        let whole = cast::i64_saturating(self.0 / HOUR);
        let part = cast::i64_saturating(self.0 % HOUR);
        (cast::f64_of_i64(whole) + cast::f64_of_i64(part) / 3.6e12) / 1e12
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// The machines of a pool.
#[derive(Clone, Debug, Default)]
pub struct MachineTally {
    /// Machines that ran.
    pub ran: u64,
    /// Of them there at the start of the run.
    pub from_start: u64,
    /// Of them off before the end.
    pub ended: u64,
    /// Of them interrupted.
    pub interrupted: u64,
    /// Machines that could not be had.
    pub failed: u64,
    /// From the request to the first time Ready, of those that came during the run.
    pub boot: Histogram,
    /// What they cost.
    pub cost: Spent,
    /// What of that was for spot machines.
    pub spot: Spent,
    /// For how long they ran in all, in seconds.
    pub seconds: f64,
}

/// All machines of a run, and those of each pool.
#[derive(Clone, Debug, Default)]
pub struct MachineFacts {
    /// All of them.
    pub all: MachineTally,
    /// By pool; those of manifests are not there.
    pub by_pool: BTreeMap<Symbol, MachineTally>,
    /// Machines that still run, until it is known when the run ends.
    open: Vec<MachineRecord>,
}

impl MachineFacts {
    /// Adds a machine that is off, or ran at the end of the run.
    pub(super) fn add(&mut self, row: &MachineRecord, billed_min: Duration) {
        match row.ended {
            Some(ended) => self.count(row, ended, billed_min),
            None => self.open.push(row.clone()),
        }
    }

    /// A machine could not be had.
    pub(super) fn fail(&mut self, pool: Symbol) {
        self.all.failed += 1;
        self.by_pool.entry(pool).or_default().failed += 1;
    }

    /// The run has ended.
    pub(super) fn end(&mut self, at: SimTime, billed_min: Duration) {
        for row in std::mem::take(&mut self.open) {
            self.count(&row, at, billed_min);
        }
    }

    fn count(&mut self, row: &MachineRecord, until: SimTime, billed_min: Duration) {
        self.all.count(row, until, billed_min);
        self.by_pool.entry(row.pool).or_default().count(row, until, billed_min);
    }
}

impl MachineTally {
    fn count(&mut self, row: &MachineRecord, until: SimTime, billed_min: Duration) {
        let ran = until.saturating_since(row.running);
        self.ran += 1;
        self.from_start += u64::from(row.requested == SimTime::ZERO);
        self.ended += u64::from(row.ended.is_some());
        self.interrupted += u64::from(row.noticed.is_some());
        self.seconds += ran.as_secs_f64();
        // Whole seconds are billed of what has ended; what still runs is paid so far.
        let billed = match row.ended {
            Some(_) if row.kind.is_some() => {
                Duration::secs(ran.as_nanos().div_ceil(1_000_000_000)).max(billed_min)
            }
            _ => ran,
        };
        let cost = Spent::of(row.price, billed);
        self.cost += cost;
        if row.is_spot {
            self.spot += cost;
        }
        if let Some(ready) = row.ready.filter(|_| row.requested > SimTime::ZERO) {
            self.boot.record(ready.saturating_since(row.requested));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(running_s: u64, ended_s: Option<u64>) -> MachineRecord {
        let at = |s| SimTime::at(Duration::secs(s));
        MachineRecord {
            name: crate::base::Interner::new().intern("a"),
            pool: crate::base::Interner::new().intern("a"),
            kind: Some(crate::base::Interner::new().intern("a")),
            zone: None,
            is_spot: true,
            price: Money::usd(0.36),
            requested: at(running_s.saturating_sub(10)),
            running: at(running_s),
            ready: Some(at(running_s + 30)),
            noticed: None,
            ended: ended_s.map(at),
        }
    }

    #[test]
    fn machines_are_paid_by_the_second_for_a_minimum() {
        let mut facts = MachineFacts::default();
        let minimum = Duration::secs(60);
        facts.add(&machine(100, Some(110)), minimum);
        facts.add(&machine(100, Some(300)), minimum);
        facts.add(&machine(100, None), minimum);
        facts.end(SimTime::at(Duration::secs(200)), minimum);
        // 60 s, 200 s and 100 s at 0.0001 USD a second
        assert!((facts.all.cost.as_usd() - 0.036).abs() < 1e-15);
        assert_eq!(facts.all.cost, facts.all.spot);
        assert_eq!((facts.all.ran, facts.all.ended), (3, 2));
    }
}
