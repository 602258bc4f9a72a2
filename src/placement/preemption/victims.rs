//! Which pods of one node have to go.

use std::cmp::Ordering;

use crate::base::{SimTime, go_sort};
use crate::model::{NodeId, PodRef};

use super::super::nodes::NodeState;
use super::super::plugins::{CycleState, filter_with_nominated};
use super::super::pod_info::{Applicant, PlacedPod};
use super::super::world::World;
use super::{Candidate, NotHelpful};

/// A pod that has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Which.
    pub pod: PodRef,
    /// Its priority.
    pub priority: i32,
    /// When it started; `None`: not yet, which counts as now.
    pub start: Option<SimTime>,
    /// Whether its deletion has begun: it is not evicted again.
    pub is_terminating: bool,
}

impl Victim {
    fn of(placed: &PlacedPod) -> Self {
        let (priority, is_terminating) = (placed.info.spec.priority, placed.is_terminating);
        Self { pod: placed.pod, priority, start: placed.start, is_terminating }
    }
}

/// Orders starts; a pod that has not started is as late as can be (rule S178).
pub(super) fn by_start(a: Option<SimTime>, b: Option<SimTime>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then(a.cmp(&b))
}

/// Whether the first is more important: of higher priority, then started earlier (rule S178).
fn is_more_important(a: &PlacedPod, b: &PlacedPod) -> bool {
    let by_priority = b.info.spec.priority.cmp(&a.info.spec.priority);
    by_priority.then_with(|| by_start(a.start, b.start)) == Ordering::Less
}

/// A node in thought: a copy of it and of what PreFilter found, kept in step.
struct DryRun<'a> {
    id: NodeId,
    node: NodeState,
    state: CycleState,
    of: &'a Applicant,
    world: &'a World<'a>,
}

impl DryRun<'_> {
    fn remove(&mut self, pod: &PlacedPod) {
        self.node.remove(pod.pod);
        self.state.remove_pod(self.of, &pod.info, &self.node, self.world);
    }

    fn add(&mut self, pod: &PlacedPod) {
        self.node.add(pod.clone());
        self.state.add_pod(self.of, &pod.info, &self.node, self.world);
    }

    fn verdict(&self) -> Result<(), NotHelpful> {
        filter_with_nominated(&self.state, self.of, (self.id, &self.node), self.world)
            .map_err(NotHelpful::Rejected)
    }

    /// Puts pods back, the most important first, as long as the pod still fits; gives those that
    /// have to go (rule S180).
    fn reprieve(&mut self, pods: Vec<PlacedPod>) -> Vec<PlacedPod> {
        let mut victims = Vec::new();
        for pod in pods {
            self.add(&pod);
            if self.verdict().is_err() {
                self.remove(&pod);
                victims.push(pod);
            }
        }
        victims
    }
}

/// The victims on a node: all pods of lower priority are taken off, then put back one by one.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/defaultpreemption/
/// default_preemption.go `SelectVictimsOnNode` (rules S177 to S181; recorded).
pub(super) fn on(
    id: NodeId,
    state: &CycleState,
    of: &Applicant,
    world: &World<'_>,
) -> Result<Candidate, NotHelpful> {
    let node = world.nodes.state(id);
    let is_lower = |pod: &&PlacedPod| pod.info.spec.priority < of.info.spec.priority;
    let mut lower: Vec<PlacedPod> = node.pods.iter().filter(is_lower).cloned().collect();
    if lower.is_empty() {
        return Err(NotHelpful::NoVictims);
    }
    let mut run = DryRun { id, node: node.clone(), state: state.clone(), of, world };
    lower.iter().for_each(|pod| run.remove(pod));
    run.verdict()?;
    go_sort::sort(&mut lower, is_more_important);
    let (protected, others) = split_by_budgets(lower, world);
    let is_mixed = !protected.is_empty() && !others.is_empty();
    let mut victims = run.reprieve(protected);
    let violations = victims.len();
    victims.append(&mut run.reprieve(others));
    if is_mixed {
        go_sort::sort(&mut victims, is_more_important);
    }
    if victims.is_empty() {
        return Err(NotHelpful::NobodyInTheWay);
    }
    Ok(Candidate { node: id, victims: victims.iter().map(Victim::of).collect(), violations })
}

/// Splits pods, the most important first, into those whose eviction a PodDisruptionBudget forbids
/// and the others (rule S179). Each pod of a budget takes one of the evictions that it allows,
/// forbidden or not.
///
/// Source: default_preemption.go `filterPodsWithPDBViolation` (recorded).
fn split_by_budgets(pods: Vec<PlacedPod>, world: &World<'_>) -> (Vec<PlacedPod>, Vec<PlacedPod>) {
    let budgets = &world.catalog.budgets;
    let mut allowed: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
    pods.into_iter().partition(|pod| {
        let info = &pod.info;
        let mut is_violated = false;
        for (budget, allowed) in budgets.iter().zip(&mut allowed) {
            let selects = budget.selector.as_ref().is_some_and(|selector| {
                !selector.0.is_empty() && selector.matches(&info.labels, world.names)
            });
            let is_counted = pod.name.is_some_and(|name| budget.disrupted.contains(&name));
            let is_of_it = budget.name.namespace == info.namespace && selects && !is_counted;
            if is_of_it && !info.labels.is_empty() {
                *allowed -= 1;
                is_violated |= *allowed < 0;
            }
        }
        is_violated
    })
}
