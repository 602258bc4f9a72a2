//! How the cluster is built from the model, and how plans are carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::api::Kind;
use crate::api::Lowering;
use crate::base::{Duration, Id, IdVec, Interner, LookupMap, SimTime, Slots};
use crate::model::{
    Labels, Model, NodeId, NodeSpec, ObjectName, Propagation, ReplicaSetSpec, ServiceId, Template,
    TemplateId,
};
use crate::recorder::Recorder;
use crate::sim::Streams;

use super::{
    Change, Cluster, EndpointLog, Node, NodeChange, NodeKeys, ObjectChange, Plan, PodCounts,
    Readiness, Registry, ReplicaSet, ReplicaSetStatus, Service, TemplateRow, Write,
};

impl Cluster {
    /// The cluster at the beginning of a run: all objects of the model are there, none has been
    /// looked at. `changes` gets one `Added` for each, in order of kind and id.
    #[must_use]
    pub fn new(model: &Arc<Model>, streams: &Streams, changes: &mut Vec<Change>) -> Self {
        let mut names = Interner::layered(Arc::clone(&model.names));
        let hash_label = names.intern("pod-template-hash");
        let revision_label = names.intern("controller-revision-hash");
        let node_keys = NodeKeys::new(&mut names);
        let mut cluster = Self {
            model: Arc::clone(model),
            seed: streams.seed ^ (u64::from(streams.replication) << 32),
            names,
            now: SimTime::ZERO,
            nodes: IdVec::new(),
            cloud: super::Cloud::default(),
            pods: Slots::new(),
            serving: IdVec::new(),
            metrics: IdVec::new(),
            metrics_at: None,
            metrics_server_away: false,
            calls: super::call_metrics::CallHistory::default(),
            cpu_used_milli: 0,
            counts: PodCounts::default(),
            templates: Slots::new(),
            template_rows: LookupMap::new(),
            unused_templates: Vec::new(),
            deployments: IdVec::new(),
            replica_sets: Slots::new(),
            free_replica_sets: Vec::new(),
            selecting: super::selecting::Selecting::default(),
            stateful_sets: Registry::new(),
            daemon_sets: Registry::new(),
            jobs: Slots::new(),
            cron_jobs: Registry::new(),
            budgets: Registry::new(),
            trees: BTreeMap::new(),
            claims: BTreeMap::new(),
            disks: IdVec::new(),
            disks_of_nodes: IdVec::new(),
            disk_by_name: LookupMap::new(),
            pod_disks: LookupMap::new(),
            addresses: super::addresses::Addresses::new(model),
            admission: super::admission::Admission::new(model.default_toleration),
            namespaces: super::namespaces::Namespaces::default(),
            vertical: super::vertical::Vertical::default(),
            garbage: super::garbage::Garbage::default(),
            vpas: Vec::new(),
            customs: BTreeMap::new(),
            resized: super::resize::Resized::default(),
            priorities: model.priorities.clone(),
            services: IdVec::new(),
            hpas: IdVec::new(),
            hpa_places: Vec::new(),
            behaviors: None,
            log: EndpointLog::default(),
            ingresses: super::ingresses::Ingresses::new(&model.ingresses, &model.names),
            cuts: Vec::new(),
            generator_templates: IdVec::new(),
            node_by_name: LookupMap::new(),
            service_by_name: LookupMap::new(),
            deployment_by_name: LookupMap::new(),
            replica_set_by_name: LookupMap::new(),
            pods_created: 0,
            replica_sets_created: 0,
            jobs_created: 0,
            strays: BTreeMap::new(),
            hash_label,
            revision_label,
            node_keys,
            zones: super::node_keys::Zones::default(),
        };
        cluster.add_objects(model, changes);
        cluster
    }

