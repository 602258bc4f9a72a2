//! The orderly shutdown of a machine: its kubelet puts it off until the pods have ended, group by
//! group (rules N45, N132, N133).
//!
//! ```text
//! shutdown ─► NotReady, no more pods ─► ordinary pods ─► critical pods ─► power off
//!                                       (or other groups, by priority)
//! ```
//!
//! Pods end as Failed for the reason `Terminated`, or as they do themselves (rule N133); nobody
//! asks budgets, and no DELETE is sent. A kubelet without `shutdownGracePeriod` puts nothing off:
//! the machine is off at once.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/nodeshutdown (`nodeshutdown_manager_linux.go`
//! `processShutdownEvent`, `nodeshutdown_manager.go` `killPods`, `groupByPriority`). Differs: the
//! machine is off 2 s after its last pod (an assumption).

use super::host::Port;
use super::machine::{Machine, Slot};
use super::node::NEVER;
use crate::base::{Duration, SimTime};
use crate::cluster::Write;
use crate::event::{Event, KubeletNodeStep};
use crate::model::PodRef;

/// The reason of a pod that ends because its machine shuts down.
const TERMINATED: &str = "Terminated";
/// The reason of a pod that comes meanwhile.
pub(super) const NODE_SHUTDOWN: &str = "NodeShutdown";
/// From the end of the last pod to the end of the machine.
const POWER_OFF: Duration = Duration::secs(2);

/// How far a shutdown is.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// The groups: from which priority on, and how long each has.
    groups: Vec<(i32, Duration)>,
    /// Which has its turn; their number: none is left.
    group: usize,
    /// The pods that are waited for.
    pods: Vec<(Slot, PodRef)>,
    /// Until when; then, when the machine is off.
    until: SimTime,
}

impl Port<'_, '_> {
    /// The machine is to shut down.
    pub(super) fn shut_down(&mut self, machine: &mut Machine) {
        let node = self.node;
        let row = &self.cluster.nodes()[node];
        if !row.is_up || self.state.shutdown.is_some() {
            return;
        }
        let groups = row.spec.kubelet.shutdown_groups();
        if groups.is_empty() {
            self.plan.push(Write::NodeUp { node, is_up: false });
            return;
        }
        let text = || "Shutdown manager detected shutdown event".to_owned();
        self.tell_of_node(false, "NodeShutdown", text);
        self.state.shutdown = Some(Shutdown { groups, group: 0, pods: Vec::new(), until: NEVER });
        let write = self.latencies().status_write.sample_duration(&mut self.state.machinery);
        self.report_at(self.now + write);
        self.end_group(machine);
    }

    /// The time of a group is over, or that of the machine.
    pub(super) fn shutdown_is_due(&mut self, machine: &mut Machine) {
        let node = self.node;
        let Some(Shutdown { groups, group, until, .. }) = &self.state.shutdown else { return };
        if *until != self.now {
            return;
        }
        if *group == groups.len() {
            self.plan.push(Write::NodeUp { node, is_up: false });
        } else {
            self.next_group(machine);
        }
    }

    /// Goes on when all pods of a group have stopped. Gives whether it did something.
    pub(super) fn shutdown_goes_on(&mut self, machine: &mut Machine) -> bool {
        let Some(Shutdown { groups, group, pods, .. }) = &self.state.shutdown else {
            return false;
        };
        let has_stopped = |(slot, pod): &(Slot, PodRef)| {
            let is_there = self.state.row(*slot).is_some_and(|row| row.pod == *pod);
            !is_there || machine.has_stopped(*slot)
        };
        let is_over = *group < groups.len() && pods.iter().all(has_stopped);
        if is_over {
            self.next_group(machine);
        }
        is_over
    }

    fn next_group(&mut self, machine: &mut Machine) {
        if let Some(shutdown) = &mut self.state.shutdown {
            shutdown.group += 1;
            self.end_group(machine);
        }
    }

    /// Ends the pods of the group that has its turn.
    fn end_group(&mut self, machine: &mut Machine) {
        let now = self.now;
        let Some(Shutdown { groups, group, .. }) = &self.state.shutdown else { return };
        let Some((_, most)) = groups.get(*group).copied() else {
            let is_ideal = self.latencies().relist.is_zero();
            let off = if is_ideal { now } else { now + POWER_OFF };
            return self.wait_until(off, Vec::new());
        };
        let members = machine.active().filter_map(|slot| {
            let row = self.state.row(slot)?;
            let spec = &row.template.spec;
            (group_of(groups, spec.priority) == *group).then_some((slot, row.pod, spec.grace))
        });
        let members: Vec<_> = members.collect();
        let pods = members.iter().map(|(slot, pod, _)| (*slot, *pod)).collect();
        self.wait_until(now + most, pods);
        for (slot, _, own) in members {
            machine.evict(slot, TERMINATED, own.min(most), now, self);
        }
    }

    fn wait_until(&mut self, until: SimTime, pods: Vec<(Slot, PodRef)>) {
        if let Some(shutdown) = &mut self.state.shutdown {
            (shutdown.until, shutdown.pods) = (until, pods);
            let step = KubeletNodeStep::ShutdownGoesOn;
            self.ctx.at(until, Event::KubeletNode { node: self.node, step });
        }
    }
}

/// The group of a pod: the last one from whose priority on it is; who is below all is in the first.
fn group_of(groups: &[(i32, Duration)], priority: i32) -> usize {
    groups.iter().rposition(|(from, _)| *from <= priority).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::group_of;
    use crate::base::Duration;

    /// Rule N132.
    #[test]
    fn pods_go_with_the_group_below_their_priority() {
        let groups = [0, 1000, 2_000_000_000].map(|from| (from, Duration::secs(9)));
        let of = |priority| group_of(&groups, priority);
        assert_eq!([-5, 0, 999, 1000, 1_999_999_999].map(of), [0, 0, 0, 1, 1]);
        assert_eq!([2_000_000_000, i32::MAX].map(of), [2, 2]);
    }
}
