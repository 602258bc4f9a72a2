//! Which images nodes report, and on how many nodes each is: what ImageLocality reads.
//!
//! The scheduler copies a node's record when the node has changed since the last attempt, and the
//! counts are as they were at that copy. So a node can have an old count of an image until one of
//! its pods comes or goes (rule S122).
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/backend/cache/cache.go `addNodeImageStates`,
//! `removeNodeImageStates`, `UpdateSnapshot`.

use crate::base::{Bytes, IdVec, LookupMap, Symbol};
use crate::model::{NodeId, NodeSpec};

/// An image by one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageState {
    /// Its size, as the first node said that reported the name.
    pub size: Bytes,
    /// On how many nodes it is.
    pub nodes: u32,
}

/// All images.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    states: LookupMap<Symbol, ImageState>,
    records: IdVec<NodeId, Option<Record>>,
    changed: Vec<NodeId>,
}

/// The images of a node.
#[derive(Clone, Debug)]
struct Record {
    /// By name, as they were when the record was copied last.
    images: Vec<(Symbol, ImageState)>,
    /// Something of the node has changed since.
    is_old: bool,
}

/// The names that a node reports, each once.
fn reported(spec: &NodeSpec) -> impl Iterator<Item = (Symbol, Bytes)> {
    let images = &spec.images;
    let is_first = |(at, (name, _)): &(usize, &(Symbol, Bytes))| {
        !images[..*at].iter().any(|(other, _)| other == name)
    };
    images.iter().enumerate().filter(is_first).map(|(_, image)| *image)
}

impl Images {
    /// A node comes, or reports what it did not before.
    pub(super) fn add(&mut self, node: NodeId, spec: &NodeSpec) {
        if spec.images.is_empty() {
            return;
        }
        let mut images = Vec::new();
        for (name, size) in reported(spec) {
            let state = self.states.or_insert_with(name, || ImageState { size, nodes: 0 });
            state.nodes += 1;
            images.push((name, *state));
        }
        *self.records.grow_to(node) = Some(Record { images, is_old: true });
        self.changed.push(node);
    }

    /// A node goes, or is about to report something else.
    pub(super) fn remove(&mut self, node: NodeId) {
        let Some(record) = self.records.get_mut(node).and_then(Option::take) else {
            return;
        };
        for (name, _) in &record.images {
            let Some(state) = self.states.get_mut(name) else { continue };
            state.nodes -= 1;
            if state.nodes == 0 {
                self.states.remove(name);
            }
        }
    }

    /// Something of a node has changed.
    pub(super) fn touch(&mut self, node: NodeId) {
        if let Some(Some(record)) = self.records.get_mut(node)
            && !record.is_old
        {
            record.is_old = true;
            self.changed.push(node);
        }
    }

    /// An attempt begins: records of nodes that have changed are copied.
    pub(super) fn copy_changed(&mut self) {
        for node in self.changed.drain(..) {
            let Some(Some(record)) = self.records.get_mut(node) else { continue };
            for (name, state) in &mut record.images {
                if let Some(now) = self.states.get(name) {
                    *state = *now;
                }
            }
            record.is_old = false;
        }
    }

    /// Whether any node has it.
    pub(super) fn is_known(&self, name: Symbol) -> bool {
        self.states.contains(&name)
    }

    /// An image of a node, as an attempt sees it that begins now.
    pub(super) fn get(&self, node: NodeId, name: Symbol) -> Option<ImageState> {
        let record = self.records.get(node)?.as_ref()?;
        let (_, copied) = record.images.iter().find(|(known, _)| *known == name)?;
        if record.is_old { self.states.get(&name).copied() } else { Some(*copied) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Resources;

    const NGINX: Symbol = Symbol::new(7);
    const N: [NodeId; 3] = [NodeId::new(0), NodeId::new(1), NodeId::new(2)];

    fn node(mib: i64) -> NodeSpec {
        let images = [(NGINX, Bytes::mib(mib))].into();
        NodeSpec { images, ..NodeSpec::plain(Symbol::new(1), Resources::default()) }
    }

    fn seen(images: &Images, node: NodeId) -> Option<(i64, u32)> {
        images.get(node, NGINX).map(|state| (state.size.0 >> 20, state.nodes))
    }

    #[test]
    fn counts_are_those_of_the_last_copy_and_sizes_those_of_the_first_node() {
        let mut images = Images::default();
        images.add(N[0], &node(50));
        images.add(N[1], &node(60));
        assert_eq!(seen(&images, N[0]), Some((50, 2)));
        images.copy_changed();
        images.add(N[2], &node(70));
        images.copy_changed();
        assert_eq!(N.map(|n| seen(&images, n)), [Some((50, 2)), Some((50, 2)), Some((50, 3))]);
        images.touch(N[0]);
        assert_eq!(seen(&images, N[0]), Some((50, 3)), "looked at before the copy");
        images.copy_changed();
        images.remove(N[1]);
        assert_eq!(N.map(|n| seen(&images, n)), [Some((50, 3)), None, Some((50, 3))]);
        images.touch(N[2]);
        images.copy_changed();
        assert_eq!(seen(&images, N[2]), Some((50, 2)));
        N.iter().for_each(|n| images.remove(*n));
        images.add(N[1], &node(60));
        assert_eq!(seen(&images, N[1]), Some((60, 1)), "nobody remembers the first size");
    }
}
