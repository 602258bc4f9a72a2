//! Volumes of pods, and the storage objects that scheduling reads.

use serde_json::Value;

use super::super::node_selector::{lower_labels, lower_terms};
use super::super::read::{items, quantity, text};
use super::{object_name, optional_selector};
use crate::base::{Bytes, Interner, Symbol};
use crate::model::{
    AccessMode, Claim, ClaimTemplate, CsiDriver, CsiNode, DiskKind, InlineDisk, NodeDriver,
    NodeSelectorTerm, ObjectName, Operator, PodVolume, Requirement, StorageCapacity, StorageClass,
    Volume, VolumeAttachment,
};

const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const CLASS_OLD: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const DEFAULT_CLASS_OLD: &str = "storageclass.beta.kubernetes.io/is-default-class";
const MIGRATED: &str = "storage.alpha.kubernetes.io/migrated-plugins";
const ZONES: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

/// Lowers `spec.volumes`; what scheduling does not read is left out.
pub(super) fn lower_volumes(list: &Value, names: &mut Interner) -> Vec<PodVolume> {
    items(list).iter().filter_map(|volume| lower_pod_volume(volume, names)).collect()
}

/// Volumes of the kind `emptyDir`, those in memory left out.
pub(super) fn lower_empty_dirs(list: &Value, names: &mut Interner) -> Vec<(Symbol, Option<Bytes>)> {
    let is_it = |volume: &&Value| {
        volume["emptyDir"].is_object() && text(&volume["emptyDir"]["medium"]) != "Memory"
    };
    let limit = |volume: &Value| bytes(&volume["emptyDir"]["sizeLimit"]).filter(|size| size.0 > 0);
    let found = items(list).iter().filter(is_it);
    found.map(|volume| (names.intern(text(&volume["name"])), limit(volume))).collect()
}

fn lower_pod_volume(volume: &Value, names: &mut Interner) -> Option<PodVolume> {
    let claim = &volume["persistentVolumeClaim"];
    if claim.is_object() {
        return Some(PodVolume::Claim(names.intern(text(&claim["claimName"]))));
    }
    if volume["ephemeral"].is_object() {
        let spec = &volume["ephemeral"]["volumeClaimTemplate"]["spec"];
        let claim = lower_claim_template(spec, names);
        return Some(PodVolume::Ephemeral { volume: names.intern(text(&volume["name"])), claim });
    }
    if volume["csi"].is_object() {
        return Some(PodVolume::Csi(names.intern(text(&volume["csi"]["driver"]))));
    }
    lower_disk(volume, names).map(PodVolume::Disk)
}

/// Rules S123a, S123b.
fn lower_disk(volume: &Value, names: &mut Interner) -> Option<InlineDisk> {
    let csi = in_tree(volume, &Value::Null);
    let kinds = [
        ("gcePersistentDisk", "pdName", DiskKind::GcePersistentDisk),
        ("awsElasticBlockStore", "volumeID", DiskKind::AwsElasticBlockStore),
        ("iscsi", "iqn", DiskKind::Iscsi),
        ("rbd", "image", DiskKind::Rbd),
    ];
    let known = kinds.into_iter().find(|(key, ..)| volume[*key].is_object());
    let (source, id, kind) = match (known, &csi) {
        (Some((key, id, kind)), _) => {
            let source = &volume[key];
            let id = text(&source[id]);
            let pool = source["pool"].as_str().filter(|pool| !pool.is_empty()).unwrap_or("rbd");
            let id = if key == "rbd" { format!("{pool}/{id}") } else { id.to_owned() };
            (source, id, kind)
        }
        (None, Some(csi)) => {
            let handle = csi.as_ref().map(|(_, handle)| handle.clone());
            (&Value::Null, handle.unwrap_or_default(), DiskKind::Migrated)
        }
        (None, None) => return None,
    };
    Some(InlineDisk {
        kind,
        id: names.intern(&id),
        monitors: items(&source["monitors"]).iter().map(|m| names.intern(text(m))).collect(),
        read_only: source["readOnly"] == true,
        csi: csi.flatten().map(|(driver, handle)| (names.intern(&driver), names.intern(&handle))),
    })
}

