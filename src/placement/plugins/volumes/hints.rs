//! Whether a change of storage objects, or the end of a pod, may let a pod fit that a volume plugin
//! rejected: their queueing hints.
//!
//! Source: kubernetes v1.36.3 `isSchedulableAfter…` of the four plugins (rule S150; recorded).

use crate::base::{Interner, Symbol};
use crate::model::{
    Claim, CsiDriver, CsiNode, DiskKind, ObjectName, PodVolume, StorageCapacity, StorageClass,
    Volume, VolumeAttachment,
};

use super::super::super::pod_info::PodInfo;
use super::super::super::verdict::Plugin;
use super::{claim_name, restrictions, zone};

/// What happened to a storage object.
#[derive(Clone, Copy, Debug)]
pub enum StorageChange<'a> {
    /// A claim is new.
    ClaimAdded(&'a Claim),
    /// A claim has changed: new.
    ClaimUpdated(&'a Claim),
    /// A volume is new.
    VolumeAdded,
    /// A volume has changed: old and new.
    VolumeUpdated(&'a Volume, &'a Volume),
    /// A class is new.
    ClassAdded(&'a StorageClass),
    /// A class has changed: old and new.
    ClassUpdated(&'a StorageClass, &'a StorageClass),
    /// A CSINode is new.
    CsiNodeAdded,
    /// A CSINode has changed: old and new.
    CsiNodeUpdated(&'a CsiNode, &'a CsiNode),
    /// A driver has changed: old and new.
    DriverUpdated(&'a CsiDriver, &'a CsiDriver),
    /// A capacity is new.
    CapacityAdded,
    /// A capacity has changed: old and new.
    CapacityUpdated(&'a StorageCapacity, &'a StorageCapacity),
    /// An attachment is gone.
    AttachmentDeleted(&'a VolumeAttachment),
}

/// Whether the plugin says that the change may help the pod; a plugin that does not listen to it
/// does not.
#[must_use]
pub fn may_help(
    plugin: Plugin,
    change: StorageChange<'_>,
    pod: &PodInfo,
    names: &Interner,
) -> bool {
    match plugin {
        Plugin::VolumeRestrictions => match change {
            StorageChange::ClaimAdded(claim) => names_claim(pod, claim.name),
            _ => false,
        },
        Plugin::NodeVolumeLimits => helps_limits(change, pod, names),
        Plugin::VolumeBinding => helps_binding(change, pod, names),
        Plugin::VolumeZone => match change {
            StorageChange::ClassAdded(class) => class.waits,
            StorageChange::ClaimAdded(claim) | StorageChange::ClaimUpdated(claim) => {
                names_claim(pod, claim.name)
            }
            StorageChange::VolumeAdded => true,
            StorageChange::VolumeUpdated(old, new) => zone::differ(old, new, names),
            _ => false,
        },
        _ => false,
    }
}

fn helps_limits(change: StorageChange<'_>, pod: &PodInfo, names: &Interner) -> bool {
    match change {
        StorageChange::CsiNodeAdded => true,
        StorageChange::CsiNodeUpdated(old, new) => new.drivers.iter().any(|driver| {
            let before = old.drivers.iter().find(|d| d.name == driver.name).and_then(|d| d.limit);
            driver.limit.unwrap_or(0) > before.unwrap_or(0)
        }),
        StorageChange::ClaimAdded(claim) => uses_claim(pod, claim.name, names),
        StorageChange::AttachmentDeleted(gone) => pod.spec.volumes.iter().any(|v| match v {
            PodVolume::Claim(_) => true,
            PodVolume::Disk(disk) => disk.csi.is_some_and(|(driver, _)| driver == gone.driver),
            PodVolume::Ephemeral { .. } | PodVolume::Templated { .. } | PodVolume::Csi(_) => false,
        }),
        _ => false,
    }
}

fn helps_binding(change: StorageChange<'_>, pod: &PodInfo, names: &Interner) -> bool {
    match change {
        StorageChange::ClaimAdded(claim) | StorageChange::ClaimUpdated(claim) => {
            uses_claim(pod, claim.name, names)
        }
        StorageChange::VolumeAdded
        | StorageChange::VolumeUpdated(..)
        | StorageChange::ClassAdded(_)
        | StorageChange::CsiNodeAdded
        | StorageChange::CapacityAdded => true,
        StorageChange::ClassUpdated(old, new) => old.allowed != new.allowed,
        StorageChange::CsiNodeUpdated(old, new) => old.migrated != new.migrated,
        StorageChange::DriverUpdated(old, new) => {
            let uses = |volume: &PodVolume| *volume == PodVolume::Csi(new.name);
            old.publishes_capacity && !new.publishes_capacity && pod.spec.volumes.iter().any(uses)
        }
        StorageChange::CapacityUpdated(old, new) => {
            let limit = |of: &StorageCapacity| of.volume_max.or(of.capacity);
            limit(new).is_some_and(|now| limit(old).is_none_or(|before| now > before))
        }
        StorageChange::AttachmentDeleted(_) => false,
    }
}

/// Whether the plugin says that the end of a pod that had a node, or was nominated to one, may help.
#[must_use]
pub fn helps_freed(plugin: Plugin, pod: &PodInfo, gone: &PodInfo) -> bool {
    match plugin {
        Plugin::VolumeRestrictions => {
            pod.namespace == gone.namespace
                && pod.spec.volumes.iter().any(|v| gone.spec.volumes.iter().any(|g| shares(v, g)))
        }
        Plugin::NodeVolumeLimits => gone.spec.volumes.iter().any(|volume| match volume {
            PodVolume::Claim(_) | PodVolume::Ephemeral { .. } => true,
            PodVolume::Disk(disk) => !matches!(disk.kind, DiskKind::Iscsi | DiskKind::Rbd),
            PodVolume::Templated { .. } | PodVolume::Csi(_) => false,
        }),
        _ => false,
    }
}

fn shares(volume: &PodVolume, gone: &PodVolume) -> bool {
    match (volume, gone) {
        (PodVolume::Claim(name), PodVolume::Claim(other)) => name == other,
        (PodVolume::Disk(disk), PodVolume::Disk(other)) => restrictions::excludes(disk, other),
        _ => false,
    }
}

/// Whether the pod names the claim itself.
fn names_claim(pod: &PodInfo, claim: ObjectName) -> bool {
    let is_it = |name: Symbol| claim == ObjectName { namespace: pod.namespace, name };
    pod.spec.volumes.iter().any(|volume| matches!(volume, PodVolume::Claim(name) if is_it(*name)))
}

/// Whether the pod uses the claim, be it of a generic ephemeral volume.
fn uses_claim(pod: &PodInfo, claim: ObjectName, names: &Interner) -> bool {
    let mut used = pod.spec.volumes.iter().filter_map(|volume| claim_name(volume, pod, names));
    used.any(|used| used.name == Some(claim))
}
