//! Which nodes are not needed.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/scaledown/{planner,eligibility,
//! unneeded,unremovable}; simulator/cluster.go; processors/scaledowncandidates (rules A159 to A170).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Duration, Interner, SimTime, Symbol, cast};
use crate::model::{NodeId, PodRef};
use crate::record::PodName;

use super::Options;
use super::actuator::Actuator;
use super::cloud::Group;
use super::drainability::{Outcome, Rules};
use super::scale_up::cores;
use super::snapshot::{Mark, Snapshot, Wanted};
use super::view::{BudgetView, NodeView, PodView, View};

/// How long a node's taint says that it is being deleted (rule A162).
pub(super) const DELETION_MAX: Duration = Duration::mins(5);

/// Why a node stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Unremovable {
    /// Which.
    pub node: Symbol,
    /// Why.
    pub reason: &'static str,
    /// The pod that blocks, and why it does.
    pub pod: Option<(PodName, &'static str)>,
    /// The larger of its shares of CPU and memory.
    pub utilization: Option<f64>,
}

/// How much of a node is asked for (rule A163).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilization {
    /// Of its CPU.
    pub cpu: f64,
    /// Of its memory.
    pub memory: f64,
}

impl Utilization {
    /// The larger share.
    #[must_use]
    pub fn most(self) -> f64 {
        if self.cpu > self.memory { self.cpu } else { self.memory }
    }
}

/// A node that a simulation could empty.
#[derive(Clone, Debug)]
pub(super) struct Removable {
    pub(super) node: Symbol,
    /// How many pods move.
    moved: usize,
    /// A pod on it ends by itself (rule A177).
    waits: bool,
    /// Budgets do not let its pods go together (rule A176).
    is_risky: bool,
}

/// What is remembered of nodes from one iteration to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Planner {
    /// Since when nodes are unneeded.
    pub(super) since: BTreeMap<Symbol, SimTime>,
    /// Until when nodes are not looked at.
    pub(super) recheck: BTreeMap<Symbol, SimTime>,
    pub(super) hints: Hints,
    removable: Vec<Removable>,
    /// Why nodes stay, as far as known.
    pub(super) left: BTreeMap<Symbol, Unremovable>,
    pub(super) utilization: BTreeMap<Symbol, Utilization>,
    last: Option<SimTime>,
    smallest: Option<Duration>,
}

/// Where pods went in the last two simulations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hints {
    new: BTreeMap<PodRef, Mark>,
    old: BTreeMap<PodRef, Mark>,
}

impl Hints {
    pub(super) fn get(&self, pod: PodRef) -> Option<Mark> {
        self.new.get(&pod).or_else(|| self.old.get(&pod)).copied()
    }

    pub(super) fn set(&mut self, pod: PodRef, node: Mark) {
        self.new.insert(pod, node);
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.old.is_empty()
    }

