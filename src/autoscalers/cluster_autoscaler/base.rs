//! The cluster as simulations begin with it, kept from one iteration to the next.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use crate::base::{Interner, SimTime, Symbol};
use crate::model::NodeId;
use crate::placement::{NodeState, Nodes, PlacedPod};

use super::ledger::Ledger;
use super::snapshot::Snapshot;
use super::templates::Template;
use super::view::{NodeView, PodView, View, natural};
use super::{ClusterAutoscaler, Options};

/// What an iteration sees, and where to find it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a, 'b> {
    pub(super) view: &'b View<'a>,
    pub(super) ledger: &'b Ledger,
    pub(super) options: &'b Options,
}

impl<'a, 'b> Sight<'a, 'b> {
    /// The pods of a node that count: those that are not expendable (rule A129).
    pub(super) fn pods_on(self, node: NodeId) -> impl Iterator<Item = (usize, &'b PodView)> {
        let on = self.ledger.on(node).map(move |at| (at, &self.view.pods[at]));
        on.filter(move |(_, pod)| pod.info.spec.priority >= self.options.priority_cutoff)
    }

    fn state(self, node: &NodeView) -> NodeState {
        let mut state = NodeState::empty(node.spec.clone());
        for (_, pod) in self.pods_on(node.node) {
            state.add(PlacedPod::new(pod.pod, Arc::clone(&pod.info)));
        }
        state
    }

    fn is_right(self, state: &NodeState, node: &NodeView) -> bool {
        let mut placed = state.pods.iter();
        let is_next = |(_, pod): (usize, &PodView)| {
            let next = placed.next();
            next.is_some_and(|next| next.pod == pod.pod && Arc::ptr_eq(&next.info, &pod.info))
        };
        let has_all = self.pods_on(node.node).all(is_next);
        has_all && placed.next().is_none() && state.spec == node.spec
    }
}

/// The nodes and pods of the iteration before. Only nodes that declare something else now, or have
/// other pods, are made anew.
#[derive(Debug, Default)]
pub(super) struct Base(Nodes);

impl Base {
    fn bring_up(&mut self, sight: Sight<'_, '_>, there: &[&NodeView]) -> Nodes {
        let mut nodes = mem::take(&mut self.0);
        let is_same = |(id, node): (&NodeId, &&NodeView)| {
            *id == node.node && nodes.state(*id).spec.name == node.spec.name
        };
        if nodes.len() != there.len() || !nodes.order().iter().zip(there).all(is_same) {
            return there.iter().fold(Nodes::new(), |mut nodes, node| {
                nodes.append(node.node, sight.state(node));
                nodes
            });
        }
        for node in there {
            if !sight.is_right(nodes.state(node.node), node) {
                nodes.replace(node.node, sight.state(node));
            }
        }
        nodes
    }

    /// Keeps what simulations have left as it was.
    pub(super) fn keep(&mut self, nodes: Nodes) {
        self.0 = nodes;
    }
}

impl ClusterAutoscaler {
    /// Rules A124 (4), A128.
    pub(super) fn snapshot<'a>(
        &mut self,
        (view, ledger): (&View<'a>, &Ledger),
        templates: &[Template],
        upcoming: &BTreeSet<Symbol>,
        names: &mut Interner,
    ) -> Snapshot<'a> {
        let mut coming = Vec::new();
        for (group, template) in templates.iter().enumerate() {
            for number in 0..self.registry.upcoming(group, view.now) {
                let state = template.node(&format!("{}-upcoming-{number}", template.name), names);
                coming.push((state, template.made));
            }
        }
        let there = view.nodes.iter().filter(|node| !upcoming.contains(&node.spec.name));
        let there: Vec<&NodeView> = there.collect();
        let next = view.nodes.iter().map(|node| node.node.number() + 1).max().unwrap_or(0);
        let sight = Sight { view, ledger, options: &self.options };
        let with = (view.profile, view.catalog);
        if coming.is_empty() {
            let nodes = self.base.bring_up(sight, &there);
            return Snapshot::new(nodes, (self.last, next), with, self.is_plain);
        }
        let there = there.iter().map(|node| (Ok(node.node), sight.state(node)));
        let mut all: Vec<(Result<NodeId, SimTime>, NodeState)> = there.collect();
        all.extend(coming.into_iter().map(|(state, made)| (Err(made), state)));
        let name = |state: &NodeState| names.resolve(state.spec.name);
        all.sort_by(|(_, a), (_, b)| natural(name(a), name(b)));
        let mut snapshot = Snapshot::new(Nodes::new(), (self.last, next), with, self.is_plain);
        snapshot.enter_all(all);
        snapshot
    }
}
