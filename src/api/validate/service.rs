//! Services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{is_set, items, text};
use super::{against, labels, one_of, port_number, port_or_name, show};

/// Source: kubernetes v1.36.3 validation.go `ValidateService` (rule C183).
pub(super) fn validate_service(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let kind = text(&spec["type"]);
    let headless = items(&spec["clusterIPs"]).first().is_some_and(|ip| ip == "None");
    if items(&spec["ports"]).is_empty() && !headless && kind != "ExternalName" {
        found.required(&at.field("ports"), "");
    }
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    one_of(&at.field("type"), &spec["type"], &TYPES, found);
    match kind {
        "NodePort" | "LoadBalancer" if headless => {
            let why = format!("may not be set to 'None' for {kind} services");
            found.invalid_text(&at.alias("clusterIPs[0]", "clusterIP"), "None", &why);
        }
        "ExternalName" => external_name(spec, &at, found),
        _ => {}
    }
    if kind == "LoadBalancer" {
        let list = at.field("ports");
        for (index, port) in items(&spec["ports"]).iter().enumerate() {
            if port["port"] == KUBELET_PORT {
                let why = "may not expose port 10250 externally since it is used by kubelet";
                found.invalid(&list.index(index), &KUBELET_PORT, why);
            }
        }
    }
    ports(spec, kind, &at.field("ports"), found);
    labels(&at.field("selector"), &spec["selector"], found);
    affinity(spec, &at, found);
    if kind != "ExternalName" {
        addresses(spec, &at, found);
    }
    let list = at.field("externalIPs");
    for (index, address) in items(&spec["externalIPs"]).iter().map(text).enumerate() {
        outer_address(address, &list.index(index), found);
    }
    load_balancer(spec, kind, &at, found);
    traffic(spec, kind, &at, found);
}

const KUBELET_PORT: i64 = 10_250;

fn external_name(spec: &Value, at: &At<'_>, found: &mut Found) {
    for (field, shown) in [
        ("clusterIPs", "clusterIPs"),
        ("ipFamilies", "ipFamilies"),
        ("ipFamilyPolicy", "ipFamilyPolicy"),
    ] {
        let value = &spec[field];
        if is_set(value) && !items(value).is_empty() || value.is_string() {
            found.forbidden(&at.field(shown), "may not be set for ExternalName services");
        }
    }
    let name = text(&spec["externalName"]);
    match name.strip_suffix('.').unwrap_or(name) {
        "" => found.required(&at.field("externalName"), ""),
        name => against(&at.field("externalName"), name, &names::dns_subdomain(name), found),
    }
}

fn affinity(spec: &Value, at: &At<'_>, found: &mut Found) {
    const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
    one_of(&at.field("sessionAffinity"), &spec["sessionAffinity"], &AFFINITIES, found);
    let (config, here) = (&spec["sessionAffinityConfig"], at.field("sessionAffinityConfig"));
    match text(&spec["sessionAffinity"]) {
        "ClientIP" => {
            let timeout = &config["clientIP"]["timeoutSeconds"];
            let place = here.field("clientIP.timeoutSeconds");
            match timeout.as_i64() {
                None => {
                    let why = "when session affinity type is ClientIP";
                    found.required(&here, why);
                }
                Some(1..=86_400) => {}
                Some(_) => {
                    found.invalid(&place, timeout, "must be greater than 0 and less than 86400");
                }
            }
        }
        "None" if is_set(config) => {
            let why = "must not be set when session affinity is None";
            found.forbidden(&here, why);
        }
        _ => {}
    }
}

/// Source: `ValidateServiceClusterIPsRelatedFields`.
fn addresses(spec: &Value, at: &At<'_>, found: &mut Found) {
    let list = at.field("ipFamilies");
    let families = items(&spec["ipFamilies"]);
    for (index, family) in families.iter().enumerate() {
        one_of(&list.index(index), family, &["IPv4", "IPv6"], found);
        if families[..index].contains(family) {
            found.duplicate(&list.index(index), family);
        }
    }
    const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    one_of(&at.field("ipFamilyPolicy"), &spec["ipFamilyPolicy"], &POLICIES, found);
    let (first, all) = (text(&spec["clusterIP"]), items(&spec["clusterIPs"]));
    let list = if is_set(&spec["clusterIPs"]) {
        at.field("clusterIPs")
    } else {
        at.alias("clusterIPs", "clusterIP")
    };
    match all.first() {
        None if !first.is_empty() => found.required(&list, ""),
        Some(head) if head != first => {
            found.invalid(&list, &spec["clusterIPs"], "first value must match `clusterIP`");
        }
        _ => {}
    }
    for (index, address) in all.iter().map(text).enumerate() {
        let here = list.index(index);
        if address == "None" {
            if index > 0 || all.len() > 1 {
                let why = "'None' must be the first and only value";
                found.invalid_text(&here, address, why);
            }
            continue;
        }
        against(&here, address, &names::ip(address), found);
        if all[..index].iter().any(|other| other == address) {
            found.duplicate(&here, &format!("{address:?}"));
        }
    }
    if all.len() > 2 {
        let why = "may only hold up to 2 values";
        found.invalid(&list, &spec["clusterIPs"], why);
    }
}

