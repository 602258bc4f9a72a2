//! Relists and the sync tick (rules N1, N4, N5, N7).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/pleg/generic.go (`Relist`, `RequestRelist`),
//! pkg/kubelet/kubelet.go (`syncLoopIteration`, `getPodsToSync`), pod_container_deletor.go.

use smallvec::SmallVec;

use super::Machine;
use super::inputs::Later;
use super::runtime::{Noticed, Run};
use super::types::{Host, Slot};
use super::worker::stale_inits;
use crate::base::SimTime;

impl Machine {
    /// Asks for a relist of one pod alone (rule N5): they are carried out one after another.
    pub(super) fn ask_relist(&mut self, slot: Slot, now: SimTime) {
        let due = self.relists.max(now).saturating_add(self.config.on_demand);
        self.relists = due;
        self.pod_mut(slot).asked = Some((now, due));
    }

    /// Relists that were asked for at the same instant come in the order that the host says.
    pub(super) fn order_relists<H: Host>(&mut self, due: &[Slot], now: SimTime, host: &mut H) {
        let asked = |slot: &Slot| self.find(*slot).and_then(|pod| pod.asked);
        let first = due.iter().find_map(|slot| Some((*slot, asked(slot)?)));
        let Some((first, (since, at))) = first.filter(|(_, (_, at))| *at == now) else { return };
        let others = self.slots();
        let same = others.into_iter().filter(|slot| asked(slot).is_some_and(|(a, _)| a == since));
        let same: SmallVec<[Slot; 4]> = same.collect();
        if same.len() < 2 {
            return;
        }
        let chosen = same[host.next_relist(&same)];
        if let Some((_, later)) = asked(&chosen).filter(|_| chosen != first) {
            self.pod_mut(first).asked = Some((since, later));
            self.pod_mut(chosen).asked = Some((since, at));
            self.renew(first);
            self.renew(chosen);
        }
    }

    /// What a relist due now finds of a pod.
    pub(super) fn relist<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let Some(pod) = self.find(slot) else { return };
        let (period, phase) = (self.config.relist, self.config.relist_phase);
        let is_global = period.is_zero() || (now >= phase && now.next_tick(phase, period) == now);
        let is_asked = pod.asked.is_some_and(|(_, due)| due <= now);
        let is_first = pod.relisted != Some(now) || period.is_zero();
        if !(is_asked || is_first && is_global) {
            return;
        }
        let pod = self.pod_mut(slot);
        pod.asked = None;
        pod.relisted = Some(now);
        pod.dirty = None;
        let news = pod.runtime.news(&pod.cache);
        if news.is_some() {
            pod.cache = pod.runtime.clone();
        }
        let is_newer = period.is_zero() || pod.worker.last.is_none_or(|last| last < now);
        if pod.worker.is_waiting && is_newer && pod.worker.step.is_none() {
            self.begin_step(slot, now, host);
        }
        for noticed in news.unwrap_or_default() {
            self.hear(Later::Noticed(slot, noticed), host);
        }
    }

    /// The main loop hears what a relist found.
    pub(super) fn notice<H: Host>(&mut self, slot: Slot, noticed: Noticed, host: &mut H) {
        if self.find(slot).is_none() {
            return;
        }
        if let Noticed::Died(id) = noticed {
            for run in self.stale(slot, id) {
                self.remove(slot, run, host);
            }
        }
        self.dispatch(slot);
    }

    /// Dead containers that the death of one leaves to be removed.
    fn stale(&self, slot: Slot, died: u32) -> SmallVec<[Run; 2]> {
        let pod = self.pod(slot);
        let dead = pod.cache.runs.iter().filter(|run| run.exit().is_some());
        let worker = &pod.worker;
        if worker.is_evicted || (worker.is_deleted && worker.is_terminated) {
            return dead.filter(|run| pod.runtime.by_id(run.id).is_some()).copied().collect();
        }
        let Some(own) = pod.cache.by_id(died) else { return SmallVec::new() };
        let same = dead.rev().filter(|run| run.container == own.container);
        let there = |run: &&Run| pod.runtime.by_id(run.id).is_some();
        same.skip(1).filter(there).copied().collect()
    }

    /// Dead init containers go before one is started.
    pub(super) fn prune<H: Host>(&mut self, slot: Slot, host: &mut H) {
        let pod = self.pod(slot);
        let Some(step) = &pod.worker.step else { return };
        let stale = stale_inits(&pod.input.spec, &step.seen);
        for run in stale {
            if self.pod(slot).runtime.by_id(run.id).is_some() {
                self.remove(slot, run, host);
            }
        }
    }

    /// The sync tick finds the pod in the work queue, or late.
    pub(super) fn ticks(&mut self, slot: Slot, now: SimTime, is_missed: bool) {
        let is_ideal = self.config.sync_tick.is_zero();
        let (phase, period) = (self.config.sync_phase, self.config.sync_tick);
        let is_tick = is_missed || is_ideal || now.next_tick(phase, period) == now;
        if !is_tick || self.hold.is_some() {
            return;
        }
        let pod = self.pod_mut(slot);
        let is_queued = pod.worker.queue.is_some_and(|due| due < now || (is_ideal && due <= now));
        let is_late = pod.deadline().is_some_and(|due| due <= now)
            && !pod.worker.is_terminating
            && !pod.is_rejected;
        if is_queued {
            pod.worker.queue = None;
        }
        if is_late {
            pod.deadline_said = true;
        }
        if (is_queued || is_late) && !pod.worker.is_over {
            self.dispatch(slot);
        }
    }
}
