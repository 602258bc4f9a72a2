//! The pods that need nodes: those that no node takes that is there or comes.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/podlistprocessor;
//! simulator/scheduling/{hinting_simulator,similar_pods}.go (rules A125, A129 to A131).

use std::collections::BTreeMap;

use crate::base::{Interner, go_sort};

use super::ClusterAutoscaler;
use super::ledger::Ledger;
use super::snapshot::{Among, Snapshot, Wanted};
use super::view::{PodView, View};

/// How many different pods of one controller are remembered that fit nowhere (rule A131).
const ALIKE_MAX: usize = 10;

impl ClusterAutoscaler {
    /// The pods that no node takes, the important ones first (rules A125, A129 to A131). One after
    /// another: a pod with a remembered node does not go before others of its priority.
    ///
    /// Source: simulator/scheduling/hinting_simulator.go `TrySchedulePods` (recorded; rule A130 has
    /// it otherwise).
    pub(super) fn pending(
        &mut self,
        (view, ledger): (&View<'_>, &Ledger),
        snapshot: &mut Snapshot<'_>,
        names: &Interner,
    ) -> Vec<usize> {
        let cutoff = self.options.priority_cutoff;
        let waits = |at: &usize| {
            let pod = &view.pods[*at];
            pod.is_unschedulable
                && pod.traits.deletion.is_none()
                && pod.info.spec.priority >= cutoff
        };
        let mut pods: Vec<usize> = ledger.loose.iter().copied().filter(waits).collect();
        pods.extend(self.drained(view, ledger));
        let priority = |at: &usize| view.pods[*at].info.spec.priority;
        go_sort::sort(&mut pods, |a, b| priority(a) > priority(b));
        let mut left = vec![false; if pods.is_empty() { 0 } else { view.pods.len() }];
        let mut failed: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for at in &pods {
            left[*at] = !self.remember(&view.pods[*at], snapshot, names)
                && !self.place((*at, view), snapshot, (&mut failed, names));
        }
        self.hints.age();
        let delay = |pod: &PodView| {
            self.options.new_pod_delay.max(pod.traits.scale_up_delay.unwrap_or_default())
        };
        pods.retain(|at| {
            let pod = &view.pods[*at];
            left[*at] && !pod.is_daemon() && pod.created + delay(pod) < view.now
        });
        pods
    }

    /// Pods of nodes that are being drained, which will come back (rule A129).
    fn drained(&self, view: &View<'_>, ledger: &Ledger) -> Vec<usize> {
        let mut pods = Vec::new();
        for name in self.actuator.drained() {
            let node = view.nodes.iter().find(|node| node.spec.name == name);
            let Some(node) = node.map(|node| node.node) else { continue };
            let returns = |at: &usize| {
                let pod = &view.pods[*at];
                pod.node == Some(node)
                    && !pod.is_daemon()
                    && !pod.traits.is_mirror
                    && !pod.traits.is_static
                    && pod.traits.deletion.is_none()
                    && pod.info.spec.priority >= self.options.priority_cutoff
            };
            pods.extend(ledger.on(node).filter(returns));
        }
        pods
    }

    fn place(
        &mut self,
        (at, view): (usize, &View<'_>),
        snapshot: &mut Snapshot<'_>,
        (failed, names): (&mut BTreeMap<u64, Vec<usize>>, &Interner),
    ) -> bool {
        let pod = &view.pods[at];
        let alike = pod.controller.map(|owner| failed.entry(owner.uid).or_default());
        let is_same = |other: &usize| {
            let other = &view.pods[*other];
            other.info.labels == pod.info.labels && other.shape == pod.shape
        };
        if alike.as_ref().is_some_and(|alike| alike.iter().any(is_same)) {
            return false;
        }
        let of = Wanted { pod: pod.pod, info: pod.info.clone() };
        let found = snapshot.put_anywhere(&of, Among::All, names);
        match (found, alike) {
            (Some(node), _) => self.hints.set(pod.pod, snapshot.mark(node)),
            (None, Some(alike)) if alike.len() < ALIKE_MAX => alike.push(at),
            (None, _) => {}
        }
        found.is_some()
    }

    /// Puts a pod where it was put the last time.
    fn remember(&mut self, pod: &PodView, snapshot: &mut Snapshot<'_>, names: &Interner) -> bool {
        let Some(node) = self.hints.get(pod.pod).and_then(|mark| snapshot.marked(mark)) else {
            return false;
        };
        let of = Wanted { pod: pod.pod, info: pod.info.clone() };
        if snapshot.put(&of, node, names).is_err() {
            return false;
        }
        self.hints.set(pod.pod, snapshot.mark(node));
        true
    }
}
