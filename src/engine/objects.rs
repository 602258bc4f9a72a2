//! The objects of the cluster as a client of the API server sees them: trees made of what is kept
//! as a tree and of what controllers and kubelets have changed in the rows since.
//!
//! Managed fields, uids and resource versions are not there; of the status what commands read.

#![expect(clippy::wildcard_enum_match_arm, reason = "most kinds are kept as trees alone")]

use serde_json::{Map, Value, json};

use crate::api::{self, Kind};
use crate::base::{Interner, Symbol, go_time::Timestamp};
use crate::cluster::{Cluster, Deployment, Node, Phase, Pod, ReplicaSet, Revision};
use crate::model::{Labels, ObjectName, OwnerRef, Resources, Taint, TaintEffect, WorkloadKind};

/// The object of a kind and name, if it is there.
pub(super) fn object(kind: Kind, name: ObjectName, cluster: &Cluster) -> Option<Value> {
    match kind {
        Kind::Pod => {
            let pod = cluster.pod_named(name)?;
            let mut object = pod_object(cluster.pod(pod)?, cluster);
            // What a controller made is stored with defaults; it has been checked before.
            drop(api::prepare(kind, &mut object));
            Some(object)
        }
        Kind::ReplicaSet | Kind::ReplicationController => {
            let set = cluster.replica_set_named(kind, name)?;
            Some(replica_set_object(&cluster.replica_sets()[set.id], cluster))
        }
        Kind::Node => {
            let node = cluster.node_named(name.name)?;
            Some(node_object(&cluster.nodes()[node], cluster))
        }
        Kind::Namespace => namespace_object(name, cluster),
        _ => {
            let tree = cluster.tree(kind, name)?;
            Some(declared(kind, name, tree, cluster))
        }
    }
}

/// A namespace, declared or not.
fn namespace_object(name: ObjectName, cluster: &Cluster) -> Option<Value> {
    if !cluster.has_namespace(name.name) {
        return None;
    }
    let mut object = match cluster.tree(Kind::Namespace, name) {
        Some(tree) => (**tree).clone(),
        None => json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": cluster.names().resolve(name.name) },
            "spec": { "finalizers": ["kubernetes"] },
        }),
    };
    let deleted = cluster.namespace_deleted(name.name);
    object["status"] = json!({ "phase": if deleted.is_some() { "Terminating" } else { "Active" } });
    if let Some(since) = deleted {
        let start = Timestamp::from_unix(cluster.model().run.start_unix);
        object["metadata"]["deletionTimestamp"] = start.at(since).to_string().into();
    }
    Some(object)
}

/// All objects of a kind in a namespace (`None`: in all), by namespace and name.
pub(super) fn objects(kind: Kind, namespace: Option<Symbol>, cluster: &Cluster) -> Vec<Value> {
    let is_in = |of: Symbol| namespace.is_none_or(|namespace| namespace == of);
    let mut all: Vec<Value> = match kind {
        Kind::Pod => {
            let pods = cluster.pods().iter().filter(|(_, pod)| is_in(pod.namespace));
            pods.map(|(_, pod)| pod_object(pod, cluster)).collect()
        }
        Kind::ReplicaSet | Kind::ReplicationController => {
            let sets = cluster.replica_sets().iter().filter(|(_, set)| is_in(set.name.namespace));
            let sets = sets.filter(|(_, set)| cluster.kind_of_set(set) == kind);
            sets.map(|(_, set)| replica_set_object(set, cluster)).collect()
        }
        Kind::Node => {
            let nodes = cluster.nodes().iter().filter(|node| !node.is_gone);
            nodes.map(|node| node_object(node, cluster)).collect()
        }
        _ => {
            let trees = cluster.trees_of(kind).filter(|(name, _)| is_in(name.namespace));
            trees.map(|(name, tree)| declared(kind, name, tree, cluster)).collect()
        }
    };
    let key = |object: &Value| {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        (text("namespace"), text("name"))
    };
    all.sort_by_cached_key(key);
    all
}

