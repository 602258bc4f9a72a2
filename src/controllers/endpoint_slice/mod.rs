//! EndpointSlice: which pods stand behind a Service.
//!
//! ```text
//! pods ─► endpoints by ports ─► packing ─► hints ─► writes, one a slice
//! ```
//!
//! `packing` says into which slices endpoints go, `hints` for whom they are; both are pure. The
//! time that the original works on a Service, and that of its writes, is its client's: the engine
//! adds `latencies.endpoints`, so `reconcile` itself takes none.
//!
//! Source: kubernetes v1.36.3 pkg/controller/endpointslice/endpointslice_controller.go,
//! endpointslice/reconciler.go, endpointslice/utils.go (rules C176 to C181). Differs: one address
//! family; pods have no host names; slices are written by nobody else.

pub mod hints;
pub mod packing;

use crate::base::Duration;
use crate::cluster::{
    Backoff, Change, Cluster, Controller, Endpoint, EndpointSlice, NodeChange, ObjectChange, Plan,
    Pod, Requeue, Service, SliceEndpoint, SlicePort, TemplateRow, Write,
};
use crate::model::{
    Model, ObjectKey, PodId, ServiceId, ServiceKind, ServicePort, TargetPort, Template,
};
use crate::record::{About, EventRecord};
use crate::sim::{Ctx, Streams};

use hints::{TopologyCache, TopologyEvent, TopologyNode};
use packing::{Desired, ENDPOINTS_MAX, Packing, pack};

/// The EndpointSlice controller.
#[derive(Clone, Debug, Default)]
pub struct EndpointSliceController {
    /// How long changes of pods wait for others (`--endpointslice-updates-batch-period`).
    batch: Duration,
    topology: TopologyCache,
}

impl EndpointSliceController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, _streams: &Streams) -> Self {
        Self::default()
    }

    /// The same, with a period in which changes of pods are taken together (rule C178).
    #[must_use]
    pub fn with_batch_period(self, batch: Duration) -> Self {
        Self { batch, ..self }
    }

    /// Brings the slices of a Service to what they should be; whether all pods could be published.
    fn sync(
        &mut self,
        id: ServiceId,
        service: &Service,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let mut desired = Vec::new();
        let mut has_all = true;
        for pod in &service.pods {
            match endpoint(*pod, service, cluster) {
                Published::Yes(endpoint) => desired.push(endpoint),
                Published::No => {}
                Published::NodeUnknown => has_all = false,
            }
        }
        let existing = &service.slices;
        let mut packing = pack(existing, desired, &service.spec.labels, ENDPOINTS_MAX);
        let event = self.give_hints(id, service, cluster, &mut packing);
        write(id, existing, packing, plan);
        if let Some(event) = event.filter(|_| ctx.recorder.wants_events()) {
            tell(service, event, ctx);
        }
        has_all
    }

    /// Source: kubernetes v1.36.3 endpointslice/reconciler.go `reconcileByAddressType`.
    fn give_hints(
        &mut self,
        id: ServiceId,
        service: &Service,
        cluster: &Cluster,
        packing: &mut Packing,
    ) -> Option<TopologyEvent> {
        let existing = &service.slices;
        if service.spec.topology_auto {
            self.topology.set_nodes(nodes(cluster));
            return self.topology.add_hints(id, existing, packing);
        }
        let event = self.topology.forget(id);
        match service.spec.distribution {
            Some(kind) => hints::distribute(kind, existing, packing),
            None => hints::remove(existing, packing),
        }
        event
    }

    /// Services whose hints no longer fit the nodes.
    fn overloaded(&self, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        if self.topology.is_used() {
            let mut topology = self.topology.clone();
            topology.set_nodes(nodes(cluster));
            out.extend(topology.overloaded().map(ObjectKey::Service));
        }
    }
}

impl Controller for EndpointSliceController {
    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    /// A change of labels, readiness, IP or deletion, and any change of a pod that is being
    /// deleted.
    ///
    /// Source: kubernetes v1.36.3 endpointslice/util/controller_utils.go `podEndpointsChanged`
    /// (rule C178). Differs: a new pod wakes nobody where changes do not wait for each other: it
    /// has no IP yet.
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let template = match change {
            Change::Service { service, what: ObjectChange::Added | ObjectChange::Spec } => {
                return out.push(ObjectKey::Service(*service));
            }
            Change::Node {
                what:
                    NodeChange::Added | NodeChange::Ready | NodeChange::Labels | NodeChange::Removed,
                ..
            } => return self.overloaded(cluster, out),
            Change::PodMeta { pod, .. } => {
                let of_pod = |id: &ServiceId| {
                    let service = cluster.service(*id);
                    service.is_some_and(|service| is_moved(pod.id, service, cluster))
                };
                return out.extend(cluster.service_ids().filter(of_pod).map(ObjectKey::Service));
            }
            Change::PodStatus { pod, what, .. } => {
                let row = cluster.pod(*pod);
                let concerns = |row: &&Pod| what.ready || what.ip || row.deletion.is_some();
                row.filter(concerns).map(|row| row.template)
            }
            Change::PodAdded { pod, .. } if !self.batch.is_zero() => {
                cluster.pod(*pod).map(|row| row.template)
            }
            Change::PodDeleting { pod, .. } => cluster.pod(*pod).map(|row| row.template),
            Change::PodRemoved { template, .. } => Some(*template),
            _ => None,
        };
        let row: Option<&TemplateRow> = template.and_then(|id| cluster.templates().at(id));
        if let Some(row) = row {
            out.extend(row.services.iter().map(|s| ObjectKey::Service(*s)));
        }
    }

    fn wake_delay_of(&self, change: &Change, _key: ObjectKey) -> Duration {
        match change {
            Change::Service { .. } | Change::Node { .. } => Duration::ZERO,
            _ => self.batch,
        }
    }

    /// Source: kubernetes v1.36.3 pkg/controller/endpointslice/endpointslice_controller.go
    /// `NewController`, `handleErr` (rules C16, C17).
    fn backoff(&self) -> Backoff {
        Backoff { base: Duration::secs(1), max: Duration::secs(1000), tries: Some(15), ..Backoff::DEFAULT }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Service(id) = key else {
            return Requeue::Never;
        };
        let Some(service) = cluster.service(id) else {
            self.topology.forget(id);
            return Requeue::Never;
        };
        if !is_published(service) || self.sync(id, service, cluster, plan, ctx) {
            Requeue::Never
        } else {
            Requeue::Failed
        }
    }
}

