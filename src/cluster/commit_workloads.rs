//! Writes about Deployments, ReplicaSets, Services and autoscalers.

use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Kind};
use crate::base::{Duration, Symbol};
use crate::model::{
    DeploymentId, DeploymentSpec, HpaId, HpaSpec, Labels, ObjectKey, ObjectName, Propagation,
    ReplicaSetRef, ReplicaSetSpec, Requirement, Selector, ServiceId, ServiceSpec,
};
use crate::recorder::Recorder;

use super::{
    Change, Cluster, Deployment, DeploymentStatus, Endpoint, EndpointSet, Hpa, HpaStatus,
    NewReplicaSet, ObjectChange, PodCounts, ReplicaSet, ReplicaSetStatus, Service,
};

impl Cluster {
    /// Creates a ReplicaSet of a Deployment, unless that is gone: name, labels and selector get
    /// the hash (rule C27).
    pub(super) fn create_replica_set(&mut self, new: &NewReplicaSet, changes: &mut Vec<Change>) {
        let Some(row) = self.deployments[new.deployment].as_ref() else {
            return;
        };
        let spec = Arc::clone(&row.spec);
        if self.admit_to_namespace(spec.name.namespace).is_err() {
            return;
        }
        let text = format!("{}-{}", self.names.resolve(spec.name.name), new.hash);
        let name = self.name_in(spec.name, &text);
        let hash = self.names.intern(&new.hash);
        let mut labels = new.template.labels.clone();
        labels.set(self.hash_label, hash);
        let template = self.use_template(&new.template, labels.clone());
        let mut selector: Selector = spec.selector.clone();
        selector.0.push(Requirement {
            key: self.hash_label,
            operator: crate::model::Operator::In,
            values: smallvec::smallvec![hash],
        });
        let namespace = name.namespace;
        let replica_set = self.replica_sets.insert(ReplicaSet {
            name,
            owner: Some(new.deployment),
            foreign_owner: None,
            labels,
            annotations: spec.annotations.clone(),
            generation: 1,
            is_deleting: false,
            template,
            selector,
            replicas: new.replicas,
            min_ready: new.min_ready,
            revision: new.revision,
            revision_history: Vec::new(),
            desired: Some(new.desired),
            max: Some(new.max),
            created: self.now,
            serial: self.replica_sets_created,
            pods: Vec::new(),
            counts: PodCounts::default(),
            status: ReplicaSetStatus::default(),
        });
        self.replica_sets_created += 1;
        self.replica_set_by_name.insert((Kind::ReplicaSet, name), replica_set);
        if let Some(row) = &mut self.deployments[new.deployment] {
            row.replica_sets.push(replica_set.id);
        }
        self.select_with(replica_set, namespace);
        let owner = Some(new.deployment);
        changes.push(Change::ReplicaSet { replica_set, owner, what: ObjectChange::Added });
    }

    /// From now on a ReplicaSet is known by what it selects.
    pub(super) fn select_with(&mut self, replica_set: ReplicaSetRef, namespace: Symbol) {
        let selector = self.replica_sets[replica_set.id].selector.clone();
        self.add_selector(ObjectKey::ReplicaSet(replica_set.id), namespace, &selector);
    }

    /// Gives a ReplicaSet another owner, or none (rule C8).
    pub(super) fn set_replica_set_owner(
        &mut self,
        replica_set: ReplicaSetRef,
        owner: Option<DeploymentId>,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.replica_sets.get_mut(replica_set) else { return };
        let owner = owner.filter(|owner| self.deployments[*owner].is_some());
        let before = std::mem::replace(&mut row.owner, owner);
        if before == owner {
            return;
        }
        changes.push(Change::ReplicaSet { replica_set, owner: before, what: ObjectChange::Spec });
        match before {
            Some(before) => {
                if let Some(row) = &mut self.deployments[before] {
                    row.replica_sets.retain(|set| *set != replica_set.id);
                }
            }
            None => self.free_replica_sets.retain(|set| *set != replica_set.id),
        }
        match owner.and_then(|owner| self.deployments[owner].as_mut()) {
            Some(row) => row.replica_sets.push(replica_set.id),
            None => self.free_replica_sets.push(replica_set.id),
        }
        changes.push(self.told(replica_set, ObjectChange::Spec));
    }

