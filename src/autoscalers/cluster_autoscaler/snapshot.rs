//! Nodes and pods of a simulation, searched as the autoscaler searches them.
//!
//! What a simulation does is noted step by step and taken back to a [`Point`]. What was found of a
//! pod before nodes were looked at, and which nodes refused it, is remembered for the pods after it
//! that are the same (see [`Memory`]), so that a search looks at no node twice in vain.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 simulator/clustersnapshot/predicate
//! `RunFiltersUntilPassingNode`, `RunFiltersOnNode` (rule A130).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, SimTime, Symbol};
use crate::model::{NodeId, PodRef, Profile};
use crate::placement::{
    Applicant, Catalog, NodeState, Nodes, Nominator, PlacedPod, PodInfo, Rejection, World,
};

use super::memory::Memory;

/// Where the last search ended outlives what is taken back.
#[derive(Debug)]
pub(super) struct Snapshot<'a> {
    pub(super) nodes: Nodes,
    /// Where the last search ended; the next begins after it.
    pub(super) last: usize,
    next: u32,
    /// Nodes that are coming, by when their templates were made.
    coming: BTreeMap<NodeId, SimTime>,
    profile: &'a Profile,
    catalog: &'a Catalog,
    nominator: Nominator,
    done: Vec<Step>,
    memory: Option<Memory>,
    /// Whether it remembers and takes back, or asks anew and copies.
    is_plain: bool,
}

/// What a simulation did.
#[derive(Clone, Debug)]
enum Step {
    Put(NodeId, PodRef),
    Took(NodeId, PlacedPod, usize),
    Added(NodeId),
    Detached(NodeId, Box<NodeState>, usize),
}

/// A state that a simulation can go back to.
#[derive(Debug)]
pub(super) struct Point {
    done: usize,
    copy: Option<Nodes>,
}

/// A pod that a search is for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) pod: PodRef,
    pub(super) info: Arc<PodInfo>,
}

/// Which nodes a search looks at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among<'b> {
    /// All.
    All,
    /// Those from a place of the walk on: nodes that the simulation added.
    From(usize),
    /// Those that have a mark, by their numbers.
    Marked(&'b [bool]),
}

impl Among<'_> {
    pub(super) fn takes(self, node: NodeId) -> bool {
        match self {
            Self::All | Self::From(_) => true,
            Self::Marked(marks) => marks.get(node.index()).copied().unwrap_or(false),
        }
    }
}

/// How a node is remembered from one iteration to the next.
pub(super) type Mark = (Symbol, Option<SimTime>);

/// Why a pod does not go on a node.
pub(super) type Refusal = Option<Rejection>;

impl Wanted {
    fn applicant(&self) -> Applicant {
        let info = Arc::clone(&self.info);
        Applicant { pod: self.pod, info, nominated: None, pinned: None }
    }
}

impl<'a> Snapshot<'a> {
    /// Of nodes with their pods; ids from `next` on are free.
    pub(super) fn new(
        nodes: Nodes,
        (last, next): (usize, u32),
        (profile, catalog): (&'a Profile, &'a Catalog),
        is_plain: bool,
    ) -> Self {
        Self {
            nodes,
            last,
            next,
            coming: BTreeMap::new(),
            profile,
            catalog,
            nominator: Nominator::default(),
            done: Vec::new(),
            memory: None,
            is_plain,
        }
    }

    fn world<'b>(&'b self, names: &'b Interner) -> World<'b> {
        World {
            nodes: &self.nodes,
            catalog: self.catalog,
            nominator: &self.nominator,
            profile: self.profile,
            percentage: 100,
            policies: &[],
            names,
        }
    }

    /// Adds nodes with their pods in this order: those of the cluster with their ids, those that
    /// are coming with the time when their templates were made.
    pub(super) fn enter_all(&mut self, all: Vec<(Result<NodeId, SimTime>, NodeState)>) {
        for (node, state) in all {
            match node {
                Ok(node) => self.nodes.append(node, state),
                Err(made) => {
                    let node = NodeId::new(self.next);
                    self.next += 1;
                    self.nodes.append(node, state);
                    self.coming.insert(node, made);
                }
            }
        }
    }

    /// The nodes, if none of them is coming: they can serve the next iteration.
    pub(super) fn into_nodes(self) -> Option<Nodes> {
        (self.coming.is_empty() && !self.is_plain).then_some(self.nodes)
    }

    /// What a node is remembered by: its name, and for one that is coming the template that it was
    /// made of, since a new template's nodes are called differently.
    pub(super) fn mark(&self, node: NodeId) -> Mark {
        (self.nodes.state(node).spec.name, self.coming.get(&node).copied())
    }

    /// The node that is remembered, if it is still there.
    pub(super) fn marked(&self, (name, made): Mark) -> Option<NodeId> {
        let node = self.nodes.named(name)?;
        (self.coming.get(&node).copied() == made).then_some(node)
    }

    /// Where the simulation stands now.
    pub(super) fn point(&self) -> Point {
        let copy = self.is_plain.then(|| self.nodes.clone());
        Point { done: self.done.len(), copy }
    }

