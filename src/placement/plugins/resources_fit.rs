//! NodeResourcesFit: requests must fit; emptier nodes, or fuller ones, come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/noderesources/fit.go `fitsRequest`,
//! least_allocated.go, most_allocated.go (rules S86 to S89; recorded). Differs: no
//! RequestedToCapacityRatio.

use smallvec::SmallVec;

use crate::base::Symbol;
use crate::model::{PodSpec, Resource, Scoring};

use super::super::nodes::NodeState;
use super::super::select::SCORE_MAX;
use super::super::verdict::{Code, Plugin, Reason, Rejection};
use super::super::world::World;

/// The filter: all that is insufficient, not the first only.
///
/// # Errors
/// If something is insufficient; final if the empty node had too little of it.
pub fn filter(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> Result<(), Rejection> {
    let mut reasons: SmallVec<[Reason; 2]> = SmallVec::new();
    let mut code = Code::Unschedulable;
    let (allocatable, taken) = (&node.spec.allocatable, &node.usage.requested);
    if node.usage.pods + 1 > node.spec.pods_max {
        reasons.push(Reason::TooManyPods);
    }
    let mut need = |reason, wanted: i64, of: i64, taken: i64| {
        if wanted > of - taken {
            reasons.push(reason);
            if wanted > of {
                code = Code::UnschedulableAndUnresolvable;
            }
        }
    };
    let wants = &pod.requests;
    let fixed = [
        (Reason::InsufficientCpu, wants.cpu.0, allocatable.cpu.0, taken.cpu.0),
        (Reason::InsufficientMemory, wants.memory.0, allocatable.memory.0, taken.memory.0),
        (
            Reason::InsufficientEphemeralStorage,
            wants.ephemeral_storage.0,
            allocatable.ephemeral_storage.0,
            taken.ephemeral_storage.0,
        ),
    ];
    for (reason, wanted, of, taken) in fixed {
        if wanted > 0 {
            need(reason, wanted, of, taken);
        }
    }
    for (name, wanted) in &wants.scalars {
        if *wanted != 0 && !is_ignored(*name, world) {
            need(
                Reason::Insufficient(*name),
                *wanted,
                allocatable.scalar(*name),
                taken.scalar(*name),
            );
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Rejection { plugin: Plugin::NodeResourcesFit, code, reasons })
}

/// Whether the profile ignores an extended resource: by its name or its group.
fn is_ignored(name: Symbol, world: &World<'_>) -> bool {
    let args = &world.profile.args;
    let group = || world.names.resolve(name).split_once('/').map(|(group, _)| group);
    args.ignored_resources.contains(&name)
        || (!args.ignored_groups.is_empty()
            && group().is_some_and(|group| args.ignored_groups.iter().any(|g| g == group)))
}

/// Whether the pod would fit on the node if it were empty: the hint for nodes that are new or have
/// grown (rule S150).
#[must_use]
pub fn fits_empty(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> bool {
    filter(pod, &NodeState::empty(node.spec.clone()), world).is_ok()
}

/// The score (rules S87 to S89).
#[must_use]
pub fn score(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> i64 {
    let args = &world.profile.args;
    let (mut sum, mut weights) = (0, 0);
    for (resource, weight) in &args.fit_resources {
        let (requested, allocatable) = input(pod, node, *resource);
        if allocatable != 0 {
            sum += weight * resource_score(&args.scoring, requested, allocatable);
            weights += weight;
        }
    }
    if weights == 0 { 0 } else { sum / weights }
}

/// What is requested of a resource with the pod on the node, and what there is; zeros of one that
/// does not count (rules S87, S88).
fn input(pod: &PodSpec, node: &NodeState, resource: Resource) -> (i64, i64) {
    let (usage, of, wants) = (&node.usage, &node.spec.allocatable, &pod.scored_requests);
    match resource {
        Resource::Cpu => (usage.nonzero_requested.0.0 + wants.cpu.0, of.cpu.0),
        Resource::Memory => (usage.nonzero_requested.1.0 + wants.memory.0, of.memory.0),
        Resource::EphemeralStorage => (
            usage.requested.ephemeral_storage.0 + wants.ephemeral_storage.0,
            of.ephemeral_storage.0,
        ),
        Resource::Scalar(name) => match wants.scalar(name) {
            0 => (0, 0),
            wanted => (usage.requested.scalar(name) + wanted, of.scalar(name)),
        },
    }
}

fn resource_score(scoring: &Scoring, requested: i64, allocatable: i64) -> i64 {
    match scoring {
        Scoring::LeastAllocated => least(requested, allocatable),
        Scoring::MostAllocated | Scoring::RequestedToCapacityRatio(_) => {
            most(requested, allocatable)
        }
    }
}

/// The score of CPU (millicores) and memory (bytes) with equal weights by emptiness (`is_most`: by
/// fullness): `requested` counts the pod and has the scheduler's defaults in it.
#[must_use]
pub fn score_of_two(is_most: bool, requested: [i64; 2], allocatable: [i64; 2]) -> i64 {
    let (mut sum, mut resources) = (0, 0);
    for (requested, allocatable) in requested.into_iter().zip(allocatable) {
        if allocatable != 0 {
            let score = if is_most { most } else { least };
            sum += score(requested, allocatable);
            resources += 1;
        }
    }
    if resources == 0 { 0 } else { sum / resources }
}

/// The part that is left, in percent.
const fn least(requested: i64, allocatable: i64) -> i64 {
    if requested > allocatable {
        return 0;
    }
    (allocatable - requested) * SCORE_MAX / allocatable
}

/// The part that is taken, in percent.
const fn most(requested: i64, allocatable: i64) -> i64 {
    let requested = if requested > allocatable { allocatable } else { requested };
    requested * SCORE_MAX / allocatable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Bytes;

    /// V4: node of 4 cores and 16 GiB, empty; pod of 1 core and 2 GiB and a container without
    /// requests, which counts 100 m and 200 MiB.
    #[test]
    fn scores_as_in_v4() {
        let requested = [1100, Bytes::gib(2).0 + Bytes::mib(200).0];
        let allocatable = [4000, Bytes::gib(16).0];
        // (4000 - 1100) * 100 / 4000 = 72, memory 86; (72 + 86) / 2 = 79.
        assert_eq!(score_of_two(false, requested, allocatable), 79);
        // 27 and 13: 20.
        assert_eq!(score_of_two(true, requested, allocatable), 20);
        assert_eq!(score_of_two(false, [5000, 0], [4000, 0]), 0);
        assert_eq!(score_of_two(true, [5000, 0], [4000, 0]), 100);
        assert_eq!(score_of_two(true, [1, 1], [0, 0]), 0);
    }
}
