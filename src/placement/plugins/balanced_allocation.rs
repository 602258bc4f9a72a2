//! NodeResourcesBalancedAllocation: nodes whose CPU and memory fill evenly come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go
//! `balancedResourceScorer` (rule S90; recorded).

use smallvec::SmallVec;

use crate::base::{cast, math};
use crate::model::{PodSpec, Resource, Resources};

use super::super::nodes::NodeState;
use super::super::world::World;

/// Whether the plugin says nothing of this pod: it asks for none of the resources.
#[must_use]
pub fn skips(pod: &PodSpec, world: &World<'_>) -> bool {
    let wanted = |resource: &Resource| amount(&pod.requests, *resource);
    world.profile.args.balanced_resources.iter().all(|resource| wanted(resource) == 0)
}

fn amount(of: &Resources, resource: Resource) -> i64 {
    match resource {
        Resource::Cpu => of.cpu.0,
        Resource::Memory => of.memory.0,
        Resource::EphemeralStorage => of.ephemeral_storage.0,
        Resource::Scalar(name) => of.scalar(name),
    }
}

/// The score of a node.
#[must_use]
pub fn score(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> i64 {
    let (usage, of) = (&node.usage.requested, &node.spec.allocatable);
    let (mut with, mut without) = (Parts::new(), Parts::new());
    for resource in &world.profile.args.balanced_resources {
        let wanted = amount(&pod.requests, *resource);
        let allocatable = amount(of, *resource);
        let is_left_out = matches!(resource, Resource::Scalar(_)) && wanted == 0;
        if allocatable == 0 || is_left_out {
            continue;
        }
        let taken = amount(usage, *resource);
        with.push(part(taken + wanted, allocatable));
        without.push(part(taken, allocatable));
    }
    gain(evenness_of(&with), evenness_of(&without))
}

type Parts = SmallVec<[f64; 4]>;

fn part(requested: i64, allocatable: i64) -> f64 {
    let part = cast::f64_of_i64(requested) / cast::f64_of_i64(allocatable);
    if part > 1.0 { 1.0 } else { part }
}

/// 100 for equal parts taken, less by their standard deviation, cut off.
fn evenness_of(parts: &[f64]) -> i64 {
    let deviation = match parts {
        [] | [_] => 0.0,
        [one, other] => ((one - other) / 2.0).abs(),
        several => {
            let count = cast::f64_of_usize(several.len());
            // Sums from the left, as written: the last bit may decide.
            let mut total = 0.0;
            several.iter().for_each(|part| total += part);
            let mean = total / count;
            let mut sum = 0.0;
            several.iter().for_each(|part| sum += (part - mean) * (part - mean));
            math::sqrt(sum / count)
        }
    };
    cast::i64_trunc((1.0 - deviation) * 100.0)
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

/// 100 for equal parts taken of CPU and memory, less by half the difference of the parts.
pub(in super::super) fn evenness(requested: [i64; 2], allocatable: [i64; 2]) -> i64 {
    if allocatable.contains(&0) {
        return 100;
    }
    evenness_of(&[part(requested[0], allocatable[0]), part(requested[1], allocatable[1])])
}

/// The same of a node that has both resources, with the inverses of what it has, nearly: the
/// divisions are made only where the estimate is too near to a whole number to be sure.
#[inline]
pub(in super::super) fn evenness_near(
    requested: [i64; 2],
    allocatable: [i64; 2],
    inverse: [f64; 2],
) -> i64 {
    /// The estimate is off by less: twice the error of a 24-bit inverse, in percent.
    const DOUBT: f64 = 1e-4;
    let part = |of: usize| (cast::f64_of_i64(requested[of]) * inverse[of]).min(1.0);
    let near = (1.0 - ((part(0) - part(1)) / 2.0).abs()) * 100.0;
    let whole = cast::i64_trunc(near);
    let rest = near - cast::f64_of_i64(whole);
    let is_sure = (DOUBT..=1.0 - DOUBT).contains(&rest);
    if is_sure { whole } else { evenness(requested, allocatable) }
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

    #[test]
    fn several_resources_by_their_standard_deviation() {
        assert_eq!(evenness_of(&[]), 100);
        assert_eq!(evenness_of(&[0.3]), 100);
        // Mean 0.5, squares 0.16, 0 and 0.16: the root of 0.32 / 3 is 0.326.
        assert_eq!(evenness_of(&[0.1, 0.5, 0.9]), 67);
    }
}