/// Lowers a PersistentVolumeClaim.
pub fn lower_claim(object: &Value, names: &mut Interner) -> Claim {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let annotations = &metadata["annotations"];
    let named = |value: &Value, names: &mut Interner| {
        Some(text(value)).filter(|name| !name.is_empty()).map(|name| names.intern(name))
    };
    let class = annotations[CLASS_OLD].as_str().or_else(|| spec["storageClassName"].as_str());
    let owners = items(&metadata["ownerReferences"]);
    let owner = owners.iter().find(|owner| owner["controller"] == true);
    let new_volume = match text(&metadata["uid"]) {
        "" => {
            let namespace = metadata["namespace"].as_str().filter(|name| !name.is_empty());
            format!("pvc-{}-{}", namespace.unwrap_or("default"), text(&metadata["name"]))
        }
        uid => format!("pvc-{uid}"),
    };
    let class = class.map(|class| names.intern(class));
    let asked = lower_claim_spec(spec, class, names);
    Claim {
        name: object_name(object, names),
        class: asked.class,
        modes: asked.modes,
        is_block: asked.is_block,
        request: asked.request,
        selector: asked.selector,
        volume: named(&spec["volumeName"], names),
        bind_completed: annotations[BIND_COMPLETED].is_string(),
        selected_node: named(&annotations[SELECTED_NODE], names),
        is_lost: object["status"]["phase"] == "Lost",
        is_deleting: metadata["deletionTimestamp"].is_string(),
        owner_uid: owner.map(|owner| names.intern(text(&owner["uid"]))),
        uid: names.intern(text(&metadata["uid"])),
        new_volume: names.intern(&new_volume),
    }
}

/// Lowers the specification of a claim template.
pub(super) fn lower_claim_template(spec: &Value, names: &mut Interner) -> ClaimTemplate {
    let class = spec["storageClassName"].as_str().map(|class| names.intern(class));
    lower_claim_spec(spec, class, names)
}

fn lower_claim_spec(spec: &Value, class: Option<Symbol>, names: &mut Interner) -> ClaimTemplate {
    ClaimTemplate {
        class,
        modes: lower_modes(&spec["accessModes"]),
        is_block: spec["volumeMode"] == "Block",
        request: bytes(&spec["resources"]["requests"]["storage"]).unwrap_or(Bytes::ZERO),
        selector: optional_selector(&spec["selector"], names),
    }
}

/// Lowers a PersistentVolume.
pub fn lower_volume(object: &Value, names: &mut Interner) -> Volume {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let class = metadata["annotations"][CLASS_OLD].as_str();
    let csi = &spec["csi"];
    let in_tree = in_tree(spec, &metadata["labels"]);
    let csi = if csi.is_object() {
        Some((text(&csi["driver"]).to_owned(), text(&csi["volumeHandle"]).to_owned()))
    } else {
        in_tree.clone().flatten()
    };
    let claim = &spec["claimRef"];
    let phase = text(&object["status"]["phase"]);
    Volume {
        name: names.intern(text(&metadata["name"])),
        labels: lower_labels(&metadata["labels"], names),
        class: names.intern(class.unwrap_or_else(|| text(&spec["storageClassName"]))),
        modes: lower_modes(&spec["accessModes"]),
        is_block: spec["volumeMode"] == "Block",
        capacity: bytes(&spec["capacity"]["storage"]).unwrap_or(Bytes::ZERO),
        node_affinity: lower_terms(&spec["nodeAffinity"]["required"], names),
        claim: claim.is_object().then(|| lower_claim_ref(claim, names)),
        csi: csi.map(|(driver, handle)| (names.intern(&driver), names.intern(&handle))),
        is_migrated: in_tree.is_some(),
        is_available: matches!(phase, "" | "Available"),
        is_deleting: metadata["deletionTimestamp"].is_string(),
    }
}

fn lower_claim_ref(claim: &Value, names: &mut Interner) -> (ObjectName, Option<Symbol>) {
    let name = ObjectName {
        namespace: names.intern(text(&claim["namespace"])),
        name: names.intern(text(&claim["name"])),
    };
    let uid = Some(text(&claim["uid"])).filter(|uid| !uid.is_empty());
    (name, uid.map(|uid| names.intern(uid)))
}

/// Driver and handle of a volume whose plugin was once a part of Kubernetes; `Some(None)` if the
/// scheduler does not count those of its kind.
///
/// Source: kubernetes v1.36.3 staging/src/k8s.io/csi-translation-lib/plugins.
fn in_tree(source: &Value, labels: &Value) -> Option<Option<(String, String)>> {
    const KINDS: [(&str, &str, &str); 7] = [
        ("gcePersistentDisk", "pdName", "pd.csi.storage.gke.io"),
        ("awsElasticBlockStore", "volumeID", "ebs.csi.aws.com"),
        ("azureDisk", "diskURI", "disk.csi.azure.com"),
        ("cinder", "volumeID", "cinder.csi.openstack.org"),
        ("portworxVolume", "volumeID", "pxd.portworx.com"),
        ("azureFile", "shareName", ""),
        ("vsphereVolume", "volumePath", ""),
    ];
    let (key, id, driver) = KINDS.into_iter().find(|(key, ..)| source[*key].is_object())?;
    let id = text(&source[key][id]);
    let handle = match key {
        "gcePersistentDisk" => {
            let zones = ZONES.into_iter().map(|key| text(&labels[key]));
            let zone = zones.into_iter().find(|zone| !zone.is_empty()).unwrap_or("UNSPECIFIED");
            format!("projects/UNSPECIFIED/zones/{zone}/disks/{id}")
        }
        "awsElasticBlockStore" => id.rsplit('/').next().unwrap_or(id).to_owned(),
        _ => id.to_owned(),
    };
    Some((!driver.is_empty()).then(|| (driver.to_owned(), handle)))
}

