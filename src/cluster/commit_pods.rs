//! Writes about pods and nodes.

use std::sync::Arc;

use crate::api::Kind;
use crate::base::{Duration, SimTime, Symbol};
use crate::model::{Labels, NodeId, ObjectName, OwnerRef, PodId, PodObject, PodRef};
use crate::record::{PodName, PodRecord};
use crate::recorder::Recorder;

use super::admission;
use super::{
    Change, ClaimOwner, Cluster, Deletion, Disruption, NewPod, Phase, PodChange, PodStatus, Serving,
};

impl Cluster {
    /// Binds a pod.
    ///
    /// # Panics
    /// If it is bound already: the writer did not look.
    pub(super) fn bind_pod(&mut self, pod: PodRef, node: NodeId, changes: &mut Vec<Change>) {
        let now = self.now;
        let Some(row) = self.pods.get_mut(pod) else {
            return;
        };
        assert!(row.node.is_none(), "pod {} is bound a second time", row.serial);
        if row.deletion.is_some() {
            return;
        }
        self.count(pod.id, -1);
        let row = &mut self.pods[pod.id];
        row.node = Some(node);
        row.bound = Some(now);
        row.nominated = None;
        let owner = row.owner;
        let spec = Arc::clone(self.held(&self.pods[pod.id]));
        let to = &mut self.nodes[node];
        to.pods.push(pod.id);
        to.requested.add(&spec.requests);
        to.nonzero_requested.0 += spec.nonzero_requests.0;
        to.nonzero_requested.1 += spec.nonzero_requests.1;
        to.host_ports.extend_from_slice(&spec.host_ports);
        self.count(pod.id, 1);
        changes.push(Change::PodBound { pod, node, owner });
    }

    /// Notes why a pod could not be placed.
    pub(super) fn set_unschedulable(
        &mut self,
        pod: PodRef,
        message: Box<str>,
        changes: &mut Vec<Change>,
    ) {
        if let Some(row) = self.pods.get_mut(pod) {
            row.unschedulable = Some(message);
            changes.push(Change::PodUnplaced { pod });
        }
    }

    /// Sets or clears the nomination of a pod without node.
    pub(super) fn nominate(
        &mut self,
        pod: PodRef,
        node: Option<NodeId>,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.pods.get_mut(pod) else { return };
        if row.node.is_none() && row.nominated != node {
            row.nominated = node;
            changes.push(Change::PodNominated { pod });
        }
    }

    /// Condition `DisruptionTarget`, then a DELETE.
    pub(super) fn evict(
        &mut self,
        pod: PodRef,
        reason: Disruption,
        grace: Option<Duration>,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let now = self.now;
        if let Some(row) = self.pods.get_mut(pod) {
            row.disruption = Some(reason);
            row.disruption_changed = now;
            self.delete_pod(pod, grace, changes, recorder);
        }
    }

    /// Sets or takes back the condition `DisruptionTarget`.
    pub(super) fn set_disruption(
        &mut self,
        pod: PodRef,
        reason: Option<Disruption>,
        changes: &mut Vec<Change>,
    ) {
        let now = self.now;
        let Some(row) = self.pods.get_mut(pod) else { return };
        if std::mem::replace(&mut row.disruption, reason) != reason {
            row.disruption_changed = now;
            let owner = row.owner;
            changes.push(Change::PodMeta { pod, owner });
        }
    }

    /// Gives a pod other labels: another row of its template, other Services.
    pub(super) fn label_pod(&mut self, pod: PodRef, labels: Labels, changes: &mut Vec<Change>) {
        let Some(row) = self.pods.get(pod) else { return };
        let (before, owner, serial) = (row.template, row.owner, row.serial);
        if self.templates[before].labels == labels {
            return;
        }
        self.leave_services(pod.id);
        self.leave_budgets(pod.id);
        let template = Arc::clone(&self.templates[before].template);
        let after = self.use_template(&template, labels);
        self.pods[pod.id].template = after;
        if owner.is_none() {
            self.count_orphan(before, -1);
            self.count_orphan(after, 1);
        }
        self.drop_template(before);
        for service in &self.templates[after].services {
            if let Some(row) = &mut self.services[*service] {
                let place = row.pods.binary_search_by_key(&serial, |p| self.pods[*p].serial);
                row.pods.insert(place.unwrap_or_else(|place| place), pod.id);
            }
        }
        self.join_budgets(pod.id);
        changes.push(Change::PodMeta { pod, owner });
    }

