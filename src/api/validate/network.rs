//! Kinds that change nothing that is simulated, and that people write beside the others.
//!
//! Source: kubernetes v1.36.3 pkg/apis/networking/validation/validation.go,
//! pkg/apis/rbac/validation/validation.go (recorded).

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{is_set, items, text};
use super::{against, label_selector, one_of, port_number, port_or_name};

pub(super) fn validate_ingress(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let rules = items(&spec["rules"]);
    if rules.is_empty() && !is_set(&spec["defaultBackend"]) {
        let why = "either `defaultBackend` or `rules` must be specified";
        found.invalid(&at, &"[]", why);
    }
    if is_set(&spec["defaultBackend"]) {
        backend(&spec["defaultBackend"], &at.field("defaultBackend"), found);
    }
    let list = at.field("tls");
    for (index, tls) in items(&spec["tls"]).iter().enumerate() {
        let here = list.index(index);
        let hosts = here.field("hosts");
        for (index, name) in items(&tls["hosts"]).iter().map(text).enumerate() {
            against(&hosts.index(index), name, &host_name(name), found);
        }
    }
    let list = at.field("rules");
    for (index, rule) in rules.iter().enumerate() {
        let here = list.index(index);
        let host = text(&rule["host"]);
        if host.parse::<std::net::IpAddr>().is_ok() {
            let why = "must be a DNS name, not an IP address";
            found.invalid_text(&here.field("host"), host, why);
        } else if !host.is_empty() {
            against(&here.field("host"), host, &host_name(host), found);
        }
        if is_set(&rule["http"]) {
            let place = here.field("http");
            paths(&rule["http"]["paths"], &place.field("paths"), found);
        }
    }
}