    /// Forgets what was not used since the last time.
    pub(super) fn age(&mut self) {
        self.old = std::mem::take(&mut self.new);
    }
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
    pub(super) actuator: &'b Actuator,
    /// Nodes that are there but have not started.
    pub(super) upcoming: &'b BTreeSet<Symbol>,
    /// When groups grew last.
    pub(super) grown: &'b BTreeMap<usize, SimTime>,
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
                && !self.upcoming.contains(&node.spec.name)
                && node.group.is_none_or(|group| !self.is_delayed(group))
        };
        let nodes = self.view.nodes.iter().enumerate();
        let mut all: Vec<usize> =
            nodes.filter(|(_, node)| may_shrink(node)).map(|(at, _)| at).collect();
        all.sort_by_cached_key(|at| {
            let node = &self.view.nodes[*at];
            let was_unneeded = since.contains_key(&node.spec.name);
            let (is_empty, waits) = self.emptiness(node.node);
            (!is_empty, waits, !was_unneeded)
        });
        all
    }

    /// With local delays: whether the group changed not long ago (rule A160).
    fn is_delayed(&self, group: usize) -> bool {
        let is_recent = |of: &BTreeMap<usize, SimTime>, delay: Duration| {
            of.get(&group).is_some_and(|at| *at + delay > self.view.now)
        };
        self.options.delays_locally
            && (is_recent(self.grown, self.options.delay_after_add)
                || is_recent(&self.actuator.deleted, self.options.delay_after_delete)
                || is_recent(&self.actuator.failed, self.options.delay_after_failure))
    }

    pub(super) fn pods_of(&self, node: NodeId) -> Vec<&PodView> {
        let Some(state) = self.snapshot.nodes.get(node) else { return Vec::new() };
        let known = state.pods.iter().filter_map(|placed| self.pods.get(&placed.pod));
        known.map(|at| &self.view.pods[*at]).collect()
    }

    /// Whether no pod would have to move, and whether one ends by itself.
    fn emptiness(&self, node: NodeId) -> (bool, bool) {
        let rules = self.rules(None);
        let mut found = (true, false);
        for pod in self.pods_of(node) {
            match rules.judge(pod) {
                Outcome::Skip => {}
                Outcome::Move if pod.is_daemon() => {}
                Outcome::Wait => found.1 = true,
                Outcome::Move => found.0 = false,
                Outcome::Block(_) => return (false, false),
            }
        }
        found
    }

    /// Rule A163.
    pub(super) fn utilization_of(&self, node: NodeId) -> Utilization {
        let Some(state) = self.snapshot.nodes.get(node) else {
            return Utilization { cpu: 0.0, memory: 0.0 };
        };
        let (mut asked, mut there) = ([0, 0], {
            let of = &state.spec.allocatable;
            [of.cpu.0, of.memory.0]
        });
        let rules = self.rules(None);
        for pod in self.pods_of(node) {
            let of = &pod.info.spec.requests;
            let of = [of.cpu.0, of.memory.0];
            let is_off = (pod.is_daemon() && self.options.ignores_daemons)
                || (pod.traits.is_mirror && self.options.ignores_mirrors);
            if !is_off && rules.is_overdue(pod) {
                continue;
            }
            for at in 0..2 {
                let part = if is_off { &mut there } else { &mut asked };
                part[at] += if is_off { -of[at] } else { of[at] };
            }
        }
        let share = |at: usize| cast::f64_of_i64(asked[at]) / cast::f64_of_i64(there[at]);
        Utilization { cpu: share(0), memory: share(1) }
    }

    /// Where the pods of a node would go; the simulation stays as it is then (rule A164).
    fn remove(&mut self, at: usize, places: &BTreeSet<NodeId>, planner: &mut Planner) -> bool {
        let (node, name) = (self.view.nodes[at].node, self.view.nodes[at].spec.name);
        let mut found = Removable { node: name, moved: 0, waits: false, is_risky: false };
        let mut moved: Vec<Wanted> = Vec::new();
        let budgets = self.budgets.clone();
        for pod in self.pods_of(node) {
            match self.rules(Some(&budgets)).judge(pod) {
                Outcome::Skip => {}
                Outcome::Move if pod.is_daemon() => {}
                Outcome::Wait => found.waits = true,
                Outcome::Move => {
                    moved.push(Wanted { pod: pod.pod, info: Arc::clone(&pod.info) });
                }
                Outcome::Block(why) => {
                    planner.stays(name, "BlockedByPod", Some((pod.name, why)));
                    return false;
                }
            }
        }
        let fork = self.snapshot.nodes.clone();
        for pod in &moved {
            self.snapshot.nodes.remove_pod(node, pod.pod);
        }
        if !self.place_all(&moved, node, places, planner) {
            self.snapshot.nodes = fork;
            planner.stays(name, "NoPlaceToMovePods", None);
            return false;
        }
        self.snapshot.nodes.detach(node);
        found.moved = moved.len();
        found.is_risky = self.charge(&moved);
        planner.removable.push(found);
        true
    }

    /// Takes pods off their budgets; whether one had not enough for all at once.
    fn charge(&mut self, moved: &[Wanted]) -> bool {
        let (options, now, names) = (self.options, self.view.now, self.names);
        let rules = Rules { options, now, names, budgets: None };
        let (view, pods) = (self.view, self.pods);
        let mut is_risky = false;
        for budget in &mut self.budgets {
            let covered = |of: &&Wanted| rules.covers(budget, &view.pods[pods[&of.pod]]);
            let count = cast::i64_of(moved.iter().filter(covered).count());
            is_risky |= count > 0 && budget.allowed < count;
            budget.allowed -= count;
        }
        is_risky
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
            let hint = planner.hints.get(pod.pod).and_then(|mark| self.snapshot.marked(mark));
            let hint = hint.filter(|node| takes_part(*node));
            let on_hint = hint.filter(|node| self.snapshot.put(pod, *node, self.names).is_ok());
            let found = on_hint.or_else(|| self.snapshot.put_anywhere(pod, takes_part, self.names));
            let Some(node) = found else { return false };
            planner.hints.set(pod.pod, self.snapshot.mark(node));
        }
        true
    }

    /// Cores and bytes that may go (rule A169).
    fn spare(&self) -> [i64; 2] {
        let mut spare = [-self.options.cores_min, -self.options.memory_min];
        for node in &self.view.nodes {
            if !self.upcoming.contains(&node.spec.name) {
                spare[0] += cores(&node.capacity);
                spare[1] += node.capacity.memory.0;
            }
        }
        spare
    }
}