    /// Sets conditions of a pod that are not its kubelet's.
    pub(super) fn set_pod_conditions(
        &mut self,
        pod: PodRef,
        conditions: &[(Symbol, bool)],
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.pods.get_mut(pod) else { return };
        let before = row.conditions.clone();
        for (kind, holds) in conditions {
            row.conditions.retain(|(own, _)| own != kind);
            row.conditions.push((*kind, *holds));
        }
        row.conditions.sort_unstable();
        if row.conditions != before {
            let node = row.node;
            changes.push(Change::PodConditions { pod, node });
        }
    }

    /// Sets a pod's deletion cost.
    pub(super) fn set_deletion_cost(&mut self, pod: PodRef, cost: i32, changes: &mut Vec<Change>) {
        let Some(row) = self.pods.get_mut(pod) else { return };
        if std::mem::replace(&mut row.deletion_cost, cost) != cost {
            let owner = row.owner;
            changes.push(Change::PodMeta { pod, owner });
        }
    }

    /// Gives a pod another owner, or none.
    pub(super) fn set_pod_owner(
        &mut self,
        pod: PodRef,
        owner: Option<OwnerRef>,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.pods.get(pod) else { return };
        let (before, template) = (row.owner, row.template);
        if before == owner {
            return;
        }
        self.count(pod.id, -1);
        let row = &mut self.pods[pod.id];
        row.owner = owner;
        // A Job adopts with its finalizer.
        row.is_tracked |= matches!(owner, Some(OwnerRef::Job(_)));
        let key = (row.namespace, row.name);
        if owner.is_some() {
            self.strays.remove(&key);
        } else if matches!(key.1, PodName::Numbered { .. }) {
            self.strays.insert(key, pod);
        }
        self.count(pod.id, 1);
        self.count_orphan(template, i32::from(owner.is_none()) - i32::from(before.is_none()));
        if let Some(pods) = before.and_then(|owner| self.pods_of_mut(owner)) {
            pods.retain(|p| *p != pod.id);
        }
        if let Some(pods) = owner.and_then(|owner| self.pods_of_mut(owner)) {
            pods.push(pod.id);
        }
        changes.push(Change::PodMeta { pod, owner: before });
        if let Some(before) = before.filter(|owner| self.pods_of(*owner).is_some()) {
            self.settle_owner(before.key(), changes);
        }
    }

    /// Takes the Job's finalizer off a pod.
    pub(super) fn untrack(
        &mut self,
        pod: PodRef,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let Some(row) = self.pods.get_mut(pod) else { return };
        if !std::mem::replace(&mut row.is_tracked, false) {
            return;
        }
        let (is_over, owner) = (row.is_over, row.owner);
        if is_over {
            self.remove_pod(pod, changes, recorder);
        } else {
            changes.push(Change::PodMeta { pod, owner });
        }
    }

    /// A pod of a manifest, without owner.
    pub(super) fn add_bare_pod(&mut self, pod: &PodObject, changes: &mut Vec<Change>) {
        let template = self.use_template(&pod.template, pod.template.labels.clone());
        let origin = pod.template.workload.kind;
        let name = PodName::Fixed(pod.name.name);
        let lifetime = pod.template.spec.lifetime;
        let new = NewPod { lifetime, ..NewPod::new(pod.name.namespace, name, template, origin) };
        self.create_pod(&new, changes);
        self.drop_template(template);
    }

