//! Nodes and pods of a simulation, searched as the autoscaler searches them.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 simulator/clustersnapshot/predicate
//! `RunFiltersUntilPassingNode`, `RunFiltersOnNode` (rule A130).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, SimTime, Symbol};
use crate::model::{NodeId, PodRef, Profile};
use crate::placement::{
    Applicant, Catalog, NodeState, Nodes, Nominator, PlacedPod, PodInfo, Rejection, World, plugins,
};

use super::view::natural;

/// A fork is a clone of `nodes`; where the last search ended outlives forks.
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
}

/// A pod that a search is for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) pod: PodRef,
    pub(super) info: Arc<PodInfo>,
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
    pub(super) fn new(last: usize, profile: &'a Profile, catalog: &'a Catalog) -> Self {
        let (nodes, nominator) = (Nodes::new(), Nominator::default());
        Self { nodes, last, next: 0, coming: BTreeMap::new(), profile, catalog, nominator }
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

    /// Adds the nodes of the cluster, and among them by name those that are coming.
    /// Numbers below `next` are taken.
    pub(super) fn enter_all(
        &mut self,
        next: u32,
        nodes: impl Iterator<Item = (NodeId, NodeState)>,
        coming: Vec<(NodeState, SimTime)>,
        names: &Interner,
    ) {
        let mut all: Vec<(Result<NodeId, SimTime>, NodeState)> =
            nodes.map(|(node, state)| (Ok(node), state)).collect();
        self.next = next;
        if !coming.is_empty() {
            all.extend(coming.into_iter().map(|(state, made)| (Err(made), state)));
            let name = |state: &NodeState| names.resolve(state.spec.name);
            all.sort_by(|(_, a), (_, b)| natural(name(a), name(b)));
        }
        for (node, state) in all {
            match node {
                Ok(node) => self.nodes.append(node, state),
                Err(made) => {
                    let node = self.imagine(state);
                    self.coming.insert(node, made);
                }
            }
        }
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

    /// Adds a node that is only thought of.
    pub(super) fn imagine(&mut self, state: NodeState) -> NodeId {
        let node = NodeId::new(self.next);
        self.next += 1;
        self.nodes.append(node, state);
        node
    }

    /// Puts a pod on the first node after that of the last search that takes it.
    pub(super) fn put_anywhere(
        &mut self,
        of: &Wanted,
        takes_part: impl Fn(NodeId) -> bool,
        names: &Interner,
    ) -> Option<NodeId> {
        let (at, node) = self.find(of, takes_part, names)?;
        self.last = at;
        self.nodes.add_pod(node, PlacedPod::new(of.pod, Arc::clone(&of.info)));
        Some(node)
    }

    fn find(
        &self,
        of: &Wanted,
        takes_part: impl Fn(NodeId) -> bool,
        names: &Interner,
    ) -> Option<(usize, NodeId)> {
        let (of, world) = (of.applicant(), self.world(names));
        let found = plugins::pre_filter(&of, &world);
        if found.rejection.is_some() {
            return None;
        }
        let order = self.nodes.order();
        let places = (0..order.len()).map(|step| (self.last + 1 + step) % order.len());
        let fits = |at: &usize| {
            let (node, state) = (order[*at], self.nodes.state(order[*at]));
            let named = |(list, _): &(Vec<_>, _)| list.contains(&state.spec.name);
            !state.spec.unschedulable
                && takes_part(node)
                && found.names.as_ref().is_none_or(named)
                && plugins::filter(&found.state, &of, state, &world).is_ok()
        };
        { places }.find(fits).map(|at| (at, order[at]))
    }

    /// Whether a node takes a pod.
    pub(super) fn check(&self, of: &Wanted, node: NodeId, names: &Interner) -> Result<(), Refusal> {
        let (of, world) = (of.applicant(), self.world(names));
        let found = plugins::pre_filter(&of, &world);
        if let Some(why) = found.rejection {
            return Err(Some(why.rejection));
        }
        let state = self.nodes.state(node);
        if found.names.is_some_and(|(list, _)| !list.contains(&state.spec.name)) {
            return Err(None);
        }
        plugins::filter(&found.state, &of, state, &world).map_err(Some)
    }

    /// Puts a pod on a node if it takes it.
    pub(super) fn put(
        &mut self,
        of: &Wanted,
        node: NodeId,
        names: &Interner,
    ) -> Result<(), Refusal> {
        self.check(of, node, names)?;
        self.nodes.add_pod(node, PlacedPod::new(of.pod, Arc::clone(&of.info)));
        Ok(())
    }
}
