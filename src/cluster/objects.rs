//! Declared objects of any kind: created, replaced and deleted by name, as a client of the API
//! server does it.
//!
//! Trees are kept beside the rows: what commands read, patch and show.

use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Kind, KindClass, Object};
use crate::base::{Duration, Symbol};
use crate::model::{
    Declared, JobRef, Model, ObjectKey, ObjectName, OwnerRef, PodId, PriorityClasses, Propagation,
    ReplicaSetRef, WorkloadKind,
};
use crate::recorder::Recorder;

use super::{
    Budget, Change, Cluster, CronJob, DaemonSet, NodeChange, ObjectChange, ReplicaSet, StatefulSet,
};

impl Cluster {
    /// Adds the model's StatefulSets and so on, and the trees of all its objects.
    pub(super) fn add_controllers(&mut self, model: &Model, changes: &mut Vec<Change>) {
        let now = self.now;
        let added = |key| Change::Object { key, what: ObjectChange::Added };
        let later = &model.later;
        for spec in model.stateful_sets.iter().filter(|s| !later.has(s.template.workload)) {
            let row = StatefulSet::new(Arc::new(spec.clone()), now);
            let id = self.stateful_sets.insert(spec.name, row);
            let key = ObjectKey::StatefulSet(id);
            self.add_selector(key, spec.name.namespace, &spec.selector);
            changes.push(added(ObjectKey::StatefulSet(id)));
        }
        for spec in model.daemon_sets.iter().filter(|s| !later.has(s.template.workload)) {
            let row = DaemonSet::new(Arc::new(spec.clone()), now);
            let id = self.daemon_sets.insert(spec.name, row);
            let key = ObjectKey::DaemonSet(id);
            self.add_selector(key, spec.name.namespace, &spec.selector);
            changes.push(added(ObjectKey::DaemonSet(id)));
        }
        for spec in model.jobs.iter().filter(|j| !later.has(j.template.workload)) {
            self.insert_job(Arc::new(spec.clone()), None, changes);
        }
        for spec in model.cron_jobs.iter().filter(|c| !later.has(c.job.template.workload)) {
            let row = CronJob::new(Arc::new(spec.clone()), now);
            let id = self.cron_jobs.insert(spec.name, row);
            changes.push(added(ObjectKey::CronJob(id)));
        }
        for spec in &model.budgets {
            self.add_budget(Budget::declared(Arc::new(spec.clone()), now), changes);
        }
    }

    /// Takes over the trees of the model's objects, and the rules among them.
    pub(super) fn add_trees(&mut self, model: &Model) {
        for tree in &model.trees {
            let text = |key: &str| tree[key].as_str().unwrap_or_default();
            let class = api::classify(text("apiVersion"), text("kind"));
            let KindClass::Modelled(kind) = class else { continue };
            let name = api::object_name(tree, &mut self.names);
            self.trees.insert((kind, name), Arc::clone(tree));
        }
        self.learn_rules();
    }

    /// The tree of a declared object as it was written last; what controllers change since then
    /// stands in the rows.
    #[must_use]
    pub fn tree(&self, kind: Kind, name: ObjectName) -> Option<&Arc<Value>> {
        self.trees.get(&(kind, name))
    }

    /// The trees of all declared objects of a kind.
    pub fn trees_of(&self, kind: Kind) -> impl Iterator<Item = (ObjectName, &Arc<Value>)> {
        let of_kind = self.trees.iter().filter(move |((k, _), _)| *k == kind);
        of_kind.map(|((_, name), tree)| (*name, tree))
    }

    /// All that stands in a namespace, without pods and what Deployments own.
    #[must_use]
    pub fn objects_in(&self, namespace: Symbol) -> Vec<(Kind, ObjectName)> {
        let is_here = |(kind, name): &(Kind, ObjectName)| {
            kind.is_namespaced() && *kind != Kind::Pod && name.namespace == namespace
        };
        let mut all: Vec<_> = self.trees.keys().copied().filter(is_here).collect();
        let free = self.free_replica_sets.iter().map(|id| &self.replica_sets[*id]);
        let free = free.map(|row| (self.kind_of_set(row), row.name)).filter(is_here);
        all.extend(free.filter(|key| !self.trees.contains_key(key)).collect::<Vec<_>>());
        all
    }

