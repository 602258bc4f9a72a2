//! Disks: volumes that must be attached to a node before pods there can have them.
//!
//! ```text
//!        attach/detach controller                       kubelets
//!  away ──Attached──► attached ──Detaching──► leaving   used / not used on a node
//!   ▲                                           │       (status.volumesInUse)
//!   └─────────────────Detached──────────────────┘
//! ```
//!
//! What a pod uses is noted when it is bound; it wants its disks until its containers have stopped
//! for good (rules N55, N56).

use smallvec::SmallVec;

use crate::base::Symbol;
use crate::model::{DiskId, DiskUse, NodeId, PodRef};

use super::{Change, Cluster};

/// A disk, and where it is.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The PersistentVolume, or what names the disk in a pod itself.
    pub name: Symbol,
    /// Whether it may be attached to several nodes at once.
    pub is_shared: bool,
    /// Pods that want it, in the order in which they were bound, each on its node.
    pub pods: SmallVec<[(PodRef, NodeId); 2]>,
    /// Nodes that it is attached to.
    pub attached: SmallVec<[Attachment; 1]>,
    /// Nodes whose kubelets say that they use it.
    pub in_use: SmallVec<[NodeId; 1]>,
}

/// A disk at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Which node.
    pub node: NodeId,
    /// Whether it is on its way off.
    pub is_leaving: bool,
}

impl Disk {
    /// Whether it is attached to a node and stays there for now.
    #[must_use]
    pub fn is_at(&self, node: NodeId) -> bool {
        self.attached.contains(&Attachment { node, is_leaving: false })
    }

    /// Whether a pod on a node wants it.
    #[must_use]
    pub fn is_wanted(&self, node: NodeId) -> bool {
        self.pods.iter().any(|(_, on)| *on == node)
    }
}

/// What happens to a disk at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskWrite {
    /// It is attached.
    Attached,
    /// It begins to leave.
    Detaching,
    /// It is away.
    Detached,
    /// The kubelet says whether it uses it.
    InUse(bool),
}

impl Cluster {
    /// A disk.
    #[must_use]
    pub fn disk(&self, id: DiskId) -> &Disk {
        &self.disks[id]
    }

    /// All disks that pods have had.
    pub fn disks(&self) -> impl Iterator<Item = (DiskId, &Disk)> {
        self.disks.enumerate()
    }

    /// The disks that the kubelet of a node says it uses.
    #[must_use]
    pub fn disks_in_use(&self, node: NodeId) -> &[DiskId] {
        self.disks_of_nodes.get(node).map_or(&[], Vec::as_slice)
    }

    /// The disks of a pod that is bound.
    #[must_use]
    pub fn disks_of(&self, pod: PodRef) -> &[DiskId] {
        self.pod_disks.get(&pod).map_or(&[], SmallVec::as_slice)
    }

    /// What a pod that is about to be bound uses.
    pub(super) fn set_pod_disks(&mut self, pod: PodRef, uses: &[DiskUse]) {
        if self.pod(pod).is_none() {
            return;
        }
        let mut ids = SmallVec::new();
        for DiskUse { volume, is_shared } in uses {
            let id = self.disk_by_name.get(volume).copied().unwrap_or_else(|| {
                let id = self.disks.push(Disk {
                    name: *volume,
                    is_shared: *is_shared,
                    pods: SmallVec::new(),
                    attached: SmallVec::new(),
                    in_use: SmallVec::new(),
                });
                self.disk_by_name.insert(*volume, id);
                id
            });
            self.disks[id].is_shared = *is_shared;
            ids.push(id);
        }
        self.pod_disks.insert(pod, ids);
    }

    /// Carries out what happens to a disk at a node.
    pub(super) fn write_disk(
        &mut self,
        disk: DiskId,
        node: NodeId,
        write: DiskWrite,
        changes: &mut Vec<Change>,
    ) {
        let row = &mut self.disks[disk];
        match write {
            DiskWrite::Attached | DiskWrite::Detaching | DiskWrite::Detached => {
                row.attached.retain(|at| at.node != node);
                if write != DiskWrite::Detached {
                    let is_leaving = write == DiskWrite::Detaching;
                    row.attached.push(Attachment { node, is_leaving });
                }
            }
            DiskWrite::InUse(is_used) => {
                let own = self.disks_of_nodes.grow_to(node);
                row.in_use.retain(|other| *other != node);
                own.retain(|other| *other != disk);
                if is_used {
                    row.in_use.push(node);
                    own.push(disk);
                }
            }
        }
        changes.push(Change::Disk { disk, node });
    }

    /// After a commit: pods that were bound want their disks, those that have ended do not.
    pub(super) fn follow_disks(&mut self, from: usize, changes: &mut Vec<Change>) {
        if self.pod_disks.is_empty() {
            return;
        }
        for at in from..changes.len() {
            match changes[at] {
                Change::PodBound { pod, node, .. } => self.want_disks(pod, node, changes),
                Change::PodStatus { pod, what, .. } if what.ended => self.leave_disks(pod, changes),
                // What has never run is gone for the controller as soon as it is deleted.
                Change::PodDeleting { pod, .. }
                    if self.pod(pod).is_some_and(|row| row.status.started.is_none()) =>
                {
                    self.leave_disks(pod, changes);
                }
                Change::PodRemoved { pod, .. } => {
                    self.leave_disks(pod, changes);
                    self.pod_disks.remove(&pod);
                }
                _ => {}
            }
        }
    }

    fn want_disks(&mut self, pod: PodRef, node: NodeId, changes: &mut Vec<Change>) {
        for disk in self.disks_of(pod).to_vec() {
            let pods = &mut self.disks[disk].pods;
            if !pods.contains(&(pod, node)) {
                pods.push((pod, node));
                changes.push(Change::Disk { disk, node });
            }
        }
    }

    fn leave_disks(&mut self, pod: PodRef, changes: &mut Vec<Change>) {
        for disk in self.disks_of(pod).to_vec() {
            let pods = &mut self.disks[disk].pods;
            if let Some(at) = pods.iter().position(|(other, _)| *other == pod) {
                let (_, node) = pods.remove(at);
                changes.push(Change::Disk { disk, node });
            }
        }
    }
}
