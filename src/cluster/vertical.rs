//! What VerticalPodAutoscalers make of new pods: their containers ask for something else.
//!
//! Source: vertical-pod-autoscaler pkg/admission-controller/resource/pod/recommendation/
//! recommendation_provider.go, pkg/utils/vpa/limit_and_request_scaling.go, capping.go (rules A114 to
//! A116). Differs: of LimitRanges the bounds of containers count, not those of whole pods.

use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Lowering};
use crate::base::{LookupMap, Symbol};
use crate::model::{
    Amounts, Container, ObjectName, PodSpec, Template, VpaPolicy, VpaSpec, Workload,
};

use super::Vpa;
use super::resize::with_amounts;

/// What a container asks for and may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allotment {
    /// Requests.
    pub requests: Amounts,
    /// Limits.
    pub limits: Amounts,
}

/// What the LimitRanges of a namespace say of limits of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitBounds {
    /// At least.
    pub min: Amounts,
    /// At most.
    pub max: Amounts,
}

impl LimitBounds {
    /// The narrowest of all.
    ///
    /// Source: vertical-pod-autoscaler pkg/utils/limitrange/limit_range_calculator.go
    /// `GetContainerLimitRangeItem` (rule A116).
    #[must_use]
    pub fn of<'r>(ranges: impl Iterator<Item = &'r Value>) -> Self {
        let mut all = Self::default();
        let items =
            ranges.flat_map(|range| range["spec"]["limits"].as_array().into_iter().flatten());
        for item in items.filter(|item| item["type"] == "Container") {
            let min = api::lower_amounts(&item["min"]);
            let max = api::lower_amounts(&item["max"]);
            let least = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
            all.min =
                Amounts { cpu: all.min.cpu.max(min.cpu), memory: all.min.memory.max(min.memory) };
            all.max = Amounts {
                cpu: least(all.max.cpu, max.cpu),
                memory: least(all.max.memory, max.memory),
            };
        }
        all
    }
}

/// The requests and limits of a container with that target; what has no target stays. A limit stays
/// within the bounds, and the request with it in proportion, but not outside of the policy.
#[must_use]
pub fn allot(
    declared: Allotment,
    target: Amounts,
    policy: Option<&VpaPolicy>,
    bounds: &LimitBounds,
) -> Allotment {
    let target = bounded(declared, target, policy, bounds);
    let requests_only = policy.is_some_and(|policy| policy.requests_only);
    let one = |request: Option<i64>, limit: Option<i64>, target: Option<i64>| {
        let Some(target) = target else {
            return (request, limit);
        };
        match limit {
            Some(limit) if requests_only => (Some(target.min(limit)), Some(limit)),
            None => (Some(target), None),
            Some(limit) => (Some(target), Some(proportional(limit, request, target))),
        }
    };
    let (requests, limits) = (declared.requests, declared.limits);
    let (cpu, cpu_limit) = one(requests.cpu, limits.cpu, target.cpu);
    let (memory, memory_limit) = one(requests.memory, limits.memory, target.memory);
    Allotment {
        requests: Amounts { cpu, memory },
        limits: Amounts { cpu: cpu_limit, memory: memory_limit },
    }
}

/// The target within what LimitRanges make of the limit, then within the policy (rule A116).
///
/// Source: capping.go `applyContainerLimitRange`, limit_and_request_scaling.go
/// `GetBoundaryRequest`.
fn bounded(
    declared: Allotment,
    target: Amounts,
    policy: Option<&VpaPolicy>,
    bounds: &LimitBounds,
) -> Amounts {
    let one = |get: fn(&Amounts) -> Option<i64>| {
        let (request, limit) = (get(&declared.requests), get(&declared.limits));
        let edge = |bound: Option<i64>| {
            let limit = limit.filter(|limit| *limit > 0)?;
            Some(scaled(bound?, request.filter(|request| *request > 0).unwrap_or(limit), limit))
        };
        let mut to = get(&target)?;
        to = edge(get(&bounds.min)).map_or(to, |least| to.max(least));
        to = edge(get(&bounds.max)).map_or(to, |most| to.min(most));
        let allowed = policy.map(|policy| (get(&policy.min), get(&policy.max)));
        let (least, most) = allowed.unwrap_or_default();
        to = least.map_or(to, |least| to.max(least));
        Some(most.map_or(to, |most| to.min(most)))
    };
    Amounts { cpu: one(|of| of.cpu), memory: one(|of| of.memory) }
}

/// `of · by / through`, cut.
fn scaled(of: i64, by: i64, through: i64) -> i64 {
    let wide = i128::from(of) * i128::from(by) / i128::from(through);
    i64::try_from(wide).unwrap_or(i64::MAX)
}

/// The targets of all workloads, and the templates made with them.
#[derive(Debug, Default)]
pub(super) struct Vertical(LookupMap<Workload, Row>);

#[derive(Debug)]
struct Row {
    targets: Vec<(Symbol, Amounts)>,
    /// A template as it is declared, and with the targets.
    made: Vec<(Arc<Template>, Arc<Template>)>,
}

impl Vertical {
    /// Pods of the workload that are created from now on get these targets.
    pub(super) fn set(&mut self, workload: Workload, targets: Vec<(Symbol, Amounts)>) {
        let is_same = self.0.get(&workload).is_some_and(|row| row.targets == targets);
        if !is_same {
            self.0.insert(workload, Row { targets, made: Vec::new() });
        }
    }

