//! The Cluster Autoscaler 1.36: one iteration after another, as pure code over a view of the
//! cluster and a cloud.
//!
//! ```text
//! View ─► snapshot ─► filter-out-schedulable ─► pods that need nodes
//!            │                                        │
//!            │                 groups × estimate ─► expanders ─► balance ─► Cloud::increase
//!            └─► planner: candidates ─► eligible ─► simulate removal ─► unneeded nodes
//!                                                                            │ ripe
//!                         Cloud::delete ◄─ evict ◄─ judge again ◄─ taint ◄───┘
//! ```
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/static_autoscaler.go `RunOnce`
//! (rules A124 to A184; recorded). Differs: a failed tainting is not modelled, so nothing starts the
//! delay after failure but with local delays.

mod actuator;
mod base;
mod cloud;
mod drainability;
mod estimate;
mod expander;
mod ledger;
mod look;
mod memory;
mod pending;
mod planner;
mod quiet;
mod registry;
mod run;
mod run_cloud;
mod scale_up;
mod snapshot;
mod templates;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Duration, Interner, SimTime, Symbol};

pub use crate::model::{ClusterAutoscalerFlags as Options, Expander};
pub use actuator::{Answer, Deletion, Evictor};
pub use cloud::{Cloud, ErrorClass, Group, Instance, InstanceError};
pub use estimate::{Estimate, PodGroup, pod_groups, requests_of};
pub use expander::{Choice, Facts, Ruling, rule};
pub use planner::{Unremovable, Utilization};
pub use registry::{BackedOff, Request};
pub use run::ClusterAutoscalerController;
pub use scale_up::{GroupIncrease, Remaining, ScaleUp, ScaleUpResult};
pub use templates::Template;
pub use view::*;

use actuator::{Acting, Actuator};
use base::Base;
use ledger::Ledger;
use planner::{Hints, Planner, Planning};
use registry::Registry;
use snapshot::Snapshot;
use templates::Templates;

/// How old the oldest pod must be (rule A133).
const PODS_ARE_NEW: Duration = Duration::secs(2);
/// The taint of nodes that are not needed (rule A183).
const CANDIDATE: &str = "DeletionCandidateOfClusterAutoscaler";

/// The autoscaler between two iterations.
#[derive(Debug)]
pub struct ClusterAutoscaler {
    options: Options,
    registry: Registry,
    planner: Planner,
    actuator: Actuator,
    templates: Templates,
    hints: Hints,
    last_scale_up: Option<SimTime>,
    last_scale_down: Option<SimTime>,
    /// When each group grew last.
    grown: BTreeMap<usize, SimTime>,
    last: usize,
    base: Base,
    is_plain: bool,
}

/// What happened to nodes that are not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleDownResult {
    /// The iteration ended before.
    #[default]
    NotTried,
    /// No node's group may shrink.
    NoCandidates,
    /// Too soon after another change (rule A160).
    InCooldown,
    /// No node is ripe.
    NoNodeDeleted,
    /// Nodes are on their way out.
    NodeDeleteStarted,
}

/// A node whose deletion begins: whoever made the view taints (and, if the options say so, cordons)
/// it at once.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Which.
    pub node: Symbol,
    /// The number of its group.
    pub group: usize,
    /// The pods to evict, by their numbers in the view.
    pub pods: Vec<usize>,
    /// How much of it is asked for.
    pub utilization: Utilization,
}

/// What an iteration decided.
#[derive(Clone, Debug, Default)]
pub struct Iteration {
    /// Whether the cluster is well enough to go on (rule A127).
    pub is_healthy: bool,
    /// The way up.
    pub up: ScaleUp,
    /// The way down.
    pub down: ScaleDownResult,
    /// Nodes whose deletion begins.
    pub departures: Vec<Departure>,
    /// How deletions ended since the iteration before.
    pub ended: BTreeMap<Symbol, Deletion>,
    /// Groups that were backed off.
    pub backed_off: Vec<BackedOff>,
    /// Why nodes stay, by name of the node in the order of the view.
    pub unremovable: Vec<Unremovable>,
    /// Nodes that get the soft taint, and nodes that lose it (rule A183).
    pub soft_taints: (Vec<Symbol>, Vec<Symbol>),
    /// Messages to the log of events.
    pub log: Vec<String>,
}

