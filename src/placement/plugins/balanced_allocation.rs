//! NodeResourcesBalancedAllocation: nodes whose CPU and memory fill evenly come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go
//! `balancedResourceScorer` (rule S90; recorded). Differs: resources cpu and memory only.

use crate::base::cast;
use crate::model::{PodSpec, Resource};

use super::super::nodes::NodeState;
use super::super::world::World;

/// Whether the plugin says nothing of this pod: it asks for none of the resources.
#[must_use]
pub fn skips(pod: &PodSpec, world: &World<'_>) -> bool {
    let wants = &pod.requests;
    world.profile.args.balanced_resources.iter().all(|resource| match resource {
        Resource::Cpu => wants.cpu.0 == 0,
        Resource::Memory => wants.memory.0 == 0,
        Resource::EphemeralStorage => wants.ephemeral_storage.0 == 0,
        Resource::Scalar(name) => wants.scalar(*name) == 0,
    })
}

/// The score of a node.
#[must_use]
pub fn score(pod: &PodSpec, node: &NodeState, _world: &World<'_>) -> i64 {
    let (taken, wanted, of) = (&node.usage.requested, &pod.requests, &node.spec.allocatable);
    let [taken, wanted, of] = [taken, wanted, of].map(|r| [r.cpu.0, r.memory.0]);
    score_of_two(taken, wanted, of)
}

/// The score of CPU (millicores) and memory (bytes): `taken` without the pod, `wanted` by it, both
/// without the scheduler's defaults.
#[must_use]
pub fn score_of_two(taken: [i64; 2], wanted: [i64; 2], allocatable: [i64; 2]) -> i64 {
    let with = [taken[0] + wanted[0], taken[1] + wanted[1]];
    gain(evenness(with, allocatable), evenness(taken, allocatable))
}

/// What the pod does to the evenness of the node.
pub(in super::super) const fn gain(with: i64, without: i64) -> i64 {
    50 + (50 + with - without) / 2
}

/// 100 for equal parts taken, less by half the difference of the parts.
pub(in super::super) fn evenness(requested: [i64; 2], allocatable: [i64; 2]) -> i64 {
    let part = |of: usize| {
        let part = cast::f64_of_i64(requested[of]) / cast::f64_of_i64(allocatable[of]);
        if part > 1.0 { 1.0 } else { part }
    };
    let deviation = if allocatable[0] == 0 || allocatable[1] == 0 {
        0.0
    } else {
        ((part(0) - part(1)) / 2.0).abs()
    };
    cast::i64_trunc((1.0 - deviation) * 100.0)
}

/// The same of the parts themselves, of a node that has both resources.
#[inline]
pub(in super::super) fn evenness_of_parts(parts: [f64; 2]) -> i64 {
    let [one, other] = parts.map(|part| if part > 1.0 { 1.0 } else { part });
    cast::i64_trunc((1.0 - ((one - other) / 2.0).abs()) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: i64 = 1 << 30;

    #[test]
    fn scores_as_in_v6() {
        let node = [4000, 16 * GIB];
        assert_eq!(evenness([3000, 2 * GIB], node), 68);
        assert_eq!(evenness([4000, 0], node), 50);
        assert_eq!(score_of_two([0, 0], [1000, 2 * GIB], node), 71);
        assert_eq!(score_of_two([3000, 2 * GIB], [0, 8 * GIB], node), 87);
        assert_eq!(score_of_two([0, 0], [4000, 0], node), 50);
    }
}
