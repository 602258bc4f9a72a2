//! How the lists and mappings of the built-in types merge: one table.

use super::super::kinds::Kind;

/// A field that leads on or merges in its own way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// The type below it; empty if nothing below it merges in a way of its own.
    pub(super) below: &'static str,
    /// How its list merges.
    pub(super) merge: Merge,
    /// A patch names the keys that stay (`retainKeys`).
    pub(super) retains_keys: bool,
}

/// How a list merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// It is replaced; a mapping merges key by key.
    Replace,
    /// Item by item, told apart by a key.
    Key(&'static str),
    /// As a set of texts.
    Set,
}

/// The type of a kind's objects.
pub(super) const fn root(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "Pod",
        Kind::Deployment => "Deployment",
        Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicationController => {
            "Workload"
        }
        Kind::Job => "Job",
        Kind::CronJob => "CronJob",
        Kind::Service => "Service",
        Kind::Node => "Node",
        Kind::ServiceAccount => "ServiceAccount",
        Kind::CsiNode => "CSINode",
        _ => "Object",
    }
}

/// How a field of a type merges.
pub(super) fn field(of: &str, name: &str) -> Field {
    let row = TABLE.iter().find(|row| row.0 == of && row.1 == name);
    // Every kind has metadata, and conditions that are told apart by type.
    let row = row.or(match (of, name) {
        ("", _) => None,
        (_, "metadata") => Some(&METADATA),
        (_, "status") => Some(&STATUS),
        _ => None,
    });
    let (_, _, below, how) = row.copied().unwrap_or_default();
    let (how, retains_keys) = match how.strip_suffix("+retainKeys") {
        Some(how) => (how, true),
        None => (how, false),
    };
    let merge = match how {
        "" => Merge::Replace,
        "set" => Merge::Set,
        key => Merge::Key(key),
    };
    Field { below, merge, retains_keys }
}

type Row = (&'static str, &'static str, &'static str, &'static str);

const METADATA: Row = ("", "metadata", "ObjectMeta", "");
const STATUS: Row = ("", "status", "Status", "");

/// Type, field, type below, how: the merge key, `set`, and `+retainKeys`.
///
/// Source: the tags `patchStrategy` and `patchMergeKey` of k8s.io/api v0.36.3.
const TABLE: &[Row] = &[
    ("ObjectMeta", "ownerReferences", "", "uid"),
    ("ObjectMeta", "finalizers", "", "set"),
    ("Status", "conditions", "", "type"),
    ("Status", "podIPs", "", "ip"),
    ("Status", "hostIPs", "", "ip"),
    ("Status", "addresses", "", "type"),
    ("Status", "resourceClaimStatuses", "", "name+retainKeys"),
    ("Pod", "spec", "PodSpec", ""),
    ("Deployment", "spec", "DeploymentSpec", ""),
    ("DeploymentSpec", "template", "PodTemplate", ""),
    ("DeploymentSpec", "strategy", "", "+retainKeys"),
    ("Workload", "spec", "WorkloadSpec", ""),
    ("WorkloadSpec", "template", "PodTemplate", ""),
    ("Job", "spec", "WorkloadSpec", ""),
    ("CronJob", "spec", "CronJobSpec", ""),
    ("CronJobSpec", "jobTemplate", "Job", ""),
    ("PodTemplate", "spec", "PodSpec", ""),
    ("PodSpec", "volumes", "Volume", "name+retainKeys"),
    ("PodSpec", "initContainers", "Container", "name"),
    ("PodSpec", "containers", "Container", "name"),
    ("PodSpec", "ephemeralContainers", "Container", "name"),
    ("PodSpec", "imagePullSecrets", "", "name"),
    ("PodSpec", "hostAliases", "", "ip"),
    ("PodSpec", "topologySpreadConstraints", "", "topologyKey"),
    ("PodSpec", "schedulingGates", "", "name"),
    ("PodSpec", "resourceClaims", "", "name+retainKeys"),
    ("Container", "ports", "", "containerPort"),
    ("Container", "env", "", "name"),
    ("Container", "volumeMounts", "", "mountPath"),
    ("Container", "volumeDevices", "", "devicePath"),
    ("Service", "spec", "ServiceSpec", ""),
    ("ServiceSpec", "ports", "", "port"),
    ("Node", "spec", "NodeSpec", ""),
    ("NodeSpec", "podCIDRs", "", "set"),
    ("ServiceAccount", "secrets", "", "name"),
    ("CSINode", "spec", "CSINodeSpec", ""),
    ("CSINodeSpec", "drivers", "", "name"),
];
