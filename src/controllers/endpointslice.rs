//! EndpointSlice: which pods stand behind a Service.
//!
//! A Service has one set of endpoints here: how they are packed into slices of 100 changes no
//! decision of a proxy. The time that the original works on a Service, and that of its writes, is
//! its client's: the engine adds `latencies.endpoints`, so `reconcile` itself takes none.
//!
//! Source: kubernetes v1.36.3 pkg/controller/endpointslice/endpointslice_controller.go,
//! endpointslice/reconciler.go, endpointslice/utils.go (rules C176 to C180). Differs: slices,
//! ports by pod, zones and hints are not modelled.

use crate::cluster::{
    Change, Cluster, Controller, Endpoint, ObjectChange, Plan, Pod, Requeue, Service, TemplateRow,
    Write,
};
use crate::model::{Model, ObjectKey, PodId, ServiceKind};
use crate::sim::{Ctx, Streams};

/// The EndpointSlice controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSliceController;

impl EndpointSliceController {
    /// For a run of this model.
    #[must_use]
    pub const fn new(_model: &Model, _streams: &Streams) -> Self {
        Self
    }
}

impl Controller for EndpointSliceController {
    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    /// A change of readiness, IP or deletion, and any change of a pod that is being deleted.
    ///
    /// Source: kubernetes v1.36.3 endpointslice/util/controller_utils.go `podEndpointsChanged`
    /// (rule C178). Differs: a new pod wakes nobody, because it has no IP yet.
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let template = match change {
            Change::Service { service, what: ObjectChange::Added | ObjectChange::Spec } => {
                return out.push(ObjectKey::Service(*service));
            }
            Change::PodStatus { pod, what, .. } => {
                let row = cluster.pod(*pod);
                let concerns = |row: &&Pod| what.ready || what.ip || row.deletion.is_some();
                row.filter(concerns).map(|row| row.template)
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

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        _ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Service(id) = key else {
            return Requeue::Never;
        };
        if let Some(service) = cluster.service(id).filter(|service| is_published(service)) {
            let endpoint = |pod: &PodId| endpoint(*pod, service, cluster);
            let endpoints: Vec<Endpoint> = service.pods.iter().filter_map(endpoint).collect();
            if *endpoints != *service.endpoints.endpoints {
                plan.push(Write::Endpoints { service: id, endpoints });
            }
        }
        Requeue::Never
    }
}

/// Without a selector, or with a name outside, somebody else publishes (rule C180).
fn is_published(service: &Service) -> bool {
    service.spec.kind != ServiceKind::ExternalName && service.spec.selector.is_some()
}

/// The endpoint of a pod, if it has one (rules C176, C177).
///
/// Source: kubernetes v1.36.3 endpointslice/util/controller_utils.go `ShouldPodBeInEndpoints`,
/// endpointslice/utils.go `podToEndpoint`.
fn endpoint(id: PodId, service: &Service, cluster: &Cluster) -> Option<Endpoint> {
    let pod = &cluster.pods()[id];
    let node = pod.node.filter(|_| pod.status.has_ip && !pod.is_terminal())?;
    let serving = pod.status.ready;
    let terminating = pod.deletion.is_some();
    Some(Endpoint {
        pod: cluster.pods().refer(id),
        node,
        ready: service.spec.publish_not_ready || (serving && !terminating),
        serving,
        terminating,
    })
}