/// Lowers a StorageClass.
pub fn lower_class(object: &Value, names: &mut Interner) -> StorageClass {
    let annotations = &object["metadata"]["annotations"];
    let topologies = items(&object["allowedTopologies"]).iter();
    StorageClass {
        name: names.intern(text(&object["metadata"]["name"])),
        provisioner: names.intern(text(&object["provisioner"])),
        waits: object["volumeBindingMode"] == "WaitForFirstConsumer",
        allowed: topologies.map(|term| lower_topology(term, names)).collect(),
        is_default: [DEFAULT_CLASS, DEFAULT_CLASS_OLD].iter().any(|a| annotations[*a] == "true"),
    }
}

fn lower_topology(term: &Value, names: &mut Interner) -> NodeSelectorTerm {
    let lower = |expression: &Value| Requirement {
        key: names.intern(text(&expression["key"])),
        operator: Operator::In,
        values: items(&expression["values"]).iter().map(|v| names.intern(text(v))).collect(),
    };
    let expressions = items(&term["matchLabelExpressions"]).iter().map(lower).collect();
    NodeSelectorTerm { expressions, ..NodeSelectorTerm::default() }
}

/// Lowers a CSINode.
pub fn lower_csi_node(object: &Value, names: &mut Interner) -> CsiNode {
    let metadata = &object["metadata"];
    let drivers = items(&object["spec"]["drivers"]).iter();
    let driver = |driver: &Value| NodeDriver {
        name: names.intern(text(&driver["name"])),
        limit: driver["allocatable"]["count"].as_i64(),
        topology_keys: items(&driver["topologyKeys"])
            .iter()
            .map(|k| names.intern(text(k)))
            .collect(),
    };
    let drivers = drivers.map(driver).collect();
    let migrated = text(&metadata["annotations"][MIGRATED]).split(',').map(str::trim);
    CsiNode {
        node: names.intern(text(&metadata["name"])),
        drivers,
        migrated: migrated.filter(|p| !p.is_empty()).map(|p| names.intern(p)).collect(),
    }
}

/// Lowers a CSIDriver.
pub fn lower_csi_driver(object: &Value, names: &mut Interner) -> CsiDriver {
    CsiDriver {
        name: names.intern(text(&object["metadata"]["name"])),
        publishes_capacity: object["spec"]["storageCapacity"] == true,
        attach_required: object["spec"]["attachRequired"] != false,
    }
}

/// Lowers a CSIStorageCapacity.
pub fn lower_capacity(object: &Value, names: &mut Interner) -> StorageCapacity {
    StorageCapacity {
        name: object_name(object, names),
        class: names.intern(text(&object["storageClassName"])),
        nodes: optional_selector(&object["nodeTopology"], names),
        capacity: bytes(&object["capacity"]),
        volume_max: bytes(&object["maximumVolumeSize"]),
    }
}

/// Lowers a VolumeAttachment.
pub fn lower_attachment(object: &Value, names: &mut Interner) -> VolumeAttachment {
    let spec = &object["spec"];
    let volume = text(&spec["source"]["persistentVolumeName"]);
    VolumeAttachment {
        name: names.intern(text(&object["metadata"]["name"])),
        driver: names.intern(text(&spec["attacher"])),
        node: names.intern(text(&spec["nodeName"])),
        volume: (!volume.is_empty()).then(|| names.intern(volume)),
    }
}

fn lower_modes(list: &Value) -> Vec<AccessMode> {
    let mode = |mode: &Value| {
        Some(match text(mode) {
            "ReadWriteOnce" => AccessMode::ReadWriteOnce,
            "ReadOnlyMany" => AccessMode::ReadOnlyMany,
            "ReadWriteMany" => AccessMode::ReadWriteMany,
            "ReadWriteOncePod" => AccessMode::ReadWriteOncePod,
            _ => return None,
        })
    };
    items(list).iter().filter_map(mode).collect()
}

pub(super) fn bytes(value: &Value) -> Option<Bytes> {
    quantity(value).map(|quantity| Bytes(quantity.value()))
}
