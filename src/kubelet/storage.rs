//! What pods have on the disk of their node, and their eviction when it is more than they may have
//! (rule N102).
//!
//! ```text
//! of a container = start + rate · time since its start    in its own layer and logs, or a volume
//! ```
//!
//! It grows evenly, so the instant at which a limit is passed is worked out when a process starts;
//! the kubelet finds it with its next look (each 10 s). What is in a container's layer goes with
//! it, what is in an `emptyDir` stays as long as the pod.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/eviction/eviction_manager.go (`localStorageEviction`,
//! `emptyDirLimitEviction`, `podEphemeralStorageLimitEviction`,
//! `containerEphemeralStorageLimitEviction`). Differs: images and files of the system are not
//! counted, and a node's disk is never full; what is used is known at each look.

use super::host::Port;
use super::machine::{Machine, Slot};
use super::memory::time_to;
use super::node::{NEVER, Row};
use super::pressure::{AT_ONCE, EVICTED};
use crate::base::{Bytes, SimTime, Symbol};
use crate::record::{About, EventRecord};

const NANOS: i128 = 1_000_000_000;

/// An amount now, and how much it grows a second.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    now: i128,
    rate: i128,
}

impl Line {
    fn add(&mut self, other: Self) {
        (self.now, self.rate) = (self.now + other.now, self.rate + other.rate);
    }

    /// When it is more than a limit.
    fn passes(self, limit: Bytes, now: SimTime) -> SimTime {
        let missing = i128::from(limit.0) + 1 - self.now;
        if missing <= 0 { now } else { time_to(missing, self.rate, now) }
    }
}

/// What a limit is of.
#[derive(Clone, Copy, Debug)]
enum Limited {
    Volume(Symbol),
    Pod,
    Container(u8),
}

impl Row {
    /// What a container has written since its start, and where.
    fn written(&self, c: u8, now: SimTime) -> Option<(Option<Symbol>, Line)> {
        let process = self.processes.get(usize::from(c)).filter(|process| process.is_running)?;
        let writes = self.behavior(c).writes?;
        let age = i128::from(now.saturating_since(process.since).as_nanos());
        let rate = i128::from(writes.rate.0);
        Some((writes.volume, Line { now: i128::from(writes.start.0) + rate * age / NANOS, rate }))
    }

    fn count(&self) -> u8 {
        u8::try_from(self.processes.len()).unwrap_or(u8::MAX)
    }

    /// What is limited, the limit, and what there is of it; in the order of the kubelet's checks.
    fn limited(&self, now: SimTime) -> Vec<(Limited, Bytes, Line)> {
        let written: Vec<(u8, Option<Symbol>, Line)> = (0..self.count())
            .filter_map(|c| self.written(c, now).map(|(volume, line)| (c, volume, line)))
            .collect();
        let mut all = Vec::new();
        let mut pod = Line::default();
        for (_, _, line) in &written {
            pod.add(*line);
        }
        for (_, left) in &self.left {
            pod.add(Line { now: i128::from(*left), rate: 0 });
        }
        for (volume, limit) in &self.template.spec.empty_dirs {
            let Some(limit) = limit else { continue };
            let mut line = Line::default();
            for (_, _, more) in written.iter().filter(|(_, to, _)| *to == Some(*volume)) {
                line.add(*more);
            }
            let left = self.left.iter().find(|(name, _)| name == volume);
            line.now += left.map_or(0, |(_, left)| i128::from(*left));
            all.push((Limited::Volume(*volume), *limit, line));
        }
        let limits = self.template.spec.containers.iter().filter_map(|own| own.storage_limit);
        let limits: Vec<i64> = limits.map(|limit| limit.0).collect();
        if !limits.is_empty() {
            all.push((Limited::Pod, Bytes(limits.iter().sum()), pod));
        }
        for (c, _, line) in written.iter().filter(|(_, volume, _)| volume.is_none()) {
            if let Some(limit) = self.spec(*c).storage_limit {
                all.push((Limited::Container(*c), limit, *line));
            }
        }
        all
    }
}

impl Port<'_, '_> {
    /// A process has started: when the kubelet finds too much is worked out anew.
    pub(super) fn watch_storage(&mut self, slot: Slot) {
        let now = self.now;
        let Some(row) = self.state.row(slot) else { return };
        if row.template.behaviors.iter().all(|own| own.writes.is_none()) {
            return;
        }
        let limited = row.limited(now);
        let passed = limited.iter().map(|(_, limit, line)| line.passes(*limit, now)).min();
        let due = self.state.pressure.look_from(passed.unwrap_or(NEVER));
        if let Some(row) = self.state.row_mut(slot).filter(|row| row.storage_due != due) {
            row.storage_due = due;
            self.later(due, slot, crate::event::SlotStep::Storage);
        }
    }

    /// A process ends: what it has in a volume stays. Before [`super::processes::Process::end`].
    pub(super) fn leave_storage(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return };
        let Some((Some(volume), line)) = row.written(c, now) else { return };
        let more = i64::try_from(line.now).unwrap_or(i64::MAX);
        match row.left.iter_mut().find(|(name, _)| *name == volume) {
            Some((_, left)) => *left = left.saturating_add(more),
            None => row.left.push((volume, more)),
        }
    }

    /// The kubelet looks at what a pod has on the disk, and evicts it if that is too much.
    pub(super) fn look_at_storage(&mut self, slot: Slot, machine: &mut Machine) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot).filter(|row| row.storage_due == now) else {
            return;
        };
        row.storage_due = NEVER;
        let limited = row.limited(now);
        let is_over = |(_, limit, line): &&(Limited, Bytes, Line)| line.now > i128::from(limit.0);
        let Some((what, limit, _)) = limited.iter().find(is_over).copied() else {
            self.watch_storage(slot);
            return;
        };
        self.tell_storage(slot, what, limit);
        machine.evict(slot, EVICTED, AT_ONCE, now, self);
    }

    fn tell_storage(&mut self, slot: Slot, what: Limited, limit: Bytes) {
        let Some(row) = self.state.row(slot).filter(|_| self.ctx.recorder.wants_events()) else {
            return;
        };
        let names = self.cluster.names();
        let message = match what {
            Limited::Volume(name) => {
                let name = names.resolve(name);
                format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". ")
            }
            Limited::Pod => format!(
                "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
            ),
            Limited::Container(c) => {
                let name = names.resolve(row.spec(c).name);
                format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". ")
            }
        };
        let about = About::Pod(row.name.0, row.name.1);
        let (at, reason, is_warning) = (self.now, EVICTED, true);
        self.ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}
