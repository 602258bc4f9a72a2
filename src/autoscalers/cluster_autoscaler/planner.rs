//! Which nodes are not needed.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/scaledown/{planner,eligibility,
//! unneeded}; simulator/cluster.go; processors/scaledowncandidates (rules A159 to A168).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Duration, Interner, SimTime, Symbol, cast};
use crate::model::{NodeId, PodRef};

use super::cloud::Group;
use super::drainability::{Outcome, Rules};
use super::options::{Options, RECHECK};
use super::snapshot::{Snapshot, Wanted};
use super::view::{BudgetView, NodeView, PodView, View};

/// Why a node stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Unremovable {
    /// Which.
    pub node: Symbol,
    /// Why.
    pub reason: &'static str,
    /// The pod that blocks, and why it does.
    pub pod: Option<(Symbol, &'static str)>,
    /// The larger of its shares of CPU and memory.
    pub utilization: Option<f64>,
}

/// What is remembered of nodes from one iteration to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Planner {
    /// Since when nodes are unneeded.
    pub(super) since: BTreeMap<Symbol, SimTime>,
    /// Until when nodes are not looked at.
    recheck: BTreeMap<Symbol, SimTime>,
    /// Where pods went in the last simulation.
    hints: BTreeMap<PodRef, Symbol>,
}

/// What one planning works on.
pub(super) struct Planning<'a, 'b> {
    pub(super) view: &'b View<'a>,
    pub(super) groups: &'b [Group],
    pub(super) options: &'b Options,
    pub(super) names: &'b Interner,
    pub(super) snapshot: &'b mut Snapshot<'a>,
    /// The pods of the view by what the snapshot calls them.
    pub(super) pods: &'b BTreeMap<PodRef, usize>,
    pub(super) budgets: Vec<BudgetView>,
    pub(super) left: Vec<Unremovable>,
    pub(super) utilization: BTreeMap<Symbol, f64>,
}

impl Planning<'_, '_> {
    fn rules<'r>(&'r self, budgets: Option<&'r [BudgetView]>) -> Rules<'r> {
        Rules { options: self.options, now: self.view.now, names: self.names, budgets }
    }

    /// Nodes whose groups may shrink, the promising ones first (rule A161).
    pub(super) fn candidates(&self, since: &BTreeMap<Symbol, SimTime>) -> Vec<usize> {
        let may_shrink = |node: &NodeView| {
            let group = node.group.map(|group| &self.groups[group]);
            group.is_some_and(|group| group.target > group.min)
        };
        let nodes = self.view.nodes.iter().enumerate();
        let mut all: Vec<usize> =
            nodes.filter(|(_, node)| may_shrink(node)).map(|(at, _)| at).collect();
        all.sort_by_key(|at| {
            let node = &self.view.nodes[*at];
            let was_unneeded = since.contains_key(&node.spec.name);
            (!self.is_empty(node.node), !was_unneeded)
        });
        all
    }

    fn pods_of(&self, node: NodeId) -> Vec<&PodView> {
        let Some(state) = self.snapshot.nodes.get(node) else { return Vec::new() };
        let known = state.pods.iter().filter_map(|placed| self.pods.get(&placed.pod));
        known.map(|at| &self.view.pods[*at]).collect()
    }

    fn is_empty(&self, node: NodeId) -> bool {
        let rules = self.rules(None);
        let goes = |pod: &&PodView| match rules.judge(pod) {
            Outcome::Skip => true,
            Outcome::Move => pod.is_daemon(),
            Outcome::Block(_) => false,
        };
        self.pods_of(node).iter().all(goes)
    }

    /// Rule A163.
    fn utilization_of(&self, node: NodeId) -> f64 {
        let Some(state) = self.snapshot.nodes.get(node) else { return 0.0 };
        let (mut asked, mut there) = ([0, 0], {
            let of = &state.spec.allocatable;
            [of.cpu.0, of.memory.0]
        });
        for pod in self.pods_of(node) {
            let of = &pod.info.spec.requests;
            let of = [of.cpu.0, of.memory.0];
            let is_off = (pod.is_daemon() && self.options.ignores_daemons)
                || (pod.traits.is_mirror && self.options.ignores_mirrors);
            for at in 0..2 {
                let part = if is_off { &mut there } else { &mut asked };
                part[at] += if is_off { -of[at] } else { of[at] };
            }
        }
        let share = |at: usize| cast::f64_of_i64(asked[at]) / cast::f64_of_i64(there[at]);
        f64::max(share(0), share(1))
    }

