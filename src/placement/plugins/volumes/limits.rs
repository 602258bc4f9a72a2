//! NodeVolumeLimits: how many volumes of a driver a node can attach.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/nodevolumelimits/{csi, utils}.go
//! (rule S123b; recorded). Differs: a generic ephemeral volume's claim that belongs to another pod
//! is not counted, where Kubernetes makes the attempt an error.

use crate::base::{Interner, Symbol};
use crate::model::{Claim, CsiNode, DiskKind, ObjectName, PodVolume};

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::PodInfo;
use super::super::super::storage::StorageCatalog;
use super::super::super::verdict::{Plugin, Reason, Rejection};
use super::super::super::world::World;
use super::{claim_name, ephemeral_name, not_found, owns, said};

/// What makes two volumes of a driver the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Handle {
    /// The driver's handle.
    Volume(Symbol),
    /// The claim, as long as it has no volume.
    Claim(ObjectName),
}

/// A volume that counts: its driver and its handle.
type Counted = (Symbol, Handle);

/// The pod's volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Those that count, each once, sorted.
    wanted: Vec<Counted>,
    /// The text for a claim that is not there.
    missing: Option<String>,
}

/// `None`: no volume that could count.
#[must_use]
pub fn pre_filter(pod: &PodInfo, world: &World<'_>) -> Option<State> {
    let may_count = |volume: &PodVolume| match volume {
        PodVolume::Claim(_) | PodVolume::Ephemeral { .. } => true,
        PodVolume::Disk(disk) => !matches!(disk.kind, DiskKind::Iscsi | DiskKind::Rbd),
        PodVolume::Templated { .. } | PodVolume::Csi(_) => false,
    };
    if !pod.spec.volumes.iter().any(may_count) {
        return None;
    }
    let mut state = State::default();
    add_counted(&mut state.wanted, pod, world);
    state.missing = pod.spec.volumes.iter().find_map(|volume| missing(volume, pod, world));
    Some(state)
}

/// The text for the volume's claim, if it is not there.
fn missing(volume: &PodVolume, pod: &PodInfo, world: &World<'_>) -> Option<String> {
    let claim = claim_name(volume, pod, world.names)?;
    if claim.name.is_some_and(|name| world.catalog.storage.claim(name).is_some()) {
        return None;
    }
    let text = match volume {
        PodVolume::Ephemeral { volume, .. } => ephemeral_name(*volume, pod, world.names),
        PodVolume::Claim(name) => world.names.resolve(*name).to_owned(),
        PodVolume::Templated { .. } | PodVolume::Disk(_) | PodVolume::Csi(_) => return None,
    };
    let namespace = world.names.resolve(pod.namespace);
    Some(format!("looking up PVC {namespace}/{text}: {}", not_found(&text)))
}

/// The filter.
///
/// # Errors
/// If the node would have more volumes of a driver than the driver can attach there.
pub fn filter(state: &State, node: &NodeState, world: &World<'_>) -> Result<(), Rejection> {
    if let Some(text) = &state.missing {
        return Err(Rejection::unresolvable(Plugin::NodeVolumeLimits, said(text.clone())));
    }
    let storage = &world.catalog.storage;
    let Some(csi_node) = storage.csi_node(node.spec.name) else { return Ok(()) };
    let is_limited = |(driver, _): &Counted| limit_of(*driver, csi_node).is_some();
    if !state.wanted.iter().any(is_limited) {
        return Ok(());
    }
    let mut there = Vec::new();
    node.pods.iter().for_each(|placed| add_counted(&mut there, &placed.info, world));
    let new: Vec<_> = state.wanted.iter().filter(|w| there.binary_search(w).is_err()).collect();
    for attachment in storage.attachments_to(node.spec.name) {
        let volume = attachment.volume.and_then(|name| storage.volume(name));
        if let Some((_, handle)) = volume.filter(|v| !v.is_migrated).and_then(|v| v.csi) {
            insert(&mut there, (attachment.driver, Handle::Volume(handle)));
        }
    }
    let exceeds = |(driver, _): &&Counted| {
        let of_driver = |(other, _): &&Counted| other == driver;
        let there = there.iter().filter(of_driver).count();
        let new = new.iter().filter(|new| new.0 == *driver).count();
        let sum = i64::try_from(there + new).unwrap_or(i64::MAX);
        limit_of(*driver, csi_node).is_some_and(|limit| sum > limit)
    };
    if new.iter().any(exceeds) {
        let reason = Reason::Fixed("node(s) exceed max volume count");
        return Err(Rejection::unschedulable(Plugin::NodeVolumeLimits, reason));
    }
    Ok(())
}

fn limit_of(driver: Symbol, node: &CsiNode) -> Option<i64> {
    node.drivers.iter().find(|known| known.name == driver)?.limit
}

fn insert(all: &mut Vec<Counted>, volume: Counted) {
    if let Err(at) = all.binary_search(&volume) {
        all.insert(at, volume);
    }
}

/// Adds the volumes of a pod that count.
fn add_counted(all: &mut Vec<Counted>, pod: &PodInfo, world: &World<'_>) {
    let storage = &world.catalog.storage;
    for volume in &pod.spec.volumes {
        let counted = match volume {
            PodVolume::Disk(disk) => disk.csi.map(|(driver, id)| (driver, Handle::Volume(id))),
            _ => claim_name(volume, pod, world.names).and_then(|used| {
                let claim = storage.claim(used.name?)?;
                let is_its_own = !used.is_ephemeral || owns(pod, claim);
                is_its_own.then(|| of_claim(claim, storage, world.names)).flatten()
            }),
        };
        if let Some(counted) = counted {
            insert(all, counted);
        }
    }
}

/// The volume of a claim, or the one that will be made for it.
fn of_claim(claim: &Claim, storage: &StorageCatalog, names: &Interner) -> Option<Counted> {
    if let Some(volume) = claim.volume.and_then(|name| storage.volume(name)) {
        return volume.csi.map(|(driver, handle)| (driver, Handle::Volume(handle)));
    }
    let class = storage.class(claim.class?)?;
    let driver = match names.resolve(class.provisioner) {
        "kubernetes.io/aws-ebs" => names.get("ebs.csi.aws.com")?,
        "kubernetes.io/gce-pd" => names.get("pd.csi.storage.gke.io")?,
        "kubernetes.io/azure-disk" => names.get("disk.csi.azure.com")?,
        "kubernetes.io/cinder" => names.get("cinder.csi.openstack.org")?,
        "kubernetes.io/portworx-volume" => names.get("pxd.portworx.com")?,
        "" | "kubernetes.io/azure-file" | "kubernetes.io/vsphere-volume" => return None,
        _ => class.provisioner,
    };
    Some((driver, Handle::Claim(claim.name)))
}
