//! Statuses: kept, and written one by one (rule N10).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/status/status_manager.go (`updateStatusInternal`,
//! `SetContainerReadiness`, `SetContainerStartup`, `syncBatch`, `syncPod`, `mergePodStatus`,
//! `canBeDeleted`).

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::build::refresh_ready;
use super::pod::Pod;
use super::types::{Call, Condition, Host, Message, Outcome, Phase, Slot, Status};
use super::{Machine, Work};
use crate::base::SimTime;

/// Writes statuses, one at a time.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// The batch under way: as the statuses were when it began.
    batch: VecDeque<Item>,
    is_busy: bool,
    is_asked: bool,
}

#[derive(Debug)]
struct Item {
    slot: Slot,
    status: Status,
    version: u64,
    is_finished: bool,
}

const fn keep_since(new: &mut Option<Condition>, old: Option<Condition>) {
    if let (Some(new), Some(old)) = (new, old)
        && new.is_true == old.is_true
    {
        new.since = old.since;
    }
}

/// What the API gets of a status (rules N129, N139).
fn merge(pod: &Pod, mut status: Status, now: SimTime) -> Status {
    let old = pod.kept.api.as_ref();
    let was_terminal = old.is_some_and(|old| old.phase.is_terminal());
    let could_run = !pod.is_rejected && !pod.worker.is_terminated;
    if was_terminal || could_run || !status.phase.is_terminal() {
        // Told together with the final phase, once and for all.
        status.conditions.disruption = old.and_then(|old| old.conditions.disruption);
    }
    if !was_terminal && status.phase.is_terminal() {
        if could_run {
            status.phase = old.map_or(Phase::Pending, |old| old.phase);
            status.reason = old.map_or("", |old| old.reason);
            status.message = old.map_or(Message::None, |old| old.message);
        } else if let Some(disruption) = &mut status.conditions.disruption {
            disruption.since = now.floor_secs();
        }
    }
    status
}

impl Sender {
    /// A pod is forgotten: nothing of it is written, and what is under way is not answered.
    /// Gives whether that was the write under way.
    pub(super) fn forget(&mut self, slot: Slot) -> bool {
        let is_under_way = self.is_busy && self.batch.front().is_some_and(|item| item.slot == slot);
        self.batch.retain(|item| item.slot != slot);
        self.is_busy &= !is_under_way;
        is_under_way
    }

    /// Something is to be written.
    pub(super) const fn ask(&mut self) {
        self.is_asked = true;
    }
}

impl Machine {
    /// Keeps a status; a changed one is written, and the last one of a pod whatever it is.
    pub(super) fn keep(&mut self, slot: Slot, mut status: Status, is_last: bool) {
        let kept = &mut self.pod_mut(slot).kept;
        if kept.is_dropped {
            return;
        }
        if let Some(old) = &kept.status {
            let (new, old) = (&mut status.conditions, &old.conditions);
            keep_since(&mut new.scheduled, old.scheduled);
            keep_since(&mut new.ready_to_start, old.ready_to_start);
            keep_since(&mut new.initialized, old.initialized);
            keep_since(&mut new.containers_ready, old.containers_ready);
            keep_since(&mut new.ready, old.ready);
            keep_since(&mut new.all_restarting, old.all_restarting);
            keep_since(&mut new.disruption, old.disruption);
        }
        kept.is_finished |= is_last;
        if kept.status.as_ref() == Some(&status) && !is_last {
            return;
        }
        kept.status = Some(status);
        kept.version += 1;
        let now = self.now;
        self.pod_mut(slot).kept.changed = now;
        self.pod_mut(slot).probes.wake(now);
        self.sender.is_asked = true;
        self.work.push_back(Work::Send);
    }

    /// The answer of a probe changes the status at once (rule N87).
    pub(super) fn set_ready(&mut self, slot: Slot, id: u32, ready: bool, now: SimTime) {
        let pod = self.pod(slot);
        let Some(mut status) = pod.kept.status.clone() else { return };
        let found = status.containers.iter_mut().find(|container| container.id == Some(id));
        let Some(container) = found.filter(|container| container.ready != ready) else { return };
        container.ready = ready;
        refresh_ready(&pod.input.spec, pod.kept.gates, &mut status, now);
        self.keep(slot, status, false);
    }

    /// The same of a startup probe.
    pub(super) fn set_started(&mut self, slot: Slot, id: u32, started: bool) {
        let Some(mut status) = self.pod(slot).kept.status.clone() else { return };
        let found = status.containers.iter_mut().find(|container| container.id == Some(id));
        let Some(container) = found.filter(|container| container.started != started) else {
            return;
        };
        container.started = started;
        self.keep(slot, status, false);
    }