    /// Takes over the kubelet's status.
    pub(super) fn set_pod_status(
        &mut self,
        pod: PodRef,
        status: PodStatus,
        changes: &mut Vec<Change>,
    ) {
        let now = self.now;
        let Some(row) = self.pods.get_mut(pod) else {
            return;
        };
        let before = row.status;
        if before == status || (row.is_terminal() && status.phase < Phase::Succeeded) {
            return;
        }
        let was_terminal = row.is_terminal();
        self.count(pod.id, -1);
        let row = &mut self.pods[pod.id];
        row.status = status;
        if before.ready != status.ready {
            row.ready_changed = now;
            if status.ready && row.ready_first.is_none() {
                row.ready_first = Some(now);
            }
        }
        let what = PodChange {
            ready: before.ready != status.ready,
            phase: before.phase != status.phase,
            ended: !was_terminal && row.is_terminal(),
            ip: before.ip != status.ip,
        };
        let (node, owner) = (row.node, row.owner);
        self.count(pod.id, 1);
        if what.ended {
            self.free_node(pod.id);
            self.charge(pod.id, admission::subtract);
        }
        changes.push(Change::PodStatus { pod, node, owner, what });
    }

    /// Takes a pod off its node's sums: it has ended or is gone.
    fn free_node(&mut self, id: PodId) {
        let row = &self.pods[id];
        let Some(node) = row.node else { return };
        let spec = Arc::clone(self.held(row));
        let from = &mut self.nodes[node];
        let Some(at) = from.pods.iter().position(|p| *p == id) else {
            return;
        };
        from.pods.remove(at);
        from.requested.subtract(&spec.requests);
        from.nonzero_requested.0 -= spec.nonzero_requests.0;
        from.nonzero_requested.1 -= spec.nonzero_requests.1;
        for port in &spec.host_ports {
            if let Some(at) = from.host_ports.iter().position(|p| p == port) {
                from.host_ports.swap_remove(at);
            }
        }
    }

    /// The API's DELETE. Of a static pod only its mirror goes, and comes again at once (rule N15):
    /// here nothing changes.
    ///
    /// A second DELETE only shortens the grace, which counts from the first one.
    ///
    /// Source: kubernetes v1.36.3 pkg/registry/core/pod/strategy.go `CheckGracefulDelete`,
    /// apiserver/pkg/registry/rest/delete.go `BeforeDelete` (rules C6, N120). Differs: a grace of 0
    /// keeps the object until the containers are dead, with the kubelet's effective grace of 1 s
    /// (rule N121), where the real object goes at once.
    pub(super) fn delete_pod(
        &mut self,
        pod: PodRef,
        grace: Option<Duration>,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let Some(row) = self.pods.get(pod) else {
            return;
        };
        let (terminal, owner) = (row.is_terminal(), row.owner);
        if row.is_static && !terminal && row.node.is_some_and(|node| !self.nodes[node].is_gone) {
            // The mirror goes, and its kubelet makes another; the containers hear nothing of it.
            return changes.push(Change::PodMeta { pod, owner });
        }
        let Some(node) = row.node.filter(|_| !terminal) else {
            return self.remove_pod(pod, changes, recorder);
        };
        let own = self.templates[row.template].template.spec.grace;
        let grace = grace.unwrap_or(own).max(Duration::secs(1));
        let deletion = match row.deletion {
            Some(earlier) if earlier.grace <= grace => return,
            Some(Deletion { requested, .. }) => Deletion { requested, grace },
            None => Deletion { requested: self.now, grace },
        };
        self.count(pod.id, -1);
        self.pods[pod.id].deletion = Some(deletion);
        self.count(pod.id, 1);
        changes.push(Change::PodDeleting { pod, node: Some(node), owner });
    }