    fn add_objects(&mut self, model: &Model, changes: &mut Vec<Change>) {
        self.add_trees(model);
        self.add_customs(model);
        self.occupy_ranges();
        for spec in &model.nodes {
            let node = self.add_node(spec.clone());
            changes.push(Change::Node { node, what: NodeChange::Added });
        }
        self.add_groups(model);
        let later = &model.later;
        for spec in &model.services {
            match later.services.contains(&spec.name) {
                true => self.reserve_service(spec.name),
                false => self.add_service(spec, changes),
            }
        }
        for spec in model.deployments.iter().filter(|d| !later.has(d.template.workload)) {
            self.add_deployment(Arc::new(spec.clone()), changes);
        }
        for spec in &model.hpas {
            match later.hpas.contains(&spec.name) {
                true => self.reserve_hpa(spec.name),
                false => self.add_hpa(Arc::new(spec.clone()), changes),
            }
        }
        for spec in model.replica_sets.iter().filter(|r| !later.has(r.template.workload)) {
            self.add_bare_replica_set(spec, changes);
        }
        for generator in &model.generators {
            let mix = generator.mix.iter();
            let ids = mix.map(|(_, t)| self.use_template(&t.0, t.0.labels.clone())).collect();
            self.generator_templates.push(ids);
        }
        for pod in model.pods.iter().filter(|p| !later.has(p.template.workload)) {
            self.add_bare_pod(pod, changes);
        }
        self.add_controllers(model, changes);
    }

    pub(super) fn add_node(&mut self, mut spec: NodeSpec) -> NodeId {
        let name = spec.name;
        let taint = self.cordoned_taint();
        if spec.unschedulable && !spec.taints.contains(&taint) {
            spec.taints.push(taint);
        }
        let zone = self.zones.of(&spec.labels, &self.node_keys);
        let (pod_range, address) = self.addresses_for(&spec);
        let node = self.nodes.push(Node {
            spec,
            pod_range,
            address,
            created: self.now,
            first_ready: Some(self.now),
            ready: true,
            condition: Readiness::True,
            pressures: [false; 2],
            reported: None,
            lease: None,
            down_since: None,
            cuts: Vec::new(),
            zone,
            is_up: true,
            cni_is_down: false,
            is_gone: false,
            gone_at: None,
            is_machine: false,
            pods: Vec::new(),
            requested: crate::model::Resources::default(),
            nonzero_requested: Default::default(),
            host_ports: Vec::new(),
        });
        self.node_by_name.insert(name, node);
        node
    }

    /// A ReplicaSet without a Deployment, or a ReplicationController.
    pub(super) fn add_bare_replica_set(
        &mut self,
        spec: &ReplicaSetSpec,
        changes: &mut Vec<Change>,
    ) {
        let template = self.use_template(&spec.template, spec.template.labels.clone());
        let row = ReplicaSet {
            name: spec.name,
            owner: None,
            foreign_owner: spec.controller,
            labels: spec.labels.clone(),
            annotations: spec.annotations.clone(),
            generation: 1,
            is_deleting: false,
            template,
            selector: spec.selector.clone(),
            replicas: spec.replicas,
            min_ready: spec.min_ready,
            revision: 0,
            revision_history: Vec::new(),
            desired: None,
            max: None,
            created: self.now,
            serial: self.replica_sets_created,
            pods: Vec::new(),
            counts: PodCounts::default(),
            status: ReplicaSetStatus::default(),
        };
        self.replica_sets_created += 1;
        let replica_set = self.replica_sets.insert(row);
        let kind = self.kind_of_set(&self.replica_sets[replica_set.id]);
        self.replica_set_by_name.insert((kind, spec.name), replica_set);
        self.select_with(replica_set, spec.name.namespace);
        if spec.controller.is_none() && kind == Kind::ReplicaSet {
            self.free_replica_sets.push(replica_set.id);
        }
        changes.push(Change::ReplicaSet { replica_set, owner: None, what: ObjectChange::Added });
    }

