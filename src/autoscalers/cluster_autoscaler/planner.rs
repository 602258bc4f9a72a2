//! Which nodes are not needed.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/scaledown/{planner,eligibility,
//! unneeded,unremovable}; simulator/cluster.go; processors/scaledowncandidates (rules A159 to A170).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Duration, Interner, SimTime, Symbol, cast, go_sort};
use crate::model::{NodeId, PodRef};
use crate::record::PodName;

use super::Options;
use super::actuator::Actuator;
use super::cloud::Group;
use super::drainability::{Outcome, Rules};
use super::ledger::Ledger;
use super::scale_up::cores;
use super::snapshot::{Among, Mark, Snapshot, Wanted};
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
    /// Its number in the view.
    at: usize,
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
    /// The nodes that were unneeded when it planned last.
    before: BTreeSet<Symbol>,
    /// Until when nodes are not looked at.
    pub(super) recheck: BTreeMap<Symbol, SimTime>,
    pub(super) hints: Hints,
    removable: Vec<Removable>,
    /// Why nodes stay, as far as known, by their numbers in the view.
    left: Vec<Option<Unremovable>>,
    utilization: Vec<Option<Utilization>>,
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
    pub(super) ledger: &'b Ledger,
    pub(super) budgets: Vec<BudgetView>,
    pub(super) actuator: &'b Actuator,
    /// Nodes that are there but have not started.
    pub(super) upcoming: &'b BTreeSet<Symbol>,
    /// When groups grew last.
    pub(super) grown: &'b BTreeMap<usize, SimTime>,
}

impl<'a, 'b> Planning<'a, 'b> {
    /// The pods of a node in the simulation as it stands, with their numbers in the view: those
    /// that wait and were given a place there are among them.
    pub(super) fn pods_of(&self, node: NodeId) -> impl Iterator<Item = (usize, &PodView)> {
        let placed = self.snapshot.nodes.get(node).into_iter().flat_map(|state| &state.pods);
        let known = placed.filter_map(|placed| self.ledger.find(placed.pod, self.view));
        known.map(|at| (at, &self.view.pods[at]))
    }

    fn rules<'r>(&'r self, budgets: Option<&'r [BudgetView]>) -> Rules<'r> {
        Rules { options: self.options, now: self.view.now, names: self.names, budgets }
    }