    /// Creates an object; one of that kind and name that is there stays as it is.
    pub(super) fn create_object(&mut self, object: Object, changes: &mut Vec<Change>) {
        let Object { kind, name, tree, declared } = object;
        if self.trees.contains_key(&(kind, name))
            || (kind.is_namespaced() && self.admit_to_namespace(name.namespace).is_err())
        {
            return;
        }
        if kind == Kind::Namespace {
            self.revive_namespace(name.name);
        }
        self.trees.insert((kind, name), tree);
        let added = |key| Change::Object { key, what: ObjectChange::Added };
        let now = self.now;
        match declared {
            Declared::Pod(pod) => self.add_bare_pod(&pod, changes),
            Declared::Deployment(spec) => self.add_deployment(spec, changes),
            Declared::ReplicaSet(spec) => self.add_bare_replica_set(&spec, changes),
            Declared::StatefulSet(spec) => {
                let selector = spec.selector.clone();
                let id = self.stateful_sets.insert(name, StatefulSet::new(spec, now));
                self.add_selector(ObjectKey::StatefulSet(id), name.namespace, &selector);
                changes.push(added(ObjectKey::StatefulSet(id)));
            }
            Declared::DaemonSet(spec) => {
                let selector = spec.selector.clone();
                let id = self.daemon_sets.insert(name, DaemonSet::new(spec, now));
                self.add_selector(ObjectKey::DaemonSet(id), name.namespace, &selector);
                changes.push(added(ObjectKey::DaemonSet(id)));
            }
            Declared::Job(spec) => {
                self.insert_job(spec, None, changes);
            }
            Declared::CronJob(spec) => {
                let id = self.cron_jobs.insert(name, CronJob::new(spec, now));
                changes.push(added(ObjectKey::CronJob(id)));
            }
            Declared::Budget(spec) => self.add_budget(Budget::new(spec, now), changes),
            Declared::Service(spec) => self.add_service(&spec, changes),
            Declared::Hpa(spec) => self.add_hpa(spec, changes),
            Declared::Node(spec) => {
                let node = self.add_node(*spec);
                changes.push(Change::Node { node, what: NodeChange::Added });
            }
            Declared::Ingress(rules) => {
                self.put_ingress(rules);
                self.tree_changed((kind, name), true, changes);
            }
            Declared::Tree => self.tree_changed((kind, name), true, changes),
        }
    }

    /// An object that is kept as a tree alone came, changed or went.
    fn tree_changed(
        &mut self,
        (kind, name): (Kind, ObjectName),
        has_new_data: bool,
        changes: &mut Vec<Change>,
    ) {
        if matches!(
            kind,
            Kind::LimitRange | Kind::ResourceQuota | Kind::RuntimeClass | Kind::ServiceAccount
        ) {
            self.learn_rules();
        }
        if kind == Kind::Namespace {
            self.learn_labels();
        }
        if kind == Kind::PriorityClass {
            let mut classes = PriorityClasses::default();
            self.trees_of(kind).for_each(|(_, tree)| classes.add(tree));
            self.priorities = classes;
        }
        changes.push(Change::Tree { kind, name, has_new_data });
    }

    /// Puts another version of an object in place; of one that is gone nothing happens.
    pub(super) fn replace_object(&mut self, object: Object, changes: &mut Vec<Change>) {
        let Object { kind, name, tree, declared } = object;
        // Nodes of a pool, and what controllers made, have no tree here.
        let before = self.trees.get_mut(&(kind, name));
        if before.as_ref().is_some_and(|before| **before == tree) {
            return;
        }
        let is_same_spec = before.as_ref().is_some_and(|before| before["spec"] == tree["spec"]);
        let has_new_data = before.as_ref().is_some_and(|before| {
            ["data", "binaryData", "stringData"].iter().any(|key| before[*key] != tree[*key])
        });
        match (before, kind) {
            (Some(before), _) => *before = tree,
            // One that nothing declares is there all the same.
            (None, Kind::Namespace) => {
                self.trees.insert((kind, name), tree);
            }
            (None, Kind::Node | Kind::Pod | Kind::ReplicaSet | Kind::Job) => {}
            (None, _) => return,
        }
        let changed = |key| Change::Object { key, what: ObjectChange::Spec };
        macro_rules! put {
            ($table:ident, $key:ident, $spec:ident) => {{
                let Some(id) = self.$table.named(name) else { return };
                let row = self.$table.get_mut(id).expect("it was found by name");
                row.spec = $spec;
                row.generation += u64::from(!is_same_spec);
                changes.push(changed(ObjectKey::$key(id)));
            }};
        }
        match declared {
            Declared::Pod(pod) => {
                let Some(row) = self.pod_named(name) else { return };
                self.label_pod(row, pod.template.labels.clone(), changes);
                self.set_deletion_cost(row, pod.template.deletion_cost, changes);
            }
            Declared::Deployment(spec) => self.replace_deployment(&spec, changes),
            Declared::ReplicaSet(spec) => self.replace_replica_set(kind, &spec, changes),
            Declared::StatefulSet(spec) => put!(stateful_sets, StatefulSet, spec),
            Declared::DaemonSet(spec) => put!(daemon_sets, DaemonSet, spec),
            Declared::CronJob(spec) => put!(cron_jobs, CronJob, spec),
            Declared::Budget(spec) => {
                self.replace_budget(spec, is_same_spec, changes);
            }
            Declared::Job(spec) => {
                let Some(job) = self.job_named(name) else { return };
                self.replace_job(job, spec, is_same_spec, changes);
            }
            Declared::Service(spec) => self.replace_service(spec, changes),
            Declared::Hpa(spec) => self.replace_hpa(spec, changes),
            Declared::Node(spec) => self.replace_node(*spec, changes),
            Declared::Ingress(rules) => {
                self.put_ingress(rules);
                self.tree_changed((kind, name), has_new_data, changes);
            }
            Declared::Tree => self.tree_changed((kind, name), has_new_data, changes),
        }
    }

