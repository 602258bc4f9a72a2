//! Pods that are to get a node once their victims are gone (rules S31, S157).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{NodeId, PodRef};

use super::pod_info::PodInfo;

/// A pod that is nominated to a node.
#[derive(Clone, Debug)]
pub struct Nominated {
    /// Which.
    pub pod: PodRef,
    /// What it is like.
    pub info: Arc<PodInfo>,
}

impl Nominated {
    fn counts_for(&self, pod: PodRef, priority: i32) -> bool {
        self.pod != pod && self.info.spec.priority >= priority
    }
}

/// All nominations: by node, in the order of nomination.
#[derive(Clone, Debug, Default)]
pub struct Nominator {
    by_node: BTreeMap<NodeId, Vec<Nominated>>,
    nodes: BTreeMap<PodRef, NodeId>,
}

impl Nominator {
    /// Nominates a pod to a node, in place of an earlier nomination.
    pub fn add(&mut self, pod: PodRef, info: Arc<PodInfo>, node: NodeId) {
        self.remove(pod);
        self.by_node.entry(node).or_default().push(Nominated { pod, info });
        self.nodes.insert(pod, node);
    }

    /// Withdraws a nomination; gives the node.
    pub fn remove(&mut self, pod: PodRef) -> Option<NodeId> {
        let node = self.nodes.remove(&pod)?;
        let list = self.by_node.get_mut(&node)?;
        list.retain(|nominated| nominated.pod != pod);
        if list.is_empty() {
            self.by_node.remove(&node);
        }
        Some(node)
    }

    /// Where a pod is nominated to.
    #[must_use]
    pub fn node_of(&self, pod: PodRef) -> Option<NodeId> {
        self.nodes.get(&pod).copied()
    }

    /// The pods nominated to a node.
    #[must_use]
    pub fn on(&self, node: NodeId) -> &[Nominated] {
        self.by_node.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The nodes that pods are nominated to.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.by_node.keys().copied()
    }

    /// The pods nominated to a node that filters count for another pod: of at least its priority
    /// (rule S31).
    pub fn counted(
        &self,
        node: NodeId,
        pod: PodRef,
        priority: i32,
    ) -> impl Iterator<Item = &Nominated> {
        self.on(node).iter().filter(move |n| n.counts_for(pod, priority))
    }

    /// Whether a pod of another name and at least this priority is nominated anywhere: filters count
    /// it (rule S31).
    #[must_use]
    pub fn counts_for(&self, pod: PodRef, priority: i32) -> bool {
        let mut all = self.by_node.values().flatten();
        all.any(|nominated| nominated.counts_for(pod, priority))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}
