//! The CPU of machines: where containers that share theirs by `sharing: cpu` want more together
//! than their machine has, each gets its part by weight (rule N97).
//!
//! ```text
//! Σ min(wanted, limit) ≤ cores: all run as they like, up to their quotas
//!                      > cores: what each wants, at most level · weight; level so that all is used
//! ```
//!
//! Who wants less than its part leaves the rest to the others. The parts change only when a call
//! begins or ends, so that nothing ticks.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/cm/helpers_linux.go `MilliCPUToShares` (rule N97; the
//! kernel's fair scheduler). Differs: pods weigh by what they ask for, without the groups of their
//! classes; a container that gets its whole limit on a full machine runs evenly, without freezes;
//! CPU that behaviours spend by a series takes nothing from calls.

use crate::base::{IdVec, MilliCpu, cast};
use crate::model::{NodeId, PodRef};

/// CPU in 2⁻¹⁶ of a core.
pub(super) type Units = u64;

/// All machines that have such containers.
#[derive(Clone, Debug, Default)]
pub(super) struct Machines(IdVec<NodeId, Machine>);

#[derive(Clone, Debug, Default)]
struct Machine {
    cores: Units,
    members: Vec<Member>,
    /// What all want.
    demand: Units,
    is_crowded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    pod: PodRef,
    /// CPU shares.
    weight: f64,
    demand: Units,
}

/// CPU shares of a pod that asks for so much.
fn shares(asked: MilliCpu) -> f64 {
    cast::f64_of_i64((asked.0 * 1024 / 1000).clamp(2, 262_144))
}

impl Machines {
    /// A pod's server has a process on a machine with so many cores.
    pub(super) fn join(&mut self, node: NodeId, cores: Units, pod: PodRef, asked: MilliCpu) {
        let machine = self.0.grow_to(node);
        machine.cores = cores;
        if machine.members.iter().all(|member| member.pod != pod) {
            machine.members.push(Member { pod, weight: shares(asked), demand: 0 });
        }
    }

    /// It is gone.
    pub(super) fn leave(&mut self, node: NodeId, pod: PodRef) {
        let Some(machine) = self.0.get_mut(node) else { return };
        if let Some(at) = machine.members.iter().position(|member| member.pod == pod) {
            machine.demand -= machine.members.remove(at).demand;
        }
    }

    /// A pod wants so much now. Gives the parts of all if they may have changed, in cores.
    pub(super) fn want(
        &mut self,
        node: NodeId,
        pod: PodRef,
        demand: Units,
    ) -> Option<Vec<(PodRef, f64)>> {
        let machine = self.0.get_mut(node)?;
        if let Some(member) = machine.members.iter_mut().find(|member| member.pod == pod) {
            machine.demand = machine.demand - member.demand + demand;
            member.demand = demand;
        }
        let was_crowded = machine.is_crowded;
        machine.is_crowded = machine.demand > machine.cores;
        (was_crowded || machine.is_crowded).then(|| machine.parts())
    }
}

const fn cores_of(units: Units) -> f64 {
    cast::f64_of_u64(units) / 65_536.0
}

impl Machine {
    /// What each gets: all that it wants, or its weight times the level at which the rest is used.
    fn parts(&self) -> Vec<(PodRef, f64)> {
        let all = cores_of(self.cores);
        if !self.is_crowded {
            return self.members.iter().map(|member| (member.pod, all)).collect();
        }
        let by_need = |member: &Member| cores_of(member.demand) / member.weight;
        let mut order: Vec<&Member> = self.members.iter().collect();
        order.sort_by(|a, b| by_need(a).total_cmp(&by_need(b)).then(a.pod.cmp(&b.pod)));
        let mut weights: f64 = order.iter().map(|member| member.weight).sum();
        let mut left = all;
        let part = |member: &Member| {
            let most = left * member.weight / weights;
            let part = cores_of(member.demand).min(most);
            left -= part;
            weights -= member.weight;
            (member.pod, part)
        };
        order.into_iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PodId;

    const CORE: Units = 1 << 16;

    fn pod(number: u32) -> PodRef {
        PodRef { id: PodId::new(number), life: 0 }
    }

    /// Rule N97: 4 cores for pods that ask for 125m, 375m and 625m. The last wants 1 core only: the
    /// others have 3 for 1 : 3.
    #[test]
    fn a_full_machine_is_shared_by_weight() {
        let (mut machines, node) = (Machines::default(), NodeId::new(0));
        for (number, milli) in [(0, 125), (1, 375), (2, 625)] {
            machines.join(node, 4 * CORE, pod(number), MilliCpu(milli));
        }
        assert_eq!(machines.want(node, pod(0), 2 * CORE), None);
        assert_eq!(machines.want(node, pod(2), CORE), None);
        let by_pod = |parts: Option<Vec<(PodRef, f64)>>| {
            let mut parts = parts.expect("not all get what they want, or did not");
            parts.sort_by_key(|(pod, _)| *pod);
            parts
        };
        let parts = by_pod(machines.want(node, pod(1), 4 * CORE));
        assert_eq!(parts, [(pod(0), 0.75), (pod(1), 2.25), (pod(2), 1.0)]);
        machines.leave(node, pod(2));
        let parts = by_pod(machines.want(node, pod(1), 4 * CORE));
        assert_eq!(parts, [(pod(0), 1.0), (pod(1), 3.0)]);
        // Enough for all again: said once.
        let parts = by_pod(machines.want(node, pod(1), CORE));
        assert_eq!(parts, [(pod(0), 4.0), (pod(1), 4.0)]);
        assert_eq!(machines.want(node, pod(1), 0), None);
        assert_eq!((shares(MilliCpu(0)), shares(MilliCpu(1000))), (2.0, 1024.0));
    }
}
