//! What manifests need that is not among them, where no scenario says what becomes of it: assumed,
//! and said in a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::Symbol;
use crate::manifest::Document;
use crate::model::{Model, ObjectName, PodVolume, PriorityClasses, Template};
use crate::tree::{Diagnostic, Value};

use super::input::Input;

/// The storage class of claims that name none.
const PLAIN_CLASS: &str = "plain";

/// Ways to the pods that an object makes.
const PODS: [&[&str]; 3] = [
    &["spec"],
    &["spec", "template", "spec"],
    &["spec", "jobTemplate", "spec", "template", "spec"],
];

/// What a pod of an object names: the value of a field of its pods, and where it is written.
fn named<'a>(document: &'a Document, tree: &'a Json, key: &str) -> Option<(&'a str, Value<'a>)> {
    PODS.iter().find_map(|way| {
        let pod = way.iter().try_fold(tree, |value, key| value.get(key))?;
        let name = pod.get(key)?.as_str().filter(|name| !name.is_empty())?;
        let place = document.root().at(&[*way, &[key]].concat())?;
        Some((name, place))
    })
}

/// Priority classes that pods name and that are not there are assumed to be worth 0, in place of
/// the API server's refusal (rule C189): somebody else's manifests have them.
pub(super) fn assume_classes<'a>(
    objects: impl Iterator<Item = (&'a Document, &'a Arc<Json>)>,
    classes: &mut PriorityClasses,
    input: &mut Input,
) {
    for (document, tree) in objects {
        let Some((name, place)) = named(document, tree, "priorityClassName") else { continue };
        if classes.get(name).is_some() {
            continue;
        }
        let message = format!("no PriorityClass \"{name}\" is among these manifests");
        let warning = Diagnostic::warning(place.span(), message);
        let hint = "a priority of 0 is assumed: add its manifest";
        let known: Vec<&str> = classes.names().collect();
        input.found.push(warning.with_hint(hint).with_suggestion(name, known));
        classes.add(&priority_class(name));
    }
}

/// A PriorityClass that stands in.
fn priority_class(name: &str) -> Json {
    json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": { "name": name },
        "value": 0,
    })
}

/// What pods name of one kind of cluster-wide objects and does not come with them, each once.
fn absent(trees: &[Arc<Json>], key: &str, kind: &str) -> BTreeSet<String> {
    let is_there = |name: &str| {
        trees.iter().any(|tree| tree["kind"] == kind && tree["metadata"]["name"] == name)
    };
    let of = |tree: &Arc<Json>| {
        let pods = PODS.iter().filter_map(|way| {
            way.iter().try_fold(&**tree, |value: &Json, key| value.get(key))?.get(key)?.as_str()
        });
        pods.map(str::to_owned).collect::<Vec<String>>()
    };
    let all = trees.iter().flat_map(of);
    all.filter(|name| !name.is_empty() && !is_there(name)).collect()
}

/// Hooks that helm runs when a release is installed or upgraded; the others it runs when somebody
/// tests, deletes or rolls it back.
///
/// Source: helm v3 pkg/release/hook.go.
const INSTALLED: [&str; 4] = ["pre-install", "post-install", "pre-upgrade", "post-upgrade"];

/// Without the hooks of helm that come neither with an installation nor with an upgrade, as the pod
/// of `helm test`.
pub(super) fn without_hooks(documents: Vec<Document>, input: &mut Input) -> Vec<Document> {
    let mut left_out = Vec::new();
    let kept = documents.into_iter().filter(|document| {
        let Some(hook) = document.root().at(&["metadata", "annotations", "helm.sh/hook"]) else {
            return true;
        };
        let written = hook.written();
        let mut events = written.split(',').map(str::trim);
        let is_kept = written.is_empty() || events.any(|event| INSTALLED.contains(&event));
        if !is_kept {
            left_out.push((hook.span(), written.into_owned()));
        }
        is_kept
    });
    let kept = kept.collect();
    for (place, hook) in left_out {
        let message = format!("a hook of helm for {hook} is left out");
        let warning = Diagnostic::warning(place, message);
        input.found.push(warning.with_hint("it comes neither with an installation nor an upgrade"));
    }
    kept
}

