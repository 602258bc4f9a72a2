//! The nodes as a decision sees them: what the scheduler's cache is to Kubernetes.
//!
//! A table of its own beside the cluster's, because the scheduler counts pods before they are
//! bound and learns of changes later. It owns the order of the walk, what pods take of each node,
//! and the log of nodes that changed, by which caches are refreshed.

use crate::base::{Bytes, IdVec, Interner, LookupMap, MilliCpu, Symbol, cast};
use crate::model::{HostPort, NodeId, NodeSpec, PodRef, PodSpec, Resources};

use super::images::{ImageState, Images};
use super::node_tree::{NodeTree, ZoneKey};
use super::plugins::balanced_allocation;
use super::pod_info::PlacedPod;

/// What the pods of a node take: those that are bound and those that are about to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// The sum of their requests (rule S85).
    pub requested: Resources,
    /// The same of CPU and memory with the scheduler's defaults.
    pub nonzero_requested: (MilliCpu, Bytes),
    /// How many they are.
    pub pods: u32,
    /// Host ports that they hold.
    pub host_ports: Vec<HostPort>,
}

impl Usage {
    fn add(&mut self, pod: &PodSpec) {
        self.requested.add(&pod.requests);
        self.nonzero_requested.0 += pod.nonzero_requests.0;
        self.nonzero_requested.1 += pod.nonzero_requests.1;
        self.pods += 1;
        self.host_ports.extend_from_slice(&pod.host_ports);
    }

    fn remove(&mut self, pod: &PodSpec) {
        self.requested.subtract(&pod.requests);
        self.nonzero_requested.0 -= pod.nonzero_requests.0;
        self.nonzero_requested.1 -= pod.nonzero_requests.1;
        self.pods -= 1;
        for port in &pod.host_ports {
            if let Some(at) = self.host_ports.iter().position(|p| p == port) {
                self.host_ports.swap_remove(at);
            }
        }
    }
}

/// A node: as declared, and what is taken of it.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// As declared when last seen.
    pub spec: NodeSpec,
    /// What is taken.
    pub usage: Usage,
    /// The pods that are counted, in the order in which they came.
    pub pods: Vec<PlacedPod>,
    /// How many of them have affinity or anti-affinity to other pods (rule S13).
    pub pods_sociable: u32,
    /// How many of them require anti-affinity (rule S13).
    pub pods_avoiding: u32,
}

impl NodeState {
    /// Without pods.
    #[must_use]
    pub fn empty(spec: NodeSpec) -> Self {
        Self { spec, usage: Usage::default(), pods: Vec::new(), pods_sociable: 0, pods_avoiding: 0 }
    }

    /// Counts a pod.
    pub fn add(&mut self, pod: PlacedPod) {
        self.usage.add(&pod.info.spec);
        self.pods_sociable += u32::from(!pod.info.spec.pod_affinity.is_empty());
        self.pods_avoiding += pod.avoiding();
        self.pods.push(pod);
    }

    /// Counts a pod no longer, if it was.
    pub fn remove(&mut self, pod: PodRef) -> Option<PlacedPod> {
        let at = self.pods.iter().position(|placed| placed.pod == pod)?;
        let gone = self.pods.remove(at);
        self.usage.remove(&gone.info.spec);
        self.pods_sociable -= u32::from(!gone.info.spec.pod_affinity.is_empty());
        self.pods_avoiding -= gone.avoiding();
        Some(gone)
    }
}

/// The numbers of a node that most decisions read: one line of cache.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    /// Allocatable CPU (millicores) and memory (bytes).
    pub(super) allocatable: [i64; 2],
    /// What is taken of them.
    pub(super) requested: [i64; 2],
    /// The same with the scheduler's defaults.
    pub(super) nonzero: [i64; 2],
    /// 1 / allocatable, nearly: quotients are estimated by it, then made exact.
    pub(super) inverse: [f32; 2],
    /// How evenly they are taken (rule S90).
    pub(super) evenness: i32,
    /// How many more pods it takes; below zero if there are too many.
    pub(super) room: i32,
}

impl Line {
    fn of(state: &NodeState) -> Self {
        let (usage, of) = (&state.usage, &state.spec.allocatable);
        let allocatable = [of.cpu.0, of.memory.0];
        let requested = [usage.requested.cpu.0, usage.requested.memory.0];
        let nonzero = usage.nonzero_requested;
        let evenness = balanced_allocation::evenness(requested, allocatable);
        let room = i64::from(state.spec.pods_max) - i64::from(usage.pods);
        Self {
            allocatable,
            requested,
            nonzero: [nonzero.0.0, nonzero.1.0],
            inverse: allocatable.map(|of| 1.0 / cast::f32_of_i64(of)),
            evenness: i32::try_from(evenness).unwrap_or(0),
            room: i32::try_from(room).unwrap_or(i32::MAX),
        }
    }
}

const ABSENT: u32 = u32::MAX;

