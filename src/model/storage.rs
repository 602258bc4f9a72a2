//! Storage objects as the scheduler reads them: claims, volumes, classes, drivers, limits.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/{volumebinding, volumerestrictions,
//! volumezone, nodevolumelimits} (rules S123a to S123d).

use crate::base::{Bytes, IntOrString, Symbol};

use super::ids::ObjectName;
use super::labels::{Labels, Selector};
use super::pod::NodeSelectorTerm;

/// All storage objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Claims, by namespace and name.
    pub claims: Vec<Claim>,
    /// Volumes, by name.
    pub volumes: Vec<Volume>,
    /// Classes, by name.
    pub classes: Vec<StorageClass>,
    /// What nodes can attach.
    pub csi_nodes: Vec<CsiNode>,
    /// Drivers.
    pub csi_drivers: Vec<CsiDriver>,
    /// Published capacities.
    pub capacities: Vec<StorageCapacity>,
    /// Attachments.
    pub attachments: Vec<VolumeAttachment>,
}

/// A volume of a pod, as far as scheduling reads it; others are left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PodVolume {
    /// A claim of the pod's namespace by name.
    Claim(Symbol),
    /// A generic ephemeral volume: its claim is called after pod and volume.
    Ephemeral {
        /// The volume's name.
        volume: Symbol,
        /// What the claim asks for.
        claim: ClaimTemplate,
    },
    /// A claim template of a StatefulSet: each pod has a claim of its own, called after template
    /// and pod, which outlives the pod.
    Templated {
        /// The template's name.
        template: Symbol,
        /// What the claim asks for.
        claim: ClaimTemplate,
    },
    /// A disk that is named in the pod itself.
    Disk(InlineDisk),
    /// An inline CSI volume: its driver.
    Csi(Symbol),
}

/// What a claim asks for, of a generic ephemeral volume (`volumeClaimTemplate`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimTemplate {
    /// `storageClassName`: `None` if absent, the empty symbol for no class.
    pub class: Option<Symbol>,
    /// Access modes.
    pub modes: Vec<AccessMode>,
    /// Whether it wants a block device.
    pub is_block: bool,
    /// How much it asks for.
    pub request: Bytes,
    /// Which volumes it takes by label; `None`: any.
    pub selector: Option<Selector>,
}

/// A disk that is named in a pod itself (rule S123a).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InlineDisk {
    /// Which kind.
    pub kind: DiskKind,
    /// What makes two the same: name of the disk, volume id, IQN, or pool and image of RBD.
    pub id: Symbol,
    /// RBD monitors: two RBD disks are the same if they share one. Empty for other kinds.
    pub monitors: Vec<Symbol>,
    /// Whether it is only read.
    pub read_only: bool,
    /// CSI driver and handle that it migrates to; `None` if none does (`iscsi`, `rbd`) or the
    /// scheduler does not count it (`vsphereVolume`, `azureFile`).
    pub csi: Option<(Symbol, Symbol)>,
}

/// Kinds of disks that are named in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskKind {
    /// `gcePersistentDisk`.
    GcePersistentDisk,
    /// `awsElasticBlockStore`.
    AwsElasticBlockStore,
    /// `iscsi`.
    Iscsi,
    /// `rbd`.
    Rbd,
    /// `azureDisk`, `cinder`, `portworxVolume`, `vsphereVolume` or `azureFile`: no two pods
    /// exclude each other by it, but it may count against a driver's limit (rule S123b).
    Migrated,
}

impl DiskKind {
    /// Whether pods may exclude each other from a node by disks of the kind (rule S123a).
    #[must_use]
    pub const fn restricts(self) -> bool {
        !matches!(self, Self::Migrated)
    }
}

/// How a volume may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessMode {
    /// `ReadWriteOnce`.
    ReadWriteOnce,
    /// `ReadOnlyMany`.
    ReadOnlyMany,
    /// `ReadWriteMany`.
    ReadWriteMany,
    /// `ReadWriteOncePod`.
    ReadWriteOncePod,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Namespace and name.
    pub name: ObjectName,
    /// `storageClassName`: `None` if absent, the empty symbol for no class.
    pub class: Option<Symbol>,
    /// Access modes.
    pub modes: Vec<AccessMode>,
    /// Whether it wants a block device.
    pub is_block: bool,
    /// How much it asks for.
    pub request: Bytes,
    /// Which volumes it takes by label; `None`: any.
    pub selector: Option<Selector>,
    /// `spec.volumeName`.
    pub volume: Option<Symbol>,
    /// Whether the control plane has completed the binding
    /// (annotation `pv.kubernetes.io/bind-completed`).
    pub bind_completed: bool,
    /// Annotation `volume.kubernetes.io/selected-node`.
    pub selected_node: Option<Symbol>,
    /// Phase `Lost`.
    pub is_lost: bool,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// UID of the pod that owns it, of a generic ephemeral volume's claim.
    pub owner_uid: Option<Symbol>,
    /// Its UID; the empty symbol if the manifest has none.
    pub uid: Symbol,
    /// The name of the volume that a provisioner makes for it.
    pub new_volume: Symbol,
}

