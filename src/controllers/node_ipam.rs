//! Tells of nodes for whose pods no range of addresses was left.
//!
//! The ranges themselves are given as nodes come (`cluster/addresses.rs`); there is always one
//! unless the scenario says how many addresses the cluster has.
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodeipam/ipam/range_allocator.go
//! `AllocateOrOccupyCIDR`; pkg/controller/util/node/controller_utils.go `RecordNodeStatusChange`.

use crate::cluster::{Change, Cluster, Controller, NodeChange, Plan, Requeue};
use crate::model::{Model, ObjectKey};
use crate::record::{About, EventRecord};
use crate::sim::Ctx;

/// The node IPAM controller.
#[derive(Debug)]
pub struct NodeIpamController {
    can_lack: bool,
}

impl NodeIpamController {
    /// For a run of this model.
    #[must_use]
    pub const fn new(model: &Model) -> Self {
        Self { can_lack: model.addresses.cluster.is_some() }
    }
}

impl Controller for NodeIpamController {
    fn name(&self) -> &'static str {
        "cidrAllocator"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        if self.can_lack
            && let Change::Node { node, what: NodeChange::Added } = *change
            && cluster.nodes()[node].pod_range.is_none()
        {
            out.push(ObjectKey::Node(node));
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        _plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Node(id) = key else { return Requeue::Never };
        let node = &cluster.nodes()[id];
        if node.pod_range.is_none() && !node.is_gone && ctx.recorder.wants_events() {
            let name = node.spec.name;
            let (at, reason) = (ctx.now(), "CIDRNotAvailable");
            let message =
                format!("Node {} status is now: CIDRNotAvailable", cluster.names().resolve(name));
            let about = About::Node(name);
            ctx.recorder.event(EventRecord { at, is_warning: false, reason, about, message });
        }
        Requeue::Never
    }
}
