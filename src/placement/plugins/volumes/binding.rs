//! VolumeBinding: bound volumes that nodes reach, volumes to take or to make for unbound claims.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/volumebinding/{volume_binding,
//! binder}.go, component-helpers/storage/volume/pv_helpers.go (rule S123c; recorded). Differs: of
//! several smallest volumes of one size the first is taken, where Kubernetes leaves it to the order
//! of a map.

use crate::base::{Interner, Symbol};
use crate::model::{
    Claim, Labels, NodeSelectorTerm, NodeSpec, ObjectName, StorageCapacity, StorageClass, Volume,
};

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::PodInfo;
use super::super::super::storage::StorageCatalog;
use super::super::super::verdict::{Code, Plugin, Reason, Rejection};
use super::super::super::world::World;
use super::{claim_name, ephemeral_name, not_found, owns};

/// The provisioner of classes that provision nothing.
pub(super) const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The pod's claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Volumes of those that are bound.
    bound: Vec<Symbol>,
    /// Those that wait for their first consumer.
    delayed: Vec<ObjectName>,
}

/// What a node means for the unbound claims of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodVolumes {
    /// Volumes to take, with the claims they are for.
    pub bindings: Vec<(Symbol, ObjectName)>,
    /// Claims to make volumes for.
    pub provisions: Vec<ObjectName>,
}

/// `None`: the pod has no claims.
///
/// # Errors
/// The text for a claim with which no node can take the pod.
pub fn pre_filter(pod: &PodInfo, world: &World<'_>) -> Result<Option<State>, String> {
    let storage = &world.catalog.storage;
    let mut claims = Vec::new();
    for volume in &pod.spec.volumes {
        let Some(used) = claim_name(volume, pod, world.names) else { continue };
        let Some(claim) = used.name.and_then(|name| storage.claim(name)) else {
            return Err(why_missing(volume, pod, world.names));
        };
        if let Some(text) = unusable(claim, world.names) {
            return Err(text);
        }
        if used.is_ephemeral && !owns(pod, claim) {
            return Err(foreign(claim, pod, world.names));
        }
        claims.push(claim);
    }
    if claims.is_empty() {
        return Ok(None);
    }
    let mut state = State::default();
    for claim in claims {
        match claim.volume {
            Some(volume) if claim.bind_completed => state.bound.push(volume),
            None if waits(claim, storage) => state.delayed.push(claim.name),
            _ => return Err("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        }
    }
    Ok(Some(state))
}

fn waits(claim: &Claim, storage: &StorageCatalog) -> bool {
    claim.class.and_then(|class| storage.class(class)).is_some_and(|class| class.waits)
}

fn why_missing(volume: &crate::model::PodVolume, pod: &PodInfo, names: &Interner) -> String {
    use crate::model::PodVolume;
    match volume {
        PodVolume::Ephemeral { volume, .. } => format!(
            "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{}\"",
            ephemeral_name(*volume, pod, names)
        ),
        PodVolume::Claim(name) => not_found(names.resolve(*name)),
        PodVolume::Templated { .. } | PodVolume::Disk(_) | PodVolume::Csi(_) => String::new(),
    }
}

fn unusable(claim: &Claim, names: &Interner) -> Option<String> {
    let name = names.resolve(claim.name.name);
    if claim.is_lost {
        let volume = claim.volume.map_or("", |volume| names.resolve(volume));
        let what = "bound to non-existent persistentvolume";
        return Some(format!("persistentvolumeclaim \"{name}\" {what} \"{volume}\""));
    }
    claim.is_deleting.then(|| format!("persistentvolumeclaim \"{name}\" is being deleted"))
}

fn foreign(claim: &Claim, pod: &PodInfo, names: &Interner) -> String {
    let claim_name = names.resolve(claim.name.name);
    let namespace = names.resolve(pod.namespace);
    let pod_name = pod.identity.map_or("", |identity| names.resolve(identity.name));
    format!(
        "PVC {namespace}/{claim_name} was not created for pod {namespace}/{pod_name} (pod is not \
         owner)"
    )
}

/// The filter.
///
/// # Errors
/// If a bound volume is not reached from the node, or a claim gets none there.
pub fn filter(state: &State, node: &NodeState, world: &World<'_>) -> Result<(), Rejection> {
    find(state, node, world).map(|_| ()).map_err(|reasons| Rejection {
        plugin: Plugin::VolumeBinding,
        code: Code::UnschedulableAndUnresolvable,
        reasons: reasons.into_iter().map(Reason::Fixed).collect(),
    })
}

/// What the node means for the pod's claims.
///
/// # Errors
/// The reasons why it does not do.
pub fn find(
    state: &State,
    node: &NodeState,
    world: &World<'_>,
) -> Result<PodVolumes, Vec<&'static str>> {
    let storage = &world.catalog.storage;
    let mut reasons = Vec::new();
    // The first volume that is not right decides.
    let bound = state.bound.iter().map(|name| storage.volume(*name));
    let mut wrong =
        bound.filter(|volume| !volume.is_some_and(|v| reaches(v, &node.spec, world.names)));
    let wrong = wrong.next();
    if let Some(Some(_)) = wrong {
        reasons.push("node(s) didn't match PersistentVolume's node affinity");
    }
    let found = for_delayed(state, &node.spec, world);
    if let Err(reason) = found {
        reasons.push(reason);
    }
    if let Some(None) = wrong {
        reasons.push("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
    }
    found_or(found, reasons)
}

fn found_or(
    found: Result<PodVolumes, &'static str>,
    reasons: Vec<&'static str>,
) -> Result<PodVolumes, Vec<&'static str>> {
    match found {
        Ok(volumes) if reasons.is_empty() => Ok(volumes),
        _ => Err(reasons),
    }
}

/// Volumes for the claims that wait.
fn for_delayed(
    state: &State,
    node: &NodeSpec,
    world: &World<'_>,
) -> Result<PodVolumes, &'static str> {
    let storage = &world.catalog.storage;
    let (mut volumes, mut to_match, mut to_make) = (PodVolumes::default(), Vec::new(), Vec::new());
    for claim in state.delayed.iter().filter_map(|name| storage.claim(*name)) {
        match storage.selected_node(claim) {
            Some(selected) if selected != node.name => return Err(NOTHING_TO_BIND),
            Some(_) => to_make.push(claim),
            None => to_match.push(claim),
        }
    }
    to_match.sort_by_key(|claim| claim.request);
    for claim in to_match {
        let taken = |volume| volumes.bindings.iter().any(|(name, _)| *name == volume);
        match smallest(claim, Some(node), &taken, (storage, world.names)) {
            Some(volume) => volumes.bindings.push((volume.name, claim.name)),
            None => to_make.push(claim),
        }
    }
    for claim in to_make {
        check_provision(claim, node, world)?;
        volumes.provisions.push(claim.name);
    }
    Ok(volumes)
}