    /// Begins the next write, if none is under way.
    pub(super) fn send<H: Host>(&mut self, host: &mut H) {
        if self.sender.is_busy {
            return;
        }
        if self.sender.batch.is_empty() {
            if !std::mem::take(&mut self.sender.is_asked) {
                return;
            }
            let is_new = |slot: &Slot| {
                let kept = &self.pod(*slot).kept;
                kept.status.is_some() && kept.version > kept.written
            };
            let new: SmallVec<[Slot; 8]> = self.slots().into_iter().filter(is_new).collect();
            for slot in &new {
                let (slot, kept) = (*slot, &self.pod(*slot).kept);
                let is_last = self.sender.batch.is_empty() && Some(&slot) == new.last();
                let is_fresh = new.len() > 1 && !is_last && kept.changed == self.now;
                if is_fresh && !host.joins_batch(slot, &new) {
                    self.sender.is_asked = true;
                    continue;
                }
                let Some(status) = kept.status.clone() else { continue };
                let (version, is_finished) = (kept.version, kept.is_finished);
                self.sender.batch.push_back(Item { slot, status, version, is_finished });
            }
        }
        let slots: SmallVec<[Slot; 8]> = self.sender.batch.iter().map(|item| item.slot).collect();
        if slots.is_empty() {
            return;
        }
        let next = if slots.len() == 1 { 0 } else { host.next_write(&slots) };
        if let Some(item) = self.sender.batch.remove(next) {
            self.sender.is_busy = true;
            let slot = item.slot;
            self.sender.batch.push_front(item);
            self.begin(slot, Call::Get, host);
        }
    }

    /// The sender may look before all of this instant has happened: the host says whether it does.
    pub(super) fn send_early<H: Host>(&mut self, host: &mut H) {
        if self.sender.is_busy || !self.sender.batch.is_empty() || !self.sender.is_asked {
            return;
        }
        for slot in self.slots() {
            let pod = self.pod(slot);
            if pod.kept.version <= pod.kept.written {
                continue;
            }
            let Some(status) = pod.kept.status.clone() else { continue };
            let status = merge(pod, status, self.now);
            if host.writes_now(slot, &status, pod.kept.is_finished) {
                self.send(host);
                return;
            }
        }
    }

    /// Whether the API lacks the final phase although nothing can run any more: it is told by the
    /// reconciliation of all statuses (rule N10).
    pub(super) fn is_behind(&self, slot: Slot) -> bool {
        let pod = self.pod(slot);
        let is_written = pod.kept.version == pod.kept.written;
        pod.kept.is_held && is_written && pod.worker.is_terminated && pod.kept.status.is_some()
    }

    /// The sender's own tick.
    pub(super) fn status_tick(&mut self, slot: Slot, now: SimTime) {
        let period = self.config.status_tick;
        let is_tick = period.is_zero() || now.next_tick(self.config.sync_phase, period) == now;
        if is_tick && self.is_behind(slot) {
            self.pod_mut(slot).kept.version += 1;
            self.sender.is_asked = true;
            self.work.push_back(Work::Send);
        }
    }

    /// Statuses of pods that are gone are forgotten: by housekeeping, or when another object is
    /// found in their place.
    pub(super) fn drop_status(&mut self, slot: Slot) {
        let now = self.now;
        let pod = self.pod_mut(slot);
        pod.kept.status = None;
        pod.kept.written = pod.kept.version;
        pod.probes.wake(now);
    }

    fn sent(&mut self) {
        self.sender.batch.pop_front();
        self.sender.is_busy = false;
        self.work.push_back(Work::Send);
    }

    pub(super) fn got<H: Host>(
        &mut self,
        slot: Slot,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        if outcome == Outcome::Replaced && self.find(slot).is_some() {
            self.drop_status(slot);
        }
        let Some(item) = self.sender.batch.front() else { return };
        if outcome != Outcome::Ok || self.find(slot).is_none() {
            self.sent();
            return;
        }
        let merged = merge(self.pod(slot), item.status.clone(), now);
        let is_held = item.status.phase.is_terminal() && !merged.phase.is_terminal();
        self.pod_mut(slot).kept.is_held = is_held;
        if self.pod(slot).kept.api.as_ref() == Some(&merged) {
            self.written(slot, Outcome::Ok, host);
            return;
        }
        self.pod_mut(slot).kept.api = Some(merged.clone());
        self.reconcile(slot);
        if let Some(outcome) = host.begin_patch(slot, &merged) {
            self.work.push_back(Work::Done(slot, Call::Patch, outcome));
        }
    }

    pub(super) fn written<H: Host>(&mut self, slot: Slot, outcome: Outcome, host: &mut H) {
        let Some(item) = self.sender.batch.front() else { return };
        let (version, is_finished) = (item.version, item.is_finished);
        if outcome != Outcome::Ok || self.find(slot).is_none() {
            self.sent();
            return;
        }
        let pod = self.pod_mut(slot);
        pod.kept.written = pod.kept.written.max(version);
        if pod.is_deleting() && is_finished {
            self.begin(slot, Call::Delete, host);
        } else {
            self.sent();
        }
    }

    pub(super) fn deleted(&mut self, slot: Slot) {
        if self.find(slot).is_some() {
            self.pod_mut(slot).kept.is_dropped = true;
        }
        self.sent();
    }
}
