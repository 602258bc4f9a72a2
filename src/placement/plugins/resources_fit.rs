//! NodeResourcesFit: requests must fit; emptier nodes, or fuller ones, come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/noderesources/fit.go `fitsRequest`,
//! least_allocated.go, most_allocated.go (rules S86 to S89; recorded). Differs: resources cpu and
//! memory with weight 1 only; no RequestedToCapacityRatio; pod-level requests count in the score
//! of the incoming pod too (rule S88 ignores them).

use smallvec::SmallVec;

use crate::model::{PodSpec, Scoring};

use super::super::nodes::NodeState;
use super::super::select::SCORE_MAX;
use super::super::verdict::{Code, Plugin, Reason, Rejection};

/// The filter: all that is insufficient, not the first only.
///
/// # Errors
/// If something is insufficient; final if the empty node had too little of it.
pub fn filter(pod: &PodSpec, node: &NodeState) -> Result<(), Rejection> {
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
        if *wanted != 0 {
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

/// Whether the pod would fit on the node if it were empty: the hint for nodes that are new or have
/// grown (rule S150).
#[must_use]
pub fn fits_empty(pod: &PodSpec, node: &NodeState) -> bool {
    let empty = NodeState { spec: node.spec.clone(), usage: super::super::nodes::Usage::default() };
    filter(pod, &empty).is_ok()
}

/// The score of CPU (millicores) and memory (bytes): `requested` counts the pod and has the
/// scheduler's defaults in it.
#[must_use]
pub fn score(scoring: Scoring, requested: [i64; 2], allocatable: [i64; 2]) -> i64 {
    let (mut sum, mut resources) = (0, 0);
    for (requested, allocatable) in requested.into_iter().zip(allocatable) {
        if allocatable != 0 {
            sum += match scoring {
                Scoring::LeastAllocated => least(requested, allocatable),
                Scoring::MostAllocated => most(requested, allocatable),
            };
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
        assert_eq!(score(Scoring::LeastAllocated, requested, allocatable), 79);
        // 27 and 13: 20.
        assert_eq!(score(Scoring::MostAllocated, requested, allocatable), 20);
        assert_eq!(score(Scoring::LeastAllocated, [5000, 0], [4000, 0]), 0);
        assert_eq!(score(Scoring::MostAllocated, [5000, 0], [4000, 0]), 100);
        assert_eq!(score(Scoring::MostAllocated, [1, 1], [0, 0]), 0);
    }
}
