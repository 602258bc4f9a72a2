//! Which volumes of a pod must be attached to its node before it can start there.
//!
//! Those of CSI drivers and of cloud disks, unless a CSIDriver says `attachRequired: false`; not
//! `local`, `hostPath`, NFS and the like. A volume that may be used by several nodes at once says so
//! with its access modes.
//!
//! Source: kubernetes v1.36.3 pkg/volume/util/util.go `IsMultiAttachAllowed`,
//! pkg/volume/csi/csi_plugin.go `CanAttach` (rules N55, N56). Differs: of drivers that are known to
//! attach nothing the CSIDriver need not be there.

use crate::base::{Interner, Symbol};
use crate::model::{AccessMode, DiskUse, PodVolume};

use super::super::super::pod_info::PodInfo;
use super::super::super::storage::StorageCatalog;
use super::claim_name;

/// Drivers and provisioners that install themselves with `attachRequired: false`, or make volumes
/// that are paths or shares on the network.
const ATTACH_NOTHING: [&str; 16] = [
    "blob.csi.azure.com",
    "docker.io/hostpath",
    "efs.csi.aws.com",
    "file.csi.azure.com",
    "filestore.csi.storage.gke.io",
    "gcsfuse.csi.storage.gke.io",
    "k8s-sigs.io/nfs-subdir-external-provisioner",
    "k8s.io/minikube-hostpath",
    "kubernetes.io/no-provisioner",
    "local.csi.openebs.io",
    "microk8s.io/hostpath",
    "nfs.csi.k8s.io",
    "openebs.io/local",
    "rancher.io/local-path",
    "s3.csi.aws.com",
    "smb.csi.k8s.io",
];

/// The disks of a pod whose claims are bound, each once.
#[must_use]
pub fn disks(pod: &PodInfo, storage: &StorageCatalog, names: &Interner) -> Vec<DiskUse> {
    let mut all: Vec<DiskUse> = Vec::new();
    for volume in &pod.spec.volumes {
        let found = match volume {
            PodVolume::Disk(disk) => Some(DiskUse {
                volume: disk.csi.map_or(disk.id, |(_, handle)| handle),
                is_shared: disk.read_only,
            }),
            PodVolume::Csi(_) => None,
            PodVolume::Claim(_) | PodVolume::Ephemeral { .. } | PodVolume::Templated { .. } => {
                let claim = claim_name(volume, pod, names).and_then(|used| used.name);
                let claim = claim.and_then(|claim| storage.claim(claim));
                claim.and_then(|claim| disk(claim.volume?, storage, names))
            }
        };
        all.extend(found.filter(|disk| all.iter().all(|known| known.volume != disk.volume)));
    }
    all
}

/// A volume, if it is attached to nodes.
fn disk(name: Symbol, storage: &StorageCatalog, names: &Interner) -> Option<DiskUse> {
    let volume = storage.volume(name)?;
    let is_attached = match volume.csi {
        None => volume.is_migrated,
        Some((driver, _)) => match storage.driver(driver) {
            Some(driver) => driver.attach_required,
            None => ATTACH_NOTHING.binary_search(&names.resolve(driver)).is_err(),
        },
    };
    let many = [AccessMode::ReadWriteMany, AccessMode::ReadOnlyMany];
    let is_shared = volume.modes.is_empty() || volume.modes.iter().any(|mode| many.contains(mode));
    is_attached.then_some(DiskUse { volume: name, is_shared })
}
