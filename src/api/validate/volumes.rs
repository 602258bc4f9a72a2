//! Volumes of a pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{entries, is_set, items, quantity, text};
use super::container::{field_ref, resource_ref};
use super::{against, one_of};

/// Validates volumes and gives their names.
pub(super) fn validate<'a>(list: &'a Value, at: &At<'_>, found: &mut Found) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, volume) in items(list).iter().enumerate() {
        let here = at.index(index);
        let name = text(&volume["name"]);
        if name.is_empty() {
            found.required(&here.field("name"), "");
        } else {
            let why = names::dns_label(name);
            against(&here.field("name"), name, &why, found);
            if !seen.insert(name) {
                found.duplicate(&here.field("name"), &format!("{name:?}"));
            }
        }
        let sources = entries(volume).filter(|(key, value)| *key != "name" && is_set(value));
        let mut sources: Vec<(&str, &Value)> = sources.collect();
        sources.sort_by_key(|(kind, _)| place_of(kind));
        for (index, (kind, source)) in sources.into_iter().enumerate() {
            if index > 0 {
                let why = "may not specify more than 1 volume type";
                found.forbidden(&here.field(kind), why);
                continue;
            }
            validate_source(kind, source, &here.field(kind), found);
        }
    }
    seen
}

/// Disks that many pods share are read-only. Source: `ValidateReadOnlyPersistentDisks`.
pub(super) fn read_only_disks(list: &Value, at: &At<'_>, found: &mut Found) {
    for (index, volume) in items(list).iter().enumerate() {
        for kind in ["gcePersistentDisk"] {
            if is_set(&volume[kind]) && volume[kind]["readOnly"] != true {
                let here = at.index(index);
                let here = here.field(kind);
                let why = "must be true for replicated pods > 1; GCE PD can only be mounted on \
                           multiple machines if it is read-only";
                found.invalid(&here.field("readOnly"), &false, why);
            }
        }
    }
}

/// The order in which the API server looks at the sources.
fn place_of(kind: &str) -> usize {
    const ORDER: [&str; 5] = ["emptyDir", "hostPath", "gitRepo", "secret", "configMap"];
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

fn validate_source(kind: &str, source: &Value, at: &At<'_>, found: &mut Found) {
    let mut need = |field: &str| {
        if text(&source[field]).is_empty() {
            found.required(&at.field(field), "");
        }
    };
    match kind {
        "hostPath" => need("path"),
        "secret" => need("secretName"),
        "configMap" => need("name"),
        "persistentVolumeClaim" => need("claimName"),
        "csi" => need("driver"),
        "ephemeral" => {
            let template = &source["volumeClaimTemplate"];
            let at = at.field("volumeClaimTemplate");
            if template.is_object() {
                super::storage::claim_spec(&template["spec"], &at.field("spec"), found);
            } else {
                found.required(&at, "");
            }
        }
        "nfs" => {
            need("server");
            need("path");
            let path = text(&source["path"]);
            if !path.is_empty() && !path.starts_with('/') {
                found.invalid_text(&at.field("path"), path, "must be an absolute path");
            }
        }
        _ => {}
    }
    if kind == "hostPath" {
        no_steps_back(text(&source["path"]), &at.field("path"), found);
        const TYPES: [&str; 8] = [
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ];
        one_of(&at.field("type"), &source["type"], &TYPES, found);
    }
    if kind == "emptyDir" && quantity(&source["sizeLimit"]).is_some_and(|size| size.sign() < 0) {
        let why = "SizeLimit field must be a valid resource quantity";
        found.forbidden(&at.field("sizeLimit"), why);
    }
    file_mode(&source["defaultMode"], &at.field("defaultMode"), found);
    let list = at.field("items");
    for (index, item) in items(&source["items"]).iter().enumerate() {
        let here = list.index(index);
        if kind == "downwardAPI" {
            downward_item(item, &here, found);
            continue;
        }
        key_to_path(item, &here, found);
    }
    if kind == "projected" {
        projected(source, at, found);
    }
}

fn no_steps_back(path: &str, at: &At<'_>, found: &mut Found) {
    if path.split('/').any(|part| part == "..") {
        found.invalid_text(at, path, "must not contain '..'");
    }
}

/// A path inside a volume.
fn inner_path(path: &str, at: &At<'_>, found: &mut Found) {
    if path.is_empty() {
        found.required(at, "");
        return;
    }
    if path.starts_with('/') {
        found.invalid_text(at, path, "must be a relative path");
    }
    no_steps_back(path, at, found);
    if path.starts_with("..") && !path.starts_with("../") && path != ".." {
        found.invalid_text(at, path, "must not start with '..'");
    }
}

fn file_mode(mode: &Value, at: &At<'_>, found: &mut Found) {
    if mode.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        found.invalid(at, mode, why);
    }
}

fn key_to_path(item: &Value, at: &At<'_>, found: &mut Found) {
    if text(&item["key"]).is_empty() {
        found.required(&at.field("key"), "");
    }
    inner_path(text(&item["path"]), &at.field("path"), found);
    file_mode(&item["mode"], &at.field("mode"), found);
}

fn downward_item(item: &Value, at: &At<'_>, found: &mut Found) {
    const KNOWN: [&str; 5] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
    ];
    inner_path(text(&item["path"]), &at.field("path"), found);
    match (is_set(&item["fieldRef"]), is_set(&item["resourceFieldRef"])) {
        (true, false) => field_ref(&item["fieldRef"], &KNOWN, &at.field("fieldRef"), found),
        (true, true) => {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            found.invalid_text(at, "resource", why);
        }
        (false, true) => {
            let here = at.field("resourceFieldRef");
            if text(&item["resourceFieldRef"]["containerName"]).is_empty() {
                found.required(&here.field("containerName"), "");
            }
            resource_ref(&item["resourceFieldRef"], &here, found);
        }
        (false, false) => {
            found.required(at, "one of fieldRef and resourceFieldRef is required");
        }
    }
    file_mode(&item["mode"], &at.field("mode"), found);
}

fn projected(source: &Value, at: &At<'_>, found: &mut Found) {
    let list = at.field("sources");
    for (index, source) in items(&source["sources"]).iter().enumerate() {
        let here = list.index(index);
        let given: Vec<&str> =
            entries(source).filter(|(_, value)| is_set(value)).map(|(kind, _)| kind).collect();
        if given.len() > 1 {
            found.forbidden(&here, "may not specify more than 1 volume type");
        }
        for kind in given {
            let (inner, place) = (&source[kind], here.field(kind));
            if matches!(kind, "secret" | "configMap") && text(&inner["name"]).is_empty() {
                found.required(&place.field("name"), "");
            }
            let list = place.field("items");
            for (index, item) in items(&inner["items"]).iter().enumerate() {
                let here = list.index(index);
                if kind == "downwardAPI" {
                    downward_item(item, &here, found);
                } else {
                    key_to_path(item, &here, found);
                }
            }
            if kind == "serviceAccountToken" {
                token(inner, &place, found);
            }
        }
    }
}

fn token(token: &Value, at: &At<'_>, found: &mut Found) {
    const LEAST: i64 = 600;
    let span = &token["expirationSeconds"];
    if span.as_i64().is_some_and(|span| span < LEAST) {
        let why = "may not specify a duration less than 10 minutes";
        found.invalid(&at.field("expirationSeconds"), span, why);
    }
    inner_path(text(&token["path"]), &at.field("path"), found);
}