/// A declared object with what has changed in its row.
fn declared(kind: Kind, name: ObjectName, tree: &Value, cluster: &Cluster) -> Value {
    let mut object = tree.clone();
    let metadata = &mut object["metadata"];
    if kind.is_namespaced() && metadata["namespace"].is_null() {
        metadata["namespace"] = cluster.names().resolve(name.namespace).into();
    }
    match kind {
        Kind::Deployment => {
            let id = cluster.deployment_named(name);
            if let Some(row) = id.and_then(|id| cluster.deployment(id)) {
                deployment_state(row, &mut object);
            }
        }
        Kind::StatefulSet => {
            let id = cluster.stateful_sets().named(name);
            // Claim templates are stored with kind and version, which manifests leave out.
            if let Ok(stored) = api::create(kind, object.clone()) {
                object = stored;
            }
            if let Some(row) = id.and_then(|id| cluster.stateful_sets().get(id)) {
                object["metadata"]["generation"] = row.generation.into();
            }
        }
        Kind::DaemonSet => {
            let id = cluster.daemon_sets().named(name);
            if let Some(row) = id.and_then(|id| cluster.daemon_sets().get(id)) {
                object["metadata"]["generation"] = row.generation.into();
            }
        }
        Kind::Job => {
            let row = cluster.job_named(name).and_then(|job| cluster.jobs().get(job));
            if let Some(row) = row {
                add_job_labels(&mut object, cluster.names().resolve(row.uid));
            }
        }
        _ => {}
    }
    object
}

/// The labels that the API server gives the pods of a Job, by which its selector finds them.
const JOB_LABELS: [&str; 4] = [
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
];

/// Selector and labels of a Job that selects its pods itself, as clients see them.
fn add_job_labels(object: &mut Value, uid: &str) {
    if object["spec"]["manualSelector"] == true || !object["spec"]["selector"].is_null() {
        return;
    }
    let name = object["metadata"]["name"].clone();
    object["metadata"]["uid"] = uid.into();
    object["spec"]["selector"] = json!({ "matchLabels": { JOB_LABELS[0]: uid } });
    for label in JOB_LABELS {
        let is_uid = label.ends_with("uid");
        let value = if is_uid { uid.into() } else { name.clone() };
        object["spec"]["template"]["metadata"]["labels"][label] = value;
    }
}

/// A Job as it is kept: without what [`add_job_labels`] adds.
pub(super) fn strip_job(object: &mut Value) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    let spec = &mut object["spec"];
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("selector");
    }
    let labels = &mut spec["template"]["metadata"]["labels"];
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|label, _| !JOB_LABELS.contains(&label.as_str()));
    }
}

fn deployment_state(row: &Deployment, object: &mut Value) {
    object["spec"]["replicas"] = row.replicas.into();
    object["metadata"]["generation"] = row.generation.into();
    if row.revision > 0 {
        object["metadata"]["annotations"][REVISION] = row.revision.to_string().into();
    }
    let status = &row.status;
    object["status"] = json!({
        "observedGeneration": status.observed_generation,
        "replicas": status.replicas,
        "updatedReplicas": status.updated,
        "readyReplicas": status.ready,
        "availableReplicas": status.available,
        "unavailableReplicas": status.unavailable,
    });
}

/// The annotation with a Deployment's or ReplicaSet's revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

fn metadata(name: ObjectName, labels: &Labels, names: &Interner) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), names.resolve(name.name).into());
    metadata.insert("namespace".to_owned(), names.resolve(name.namespace).into());
    let labels: Map<String, Value> = labels
        .iter()
        .map(|(key, value)| (names.resolve(key).to_owned(), names.resolve(value).into()))
        .collect();
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), labels.into());
    }
    metadata
}

/// Owners have no uids here; the checks want one.
pub(super) const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn owner(api_version: &str, kind: &str, name: &str) -> Value {
    json!([{
        "apiVersion": api_version, "kind": kind, "name": name, "uid": NOBODY,
        "controller": true, "blockOwnerDeletion": true,
    }])
}

