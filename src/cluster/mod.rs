//! The cluster: what the API server and the nodes' data planes hold, in tables by id.
//!
//! Everything reads it; only [`Cluster::commit`] changes it, by a [`Plan`]. It owns the rows, the
//! indexes between them and the names that a run adds. It knows no policy: who is placed where,
//! how many pods there shall be and when a container is ready is decided elsewhere.
//!
//! Slots of pods, templates and ReplicaSets are used again, so memory is O(alive). What outlives
//! its thing holds a reference with a life.

mod addresses;
mod admission;
mod budget;
mod call_metrics;
mod change;
mod claims;
mod cloud;
mod commit;
mod commit_nodes;
mod commit_pods;
mod commit_workloads;
mod create_pods;
mod cron_job;
mod custom;
mod daemon_set;
mod dataplane;
mod disks;
mod endpoint_slices;
mod endpoints;
mod eviction;
mod garbage;
mod ingresses;
mod invariants;
mod job;
mod metrics;
mod money;
mod namespaces;
mod new_objects;
mod node;
mod node_keys;
mod objects;
mod plan;
mod pod;
mod rate_limiter;
mod registry;
mod resize;
mod revision;
mod roles;
mod scale;
mod selecting;
mod stateful_set;
#[cfg(test)]
pub(crate) mod testing;
mod vertical;
mod workload;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::api::{Kind, Lowering};
use crate::base::{IdVec, Interner, LookupMap, SimTime, Slots, Symbol};
use crate::model::{
    BudgetId, CronJobId, Custom, DaemonSetId, DeploymentId, DiskId, GeneratorId, HpaId, JobId,
    Labels, Model, NodeId, NodeOrder, ObjectName, PodId, PodRef, PriorityClasses, ReplicaSetId,
    ReplicaSetRef, ServiceId, StatefulSetId, TemplateId, ZoneId,
};
use crate::record::PodName;
use crate::sim::Streams;

pub use admission::{Admitted, Charged};
pub use budget::{Budget, BudgetStatus, BudgetWrite, DisruptionAllowed};
pub use call_metrics::CallCount;
pub use change::{Change, NodeChange, ObjectChange, PodChange};
pub use claims::ClaimOwner;
pub use cloud::{
    Cloud, CloudChange, Group, Instance, InstanceState, InstanceWrite, Launch, LaunchError,
    Scarcity,
};
pub use cron_job::{ActiveJob, CronJob, CronJobStatus, CronJobWrite};
pub use custom::{CustomWrite, Vpa};
pub use daemon_set::{DaemonSet, DaemonSetStatus, DaemonSetWrite};
pub use dataplane::{Plight, Serving};
pub use disks::{Attachment, Disk, DiskWrite};
pub use endpoint_slices::{EndpointSlice, SliceEndpoint, SlicePort};
pub use endpoints::{Endpoint, EndpointLog, EndpointSet, Hints};
pub use eviction::EvictionRefused;
pub use ingresses::{IngressVersion, Ingresses};
pub use job::{Job, JobCondition, JobConditionKind, JobStatus, JobWrite, Uncounted};
pub use metrics::{PodMetrics, PodReading};
pub use new_objects::{NewPod, NewReplicaSet, Refusal};
pub use node::{Node, Readiness};
pub use node_keys::NodeKeys;
pub use plan::{Plan, Write};
pub use pod::{
    ContainerExit, Deletion, Disruption, Exits, IndexFailures, Phase, Pod, PodCounts, PodStatus,
};
pub use rate_limiter::{Backoff, RateLimiter};
pub use registry::Registry;
pub use resize::{Allotments, Resize, ResizePending, ResizeStatus, allotments, class_with};
pub use revision::{Revision, RevisionWrite};
pub use roles::{
    CloudRole, Component, Controller, GeneratorRole, KubeletEvent, KubeletRole, NodeEvent,
    NodeRole, Off, Requeue, SchedulerRole, TrafficRole,
};
pub use scale::Expected;
pub use stateful_set::{StatefulSet, StatefulSetStatus, StatefulSetWrite};
pub use vertical::{Allotment, LimitBounds, allot, declared, recommended};
pub use workload::{
    Deployment, DeploymentStatus, Hpa, HpaStatus, ProgressReason, Progressing, ReplicaFailure,
    ReplicaSet, ReplicaSetStatus, Service, TemplateRow,
};

