//! Writes about Deployments, ReplicaSets, Services and autoscalers.

use std::sync::Arc;

use crate::base::Duration;
use crate::model::{
    DeploymentId, DeploymentSpec, HpaId, ReplicaSetRef, Requirement, Selector, ServiceId,
};
use crate::recorder::Recorder;

use super::{
    Change, Cluster, DeploymentStatus, Endpoint, HpaStatus, NewReplicaSet, ObjectChange,
    ReplicaSet, ReplicaSetStatus,
};

impl Cluster {
    /// Creates a ReplicaSet of a Deployment, unless that is gone: name, labels and selector get
    /// the hash (rule C27).
    pub(super) fn create_replica_set(&mut self, new: &NewReplicaSet, changes: &mut Vec<Change>) {
        let Some(row) = self.deployments[new.deployment].as_ref() else {
            return;
        };
        let spec = Arc::clone(&row.spec);
        let text = format!("{}-{}", self.names.resolve(spec.name.name), new.hash);
        let name = self.name_in(spec.name, &text);
        let hash = self.names.intern(&new.hash);
        let mut labels = new.template.labels.clone();
        labels.set(self.hash_label, hash);
        let template = self.use_template(&new.template, labels);
        let mut selector: Selector = spec.selector.clone();
        selector.0.push(Requirement {
            key: self.hash_label,
            operator: crate::model::Operator::In,
            values: smallvec::smallvec![hash],
        });
        let replica_set = self.replica_sets.insert(ReplicaSet {
            name,
            owner: Some(new.deployment),
            template,
            selector,
            replicas: new.replicas,
            min_ready: new.min_ready,
            revision: new.revision,
            desired: Some(new.desired),
            max: Some(new.max),
            created: self.now,
            serial: self.replica_sets_created,
            pods: Vec::new(),
            status: ReplicaSetStatus::default(),
        });
        self.replica_sets_created += 1;
        if let Some(row) = &mut self.deployments[new.deployment] {
            row.replica_sets.push(replica_set.id);
        }
        let owner = Some(new.deployment);
        changes.push(Change::ReplicaSet { replica_set, owner, what: ObjectChange::Added });
    }

    fn told(&self, replica_set: ReplicaSetRef, what: ObjectChange) -> Change {
        let owner = self.replica_sets[replica_set.id].owner;
        Change::ReplicaSet { replica_set, owner, what }
    }

    /// Sets size and annotations of a ReplicaSet.
    pub(super) fn scale_replica_set(
        &mut self,
        replica_set: ReplicaSetRef,
        replicas: u32,
        (desired, max): (Option<u32>, Option<u32>),
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.replica_sets.get_mut(replica_set) else {
            return;
        };
        if (row.replicas, row.desired, row.max) == (replicas, desired, max) {
            return;
        }
        (row.replicas, row.desired, row.max) = (replicas, desired, max);
        changes.push(self.told(replica_set, ObjectChange::Spec));
    }

    /// Sets revision and `minReadySeconds` of a ReplicaSet.
    pub(super) fn revise_replica_set(
        &mut self,
        replica_set: ReplicaSetRef,
        revision: u32,
        min_ready: Duration,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.replica_sets.get_mut(replica_set) else {
            return;
        };
        (row.revision, row.min_ready) = (revision, min_ready);
        changes.push(self.told(replica_set, ObjectChange::Spec));
    }

    /// Takes over the status of a ReplicaSet.
    pub(super) fn set_replica_set_status(
        &mut self,
        replica_set: ReplicaSetRef,
        status: ReplicaSetStatus,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.replica_sets.get_mut(replica_set) else {
            return;
        };
        if row.status != status {
            row.status = status;
            changes.push(self.told(replica_set, ObjectChange::Status));
        }
    }

