//! Addresses and node ports of Services.
//!
//! Source: kubernetes v1.36.3 pkg/registry/core/service/storage/alloc.go,
//! pkg/registry/core/service/ipallocator, portallocator (recorded). Differs: the lowest free one is
//! taken, not a random one; one family of addresses, IPv4.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use super::problem::{At, Found, Problem};
use super::read::{deep_mut, default, items, text};

/// `--service-cluster-ip-range`, its first address and how many there are.
const RANGE: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 96, 0, 0), 1 << 16);
const RANGE_TEXT: &str = "10.96.0.0/16";
/// `--service-node-port-range`.
const PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Gives a Service its address and its node ports, beside the other Services. A dry run takes
/// whatever address and port is asked for, but a port that is another's.
///
/// # Errors
/// What was asked for is not free.
pub fn allocate(
    service: &mut Value,
    others: &[&Value],
    is_dry_run: bool,
) -> Result<(), Vec<Problem>> {
    let mut found = Found::default();
    let kind = text(&service["spec"]["type"]).to_owned();
    let headless = service["spec"]["clusterIP"] == "None";
    if kind != "ExternalName" && !headless {
        address(service, others, is_dry_run, &mut found);
    }
    if kind != "ExternalName"
        && let Some(spec) = deep_mut(service, &["spec"])
    {
        default(spec, "ipFamilies", vec![Value::from("IPv4")]);
        default(spec, "ipFamilyPolicy", "SingleStack");
    }
    let wanted = kind == "NodePort"
        || kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false;
    if wanted {
        node_ports(service, others, is_dry_run, &mut found);
    }
    if found.0.is_empty() { Ok(()) } else { Err(found.0) }
}

fn address(service: &mut Value, others: &[&Value], is_dry_run: bool, found: &mut Found) {
    let asked = text(&service["spec"]["clusterIP"]).to_owned();
    let at = At::ROOT.alias("spec.clusterIPs", "spec.clusterIP");
    let taken: BTreeSet<&str> =
        others.iter().map(|other| text(&other["spec"]["clusterIP"])).collect();
    let first = u32::from(RANGE.0);
    if asked.is_empty() {
        let all = (first + 1..first + RANGE.1 - 1).map(|ip| Ipv4Addr::from(ip).to_string());
        let free = all.into_iter().find(|ip| !taken.contains(ip.as_str()));
        if let (Some(ip), Some(spec)) = (free, deep_mut(service, &["spec"])) {
            spec.insert("clusterIP".to_owned(), ip.clone().into());
            spec.insert("clusterIPs".to_owned(), vec![Value::from(ip)].into());
        }
        return;
    }
    let place = asked.parse::<Ipv4Addr>().map(u32::from);
    let is_inside = place.is_ok_and(|ip| ip > first && ip < first + RANGE.1 - 1);
    let why = if !is_inside {
        format!(
            "failed to allocate IP {asked}: the provided IP ({asked}) is not in the valid range. \
             The range of valid IPs is {RANGE_TEXT}"
        )
    } else if !is_dry_run && taken.contains(asked.as_str()) {
        format!("failed to allocate IP {asked}: provided IP is already allocated")
    } else {
        return;
    };
    found.invalid(&at, &service["spec"]["clusterIPs"], &why);
}

fn node_ports(service: &mut Value, others: &[&Value], is_dry_run: bool, found: &mut Found) {
    let ports = others.iter().flat_map(|other| items(&other["spec"]["ports"]));
    let mut taken: BTreeSet<i64> = ports.filter_map(|port| port["nodePort"].as_i64()).collect();
    let list = At::ROOT.field("spec.ports");
    let Some(ports) = service["spec"]["ports"].as_array_mut() else { return };
    for (index, port) in ports.iter().enumerate() {
        let here = list.index(index);
        let Some(number) = port["nodePort"].as_i64().filter(|number| *number != 0) else {
            continue;
        };
        if taken.contains(&number) {
            let why = "provided port is already allocated";
            found.invalid(&here.field("nodePort"), &number, why);
        } else if !is_dry_run && !PORTS.contains(&number) {
            let why = "provided port is not in the valid range. The range of valid ports is \
                       30000-32767";
            found.invalid(&here.field("nodePort"), &number, why);
        }
    }
    let own: Vec<i64> = ports.iter().filter_map(|port| port["nodePort"].as_i64()).collect();
    taken.extend(own);
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        let is_free = |port: &Map<String, Value>| port.get("nodePort").is_none_or(|n| *n == 0);
        if is_free(port)
            && let Some(number) = PORTS.clone().find(|number| !taken.contains(number))
        {
            taken.insert(number);
            port.insert("nodePort".to_owned(), number.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_lowest_free_ones() {
        let mut first = json!({ "spec": { "type": "NodePort", "ports": [{ "port": 80 }] } });
        allocate(&mut first, &[], false).unwrap();
        assert_eq!(first["spec"]["clusterIP"], "10.96.0.1");
        assert_eq!(first["spec"]["ports"][0]["nodePort"], 30_000);
        let mut second = json!({ "spec": { "type": "ClusterIP" } });
        allocate(&mut second, &[&first], false).unwrap();
        assert_eq!(second["spec"]["clusterIPs"], json!(["10.96.0.2"]));
        let mut same = first.clone();
        let problems = allocate(&mut same, &[&first], false).unwrap_err();
        assert_eq!(problems.len(), 2);
        let mut headless = json!({ "spec": { "type": "ClusterIP", "clusterIP": "None" } });
        allocate(&mut headless, &[], false).unwrap();
        assert_eq!(headless["spec"]["clusterIP"], "None");
    }
}
