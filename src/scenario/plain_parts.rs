//! What manifests need that is not among them, where no scenario says what becomes of it: assumed,
//! and said in a warning.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::manifest::Document;
use crate::model::PriorityClasses;
use crate::tree::{Diagnostic, Value};

use super::input::Input;

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
        classes.add(&class(name));
    }
}

/// A PriorityClass that stands in.
pub(super) fn class(name: &str) -> Json {
    json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": { "name": name },
        "value": 0,
    })
}

/// What pods name of one kind of cluster-wide objects and does not come with them, each once.
pub(super) fn absent(trees: &[Arc<Json>], key: &str, kind: &str) -> BTreeSet<String> {
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