    /// Carries out a plan, write by write, and says what changed. Empties the plan.
    ///
    /// # Panics
    /// If time goes back, or a write is impossible (a pod bound twice): a bug of its writer.
    pub fn commit(
        &mut self,
        plan: &mut Plan,
        now: SimTime,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        assert!(now >= self.now, "a commit at {now} after one at {}", self.now);
        self.now = now;
        self.free_templates();
        self.settle_charges(&std::mem::take(&mut plan.charged));
        let from = changes.len();
        for write in plan.writes.drain(..) {
            self.carry_out(write, changes, recorder);
        }
        self.follow_disks(from, changes);
    }

    fn carry_out(&mut self, write: Write, changes: &mut Vec<Change>, recorder: &mut Recorder) {
        match write {
            Write::CreatePod(new) => self.create_pod_if_owned(&new, changes),
            Write::BindPod { pod, node } => self.bind_pod(pod, node, changes),
            Write::PodDisks { pod, disks } => self.set_pod_disks(pod, &disks),
            Write::Disk { disk, node, write } => self.write_disk(disk, node, write, changes),
            Write::Unschedulable { pod, message } => self.set_unschedulable(pod, message, changes),
            Write::Nominate { pod, node } => self.nominate(pod, node, changes),
            Write::Evict { pod, reason, grace } => {
                self.evict(pod, reason, grace, changes, recorder);
            }
            Write::LabelPod { pod, labels } => self.label_pod(pod, labels, changes),
            Write::Disruption { pod, reason } => self.set_disruption(pod, reason, changes),
            Write::ResizePod { pod, amounts } => self.resize_pod(pod, amounts, changes),
            Write::ResizeStatus { pod, status } => self.set_resize_status(pod, status, changes),
            Write::PodConditions { pod, conditions } => {
                self.set_pod_conditions(pod, &conditions, changes);
            }
            Write::DeletionCost { pod, cost } => self.set_deletion_cost(pod, cost, changes),
            Write::PodOwner { pod, owner } => self.set_pod_owner(pod, owner, changes),
            Write::Untrack { pod } => self.untrack(pod, changes, recorder),
            Write::Create(object) => self.create_object(*object, changes),
            Write::Replace(object) => self.replace_object(*object, changes),
            Write::Delete { kind, name, propagation, grace } => {
                self.delete_object((kind, name), propagation, grace, changes, recorder);
            }
            Write::FinishNamespace { namespace } => {
                self.finish_namespace(namespace, changes, recorder);
            }
            Write::StatefulSet(id, write) => self.write_stateful_set(id, write, changes),
            Write::Claim { namespace, name, owner } => {
                self.set_claim(namespace, &name, owner, changes);
            }
            Write::DaemonSet(id, write) => self.write_daemon_set(id, write, changes),
            Write::Job(id, write) => self.write_job(id, write, changes),
            Write::CreateJob { cron_job, spec, name } => {
                self.create_job(cron_job, (&spec, &name), changes);
            }
            Write::DeleteJob { job, propagation } => {
                self.delete_job(job, propagation, changes, recorder);
            }
            Write::CronJob(id, write) => self.write_cron_job(id, write, changes),
            Write::Budget(id, write) => self.write_budget(id, write, changes),
            Write::PodStatus { pod, status } => self.set_pod_status(pod, status, changes),
            Write::DeletePod { pod, grace } => self.delete_pod(pod, grace, changes, recorder),
            Write::RemovePod { pod } => self.remove_pod(pod, changes, recorder),
            Write::Serving { pod, state } => self.set_serving(pod, state, changes),
            Write::Plight { pod, what } => {
                self.pass_on(pod, Change::Plight { pod, what }, changes);
            }
            Write::ServerIdle { pod } => self.pass_on(pod, Change::ServerIdle { pod }, changes),
            Write::Load { pod, calls } => {
                self.pass_on(pod, Change::Load { pod, calls }, changes);
            }
            Write::Served { pod, calls } => {
                self.pass_on(pod, Change::Served { pod, calls }, changes);
            }
            Write::OomKill { pod } => self.pass_on(pod, Change::OomKill { pod }, changes),
            Write::Address { pod, ip, holds } => self.set_holder(pod, ip, holds),
            Write::OomKilled { pod, container } => {
                if let Some(row) = self.pods.get_mut(pod) {
                    row.oom_kills.push((container, self.now));
                }
            }
            Write::CreateReplicaSet(new) => self.create_replica_set(&new, changes),
            Write::ScaleReplicaSet { replica_set, replicas, desired, max } => {
                self.scale_replica_set(replica_set, replicas, (desired, max), changes);
            }
            Write::ReviseReplicaSet { replica_set, revision, min_ready, annotations } => {
                let rest = (min_ready, &annotations);
                self.revise_replica_set(replica_set, revision, rest, changes);
            }
            Write::ReplicaSetOwner { replica_set, owner } => {
                self.set_replica_set_owner(replica_set, owner, changes);
            }
            Write::RollBack { deployment, replica_set } => {
                self.roll_back(deployment, replica_set, changes);
            }
            Write::ReplicaSetStatus { replica_set, status } => {
                self.set_replica_set_status(replica_set, status, changes);
            }
            Write::DeleteReplicaSet { replica_set } => {
                self.delete_replica_set(replica_set, Propagation::Background, changes, recorder);
            }
            Write::UpdateDeployment { deployment, spec } => {
                self.update_deployment(deployment, spec, changes);
            }
            Write::ScaleDeployment { deployment, replicas } => {
                self.scale_deployment(deployment, replicas, changes);
            }
            Write::DeploymentStatus { deployment, status, revision } => {
                self.set_deployment_status(deployment, status, revision, changes);
            }
            Write::DeleteDeployment { deployment } => {
                self.delete_deployment(deployment, Propagation::Background, changes, recorder);
            }
            Write::HpaStatus { hpa, status } => self.set_hpa_status(hpa, status, changes),
            Write::DeleteHpa { hpa } => self.delete_hpa(hpa, changes),
            Write::Endpoints { service, endpoints } => {
                self.set_endpoints(service, endpoints, changes);
            }
            Write::Slice { service, number, slice } => {
                self.write_slice(service, number, slice.map(|slice| *slice), changes);
            }
            Write::DeleteService { service } => self.delete_service(service, changes),
            Write::Cordon { node, unschedulable } => self.cordon(node, unschedulable, changes),
            Write::Taints { node, taints } => {
                self.nodes[node].spec.taints = taints;
                changes.push(Change::Node { node, what: NodeChange::Taints });
            }
            Write::SwapTaints { node, add, remove } => {
                self.swap_taints(node, &add, &remove, changes);
            }
            Write::NodeReady { node, ready } => {
                self.nodes[node].reported = Some(self.now);
                let condition = if ready { Readiness::True } else { Readiness::False };
                self.set_condition(node, condition, changes);
            }
            Write::NodeShutdown { node } => {
                changes.push(Change::Node { node, what: NodeChange::ShutsDown });
            }
            Write::KubeletRestart { node } => {
                changes.push(Change::Node { node, what: NodeChange::KubeletRestarts });
            }
            Write::NodeCni { node, is_up } => self.nodes[node].cni_is_down = !is_up,
            Write::SandboxLoss { node } => {
                changes.push(Change::Node { node, what: NodeChange::SandboxesLost });
            }
            Write::MetricsServer { is_up } => self.set_metrics_server(is_up),
            Write::NodePressure { node, what, is_on } => {
                self.set_pressure((node, what), is_on, changes);
            }
            Write::NodeCondition { node, condition } => {
                self.set_condition(node, condition, changes);
            }
            Write::Lease { node, renewed } => self.nodes[node].lease = Some(renewed),
            Write::NodeUp { node, is_up } => self.set_up(node, is_up, changes),
            Write::Cut { place, from, nodes } => self.set_cut(place, from, &nodes, changes),
            Write::MarkUnready { pod } => self.mark_unready(pod, changes),
            Write::Retarget { group, by } => self.retarget(group, by, changes),
            Write::Launch(launch) => self.launch(*launch, changes),
            Write::DeleteInstances { instances, lowers_target } => {
                self.delete_instances(&instances, lowers_target, changes);
            }
            Write::Instance { instance, write } => {
                self.write_instance(instance, *write, changes, recorder);
            }
            Write::Scarcity { scarcity, is_scarce } => self.set_scarcity(scarcity, is_scarce),
            Write::Collect => self.collect(changes, recorder),
            Write::Custom(write) => self.write_custom(*write, changes),
            Write::NodePool(spec) => self.set_node_pool(spec, changes),
            Write::RemoveNode { node } => self.remove_node(node, changes),
            Write::Metrics(sample) => self.publish_metrics(&sample),
            Write::CallMetrics(rows) => {
                let reaches = self.model.metrics.iter().map(crate::model::MetricSpec::reach);
                let longest = reaches.max().unwrap_or(Duration::ZERO);
                self.calls.take(self.now, rows, longest);
            }
            Write::Recommend { workload, targets } => self.vertical.set(workload, targets),
        }
    }