fn replica_set_object(row: &ReplicaSet, cluster: &Cluster) -> Value {
    let names = cluster.names();
    let template = &cluster.templates()[row.template];
    let mut metadata = metadata(row.name, &template.labels, names);
    let mut spec_template = (*template.template.source).clone();
    let labels = metadata.get("labels").cloned().unwrap_or_default();
    if spec_template["metadata"].is_null() {
        spec_template["metadata"] = json!({});
    }
    spec_template["metadata"]["labels"] = labels.clone();
    let kind = cluster.kind_of_set(row);
    let tree = cluster.tree(kind, row.name);
    let selector = match (row.owner, tree) {
        (None, Some(tree)) => {
            if let Some(own) = tree["metadata"].as_object() {
                metadata.clone_from(own);
            }
            tree["spec"]["selector"].clone()
        }
        _ => json!({ "matchLabels": labels }),
    };
    if let Some(of) = row.owner.and_then(|id| cluster.deployment(id)) {
        let name = names.resolve(of.spec.name.name);
        metadata.insert("ownerReferences".to_owned(), owner("apps/v1", "Deployment", name));
        let mut annotations = Map::new();
        annotations.insert(REVISION.to_owned(), row.revision.to_string().into());
        metadata.insert("annotations".to_owned(), annotations.into());
        // The selector of the Deployment and the hash.
        let mut labels = of.spec.source["spec"]["selector"]["matchLabels"].clone();
        let hash = spec_template["metadata"]["labels"]["pod-template-hash"].clone();
        labels["pod-template-hash"] = hash;
        return json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata,
            "spec": {
                "replicas": row.replicas, "template": spec_template,
                "selector": { "matchLabels": labels },
            },
            "status": { "replicas": row.status.replicas },
        });
    }
    let version = if kind == Kind::ReplicaSet { "apps/v1" } else { "v1" };
    json!({
        "apiVersion": version, "kind": kind.name(), "metadata": metadata,
        "spec": { "replicas": row.replicas, "template": spec_template, "selector": selector },
        "status": { "replicas": row.status.replicas },
    })
}

fn pod_object(row: &Pod, cluster: &Cluster) -> Value {
    let names = cluster.names();
    let template = &cluster.templates()[row.template];
    let text = row.name.text(names);
    let namespace = names.resolve(row.namespace);
    let tree = (names.get(&text))
        .and_then(|name| cluster.tree(Kind::Pod, ObjectName { namespace: row.namespace, name }));
    let mut object = match tree {
        Some(tree) => (**tree).clone(),
        None => json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "annotations": template.template.source["metadata"]["annotations"] },
            "spec": template.template.source["spec"],
        }),
    };
    let labels: Map<String, Value> = template
        .labels
        .iter()
        .map(|(key, value)| (names.resolve(key).to_owned(), names.resolve(value).into()))
        .collect();
    let metadata = &mut object["metadata"];
    metadata["name"] = text.into();
    metadata["namespace"] = namespace.into();
    metadata["labels"] = labels.into();
    if let Some((version, kind, name)) = owner_of(row, cluster) {
        metadata["ownerReferences"] = owner(version, kind, &name);
    }
    if let Some(deletion) = row.deletion {
        let start = Timestamp::from_unix(cluster.model().run.start_unix);
        let at = start.at(deletion.requested + deletion.grace).to_string();
        metadata["deletionTimestamp"] = at.into();
    }
    if let Some(node) = row.node {
        let name = names.resolve(cluster.nodes()[node].spec.name);
        object["spec"]["nodeName"] = name.into();
    }
    let phase = match row.status.phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    };
    object["status"] = json!({ "phase": phase });
    object
}

/// API version, kind and name of a pod's owner.
fn owner_of(row: &Pod, cluster: &Cluster) -> Option<(&'static str, &'static str, String)> {
    let (version, kind, name) = match row.owner? {
        OwnerRef::ReplicaSet(set) => {
            let set = cluster.replica_sets().get(set)?;
            let of = cluster.templates()[set.template].template.workload.kind;
            match of {
                WorkloadKind::ReplicationController => ("v1", "ReplicationController", set.name),
                _ => ("apps/v1", "ReplicaSet", set.name),
            }
        }
        OwnerRef::StatefulSet(set) => {
            ("apps/v1", "StatefulSet", cluster.stateful_sets().get(set)?.spec.name)
        }
        OwnerRef::DaemonSet(set) => {
            ("apps/v1", "DaemonSet", cluster.daemon_sets().get(set)?.spec.name)
        }
        OwnerRef::Job(job) => ("batch/v1", "Job", cluster.jobs().get(job)?.spec.name),
    };
    Some((version, kind, cluster.names().resolve(name.name).to_owned()))
}