    fn stays(&mut self, node: Symbol, reason: &'static str, pod: Option<(Symbol, &'static str)>) {
        let utilization = self.utilization.get(&node).copied();
        self.left.push(Unremovable { node, reason, pod, utilization });
    }

    /// Rule A162.
    fn is_eligible(&mut self, at: usize, planner: &Planner) -> bool {
        let node = &self.view.nodes[at];
        let name = node.spec.name;
        if planner.recheck.get(&name).is_some_and(|until| *until >= self.view.now) {
            self.stays(name, "RecentlyUnremovable", None);
            return false;
        }
        if node.is_kept {
            self.stays(name, "ScaleDownDisabledAnnotation", None);
            return false;
        }
        let used = self.utilization_of(node.node);
        self.utilization.insert(name, used);
        if used > self.options.utilization_max {
            self.stays(name, "NotUnderutilized", None);
            return false;
        }
        true
    }

    /// Where the pods of a node would go; the simulation stays as it is then (rule A164).
    fn remove(&mut self, at: usize, places: &BTreeSet<NodeId>, planner: &mut Planner) -> bool {
        let (node, name) = (self.view.nodes[at].node, self.view.nodes[at].spec.name);
        let mut moved: Vec<Wanted> = Vec::new();
        let budgets = self.budgets.clone();
        let mut blocked = None;
        for pod in self.pods_of(node) {
            match self.rules(Some(&budgets)).judge(pod) {
                Outcome::Skip => {}
                Outcome::Move if pod.is_daemon() => {}
                Outcome::Move => {
                    moved.push(Wanted { pod: pod.pod, info: Arc::clone(&pod.info) });
                }
                Outcome::Block(why) => {
                    blocked = Some((pod.name, why));
                    break;
                }
            }
        }
        if blocked.is_some() {
            self.stays(name, "BlockedByPod", blocked);
            return false;
        }
        let fork = self.snapshot.nodes.clone();
        for pod in &moved {
            self.snapshot.nodes.remove_pod(node, pod.pod);
        }
        if !self.place_all(&moved, node, places, planner) {
            self.snapshot.nodes = fork;
            self.stays(name, "NoPlaceToMovePods", None);
            return false;
        }
        self.snapshot.nodes.detach(node);
        for pod in &moved {
            let pod = &self.view.pods[self.pods[&pod.pod]];
            let (options, now, names) = (self.options, self.view.now, self.names);
            let rules = Rules { options, now, names, budgets: None };
            self.budgets.iter_mut().filter(|b| rules.covers(b, pod)).for_each(|b| b.allowed -= 1);
        }
        true
    }

    fn place_all(
        &mut self,
        moved: &[Wanted],
        from: NodeId,
        places: &BTreeSet<NodeId>,
        planner: &mut Planner,
    ) -> bool {
        let takes_part = |node: NodeId| node != from && places.contains(&node);
        for pod in moved {
            let hint = planner.hints.get(&pod.pod).and_then(|n| self.snapshot.nodes.named(*n));
            let hint = hint.filter(|node| takes_part(*node));
            let on_hint = hint.filter(|node| self.snapshot.put(pod, *node, self.names).is_ok());
            let found = on_hint.or_else(|| self.snapshot.put_anywhere(pod, takes_part, self.names));
            let Some(node) = found else { return false };
            planner.hints.insert(pod.pod, self.snapshot.nodes.state(node).spec.name);
        }
        true
    }
}

impl Planner {
    /// Plans; `smallest` is the least time between iterations so far.
    pub(super) fn plan(&mut self, planning: &mut Planning<'_, '_>, smallest: Duration) {
        let candidates = planning.candidates(&self.since);
        let eligible: Vec<usize> =
            { candidates }.into_iter().filter(|at| planning.is_eligible(*at, self)).collect();
        let mut places: BTreeSet<NodeId> =
            planning.view.nodes.iter().map(|node| node.node).collect();
        let most = self.most(planning.options, smallest);
        let mut removable = Vec::new();
        for at in eligible {
            if removable.len() >= most {
                break;
            }
            let node = &planning.view.nodes[at];
            if planning.remove(at, &places, self) {
                places.remove(&node.node);
                removable.push(node.spec.name);
            } else {
                self.recheck.insert(node.spec.name, planning.view.now + RECHECK);
            }
        }
        let now = planning.view.now;
        let since = std::mem::take(&mut self.since);
        self.since = { removable }
            .into_iter()
            .map(|name| (name, since.get(&name).copied().unwrap_or(now)))
            .collect();
    }

    /// How many nodes are looked for (rule A166).
    fn most(&self, options: &Options, smallest: Duration) -> usize {
        let n = options.parallelism;
        let (whole, part) = (options.unneeded_time.as_nanos(), smallest.as_nanos().max(1));
        let loops = cast::usize_of_i64(i64::try_from(whole / part).unwrap_or(i64::MAX));
        (self.since.len() + 2 * n).min(n.saturating_mul(loops).saturating_add(n))
    }
}
