//! Metadata of objects.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go,
//! staging/src/k8s.io/apiserver/pkg/registry/rest/create.go (recorded).

use serde_json::Value;

use super::super::kinds::Kind;
use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{items, text};
use super::{against, annotations, labels, not_negative};

/// A CronJob's name leaves room for the time that its Jobs add.
const CRON_JOB_NAME_MAX: usize = 52;

type NameRule = fn(&str) -> Vec<String>;

/// What the kind asks of names; a budget asks nothing, nor of the rest of its metadata.
pub(super) fn of_kind(kind: Kind, metadata: &Value, found: &mut Found) {
    let rule: NameRule = match kind {
        Kind::PodDisruptionBudget => return,
        Kind::Service | Kind::Namespace | Kind::StatefulSet => names::dns_label,
        Kind::RoleBinding => names::path_segment,
        _ => names::dns_subdomain,
    };
    check(kind, metadata, rule, found);
}

/// What every object is held to, once its kind has nothing against it.
pub(in super::super) fn generic(kind: Kind, metadata: &Value, found: &mut Found) {
    check(kind, metadata, names::path_segment, found);
}

/// A CronJob that is new.
pub(super) fn short_name(object: &Value, found: &mut Found) {
    let name = text(&object["metadata"]["name"]);
    if name.len() > CRON_JOB_NAME_MAX {
        let why = format!("must be no more than {CRON_JOB_NAME_MAX} characters");
        found.invalid_text(&At::ROOT.field("metadata.name"), name, &why);
    }
}

fn check(kind: Kind, metadata: &Value, rule: NameRule, found: &mut Found) {
    let at = At::ROOT.field("metadata");
    let (name, prefix) = (text(&metadata["name"]), text(&metadata["generateName"]));
    if !prefix.is_empty() {
        // What follows the prefix is a letter or a digit.
        let complete = match prefix.strip_suffix('-') {
            Some(start) if !start.is_empty() => format!("{start}a"),
            _ => prefix.to_owned(),
        };
        against(&at.field("generateName"), prefix, &rule(&complete), found);
    }
    if name.is_empty() {
        if prefix.is_empty() {
            found.required(&at.field("name"), "name or generateName is required");
        }
    } else {
        against(&at.field("name"), name, &rule(name), found);
    }
    let namespace = text(&metadata["namespace"]);
    if kind.is_namespaced() && !namespace.is_empty() {
        against(&at.field("namespace"), namespace, &names::dns_label(namespace), found);
    }
    common(metadata, found);
}

/// What new and changed objects are held to alike.
pub(super) fn common(metadata: &Value, found: &mut Found) {
    let at = At::ROOT.field("metadata");
    not_negative(&at.field("generation"), &metadata["generation"], found);
    labels(&at.field("labels"), &metadata["labels"], found);
    annotations(&at.field("annotations"), &metadata["annotations"], found);
    owners(&metadata["ownerReferences"], &at.field("ownerReferences"), found);
    let list = at.field("finalizers");
    for (index, finalizer) in items(&metadata["finalizers"]).iter().enumerate() {
        let name = text(finalizer);
        let here = list.index(index);
        let faults = names::qualified_name(name);
        against(&here, name, &faults, found);
        let standard = matches!(name, "kubernetes" | "orphan" | "foregroundDeletion");
        if faults.is_empty() && !standard && !name.contains('/') {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            found.invalid_text(&here, name, why);
        }
    }
}

fn owners(list: &Value, at: &At<'_>, found: &mut Found) {
    let mut controller: Option<String> = None;
    for (index, owner) in items(list).iter().enumerate() {
        let index = format!("[{index}]");
        let here = at.alias("", &index);
        let version = text(&owner["apiVersion"]);
        if version.rsplit('/').next().unwrap_or("").is_empty() {
            found.invalid_text(&here.field("apiVersion"), version, "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(&owner[field]).is_empty() {
                found.invalid_text(&here.field(field), "", "must not be empty");
            }
        }
        if version == "v1" && owner["kind"] == "Event" {
            found.invalid(&here, owner, "v1, Kind=Event is disallowed from being an owner");
        }
        if owner["controller"] == true {
            let name = format!("{}/{}", text(&owner["kind"]), text(&owner["name"]));
            if let Some(first) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in \
                     references for {first} and {name}"
                );
                found.invalid(at, list, &why);
            }
            controller.get_or_insert(name);
        }
    }
}
