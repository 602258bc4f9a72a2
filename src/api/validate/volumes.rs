//! Volumes of a pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{entries, is_set, items, quantity, text};
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
        }
        _ => {}
    }
    if kind == "hostPath" {
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
    let mode = &source["defaultMode"];
    if mode.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        found.invalid(&at.field("defaultMode"), mode, why);
    }
    let list = at.field("items");
    for (index, item) in items(&source["items"]).iter().enumerate() {
        let path = text(&item["path"]);
        if path.split('/').any(|part| part == "..") {
            let here = list.index(index);
            found.invalid_text(&here.field("path"), path, "must not contain '..'");
        }
    }
}
