//! How many nodes of a group it takes: equivalence groups and packing into bins.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/scaleup/equivalence/groups.go;
//! estimator/{binpacking_estimator,decreasing_pod_orderer}.go (rules A135, A139 to A143).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, Symbol, cast, go_sort};
use crate::model::{NodeId, PodSpec, Resources};
use crate::placement::{NodeState, Plugin};

use super::snapshot::{Among, Snapshot, Wanted};
use super::templates::Template;
use super::view::{ControllerKind, PodView};

/// How many groups of one controller are told apart (rule A135).
const GROUPS_MAX: usize = 10;

/// Pods that are the same to a decision.
#[derive(Clone, Debug)]
pub struct PodGroup {
    /// The pods' numbers in the view, in the order of its list.
    pub pods: Vec<usize>,
}

/// Groups of pods with one controller, the same labels and the same specification, in the order of
/// their first pods (rule A135).
#[must_use]
pub fn pod_groups(all: &[PodView], pods: &[usize]) -> Vec<PodGroup> {
    let mut groups: Vec<PodGroup> = Vec::new();
    let mut known: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for pod in pods {
        let view = &all[*pod];
        let owner = view.controller.filter(|owner| owner.kind != ControllerKind::DaemonSet);
        let Some(owner) = owner else {
            groups.push(PodGroup { pods: vec![*pod] });
            continue;
        };
        let of_owner = known.entry(owner.uid).or_default();
        let is_same = |group: &&usize| {
            let first = &all[groups[**group].pods[0]];
            first.info.labels == view.info.labels && first.shape == view.shape
        };
        if let Some(group) = of_owner.iter().find(is_same) {
            groups[*group].pods.push(*pod);
            continue;
        }
        if of_owner.len() < GROUPS_MAX {
            of_owner.push(groups.len());
        }
        groups.push(PodGroup { pods: vec![*pod] });
    }
    groups
}

/// What an estimation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// How many nodes get pods.
    pub nodes: usize,
    /// The pods, in the order in which they were placed.
    pub pods: Vec<usize>,
    /// The pods of each node that was simulated.
    pub by_node: Vec<Vec<usize>>,
}

/// An estimation under way.
struct Packing<'a, 'b> {
    snapshot: &'b mut Snapshot<'a>,
    template: &'b Template,
    names: &'b mut Interner,
    all: &'b [PodView],
    /// How many nodes more are permitted (rule A143).
    left: usize,
    /// Nodes that were added, numbered one after another, and whether each has a pod.
    added: Vec<NodeId>,
    used: Vec<bool>,
    /// Nodes that were only counted.
    counted: usize,
    placed: Vec<(NodeId, usize)>,
    uncounted: Vec<usize>,
    hostname: Symbol,
}

/// Packs the pods into nodes like the template; `left` nodes are permitted. The snapshot is as
/// before afterwards, but for where its next search starts.
pub(super) fn estimate(
    snapshot: &mut Snapshot<'_>,
    template: &Template,
    (all, groups): (&[PodView], &[&PodGroup]),
    (left, is_fast): (usize, bool),
    names: &mut Interner,
) -> Estimate {
    let before = snapshot.point();
    let hostname = names.intern("kubernetes.io/hostname");
    let mut packing = Packing {
        snapshot,
        template,
        names,
        all,
        left,
        added: Vec::new(),
        used: Vec::new(),
        counted: 0,
        placed: Vec::new(),
        uncounted: Vec::new(),
        hostname,
    };
    let mut may_add = true;
    let mut ordered = by_score(all, groups, &template.state);
    if is_fast {
        longest_last(all, &mut ordered, &template.state);
    }
    for (number, group) in ordered.iter().enumerate() {
        let rest = packing.fill(&group.pods);
        if may_add {
            may_add = packing.add(rest, is_fast && number + 1 == ordered.len());
        }
    }
    let by_node = packing.by_node();
    let mut pods: Vec<usize> = packing.placed.iter().map(|(_, pod)| *pod).collect();
    pods.extend(&packing.uncounted);
    let used = packing.used.iter().filter(|is_used| **is_used).count();
    let nodes = used + packing.counted;
    snapshot.back_to(before);
    Estimate { nodes, pods, by_node }
}

/// The largest share of a node first (rule A139).
fn by_score<'g>(all: &[PodView], groups: &[&'g PodGroup], on: &NodeState) -> Vec<&'g PodGroup> {
    let score = |group: &&'g PodGroup| {
        let (wants, has) = (&all[group.pods[0]].info.spec.requests, &on.spec.allocatable);
        share(wants.cpu.0, has.cpu.0) + share(wants.memory.0, has.memory.0)
    };
    let mut scored: Vec<_> = groups.iter().map(|group| (score(group), *group)).collect();
    go_sort::sort(&mut scored, |a, b| a.0 > b.0);
    scored.into_iter().map(|(_, group)| group).collect()
}

/// Only the last group is packed fast, so it is the one of which most pods are left when one node
/// is full.
fn longest_last(all: &[PodView], groups: &mut Vec<&PodGroup>, on: &NodeState) {
    let left = |group: &&PodGroup| {
        group.pods.len().saturating_sub(on_one(&all[group.pods[0]].info.spec, on))
    };
    let counts = groups.iter().map(left).enumerate();
    let longest = counts.max_by_key(|(at, left)| (*left, *at));
    if let Some((at, _)) = longest {
        let longest = groups.remove(at);
        groups.push(longest);
    }
}