    pub(super) fn told(&self, replica_set: ReplicaSetRef, what: ObjectChange) -> Change {
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
        row.generation += u64::from(row.replicas != replicas);
        (row.replicas, row.desired, row.max) = (replicas, desired, max);
        changes.push(self.told(replica_set, ObjectChange::Spec));
    }

    /// Brings a Deployment's ReplicaSet up to date: revision, annotations, `minReadySeconds`. The
    /// revision that it had goes into its history.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
    /// `SetNewReplicaSetAnnotations` (rule C28).
    pub(super) fn revise_replica_set(
        &mut self,
        replica_set: ReplicaSetRef,
        revision: u32,
        (min_ready, annotations): (Duration, &Labels),
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.replica_sets.get_mut(replica_set) else {
            return;
        };
        if row.revision > 0 && row.revision < revision {
            note_revision(&mut row.revision_history, row.revision);
        }
        row.generation += u64::from(row.min_ready != min_ready);
        (row.revision, row.min_ready) = (revision, min_ready);
        for (key, value) in annotations.iter() {
            row.annotations.set(key, value);
        }
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

    /// Deletes a ReplicaSet.
    pub(super) fn delete_replica_set(
        &mut self,
        replica_set: ReplicaSetRef,
        propagation: Propagation,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        if self.replica_sets.contains(replica_set) {
            let key = ObjectKey::ReplicaSet(replica_set.id);
            self.delete_owner(key, propagation, changes, recorder);
        }
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

    /// Takes the template of one of its ReplicaSets back, with its annotations, and takes off the
    /// annotation that asked for it; without a ReplicaSet it does only that.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/rollback.go `rollbackToTemplate`,
    /// `updateDeploymentAndClearRollbackTo` (rule C64).
    pub(super) fn roll_back(
        &mut self,
        deployment: DeploymentId,
        replica_set: Option<ReplicaSetRef>,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = &self.deployments[deployment] else { return };
        let mut spec = (*row.spec).clone();
        let mut source = (*spec.source).clone();
        if let Some(annotations) = source["metadata"]["annotations"].as_object_mut() {
            annotations.remove(api::ROLLBACK_TO);
        }
        spec.rollback_to = None;
        if let Some(set) = replica_set.and_then(|set| self.replica_sets.get(set)) {
            spec.template = Arc::clone(&self.templates[set.template].template);
            source["spec"]["template"] = (*spec.template.source).clone();
            spec.annotations.clone_from(&set.annotations);
            self.put_annotations(&mut source, &set.annotations);
        }
        spec.source = Arc::new(source);
        self.trees.insert((Kind::Deployment, spec.name), Arc::clone(&spec.source));
        self.update_deployment(deployment, Arc::new(spec), changes);
    }

    /// Puts these annotations in place of those of a tree that are not its own.
    fn put_annotations(&self, tree: &mut Value, annotations: &Labels) {
        let text = |symbol| self.names.resolve(symbol);
        let own = tree["metadata"]["annotations"].as_object().into_iter().flatten();
        let own = own.filter(|(key, _)| api::OWN_ANNOTATIONS.contains(&key.as_str()));
        let own = own.map(|(key, value)| (key.clone(), value.clone()));
        let others = annotations.iter().map(|(k, v)| (text(k).to_owned(), text(v).into()));
        let all: serde_json::Map<String, Value> = own.chain(others).collect();
        tree["metadata"]["annotations"] = all.into();
    }

    /// Deletes a Deployment.
    pub(super) fn delete_deployment(
        &mut self,
        deployment: DeploymentId,
        propagation: Propagation,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        if self.deployments[deployment].is_some() {
            let key = ObjectKey::Deployment(deployment);
            self.delete_owner(key, propagation, changes, recorder);
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
        if let Some(row) = self.hpas[hpa].take() {
            self.trees.remove(&(Kind::HorizontalPodAutoscaler, row.spec.name));
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

    /// Tells the proxies of a Service, or of its end.
    fn publish_service(&mut self, service: ServiceId, spec: Option<Arc<ServiceSpec>>) {
        let now = self.now;
        let Some(row) = &mut self.services[service] else { return };
        row.endpoints = Arc::new(row.endpoints.of_service(spec, now));
        self.log.push(service, Arc::clone(&row.endpoints));
    }

    /// Deletes a Service, of which proxies hear.
    pub(super) fn delete_service(&mut self, service: ServiceId, changes: &mut Vec<Change>) {
        self.publish_service(service, None);
        if let Some(row) = self.services[service].take() {
            self.trees.remove(&(Kind::Service, row.spec.name));
            for id in self.templates.ids().collect::<Vec<_>>() {
                self.templates[id].services.retain(|s| *s != service);
            }
            changes.push(Change::Service { service, what: ObjectChange::Removed });
        }
    }

    /// Adds a Deployment.
    pub(super) fn add_deployment(&mut self, spec: Arc<DeploymentSpec>, changes: &mut Vec<Change>) {
        let name = spec.name;
        let deployment = self.deployments.push(Some(Deployment {
            replicas: spec.replicas,
            spec,
            created: self.now,
            generation: 1,
            is_deleting: false,
            revision: 0,
            replica_sets: Vec::new(),
            status: DeploymentStatus::default(),
        }));
        self.deployment_by_name.insert(name, deployment);
        changes.push(Change::Deployment { deployment, what: ObjectChange::Added });
    }

    /// Puts another version of a Deployment in place, its size too.
    pub(super) fn replace_deployment(
        &mut self,
        spec: &Arc<DeploymentSpec>,
        changes: &mut Vec<Change>,
    ) {
        let Some(id) = self.deployment_named(spec.name) else { return };
        let row = self.deployments[id].as_mut().expect("it was found by name");
        let is_same = is_same_generation(&row.spec, spec) && row.replicas == spec.replicas;
        row.spec = Arc::clone(spec);
        row.replicas = spec.replicas;
        row.generation += u64::from(!is_same);
        changes.push(Change::Deployment { deployment: id, what: ObjectChange::Spec });
    }

    /// Puts another version of a ReplicaSet in place.
    pub(super) fn replace_replica_set(
        &mut self,
        kind: Kind,
        spec: &ReplicaSetSpec,
        changes: &mut Vec<Change>,
    ) {
        let Some(id) = self.replica_set_named(kind, spec.name) else { return };
        let before = self.replica_sets[id.id].template;
        let is_same = self.templates[before].template.source == spec.template.source;
        let template = match is_same {
            true => before,
            false => self.use_template(&spec.template, spec.template.labels.clone()),
        };
        let row = self.replica_sets.get_mut(id).expect("it was found by name");
        let is_same = (row.replicas, row.min_ready) == (spec.replicas, spec.min_ready);
        row.generation += u64::from(!is_same || template != before);
        (row.replicas, row.min_ready, row.template) = (spec.replicas, spec.min_ready, template);
        row.labels.clone_from(&spec.labels);
        row.annotations.clone_from(&spec.annotations);
        if template != before {
            self.drop_template(before);
        }
        changes.push(self.told(id, ObjectChange::Spec));
    }

    /// Adds a Service; templates that it selects learn of it, and their pods stand behind it.
    pub(super) fn add_service(&mut self, spec: &ServiceSpec, changes: &mut Vec<Change>) {
        let spec = Arc::new(spec.clone());
        let now = self.now;
        // Of one that is there from the start proxies have long known.
        let is_new = now > crate::base::SimTime::ZERO;
        let free = self.free_service(spec.name);
        let (service, first) = match free {
            Some(id) => (id, Arc::new(self.log.newest(id).next(Vec::new(), now))),
            None => {
                let first = EndpointSet::empty((!is_new).then(|| Arc::clone(&spec)));
                let first = Arc::new(first);
                self.log.add_service(Arc::clone(&first));
                (self.services.push(None), first)
            }
        };
        self.services[service] = Some(Service {
            spec: Arc::clone(&spec),
            slices: Vec::new(),
            slices_made: 0,
            endpoints: first,
            pods: Vec::new(),
        });
        if is_new || free.is_some() {
            self.publish_service(service, Some(Arc::clone(&spec)));
        }
        self.service_by_name.insert(spec.name, service);
        self.select_pods(service);
        changes.push(Change::Service { service, what: ObjectChange::Added });
    }

    /// The place of a Service that is not there, or not any more: one of that name takes it, so
    /// that who calls it by its name finds it.
    fn free_service(&self, name: ObjectName) -> Option<ServiceId> {
        self.service_named(name).filter(|id| self.services[*id].is_none())
    }

    /// Keeps a place for a Service that a command creates.
    pub(super) fn reserve_service(&mut self, name: ObjectName) {
        self.log.add_service(Arc::new(EndpointSet::empty(None)));
        let service = self.services.push(None);
        self.service_by_name.insert(name, service);
    }

    /// Whether a Service has never been there: nobody finds its name.
    #[must_use]
    pub fn is_unborn(&self, service: ServiceId) -> bool {
        self.services[service].is_none() && self.log.newest(service).version == 0
    }

    /// Puts another version of a Service in place.
    pub(super) fn replace_service(&mut self, spec: Arc<ServiceSpec>, changes: &mut Vec<Change>) {
        let Some(service) = self.service_named(spec.name) else { return };
        let Some(row) = self.services[service].as_mut() else { return };
        let before = std::mem::replace(&mut row.spec, Arc::clone(&spec));
        if !before.is_same_to_proxies(&spec) {
            self.publish_service(service, Some(spec));
        }
        self.select_pods(service);
        changes.push(Change::Service { service, what: ObjectChange::Spec });
    }

    /// Finds the templates and pods that a Service selects.
    fn select_pods(&mut self, service: ServiceId) {
        let Some(row) = &self.services[service] else { return };
        let spec = Arc::clone(&row.spec);
        for id in self.templates.ids().collect::<Vec<_>>() {
            let row = &mut self.templates[id];
            row.services.retain(|other| *other != service);
            if spec.selects(row.template.workload.name.namespace, &row.labels) {
                row.services.push(service);
                row.services.sort_unstable();
            }
        }
        let selects = |template| self.templates[template].services.contains(&service);
        let mut pods: Vec<_> = (self.pods.iter())
            .filter(|(_, pod)| selects(pod.template))
            .map(|(id, pod)| (pod.serial, id))
            .collect();
        pods.sort_unstable();
        if let Some(row) = &mut self.services[service] {
            row.pods = pods.into_iter().map(|(_, id)| id).collect();
        }
    }

    /// Adds an autoscaler.
    pub(super) fn add_hpa(&mut self, spec: Arc<HpaSpec>, changes: &mut Vec<Change>) {
        let free = self.hpa_places.iter().find(|(name, _)| *name == spec.name);
        let free = free.map(|(_, id)| *id).filter(|id| self.hpas[*id].is_none());
        let row = Some(Hpa { spec, created: self.now, status: HpaStatus::default() });
        let hpa = match free {
            Some(id) => {
                self.hpas[id] = row;
                id
            }
            None => self.hpas.push(row),
        };
        changes.push(Change::Hpa { hpa, what: ObjectChange::Added });
    }

    /// Keeps a place for an autoscaler that a command creates.
    pub(super) fn reserve_hpa(&mut self, name: ObjectName) {
        let hpa = self.hpas.push(None);
        self.hpa_places.push((name, hpa));
    }

    /// Puts another version of an autoscaler in place.
    pub(super) fn replace_hpa(&mut self, spec: Arc<HpaSpec>, changes: &mut Vec<Change>) {
        let named = |id: &_| self.hpa(*id).is_some_and(|hpa| hpa.spec.name == spec.name);
        let Some(hpa) = self.hpa_ids().find(named) else { return };
        let Some(row) = self.hpas[hpa].as_mut() else { return };
        row.spec = spec;
        changes.push(Change::Hpa { hpa, what: ObjectChange::Spec });
    }
}

/// Whether two versions of a Deployment have one generation, their sizes aside (rule C4).
fn is_same_generation(one: &DeploymentSpec, other: &DeploymentSpec) -> bool {
    let (one, other) = (&one.source, &other.source);
    let spec = |tree: &Value| {
        let mut spec = tree["spec"].clone();
        spec["replicas"] = Value::Null;
        spec
    };
    let annotations = |tree: &Value| tree["metadata"]["annotations"].clone();
    Arc::ptr_eq(one, other) || (spec(one) == spec(other) && annotations(one) == annotations(other))
}

/// Adds a revision to a history that keeps 2000 characters.
fn note_revision(history: &mut Vec<u32>, revision: u32) {
    const LIMIT: usize = 2000;
    let chars = |revision: &u32| revision.to_string().len() + 1;
    history.push(revision);
    let mut all: usize = history.iter().map(chars).sum();
    while all > LIMIT + 1 && history.len() > 1 {
        all -= chars(&history.remove(0));
    }
}
