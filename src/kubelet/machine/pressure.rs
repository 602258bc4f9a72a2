//! Memory and disk: which container the kernel kills, and which pod the kubelet evicts (rules N95, N99 to
//! N101). Pure functions; [`super::Machine::evict`] carries an eviction out.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/qos/policy.go `GetContainerOOMScoreAdjust`,
//! pkg/kubelet/eviction/helpers.go `rankMemoryPressure`, `rankDiskPressureFunc`.

use std::cmp::Ordering;

use super::actions::{all, is_init, is_sidecar, mains, nth};
use super::admit::is_critical;
use super::types::Slot;
use crate::base::Bytes;
use crate::model::{PodSpec, QosClass};

/// How far the kernel is to prefer a container of a Guaranteed or node-critical pod.
const GUARANTEED: i64 = -997;
/// The same of a BestEffort pod.
const BEST_EFFORT: i64 = 1000;
/// The priority of `system-node-critical`.
const NODE_CRITICAL: i32 = 2_000_001_000;

/// Whether the kernel kills a container for its memory: it uses more than its limit (rule N95).
/// On cgroup v2 all its processes go together: exit code 137, reason `OOMKilled`.
#[must_use]
pub fn is_over_limit(spec: &PodSpec, container: u8, used: Bytes) -> bool {
    nth(spec, container).memory_limit.is_some_and(|limit| used > limit)
}

/// `oom_score_adj` of a container on a node with so much memory: the higher, the sooner it is
/// killed when the node itself has none left (rule N95).
#[must_use]
pub fn oom_score(spec: &PodSpec, container: u8, memory: Bytes) -> i64 {
    if spec.priority >= NODE_CRITICAL {
        return GUARANTEED;
    }
    match spec.qos {
        QosClass::Guaranteed => return GUARANTEED,
        QosClass::BestEffort => return BEST_EFFORT,
        QosClass::Burstable => {}
    }
    let shared = unallocated(spec);
    let score = |request: Bytes| {
        let share = i128::from(request.0 + shared) * 1000 / i128::from(memory.0.max(1));
        (1000 - i64::try_from(share).unwrap_or(1000)).clamp(3, 999)
    };
    let own = score(nth(spec, container).requests.memory);
    let least = mains(spec).map(|(_, own)| own.requests.memory).min();
    match least.filter(|_| is_sidecar(spec, container)) {
        Some(least) => own.min(score(least)),
        None => own,
    }
}

/// What a pod asks for as a whole beyond what its containers do, for each of them: equal parts
/// (rule N95).
fn unallocated(spec: &PodSpec) -> i64 {
    let Some(own) = spec.own_requests.memory else { return 0 };
    let counts =
        |(container, _): &(u8, _)| !is_init(spec, *container) || is_sidecar(spec, *container);
    let each = || all(spec).filter(counts).map(|(_, own)| own.requests.memory.0);
    let count = i64::try_from(each().count()).unwrap_or(1).max(1);
    (own.0 - each().sum::<i64>()).max(0) / count
}

/// What a pod uses of the memory or the disk of its node.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    /// The pod.
    pub slot: Slot,
    /// Its specification.
    pub spec: &'a PodSpec,
    /// The working set of all its containers, or what they have on the disk.
    pub used: Bytes,
    /// How much of that it asks for.
    pub asked: Bytes,
    /// Whether it is a static pod.
    pub is_static: bool,
}

impl<'a> Usage<'a> {
    /// Of memory.
    #[must_use]
    pub fn of_memory(slot: Slot, spec: &'a PodSpec, used: Bytes, is_static: bool) -> Self {
        let asked = all(spec).map(|(_, own)| own.requests.memory.0).sum::<i64>();
        let asked = Bytes(asked.max(spec.requests.memory.0));
        Self { slot, spec, used, asked, is_static }
    }

    /// Of the disk.
    #[must_use]
    pub const fn of_disk(slot: Slot, spec: &'a PodSpec, used: Bytes, is_static: bool) -> Self {
        let asked = spec.requests.ephemeral_storage;
        Self { slot, spec, used, asked, is_static }
    }