/// All nodes in the order of the walk.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    states: IdVec<NodeId, Option<NodeState>>,
    tree: NodeTree,
    order: Vec<NodeId>,
    position: IdVec<NodeId, u32>,
    lines: Vec<Line>,
    by_name: LookupMap<Symbol, NodeId>,
    log: ChangeLog,
    images: Images,
    /// How many pods there are that require anti-affinity.
    avoiding: u32,
}

impl Nodes {
    /// No nodes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All of them in the order of the walk (rule S8).
    #[must_use]
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// A node.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn state(&self, node: NodeId) -> &NodeState {
        self.states[node].as_ref().expect("a node that is there")
    }

    /// A node, if it is there.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&NodeState> {
        self.states.get(node).and_then(Option::as_ref)
    }

    /// How many of the pods on all nodes require anti-affinity (rule S13).
    #[must_use]
    pub const fn pods_avoiding(&self) -> u32 {
        self.avoiding
    }

    /// The node at a place of the walk.
    #[must_use]
    pub(super) fn at(&self, position: usize) -> &NodeState {
        self.state(self.order[position])
    }

    /// A node by name.
    #[must_use]
    pub fn named(&self, name: Symbol) -> Option<NodeId> {
        self.by_name.get(&name).copied()
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) const fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// An image that a node reports, by name, as an attempt sees it that begins now.
    #[must_use]
    pub fn image(&self, node: NodeId, name: Symbol) -> Option<ImageState> {
        self.images.get(node, name)
    }

    /// Whether any node reports an image of this name.
    pub(super) fn has_image(&self, name: Symbol) -> bool {
        self.images.is_known(name)
    }

    /// An attempt begins: it and those after it see the images of nodes as they are now, until
    /// something of the node changes (rule S122).
    pub fn begin_attempt(&mut self) {
        self.images.copy_changed();
    }

    /// Where a node stands in the walk.
    #[must_use]
    pub fn position(&self, node: NodeId) -> Option<usize> {
        let at = self.position.get(node).copied().unwrap_or(ABSENT);
        (at != ABSENT).then_some(cast::usize_of(at))
    }

    /// Adds a node, last of its zone, without pods.
    ///
    /// # Panics
    /// If it is there already.
    pub fn add(&mut self, node: NodeId, spec: NodeSpec, names: &Interner) {
        assert!(self.get(node).is_none(), "{node:?} is added twice");
        self.tree.add(node, ZoneKey::of(&spec.labels, names));
        self.by_name.insert(spec.name, node);
        self.images.add(node, &spec);
        *self.states.grow_to(node) = Some(NodeState::empty(spec));
        self.walk_anew();
    }

    /// Adds many nodes at once, in this order, without pods.
    pub fn add_all(
        &mut self,
        nodes: impl IntoIterator<Item = (NodeId, NodeSpec)>,
        names: &Interner,
    ) {
        for (node, spec) in nodes {
            self.tree.add(node, ZoneKey::of(&spec.labels, names));
            self.by_name.insert(spec.name, node);
            self.images.add(node, &spec);
            *self.states.grow_to(node) = Some(NodeState::empty(spec));
        }
        self.walk_anew();
    }

    /// Removes a node.
    pub fn remove(&mut self, node: NodeId) {
        self.tree.remove(node);
        self.images.remove(node);
        if let Some(gone) = self.states.get_mut(node).and_then(Option::take) {
            self.by_name.remove(&gone.spec.name);
            self.avoiding -= gone.pods_avoiding;
        }
        self.walk_anew();
    }

    /// Takes over what a node declares now. Another zone moves it in the tree, but not in the
    /// walk, which stays until a node comes or goes (rule S10).
    pub fn update(&mut self, node: NodeId, spec: &NodeSpec, names: &Interner) {
        let Some(state) = self.states.get_mut(node).and_then(Option::as_mut) else {
            return;
        };
        let zone = ZoneKey::of(&spec.labels, names);
        if ZoneKey::of(&state.spec.labels, names) != zone {
            self.tree.remove(node);
            self.tree.add(node, zone);
        }
        state.spec.clone_from(spec);
        self.images.remove(node);
        self.images.add(node, spec);
        self.changed(node);
    }

    /// Counts a pod on a node. On a node that is not there it counts nothing.
    pub fn add_pod(&mut self, node: NodeId, pod: PlacedPod) {
        if let Some(state) = self.states.get_mut(node).and_then(Option::as_mut) {
            self.avoiding += pod.avoiding();
            state.add(pod);
            self.changed(node);
        }
    }

    /// Changes what is kept of a pod beside its info: whether it is being deleted, its start.
    pub fn touch_pod(&mut self, node: NodeId, pod: PodRef, change: impl FnOnce(&mut PlacedPod)) {
        let state = self.states.get_mut(node).and_then(Option::as_mut);
        let placed = state.and_then(|s| s.pods.iter_mut().find(|placed| placed.pod == pod));
        if let Some(placed) = placed {
            change(placed);
            self.images.touch(node);
        }
    }

    /// Counts a pod no longer.
    pub fn remove_pod(&mut self, node: NodeId, pod: PodRef) -> Option<PlacedPod> {
        let state = self.states.get_mut(node).and_then(Option::as_mut)?;
        let gone = state.remove(pod);
        if let Some(gone) = &gone {
            self.avoiding -= gone.avoiding();
            self.changed(node);
        }
        gone
    }

    /// Adds a node at the end of the walk, whatever its zone: for a simulation that has an order of
    /// its own. Such a table is not changed by [`Self::add`] and [`Self::remove`].
    ///
    /// # Panics
    /// If it is there already.
    pub fn append(&mut self, node: NodeId, state: NodeState) {
        self.attach(node, state, self.order.len());
    }

    /// Adds a node with its pods at a place of the walk, as [`Self::append`] does.
    ///
    /// # Panics
    /// If it is there already.
    pub fn attach(&mut self, node: NodeId, state: NodeState, place: usize) {
        assert!(self.get(node).is_none(), "{node:?} is added twice");
        self.by_name.insert(state.spec.name, node);
        self.avoiding += state.pods_avoiding;
        self.order.insert(place, node);
        self.lines.insert(place, Line::of(&state));
        *self.states.grow_to(node) = Some(state);
        self.number_from(place);
    }

    /// Takes a node out, with its pods and its place in the walk: the inverse of [`Self::attach`].
    pub fn detach(&mut self, node: NodeId) -> Option<(NodeState, usize)> {
        let place = self.position(node)?;
        let state = self.states.get_mut(node).and_then(Option::take)?;
        self.by_name.remove(&state.spec.name);
        self.avoiding -= state.pods_avoiding;
        self.order.remove(place);
        self.lines.remove(place);
        self.position[node] = ABSENT;
        self.number_from(place);
        Some((state, place))
    }

    /// Puts another state in the place of a node's, name and pods with it.
    ///
    /// # Panics
    /// If the node is not there.
    pub fn replace(&mut self, node: NodeId, state: NodeState) {
        let old = self.states[node].as_mut().expect("a node that is there");
        self.by_name.remove(&old.spec.name);
        self.by_name.insert(state.spec.name, node);
        self.avoiding = self.avoiding + state.pods_avoiding - old.pods_avoiding;
        *old = state;
        self.changed(node);
    }

    fn number_from(&mut self, place: usize) {
        while self.position.len() < self.states.len() {
            self.position.push(ABSENT);
        }
        for (at, node) in (cast::u32_of(place)..).zip(&self.order[place..]) {
            self.position[*node] = at;
        }
        self.log.restart(self.order.len());
    }

    /// Counts a pod no longer, and says which of its node's it was: what [`Self::put_pod`] undoes.
    pub fn take_pod(&mut self, node: NodeId, pod: PodRef) -> Option<(PlacedPod, usize)> {
        let at = self.get(node)?.pods.iter().position(|placed| placed.pod == pod)?;
        Some((self.remove_pod(node, pod)?, at))
    }

    /// Counts a pod as the one of this number on its node.
    pub fn put_pod(&mut self, node: NodeId, pod: PlacedPod, at: usize) {
        self.add_pod(node, pod);
        if let Some(state) = self.states.get_mut(node).and_then(Option::as_mut) {
            let last = state.pods.len() - 1;
            state.pods[at.min(last)..].rotate_right(1);
        }
    }

    fn changed(&mut self, node: NodeId) {
        self.images.touch(node);
        let Some(at) = self.position(node) else {
            return;
        };
        self.lines[at] = Line::of(self.state(node));
        self.log.push(at);
    }

    fn walk_anew(&mut self) {
        self.order = self.tree.list();
        self.position = IdVec::filled(ABSENT, self.states.len());
        for (at, node) in (0..).zip(&self.order) {
            self.position[*node] = at;
        }
        self.lines = self.order.iter().map(|n| Line::of(self.state(*n))).collect();
        self.log.restart(self.order.len());
    }
}

/// Which places of the walk changed, in order; the oldest entries are forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangeLog {
    begin: u64,
    places: Vec<u32>,
    len_max: usize,
}

impl ChangeLog {
    /// The number of the next entry: who has seen all says this.
    pub(super) fn end(&self) -> u64 {
        self.begin + cast::u64_of(self.places.len())
    }

    /// All entries from number `seen` on; `None` if some are forgotten: look at all places.
    pub(super) fn since(&self, seen: u64) -> Option<&[u32]> {
        let at = cast::usize_of(u32::try_from(seen.checked_sub(self.begin)?).ok()?);
        self.places.get(at..)
    }

    fn push(&mut self, place: usize) {
        if self.places.len() >= 2 * self.len_max {
            // Who has read the newer half goes on from there.
            self.places.drain(..self.len_max);
            self.begin += cast::u64_of(self.len_max);
        }
        self.places.push(super::select::count_of(place));
    }

    /// Forgets all, and that anybody has seen anything.
    fn restart(&mut self, nodes: usize) {
        self.begin = self.end() + 1;
        self.places.clear();
        self.len_max = (2 * nodes).max(256);
    }
}
