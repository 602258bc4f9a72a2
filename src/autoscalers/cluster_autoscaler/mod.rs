//! The Cluster Autoscaler 1.36: one iteration after another, as pure code over a view of the
//! cluster and a cloud.
//!
//! ```text
//! View ─► snapshot ─► filter-out-schedulable ─► pods that need nodes
//!            │                                        │
//!            │                 groups × estimate ─► expanders ─► balance ─► Cloud::increase
//!            └─► planner: candidates ─► eligible ─► simulate removal ─► unneeded nodes
//! ```
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/static_autoscaler.go `RunOnce`
//! (rules A124 to A168; recorded). Differs: nodes are not deleted yet (rules A169, A170, A178 to
//! A183), failed scale-ups are not backed off (rules A156 to A158), upcoming nodes are not simulated
//! (rule A128).

mod cloud;
mod drainability;
mod estimate;
mod expander;
mod options;
mod pattern;
mod planner;
mod scale_up;
mod snapshot;
mod templates;
mod view;

use std::collections::BTreeMap;

use crate::base::{Duration, Interner, SimTime, Symbol, go_sort};
use crate::model::PodRef;
use crate::placement::{NodeState, PlacedPod};

pub use cloud::{Cloud, ErrorClass, Group, Instance, InstanceError};
pub use estimate::{Estimate, PodGroup, pod_groups, requests_of};
pub use expander::{Choice, Facts, Ruling, rule};
pub use options::{Expander, Options};
pub use planner::Unremovable;
pub use scale_up::{GroupIncrease, Remaining, ScaleUp, ScaleUpResult};
pub use templates::Template;
pub use view::*;

use planner::{Planner, Planning};
use snapshot::{Snapshot, Wanted};

/// How old the oldest pod must be (rule A133).
const PODS_ARE_NEW: Duration = Duration::secs(2);

/// What was asked of the cloud for a group and has not come yet (rule A155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// So many nodes.
    pub increase: u32,
    /// When it has failed.
    pub deadline: SimTime,
}

/// The autoscaler between two iterations.
#[derive(Debug)]
pub struct ClusterAutoscaler {
    options: Options,
    planner: Planner,
    hints: BTreeMap<PodRef, Symbol>,
    requests: BTreeMap<usize, Request>,
    last_scale_up: Option<SimTime>,
    last_iteration: Option<SimTime>,
    smallest: Option<Duration>,
    last: usize,
}

/// What happened to nodes that are not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleDownResult {
    /// No node's group may shrink.
    NoCandidates,
    /// Too soon after another change (rule A160).
    InCooldown,
    /// No node is ripe.
    #[default]
    NoNodeDeleted,
}

/// What an iteration decided.
#[derive(Clone, Debug, Default)]
pub struct Iteration {
    /// The way up.
    pub up: ScaleUp,
    /// The way down.
    pub down: ScaleDownResult,
    /// Why nodes stay, by name of the node in the order of the view.
    pub unremovable: Vec<Unremovable>,
    /// Messages to the log of events.
    pub log: Vec<String>,
}