impl ClusterAutoscaler {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            registry: Registry::default(),
            planner: Planner::default(),
            actuator: Actuator::default(),
            templates: Templates::default(),
            hints: Hints::default(),
            last_scale_up: None,
            last_scale_down: None,
            grown: BTreeMap::new(),
            last: 0,
            base: Base::default(),
            is_plain: false,
        }
    }

    /// One that decides the same without keeping anything from one search or iteration to the next,
    /// slowly: the measure of the other.
    #[must_use]
    pub fn plain(options: Options) -> Self {
        Self { is_plain: true, ..Self::new(options) }
    }

    /// Its flags.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Since when each unneeded node is so, by name.
    #[must_use]
    pub const fn unneeded(&self) -> &BTreeMap<Symbol, SimTime> {
        &self.planner.since
    }

    /// Open requests by the number of the group.
    #[must_use]
    pub const fn requests(&self) -> &BTreeMap<usize, Request> {
        &self.registry.requests
    }

    /// When the last iteration began that added nodes.
    #[must_use]
    pub const fn last_scale_up(&self) -> Option<SimTime> {
        self.last_scale_up
    }

    /// When the last iteration began that started deletions.
    #[must_use]
    pub const fn last_scale_down(&self) -> Option<SimTime> {
        self.last_scale_down
    }

    /// How many nodes of a group are on their way (rule A128).
    #[must_use]
    pub fn upcoming(&self, group: usize, now: SimTime) -> usize {
        self.registry.upcoming(group, now)
    }

    /// When [`advance`](Self::advance) has something to do.
    #[must_use]
    pub fn next_step(&self) -> Option<SimTime> {
        self.actuator.next_step()
    }

    /// Goes on with deletions under way; answers with the nodes whose taint and cordon are to be
    /// taken off.
    pub fn advance(
        &mut self,
        view: &View<'_>,
        cloud: &mut dyn Cloud,
        evictor: &mut dyn Evictor,
        names: &Interner,
    ) -> Vec<Symbol> {
        self.actuator.advance(&Acting { view, options: &self.options, names }, cloud, evictor)
    }

    /// One iteration.
    pub fn run_once(
        &mut self,
        view: &View<'_>,
        cloud: &mut dyn Cloud,
        names: &mut Interner,
    ) -> Iteration {
        let ledger = Ledger::of(view);
        let mut iteration = Iteration::default();
        let groups = cloud.groups().to_vec();
        let templates = self.templates.make((view, &ledger), &groups, &self.options, names);
        self.registry.update(view, cloud, &self.options);
        iteration.log.append(&mut self.registry.log);
        if self.mend(view, cloud, (&mut iteration, names)) {
            self.scale(view, (cloud, &templates), &ledger, (&mut iteration, names));
        }
        self.registry.recalculate(cloud.groups());
        iteration.log.sort();
        iteration.backed_off = std::mem::take(&mut self.registry.backed_off);
        iteration.ended = std::mem::take(&mut self.actuator.ended);
        iteration.unremovable = self.planner.unremovable();
        iteration
    }

    /// Rule A124 (8) to (11); whether the iteration goes on.
    fn mend(
        &mut self,
        view: &View<'_>,
        cloud: &mut dyn Cloud,
        (iteration, names): (&mut Iteration, &Interner),
    ) -> bool {
        self.delete_lost(view.now, cloud, (iteration, names));
        iteration.is_healthy = self.registry.is_healthy(&self.options);
        if !iteration.is_healthy {
            self.planner.forget();
            iteration.log.push("ClusterUnhealthy: Cluster is unhealthy".to_owned());
            return false;
        }
        for (group, nodes) in self.registry.broken() {
            if cloud.delete(group, &nodes).is_ok() {
                self.registry.forget_instances(group);
            }
        }
        self.registry.recalculate(cloud.groups());
        let mut goes_on = true;
        for (group, by) in self.registry.too_large(view.now, &self.options) {
            goes_on = false;
            if cloud.decrease_target(group, by).is_err() {
                break;
            }
        }
        goes_on
    }

    /// Instances that never became nodes (rule A156).
    fn delete_lost(
        &mut self,
        now: SimTime,
        cloud: &mut dyn Cloud,
        (iteration, names): (&mut Iteration, &Interner),
    ) {
        for (group, mut nodes) in self.registry.lost(now, &self.options) {
            let of = &cloud.groups()[group];
            let id = of.id.clone();
            nodes.truncate(crate::base::cast::usize_of(of.target.saturating_sub(of.min)));
            if nodes.is_empty() {
                continue;
            }
            let result = cloud.delete(group, &nodes);
            self.registry.forget_instances(group);
            for node in nodes {
                let name = names.resolve(node);
                iteration.log.push(match &result {
                    Ok(()) => {
                        format!("DeleteUnregistered: Removed unregistered node fake:///{id}/{name}")
                    }
                    Err(why) => {
                        format!("DeleteUnregisteredFailed: Failed to remove node {name}: {why}")
                    }
                });
            }
        }
    }

    /// Rule A124 (12) to (16).
    fn scale<'a>(
        &mut self,
        view: &View<'a>,
        (cloud, templates): (&mut dyn Cloud, &[Template]),
        ledger: &Ledger,
        (iteration, names): (&mut Iteration, &mut Interner),
    ) {
        let upcoming = self.registered_upcoming(view, templates.len());
        let mut snapshot = self.snapshot((view, ledger), templates, &upcoming, names);
        let start = snapshot.point();
        let pending = self.pending((view, ledger), &mut snapshot, names);
        let mut is_held = false;
        iteration.up =
            self.up(view, &mut snapshot, (&mut *cloud, templates, &pending), (&mut is_held, names));
        if self.options.scales_down {
            let with = (&mut snapshot, ledger, &upcoming);
            self.down(view, cloud, with, (is_held, names), iteration);
        }
        if self.options.enforces_min {
            self.raise_to_min(view.now, cloud, &mut iteration.up);
        }
        iteration.log.append(&mut iteration.up.log);
        self.last = snapshot.last;
        snapshot.back_to(start);
        if let Some(nodes) = snapshot.into_nodes() {
            self.base.keep(nodes);
        }
    }

    /// Nodes that are there but count as upcoming (rule A128).
    fn registered_upcoming(&self, view: &View<'_>, groups: usize) -> BTreeSet<Symbol> {
        let is_short = |group: &usize| self.registry.upcoming(*group, view.now) > 0;
        let of = (0..groups).filter(is_short);
        of.flat_map(|group| self.registry.not_started(group)).copied().collect()
    }

    /// Rules A159, A160.
    fn down<'a>(
        &mut self,
        view: &View<'a>,
        cloud: &dyn Cloud,
        (snapshot, ledger, upcoming): (&mut Snapshot<'a>, &Ledger, &BTreeSet<Symbol>),
        (is_held, names): (bool, &Interner),
        iteration: &mut Iteration,
    ) {
        let before = snapshot.point();
        let mut planning = Planning {
            view,
            groups: cloud.groups(),
            options: &self.options,
            names,
            snapshot,
            ledger,
            budgets: view.budgets.clone(),
            actuator: &self.actuator,
            upcoming,
            grown: &self.grown,
        };
        let has_candidates = self.planner.plan(&mut planning);
        planning.snapshot.back_to(before);
        if is_held || self.is_cooling(view.now) {
            iteration.down = ScaleDownResult::InCooldown;
            return;
        }
        if !has_candidates {
            iteration.down = ScaleDownResult::NoCandidates;
            return;
        }
        let (empty, drained) = self.planner.ripe(&planning);
        let starts = empty.iter().map(|at| (*at, false));
        let starts = starts.chain(drained.iter().map(|at| (*at, true)));
        let departures: Vec<Departure> =
            starts.filter_map(|(at, drains)| departure(&planning, at, drains)).collect();
        iteration.down = ScaleDownResult::NoNodeDeleted;
        if departures.is_empty() {
            iteration.soft_taints = self.soft_taints(view, names);
            return;
        }
        for (number, of) in departures.iter().enumerate() {
            iteration.log.push(of.told(number < empty.len(), view, names));
            let until = view.now + self.options.delay_after_taint;
            self.actuator.start(of.node, of.group, number >= empty.len(), until);
        }
        iteration.departures = departures;
        iteration.down = ScaleDownResult::NodeDeleteStarted;
        self.last_scale_down = Some(view.now);
    }

    /// Rule A160.
    fn is_cooling(&self, now: SimTime) -> bool {
        let is_within =
            |last: Option<SimTime>, delay: Duration| last.is_some_and(|last| last + delay > now);
        !self.options.delays_locally
            && (is_within(self.last_scale_up, self.options.delay_after_add)
                || is_within(self.last_scale_down, self.options.delay_after_delete))
    }

    /// Rule A183: what is no candidate any more first, no more calls than permitted.
    fn soft_taints(&self, view: &View<'_>, names: &Interner) -> (Vec<Symbol>, Vec<Symbol>) {
        let is_marked = |node: &&NodeView| {
            node.spec.taints.iter().any(|taint| names.resolve(taint.key) == CANDIDATE)
        };
        let is_unneeded = |node: &&NodeView| self.planner.since.contains_key(&node.spec.name);
        let of_groups = || view.nodes.iter().filter(|node| node.group.is_some());
        let stale = of_groups().filter(|node| is_marked(node) && !is_unneeded(node));
        let fresh = of_groups().filter(|node| !is_marked(node) && is_unneeded(node));
        let name = |node: &NodeView| node.spec.name;
        let off: Vec<Symbol> = stale.map(name).take(self.options.soft_taints).collect();
        let on = fresh.map(name).take(self.options.soft_taints - off.len()).collect();
        (on, off)
    }
}