    /// Nodes whose groups may shrink, the promising ones first; what is equal stands as the sort
    /// leaves it (rule A161).
    ///
    /// Source: kubernetes/autoscaler cluster-autoscaler 1.36 processors/scaledowncandidates
    /// scale_down_candidates_sorting_processor.go `NodeSorter` (recorded).
    fn candidates(&self, before: &BTreeSet<Symbol>) -> Vec<usize> {
        let may_shrink = |node: &NodeView| {
            let group = node.group.map(|group| &self.groups[group]);
            group.is_some_and(|group| group.target > group.min)
                && !self.upcoming.contains(&node.spec.name)
        };
        let key = |node: &NodeView| {
            let (is_empty, waits) = self.emptiness(node.node);
            (!is_empty, waits, !before.contains(&node.spec.name))
        };
        let nodes = self.view.nodes.iter().enumerate().filter(|(_, node)| may_shrink(node));
        let mut all: Vec<((bool, bool, bool), usize)> =
            nodes.map(|(at, node)| (key(node), at)).collect();
        go_sort::sort(&mut all, |a, b| a.0 < b.0);
        let is_delayed =
            |at: &usize| self.view.nodes[*at].group.is_some_and(|group| self.is_delayed(group));
        all.into_iter().map(|(_, at)| at).filter(|at| !is_delayed(at)).collect()
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

    /// Whether no pod would have to move, and whether one ends by itself then.
    fn emptiness(&self, node: NodeId) -> (bool, bool) {
        let rules = self.rules(None);
        let mut waits = false;
        for (_, pod) in self.pods_of(node) {
            match rules.judge(pod) {
                Outcome::Skip => {}
                Outcome::Move if pod.is_daemon() => {}
                Outcome::Wait => waits = true,
                Outcome::Move | Outcome::Block(_) => return (false, false),
            }
        }
        (true, waits)
    }

    /// Rule A163.
    pub(super) fn utilization_of(&self, node: &NodeView) -> Utilization {
        let of = &node.spec.allocatable;
        let (mut asked, mut there) = ([0, 0], [of.cpu.0, of.memory.0]);
        let options = self.options;
        let state = self.snapshot.nodes.get(node.node);
        let is_plain =
            !self.ledger.has_leavers && !options.ignores_daemons && !options.ignores_mirrors;
        if let Some(state) = state.filter(|_| is_plain) {
            asked = [state.usage.requested.cpu.0, state.usage.requested.memory.0];
        } else {
            self.sum_up(node.node, (&mut asked, &mut there));
        }
        let share = |at: usize| cast::f64_of_i64(asked[at]) / cast::f64_of_i64(there[at]);
        Utilization { cpu: share(0), memory: share(1) }
    }

    /// What the pods of a node ask for; those that do not count are taken off what is there.
    fn sum_up(&self, node: NodeId, (asked, there): (&mut [i64; 2], &mut [i64; 2])) {
        let rules = self.rules(None);
        for (_, pod) in self.pods_of(node) {
            let of = &pod.info.spec.requests;
            let of = [of.cpu.0, of.memory.0];
            let is_off = (pod.is_daemon() && self.options.ignores_daemons)
                || (pod.traits.is_mirror && self.options.ignores_mirrors);
            if !is_off && rules.is_overdue(pod) {
                continue;
            }
            for at in 0..2 {
                let part = if is_off { &mut *there } else { &mut *asked };
                part[at] += if is_off { -of[at] } else { of[at] };
            }
        }
    }

    /// The pods of a node that move, and whether one ends by itself; or the pod that must stay and
    /// why. Pods that earlier simulations put there count.
    fn movable(&self, node: NodeId) -> Result<(Vec<usize>, bool), (PodName, &'static str)> {
        let (rules, mut moved, mut waits) = (self.rules(Some(&self.budgets)), Vec::new(), false);
        for (at, pod) in self.pods_of(node) {
            match rules.judge(pod) {
                Outcome::Skip => {}
                Outcome::Move if pod.is_daemon() => {}
                Outcome::Wait => waits = true,
                Outcome::Move => moved.push(at),
                Outcome::Block(why) => return Err((pod.name, why)),
            }
        }
        Ok((moved, waits))
    }

    /// Where the pods of a node would go; the simulation stays as it is then (rule A164).
    fn remove(&mut self, at: usize, places: &[bool], planner: &mut Planner) -> bool {
        let (node, name) = (self.view.nodes[at].node, self.view.nodes[at].spec.name);
        let (moved, waits) = match self.movable(node) {
            Ok(found) => found,
            Err(blocks) => {
                planner.stays((at, name), "BlockedByPod", Some(blocks));
                return false;
            }
        };
        let before = self.snapshot.point();
        for pod in &moved {
            self.snapshot.take(node, self.view.pods[*pod].pod, self.names);
        }
        if !self.place_all(&moved, places, planner) {
            self.snapshot.back_to(before);
            planner.stays((at, name), "NoPlaceToMovePods", None);
            return false;
        }
        self.snapshot.detach(node);
        let is_risky = self.charge(&moved);
        planner.removable.push(Removable { at, node: name, moved: moved.len(), waits, is_risky });
        true
    }

    /// Takes pods off their budgets; whether one had not enough for all at once.
    fn charge(&mut self, moved: &[usize]) -> bool {
        let (view, options, names) = (self.view, self.options, self.names);
        let rules = Rules { options, now: view.now, names, budgets: None };
        let mut is_risky = false;
        for budget in &mut self.budgets {
            let covered = |at: &&usize| rules.covers(budget, &view.pods[**at]);
            let count = cast::i64_of(moved.iter().filter(covered).count());
            is_risky |= count > 0 && budget.allowed < count;
            budget.allowed -= count;
        }
        is_risky
    }

    fn place_all(&mut self, moved: &[usize], places: &[bool], planner: &mut Planner) -> bool {
        let among = Among::Marked(places);
        for at in moved {
            let pod = &self.view.pods[*at];
            let of = Wanted { pod: pod.pod, info: Arc::clone(&pod.info) };
            let hint = planner.hints.get(of.pod).and_then(|mark| self.snapshot.marked(mark));
            let hint = hint.filter(|node| among.takes(*node));
            let on_hint = hint.filter(|node| self.snapshot.put(&of, *node, self.names).is_ok());
            let found = on_hint.or_else(|| self.snapshot.put_anywhere(&of, among, self.names));
            let Some(node) = found else { return false };
            planner.hints.set(of.pod, self.snapshot.mark(node));
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
    fn stays(
        &mut self,
        (at, node): (usize, Symbol),
        reason: &'static str,
        pod: Option<(PodName, &'static str)>,
    ) {
        self.left[at] = Some(Unremovable { node, reason, pod, utilization: None });
    }

    /// Why nodes stay, as found when it planned last.
    pub(super) fn unremovable(&self) -> Vec<Unremovable> {
        let of = self.left.iter().zip(&self.utilization);
        let known = |(stays, used): (&Option<Unremovable>, &Option<Utilization>)| {
            let utilization = used.map(Utilization::most);
            stays.as_ref().map(|stays| Unremovable { utilization, ..stays.clone() })
        };
        of.filter_map(known).collect()
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
            let used = planning.utilization_of(node);
            self.utilization[at] = Some(used);
            if used.most() <= planning.options.utilization_max {
                return true;
            }
            "NotUnderutilized"
        };
        self.stays((at, name), reason, None);
        false
    }

    /// An iteration begins: the smallest span between two of them is remembered (rule A166).
    pub(super) fn passes(&mut self, now: SimTime) {
        if let Some(last) = self.last.replace(now) {
            let span = now - last;
            self.smallest = Some(self.smallest.map_or(span, |smallest| smallest.min(span)));
        }
    }

    /// Plans anew; whether any node's group may shrink.
    pub(super) fn plan(&mut self, planning: &mut Planning<'_, '_>) -> bool {
        let (view, now) = (planning.view, planning.view.now);
        self.passes(now);
        let mut candidates = planning.candidates(&self.before);
        let has_candidates = !candidates.is_empty();
        let is_leaving = |at: &usize| planning.actuator.is_leaving(view.nodes[*at].spec.name);
        candidates.retain(|at| !is_leaving(at));
        self.left = vec![None; view.nodes.len()];
        self.utilization = vec![None; view.nodes.len()];
        self.removable.clear();
        let there = |name: &Symbol| planning.snapshot.nodes.named(*name).is_some();
        self.recheck.retain(|name, until| *until > now && there(name));
        candidates.retain(|at| self.is_eligible(*at, planning));
        self.try_each(&candidates, planning);
        let since = std::mem::take(&mut self.since);
        let keep = |of: &Removable| (of.node, since.get(&of.node).copied().unwrap_or(now));
        self.since = self.removable.iter().map(keep).collect();
        self.before = self.since.keys().copied().collect();
        self.hints.age();
        has_candidates
    }

    /// Removes nodes in thought until enough are found (rules A164 to A166).
    fn try_each(&mut self, eligible: &[usize], planning: &mut Planning<'_, '_>) {
        let view = planning.view;
        let mut places =
            vec![false; view.nodes.iter().map(|n| n.node.index() + 1).max().unwrap_or(0)];
        for node in &view.nodes {
            let name = node.spec.name;
            let is_out = planning.actuator.is_leaving(name) || planning.upcoming.contains(&name);
            places[node.node.index()] = !is_out;
        }
        let most = self.most(planning.options);
        for at in eligible {
            if self.removable.len() >= most {
                break;
            }
            let node = &view.nodes[*at];
            let place = node.node.index();
            places[place] = false;
            if !planning.remove(*at, &places, self) {
                places[place] = true;
                self.recheck.insert(node.spec.name, view.now + planning.options.recheck);
            }
        }
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
        let mut all: Vec<(usize, Removable)> =
            self.removable.iter().map(|of| (of.at, of.clone())).collect();
        all.sort_by_key(|(at, of)| (of.moved > 0, *at));
        let mut sizes: Vec<usize> =
            planning.groups.iter().map(|group| cast::usize_of(group.target)).collect();
        let mut spare = planning.spare();
        let mut kept = Vec::new();
        for (at, of) in all {
            let node = &planning.view.nodes[at];
            match self.obstacle(node, planning, (&mut sizes, &mut spare)) {
                Some(reason) => self.stays((at, of.node), reason, None),
                None => kept.push((at, of)),
            }
        }
        kept.sort_by_key(|(_, of)| (of.moved > 0, of.is_risky));
        let (mut empty, mut drained) = (Vec::new(), Vec::new());
        for (at, of) in kept {
            if of.waits {
                self.stays((at, of.node), "BlockedByOnCompletionPod", None);
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