impl ClusterAutoscaler {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            planner: Planner::default(),
            hints: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_scale_up: None,
            last_iteration: None,
            smallest: None,
            last: 0,
        }
    }

    /// Since when each unneeded node is so, by name.
    #[must_use]
    pub const fn unneeded(&self) -> &BTreeMap<Symbol, SimTime> {
        &self.planner.since
    }

    /// Open requests by the number of the group.
    #[must_use]
    pub const fn requests(&self) -> &BTreeMap<usize, Request> {
        &self.requests
    }

    /// When the last iteration began that added nodes.
    #[must_use]
    pub const fn last_scale_up(&self) -> Option<SimTime> {
        self.last_scale_up
    }

    /// How many nodes of a group are on their way (rule A128).
    #[must_use]
    pub fn upcoming(&self, number: usize, group: &Group, view: &View<'_>) -> usize {
        if !self.requests.contains_key(&number) {
            return 0;
        }
        let there = view.nodes.iter().filter(|node| node.group == Some(number)).count();
        usize::try_from(group.target).unwrap_or(usize::MAX).saturating_sub(there)
    }

    /// One iteration.
    pub fn run_once(
        &mut self,
        view: &View<'_>,
        cloud: &mut dyn Cloud,
        names: &mut Interner,
    ) -> Iteration {
        if let Some(last) = self.last_iteration.replace(view.now) {
            let span = view.now - last;
            self.smallest = Some(self.smallest.map_or(span, |smallest| smallest.min(span)));
        }
        let known: BTreeMap<PodRef, usize> =
            view.pods.iter().enumerate().map(|(at, pod)| (pod.pod, at)).collect();
        let mut snapshot = self.snapshot(view);
        let mut iteration = Iteration::default();
        let pending = self.pending(view, &mut snapshot, names);
        let mut is_held = false;
        iteration.up = self.up(view, &mut snapshot, (cloud, &pending), (&mut is_held, names));
        iteration.log.append(&mut iteration.up.log);
        if self.options.scales_down {
            self.down(view, cloud, (&mut snapshot, &known), (is_held, names), &mut iteration);
        }
        iteration.log.sort();
        self.last = snapshot.last;
        iteration
    }

    /// Rule A124 (4).
    fn snapshot<'a>(&self, view: &View<'a>) -> Snapshot<'a> {
        let mut snapshot = Snapshot::new(self.last, view.profile, view.catalog);
        for node in &view.nodes {
            snapshot.enter(node.node, NodeState::empty(node.spec.clone()));
        }
        for pod in &view.pods {
            let counts = pod.info.spec.priority >= self.options.priority_cutoff;
            let node = pod.node.or(pod.nominated).filter(|_| counts);
            if let Some(node) = node {
                snapshot.nodes.add_pod(node, PlacedPod::new(pod.pod, pod.info.clone()));
            }
        }
        snapshot
    }

    /// The pods that no node takes, the important ones first (rules A125, A129 to A131).
    fn pending(
        &mut self,
        view: &View<'_>,
        snapshot: &mut Snapshot<'_>,
        names: &Interner,
    ) -> Vec<usize> {
        let waits = |pod: &PodView| {
            pod.node.is_none()
                && pod.nominated.is_none()
                && pod.is_unschedulable
                && pod.traits.deletion.is_none()
                && pod.info.spec.priority >= self.options.priority_cutoff
        };
        let all = view.pods.iter().enumerate();
        let mut pods: Vec<usize> = all.filter(|(_, pod)| waits(pod)).map(|(at, _)| at).collect();
        let priority = |at: &usize| view.pods[*at].info.spec.priority;
        go_sort::sort(&mut pods, |a, b| priority(a) > priority(b));
        let mut left: Vec<usize> = Vec::new();
        let mut failed: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for at in self.hinted_first(&pods, view) {
            if !self.place(&view.pods[at], (at, view), snapshot, (&mut failed, names)) {
                left.push(at);
            }
        }
        pods.retain(|at| left.contains(at));
        let delay = |pod: &PodView| {
            self.options.new_pod_delay.max(pod.traits.scale_up_delay.unwrap_or_default())
        };
        pods.retain(|at| {
            let pod = &view.pods[*at];
            !pod.is_daemon() && pod.created + delay(pod) < view.now
        });
        pods
    }

    /// Of each priority those first that a node is remembered of.
    fn hinted_first(&self, pods: &[usize], view: &View<'_>) -> Vec<usize> {
        let mut ordered = pods.to_vec();
        ordered.sort_by_key(|at| {
            let pod = &view.pods[*at];
            (-i64::from(pod.info.spec.priority), !self.hints.contains_key(&pod.pod))
        });
        ordered
    }

    fn place(
        &mut self,
        pod: &PodView,
        (at, view): (usize, &View<'_>),
        snapshot: &mut Snapshot<'_>,
        (failed, names): (&mut BTreeMap<u64, Vec<usize>>, &Interner),
    ) -> bool {
        let alike = pod.controller.map(|owner| failed.entry(owner.uid).or_default());
        let is_same = |other: &usize| {
            let other = &view.pods[*other];
            other.info.labels == pod.info.labels && other.shape == pod.shape
        };
        if alike.as_ref().is_some_and(|alike| alike.iter().any(is_same)) {
            return false;
        }
        let of = Wanted { pod: pod.pod, info: pod.info.clone() };
        let hint = self.hints.get(&pod.pod).and_then(|name| snapshot.nodes.named(*name));
        let hint = hint.filter(|node| snapshot.put(&of, *node, names).is_ok());
        let found = hint.or_else(|| snapshot.put_anywhere(&of, |_| true, names));
        match (found, alike) {
            (Some(node), _) => {
                self.hints.insert(pod.pod, snapshot.nodes.state(node).spec.name);
            }
            (None, Some(alike)) if alike.len() < 10 => alike.push(at),
            (None, _) => {}
        }
        found.is_some()
    }

    /// Rules A159, A160.
    fn down<'a>(
        &mut self,
        view: &View<'a>,
        cloud: &dyn Cloud,
        (snapshot, pods): (&mut Snapshot<'a>, &BTreeMap<PodRef, usize>),
        (is_held, names): (bool, &Interner),
        iteration: &mut Iteration,
    ) {
        let mut planning = Planning {
            view,
            groups: cloud.groups(),
            options: &self.options,
            names,
            snapshot,
            pods,
            budgets: view.budgets.clone(),
            left: Vec::new(),
            utilization: BTreeMap::new(),
        };
        let has_candidates = !planning.candidates(&self.planner.since).is_empty();
        let smallest = self.smallest.unwrap_or(self.options.unneeded_time);
        self.planner.plan(&mut planning, smallest);
        let after_add = |since: SimTime| since + self.options.delay_after_add > view.now;
        let is_cooling = is_held || self.last_scale_up.is_some_and(after_add);
        if !is_cooling {
            for (node, since) in &self.planner.since {
                if *since + self.options.unneeded_time >= view.now {
                    let utilization = planning.utilization.get(node).copied();
                    let (node, reason) = (*node, "NotUnneededLongEnough");
                    planning.left.push(Unremovable { node, reason, pod: None, utilization });
                }
            }
        }
        let mut left = planning.left;
        let place = |name: Symbol| view.nodes.iter().position(|node| node.spec.name == name);
        left.sort_by_key(|stays| place(stays.node));
        iteration.unremovable = left;
        iteration.down = match (is_cooling, has_candidates) {
            (true, _) => ScaleDownResult::InCooldown,
            (false, false) => ScaleDownResult::NoCandidates,
            (false, true) => ScaleDownResult::NoNodeDeleted,
        };
    }
}