fn departure(planning: &Planning<'_, '_>, at: usize, is_drained: bool) -> Option<Departure> {
    let node = &planning.view.nodes[at];
    let leaves = |pod: &&PodView| is_drained && !pod.is_daemon() && !pod.traits.is_mirror;
    let pods = planning.pods_of(node.node).filter(|(_, pod)| leaves(pod));
    Some(Departure {
        node: node.spec.name,
        group: node.group?,
        pods: pods.map(|(at, _)| at).collect(),
        utilization: planning.utilization_of(node),
    })
}

impl Departure {
    fn told(&self, is_empty: bool, view: &View<'_>, names: &Interner) -> String {
        let node = names.resolve(self.node);
        if is_empty {
            return format!("ScaleDownEmpty: Scale-down: removing empty node \"{node}\"");
        }
        let Utilization { cpu, memory } = self.utilization;
        let (kind, most) = if cpu > memory { ("cpu", cpu) } else { ("memory", memory) };
        let pods: Vec<String> =
            self.pods.iter().map(|pod| view.pods[*pod].name.text(names)).collect();
        format!(
            "ScaleDown: Scale-down: removing node {node}, utilization: {{{cpu} {memory} 0 0 {kind} \
             {most}}}, pods to reschedule: {}",
            pods.join(",")
        )
    }
}