const NOTHING_TO_BIND: &str = "node(s) didn't find available persistent volumes to bind";

/// The smallest volume that a claim can take, or the one that is meant for it; on a node, or
/// anywhere.
///
/// Source: kubernetes v1.36.3 component-helpers/storage/volume/pv_helpers.go `FindMatchingVolume`.
pub(super) fn smallest<'a>(
    claim: &Claim,
    node: Option<&NodeSpec>,
    is_taken: &dyn Fn(Symbol) -> bool,
    (storage, names): (&'a StorageCatalog, &Interner),
) -> Option<&'a Volume> {
    let class = claim.class.or_else(|| names.get(""))?;
    let reached = |volume: &Volume| node.is_none_or(|node| reaches(volume, node, names));
    let mut best: Option<&Volume> = None;
    for volume in storage.volumes_of(class) {
        let meant_for = storage.claim_of(volume);
        let is_meant = meant_for.is_some_and(|(name, uid)| {
            name == claim.name && uid.is_none_or(|uid| uid == claim.uid)
        });
        let is_out = is_taken(volume.name)
            || (meant_for.is_some() && !is_meant)
            || volume.capacity < claim.request
            || volume.is_block != claim.is_block
            || volume.is_deleting;
        if is_out {
            continue;
        }
        if is_meant {
            return reached(volume).then_some(volume);
        }
        let selects = |selector: &crate::model::Selector| selector.matches(&volume.labels, names);
        let fits = volume.is_available
            && claim.selector.as_ref().is_none_or(selects)
            && claim.modes.iter().all(|mode| volume.modes.contains(mode))
            && best.is_none_or(|best| best.capacity > volume.capacity)
            && reached(volume);
        if fits {
            best = Some(volume);
        }
    }
    best
}

/// Whether the node affinity of a volume lets it on a node. It sees labels only.
#[must_use]
pub fn reaches(volume: &Volume, node: &NodeSpec, names: &Interner) -> bool {
    volume.node_affinity.as_ref().is_none_or(|terms| matches_any(terms, &node.labels, names))
}

fn matches_any(terms: &[NodeSelectorTerm], labels: &Labels, names: &Interner) -> bool {
    let nameless = names.get("").unwrap_or(Symbol::new(u32::MAX));
    terms.iter().any(|term| term.matches(nameless, labels, names))
}

/// Whether a volume can be made for the claim.
///
/// # Errors
/// The reason why not.
fn check_provision(claim: &Claim, node: &NodeSpec, world: &World<'_>) -> Result<(), &'static str> {
    let class = claim.class.and_then(|class| world.catalog.storage.class(class));
    let class = class.ok_or(NOTHING_TO_BIND)?;
    if matches!(world.names.resolve(class.provisioner), "" | NO_PROVISIONER) {
        return Err(NOTHING_TO_BIND);
    }
    if !class.allowed.is_empty() && !matches_any(&class.allowed, &node.labels, world.names) {
        return Err(NOTHING_TO_BIND);
    }
    if !has_capacity(claim, class, node, world) {
        return Err("node(s) did not have enough free storage");
    }
    Ok(())
}

/// Whether published capacity suffices for the claim on the node, if it is published.
fn has_capacity(claim: &Claim, class: &StorageClass, node: &NodeSpec, world: &World<'_>) -> bool {
    let storage = &world.catalog.storage;
    if !storage.driver(class.provisioner).is_some_and(|driver| driver.publishes_capacity) {
        return true;
    }
    let suffices = |capacity: &StorageCapacity| {
        let limit = capacity.volume_max.or(capacity.capacity);
        limit.is_some_and(|limit| limit >= claim.request)
    };
    let mut reached = capacities_of(class, node, storage, world.names);
    reached.any(suffices)
}

/// The capacities of a class that are published for a node.
pub(super) fn capacities_of<'a>(
    class: &StorageClass,
    node: &NodeSpec,
    storage: &'a StorageCatalog,
    names: &Interner,
) -> impl Iterator<Item = &'a StorageCapacity> {
    storage.capacities().iter().filter(move |capacity| {
        capacity.class == class.name
            && capacity.nodes.as_ref().is_some_and(|s| s.matches(&node.labels, names))
    })
}