    /// Pods of the workload are created as they are declared again.
    pub(super) fn forget(&mut self, workload: Workload) {
        self.0.remove(&workload);
    }

    /// The template of a new pod instead of that one; `None`: nothing is recommended.
    pub(super) fn of(
        &mut self,
        template: &Arc<Template>,
        vpas: &[(ObjectName, Option<Vpa>)],
        bounds: impl FnOnce() -> LimitBounds,
        cx: &mut Lowering<'_>,
    ) -> Option<Arc<Template>> {
        if self.0.is_empty() {
            return None;
        }
        let row = self.0.get_mut(&template.workload)?;
        if let Some((_, made)) = row.made.iter().find(|(from, _)| Arc::ptr_eq(from, template)) {
            return Some(Arc::clone(made));
        }
        let mut all = vpas.iter().filter_map(|(_, row)| row.as_ref());
        let spec = &all.find(|vpa| vpa.spec.target == Some(template.workload))?.spec;
        let made = resized(template, &row.targets, (spec, &bounds()), cx)?;
        row.made.push((Arc::clone(template), Arc::clone(&made)));
        Some(made)
    }
}

/// What a container of a pod asks for and may use; 0 is nothing.
#[must_use]
pub fn declared(container: &crate::model::Container) -> Allotment {
    let some = |amount: i64| (amount > 0).then_some(amount);
    Allotment {
        requests: Amounts {
            cpu: some(container.requests.cpu.0),
            memory: some(container.requests.memory.0),
        },
        limits: Amounts {
            cpu: container.cpu_limit.map(|limit| limit.0),
            memory: container.memory_limit.map(|limit| limit.0),
        },
    }
}

fn resized(
    template: &Template,
    targets: &[(Symbol, Amounts)],
    (spec, bounds): (&VpaSpec, &LimitBounds),
    cx: &mut Lowering<'_>,
) -> Option<Arc<Template>> {
    with_amounts(template, &recommended(&template.spec, targets, (spec, bounds)), cx)
}

/// What the containers of a pod are to ask for and may use, with these targets (rules A114 to
/// A116);
/// those without a target are left out.
#[must_use]
pub fn recommended(
    pod: &PodSpec,
    targets: &[(Symbol, Amounts)],
    (spec, bounds): (&VpaSpec, &LimitBounds),
) -> Vec<(Symbol, Allotment)> {
    let of = |container: &Container| {
        let (name, target) = targets.iter().find(|(name, _)| *name == container.name)?;
        Some((*name, allot(declared(container), *target, spec.policy(*name), bounds)))
    };
    pod.containers.iter().filter_map(of).collect()
}

/// A limit that stands to the target as it stood to the request.
fn proportional(limit: i64, request: Option<i64>, target: i64) -> i64 {
    match request.filter(|request| *request > 0 && *request != limit) {
        None => target,
        Some(request) => scaled(limit, target, request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_keep_their_proportion() {
        let cpu = |cpu| Amounts { cpu, memory: None };
        let of = |request, limit| {
            let declared = Allotment { requests: cpu(request), limits: cpu(limit) };
            let admitted = allot(declared, cpu(Some(250)), None, &LimitBounds::default());
            (admitted.requests.cpu, admitted.limits.cpu)
        };
        assert_eq!(of(Some(100), Some(300)), (Some(250), Some(750)), "A115");
        assert_eq!(of(Some(100), Some(100)), (Some(250), Some(250)), "A115: guaranteed stays");
        assert_eq!(of(None, Some(100)), (Some(250), Some(250)), "A115");
        assert_eq!(of(Some(100), None), (Some(250), None), "A115");
        assert_eq!(of(Some(30), Some(100)), (Some(250), Some(833)), "A115: truncated");
    }

    #[test]
    fn a_limit_range_bounds_the_limit_and_the_request_with_it() {
        let cpu = |cpu| Amounts { cpu: Some(cpu), memory: None };
        let declared = Allotment { requests: cpu(100), limits: cpu(400) };
        let bounds = LimitBounds { max: cpu(1000), min: cpu(200) };
        let of = |target| allot(declared, cpu(target), None, &bounds);
        assert_eq!((of(600).requests, of(600).limits), (cpu(250), cpu(1000)), "A116");
        assert_eq!((of(20).requests, of(20).limits), (cpu(50), cpu(200)), "A116");
        let free = Allotment { requests: cpu(100), limits: Amounts::default() };
        assert_eq!(allot(free, cpu(600), None, &bounds).requests, cpu(600), "A116: no limit");
    }

    #[test]
    fn requests_only_stays_below_the_limit() {
        let cpu = |cpu| Amounts { cpu: Some(cpu), memory: None };
        let policy = VpaPolicy {
            container: None,
            is_off: false,
            min: Amounts::default(),
            max: Amounts::default(),
            cpu: true,
            memory: true,
            requests_only: true,
        };
        let declared = Allotment { requests: cpu(100), limits: cpu(200) };
        let admitted = allot(declared, cpu(250), Some(&policy), &LimitBounds::default());
        assert_eq!((admitted.requests, admitted.limits), (cpu(200), cpu(200)), "A115");
    }
}
