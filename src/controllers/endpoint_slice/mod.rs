//! EndpointSlice: which pods stand behind a Service.
//!
//! ```text
//! pods ─► endpoints by ports ─► packing ─► hints ─► writes, one a slice
//! ```
//!
//! `publish` says which pods have an endpoint, `packing` into which slices endpoints go, `hints`
//! for whom they are; all three are pure. The time that the original works on a Service, and that of its writes, is its client's: the engine
//! adds `latencies.endpoints`, so `reconcile` itself takes none.
//!
//! Source: kubernetes v1.36.3 pkg/controller/endpointslice/endpointslice_controller.go,
//! endpointslice/reconciler.go, endpointslice/utils.go (rules C176 to C181). Differs: one address
//! family; pods have no host names; slices are written by nobody else.

pub mod hints;
pub mod packing;
pub mod publish;

use crate::base::Duration;
use crate::cluster::{
    Backoff, Change, Cluster, Controller, EndpointSlice, NodeChange, ObjectChange, Plan, Pod,
    Requeue, Service, TemplateRow, Write,
};
use crate::model::{Model, ObjectKey, PodId, ServiceId, ServiceKind, ServiceSpec};
use crate::record::{About, EventRecord};
use crate::sim::{Ctx, Streams};

use hints::{TopologyCache, TopologyEvent, TopologyNode};
use packing::{Desired, ENDPOINTS_MAX, Packing, pack};
use publish::{NodeFacts, PodFacts, Published, publish};

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
            let Some((facts, node)) = facts(*pod, cluster) else { continue };
            let template = &cluster.template_of(&cluster.pods()[*pod]).template;
            match publish(&service.spec, facts, node, template) {
                Published::Yes(endpoint) => desired.push(endpoint),
                Published::No => {}
                Published::NodeUnknown => has_all = false,
            }
        }
        if service.spec.topology_auto {
            self.topology.set_nodes(nodes(cluster));
        }
        let (packing, event) = plan_slices(
            (id, &service.spec),
            &service.slices,
            desired,
            &mut self.topology,
            ENDPOINTS_MAX,
        );
        write(id, &service.slices, packing, plan);
        if let Some(event) = event.filter(|_| ctx.recorder.wants_events()) {
            tell(service, &event, ctx);
        }
        has_all
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
            Change::Service {
                service,
                what: ObjectChange::Added | ObjectChange::Spec | ObjectChange::Removed,
            } => {
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
        Backoff {
            base: Duration::secs(1),
            max: Duration::secs(1000),
            tries: Some(15),
            ..Backoff::DEFAULT
        }
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

/// What a pod and its node say of its endpoint; `None` while it has no node.
fn facts(id: PodId, cluster: &Cluster) -> Option<(PodFacts, NodeFacts)> {
    let pod = &cluster.pods()[id];
    let node = pod.node?;
    let row = &cluster.nodes()[node];
    let pod = PodFacts {
        serial: pod.serial,
        pod: cluster.pods().refer(id),
        node,
        has_ip: pod.status.ip.is_some(),
        is_over: pod.is_terminal(),
        is_ready: pod.status.ready,
        is_deleted: pod.deletion.is_some(),
    };
    Some((pod, NodeFacts { is_known: !row.is_gone, zone: row.spec.zone }))
}

/// What becomes of the slices of a Service: packed, with hints; and what is to be told of hints.
///
/// Source: kubernetes v1.36.3 endpointslice/reconciler.go `reconcileByAddressType`.
pub fn plan_slices(
    (id, spec): (ServiceId, &ServiceSpec),
    existing: &[EndpointSlice],
    desired: Vec<Desired>,
    topology: &mut TopologyCache,
    max: usize,
) -> (Packing, Option<TopologyEvent>) {
    let mut packing = pack(existing, desired, &spec.labels, max);
    let event = if spec.topology_auto {
        topology.add_hints(id, existing, &mut packing)
    } else {
        match spec.distribution {
            Some(kind) => hints::distribute(kind, existing, &mut packing),
            None => hints::remove(existing, &mut packing),
        }
        topology.forget(id)
    };
    (packing.reuse(), event)
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
    let Packing { create, update, delete } = packing;
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

fn tell(service: &Service, event: &TopologyEvent, ctx: &mut Ctx<'_>) {
    let at = ctx.now();
    ctx.recorder.event(EventRecord {
        at,
        is_warning: event.is_warning,
        reason: event.reason(),
        about: About::Object("Service", service.spec.name),
        message: format!("{}, addressType: IPv4", event.message),
    });
}