/// Source: `ValidateNonSpecialIP`.
fn outer_address(address: &str, at: &At<'_>, found: &mut Found) {
    let why = names::ip(address);
    against(at, address, &why, found);
    let Ok(ip) = address.parse::<std::net::IpAddr>() else { return };
    let local = match ip {
        std::net::IpAddr::V4(ip) => ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    };
    let multicast = match ip {
        std::net::IpAddr::V4(ip) => ip.octets()[0] == 224 && ip.octets()[1..3] == [0, 0],
        std::net::IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    for (is_so, why) in [
        (ip.is_unspecified(), format!("may not be unspecified ({address})")),
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()),
        (local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()),
        (
            multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned(),
        ),
    ] {
        if is_so {
            found.invalid_text(at, address, &why);
        }
    }
}

fn load_balancer(spec: &Value, kind: &str, at: &At<'_>, found: &mut Found) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let ranges = items(&spec["loadBalancerSourceRanges"]);
    if !ranges.is_empty() {
        let list = at.alias("LoadBalancerSourceRanges", "loadBalancerSourceRanges");
        if kind != "LoadBalancer" {
            found.forbidden(&list, ONLY);
        }
        for (index, range) in ranges.iter().map(text).enumerate() {
            let range = range.trim();
            against(&list.index(index), range, &names::cidr(range), found);
        }
    }
    let allocate = &spec["allocateLoadBalancerNodePorts"];
    match (kind, is_set(allocate)) {
        ("LoadBalancer", false) => {
            found.required(&at.field("allocateLoadBalancerNodePorts"), "");
        }
        ("LoadBalancer", true) | (_, false) => {}
        (_, true) => found.forbidden(&at.field("allocateLoadBalancerNodePorts"), ONLY),
    }
    if let Some(class) = spec["loadBalancerClass"].as_str() {
        let here = at.field("loadBalancerClass");
        if kind != "LoadBalancer" {
            found.forbidden(&here, ONLY);
        }
        against(&here, class, &names::qualified_name(class), found);
    }
}

fn traffic(spec: &Value, kind: &str, at: &At<'_>, found: &mut Found) {
    for policy in ["externalTrafficPolicy", "internalTrafficPolicy"] {
        one_of(&at.field(policy), &spec[policy], &["Cluster", "Local"], found);
    }
    let outside = matches!(kind, "NodePort" | "LoadBalancer")
        || kind == "ClusterIP" && !items(&spec["externalIPs"]).is_empty();
    let external = text(&spec["externalTrafficPolicy"]);
    if !external.is_empty() && !outside {
        let why = "may only be set for externally-accessible services";
        let place = at.field("externalTrafficPolicy");
        found.invalid(&place, &spec["externalTrafficPolicy"], why);
    }
    let check = &spec["healthCheckNodePort"];
    let place = at.field("healthCheckNodePort");
    if kind == "LoadBalancer" && external == "Local" {
        // Where none is written the API server takes a free one.
        if check.as_i64().is_some_and(|port| port != 0) {
            port_number(&place, check, found);
        }
    } else if check.as_i64().is_some_and(|port| port != 0) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is \
                   'Local'";
        found.invalid(&place, check, why);
    }
    const NEAR: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    one_of(&at.field("trafficDistribution"), &spec["trafficDistribution"], &NEAR, found);
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
            if !names_seen.insert(name) {
                found.duplicate(&here.field("name"), &format!("{name:?}"));
            }
        }
        let number = port["port"].as_i64().unwrap_or(0);
        port_number(&here.field("port"), &number.into(), found);
        one_of(&here.field("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"], found);
        port_or_name(&here.field("targetPort"), &port["targetPort"], found);
        let node = port["nodePort"].as_i64().unwrap_or(0);
        let app = &port["appProtocol"];
        if let Some(app) = app.as_str() {
            against(&here.field("appProtocol"), app, &names::qualified_name(app), found);
        }
        if node != 0 && kind == "ClusterIP" {
            let why = format!("may not be used when `type` is '{kind}'");
            found.forbidden(&here.field("nodePort"), &why);
        }
        if node != 0 && !node_ports.insert((protocol, node)) {
            found.duplicate(&here.field("nodePort"), &node);
        }
        if !pairs.insert((protocol, number)) {
            let shown = serde_json::json!({
                "Name": "", "Protocol": protocol, "AppProtocol": null, "Port": number,
                "TargetPort": 0, "NodePort": 0,
            });
            let keys = ["Name", "Protocol", "AppProtocol", "Port", "TargetPort", "NodePort"];
            found.duplicate(&here, &show(&shown, &keys));
        }
    }
}
