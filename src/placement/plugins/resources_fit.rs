//! NodeResourcesFit: requests must fit; emptier nodes, or fuller ones, come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/noderesources/fit.go `fitsRequest`,
//! least_allocated.go, most_allocated.go, requested_to_capacity_ratio.go (rules S86 to S89;
//! recorded).

use smallvec::SmallVec;

use crate::base::{Symbol, cast};
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

/// Whether the profile ignores a resource: by its name or its group. Only extended resources can
/// be ignored.
fn is_ignored(name: Symbol, world: &World<'_>) -> bool {
    let args = &world.profile.args;
    if args.ignored_resources.is_empty() && args.ignored_groups.is_empty() {
        return false;
    }
    let text = world.names.resolve(name);
    let Some((group, _)) = text.split_once('/') else { return false };
    let is_extended = !text.contains("kubernetes.io/") && !text.starts_with("requests.");
    let is_named = || args.ignored_resources.contains(&name);
    is_extended && (is_named() || args.ignored_groups.iter().any(|ignored| ignored == group))
}

/// The score (rules S87 to S89).
#[must_use]
pub fn score(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> i64 {
    let args = &world.profile.args;
    let inputs = args.fit_resources.iter().map(|(resource, weight)| {
        let (requested, allocatable) = input(pod, node, *resource);
        (*weight, requested, allocatable)
    });
    score_of_inputs(&args.scoring, inputs)
}

/// The score of resources, each with its weight, what is requested of it with the pod on the node,
/// and what there is of it (rule S89).
pub(in super::super) fn score_of_inputs(
    scoring: &Scoring,
    resources: impl Iterator<Item = (i64, i64, i64)>,
) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    let by_curve = matches!(scoring, Scoring::RequestedToCapacityRatio(_));
    for (weight, requested, allocatable) in resources {
        if allocatable == 0 {
            continue;
        }
        let score = match scoring {
            Scoring::LeastAllocated => least(requested, allocatable),
            Scoring::MostAllocated => most(requested, allocatable),
            Scoring::RequestedToCapacityRatio(points) => {
                on_curve(points, most(requested, allocatable))
            }
        };
        if score > 0 || !by_curve {
            sum += weight * score;
            weights += weight;
        }
    }
    if weights == 0 {
        0
    } else if by_curve {
        cast::i64_trunc((cast::f64_of_i64(sum) / cast::f64_of_i64(weights)).round())
    } else {
        sum / weights
    }
}

/// The score of a utilisation in percent on a curve through points of utilisation and score (0 to
/// 10).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/helper/shape_score.go
/// `BuildBrokenLinearFunction` (rule S89; recorded).
fn on_curve(points: &[(i64, i64)], utilization: i64) -> i64 {
    let scaled = |score: i64| score * (SCORE_MAX / 10);
    let right = points.iter().position(|(at, _)| utilization <= *at);
    let Some(right) = right else {
        return points.last().map_or(0, |(_, score)| scaled(*score));
    };
    let (to, high) = points[right];
    let Some(left) = right.checked_sub(1) else {
        return scaled(high);
    };
    let (from, low) = points[left];
    scaled(low) + (scaled(high) - scaled(low)) * (utilization - from) / (to - from)
}

/// What is requested of a resource with the pod on the node, and what there is; zeros of one that
/// does not count (rules S87, S88).
pub(in super::super) fn input(pod: &PodSpec, node: &NodeState, resource: Resource) -> (i64, i64) {
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

/// The score of CPU (millicores) and memory (bytes) with equal weights by emptiness (`is_most`: by
/// fullness): `requested` counts the pod and has the scheduler's defaults in it.
#[must_use]
pub fn score_of_two(is_most: bool, requested: [i64; 2], allocatable: [i64; 2]) -> i64 {
    let scoring = if is_most { Scoring::MostAllocated } else { Scoring::LeastAllocated };
    let inputs = requested.into_iter().zip(allocatable).map(|(wanted, of)| (1, wanted, of));
    score_of_inputs(&scoring, inputs)
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

    #[test]
    fn a_curve_is_cut_off_between_its_points() {
        let curve = [(0, 5), (30, 10), (100, 1)];
        let at = |utilization| on_curve(&curve, utilization);
        assert_eq!([0, 1, 29, 30, 31, 100].map(at), [50, 51, 98, 100, 99, 10]);
        assert_eq!(on_curve(&[(20, 3), (90, 3)], 95), 30);
        assert_eq!(on_curve(&[(20, 3), (90, 3)], 5), 30);
        // Resources that score 0 do not count, and the mean is rounded.
        let scoring = Scoring::RequestedToCapacityRatio(vec![(0, 0), (100, 10)]);
        let score = |of: &[(i64, i64, i64)]| score_of_inputs(&scoring, of.iter().copied());
        assert_eq!(score(&[(1, 0, 100), (3, 50, 100)]), 50);
        assert_eq!(score(&[(1, 50, 100), (1, 51, 100)]), 51);
        assert_eq!(score(&[(1, 0, 100), (1, 0, 0)]), 0);
    }
}