fn node_object(row: &Node, cluster: &Cluster) -> Value {
    let names = cluster.names();
    let name = names.resolve(row.spec.name);
    let key = ObjectName {
        namespace: names.get("default").unwrap_or(row.spec.name),
        name: row.spec.name,
    };
    let mut object = match cluster.tree(Kind::Node, key) {
        Some(tree) => (**tree).clone(),
        None => {
            let amounts = allocatable(&row.spec.allocatable, row.spec.pods_max, names);
            json!({
                "apiVersion": "v1", "kind": "Node", "metadata": { "name": name }, "spec": {},
                "status": { "allocatable": amounts, "capacity": amounts },
            })
        }
    };
    let labels: Map<String, Value> = row
        .spec
        .labels
        .iter()
        .map(|(key, value)| (names.resolve(key).to_owned(), names.resolve(value).into()))
        .collect();
    object["metadata"]["labels"] = labels.into();
    let keeps = &row.spec.keeps;
    let kept = api::keep_annotations(*keeps).filter(|(_, is_kept)| *is_kept);
    kept.for_each(|(key, _)| object["metadata"]["annotations"][key] = "true".into());
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
    let Some(spec) = object["spec"].as_object_mut() else { return object };
    spec.remove("taints");
    spec.remove("unschedulable");
    if let Some(range) = row.pod_range {
        spec.insert("podCIDR".to_owned(), range.to_string().into());
        spec.insert("podCIDRs".to_owned(), json!([range.to_string()]));
    }
    if !row.spec.taints.is_empty() {
        let taints: Vec<Value> = row.spec.taints.iter().map(|t| taint(t, names)).collect();
        spec.insert("taints".to_owned(), taints.into());
    }
    if row.spec.unschedulable {
        spec.insert("unschedulable".to_owned(), true.into());
    }
    object
}

fn taint(taint: &Taint, names: &Interner) -> Value {
    let effect = match taint.effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    };
    let mut object = json!({ "key": names.resolve(taint.key), "effect": effect });
    let value = names.resolve(taint.value);
    if !value.is_empty() {
        object["value"] = value.into();
    }
    object
}

fn allocatable(of: &Resources, pods: u32, names: &Interner) -> Value {
    let mut amounts = json!({
        "cpu": format!("{}m", of.cpu.0),
        "memory": of.memory.0.to_string(),
        "ephemeral-storage": of.ephemeral_storage.0.to_string(),
        "pods": pods.to_string(),
    });
    for (name, amount) in &of.scalars {
        amounts[names.resolve(*name)] = amount.to_string().into();
    }
    amounts
}

/// The ControllerRevisions of StatefulSets and DaemonSets in a namespace (`None`: in all).
pub(super) fn revisions(namespace: Option<Symbol>, cluster: &Cluster) -> Vec<Value> {
    let is_in = |of: Symbol| namespace.is_none_or(|namespace| namespace == of);
    let sets = cluster.stateful_sets().iter();
    let sets = sets.map(|(_, row)| ("StatefulSet", row.spec.name, row.revisions.as_slice()));
    let daemons = cluster.daemon_sets().iter();
    let daemons = daemons.map(|(_, row)| ("DaemonSet", row.spec.name, row.revisions.as_slice()));
    let owners = sets.chain(daemons).filter(|(_, name, _)| is_in(name.namespace));
    owners.flat_map(|(kind, name, list)| revisions_of(kind, name, list, cluster)).collect()
}

fn revisions_of(kind: &str, name: ObjectName, list: &[Revision], cluster: &Cluster) -> Vec<Value> {
    let names = cluster.names();
    let of = names.resolve(name.name);
    let object = |revision: &Revision| {
        let template = &cluster.templates()[revision.template];
        let hash = names.resolve(revision.hash);
        let metadata = metadata(name, &template.labels, names);
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata,
            "revision": revision.number,
            "data": { "spec": { "template": revision.source["spec"]["template"] } },
        });
        object["metadata"]["name"] = format!("{of}-{hash}").into();
        object["metadata"]["ownerReferences"] = owner("apps/v1", kind, of);
        object["data"]["spec"]["template"]["$patch"] = "replace".into();
        object
    };
    list.iter().map(object).collect()
}