    /// Deletes a ReplicaSet; its pods follow.
    pub(super) fn delete_replica_set(
        &mut self,
        replica_set: ReplicaSetRef,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        if !self.replica_sets.contains(replica_set) {
            return;
        }
        changes.push(self.told(replica_set, ObjectChange::Removed));
        let row = self.replica_sets.remove(replica_set.id);
        if let Some(owner) = row.owner.and_then(|id| self.deployments[id].as_mut()) {
            owner.replica_sets.retain(|id| *id != replica_set.id);
        }
        for pod in row.pods {
            self.delete_pod(self.pods.refer(pod), None, changes, recorder);
        }
        self.drop_template(row.template);
    }

    /// Puts another specification in place.
    pub(super) fn update_deployment(
        &mut self,
        deployment: DeploymentId,
        spec: Arc<DeploymentSpec>,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = &mut self.deployments[deployment] else {
            return;
        };
        if *row.spec.source == *spec.source {
            return;
        }
        row.spec = spec;
        row.generation += 1;
        changes.push(Change::Deployment { deployment, what: ObjectChange::Spec });
    }

    /// Sets `spec.replicas`.
    pub(super) fn scale_deployment(
        &mut self,
        deployment: DeploymentId,
        replicas: u32,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = &mut self.deployments[deployment] else {
            return;
        };
        if row.replicas != replicas {
            row.replicas = replicas;
            row.generation += 1;
            changes.push(Change::Deployment { deployment, what: ObjectChange::Spec });
        }
    }

    /// Takes over status and revision of a Deployment.
    pub(super) fn set_deployment_status(
        &mut self,
        deployment: DeploymentId,
        status: DeploymentStatus,
        revision: u32,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = &mut self.deployments[deployment] else {
            return;
        };
        if (row.status, row.revision) != (status, revision) {
            (row.status, row.revision) = (status, revision);
            changes.push(Change::Deployment { deployment, what: ObjectChange::Status });
        }
    }

    /// Deletes a Deployment; its ReplicaSets and pods follow.
    pub(super) fn delete_deployment(
        &mut self,
        deployment: DeploymentId,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let Some(row) = self.deployments[deployment].take() else {
            return;
        };
        changes.push(Change::Deployment { deployment, what: ObjectChange::Removed });
        for id in row.replica_sets {
            self.delete_replica_set(self.replica_sets.refer(id), changes, recorder);
        }
    }

    /// Takes over the status of an autoscaler.
    pub(super) fn set_hpa_status(
        &mut self,
        hpa: HpaId,
        status: HpaStatus,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = &mut self.hpas[hpa] else {
            return;
        };
        if row.status != status {
            row.status = status;
            changes.push(Change::Hpa { hpa, what: ObjectChange::Status });
        }
    }

    /// Deletes an autoscaler.
    pub(super) fn delete_hpa(&mut self, hpa: HpaId, changes: &mut Vec<Change>) {
        if self.hpas[hpa].take().is_some() {
            changes.push(Change::Hpa { hpa, what: ObjectChange::Removed });
        }
    }

    /// Publishes another version of a Service's endpoints, if it differs.
    pub(super) fn set_endpoints(
        &mut self,
        service: ServiceId,
        endpoints: Vec<Endpoint>,
        changes: &mut Vec<Change>,
    ) {
        let now = self.now;
        let Some(row) = &mut self.services[service] else {
            return;
        };
        if *row.endpoints.endpoints == *endpoints {
            return;
        }
        row.endpoints = Arc::new(row.endpoints.next(endpoints, now));
        self.log.push(service, Arc::clone(&row.endpoints));
        changes.push(Change::Endpoints { service });
    }

    /// Deletes a Service: its endpoints become empty, so that proxies drop it.
    pub(super) fn delete_service(&mut self, service: ServiceId, changes: &mut Vec<Change>) {
        self.set_endpoints(service, Vec::new(), changes);
        if self.services[service].take().is_some() {
            for id in self.templates.ids().collect::<Vec<_>>() {
                self.templates[id].services.retain(|s| *s != service);
            }
            changes.push(Change::Service { service, what: ObjectChange::Removed });
        }
    }
}