/// The state of the cluster.
#[derive(Debug)]
pub struct Cluster {
    model: Arc<Model>,
    seed: u64,
    names: Interner,
    now: SimTime,
    nodes: IdVec<NodeId, Node>,
    cloud: Cloud,
    pods: Slots<PodId, Pod>,
    serving: IdVec<PodId, Serving>,
    metrics: IdVec<PodId, PodMetrics>,
    metrics_at: Option<SimTime>,
    metrics_server_away: bool,
    calls: call_metrics::CallHistory,
    cpu_used_milli: i64,
    counts: PodCounts,
    templates: Slots<TemplateId, TemplateRow>,
    /// Rows by the template's address and the labels.
    template_rows: LookupMap<(usize, Labels), TemplateId>,
    unused_templates: Vec<TemplateId>,
    deployments: IdVec<DeploymentId, Option<Deployment>>,
    replica_sets: Slots<ReplicaSetId, ReplicaSet>,
    /// Those without owner, in order.
    free_replica_sets: Vec<ReplicaSetId>,
    selecting: selecting::Selecting,
    stateful_sets: Registry<StatefulSetId, StatefulSet>,
    daemon_sets: Registry<DaemonSetId, DaemonSet>,
    jobs: Slots<JobId, Job>,
    cron_jobs: Registry<CronJobId, CronJob>,
    budgets: Registry<BudgetId, Budget>,
    /// The trees of declared objects, by kind and name.
    trees: BTreeMap<(Kind, ObjectName), Arc<Value>>,
    addresses: addresses::Addresses,
    admission: admission::Admission,
    namespaces: namespaces::Namespaces,
    vertical: vertical::Vertical,
    garbage: garbage::Garbage,
    /// By their places in the model, then as they come.
    vpas: Vec<(ObjectName, Option<Vpa>)>,
    customs: BTreeMap<(Custom, ObjectName), Arc<Value>>,
    disks: IdVec<DiskId, Disk>,
    disk_by_name: LookupMap<Symbol, DiskId>,
    /// What the kubelet of each node says it uses.
    disks_of_nodes: IdVec<NodeId, Vec<DiskId>>,
    pod_disks: LookupMap<PodRef, smallvec::SmallVec<[DiskId; 1]>>,
    resized: resize::Resized,
    /// Claims that StatefulSets have made.
    claims: BTreeMap<ObjectName, ClaimOwner>,
    priorities: PriorityClasses,
    services: IdVec<ServiceId, Option<Service>>,
    hpas: IdVec<HpaId, Option<Hpa>>,
    /// The places of those that a command creates.
    hpa_places: Vec<(ObjectName, HpaId)>,
    /// The model's, with what the labels of namespaces say by now.
    behaviors: Option<Box<crate::model::Behaviors>>,
    log: EndpointLog,
    ingresses: ingresses::Ingresses,
    /// What is cut off from what.
    cuts: Vec<(crate::model::FaultPlace, crate::model::CutFrom)>,
    generator_templates: IdVec<GeneratorId, Vec<TemplateId>>,
    node_by_name: LookupMap<Symbol, NodeId>,
    service_by_name: LookupMap<ObjectName, ServiceId>,
    deployment_by_name: LookupMap<ObjectName, DeploymentId>,
    /// ReplicaSets and ReplicationControllers.
    replica_set_by_name: LookupMap<(Kind, ObjectName), ReplicaSetRef>,
    pods_created: u64,
    replica_sets_created: u64,
    jobs_created: u64,
    /// Pods with a number in their name whose owner released them.
    strays: BTreeMap<(Symbol, PodName), PodRef>,
    hash_label: Symbol,
    revision_label: Symbol,
    node_keys: NodeKeys,
    zones: node_keys::Zones,
}

