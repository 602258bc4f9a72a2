//! The order in which the scheduler walks the nodes: zone by zone in turn.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/backend/cache/node_tree.go (rules S7 to S9; recorded).

use crate::base::{Interner, Symbol};
use crate::model::{Labels, NodeId};

/// Region and zone of a node; an empty value and an absent label are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneKey {
    region: Option<Symbol>,
    zone: Option<Symbol>,
}

impl ZoneKey {
    /// Of these labels (rule S7): the deprecated keys win if they are there.
    #[must_use]
    pub fn of(labels: &Labels, names: &Interner) -> Self {
        let value = |key: &str| names.get(key).and_then(|key| labels.get(key));
        let first = |old: &str, new: &str| {
            let value = value(old).or_else(|| value(new));
            value.filter(|value| !names.resolve(*value).is_empty())
        };
        Self {
            region: first(
                "failure-domain.beta.kubernetes.io/region",
                "topology.kubernetes.io/region",
            ),
            zone: first("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        }
    }
}

/// Zones in the order of their first node, in each the nodes in order of insertion.
#[derive(Clone, Debug, Default)]
pub struct NodeTree {
    zones: Vec<(ZoneKey, Vec<NodeId>)>,
}

impl NodeTree {
    /// Adds a node at the end of its zone.
    pub fn add(&mut self, node: NodeId, key: ZoneKey) {
        match self.zones.iter_mut().find(|(zone, _)| *zone == key) {
            Some((_, nodes)) => nodes.push(node),
            None => self.zones.push((key, vec![node])),
        }
    }

    /// Removes a node; a zone without nodes goes, and comes back last if it is used again.
    pub fn remove(&mut self, node: NodeId) {
        for (_, nodes) in &mut self.zones {
            nodes.retain(|n| *n != node);
        }
        self.zones.retain(|(_, nodes)| !nodes.is_empty());
    }

    /// All nodes: the first of each zone, the second of each, and so on (rule S8).
    #[must_use]
    pub fn list(&self) -> Vec<NodeId> {
        let rounds = self.zones.iter().map(|(_, nodes)| nodes.len()).max();
        let round = |index| self.zones.iter().filter_map(move |(_, n)| n.get(index));
        (0..rounds.unwrap_or(0)).flat_map(round).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(names: &mut Interner, zone: &str) -> ZoneKey {
        let label = names.intern("topology.kubernetes.io/zone");
        let labels = Labels::new([(label, names.intern(zone))]);
        ZoneKey::of(&labels, names)
    }

    #[test]
    fn zones_take_turns_as_in_v16() {
        let mut names = Interner::new();
        let mut tree = NodeTree::default();
        // a1 a2 a3, b1, x1 x2 are the nodes 0 to 5.
        for (node, zone) in (0..).zip(["a", "a", "a", "b", "", ""]) {
            let key = key(&mut names, zone);
            tree.add(NodeId::new(node), key);
        }
        let list = |tree: &NodeTree| tree.list().iter().map(|n| n.number()).collect::<Vec<_>>();
        assert_eq!(list(&tree), [0, 3, 4, 1, 5, 2]);
        tree.remove(NodeId::new(3));
        assert_eq!(list(&tree), [0, 4, 1, 5, 2]);
        // Zone b comes back last.
        tree.add(NodeId::new(3), key(&mut names, "b"));
        assert_eq!(list(&tree), [0, 4, 3, 1, 5, 2]);
    }

    #[test]
    fn old_labels_win() {
        let mut names = Interner::new();
        let old = names.intern("failure-domain.beta.kubernetes.io/zone");
        let new = names.intern("topology.kubernetes.io/zone");
        let (a, b, none) = (names.intern("a"), names.intern("b"), names.intern(""));
        let of = |pairs: &[(Symbol, Symbol)]| ZoneKey::of(&Labels::new(pairs.to_vec()), &names);
        assert_eq!(of(&[(old, a), (new, b)]), of(&[(new, a)]));
        assert_eq!(of(&[(old, none), (new, b)]), ZoneKey::default());
    }
}
