//! Nodes, as `kubectl get nodes -o yaml` gives them.

use serde_json::Value;

use super::super::node_selector::lower_labels;
use super::super::read::{items, quantity, text};
use super::super::requests::{list, resources};
use super::pod::effect;
use super::storage::bytes;
use crate::base::{Bytes, Interner, Money};
use crate::model::{DiskSpec, KubeletSpec, NodeKeeps, NodeSpec, ProxySpec, Taint};

const ZONE: &str = "topology.kubernetes.io/zone";
const ZONE_OLD: &str = "failure-domain.beta.kubernetes.io/zone";

/// Lowers a Node. Its price is zero and it belongs to no pool (the empty symbol); without
/// `status.allocatable` its capacity counts, without that it takes no pod (rule S80).
pub fn lower_node(object: &Value, names: &mut Interner) -> NodeSpec {
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let allocatable = if status["allocatable"].is_object() {
        &status["allocatable"]
    } else {
        &status["capacity"]
    };
    let zone = [ZONE, ZONE_OLD].into_iter().map(|key| text(&metadata["labels"][key]));
    let zone = zone.into_iter().find(|zone| !zone.is_empty());
    let pods_max = quantity(&allocatable["pods"]).map_or(0, |pods| pods.value().max(0));
    let listed = items(&status["images"]).iter();
    let images = listed.flat_map(|image| items(&image["names"]).iter().map(move |n| (n, image)));
    let size = |image: &Value| Bytes(image["sizeBytes"].as_i64().unwrap_or(0).max(0));
    NodeSpec {
        name: names.intern(text(&metadata["name"])),
        pool: names.intern(""),
        labels: lower_labels(&metadata["labels"], names),
        taints: lower_taints(&spec["taints"], names),
        unschedulable: spec["unschedulable"] == true,
        allocatable: resources(&list(allocatable), names),
        pods_max: u32::try_from(pods_max).unwrap_or(u32::MAX),
        price_per_hour: Money::ZERO,
        images: images.map(|(name, image)| (names.intern(text(name)), size(image))).collect(),
        zone: zone.map(|zone| names.intern(zone)),
        proxy: ProxySpec::DEFAULT,
        kubelet: KubeletSpec { disk: lower_disk(status), ..KubeletSpec::DEFAULT },
        keeps: lower_keeps(&metadata["annotations"]),
    }
}

/// The disk of a node: `status.capacity` has the size of its file system, or else what pods can
/// have of it says how large that is.
fn lower_disk(status: &Value) -> Option<DiskSpec> {
    let size = |of: &Value| bytes(&of["ephemeral-storage"]).filter(|size| size.0 > 0);
    let whole = |nodefs| DiskSpec { nodefs, imagefs: None, system: Bytes(0) };
    let part = || KubeletSpec::DEFAULT.disk_of(size(&status["allocatable"])?);
    size(&status["capacity"]).map(whole).or_else(part)
}

/// Annotations that keep autoscalers away.
const KEEPS: [&str; 2] =
    ["cluster-autoscaler.kubernetes.io/scale-down-disabled", "karpenter.sh/do-not-disrupt"];

/// Which autoscalers annotations keep away.
pub fn lower_keeps(annotations: &Value) -> NodeKeeps {
    let [from_cluster_autoscaler, from_karpenter] = KEEPS.map(|key| annotations[key] == "true");
    NodeKeeps { from_cluster_autoscaler, from_karpenter }
}

/// The annotations that say so, and whether they are there.
pub fn keep_annotations(keeps: NodeKeeps) -> impl Iterator<Item = (&'static str, bool)> {
    KEEPS.into_iter().zip([keeps.from_cluster_autoscaler, keeps.from_karpenter])
}

/// Lowers taints; those without a known effect are left out.
pub fn lower_taints(taints: &Value, names: &mut Interner) -> Vec<Taint> {
    let lower = |taint: &Value| {
        Some(Taint {
            key: names.intern(text(&taint["key"])),
            value: names.intern(text(&taint["value"])),
            effect: effect(&taint["effect"])?,
        })
    };
    items(taints).iter().filter_map(lower).collect()
}
