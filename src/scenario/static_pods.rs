//! Static pods: manifests that lie on the machines of a pool (rule N15).
//!
//! Each machine has a pod of its own of each, which its kubelet starts without API and scheduler.
//! What the API has is its mirror, called after pod and machine, with the kubelet's annotations and
//! the toleration that it adds.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/config/common.go `applyDefaults`, `generatePodName`;
//! plugin/pkg/admission/noderestriction (mirror pods). Differs: files do not change during a run.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{self, Kind, KindClass, Lowering};
use crate::base::Interner;
use crate::manifest::Document;
use crate::model::{Behaviors, NodeSpec, ObjectName, PodObject, Workload, WorkloadKind};
use crate::tree::Diagnostic;

use super::behaviors::object_name;
use super::file::ScenarioFile;
use super::input::Input;
use super::objects::{Objects, identity, prepare};

/// The manifests of a pool.
pub(super) struct StaticPods {
    pool: String,
    documents: Vec<Document>,
}

/// Reads the manifests of all pools.
pub(super) fn read(file: &ScenarioFile, input: &mut Input) -> Vec<StaticPods> {
    let mut all = Vec::new();
    for pool in file.cluster.nodes.iter().filter(|pool| !pool.value.static_pods.is_empty()) {
        let mut documents = input.read_manifests(&pool.value.static_pods);
        documents.retain(|document| {
            let class = api::classify(&document.api_version.value, &document.kind.value);
            let is_pod = matches!(class, KindClass::Modelled(Kind::Pod));
            if !is_pod {
                let message = format!("a kubelet runs no {} from a file", document.kind.value);
                let error = Diagnostic::error(document.kind.span, message);
                input.found.push(error.with_hint("static pods are of kind Pod"));
            }
            is_pod
        });
        all.push(StaticPods { pool: pool.value.pool.value.clone(), documents });
    }
    all
}

/// Who is in them, for behaviours to refer to.
pub(super) fn identities(all: &[StaticPods], names: &mut Interner) -> Vec<Workload> {
    let documents = all.iter().flat_map(|pool| &pool.documents);
    let mut found: Vec<Workload> = documents.map(|document| workload(document, names)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn workload(document: &Document, names: &mut Interner) -> Workload {
    let (_, namespace, name) = identity(document);
    Workload { kind: WorkloadKind::Pod, name: object_name(namespace, name, names) }
}

/// A pod of each manifest on each machine of its pool.
pub(super) fn lower(
    all: &[StaticPods],
    nodes: &[NodeSpec],
    behaviors: &Behaviors,
    names: &mut Interner,
    objects: &mut Objects,
    input: &mut Input,
) {
    let priorities = objects.priorities.clone();
    for StaticPods { pool, documents } in all {
        for document in documents {
            let Some(tree) = prepare(Kind::Pod, document, input) else { continue };
            check(document, &tree, input);
            let of = workload(document, names);
            let own = nodes.iter().filter(|node| names.resolve(node.pool) == pool);
            let own: Vec<String> = own.map(|node| names.resolve(node.name).to_owned()).collect();
            for node in own {
                let tree = mirrored(&tree, &node);
                let cx = &mut Lowering { behaviors, classes: &priorities, names };
                match api::lower_generated(&tree, of, cx) {
                    Ok(template) => {
                        let name = tree["metadata"]["name"].as_str().unwrap_or_default();
                        let name = ObjectName { name: names.intern(name), ..of.name };
                        objects.pods.push(PodObject { name, template });
                        objects.trees.push(Arc::new(tree));
                    }
                    Err(problems) => {
                        api::report(&problems, document.root(), &mut input.found);
                        break;
                    }
                }
            }
        }
    }
}

/// The mirror of a pod on a machine.
fn mirrored(tree: &Value, node: &str) -> Value {
    let mut mirror = tree.clone();
    let metadata = &mut mirror["metadata"];
    let name = format!("{}-{node}", metadata["name"].as_str().unwrap_or_default());
    metadata["name"] = name.into();
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"]["kubernetes.io/config.mirror"] = "mirror".into();
    metadata["annotations"]["kubernetes.io/config.source"] = "file".into();
    let spec = &mut mirror["spec"];
    spec["nodeName"] = node.into();
    let toleration = json!({ "operator": "Exists", "effect": "NoExecute" });
    match spec["tolerations"].as_array_mut() {
        Some(own) => own.push(toleration),
        None => spec["tolerations"] = json!([toleration]),
    }
    mirror
}

/// What the API server does not take of a mirror: the pod would run unseen.
fn check(document: &Document, tree: &Value, input: &mut Input) {
    let spec = &tree["spec"];
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let volume = |volume: &Value| {
        let kinds = ["configMap", "secret", "persistentVolumeClaim", "projected"];
        kinds.into_iter().find(|kind| volume[*kind].is_object())
    };
    let account = spec["serviceAccountName"].as_str().filter(|name| !name.is_empty());
    let of_volumes = list(&spec["volumes"]).iter().find_map(volume);
    let from = |container: &Value| {
        list(&container["envFrom"]).first().map(|_| "envFrom").or_else(|| {
            let keys = ["configMapKeyRef", "secretKeyRef"];
            let env = list(&container["env"]);
            let has = |key: &&str| env.iter().any(|own| own["valueFrom"][*key].is_object());
            keys.into_iter().find(|key| has(key))
        })
    };
    let of_env = list(&spec["containers"]).iter().find_map(from);
    let what = account.map(|_| "serviceAccountName").or(of_volumes).or(of_env);
    if let Some(what) = what {
        let message = format!("a static pod may not refer to other objects of the API: {what}");
        let error = Diagnostic::error(document.name.span, message);
        input.found.push(error.with_hint("hostPath and emptyDir volumes are what it can have"));
    }
}