/// How many such pods a node takes.
fn on_one(spec: &PodSpec, on: &NodeState) -> usize {
    let (wants, has, used) = (&spec.requests, &on.spec.allocatable, &on.usage.requested);
    let part = |wants: i64, free: i64| if wants > 0 { free.max(0) / wants } else { i64::MAX };
    let room = i64::from(on.spec.pods_max) - i64::from(on.usage.pods);
    let most = part(wants.cpu.0, has.cpu.0 - used.cpu.0);
    let most = most.min(part(wants.memory.0, has.memory.0 - used.memory.0)).min(room);
    cast::usize_of_i64(most)
}

fn share(of: i64, whole: i64) -> f64 {
    if whole > 0 { cast::f64_of_i64(of) / cast::f64_of_i64(whole) } else { 0.0 }
}

fn is_plain(spec: &PodSpec) -> bool {
    spec.spread.is_empty() && spec.pod_affinity.is_empty() && spec.host_ports.is_empty()
}

impl Packing<'_, '_> {
    fn wanted(&self, pod: usize) -> Wanted {
        let view = &self.all[pod];
        Wanted { pod: view.pod, info: Arc::clone(&view.info) }
    }

    fn note(&mut self, node: NodeId, pod: usize) {
        let at = self.place(node);
        self.used[at] = true;
        self.placed.push((node, pod));
    }

    fn on_added(&mut self, pod: usize) -> bool {
        let of = self.wanted(pod);
        let first = self.snapshot.nodes.len() - self.added.len();
        let found = self.snapshot.put_anywhere(&of, Among::From(first), self.names);
        if let Some(node) = found {
            self.note(node, pod);
        }
        found.is_some()
    }

    fn place(&self, node: NodeId) -> usize {
        node.index() - self.added[0].index()
    }

    /// The pods of each node that got some, and nothing of nodes that were only counted.
    fn by_node(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.added.len()];
        for (node, pod) in &self.placed {
            lists[self.place(*node)].push(*pod);
        }
        lists.retain(|list| !list.is_empty());
        lists.resize(lists.len() + self.counted, Vec::new());
        lists
    }

    /// On nodes added for groups before, until the first that does not fit (rule A140 a).
    fn fill<'p>(&mut self, pods: &'p [usize]) -> &'p [usize] {
        if self.added.is_empty() {
            return pods;
        }
        let stop = pods.iter().position(|pod| !self.on_added(*pod));
        &pods[stop.unwrap_or(pods.len())..]
    }

    /// On the node added last, or one more (rule A140 b). Whether more may be added afterwards.
    fn add(&mut self, pods: &[usize], is_fast: bool) -> bool {
        let mut on_first = 0;
        for (number, pod) in pods.iter().enumerate() {
            if self.on_last(*pod) {
                on_first += 1;
                continue;
            }
            let is_empty = self.used.last().is_some_and(|is_used| !is_used);
            if is_empty {
                return true;
            }
            let plain = is_fast && is_plain(&self.all[*pod].info.spec);
            if plain && on_first > 0 && self.added.last().is_some() && number > 0 && self.is_own() {
                return self.count(&pods[number..], on_first);
            }
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            let node = self.one_more();
            let of = self.wanted(*pod);
            if self.snapshot.put(&of, node, self.names).is_err() {
                return true;
            }
            self.note(node, *pod);
            on_first = 1;
        }
        true
    }

    /// Whether the last node was added for the group at hand.
    fn is_own(&self) -> bool {
        let Some(last) = self.added.last() else { return false };
        let mut there = self.placed.iter().filter(|(node, _)| node == last).map(|(_, pod)| *pod);
        let newest = self.placed.last().map(|(_, pod)| &self.all[*pod].info);
        there
            .next()
            .is_some_and(|pod| newest.is_some_and(|info| self.all[pod].info.spec == info.spec))
    }

    /// As many nodes as the rest takes at so many pods a node, without looking at each.
    fn count(&mut self, rest: &[usize], a_node: usize) -> bool {
        for chunk in rest.chunks(a_node) {
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            self.counted += 1;
            self.uncounted.extend(chunk);
        }
        true
    }

    fn on_last(&mut self, pod: usize) -> bool {
        let Some(last) = self.added.last().copied() else { return false };
        let of = self.wanted(pod);
        let refusal = match self.snapshot.put(&of, last, self.names) {
            Ok(()) => {
                self.note(last, pod);
                return true;
            }
            Err(refusal) => refusal,
        };
        let by_spread = refusal.is_some_and(|why| why.plugin == Plugin::PodTopologySpread);
        let spreads = of.info.spec.spread.iter().any(|c| c.topology_key == self.hostname);
        by_spread && spreads && self.on_added(pod)
    }

    fn one_more(&mut self) -> NodeId {
        let name = format!("{}-{}", self.template.name, self.added.len());
        let state = self.template.node(&name, self.names);
        let node = self.snapshot.imagine(state);
        self.added.push(node);
        self.used.push(false);
        node
    }
}

/// The sum of what pods ask for.
#[must_use]
pub fn requests_of(all: &[PodView], pods: &[usize]) -> Resources {
    let mut sum = Resources::default();
    pods.iter().for_each(|pod| sum.add(&all[*pod].info.spec.requests));
    sum
}