impl Cluster {
    /// The model this run is of.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// When the last commit was.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// What lowering an object needs: behaviours, the priority classes as they are now, names.
    pub fn lowering(&mut self) -> Lowering<'_> {
        Lowering {
            behaviors: self.behaviors.as_deref().unwrap_or(&self.model.behaviors),
            classes: &self.priorities,
            names: &mut self.names,
        }
    }

    /// All names, those of the model and those that the run has added.
    #[must_use]
    pub const fn names(&self) -> &Interner {
        &self.names
    }

    /// Adds a name; what a command of the timeline brings in is not in the model's.
    pub fn names_mut(&mut self) -> &mut Interner {
        &mut self.names
    }

    /// All nodes by id, in order of creation.
    #[must_use]
    pub const fn nodes(&self) -> &IdVec<NodeId, Node> {
        &self.nodes
    }

    /// A node by name.
    #[must_use]
    pub fn node_named(&self, name: Symbol) -> Option<NodeId> {
        self.node_by_name.get(&name).copied()
    }

    /// Keys of labels and taints of nodes.
    #[must_use]
    pub const fn node_keys(&self) -> &NodeKeys {
        &self.node_keys
    }

    /// All failure domains that a node was ever in.
    pub fn zones(&self) -> impl Iterator<Item = ZoneId> + use<> {
        (0..self.zones.len()).map(crate::base::Id::from_index)
    }

    /// All pods that are there.
    #[must_use]
    pub const fn pods(&self) -> &Slots<PodId, Pod> {
        &self.pods
    }

    /// A pod, if it is still there.
    #[must_use]
    pub fn pod(&self, pod: PodRef) -> Option<&Pod> {
        self.pods.get(pod)
    }

    /// The state of a pod's server; [`Serving::Gone`] if the pod is no longer there.
    #[must_use]
    pub fn serving(&self, pod: PodRef) -> Serving {
        if self.pods.contains(pod) { self.serving[pod.id] } else { Serving::Gone }
    }

    /// How many pods are in which state.
    #[must_use]
    pub const fn pod_counts(&self) -> PodCounts {
        self.counts
    }

    /// All templates in use.
    #[must_use]
    pub const fn templates(&self) -> &Slots<TemplateId, TemplateRow> {
        &self.templates
    }

    /// The template of a pod.
    #[must_use]
    pub fn template_of(&self, pod: &Pod) -> &TemplateRow {
        &self.templates[pod.template]
    }

    /// The template of an entry of a generator's mix.
    #[must_use]
    pub fn generator_template(&self, generator: GeneratorId, entry: usize) -> TemplateId {
        self.generator_templates[generator][entry]
    }

    /// A Deployment; `None` once deleted.
    #[must_use]
    pub fn deployment(&self, id: DeploymentId) -> Option<&Deployment> {
        self.deployments[id].as_ref()
    }

    /// The ids of all Deployments, deleted ones too.
    pub fn deployment_ids(&self) -> impl Iterator<Item = DeploymentId> + use<> {
        self.deployments.ids()
    }

    /// All Deployments that are there, in order of creation.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.iter().flatten()
    }

    /// A Deployment by name.
    #[must_use]
    pub fn deployment_named(&self, name: ObjectName) -> Option<DeploymentId> {
        let id = self.deployment_by_name.get(&name).copied()?;
        self.deployment(id).map(|_| id)
    }

    /// All ReplicaSets that are there.
    #[must_use]
    pub const fn replica_sets(&self) -> &Slots<ReplicaSetId, ReplicaSet> {
        &self.replica_sets
    }

    /// ReplicaSets without owner.
    #[must_use]
    pub fn free_replica_sets(&self) -> &[ReplicaSetId] {
        &self.free_replica_sets
    }

    /// All StatefulSets.
    #[must_use]
    pub const fn stateful_sets(&self) -> &Registry<StatefulSetId, StatefulSet> {
        &self.stateful_sets
    }

    /// All DaemonSets.
    #[must_use]
    pub const fn daemon_sets(&self) -> &Registry<DaemonSetId, DaemonSet> {
        &self.daemon_sets
    }

    /// All Jobs that are there.
    #[must_use]
    pub const fn jobs(&self) -> &Slots<JobId, Job> {
        &self.jobs
    }

    /// All CronJobs.
    #[must_use]
    pub const fn cron_jobs(&self) -> &Registry<CronJobId, CronJob> {
        &self.cron_jobs
    }

    /// All PodDisruptionBudgets.
    #[must_use]
    pub const fn budgets(&self) -> &Registry<BudgetId, Budget> {
        &self.budgets
    }

    /// A pod by name.
    #[must_use]
    pub fn pod_named(&self, name: ObjectName) -> Option<PodRef> {
        let text = self.names.resolve(name.name);
        let is_it = |pod: &Pod| pod.namespace == name.namespace && pod.name.is(text, &self.names);
        let found = self.pods.iter().find(|(_, pod)| is_it(pod));
        found.map(|(id, _)| self.pods.refer(id))
    }

    /// A Service; `None` once deleted.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services[id].as_ref()
    }

    /// A Service by name.
    #[must_use]
    pub fn service_named(&self, name: ObjectName) -> Option<ServiceId> {
        self.service_by_name.get(&name).copied()
    }

    /// Whether machines are cut off from each other or from the API server.
    #[inline]
    #[must_use]
    pub const fn has_cuts(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Whether a place is cut off from something.
    #[must_use]
    pub fn is_cut(&self, place: crate::model::FaultPlace) -> bool {
        self.cuts.iter().any(|(other, _)| *other == place)
    }

    /// Whether two nodes are cut off from each other.
    #[must_use]
    pub fn are_cut(&self, a: NodeId, b: NodeId) -> bool {
        use crate::model::CutFrom;
        a != b
            && self.cuts.iter().any(|(place, from)| {
                let (has_a, has_b) = (self.is_at(a, *place), self.is_at(b, *place));
                match from {
                    CutFrom::ControlPlane | CutFrom::Outside => false,
                    CutFrom::Nodes | CutFrom::Everything => has_a != has_b,
                    CutFrom::Place(other) => {
                        (has_a && self.is_at(b, *other)) || (has_b && self.is_at(a, *other))
                    }
                }
            })
    }

    /// Whether callers outside the cluster do not reach a node.
    #[must_use]
    pub fn is_cut_from_outside(&self, node: NodeId) -> bool {
        use crate::model::CutFrom;
        let is_outside = |from: &CutFrom| matches!(from, CutFrom::Outside | CutFrom::Everything);
        self.cuts.iter().any(|(place, from)| is_outside(from) && self.is_at(node, *place))
    }

    fn is_at(&self, node: NodeId, place: crate::model::FaultPlace) -> bool {
        let spec = &self.nodes[node].spec;
        match place {
            crate::model::FaultPlace::Node(name) => spec.name == name,
            crate::model::FaultPlace::Zone(zone) => spec.zone == Some(zone),
        }
    }

    /// The ids of all Services of the model, deleted ones too.
    pub fn service_ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        self.services.ids()
    }

    /// An autoscaler; `None` once deleted.
    #[must_use]
    pub fn hpa(&self, id: HpaId) -> Option<&Hpa> {
        self.hpas[id].as_ref()
    }

    /// The ids of all autoscalers of the model, deleted ones too.
    pub fn hpa_ids(&self) -> impl Iterator<Item = HpaId> + use<> {
        self.hpas.ids()
    }

    /// The versions of all Services' endpoints.
    #[must_use]
    pub const fn endpoint_log(&self) -> &EndpointLog {
        &self.log
    }

    /// How many pods have been created so far.
    #[must_use]
    pub const fn pods_created(&self) -> u64 {
        self.pods_created
    }

    /// The order in which a scheduler that starts now finds the nodes (rule S12).
    #[must_use]
    pub fn initial_node_order(&self, streams: &Streams) -> Vec<NodeId> {
        let mut order: Vec<NodeId> = self.nodes.ids().collect();
        match self.model.node_order {
            NodeOrder::Given => {}
            NodeOrder::ByName => {
                order.sort_by_key(|id| self.names.resolve(self.nodes[*id].spec.name));
            }
            NodeOrder::Seeded => {
                use rand::seq::SliceRandom;
                order.sort_by_key(|id| self.names.resolve(self.nodes[*id].spec.name));
                order.shuffle(&mut streams.open("scheduler-node-order", ""));
            }
        }
        order
    }
}
