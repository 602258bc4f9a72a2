//! What a search found of a pod, for the next pod that is the same.

use std::sync::Arc;

use crate::model::NodeId;
use crate::placement::plugins::{self, PreFiltered};
use crate::placement::{Applicant, NodeState, PodInfo, Rejection, World};

const WORD: usize = 64;

/// What was found before nodes were looked at, kept up while pods come and go (spread constraints
/// are counted anew: the scheduler keeps only their two least domains); and the nodes that refused,
/// as long as nothing but more pods can have happened to them: those refuse again.
#[derive(Debug)]
pub(super) struct Memory {
    of: Applicant,
    pub(super) found: PreFiltered,
    /// A bit a node, by its number.
    refused: Vec<u64>,
    /// More pods can only make nodes refuse: the pod has no constraint that others help to keep.
    stays_refused: bool,
    /// Volumes are counted at every search.
    has_volumes: bool,
}

impl Memory {
    pub(super) fn new(of: Applicant, world: &World<'_>) -> Self {
        let found = plugins::pre_filter(&of, world);
        let spec = &of.info.spec;
        let has_volumes = !spec.volumes.is_empty();
        let stays_refused =
            !has_volumes && found.state.spread.is_none() && spec.pod_affinity.required.is_empty();
        Self { of, found, refused: Vec::new(), stays_refused, has_volumes }
    }

    /// Whether it is right of a pod.
    pub(super) fn serves(&self, info: &Arc<PodInfo>) -> bool {
        !self.has_volumes && (Arc::ptr_eq(&self.of.info, info) || self.of.info == *info)
    }

    fn counts(&self) -> bool {
        self.found.state.spread.is_some() || self.found.state.affinity.is_some()
    }

    /// Whether it is right still when a node comes or goes with so many pods that avoid others.
    pub(super) fn survives_node(&mut self, node: NodeId, avoiding: u32) -> bool {
        self.forget(node);
        !self.counts() && avoiding == 0
    }

    /// A pod came to a node, which has it already; whether this is right still.
    pub(super) fn pod_came(
        &mut self,
        node: &NodeState,
        other: &PodInfo,
        world: &World<'_>,
    ) -> bool {
        let state = &mut self.found.state;
        if state.spread.is_some() {
            return false;
        }
        if state.affinity.is_some() {
            state.add_pod(&self.of, other, node, world);
        }
        state.affinity.is_some() || other.spec.pod_affinity.anti_required.is_empty()
    }

    /// A pod left a node; whether this is right still.
    pub(super) fn pod_left(
        &mut self,
        (id, node): (NodeId, &NodeState),
        other: &PodInfo,
        world: &World<'_>,
    ) -> bool {
        self.forget(id);
        let state = &mut self.found.state;
        if state.affinity.is_some() {
            self.refused.clear();
            state.remove_pod(&self.of, other, node, world);
        }
        state.spread.is_none()
    }

    fn forget(&mut self, node: NodeId) {
        if let Some(word) = self.refused.get_mut(node.index() / WORD) {
            *word &= !(1 << (node.index() % WORD));
        }
    }

    /// Whether a node refused such a pod.
    pub(super) fn has_refused(&self, node: NodeId) -> bool {
        let word = self.refused.get(node.index() / WORD).copied().unwrap_or(0);
        word >> (node.index() % WORD) & 1 == 1
    }

    /// Whether the pod may be on the node as far as it names nodes.
    pub(super) fn is_named(&self, node: &NodeState) -> bool {
        let names = self.found.names.as_ref();
        names.is_none_or(|(list, _)| list.contains(&node.spec.name))
    }

    /// Asks the filters.
    pub(super) fn ask(
        &mut self,
        id: NodeId,
        node: &NodeState,
        world: &World<'_>,
    ) -> Result<(), Rejection> {
        let answer = plugins::filter(&self.found.state, &self.of, node, world);
        if answer.is_err() && self.stays_refused {
            let (word, bit) = (id.index() / WORD, id.index() % WORD);
            if self.refused.len() <= word {
                self.refused.resize(word + 1, 0);
            }
            self.refused[word] |= 1 << bit;
        }
        answer
    }
}
