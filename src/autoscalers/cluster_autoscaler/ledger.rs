//! Where the pods of a view are: made once an iteration, so that nobody looks through all of them.

use crate::base::cast;
use crate::model::{NodeId, PodRef};

use super::view::{PodView, View};

const ABSENT: u32 = u32::MAX;

/// The pods of a view, by their numbers there.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Where the pods of a node begin in `pods`, by number of the node, and where the last ends.
    begins: Vec<u32>,
    /// Pods that are bound or nominated, by node, in the order of the view.
    pods: Vec<u32>,
    /// Pods that are neither.
    pub(super) loose: Vec<usize>,
    by_id: Vec<u32>,
    /// Whether any pod is being deleted.
    pub(super) has_leavers: bool,
}

fn home(pod: &PodView) -> Option<NodeId> {
    pod.node.or(pod.nominated)
}

impl Ledger {
    pub(super) fn of(view: &View<'_>) -> Self {
        let nodes = view.nodes.iter().map(|node| node.node.index() + 1).max();
        let mut ledger = Self { begins: vec![0; nodes.unwrap_or(0) + 2], ..Self::default() };
        ledger.by_id.reserve(view.pods.len());
        let mut homes = Vec::with_capacity(view.pods.len());
        for (at, pod) in view.pods.iter().enumerate() {
            ledger.has_leavers |= pod.traits.deletion.is_some();
            ledger.enter(pod.pod, at);
            let home = home(pod);
            homes.push(home);
            match home {
                None => ledger.loose.push(at),
                Some(node) => ledger.count(node),
            }
        }
        ledger.sort(&homes);
        ledger
    }

    fn enter(&mut self, pod: PodRef, at: usize) {
        let id = pod.id.index();
        if self.by_id.len() <= id {
            self.by_id.resize(id + 1, ABSENT);
        }
        self.by_id[id] = cast::u32_of(at);
    }

    /// Two places on, so that the beginnings are right once all pods stand there.
    fn count(&mut self, node: NodeId) {
        if let Some(count) = self.begins.get_mut(node.index() + 2) {
            *count += 1;
        }
    }

    fn sort(&mut self, homes: &[Option<NodeId>]) {
        let mut sum = 0;
        for begin in &mut self.begins {
            sum += *begin;
            *begin = sum;
        }
        self.pods = vec![ABSENT; cast::usize_of(sum)];
        for (at, home) in homes.iter().enumerate() {
            let Some(node) = home else { continue };
            let begin = self.begins.get_mut(node.index() + 1);
            // The last entry is no node's beginning.
            let Some(next) = begin else { continue };
            if let Some(place) = self.pods.get_mut(cast::usize_of(*next)) {
                *place = cast::u32_of(at);
                *next += 1;
            }
        }
    }

    /// The pods that are bound or nominated to a node, in the order of the view.
    pub(super) fn on(&self, node: NodeId) -> impl Iterator<Item = usize> + '_ {
        let at = node.index();
        let bounds = self.begins.get(at).zip(self.begins.get(at + 1));
        let (from, to) = bounds.map_or((0, 0), |(from, to)| (*from, *to));
        let of = self.pods.get(cast::usize_of(from)..cast::usize_of(to)).unwrap_or_default();
        of.iter().map(|at| cast::usize_of(*at))
    }

    /// The number of a pod in the view.
    pub(super) fn find(&self, pod: PodRef, view: &View<'_>) -> Option<usize> {
        let at = cast::usize_of(*self.by_id.get(pod.id.index())?);
        view.pods.get(at).filter(|view| view.pod == pod).map(|_| at)
    }
}