    const fn above(&self) -> i64 {
        self.used.0 - self.asked.0
    }
}

/// The pods in the order in which pressure evicts them, one a round: who uses more than it
/// asked for first, then by lower priority, then by how much more it uses (rules N99, N100).
/// Critical pods are not in it.
#[must_use]
pub fn eviction_order(pods: &[Usage<'_>]) -> Vec<Slot> {
    let mut order: Vec<Usage<'_>> =
        pods.iter().filter(|pod| !is_critical(pod.spec, pod.is_static)).copied().collect();
    order.sort_by(compare);
    order.iter().map(|pod| pod.slot).collect()
}

fn compare(one: &Usage<'_>, other: &Usage<'_>) -> Ordering {
    let is_above = |pod: &Usage<'_>| pod.above() > 0;
    is_above(other)
        .cmp(&is_above(one))
        .then(one.spec.priority.cmp(&other.spec.priority))
        .then(other.above().cmp(&one.above()))
        .then(one.slot.cmp(&other.slot))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{Lowering, lower_pod_spec};
    use crate::base::Interner;
    use crate::model::{Behavior, Behaviors, PriorityClasses};

    const GIB: i64 = 1 << 30;

    fn spec(containers: &Value) -> PodSpec {
        let behaviors = Behaviors { standard: Behavior::plain(), rules: Vec::new(), mesh: None };
        let classes = PriorityClasses::default();
        let names = &mut Interner::new();
        let mut lowering = Lowering { behaviors: &behaviors, classes: &classes, names };
        let manifest = json!({"metadata": {"name": "p"}, "spec": {"containers": containers}});
        lower_pod_spec(&manifest, &mut lowering).expect("a good pod")
    }

    fn asking(memory: &str) -> PodSpec {
        spec(&json!([{"name": "a", "image": "a:1", "resources": {"requests": {"memory": memory}}}]))
    }

    /// Rule N95.
    #[test]
    fn the_more_a_container_asks_for_the_later_it_is_killed() {
        let score = |spec: &PodSpec| oom_score(spec, 0, Bytes(8 * GIB));
        assert_eq!(score(&asking("2Gi")), 750);
        assert_eq!(score(&asking("1Mi")), 999);
        assert_eq!(score(&spec(&json!([{"name": "a", "image": "a:1"}]))), 1000);
        let all = json!({"cpu": "1", "memory": "1Gi"});
        let bound = json!([{
            "name": "a", "image": "a:1", "resources": {"requests": all, "limits": all},
        }]);
        assert_eq!(score(&spec(&bound)), -997);
        assert!(is_over_limit(&spec(&bound), 0, Bytes(GIB + 1)));
        assert!(!is_over_limit(&spec(&bound), 0, Bytes(GIB)));
    }

    /// Rule N95: of 4 GiB for the whole pod its containers ask for 1 and 1: each counts as 2.
    #[test]
    fn what_a_pod_asks_for_as_a_whole_counts_for_all() {
        let of = |resources: Value| {
            let mut pod = asking("1Gi");
            let one = pod.containers[0].clone();
            pod.containers.push(one);
            pod.own_requests.memory = resources.as_i64().map(Bytes);
            oom_score(&pod, 0, Bytes(8 * GIB))
        };
        assert_eq!([of(Value::Null), of(json!(4 * GIB))], [875, 750]);
    }

    /// Rule N100: above the request first, then priority, then by how much.
    #[test]
    fn memory_pressure_ranks_pods() {
        let (small, large) = (asking("1Gi"), asking("4Gi"));
        let low = PodSpec { priority: -1, ..small.clone() };
        let critical = PodSpec { priority: 2_000_000_000, ..small.clone() };
        let usage = |slot, spec, gib| Usage::of_memory(Slot(slot), spec, Bytes(gib * GIB), false);
        let pods = [
            usage(0, &large, 3),
            usage(1, &small, 2),
            usage(2, &small, 3),
            usage(3, &critical, 9),
            usage(4, &low, 2),
        ];
        assert_eq!(eviction_order(&pods), [4, 2, 1, 0].map(Slot));
    }
}
