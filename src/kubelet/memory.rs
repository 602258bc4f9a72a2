//! Memory of containers: what each has, and when one has all that it may have (rule N95).
//!
//! ```text
//! memory of a container = level + leak · time since its start + calls in flight · a call's
//! ```
//!
//! It grows evenly between changes, so the instant at which it meets a limit is worked out when
//! something changes, and nothing is looked at meanwhile. A container of which the scenario says
//! nothing stays within what it asks for.
//!
//! Differs: memory is never given back but by calls that end and by a container's end; caches of
//! files are no part of it.

use super::host::Port;
use super::machine::Slot;
use super::node::{NEVER, Row};
use super::processes::Process;
use crate::base::{Bytes, Duration, SimTime};
use crate::cluster::Write;
use crate::event::SlotStep;

/// The exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;
/// How the runtime calls the end of a container that the kernel killed for its memory.
const OOM_KILLED: &str = "OOMKilled";
const NANOS: i128 = 1_000_000_000;

/// What a container takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Appetite {
    /// As it starts, in bytes.
    level: i64,
    /// More, a second.
    leak: i64,
    /// For each call in flight.
    call: i64,
}

impl Appetite {
    /// What it has after some time with so many calls.
    fn after(self, age: Duration, calls: u32) -> i64 {
        let leaked = i128::from(self.leak) * i128::from(age.as_nanos()) / NANOS;
        let all = i128::from(self.level) + leaked + i128::from(self.call) * i128::from(calls);
        i64::try_from(all).unwrap_or(i64::MAX)
    }
}

/// What all processes of a node have together, as a line over time: bytes at the instant zero,
/// and bytes a second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledger {
    /// In bytes times nanoseconds a second.
    origin: i128,
    rate: i128,
}

impl Ledger {
    fn add(&mut self, of: Appetite, since: SimTime, sign: i128) {
        let (level, rate) = (i128::from(of.level), i128::from(of.leak));
        let start = i128::from(since.since_start().as_nanos());
        self.origin += sign * (level * NANOS - rate * start);
        self.rate += sign * rate;
    }

    fn add_calls(&mut self, of: Appetite, more: i64) {
        self.origin += i128::from(of.call) * i128::from(more) * NANOS;
    }

    /// In bytes.
    pub(super) fn at(&self, now: SimTime) -> i64 {
        let now = i128::from(now.since_start().as_nanos());
        i64::try_from((self.origin + self.rate * now).div_euclid(NANOS)).unwrap_or(i64::MAX)
    }

    /// When it is more than an amount, as things are; at once if it is already.
    pub(super) fn passes(&self, amount: i64, now: SimTime) -> SimTime {
        let used = self.at(now);
        if used > amount {
            return now;
        }
        time_to(i128::from(amount) + 1 - i128::from(used), self.rate, now)
    }
}

/// When so much has come together at a rate a second.
pub(super) fn time_to(missing: i128, rate: i128, now: SimTime) -> SimTime {
    if rate <= 0 {
        return NEVER;
    }
    let nanos = (missing * NANOS + rate - 1) / rate;
    u64::try_from(nanos).map_or(NEVER, |nanos| now.saturating_add(Duration::ns(nanos)))
}

impl Row {
    /// What a container takes.
    pub(super) fn appetite(&self, c: u8) -> Appetite {
        let behavior = self.behavior(c);
        if behavior.tells_memory {
            return Appetite {
                level: behavior.memory.0,
                leak: behavior.leak.0,
                call: behavior.call_memory.0,
            };
        }
        let level = behavior.memory.min(self.spec(c).requests.memory);
        Appetite { level: level.0, ..Appetite::default() }
    }

    /// What a container has now.
    pub(super) fn memory(&self, c: u8, now: SimTime) -> Bytes {
        let process = &self.processes[usize::from(c)];
        if !process.is_running {
            return Bytes(0);
        }
        Bytes(self.appetite(c).after(now.saturating_since(process.since), process.calls))
    }

    /// What all its containers have now.
    pub(super) fn memory_used(&self, now: SimTime) -> Bytes {
        Bytes((0_u8..).zip(&self.processes).map(|(c, _)| self.memory(c, now).0).sum())
    }

    /// What the metrics pipeline is told of it, in bytes: of a container of which nothing is said
    /// what all such containers are taken to have, init containers none.
    pub(super) fn memory_metered(&self, now: SimTime) -> i64 {
        let inits = self.template.spec.init_containers.len();
        let of = |(c, _): (u8, &Process)| match self.behavior(c) {
            behavior if behavior.tells_memory => self.memory(c, now).0,
            behavior if usize::from(c) >= inits || self.spec(c).restart_always => behavior.memory.0,
            _ => 0,
        };
        (0_u8..).zip(&self.processes).map(of).sum()
    }

    /// When the kernel kills a container, as things are: it has all that it may have, or its pod
    /// has and it is the largest of it.
    fn full_at(&self, c: u8, now: SimTime) -> SimTime {
        let limit = self.spec(c).memory_limit.filter(|limit| limit.0 > 0);
        let own = limit
            .map_or(NEVER, |limit| fills(self.memory(c, now).0, self.appetite(c).leak, limit, now));
        let Some(limit) = self.template.spec.own_limits.memory else { return own };
        let running =
            || (0_u8..).zip(&self.processes).filter(|(_, it)| it.is_running).map(|(c, _)| c);
        let leak = running().map(|c| self.appetite(c).leak).sum();
        let all = fills(self.memory_used(now).0, leak, limit, now);
        let is_largest = all < NEVER
            && running().max_by_key(|c| (self.memory(*c, all), std::cmp::Reverse(*c))) == Some(c);
        if is_largest { own.min(all) } else { own }
    }
}

