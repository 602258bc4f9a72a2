//! How containers are started: back-off, image, create, start, postStart (rules N60 to N63, N67,
//! N90).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kuberuntime (`kuberuntime_manager.go` `doBackOff`;
//! `kuberuntime_container.go` `startContainer`).

use std::sync::Arc;

use super::actions::{is_init, is_sidecar, nth};
use super::images::Ensured;
use super::kill::How;
use super::pod::{AfterKills, Busy};
use super::runtime::{Run, RunState};
use super::types::{Call, Exit, Host, Kill, Outcome, Say, Slot};
use super::{Machine, Work};
use crate::base::SimTime;

impl Machine {
    /// A container is to be started.
    pub(super) fn start<H: Host>(&mut self, slot: Slot, container: u8, now: SimTime, host: &mut H) {
        let pod = self.pod(slot);
        let Some(step) = &pod.worker.step else { return };
        let mut runs = step.seen.runs.iter().rev().filter(|run| run.container == container);
        if let Some((_, finished)) = runs.find_map(Run::exit) {
            if let Some(until) = self.backoff.blocked_since(&(slot, container), finished, now) {
                host.event(slot, Some(container), Say::CrashBackOff);
                self.start_failed(slot, container, "CrashLoopBackOff", Some(until));
                return;
            }
            self.backoff.push((slot, container), now, now);
        }
        let own = nth(&self.pod(slot).input.spec, container);
        let (image, policy) = (own.image, own.pull_policy);
        let is_present = host.has_image(image);
        let ensured = self.images.ensure((slot, container), image, policy, is_present, now);
        match ensured {
            Ensured::Present => {
                host.event(slot, Some(container), Say::Present);
                self.create(slot, container, host);
            }
            Ensured::Never => {
                host.event(slot, Some(container), Say::NeverPull);
                self.cannot_start(slot, container, "ErrImageNeverPull", host);
            }
            Ensured::BackOff => {
                host.event(slot, Some(container), Say::PullBackOff);
                self.cannot_start(slot, container, "ImagePullBackOff", host);
            }
            Ensured::Asked => {
                host.event(slot, Some(container), Say::Pulling);
                self.set_busy(slot, Some(Busy::Pull(container)));
                self.work.push_back(Work::Pulls);
            }
        }
    }

    fn cannot_start<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        reason: &'static str,
        host: &mut H,
    ) {
        host.event(slot, Some(container), Say::StartFailed(reason));
        self.start_failed(slot, container, reason, None);
    }

    fn set_busy(&mut self, slot: Slot, busy: Option<Busy>) {
        if let Some(step) = &mut self.pod_mut(slot).worker.step {
            step.busy = busy;
        }
    }

    /// Pulls that may begin now.
    pub(super) fn pulls<H: Host>(&mut self, now: SimTime, host: &mut H) {
        while let Some(begin) = self.images.next(now) {
            let (slot, container, image) = (begin.slot, begin.container, begin.image);
            if begin.is_limited {
                host.event(slot, Some(container), Say::PullQps);
                self.set_busy(slot, None);
                self.cannot_start(slot, container, "ErrImagePull", host);
                self.work.push_back(Work::Step(slot));
            } else {
                self.begin(slot, Call::Pull { container, image }, host);
            }
        }
    }

    /// PullImage returned.
    pub(super) fn pulled<H: Host>(
        &mut self,
        (slot, container): (Slot, u8),
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        let is_ok = outcome == Outcome::Ok;
        let (took, with_wait) = self.images.ended(slot, container, is_ok, now);
        self.work.push_back(Work::Pulls);
        self.set_busy(slot, None);
        if is_ok {
            host.event(slot, Some(container), Say::Pulled { took, with_wait });
            self.create(slot, container, host);
        } else {
            host.event(slot, Some(container), Say::PullFailed);
            self.cannot_start(slot, container, "ErrImagePull", host);
        }
        self.work.push_back(Work::Step(slot));
    }

    fn create<H: Host>(&mut self, slot: Slot, container: u8, host: &mut H) {
        if host.lacks_config(slot, container) {
            self.cannot_start(slot, container, "CreateContainerConfigError", host);
            return;
        }
        let Some(step) = &mut self.pod_mut(slot).worker.step else { return };
        let attempt = step.seen.newest(container).map_or(0, |run| run.attempt + 1);
        step.busy = Some(Busy::Create(container));
        self.begin(slot, Call::Create { container, attempt }, host);
    }

    /// CreateContainer returned.
    pub(super) fn created<H: Host>(
        &mut self,
        slot: Slot,
        (container, attempt): (u8, u32),
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        if outcome == Outcome::Ok {
            let id = self.pod_mut(slot).add_run(container, attempt, now);
            host.event(slot, Some(container), Say::Created);
            self.set_busy(slot, Some(Busy::Launch(container, id)));
            self.begin(slot, Call::Start { container, attempt }, host);
            return;
        }
        host.event(slot, Some(container), Say::CreateFailed);
        self.set_busy(slot, None);
        self.start_failed(slot, container, "CreateContainerError", None);
        self.work.push_back(Work::Step(slot));
    }

    /// StartContainer returned.
    pub(super) fn launched<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        let pod = self.pod_mut(slot);
        let Some(step) = &mut pod.worker.step else { return };
        let Some(Busy::Launch(_, id)) = step.busy.take() else { return };
        if outcome != Outcome::Ok {
            let exit = Exit { code: 128, reason: "StartError" };
            pod.set_run(id, RunState::Exited(exit, None, now), now);
            host.event(slot, Some(container), Say::RunFailed);
            self.start_failed(slot, container, "RunContainerError", None);
            self.work.push_back(Work::Step(slot));
            return;
        }
        if pod.runtime.by_id(id).is_some_and(|run| run.exit().is_none()) {
            pod.set_run(id, RunState::Running(now), now);
        }
        host.event(slot, Some(container), Say::Started);
        if nth(&self.pod(slot).input.spec, container).post_start.is_some() {
            self.set_busy(slot, Some(Busy::Hook(container, id)));
            self.begin(slot, Call::Hook { container, is_post_start: true }, host);
        } else {
            self.started(slot, container);
        }
    }

    fn started(&mut self, slot: Slot, container: u8) {
        self.pod_mut(slot).reasons.retain(|(of, _)| *of != container);
        self.set_busy(slot, None);
        self.work.push_back(Work::Step(slot));
    }

    /// A postStart hook ended (rule N67).
    pub(super) fn post_started<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        let Some(step) = &mut self.pod_mut(slot).worker.step else { return };
        let Some(Busy::Hook(_, id)) = step.busy else { return };
        if outcome == Outcome::Ok {
            self.started(slot, container);
            return;
        }
        host.event(slot, Some(container), Say::PostStartFailed);
        let after = AfterKills::HookFailed(container);
        self.kill(slot, &[(id, Kill::PostStart)], How::alone(after), now, host);
    }

    /// A container could not be started: a regular init container ends the list.
    pub(super) fn start_failed(
        &mut self,
        slot: Slot,
        container: u8,
        reason: &'static str,
        until: Option<SimTime>,
    ) {
        let pod = self.pod_mut(slot);
        pod.reasons.retain(|(of, _)| *of != container);
        pod.reasons.push((container, reason));
        let spec = Arc::clone(&pod.input.spec);
        let Some(step) = &mut pod.worker.step else { return };
        match until {
            None => step.has_failed = true,
            Some(until) => {
                step.backoff = Some(step.backoff.map_or(until, |before| before.min(until)));
            }
        }
        if is_init(&spec, container) && !is_sidecar(&spec, container) {
            step.todo.clear();
        }
    }
}