impl Claim {
    /// The claim of a generic ephemeral volume, as the control plane makes it for the pod of this
    /// UID. Claim and made volume have one name.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/volume/ephemeral/controller.go `handleVolume`.
    #[must_use]
    pub fn of_template(name: ObjectName, template: &ClaimTemplate, owner_uid: Symbol) -> Self {
        Self {
            name,
            class: template.class,
            modes: template.modes.clone(),
            is_block: template.is_block,
            request: template.request,
            selector: template.selector.clone(),
            volume: None,
            bind_completed: false,
            selected_node: None,
            is_lost: false,
            is_deleting: false,
            owner_uid: Some(owner_uid),
            uid: name.name,
            new_volume: name.name,
        }
    }
}

/// A PersistentVolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: Symbol,
    /// Labels.
    pub labels: Labels,
    /// Class; the empty symbol for none.
    pub class: Symbol,
    /// Access modes.
    pub modes: Vec<AccessMode>,
    /// Whether it is a block device.
    pub is_block: bool,
    /// How large.
    pub capacity: Bytes,
    /// Required node affinity: one of these terms must match; `None`: any node.
    pub node_affinity: Option<Vec<NodeSelectorTerm>>,
    /// The claim it is meant for, with that claim's UID if it is set.
    pub claim: Option<(ObjectName, Option<Symbol>)>,
    /// CSI driver and handle; for in-tree volumes those of the driver they migrate to (not for
    /// `vsphereVolume` and `azureFile`, which the scheduler does not count).
    pub csi: Option<(Symbol, Symbol)>,
    /// Whether it is an in-tree volume, so that `csi` is what it migrates to.
    pub is_migrated: bool,
    /// Phase `Available` (or none yet); bound and released ones are not taken by others.
    pub is_available: bool,
    /// Whether it is being deleted.
    pub is_deleting: bool,
}

/// A StorageClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass {
    /// Its name.
    pub name: Symbol,
    /// Who provisions; the empty symbol and `kubernetes.io/no-provisioner` provision nothing.
    pub provisioner: Symbol,
    /// `volumeBindingMode: WaitForFirstConsumer`.
    pub waits: bool,
    /// `allowedTopologies`: one term must match; empty: anywhere.
    pub allowed: Vec<NodeSelectorTerm>,
    /// Annotation `storageclass.kubernetes.io/is-default-class`.
    pub is_default: bool,
}

/// A CSINode: which drivers a node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiNode {
    /// The node's name.
    pub node: Symbol,
    /// Its drivers.
    pub drivers: Vec<NodeDriver>,
    /// In-tree plugins that migrate here (annotation `storage.alpha.kubernetes.io/migrated-plugins`).
    pub migrated: Vec<Symbol>,
}

/// A driver on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDriver {
    /// Its name.
    pub name: Symbol,
    /// How many volumes it can attach; `None`: no limit.
    pub limit: Option<i64>,
    /// Labels of nodes that say where a volume can be reached.
    pub topology_keys: Vec<Symbol>,
}

/// A CSIDriver, as far as scheduling reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiDriver {
    /// Its name.
    pub name: Symbol,
    /// Whether it publishes storage capacity.
    pub publishes_capacity: bool,
    /// Whether its volumes are attached to nodes (`attachRequired`).
    pub attach_required: bool,
}

/// A volume that must be attached to a node before pods there can have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUse {
    /// The PersistentVolume, or what names the disk in the pod itself.
    pub volume: Symbol,
    /// Whether it may be attached to several nodes at once (rule N56).
    pub is_shared: bool,
}

/// A CSIStorageCapacity: what a class has left in a part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageCapacity {
    /// Namespace and name.
    pub name: ObjectName,
    /// The class.
    pub class: Symbol,
    /// Which nodes; `None`: none.
    pub nodes: Option<Selector>,
    /// What is left; `None` if it is not said.
    pub capacity: Option<Bytes>,
    /// The largest volume that can be made; `None` if it is not said.
    pub volume_max: Option<Bytes>,
}

/// A VolumeAttachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeAttachment {
    /// Its name.
    pub name: Symbol,
    /// The driver.
    pub driver: Symbol,
    /// The node's name.
    pub node: Symbol,
    /// The PersistentVolume, or none for an inline volume.
    pub volume: Option<Symbol>,
}

/// A PodDisruptionBudget: what it asks for, and the part of its status that preemption reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// Namespace and name.
    pub name: ObjectName,
    /// Which pods; `None` selects none. An empty one selects all, but none in preemption (S179).
    pub selector: Option<Selector>,
    /// `minAvailable`.
    pub min_available: Option<IntOrString>,
    /// `maxUnavailable`; without either no pod may be evicted.
    pub max_unavailable: Option<IntOrString>,
    /// `unhealthyPodEvictionPolicy: AlwaysAllow` (rule C153).
    pub evicts_unhealthy: bool,
    /// `status.disruptionsAllowed`.
    pub allowed: i64,
    /// Names of the pods in `status.disruptedPods`.
    pub disrupted: Vec<Symbol>,
}

impl DisruptionBudget {
    /// One that asks for nothing yet.
    #[must_use]
    pub const fn plain(name: ObjectName, selector: Option<Selector>) -> Self {
        Self {
            name,
            selector,
            min_available: None,
            max_unavailable: None,
            evicts_unhealthy: false,
            allowed: 0,
            disrupted: Vec::new(),
        }
    }
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSpec {
    /// Its name.
    pub name: Symbol,
    /// Labels, `kubernetes.io/metadata.name` among them.
    pub labels: Labels,
}
