//! What the API gets of a kubelet: statuses and the last word about a pod (rules N10, N88, N89).
//!
//! What a kubelet writes of a pod in one instant is one write.

use super::host::Port;
use super::machine::{self, ContainerStatus, Machine, Slot, State, Status};
use super::node::Row;
use crate::base::Ip;
use crate::cluster::{ContainerExit, Disruption, Exits, Phase, Pod, PodStatus, Write};
use crate::event::SlotStep;
use crate::model::{PodRef, WorkloadKind};

/// What is to be written of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pod: PodRef,
    status: Option<PodStatus>,
    /// The kubelet ends it (rule N133).
    is_disrupted: bool,
    is_last: bool,
}

impl Port<'_, '_> {
    fn word(&mut self, pod: PodRef) -> &mut Word {
        let words = &mut self.state.words;
        let at = words.iter().position(|word| word.pod == pod).unwrap_or_else(|| {
            words.push(Word { pod, status: None, is_disrupted: false, is_last: false });
            words.len() - 1
        });
        &mut words[at]
    }

    /// A PATCH of the status.
    pub(super) fn write_status(&mut self, slot: Slot, status: &Status) {
        let Some(row) = self.state.row(slot) else { return };
        let Some(api) = self.cluster.pod(row.pod) else { return };
        if status.phase.is_terminal() {
            self.state.resizes.is_due = true;
        }
        let Some(row) = self.state.row(slot) else { return };
        let is_disrupted = status.conditions.disruption.is_some_and(|told| told.is_true);
        let (pod, status) = (row.pod, translate(row, api, status));
        if let Some(row) = self.state.row_mut(slot) {
            row.last = Some(status);
        }
        if status.ip.is_some() {
            self.await_gates(slot);
        }
        let word = self.word(pod);
        (word.status, word.is_disrupted) = (Some(status), is_disrupted);
    }

    /// The pod has an address: its readiness gates will be opened, if somebody does that.
    fn await_gates(&mut self, slot: Slot) {
        let Some(row) = self.state.row_mut(slot) else { return };
        if row.gates_are_due || row.template.spec.readiness_gates.is_empty() {
            return;
        }
        row.gates_are_due = true;
        let template = std::sync::Arc::clone(&row.template);
        let Some(law) = template.behaviors.iter().find_map(|own| own.gates.as_ref()) else {
            return;
        };
        let at = self.now.saturating_add(law.sample_duration(&mut self.state.apps));
        self.later(at, slot, SlotStep::Gates);
    }

    /// Something outside of the cluster has opened all of a pod's readiness gates.
    pub(super) fn gates_open(&mut self, slot: Slot, machine: &mut Machine) {
        if let Some(row) = self.state.row_mut(slot) {
            row.gates_are_open = true;
            self.gates_told(slot, machine);
        }
    }

    /// Which readiness gates are open, as the API has it (rule N88).
    pub(super) fn gates_told(&mut self, slot: Slot, machine: &mut Machine) {
        let Some(row) = self.state.row(slot) else { return };
        let Some(api) = self.cluster.pod(row.pod) else { return };
        let all = if row.gates_are_open { u32::MAX } else { 0 };
        let (mut open, mut told) = (all, all);
        for (gate, name) in row.template.spec.readiness_gates.iter().enumerate().take(32) {
            let own = api.conditions.iter().find(|(kind, _)| kind == name);
            if let Some((_, is_true)) = own {
                told |= 1 << gate;
                open = if *is_true { open | 1 << gate } else { open & !(1 << gate) };
            }
        }
        machine.gates_told(slot, open, told, self.now, self);
    }

    /// What of a pod has changed in the API before the kubelet saw it first.
    pub(super) fn catch_up(&mut self, slot: Slot, machine: &mut Machine) {
        let api = self.state.row(slot).and_then(|row| self.cluster.pod(row.pod));
        let Some(api) = api else { return };
        if api.resize.is_some() {
            self.state.tell(slot);
        }
        if !api.conditions.is_empty() {
            self.gates_told(slot, machine);
        }
    }

    /// The DELETE of a pod whose end is complete.
    pub(super) fn remove_object(&mut self, slot: Slot) {
        if let Some(row) = self.state.row(slot) {
            let pod = row.pod;
            self.word(pod).is_last = true;
        }
    }