/// Without a selector, or with a name outside, somebody else publishes (rule C180).
fn is_published(service: &Service) -> bool {
    service.spec.kind != ServiceKind::ExternalName && service.spec.selector.is_some()
}

/// Whether a Service has a pod that it should not have, or the other way round.
fn is_moved(pod: PodId, service: &Service, cluster: &Cluster) -> bool {
    let pod_ref = cluster.pods().refer(pod);
    let endpoints = service.slices.iter().flat_map(|slice| &slice.endpoints);
    let is_in = endpoints.map(|endpoint| endpoint.endpoint.pod).any(|pod| pod == pod_ref);
    is_in != service.pods.contains(&pod)
}

/// Whether a pod has an endpoint.
enum Published {
    Yes(Desired),
    No,
    /// Not until its node is known again (rule C176).
    NodeUnknown,
}

/// The endpoint of a pod, if it has one (rules C176, C177).
///
/// Source: kubernetes v1.36.3 endpointslice/util/controller_utils.go `ShouldPodBeInEndpoints`,
/// endpointslice/utils.go `podToEndpoint`.
fn endpoint(id: PodId, service: &Service, cluster: &Cluster) -> Published {
    let pod = &cluster.pods()[id];
    let Some(node) = pod.node.filter(|_| pod.status.has_ip && !pod.is_terminal()) else {
        return Published::No;
    };
    let row = &cluster.nodes()[node];
    if row.is_gone && !service.spec.publish_not_ready {
        return Published::NodeUnknown;
    }
    let serving = pod.status.ready;
    let terminating = pod.deletion.is_some();
    let endpoint = Endpoint {
        pod: cluster.pods().refer(id),
        node,
        ready: service.spec.publish_not_ready || (serving && !terminating),
        serving,
        terminating,
    };
    Published::Yes(Desired {
        ports: ports(service, &cluster.template_of(pod).template),
        endpoint: SliceEndpoint {
            serial: pod.serial,
            endpoint,
            zone: row.spec.zone.filter(|_| !row.is_gone),
            for_zone: None,
            for_node: None,
        },
    })
}

/// The ports of a Service as the pods of a template have them; those that they lack are left out.
///
/// Source: kubernetes v1.36.3 endpointslice/utils.go `getEndpointPorts`, `FindPort` (rule C180).
fn ports(service: &Service, template: &Template) -> Vec<SlicePort> {
    let find = |port: &ServicePort| {
        Some(SlicePort {
            name: port.name,
            port: target(port, template)?,
            protocol: port.protocol,
            app_protocol: port.app_protocol,
        })
    };
    let mut ports: Vec<SlicePort> = service.spec.ports.iter().filter_map(find).collect();
    ports.sort_unstable();
    ports
}

/// The number that a port of a Service leads to in the pods of a template.
#[must_use]
pub fn target(port: &ServicePort, template: &Template) -> Option<u16> {
    let name = match port.target {
        TargetPort::Number(number) => return Some(number),
        TargetPort::Name(name) => name,
    };
    let spec = &template.spec;
    let sidecars = spec.init_containers.iter().filter(|container| container.restart_always);
    let mut declared = spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports);
    let found = declared.find(|other| other.name == name && other.protocol == port.protocol);
    found.map(|found| found.port)
}

fn nodes(cluster: &Cluster) -> impl Iterator<Item = TopologyNode> + '_ {
    let keys = cluster.node_keys();
    let there = cluster.nodes().iter().filter(|node| !node.is_gone);
    there.map(|node| TopologyNode {
        zone: node.spec.zone,
        milli_cpu: node.spec.allocatable.cpu.0,
        is_ready: node.ready,
        is_control_plane: keys.control_plane.iter().any(|key| node.spec.labels.get(*key).is_some()),
    })
}

/// Asks for the writes: what is new first, then what changes, then what goes.
fn write(service: ServiceId, existing: &[EndpointSlice], packing: Packing, plan: &mut Plan) {
    let Packing { create, update, delete } = packing.reuse();
    for slice in create {
        plan.push(Write::Slice { service, number: None, slice: Some(Box::new(slice)) });
    }
    for (place, slice) in update {
        let number = Some(existing[place].number);
        plan.push(Write::Slice { service, number, slice: Some(Box::new(slice)) });
    }
    for place in delete {
        plan.push(Write::Slice { service, number: Some(existing[place].number), slice: None });
    }
}

fn tell(service: &Service, event: TopologyEvent, ctx: &mut Ctx<'_>) {
    let at = ctx.now();
    ctx.recorder.event(EventRecord {
        at,
        is_warning: event.is_warning,
        reason: event.reason(),
        about: About::Object("Service", service.spec.name),
        message: format!("{}, addressType: IPv4", event.message),
    });
}