/// An object as it is named: `configmap/shop/web`.
pub(super) fn title(object: &Json) -> String {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let metadata = &object["metadata"];
    let parts = [
        text(&object["kind"]).to_lowercase(),
        text(&metadata["namespace"]),
        text(&metadata["name"]),
    ];
    let is_said = |part: &&String| !part.is_empty() && *part != "default";
    parts.iter().filter(is_said).cloned().collect::<Vec<_>>().join("/")
}

/// The storage class of claims that name none: nobody asked for it by name.
pub(super) fn is_plain_class(object: &Json) -> bool {
    object["kind"] == "StorageClass" && object["metadata"]["name"] == PLAIN_CLASS
}

/// What every key of a Secret holds that stands in: `stand-in` in base64.
const SECRET: &str = "c3RhbmQtaW4=";

/// Objects that the manifests name and do not bring: Secrets, ConfigMaps, claims, and a storage
/// class for claims that name none.
pub(super) fn missing(model: &Model, counts: &[(&Template, Option<i64>)]) -> Vec<Json> {
    let names = &*model.names;
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let mut stand_ins = BTreeMap::new();
    let mut classes: BTreeSet<&str> = BTreeSet::new();
    let class_of = |class: Option<Symbol>| class.map(|class| names.resolve(class));
    for (template, _) in counts {
        let namespace = template.workload.name.namespace;
        let object = |kind: &str, name: Symbol| {
            let metadata =
                json!({ "name": names.resolve(name), "namespace": names.resolve(namespace) });
            json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })
        };
        for config in template.spec.config_refs.iter().filter(|config| !config.is_optional) {
            let there = if config.is_secret { &model.secrets } else { &model.config_maps };
            let name = ObjectName { namespace, name: config.name };
            let kind = if config.is_secret { "Secret" } else { "ConfigMap" };
            if there.contains(&name) {
                continue;
            }
            let at = *stand_ins.entry((kind, name)).or_insert_with(|| {
                all.push(object(kind, config.name));
                all.len() - 1
            });
            if let Some(key) = config.key {
                let value = if config.is_secret { SECRET } else { "stand-in" };
                all[at]["data"][names.resolve(key)] = json!(value);
            }
        }
        for volume in &template.spec.volumes {
            match volume {
                PodVolume::Claim(claim) => {
                    let name = ObjectName { namespace, name: *claim };
                    let is_there = model.storage.claims.iter().any(|claim| claim.name == name);
                    if !is_there && seen.insert(("PersistentVolumeClaim", name)) {
                        let mut object = object("PersistentVolumeClaim", *claim);
                        object["spec"] = json!({
                            "accessModes": ["ReadWriteMany"],
                            "resources": { "requests": { "storage": "10Gi" } },
                        });
                        all.push(object);
                    }
                }
                PodVolume::Ephemeral { claim, .. } | PodVolume::Templated { claim, .. } => {
                    classes.extend(class_of(claim.class));
                }
                PodVolume::Disk(_) | PodVolume::Csi(_) => {}
            }
        }
    }
    let named = |key, kind| absent(&model.trees, key, kind);
    let priorities = named("priorityClassName", "PriorityClass").into_iter();
    let is_own = |name: &String| name.starts_with("system-");
    all.extend(priorities.filter(|name| !is_own(name)).map(|name| priority_class(&name)));
    all.extend(named("runtimeClassName", "RuntimeClass").into_iter().map(|name| {
        json!({
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": { "name": name },
            "handler": name,
        })
    }));
    classes.extend(model.storage.claims.iter().filter_map(|claim| class_of(claim.class)));
    let is_there =
        |name: &str| model.storage.classes.iter().any(|class| names.resolve(class.name) == name);
    let class = |name: &str, is_default: bool| {
        json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {
                    "storageclass.kubernetes.io/is-default-class": is_default.to_string(),
                },
            },
            "provisioner": "disks.seatrial.example",
            "volumeBindingMode": "WaitForFirstConsumer",
        })
    };
    let named = classes.into_iter().filter(|name| !name.is_empty() && !is_there(name));
    all.extend(named.map(|name| class(name, false)));
    let has_default = model.trees.iter().any(|tree| {
        let annotations = &tree["metadata"]["annotations"];
        tree["kind"] == "StorageClass"
            && annotations["storageclass.kubernetes.io/is-default-class"] == "true"
    });
    if !has_default {
        all.push(class(PLAIN_CLASS, true));
    }
    all
}