/// When so much, which grows by `leak` a second, has met a limit.
fn fills(used: i64, leak: i64, Bytes(limit): Bytes, now: SimTime) -> SimTime {
    match used.cmp(&limit) {
        std::cmp::Ordering::Greater => now,
        std::cmp::Ordering::Equal if leak > 0 => now,
        _ => time_to(i128::from(limit) - i128::from(used), i128::from(leak), now),
    }
}

impl Port<'_, '_> {
    /// A process has started: its memory counts from now on.
    pub(super) fn memory_begins(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let Some(row) = self.state.row(slot) else { return };
        let appetite = row.appetite(c);
        if appetite == Appetite::default() {
            return;
        }
        self.state.memory.add(appetite, now, 1);
        self.watch_limit(slot, c);
        self.pressure_changed();
    }

    /// A process ends: what it had is free. Before [`Process::end`].
    pub(super) fn memory_ends(&mut self, slot: Slot, c: u8) {
        let Some(row) = self.state.row(slot) else { return };
        let (appetite, Process { since, calls, .. }) =
            (row.appetite(c), row.processes[usize::from(c)]);
        self.state.memory.add(appetite, since, -1);
        self.state.memory.add_calls(appetite, -i64::from(calls));
        self.memory_freed();
    }

    /// A running container takes other memory than before: what it asks for has changed.
    pub(super) fn appetite_changed(&mut self, slot: Slot, c: u8, before: Appetite) {
        let Some(row) = self.state.row(slot) else { return };
        let (after, Process { since, calls, .. }) =
            (row.appetite(c), row.processes[usize::from(c)]);
        if before != after {
            for (of, sign) in [(before, -1), (after, 1)] {
                self.state.memory.add(of, since, sign.into());
                self.state.memory.add_calls(of, sign * i64::from(calls));
            }
            self.memory_freed();
        }
        self.watch_limit(slot, c);
        self.pressure_changed();
    }

    /// Has a container killed when it has all that it may have; with a limit of the pod as a whole
    /// each may be the one.
    fn watch_limit(&mut self, slot: Slot, c: u8) {
        let Some(row) = self.state.row(slot) else { return };
        let count = u8::try_from(row.processes.len()).unwrap_or(u8::MAX);
        let is_shared = row.template.spec.own_limits.memory.is_some();
        let all = if is_shared { 0..count } else { c..c + 1 };
        all.for_each(|c| self.watch_one(slot, c));
    }

    /// A container has all that it may have, unless others of its pod have ended meanwhile.
    pub(super) fn is_full(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        if self.state.row(slot).is_some_and(|row| row.full_at(c, now) == now) {
            self.kill_for_memory(slot, c);
        } else {
            self.watch_limit(slot, c);
        }
    }

    fn watch_one(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return };
        if !row.process(c).is_running {
            return;
        }
        let due = row.full_at(c, now);
        let process = row.process(c);
        if process.full_due != due {
            process.full_due = due;
            self.later(due, slot, SlotStep::Full(c));
        }
    }

    /// The server of a pod has another number of calls.
    pub(super) fn load_changed(&mut self, slot: Slot, calls: u32) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let Some(c) = row.server() else { return };
        let appetite = row.appetite(c);
        let process = row.process(c);
        if !process.is_running {
            return;
        }
        let before = std::mem::replace(&mut process.calls, calls);
        self.state.memory.add_calls(appetite, i64::from(calls) - i64::from(before));
        self.watch_limit(slot, c);
        self.pressure_changed();
    }

    /// The kernel kills a container: all its processes at once, with the calls that it serves. The
    /// pod's other containers go on.
    pub(super) fn kill_for_memory(&mut self, slot: Slot, c: u8) {
        if self.is_server(slot, c)
            && let Some(row) = self.state.row(slot)
        {
            let pod = row.pod;
            self.plan.push(Write::OomKill { pod });
        }
        if let Some(row) = self.state.row(slot) {
            let (pod, container) = (row.pod, row.spec(c).name);
            self.plan.push(Write::OomKilled { pod, container });
        }
        self.die_as(slot, c, KILLED, OOM_KILLED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: i64 = 1 << 20;

    fn secs(at: u64) -> SimTime {
        SimTime::at(Duration::secs(at))
    }

    /// 64 MiB from 10 s on, and 2 MiB a second: 84 MiB at 20 s; more than 104 MiB just after 30 s.
    /// Two calls of 5 MiB bring it there 5 s sooner.
    #[test]
    fn memory_is_a_line_over_time() {
        let appetite = Appetite { level: 64 * MIB, leak: 2 * MIB, call: 5 * MIB };
        let mut ledger = Ledger::default();
        ledger.add(appetite, secs(10), 1);
        assert_eq!(ledger.at(secs(20)), 84 * MIB);
        let passes = ledger.passes(104 * MIB, secs(20));
        assert!(passes > secs(30) && passes < secs(30) + Duration::us(1), "{passes}");
        ledger.add_calls(appetite, 2);
        let passes = ledger.passes(104 * MIB, secs(20));
        assert!(passes > secs(25) && passes < secs(25) + Duration::us(1), "{passes}");
        assert_eq!(ledger.passes(93 * MIB, secs(20)), secs(20));
        ledger.add_calls(appetite, -2);
        ledger.add(appetite, secs(10), -1);
        assert_eq!((ledger.at(secs(99)), ledger.passes(0, secs(99))), (0, NEVER));
    }
}