/// Whether its taint is young enough (rule A162).
pub(super) fn is_being_deleted(node: &NodeView, now: SimTime) -> bool {
    node.deleting_since.is_some_and(|since| since + DELETION_MAX > now)
}

impl Planner {
    fn stays(&mut self, node: Symbol, reason: &'static str, pod: Option<(PodName, &'static str)>) {
        self.left.insert(node, Unremovable { node, reason, pod, utilization: None });
    }

    /// Forgets since when nodes are unneeded (rule A168).
    pub(super) fn forget(&mut self) {
        self.since.clear();
        self.removable.clear();
    }

    /// Rule A162.
    fn is_eligible(&mut self, at: usize, planning: &Planning<'_, '_>) -> bool {
        let (node, now) = (&planning.view.nodes[at], planning.view.now);
        let name = node.spec.name;
        let reason = if self.recheck.contains_key(&name) {
            "RecentlyUnremovable"
        } else if is_being_deleted(node, now) {
            "CurrentlyBeingDeleted"
        } else if node.is_kept {
            "ScaleDownDisabledAnnotation"
        } else if !node.is_ready && !planning.options.scales_down_unready {
            "ScaleDownUnreadyDisabled"
        } else {
            let used = planning.utilization_of(node.node);
            self.utilization.insert(name, used);
            if used.most() <= planning.options.utilization_max {
                return true;
            }
            "NotUnderutilized"
        };
        self.stays(name, reason, None);
        false
    }

    /// An iteration begins: the smallest span between two of them is remembered (rule A166).
    pub(super) fn passes(&mut self, now: SimTime) {
        if let Some(last) = self.last.replace(now) {
            let span = now - last;
            self.smallest = Some(self.smallest.map_or(span, |smallest| smallest.min(span)));
        }
    }

    /// Plans anew.
    pub(super) fn plan(&mut self, planning: &mut Planning<'_, '_>) {
        let now = planning.view.now;
        self.passes(now);
        let is_leaving =
            |at: &usize| planning.actuator.is_leaving(planning.view.nodes[*at].spec.name);
        let mut candidates = planning.candidates(&self.since);
        candidates.retain(|at| !is_leaving(at));
        let mut places: BTreeSet<NodeId> = planning
            .view
            .nodes
            .iter()
            .enumerate()
            .filter(|(at, node)| !is_leaving(at) && !planning.upcoming.contains(&node.spec.name))
            .map(|(_, node)| node.node)
            .collect();
        self.left.clear();
        self.utilization.clear();
        self.removable.clear();
        let there = |name: &Symbol| planning.snapshot.nodes.named(*name).is_some();
        self.recheck.retain(|name, until| *until > now && there(name));
        let eligible: Vec<usize> =
            { candidates }.into_iter().filter(|at| self.is_eligible(*at, planning)).collect();
        let most = self.most(planning.options);
        for at in eligible {
            if self.removable.len() >= most {
                break;
            }
            let node = &planning.view.nodes[at];
            if planning.remove(at, &places, self) {
                places.remove(&node.node);
            } else {
                self.recheck.insert(node.spec.name, now + planning.options.recheck);
            }
        }
        let since = std::mem::take(&mut self.since);
        let keep = |of: &Removable| (of.node, since.get(&of.node).copied().unwrap_or(now));
        self.since = self.removable.iter().map(keep).collect();
        self.hints.age();
    }

    /// How many nodes are looked for (rule A166).
    fn most(&self, options: &Options) -> usize {
        let n = options.parallelism;
        let smallest = self.smallest.unwrap_or(options.unneeded_time);
        let (whole, part) = (options.unneeded_time.as_nanos(), smallest.as_nanos().max(1));
        let loops = cast::usize_of_i64(i64::try_from(whole / part).unwrap_or(i64::MAX));
        (self.since.len() + 2 * n).min(n.saturating_mul(loops).saturating_add(n))
    }

    /// The nodes to delete now, empty ones and others, as far as budgets of parallel deletions let
    /// it (rules A169, A170, A177). In the order of the view.
    pub(super) fn ripe(&mut self, planning: &Planning<'_, '_>) -> (Vec<usize>, Vec<usize>) {
        let place = |node: Symbol| planning.view.nodes.iter().position(|n| n.spec.name == node);
        let mut all: Vec<(usize, Removable)> =
            self.removable.iter().filter_map(|of| Some((place(of.node)?, of.clone()))).collect();
        all.sort_by_key(|(at, of)| (of.moved > 0, *at));
        let mut sizes: Vec<usize> =
            planning.groups.iter().map(|group| cast::usize_of(group.target)).collect();
        let mut spare = planning.spare();
        let mut kept = Vec::new();
        for (at, of) in all {
            let node = &planning.view.nodes[at];
            match self.obstacle(node, planning, (&mut sizes, &mut spare)) {
                Some(reason) => self.stays(of.node, reason, None),
                None => kept.push((at, of)),
            }
        }
        kept.sort_by_key(|(_, of)| (of.moved > 0, of.is_risky));
        let (mut empty, mut drained) = (Vec::new(), Vec::new());
        for (at, of) in kept {
            if of.waits {
                self.stays(of.node, "BlockedByOnCompletionPod", None);
            } else if of.moved > 0 {
                drained.push(at);
            } else {
                empty.push(at);
            }
        }
        crop(planning, &empty, &drained)
    }

    /// Why a removable node cannot go now (rule A169).
    fn obstacle(
        &self,
        node: &NodeView,
        planning: &Planning<'_, '_>,
        (sizes, spare): (&mut [usize], &mut [i64; 2]),
    ) -> Option<&'static str> {
        let (options, now) = (planning.options, planning.view.now);
        let since = *self.since.get(&node.spec.name)?;
        if node.is_kept {
            return Some("ScaleDownDisabledAnnotation");
        }
        if node.is_ready && since + options.unneeded_time >= now {
            return Some("NotUnneededLongEnough");
        }
        if !node.is_ready && since + options.unready_time >= now {
            return Some("NotUnreadyLongEnough");
        }
        let group = node.group?;
        let leaving = planning.actuator.of_group(group);
        if sizes[group].saturating_sub(leaving) <= cast::usize_of(planning.groups[group].min) {
            return Some("NodeGroupMinSizeReached");
        }
        let of = [cores(&node.capacity), node.capacity.memory.0];
        if spare.iter().zip(of).any(|(spare, of)| *spare < of) {
            return Some("MinimalResourceLimitExceeded");
        }
        spare.iter_mut().zip(of).for_each(|(spare, of)| *spare -= of);
        sizes[group] -= 1;
        None
    }
}

/// Rule A170.
fn crop(
    planning: &Planning<'_, '_>,
    empty: &[usize],
    drained: &[usize],
) -> (Vec<usize>, Vec<usize>) {
    let (empties, drains) = planning.actuator.counts();
    let mut budget = planning.options.parallelism.saturating_sub(empties + drains);
    let empty = by_group(planning, empty, budget);
    budget -= empty.len();
    let drains_left = planning.options.drain_parallelism.saturating_sub(drains);
    let drained = by_group(planning, drained, budget.min(drains_left));
    (empty, drained)
}

/// The first of the nodes, group after group as they come.
fn by_group(planning: &Planning<'_, '_>, nodes: &[usize], most: usize) -> Vec<usize> {
    let mut groups: Vec<Option<usize>> = Vec::new();
    for at in nodes {
        let group = planning.view.nodes[*at].group;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let of = |group: Option<usize>| {
        nodes.iter().copied().filter(move |at| planning.view.nodes[*at].group == group)
    };
    groups.iter().flat_map(|group| of(*group)).take(most).collect()
}
