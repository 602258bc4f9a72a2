//! The updater: which pods are to be evicted or resized, and how many at once.
//!
//! Source: vertical-pod-autoscaler pkg/updater/priority/priority_processor.go,
//! update_priority_calculator.go, scaling_direction_pod_eviction_admission.go,
//! restriction/pods_restriction_factory.go (rules A104 to A109).

use std::cmp::Ordering;

use crate::base::{Duration, Symbol, cast};
use crate::model::{Amounts, VpaRequirement};

use super::estimate::Recommendation;

/// `--min-replicas`: groups with fewer live pods are left alone (rule A108).
pub const MIN_REPLICAS: u32 = 2;
/// A pod within its bounds is left alone when it is younger (rule A105).
const AGE_MIN: Duration = Duration::hours(12);
/// And when all its requests together are off by less.
const CHANGE_MIN: f64 = 0.1;

/// A container's requests, of a pod that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Its name.
    pub container: Symbol,
    /// What it asks for.
    pub requests: Amounts,
}

/// How much a pod needs other requests (rule A104).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Priority {
    /// A target is above its request.
    pub scale_up: bool,
    /// A request is outside of the bounds, or there is none.
    pub is_outside: bool,
    /// How far requests are from targets, relative to the requests, summed over the resources.
    pub diff: f64,
}

impl Priority {
    /// Of a pod with those containers.
    #[must_use]
    pub fn of(pod: &[Requested], recommended: &[Recommendation]) -> Self {
        let mut priority = Self::default();
        type Get = fn(&Amounts) -> Option<i64>;
        let resources: [(Get, i64); 2] = [(|a| a.cpu, 1), (|a| a.memory, 1000)];
        for (get, scale) in resources {
            let (mut request, mut target) = (0_i64, 0_i64);
            let mut any = false;
            for container in pod {
                let to = recommended.iter().find(|r| r.container == container.container);
                let Some((to, aim)) = to.and_then(|to| Some((to, get(&to.target)?))) else {
                    continue;
                };
                any = true;
                target = target.saturating_add(aim.saturating_mul(scale));
                let Some(asked) = get(&container.requests) else {
                    (priority.scale_up, priority.is_outside) = (true, true);
                    continue;
                };
                request = request.saturating_add(asked.saturating_mul(scale));
                priority.scale_up |= aim > asked;
                priority.is_outside |= get(&to.lower).is_some_and(|lower| asked < lower)
                    || get(&to.upper).is_some_and(|upper| asked > upper);
            }
            if any {
                let request = cast::f64_of_i64(request).max(1.0);
                priority.diff += (request - cast::f64_of_i64(target)).abs() / request;
            }
        }
        priority
    }

    /// Which of two pods goes first (rule A106).
    #[must_use]
    pub fn before(&self, other: &Self) -> Ordering {
        let up = other.scale_up.cmp(&self.scale_up);
        up.then_with(|| other.diff.total_cmp(&self.diff))
    }
}

/// Whether a pod is to be updated, given its age and whether it was killed for memory soon after
/// its start (rule A105).
#[must_use]
pub fn is_wanted(priority: &Priority, age: Option<Duration>, quick_oom: bool) -> bool {
    let is_due = age.is_some_and(|age| age >= AGE_MIN) && priority.diff >= CHANGE_MIN;
    let is_pressing = priority.is_outside || quick_oom;
    (is_pressing || is_due) && !(quick_oom && priority.diff <= 0.0)
}

/// Whether all requirements let a pod go: each by a resource that moves in its direction, of some
/// container (rule A107).
#[must_use]
pub fn meets(
    requirements: &[VpaRequirement],
    pod: &[Requested],
    recommended: &[Recommendation],
) -> bool {
    let moves = |higher: bool, asked: Option<i64>, target: Option<i64>| {
        let (asked, target) = (asked.unwrap_or(0), target.unwrap_or(asked.unwrap_or(0)));
        if higher { target > asked } else { target < asked }
    };
    let is_met = |requirement: &VpaRequirement| {
        pod.iter().any(|container| {
            let to = recommended.iter().find(|r| r.container == container.container);
            to.is_some_and(|to| {
                let (asked, target) = (container.requests, to.target);
                (requirement.cpu && moves(requirement.higher, asked.cpu, target.cpu))
                    || (requirement.memory
                        && moves(requirement.higher, asked.memory, target.memory))
            })
        })
    };
    requirements.iter().all(is_met)
}

/// The pods of one controller in one loop of the updater (rules A108, A109).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Replicas that its controller wants.
    pub configured: u32,
    /// Pods that are there and not going.
    pub live: u32,
    /// Of these pending.
    pub pending: u32,
    /// Pods evicted and resizes begun, in this loop.
    pub disrupted: u32,
}

impl Group {
    /// Whether it has the pods that the updater asks for at least.
    #[must_use]
    pub const fn is_large_enough(&self, replicas_min: u32) -> bool {
        self.live >= replicas_min
    }

    /// Whether one of its pods may be disrupted now.
    #[must_use]
    pub const fn may_disrupt(&self, is_pending: bool) -> bool {
        let tolerance = self.configured / 2;
        let running = self.live.saturating_sub(self.pending);
        is_pending
            || running.saturating_sub(self.disrupted) > self.configured - tolerance
            || (running == self.configured && tolerance == 0 && self.disrupted == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Interner;

    #[test]
    fn half_of_a_group_may_be_gone() {
        let evicted = |configured: u32| {
            let mut group = Group { configured, live: configured, pending: 0, disrupted: 0 };
            while group.may_disrupt(false) {
                group.disrupted += 1;
            }
            group.disrupted
        };
        assert_eq!([1, 2, 3, 4, 10].map(evicted), [1, 1, 1, 2, 5], "A109");
        let short = Group { configured: 3, live: 2, pending: 0, disrupted: 0 };
        assert!(!short.may_disrupt(false) && short.may_disrupt(true), "A109");
        assert!(short.is_large_enough(MIN_REPLICAS), "A108");
    }

    #[test]
    fn errors_add_up_and_bounds_hurry() {
        let app = Interner::new().intern("app");
        let amounts = |cpu, memory| Amounts { cpu: Some(cpu), memory: Some(memory) };
        let pod = [Requested { container: app, requests: amounts(100, 1000) }];
        let recommendation = Recommendation {
            container: app,
            target: amounts(106, 940),
            lower: amounts(50, 500),
            upper: amounts(200, 2000),
            uncapped: amounts(106, 940),
        };
        let priority = Priority::of(&pod, &[recommendation]);
        assert!(priority.scale_up && !priority.is_outside, "A104");
        assert!((priority.diff - 0.12).abs() < 1e-9, "A104: CPU and memory add up");
        let old = Some(Duration::hours(12));
        assert!(is_wanted(&priority, old, false), "A105");
        assert!(!is_wanted(&priority, Some(Duration::hours(11)), false), "A105");
        assert!(is_wanted(&priority, None, true), "A105: a quick OOM kill");
        assert!(!is_wanted(&Priority { diff: 0.0, ..priority }, old, true), "A105");
        let up = VpaRequirement { cpu: true, memory: false, higher: true };
        let both_down = VpaRequirement { cpu: true, memory: true, higher: false };
        let memory_up = VpaRequirement { cpu: false, memory: true, higher: true };
        assert!(meets(&[up, both_down], &pod, &[recommendation]), "A107");
        assert!(!meets(&[up, memory_up], &pod, &[recommendation]), "A107");
        let calmer = Priority { scale_up: false, diff: 9.0, ..priority };
        assert_eq!(priority.before(&calmer), Ordering::Less, "A106: upwards first");
    }
}
