//! Relists, the sync tick, and pods that are turned away (rules N1, N4, N5, N7, N42, N43).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/pleg/generic.go (`Relist`, `RequestRelist`),
//! pkg/kubelet/kubelet.go (`syncLoopIteration`, `getPodsToSync`), pod_container_deletor.go.

use smallvec::SmallVec;

use super::runtime::{Noticed, Run};
use super::types::{Conditions, Host, Message, Phase, Rejection, Say, Slot, Status, Told};
use super::worker::stale_inits;
use super::{Machine, News, Work};
use crate::base::SimTime;

impl Machine {
    /// What a relist due now finds of a pod.
    pub(super) fn relist<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let Some(pod) = self.find(slot) else { return };
        let (period, phase, on_demand) =
            (self.config.relist, self.config.relist_phase, self.config.on_demand);
        let is_global = period.is_zero() || (now >= phase && now.next_tick(phase, period) == now);
        let is_asked = pod.asked.is_some_and(|asked| asked.saturating_add(on_demand) <= now);
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
        self.notice(slot, &news.unwrap_or_default(), host);
    }

    fn notice<H: Host>(&mut self, slot: Slot, news: &News, host: &mut H) {
        for noticed in news {
            self.pod_mut(slot).worker.has_update = true;
            if let Noticed::Died(id) = noticed {
                for run in self.stale(slot, *id) {
                    self.remove(slot, run, host);
                }
            }
        }
        if !news.is_empty() {
            self.work.push_back(Work::Look(slot));
        }
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
    pub(super) fn ticks(&mut self, slot: Slot, now: SimTime) {
        let is_ideal = self.config.sync_tick.is_zero();
        let (phase, period) = (self.config.sync_phase, self.config.sync_tick);
        if !is_ideal && now.next_tick(phase, period) != now {
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

    /// The node turns a pod away, or drives others out for it.
    pub(super) fn reject<H: Host>(&mut self, slot: Slot, rejection: Rejection, host: &mut H) {
        if !rejection.victims.is_empty() {
            for victim in &rejection.victims {
                host.event(*victim, None, Say::Preempting);
                let worker = &mut self.pod_mut(*victim).worker;
                worker.is_evicted = true;
                worker.verdict = Some(("Preempting", Message::Preempted));
                self.terminate(*victim, host);
            }
            self.waiting.push((slot, rejection.victims));
            return;
        }
        host.event(slot, None, Say::Rejected(rejection.reason, rejection.numbers));
        let now = self.now;
        let pod = self.pod_mut(slot);
        pod.is_rejected = true;
        let status = Status {
            phase: Phase::Failed,
            reason: rejection.reason,
            message: Message::Rejected(rejection.numbers),
            ip: None,
            start: Some(now.floor_secs()),
            observed_generation: pod.input.generation,
            conditions: Conditions {
                scheduled: None,
                ready_to_start: None,
                initialized: None,
                containers_ready: None,
                ready: None,
                all_restarting: None,
                disruption: None,
            },
            containers: SmallVec::new(),
            resources: Told::default(),
        };
        self.keep(slot, status, false);
        self.work.push_back(Work::Look(slot));
    }

    /// The containers of a pod have stopped: who waited for its place may come (rule N43).
    pub(super) fn freed(&mut self, slot: Slot) {
        for (_, victims) in &mut self.waiting {
            victims.retain(|victim| *victim != slot);
        }
        let ready = self.waiting.iter().filter(|(_, victims)| victims.is_empty());
        let ready: SmallVec<[Slot; 1]> = ready.map(|(waits, _)| *waits).collect();
        self.waiting.retain(|(_, victims)| !victims.is_empty());
        for waits in ready {
            self.dispatch(waits);
        }
    }
}
