//! What must hold after every commit; checked under `--check`.

use crate::model::{OwnerRef, Resources};

use super::{Cluster, PodCounts};

impl Cluster {
    /// Checks the indexes and sums against the rows they come from.
    ///
    /// # Panics
    /// If one does not hold: a bug of `commit`, or of a component that asked for the impossible.
    pub fn check_invariants(&self) {
        for (id, node) in self.nodes.enumerate() {
            self.check_node(id, node);
            let is_found = self.node_named(node.spec.name) == Some(id);
            assert_eq!(is_found, !node.is_gone, "{id:?} and its name disagree");
        }
        for (id, pod) in self.pods.iter() {
            if let Some(pods) = pod.owner.and_then(|owner| self.pods_of(owner)) {
                assert!(pods.contains(&id), "pod {} is not its owner's", pod.serial);
            }
            let held = pod.node.is_some_and(|node| self.nodes[node].pods.contains(&id));
            let holds = pod.node.is_some() && !pod.is_terminal();
            assert_eq!(held, holds, "pod {} and its node disagree", pod.serial);
        }
        for (id, service) in self.services.enumerate() {
            let Some(service) = service else { continue };
            let selected = |p: &super::Pod| self.templates[p.template].services.contains(&id);
            let mut all: Vec<_> = self.pods.iter().filter(|(_, p)| selected(p)).collect();
            all.sort_by_key(|(_, p)| p.serial);
            assert!(
                all.iter().map(|(pod, _)| pod).eq(&service.pods),
                "the pods of {id:?} are others"
            );
        }
        for (id, budget) in self.budgets.iter() {
            let selected = |p: &super::Pod| self.templates[p.template].budgets.contains(&id);
            let mut all: Vec<_> = self.pods.iter().filter(|(_, p)| selected(p)).collect();
            all.sort_by_key(|(_, p)| p.serial);
            assert!(
                all.iter().map(|(pod, _)| pod).eq(&budget.pods),
                "the pods of {id:?} are others"
            );
        }
        let mut counts = PodCounts::default();
        for (_, pod) in self.pods.iter() {
            counts.add(pod, 1);
        }
        assert_eq!(self.counts, counts, "the counts of pods do not add up");
        for (_, set) in self.replica_sets.iter() {
            let mut counts = PodCounts::default();
            for pod in set.pods.iter().filter_map(|id| self.pods.at(*id)) {
                counts.add(pod, 1);
            }
            assert_eq!(set.counts, counts, "the counts of {:?} do not add up", set.name);
        }
        let sets = self.replica_sets.ids().map(|id| self.replica_sets.refer(id));
        let jobs = self.jobs.ids().map(|id| self.jobs.refer(id));
        let owners = (sets.map(OwnerRef::ReplicaSet))
            .chain(self.stateful_sets.iter().map(|(id, _)| OwnerRef::StatefulSet(id)))
            .chain(self.daemon_sets.iter().map(|(id, _)| OwnerRef::DaemonSet(id)))
            .chain(jobs.map(OwnerRef::Job));
        for owner in owners {
            for pod in self.pods_of(owner).into_iter().flatten() {
                let row = self.pods.at(*pod).expect("an owner lists pods that are there");
                assert_eq!(row.owner, Some(owner), "pod {} has another owner", row.serial);
            }
        }
    }

    fn check_node(&self, id: crate::model::NodeId, node: &super::Node) {
        let mut sum = Resources::default();
        for pod in &node.pods {
            let row = self.pods.at(*pod).expect("a node lists pods that are there");
            assert_eq!(row.node, Some(id), "pod {} is listed at another node", row.serial);
            sum.add(&self.held(row).requests);
        }
        let cpu_and_memory = (node.requested.cpu, node.requested.memory);
        assert_eq!(cpu_and_memory, (sum.cpu, sum.memory), "requests of {id:?} do not add up");
        for (name, amount) in &node.requested.scalars {
            assert_eq!(*amount, sum.scalar(*name), "a scalar of {id:?} does not add up");
        }
    }
}