    /// Deletes an object by name.
    pub(super) fn delete_object(
        &mut self,
        (kind, name): (Kind, ObjectName),
        propagation: Propagation,
        grace: Option<Duration>,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        match kind {
            Kind::Pod => {
                if let Some(pod) = self.pod_named(name) {
                    self.delete_pod(pod, grace, changes, recorder);
                }
            }
            Kind::Deployment
            | Kind::ReplicaSet
            | Kind::ReplicationController
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::Job
            | Kind::CronJob => {
                if let Some(key) = self.owner_named(kind, name) {
                    self.delete_owner(key, propagation, changes, recorder);
                }
            }
            Kind::PodDisruptionBudget => {
                if self.delete_budget(name, changes) {
                    self.trees.remove(&(kind, name));
                }
            }
            Kind::Service => {
                if let Some(id) = self.service_named(name) {
                    self.delete_service(id, changes);
                }
            }
            Kind::HorizontalPodAutoscaler => {
                let named = |id: &_| self.hpa(*id).is_some_and(|hpa| hpa.spec.name == name);
                if let Some(id) = self.hpa_ids().find(named) {
                    self.delete_hpa(id, changes);
                }
            }
            Kind::Namespace => self.delete_namespace(name, changes),
            Kind::Node => {
                if let Some(node) = self.node_named(name.name) {
                    self.remove_node(node, changes);
                }
            }
            _ => {
                if self.trees.remove(&(kind, name)).is_some() {
                    if kind == Kind::Ingress {
                        self.drop_ingress(name);
                    }
                    self.tree_changed((kind, name), false, changes);
                }
            }
        }
    }

    /// Deletes a Job.
    pub(super) fn delete_job(
        &mut self,
        job: JobRef,
        propagation: Propagation,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        if !self.jobs.contains(job) {
            return;
        }
        self.delete_owner(ObjectKey::Job(job.id), propagation, changes, recorder);
    }

    /// An owner of pods, ReplicaSets or Jobs by its name.
    fn owner_named(&self, kind: Kind, name: ObjectName) -> Option<ObjectKey> {
        match kind {
            Kind::Deployment => self.deployment_named(name).map(ObjectKey::Deployment),
            Kind::ReplicaSet | Kind::ReplicationController => {
                self.replica_set_named(kind, name).map(|set| ObjectKey::ReplicaSet(set.id))
            }
            Kind::StatefulSet => self.stateful_sets.named(name).map(ObjectKey::StatefulSet),
            Kind::DaemonSet => self.daemon_sets.named(name).map(ObjectKey::DaemonSet),
            Kind::Job => self.job_named(name).map(|job| ObjectKey::Job(job.id)),
            Kind::CronJob => self.cron_jobs.named(name).map(ObjectKey::CronJob),
            _ => None,
        }
    }

    /// A ReplicaSet or ReplicationController by name.
    #[must_use]
    pub fn replica_set_named(&self, kind: Kind, name: ObjectName) -> Option<ReplicaSetRef> {
        self.replica_set_by_name.get(&(kind, name)).copied()
    }

    /// Which of the two kinds a row of the table of ReplicaSets is.
    #[must_use]
    pub fn kind_of_set(&self, row: &ReplicaSet) -> Kind {
        match self.templates[row.template].template.workload.kind {
            WorkloadKind::ReplicationController => Kind::ReplicationController,
            _ => Kind::ReplicaSet,
        }
    }

    /// The list of an owner's pods, if the owner is there.
    pub(super) fn pods_of_mut(&mut self, owner: OwnerRef) -> Option<&mut Vec<PodId>> {
        match owner {
            OwnerRef::ReplicaSet(set) => self.replica_sets.get_mut(set).map(|row| &mut row.pods),
            OwnerRef::StatefulSet(set) => self.stateful_sets.get_mut(set).map(|row| &mut row.pods),
            OwnerRef::DaemonSet(set) => self.daemon_sets.get_mut(set).map(|row| &mut row.pods),
            OwnerRef::Job(job) => self.jobs.get_mut(job).map(|row| &mut row.pods),
        }
    }

    /// An owner's pods, those being deleted and terminal ones too, in order of creation; `None` if
    /// the owner is gone.
    #[must_use]
    pub fn pods_of(&self, owner: OwnerRef) -> Option<&[PodId]> {
        match owner {
            OwnerRef::ReplicaSet(set) => self.replica_sets.get(set).map(|row| &row.pods[..]),
            OwnerRef::StatefulSet(set) => self.stateful_sets.get(set).map(|row| &row.pods[..]),
            OwnerRef::DaemonSet(set) => self.daemon_sets.get(set).map(|row| &row.pods[..]),
            OwnerRef::Job(job) => self.jobs.get(job).map(|row| &row.pods[..]),
        }
    }

    /// A Job by name.
    #[must_use]
    pub fn job_named(&self, name: ObjectName) -> Option<JobRef> {
        let found = self.jobs.iter().find(|(_, row)| row.spec.name == name);
        found.map(|(id, _)| self.jobs.refer(id))
    }
}
