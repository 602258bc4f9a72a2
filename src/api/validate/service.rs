//! Services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found, Reason};
use super::super::read::{is_set, items, text};
use super::{against, labels, one_of, port_number, port_or_name};

/// Source: kubernetes v1.36.3 validation.go `ValidateService`.
pub(super) fn validate_service(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let kind = text(&spec["type"]);
    let headless = spec["clusterIP"] == "None";
    if items(&spec["ports"]).is_empty() && !headless && kind != "ExternalName" {
        found.required(&at.field("ports"), "");
    }
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    one_of(&at.field("type"), &spec["type"], &TYPES, found);
    let place = at.field("clusterIP");
    if headless && matches!(kind, "NodePort" | "LoadBalancer") {
        let why = format!("may not be set to 'None' for {kind} services");
        found.invalid_text(&place, "None", &why);
    }
    if kind == "ExternalName" {
        let name = text(&spec["externalName"]).trim_end_matches('.');
        match name {
            "" => found.required(&at.field("externalName"), ""),
            name => against(&at.field("externalName"), name, &names::dns_subdomain(name), found),
        }
        if !text(&spec["clusterIP"]).is_empty() {
            let why = "may not be set when `type` is 'ExternalName'";
            found.forbidden(&place, why);
        }
    }
    ports(spec, kind, &at.field("ports"), found);
    topology_hints(object, found);
    labels(&at.field("selector"), &spec["selector"], found);
    const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
    one_of(&at.field("sessionAffinity"), &spec["sessionAffinity"], &AFFINITIES, found);
    let timeout = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
    if timeout.as_i64().is_some_and(|seconds| !(1..=86_400).contains(&seconds)) {
        let place = at.field("sessionAffinityConfig.clientIP.timeoutSeconds");
        found.invalid(&place, timeout, "must be greater than 0 and less than 86400");
    }
    for policy in ["externalTrafficPolicy", "internalTrafficPolicy"] {
        one_of(&at.field(policy), &spec[policy], &["Cluster", "Local"], found);
    }
    let outside = matches!(kind, "NodePort" | "LoadBalancer")
        || kind == "ClusterIP" && !items(&spec["externalIPs"]).is_empty();
    if is_set(&spec["externalTrafficPolicy"]) && !outside && spec["externalTrafficPolicy"] != "" {
        let why = "may only be set for externally-accessible services";
        let place = at.field("externalTrafficPolicy");
        found.invalid(&place, &spec["externalTrafficPolicy"], why);
    }
    const NEAR: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    one_of(&at.field("trafficDistribution"), &spec["trafficDistribution"], &NEAR, found);
    const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    one_of(&at.field("ipFamilyPolicy"), &spec["ipFamilyPolicy"], &POLICIES, found);
    let list = at.field("ipFamilies");
    for (index, family) in items(&spec["ipFamilies"]).iter().enumerate() {
        one_of(&list.index(index), family, &["IPv4", "IPv6"], found);
    }
}

/// The older way to ask for `trafficDistribution`.
fn topology_hints(object: &Value, found: &mut Found) {
    let at = At::ROOT.field("metadata.annotations");
    for key in ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"]
    {
        let mode = text(&object["metadata"]["annotations"][key]);
        if mode.eq_ignore_ascii_case("auto") {
            let message = format!("{key} is not modelled: calls go to pods in all zones");
            found.add(&at.key(key), Reason::NotModelled, message);
        }
    }
}

fn ports(spec: &Value, kind: &str, at: &At<'_>, found: &mut Found) {
    let list = items(&spec["ports"]);
    let (mut names_seen, mut node_ports, mut pairs) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, port) in list.iter().enumerate() {
        let here = at.index(index);
        let (name, protocol) = (text(&port["name"]), text(&port["protocol"]));
        if name.is_empty() && list.len() > 1 {
            found.required(&here.field("name"), "");
        } else if !name.is_empty() {
            let why = names::dns_label(name);
            against(&here.field("name"), name, &why, found);
            if why.is_empty() && !names_seen.insert(name) {
                found.duplicate(&here.field("name"), &format!("{name:?}"));
            }
        }
        let number = port["port"].as_i64().unwrap_or(0);
        port_number(&here.field("port"), &number.into(), found);
        one_of(&here.field("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"], found);
        port_or_name(&here.field("targetPort"), &port["targetPort"], found);
        let node = port["nodePort"].as_i64().unwrap_or(0);
        if node != 0 && matches!(kind, "ClusterIP" | "ExternalName") {
            let why = format!("may not be used when `type` is '{kind}'");
            found.forbidden(&here.field("nodePort"), &why);
        }
        if node != 0 && !node_ports.insert((protocol, node)) {
            found.duplicate(&here.field("nodePort"), &node);
        }
        if !pairs.insert((protocol, number)) {
            found.duplicate(&here, &format!("{number}/{protocol}"));
        }
    }
}
