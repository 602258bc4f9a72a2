//! A pod's status, as the kubelet builds and writes it (rules N10, N87 to N89).

use crate::cluster::{Phase, Write};
use crate::event::KubeletStep;
use crate::model::WorkloadKind;

use super::state::{NEVER, Process};
use super::worker::Worker;

impl Worker<'_, '_> {
    /// Builds the status from what the kubelet knows now.
    pub(super) fn build_status(&mut self) {
        let counts = |c: u8| !self.is_init(c) || self.is_sidecar(c);
        let all_ready = self.all().filter(|c| counts(*c)).all(|c| self.is_ready(c));
        let gates_open = self.template.spec.readiness_gates.is_empty();
        let waits = self.all().any(|c| self.at(c).restart_due != NEVER);
        let status = &mut self.state.status;
        status.ready = self.state.initialised && all_ready && gates_open;
        status.reason = match self.state.blocked {
            "" if waits => "CrashLoopBackOff",
            reason => reason,
        };
    }

    /// Whether a container is ready: it runs, as far as the kubelet knows, it has started, and
    /// its readiness probe passes if it has one.
    fn is_ready(&self, c: u8) -> bool {
        let container = self.at(c);
        let runs = match container.process {
            Process::Running => !container.fresh,
            Process::Exited => !container.seen,
            Process::Due => false,
        };
        let passes = container.is_ready || self.spec(c).readiness.is_none();
        runs && container.is_started && passes
    }

    /// Writes the status if the API has another one: after the latency of a write, the latest
    /// then, one write at a time. `landing`: such a write lands now.
    pub(super) fn flush(&mut self, landing: bool) {
        let is_landing = landing && self.state.write_due == self.now;
        if is_landing {
            self.state.write_due = NEVER;
        }
        let is_known = self.state.status == self.row.status;
        if self.is_removed || is_known || self.state.write_due != NEVER {
            return;
        }
        if !is_landing {
            let delay = self.draw(&self.model.latencies.status_write);
            if !delay.is_zero() {
                self.state.write_due = self.now + delay;
                return self.later(self.state.write_due, KubeletStep::StatusWrite);
            }
        }
        let (pod, status) = (self.pod, self.state.status);
        self.plan.push(Write::PodStatus { pod, status });
        // The submitter of a generated pod deletes it when it has ended (decision 12).
        let has_ended = matches!(status.phase, Phase::Succeeded | Phase::Failed);
        if has_ended && self.row.origin == WorkloadKind::Generator {
            self.plan.push(Write::DeletePod { pod, grace: None });
        }
    }
}
