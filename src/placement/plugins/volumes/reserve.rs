//! Reserve, PreBind and Unreserve of VolumeBinding: what the chosen node means for the pod's
//! claims.
//!
//! The binding cycle calls [`reserve`] for the node that was chosen, [`assume`] at once, then
//! either [`unreserve`] or, when what it waits for is done, [`write()`].
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/volumebinding/{volume_binding,
//! binder}.go (rule S123c). Differs: the volume that a provisioner makes is ours (see
//! [`provisioned`]); assuming does not fail.

use smallvec::SmallVec;

use crate::base::{Interner, Symbol};
use crate::model::{
    Claim, Labels, NodeId, NodeSelectorTerm, NodeSpec, ObjectName, Operator, Requirement,
    StorageCapacity, StorageClass, Volume,
};

use super::super::super::pod_info::PodInfo;
use super::super::super::storage::StorageCatalog;
use super::super::super::verdict::Plugin;
use super::super::super::world::World;
use super::binding::{self, PodVolumes};

/// What is to be bound for a pod on the node; nothing if all its claims are bound.
///
/// The state of the cluster must be the one that the decision was made in.
#[must_use]
pub fn reserve(pod: &PodInfo, node: NodeId, world: &World<'_>) -> PodVolumes {
    if pod.spec.volumes.is_empty() || !world.profile.filter.contains(&Plugin::VolumeBinding) {
        return PodVolumes::default();
    }
    let Ok(Some(state)) = binding::pre_filter(pod, world) else { return PodVolumes::default() };
    binding::find(&state, world.nodes.state(node), world).unwrap_or_default()
}

/// Takes it that the bindings are as planned, so that the next decisions see them.
pub fn assume(volumes: &PodVolumes, node: Symbol, storage: &mut StorageCatalog) {
    for (volume, claim) in &volumes.bindings {
        storage.promise(*volume, *claim);
    }
    for claim in &volumes.provisions {
        storage.select(*claim, node);
    }
}

/// Takes back what [`assume`] did.
pub fn unreserve(volumes: &PodVolumes, storage: &mut StorageCatalog) {
    for (volume, _) in &volumes.bindings {
        storage.forget_promise(*volume);
    }
    for claim in &volumes.provisions {
        storage.forget_selection(*claim);
    }
}

/// Writes what was assumed: static volumes are bound, new ones made and bound, and what the
/// published capacities have left is less by them. A claim or volume that is gone is passed over.
pub fn write(
    volumes: &PodVolumes,
    node: &NodeSpec,
    zone_label: Option<Symbol>,
    storage: &mut StorageCatalog,
    names: &Interner,
) {
    for (volume, claim) in &volumes.bindings {
        storage.forget_promise(*volume);
        if storage.claim(*claim).is_some() {
            storage.bind(*volume, *claim);
        }
    }
    for claim in &volumes.provisions {
        storage.forget_selection(*claim);
        if let Some(volume) = provisioned(*claim, node, zone_label, storage) {
            take_capacity(&volume, node, storage, names);
            let made = volume.name;
            storage.set_volume(volume);
            storage.bind(made, *claim);
        }
    }
}

/// The volume that is made for a claim on a node.
///
/// It can be reached where the node is: its node affinity has the node's values of the labels that
/// the driver names on that node (CSINode `topologyKeys`); without those, of the labels in the
/// class's `allowedTopologies`; without those, of `topology.kubernetes.io/zone`, which must be
/// given. `None` if the claim or its class is not there any more.
#[must_use]
pub fn provisioned(
    claim: ObjectName,
    node: &NodeSpec,
    zone_label: Option<Symbol>,
    storage: &StorageCatalog,
) -> Option<Volume> {
    let claim = storage.claim(claim)?;
    let class = storage.class(claim.class?)?;
    let expressions = topology(class, node, zone_label, storage);
    let term = NodeSelectorTerm { expressions, ..NodeSelectorTerm::default() };
    let affinity = (!term.expressions.is_empty()).then(|| vec![term]);
    Some(new_volume(claim, class, affinity))
}

/// A volume of the claim's size for the claim.
pub(super) fn new_volume(
    claim: &Claim,
    class: &StorageClass,
    node_affinity: Option<Vec<NodeSelectorTerm>>,
) -> Volume {
    Volume {
        name: claim.new_volume,
        labels: Labels::default(),
        class: class.name,
        modes: claim.modes.clone(),
        is_block: claim.is_block,
        capacity: claim.request,
        node_affinity,
        claim: Some((claim.name, Some(claim.uid))),
        csi: Some((class.provisioner, claim.new_volume)),
        is_migrated: false,
        is_available: false,
        is_deleting: false,
    }
}

/// The first published capacity that the volume fits in has that much less.
fn take_capacity(volume: &Volume, node: &NodeSpec, storage: &mut StorageCatalog, names: &Interner) {
    let Some(class) = storage.class(volume.class) else { return };
    let fits = |c: &&StorageCapacity| c.capacity.is_some_and(|left| left >= volume.capacity);
    let found = binding::capacities_of(class, node, storage, names).find(fits).cloned();
    if let Some(mut capacity) = found {
        capacity.capacity = capacity.capacity.map(|left| left - volume.capacity);
        storage.set_capacity(capacity);
    }
}

fn topology(
    class: &StorageClass,
    node: &NodeSpec,
    zone_label: Option<Symbol>,
    storage: &StorageCatalog,
) -> Vec<Requirement> {
    let of_driver = storage.csi_node(node.name).and_then(|csi_node| {
        let driver = csi_node.drivers.iter().find(|driver| driver.name == class.provisioner)?;
        (!driver.topology_keys.is_empty()).then(|| driver.topology_keys.clone())
    });
    let mut keys = of_driver.unwrap_or_else(|| {
        let allowed = class.allowed.iter().flat_map(|term| &term.expressions);
        allowed.map(|expression| expression.key).collect()
    });
    if keys.is_empty() {
        keys.extend(zone_label);
    }
    keys.sort_unstable();
    keys.dedup();
    let here = |key: Symbol| {
        let values = SmallVec::from_iter([node.labels.get(key)?]);
        Some(Requirement { key, operator: Operator::In, values })
    };
    keys.into_iter().filter_map(here).collect()
}
