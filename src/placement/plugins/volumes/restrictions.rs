//! VolumeRestrictions: disks and claims that one pod holds alone.
//!
//! Source: kubernetes v1.36.3
//! pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go (rule S123a;
//! recorded).

use crate::base::Symbol;
use crate::model::{AccessMode, DiskKind, InlineDisk, PodVolume};

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::{Applicant, PodInfo};
use super::super::super::verdict::{Plugin, Reason, Rejection};
use super::super::super::world::World;
use super::named_claims;

/// The pod's claims with mode ReadWriteOncePod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Their names.
    exclusive: Vec<Symbol>,
    /// How often other pods use them.
    used: i32,
}

impl State {
    /// A pod comes or leaves in thought. As in Kubernetes its namespace is not looked at.
    pub fn update(&mut self, other: &PodInfo, by: i32) {
        if !self.exclusive.is_empty() {
            let uses = claim_names(other).filter(|name| self.exclusive.contains(name)).count();
            self.used += by * i32::try_from(uses).unwrap_or(i32::MAX);
        }
    }
}

fn claim_names(pod: &PodInfo) -> impl Iterator<Item = Symbol> {
    pod.spec.volumes.iter().filter_map(|volume| match volume {
        PodVolume::Claim(name) => Some(*name),
        PodVolume::Ephemeral { .. }
        | PodVolume::Templated { .. }
        | PodVolume::Disk(_)
        | PodVolume::Csi(_) => None,
    })
}

/// `None`: nothing to look at on nodes.
///
/// # Errors
/// The text for a claim that is not there.
pub fn pre_filter(pod: &PodInfo, world: &World<'_>) -> Result<Option<State>, String> {
    let claims = named_claims(pod, &world.catalog.storage, world.names)?;
    let exclusive = claims.iter().filter(|c| c.modes.contains(&AccessMode::ReadWriteOncePod));
    let mut exclusive: Vec<_> = exclusive.map(|claim| claim.name.name).collect();
    exclusive.sort_unstable();
    exclusive.dedup();
    let used = exclusive.iter().filter(|claim| is_used(**claim, pod, world)).count();
    let used = i32::try_from(used).unwrap_or(i32::MAX);
    let restricts = |volume: &PodVolume| matches!(volume, PodVolume::Disk(d) if d.kind.restricts());
    let looks = used > 0 || pod.spec.volumes.iter().any(restricts);
    Ok(looks.then_some(State { exclusive, used }))
}

/// Whether a pod on any node uses the claim.
fn is_used(claim: Symbol, pod: &PodInfo, world: &World<'_>) -> bool {
    let uses = |other: &PodInfo| {
        other.namespace == pod.namespace && claim_names(other).any(|name| name == claim)
    };
    let mut nodes = world.nodes.order().iter().map(|node| world.nodes.state(*node));
    nodes.any(|node| node.pods.iter().any(|placed| uses(&placed.info)))
}

/// The filter.
///
/// # Errors
/// If a disk is taken on the node or a claim by any pod.
pub fn filter(state: &State, of: &Applicant, node: &NodeState) -> Result<(), Rejection> {
    let text = if of.info.spec.volumes.iter().any(|volume| is_taken(volume, node)) {
        "node(s) had no available disk"
    } else if state.used > 0 {
        "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode \
         already in-use by another pod"
    } else {
        return Ok(());
    };
    Err(Rejection::unschedulable(Plugin::VolumeRestrictions, Reason::Fixed(text)))
}

fn is_taken(volume: &PodVolume, node: &NodeState) -> bool {
    let PodVolume::Disk(disk) = volume else { return false };
    let conflicts = |other: &PodVolume| matches!(other, PodVolume::Disk(d) if excludes(disk, d));
    disk.kind.restricts()
        && node.pods.iter().any(|placed| placed.info.spec.volumes.iter().any(conflicts))
}

/// Whether two pods can have the disk on one node.
///
/// Both may read it, but for EBS, whose attachment is never shared.
#[must_use]
pub fn excludes(disk: &InlineDisk, other: &InlineDisk) -> bool {
    if disk.kind != other.kind || disk.id != other.id || !disk.kind.restricts() {
        return false;
    }
    let both_read = disk.read_only && other.read_only;
    match disk.kind {
        DiskKind::AwsElasticBlockStore => true,
        DiskKind::Rbd => !both_read && disk.monitors.iter().any(|m| other.monitors.contains(m)),
        DiskKind::GcePersistentDisk | DiskKind::Iscsi | DiskKind::Migrated => !both_read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(kind: DiskKind, read_only: bool, monitors: &[u32]) -> InlineDisk {
        let monitors = monitors.iter().map(|number| Symbol::new(*number)).collect();
        InlineDisk { kind, id: Symbol::new(1), monitors, read_only, csi: None }
    }

    #[test]
    fn readers_share_a_disk_but_not_ebs() {
        use DiskKind::{AwsElasticBlockStore, GcePersistentDisk, Iscsi, Migrated, Rbd};
        let check = |kind, reads: [bool; 2], monitors: [&[u32]; 2]| {
            excludes(&disk(kind, reads[0], monitors[0]), &disk(kind, reads[1], monitors[1]))
        };
        for kind in [GcePersistentDisk, Iscsi] {
            assert!(!check(kind, [true, true], [&[], &[]]));
            assert!(check(kind, [true, false], [&[], &[]]));
        }
        assert!(check(AwsElasticBlockStore, [true, true], [&[], &[]]));
        assert!(check(Rbd, [false, true], [&[1, 2], &[2, 3]]));
        assert!(!check(Rbd, [false, true], [&[1], &[2]]));
        assert!(!check(Rbd, [true, true], [&[1], &[1]]));
        assert!(!check(Migrated, [false, false], [&[], &[]]));
    }
}
