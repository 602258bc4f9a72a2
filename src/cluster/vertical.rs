//! What VerticalPodAutoscalers make of new pods: their containers ask for something else.
//!
//! Source: vertical-pod-autoscaler pkg/admission-controller/resource/pod/recommendation/
//! recommendation_provider.go, pkg/utils/vpa/limit_and_request_scaling.go, capping.go (rules A114,
//! A115). Differs: a LimitRange does not bound the result (rule A116).

use std::sync::Arc;

use crate::api::Lowering;
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

/// The requests and limits of a container with that target; what has no target stays.
#[must_use]
pub fn allot(declared: Allotment, target: Amounts, policy: Option<&VpaPolicy>) -> Allotment {
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
        let made = resized(template, &row.targets, spec, cx)?;
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
    spec: &VpaSpec,
    cx: &mut Lowering<'_>,
) -> Option<Arc<Template>> {
    with_amounts(template, &recommended(&template.spec, targets, spec), cx)
}

/// What the containers of a pod are to ask for and may use, with these targets (rules A114, A115);
/// those without a target are left out.
#[must_use]
pub fn recommended(
    pod: &PodSpec,
    targets: &[(Symbol, Amounts)],
    spec: &VpaSpec,
) -> Vec<(Symbol, Allotment)> {
    let of = |container: &Container| {
        let (name, target) = targets.iter().find(|(name, _)| *name == container.name)?;
        Some((*name, allot(declared(container), *target, spec.policy(*name))))
    };
    pod.containers.iter().filter_map(of).collect()
}

/// A limit that stands to the target as it stood to the request.
fn proportional(limit: i64, request: Option<i64>, target: i64) -> i64 {
    match request.filter(|request| *request > 0 && *request != limit) {
        None => target,
        Some(request) => {
            let wide = i128::from(limit) * i128::from(target) / i128::from(request);
            i64::try_from(wide).unwrap_or(i64::MAX)
        }
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
            let admitted = allot(declared, cpu(Some(250)), None);
            (admitted.requests.cpu, admitted.limits.cpu)
        };
        assert_eq!(of(Some(100), Some(300)), (Some(250), Some(750)), "A115");
        assert_eq!(of(Some(100), Some(100)), (Some(250), Some(250)), "A115: guaranteed stays");
        assert_eq!(of(None, Some(100)), (Some(250), Some(250)), "A115");
        assert_eq!(of(Some(100), None), (Some(250), None), "A115");
        assert_eq!(of(Some(30), Some(100)), (Some(250), Some(833)), "A115: truncated");
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
        let admitted = allot(declared, cpu(250), Some(&policy));
        assert_eq!((admitted.requests, admitted.limits), (cpu(200), cpu(200)), "A115");
    }
}