    /// Takes a template into use once more and gives its row: the same row for the same template
    /// with the same labels.
    pub(super) fn use_template(&mut self, template: &Arc<Template>, labels: Labels) -> TemplateId {
        let key = (address(template), labels);
        if let Some(id) = self.template_rows.get(&key).copied() {
            self.templates[id].users += 1;
            return id;
        }
        let labels = key.1.clone();
        let services = self.services_of(&labels, template);
        let budgets = self.budgets_of(&labels, template);
        let mut cx = Lowering {
            behaviors: self.behaviors.as_deref().unwrap_or(&self.model.behaviors),
            classes: &self.priorities,
            names: &mut self.names,
        };
        let admission = self.admission.of_template(template, &mut cx);
        let template = Arc::clone(template);
        let row =
            TemplateRow { template, labels, services, budgets, users: 1, orphans: 0, admission };
        let id = self.templates.insert(row).id;
        self.template_rows.insert(key, id);
        id
    }

    fn services_of(&self, labels: &Labels, template: &Template) -> SmallVec<[ServiceId; 2]> {
        let namespace = template.workload.name.namespace;
        let live = self.services.enumerate().filter_map(|(id, s)| s.as_ref().map(|s| (id, s)));
        let selects = |service: &Service| service.spec.selects(namespace, labels);
        live.filter(|(_, service)| selects(service)).map(|(id, _)| id).collect()
    }

    /// Gives a template back; a row without users is freed at the next commit.
    pub(super) fn drop_template(&mut self, id: TemplateId) {
        let row = &mut self.templates[id];
        row.users -= 1;
        if row.users == 0 {
            self.unused_templates.push(id);
        }
    }

    fn free_templates(&mut self) {
        for id in std::mem::take(&mut self.unused_templates) {
            if self.templates.at(id).is_some_and(|row| row.users == 0) {
                let row = self.templates.remove(id);
                self.template_rows.remove(&(address(&row.template), row.labels));
            }
        }
    }

    /// Name of a Deployment or the like in a namespace.
    pub(super) fn name_in(&mut self, of: ObjectName, text: &str) -> ObjectName {
        ObjectName { namespace: of.namespace, name: self.names.intern(text) }
    }
}

/// Which template it is: rows keep theirs alive, so that no other gets its address meanwhile.
fn address(template: &Arc<Template>) -> usize {
    Arc::as_ptr(template).addr()
}

/// Grows a table beside the pods' slots to hold `id`.
pub(super) fn cover<I: Id, T: Default + Clone>(table: &mut IdVec<I, T>, id: I) {
    while table.len() <= id.index() {
        table.push(T::default());
    }
}