fn host_name(name: &str) -> Vec<String> {
    match name.strip_prefix("*.") {
        Some(rest) if names::dns_subdomain(rest).is_empty() => Vec::new(),
        Some(_) => vec![
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, \
             which must consist of lower case alphanumeric characters, '-' or '.' and end with an \
             alphanumeric character (e.g. '*.example.com', regex used for validation is \
             '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        ],
        None => names::dns_subdomain(name),
    }
}

fn paths(paths: &Value, at: &At<'_>, found: &mut Found) {
    if items(paths).is_empty() {
        found.required(at, "");
    }
    for (index, path) in items(paths).iter().enumerate() {
        let here = at.index(index);
        let own = text(&path["path"]);
        let (place, kind) = (here.field("path"), path["pathType"].as_str());
        const KNOWN: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
        match kind {
            None => found.required(&here.field("pathType"), "pathType must be specified"),
            Some("Exact" | "Prefix") => {
                if !own.starts_with('/') {
                    found.invalid_text(&place, own, "must be an absolute path");
                }
                for part in ["//", "/./", "/../", "%2f", "%2F"] {
                    if own.contains(part) {
                        found.invalid_text(&place, own, &format!("must not contain '{part}'"));
                    }
                }
                for end in ["/..", "/."] {
                    if own.ends_with(end) {
                        found.invalid_text(&place, own, &format!("cannot end with '{end}'"));
                    }
                }
            }
            Some("ImplementationSpecific") => {
                if !own.is_empty() && !own.starts_with('/') {
                    found.invalid_text(&place, own, "must be an absolute path");
                }
            }
            Some(other) => found.not_supported(&here.field("pathType"), other, &KNOWN),
        }
        backend(&path["backend"], &here.field("backend"), found);
    }
}

fn backend(backend: &Value, at: &At<'_>, found: &mut Found) {
    let service = &backend["service"];
    match (is_set(service), is_set(&backend["resource"])) {
        (true, true) => {
            found.invalid_text(at, "", "cannot set both resource and service backends");
        }
        (false, false) => found.invalid_text(at, "", "resource or service backend is required"),
        (false, true) => {}
        (true, false) => {
            let here = at.field("service");
            let name = text(&service["name"]);
            if name.is_empty() {
                found.required(&here.field("name"), "");
            } else {
                against(&here.field("name"), name, &names::dns_label(name), found);
            }
            let (port, place) = (&service["port"], here.field("port"));
            let number = port["number"].as_i64().unwrap_or(0);
            match (text(&port["name"]), number) {
                ("", 0) => found.required(&place, "port name or number is required"),
                ("", _) => port_number(&place.field("number"), &port["number"], found),
                (name, 0) => against(&place.field("name"), name, &names::port_name(name), found),
                _ => found.invalid_text(&place, "", "cannot set both port name & port number"),
            }
        }
    }
}

pub(super) fn validate_network_policy(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    label_selector(&at.field("podSelector"), &spec["podSelector"], found);
    for (field, peers) in [("ingress", "from"), ("egress", "to")] {
        let list = at.field(field);
        for (index, rule) in items(&spec[field]).iter().enumerate() {
            let here = list.index(index);
            let ports = here.field("ports");
            for (index, port) in items(&rule["ports"]).iter().enumerate() {
                policy_port(port, &ports.index(index), found);
            }
            let list = here.field(peers);
            for (index, own) in items(&rule[peers]).iter().enumerate() {
                peer(own, &list.index(index), found);
            }
        }
    }
    let (kinds, here) = (items(&spec["policyTypes"]), at.field("policyTypes"));
    if kinds.len() > 2 {
        found.invalid(&here, &spec["policyTypes"], "may not specify more than two policyTypes");
    }
    for (index, kind) in kinds.iter().enumerate() {
        one_of(&here.index(index), kind, &["Egress", "Ingress"], found);
    }
}

fn policy_port(port: &Value, at: &At<'_>, found: &mut Found) {
    one_of(&at.field("protocol"), &port["protocol"], &["TCP", "UDP", "SCTP"], found);
    port_or_name(&at.field("port"), &port["port"], found);
    let (end, place) = (&port["endPort"], at.field("endPort"));
    if let Some(number) = end.as_i64() {
        match port["port"].as_i64() {
            None if port["port"].is_string() => {
                found.invalid(&place, end, "may not be specified when `port` is non-numeric");
            }
            None => found.invalid(&place, end, "must be specified when `port` is specified"),
            Some(first) if number < first => {
                found.invalid(&place, end, "must be greater than or equal to `port`");
            }
            Some(_) => port_number(&place, end, found),
        }
    }
}

fn peer(peer: &Value, at: &At<'_>, found: &mut Found) {
    for field in ["podSelector", "namespaceSelector"] {
        label_selector(&at.field(field), &peer[field], found);
    }
    let selects = is_set(&peer["podSelector"]) || is_set(&peer["namespaceSelector"]);
    let (block, here) = (&peer["ipBlock"], at.field("ipBlock"));
    match (selects, is_set(block)) {
        (false, false) => found.required(at, "must specify a peer"),
        (true, true) => found.forbidden(at, "may not specify both ipBlock and another peer"),
        _ => {}
    }
    if is_set(block) {
        let range = text(&block["cidr"]);
        if range.is_empty() {
            found.required(&here.field("cidr"), "");
        } else {
            against(&here.field("cidr"), range, &names::cidr(range), found);
        }
        let list = here.field("except");
        for (index, range) in items(&block["except"]).iter().map(text).enumerate() {
            against(&list.index(index), range, &names::cidr(range), found);
        }
    }
}

pub(super) fn validate_role_binding(object: &Value, found: &mut Found) {
    let (role, at) = (&object["roleRef"], At::ROOT.field("roleRef"));
    const GROUP: &str = "rbac.authorization.k8s.io";
    let group = text(&role["apiGroup"]);
    if group != GROUP {
        found.not_supported(&at.field("apiGroup"), group, &[GROUP]);
    }
    let kind = text(&role["kind"]);
    if !matches!(kind, "Role" | "ClusterRole") {
        found.not_supported(&at.field("kind"), kind, &["Role", "ClusterRole"]);
    }
    let name = text(&role["name"]);
    if name.is_empty() {
        found.required(&at.field("name"), "");
    } else {
        against(&at.field("name"), name, &names::path_segment(name), found);
    }
    let list = At::ROOT.field("subjects");
    for (index, subject) in items(&object["subjects"]).iter().enumerate() {
        let here = list.index(index);
        if text(&subject["name"]).is_empty() {
            found.required(&here.field("name"), "");
        }
        let kind = text(&subject["kind"]);
        match kind {
            "ServiceAccount" if text(&subject["namespace"]).is_empty() => {
                found.required(&here.field("namespace"), "");
            }
            "ServiceAccount" | "User" | "Group" => {}
            other => {
                let known = ["ServiceAccount", "User", "Group"];
                found.not_supported(&here.field("kind"), other, &known);
            }
        }
    }
}