    /// The API server is there again: what differs there is written again (the status manager's
    /// reconciliation, rule N10).
    pub(super) fn write_again(&mut self) {
        for slot in self.state.slots() {
            let Some(row) = self.state.row(slot) else { continue };
            let (pod, last) = (row.pod, row.last);
            if last.is_some() && self.cluster.pod(pod).is_some() {
                let word = self.word(pod);
                word.status = word.status.or(last);
            }
        }
    }

    /// Everything that was written in this event.
    ///
    /// A kubelet that is cut off keeps it for later.
    pub(super) fn flush(&mut self) {
        if self.cluster.nodes()[self.node].is_cut() {
            return;
        }
        self.flush_promises();
        let mut words = std::mem::take(&mut self.state.words);
        for Word { pod, status, is_disrupted, is_last } in words.drain(..) {
            let Some(api) = self.cluster.pod(pod) else { continue };
            if is_disrupted && api.disruption.is_none() {
                let reason = Some(Disruption::TerminationByKubelet);
                self.plan.push(Write::Disruption { pod, reason });
            }
            // The end of a pod that goes at the same instant interests nobody but a Job, which
            // must see the phase first (rules C117, N129).
            let status = status.filter(|status| *status != api.status);
            if let Some(status) = status.filter(|_| !is_last || api.is_tracked) {
                self.plan.push(Write::PodStatus { pod, status });
                // The submitter of a generated pod deletes it when it has ended (decision 12).
                let has_ended = matches!(status.phase, Phase::Succeeded | Phase::Failed);
                if has_ended && api.origin == WorkloadKind::Generator && !is_last {
                    self.plan.push(Write::DeletePod { pod, grace: None });
                }
            }
            if is_last {
                self.plan.push(Write::RemovePod { pod });
            }
        }
        self.state.words = words;
    }
}

/// The kubelet's status as the cluster keeps it: instants are exact there.
fn translate(row: &Row, api: &Pod, status: &Status) -> PodStatus {
    let phase = match status.phase {
        machine::Phase::Pending => Phase::Pending,
        machine::Phase::Running => Phase::Running,
        machine::Phase::Succeeded => Phase::Succeeded,
        machine::Phase::Failed => Phase::Failed,
    };
    let is_terminal = status.phase.is_terminal();
    let ended = || row.processes.iter().filter_map(|process| process.finished).max();
    // A pod that is ended by its deletion has not finished; a Job asks when it ended.
    let has_finished = is_terminal && (api.deletion.is_none() || api.is_tracked);
    PodStatus {
        phase,
        ready: status.conditions.ready.is_some_and(|ready| ready.is_true),
        ip: status.ip.and_then(Ip::new),
        start_time: status.start.map(|_| row.taken),
        started: row.started.filter(|_| phase != Phase::Pending),
        finished: has_finished.then(|| ended().unwrap_or(row.taken)),
        restarts: restarts(row, &status.containers),
        reason: reason(status),
        exits: if is_terminal { exits(row, &status.containers) } else { Exits::NONE },
    }
}

/// How often containers were started again, init containers left out.
fn restarts(row: &Row, containers: &[ContainerStatus]) -> u32 {
    let each = (0_u8..).zip(containers);
    let counts = each.filter(|(c, _)| !row.is_init(*c) || row.is_sidecar(*c));
    counts.map(|(_, container)| container.restarts).sum()
}

/// The pod's reason, or why one of its containers cannot run.
fn reason(status: &Status) -> &'static str {
    let waits = |container: &ContainerStatus| match container.state {
        State::Waiting("" | "ContainerCreating" | "PodInitializing") => None,
        State::Waiting(reason) => Some(reason),
        State::Running(_) | State::Terminated(_) => None,
    };
    match status.reason {
        "" => status.containers.iter().find_map(waits).unwrap_or(""),
        reason => reason,
    }
}

/// The codes other than 0 of ended containers: main containers first.
fn exits(row: &Row, containers: &[ContainerStatus]) -> Exits {
    let inits = row.template.spec.init_containers.len().min(containers.len());
    let (inits, mains) = containers.split_at(inits);
    let ends = mains.iter().chain(inits).zip(0..).map(|(status, container)| {
        let code = match status.state {
            State::Terminated(ended) => ended.code,
            State::Waiting(_) | State::Running(_) => 0,
        };
        ContainerExit { container, code }
    });
    Exits::of(ends)
}