    /// Removes a pod object and records its life.
    pub(super) fn remove_pod(
        &mut self,
        pod: PodRef,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let Some(row) = self.pods.get(pod) else {
            return;
        };
        if row.is_tracked {
            return self.hold_pod(pod, changes);
        }
        let freed = row.node.is_some() && !row.is_terminal();
        if freed {
            self.free_node(pod.id);
        }
        if !self.pods[pod.id].is_terminal() {
            self.charge(pod.id, admission::subtract);
        }
        recorder.pod(&self.pod_record(pod.id, Some(self.now)));
        let before = self.serving[pod.id];
        self.count(pod.id, -1);
        self.leave_services(pod.id);
        self.leave_budgets(pod.id);
        let row = self.pods.remove(pod.id);
        self.serving[pod.id] = Serving::Gone;
        if before != Serving::Gone {
            changes.push(Change::Serving { pod, from: before, to: Serving::Gone });
        }
        let (node, owner, template) = (row.node, row.owner, row.template);
        self.strays.remove(&(row.namespace, row.name));
        if let PodName::Fixed(name) = row.name {
            self.trees.remove(&(Kind::Pod, ObjectName { namespace: row.namespace, name }));
        }
        match owner {
            None => self.count_orphan(template, -1),
            Some(owner) => {
                let pods = self.pods_of_mut(owner).into_iter();
                pods.for_each(|pods| pods.retain(|p| *p != pod.id));
            }
        }
        self.drop_template(template);
        self.drop_claims(ClaimOwner::Pod(pod), changes);
        changes.push(Change::PodRemoved { pod, node, owner, template, freed });
        if let Some(owner) = owner.filter(|owner| self.pods_of(*owner).is_some()) {
            self.settle_owner(owner.key(), changes);
        }
    }

    /// All is done for a pod but its finalizer: the object stays.
    fn hold_pod(&mut self, pod: PodRef, changes: &mut Vec<Change>) {
        let now = self.now;
        let row = &mut self.pods[pod.id];
        if std::mem::replace(&mut row.is_over, true) {
            return;
        }
        let (node, owner) = (row.node, row.owner);
        if row.deletion.is_none() {
            self.count(pod.id, -1);
            let deletion = Deletion { requested: now, grace: Duration::ZERO };
            self.pods[pod.id].deletion = Some(deletion);
            self.count(pod.id, 1);
        }
        changes.push(Change::PodDeleting { pod, node, owner });
    }

    /// Takes a pod off the lists of the Services that select it.
    fn leave_services(&mut self, id: PodId) {
        let row = &self.pods[id];
        for service in &self.templates[row.template].services {
            let Some(service) = &mut self.services[*service] else {
                continue;
            };
            let place = service.pods.binary_search_by_key(&row.serial, |p| self.pods[*p].serial);
            service.pods.remove(place.expect("a Service lists its pods"));
        }
    }

    /// The whole life of a pod so far.
    #[must_use]
    pub fn pod_record(&self, id: PodId, gone: Option<SimTime>) -> PodRecord {
        let row = &self.pods[id];
        let reason = match row.status.phase {
            _ if row.disruption == Some(Disruption::PreemptionByScheduler) => "Preempted",
            _ if row.deletion.is_some() => "Deleted",
            _ if !row.status.reason.is_empty() => row.status.reason,
            Phase::Succeeded => "Completed",
            Phase::Failed => "Error",
            Phase::Running => "Running",
            Phase::Pending if row.node.is_none() => "Unschedulable",
            Phase::Pending => "Starting",
        };
        PodRecord {
            serial: row.serial,
            namespace: row.namespace,
            name: row.name,
            workload: self.templates[row.template].template.workload,
            revision: row.revision,
            node: row.node.map(|node| self.nodes[node].spec.name),
            ip: row.status.ip,
            created: row.created,
            scheduled: row.bound,
            started: row.status.started,
            ready: row.ready_first,
            deleted: row.deletion.map(|deletion| deletion.requested),
            finished: row.status.finished,
            gone,
            price_requested: self.price_requested(row),
            cost_used: self.cost_used(id, row),
            restarts: row.status.restarts,
            reason,
            message: row.unschedulable.as_deref().map(str::to_owned),
        }
    }

    /// Tells what a component says of a pod that is there; the cluster itself keeps nothing of it.
    pub(super) fn pass_on(&self, pod: PodRef, change: Change, changes: &mut Vec<Change>) {
        if self.pods.contains(pod) {
            changes.push(change);
        }
    }

    /// Sets the state of a pod's server.
    pub(super) fn set_serving(&mut self, pod: PodRef, to: Serving, changes: &mut Vec<Change>) {
        if !self.pods.contains(pod) || self.serving[pod.id] == to {
            return;
        }
        let from = std::mem::replace(&mut self.serving[pod.id], to);
        changes.push(Change::Serving { pod, from, to });
    }
}