    /// Takes back all that was done since.
    pub(super) fn back_to(&mut self, point: Point) {
        if self.done.len() > point.done {
            self.memory = None;
        }
        if let Some(copy) = point.copy {
            self.nodes = copy;
            self.done.truncate(point.done);
        }
        for step in self.done.drain(point.done..).rev() {
            match step {
                Step::Put(node, pod) => {
                    self.nodes.remove_pod(node, pod);
                }
                Step::Took(node, pod, at) => self.nodes.put_pod(node, pod, at),
                Step::Added(node) => {
                    self.nodes.detach(node);
                }
                Step::Detached(node, state, place) => self.nodes.attach(node, *state, place),
            }
        }
    }

    /// Adds a node that is only thought of.
    pub(super) fn imagine(&mut self, state: NodeState) -> NodeId {
        let node = NodeId::new(self.next);
        self.next += 1;
        self.nodes_change(node, state.pods_avoiding);
        self.nodes.append(node, state);
        self.done.push(Step::Added(node));
        node
    }

    /// Takes a node out with its pods.
    pub(super) fn detach(&mut self, node: NodeId) {
        let Some((state, place)) = self.nodes.detach(node) else { return };
        self.nodes_change(node, state.pods_avoiding);
        self.done.push(Step::Detached(node, Box::new(state), place));
    }

    fn nodes_change(&mut self, node: NodeId, avoiding: u32) {
        if let Some(memory) = &mut self.memory
            && !memory.survives_node(node, avoiding)
        {
            self.memory = None;
        }
    }

    /// Takes a pod off a node.
    pub(super) fn take(&mut self, node: NodeId, pod: PodRef, names: &Interner) {
        let Some((gone, at)) = self.nodes.take_pod(node, pod) else { return };
        if let Some(mut memory) = self.memory.take() {
            let (state, world) = (self.nodes.state(node), self.world(names));
            let is_right = memory.pod_left((node, state), &gone.info, &world);
            self.memory = is_right.then_some(memory);
        }
        self.done.push(Step::Took(node, gone, at));
    }

    fn add(&mut self, of: &Wanted, node: NodeId, names: &Interner) {
        self.nodes.add_pod(node, PlacedPod::new(of.pod, Arc::clone(&of.info)));
        if let Some(mut memory) = self.memory.take() {
            let (state, world) = (self.nodes.state(node), self.world(names));
            let is_right = memory.pod_came(state, &of.info, &world);
            self.memory = is_right.then_some(memory);
        }
        self.done.push(Step::Put(node, of.pod));
    }

    /// What is known of such a pod.
    fn recall(&mut self, of: &Wanted, names: &Interner) -> Memory {
        match self.memory.take() {
            Some(memory) if memory.serves(&of.info) && !self.is_plain => memory,
            _ => Memory::new(of.applicant(), &self.world(names)),
        }
    }

    /// Puts a pod on the first node after that of the last search that takes it.
    pub(super) fn put_anywhere(
        &mut self,
        of: &Wanted,
        among: Among<'_>,
        names: &Interner,
    ) -> Option<NodeId> {
        let mut memory = self.recall(of, names);
        let found = self.find(&mut memory, among, names);
        self.memory = Some(memory);
        let (at, node) = found?;
        self.last = at;
        self.add(of, node, names);
        Some(node)
    }

    fn find(
        &self,
        memory: &mut Memory,
        among: Among<'_>,
        names: &Interner,
    ) -> Option<(usize, NodeId)> {
        if memory.found.rejection.is_some() {
            return None;
        }
        let (world, order) = (self.world(names), self.nodes.order());
        let least = if let Among::From(place) = among { place } else { 0 };
        let first = if order.is_empty() { 0 } else { (self.last + 1) % order.len() };
        for at in (first.max(least)..order.len()).chain(least..first) {
            let node = order[at];
            if !among.takes(node) || memory.has_refused(node) {
                continue;
            }
            let state = self.nodes.state(node);
            let is_open = !state.spec.unschedulable && memory.is_named(state);
            if is_open && memory.ask(node, state, &world).is_ok() {
                return Some((at, node));
            }
        }
        None
    }

    /// Whether a node takes a pod.
    pub(super) fn check(
        &mut self,
        of: &Wanted,
        node: NodeId,
        names: &Interner,
    ) -> Result<(), Refusal> {
        let mut memory = self.recall(of, names);
        let answer = self.answer(&mut memory, node, names);
        self.memory = Some(memory);
        answer
    }

    fn answer(&self, memory: &mut Memory, node: NodeId, names: &Interner) -> Result<(), Refusal> {
        if let Some(why) = &memory.found.rejection {
            return Err(Some(why.rejection.clone()));
        }
        let state = self.nodes.state(node);
        if !memory.is_named(state) {
            return Err(None);
        }
        memory.ask(node, state, &self.world(names)).map_err(Some)
    }

    /// Puts a pod on a node if it takes it.
    pub(super) fn put(
        &mut self,
        of: &Wanted,
        node: NodeId,
        names: &Interner,
    ) -> Result<(), Refusal> {
        self.check(of, node, names)?;
        self.add(of, node, names);
        Ok(())
    }
}
