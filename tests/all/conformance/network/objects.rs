//! Recorded objects as a proxy sees them, and what its rules say, as the recordings write it.

use std::net::Ipv4Addr;

use seatrial::base::{Interner, Symbol};
use seatrial::model::{Protocol, ServiceKind};
use seatrial::network::choice::Chosen;
use seatrial::network::rules::{From, Frontend, Mode, Outcome, outcome};
use seatrial::network::service::{BalancerSeen, Cidr, PortInfo, PortKey, PortSeen, ServiceSeen};
use seatrial::network::table::{EndpointSeen, Known, Name, SlicePortSeen, SliceSeen};
use serde_json::{Map, Value, json};

/// Who connects, by the name of the recordings.
const CLIENTS: [(&str, From); 3] = [
    ("pod", From::Pod(Ipv4Addr::new(10, 244, 9, 9))),
    ("node", From::Node(Ipv4Addr::new(192, 168, 0, 2))),
    ("external", From::Outside(Ipv4Addr::new(203, 0, 113, 7))),
];

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> u16 {
    value.as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
}

fn ips(values: &[Value]) -> Vec<Ipv4Addr> {
    values.iter().filter_map(|ip| text(ip).parse().ok()).collect()
}

pub(super) fn protocol(of: &Value) -> Protocol {
    match text(of) {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

pub(super) fn zone(label: &str, names: &mut Interner) -> Option<Symbol> {
    (!label.is_empty()).then(|| names.intern(label))
}

pub(super) fn zone_of(node: &Value, names: &mut Interner) -> Option<Symbol> {
    zone(text(&node["labels"]["topology.kubernetes.io/zone"]), names)
}

pub(super) fn name(object: &Value, names: &mut Interner) -> Name {
    let meta = &object["metadata"];
    (names.intern(text(&meta["namespace"])), names.intern(text(&meta["name"])))
}

pub(super) fn service(object: &Value, names: &mut Interner) -> ServiceSeen {
    let spec = &object["spec"];
    let port = |port: &Value, names: &mut Interner| PortSeen {
        key: PortKey {
            name: names.intern(text(&port["name"])),
            protocol: protocol(&port["protocol"]),
        },
        port: number(&port["port"]),
        node_port: number(&port["nodePort"]),
    };
    let ingress = list(&object["status"]["loadBalancer"]["ingress"]).iter();
    let has_affinity = spec["sessionAffinity"] == "ClientIP";
    let seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].as_u64();
    ServiceSeen {
        kind: match text(&spec["type"]) {
            "NodePort" => ServiceKind::NodePort,
            "LoadBalancer" => ServiceKind::LoadBalancer,
            "ExternalName" => ServiceKind::ExternalName,
            _ => ServiceKind::ClusterIp,
        },
        cluster_ip: text(&spec["clusterIP"]).parse().ok(),
        ports: list(&spec["ports"]).iter().map(|row| port(row, names)).collect(),
        balancers: ingress
            .filter_map(|row| {
                let is_proxy = row["ipMode"] == "Proxy";
                Some(BalancerSeen { ip: text(&row["ip"]).parse().ok()?, is_proxy })
            })
            .collect(),
        external_ips: ips(list(&spec["externalIPs"])),
        source_ranges: list(&spec["loadBalancerSourceRanges"])
            .iter()
            .filter_map(|range| Cidr::parse(text(range)))
            .collect(),
        affinity_seconds: has_affinity
            .then(|| u32::try_from(seconds.unwrap_or(10_800)).expect("it is small")),
        internal_local: spec["internalTrafficPolicy"] == "Local",
        external_local: spec["externalTrafficPolicy"] == "Local",
        health_check_port: number(&spec["healthCheckNodePort"]),
    }
}

/// The Service of a slice and the slice; `None` for one that proxies pass over.
pub(super) fn slice(object: &Value, names: &mut Interner) -> Option<(Name, Name, SliceSeen)> {
    let owner = text(&object["metadata"]["labels"]["kubernetes.io/service-name"]);
    if object["addressType"] != "IPv4" || owner.is_empty() {
        return None;
    }
    let own = name(object, names);
    let owner = (own.0, names.intern(owner));
    let port = |port: &Value, names: &mut Interner| SlicePortSeen {
        name: port["name"].as_str().map(|text| names.intern(text)),
        port: port["port"].as_u64().and_then(|n| u16::try_from(n).ok()),
        protocol: protocol(&port["protocol"]),
    };
    let hints = |hints: &Value, names: &mut Interner| -> Vec<Symbol> {
        list(hints).iter().map(|hint| names.intern(text(&hint["name"]))).collect()
    };
    let mut endpoint = |row: &Value| EndpointSeen {
        ip: list(&row["addresses"]).first().and_then(|ip| text(ip).parse().ok()),
        node: row["nodeName"].as_str().map(|text| names.intern(text)),
        ready: row["conditions"]["ready"].as_bool(),
        serving: row["conditions"]["serving"].as_bool(),
        terminating: row["conditions"]["terminating"].as_bool(),
        for_zones: hints(&row["hints"]["forZones"], names),
        for_nodes: hints(&row["hints"]["forNodes"], names),
    };
    let endpoints = list(&object["endpoints"]).iter().map(&mut endpoint).collect();
    let ports = list(&object["ports"]).iter().map(|row| port(row, names)).collect();
    let text = names.intern(&object.to_string());
    Some((owner, own, SliceSeen { text, ports, endpoints }))
}

pub(super) fn address(known: &Known) -> String {
    format!("{}:{}", known.at.0, known.at.1)
}

/// Places in a list of endpoints as addresses, sorted.
pub(super) fn addresses(places: &[u32], all: &[Known]) -> Vec<String> {
    let at = |place: &u32| address(&all[usize::try_from(*place).expect("a place")]);
    let mut shown: Vec<String> = places.iter().map(at).collect();
    shown.sort();
    shown
}

/// What new connections to a port meet, by address and client.
pub(super) fn traffic(
    mode: Mode,
    object: &Value,
    (port, chosen, all): (&PortInfo, &Chosen, &[Known]),
) -> Value {
    let show = |to: Frontend, from: From| match outcome(mode, port, chosen, to, from) {
        Outcome::To(places) => json!(addresses(places, all)),
        Outcome::Reject => json!("reject"),
        Outcome::Drop => json!("drop"),
        Outcome::NoRule => json!("none"),
    };
    let frontend = |to: Frontend| {
        let rows = CLIENTS.map(|(client, from)| (client.to_owned(), show(to, from)));
        if rows[0].1 == rows[1].1 && rows[1].1 == rows[2].1 {
            rows[0].1.clone()
        } else {
            Value::Object(rows.into_iter().collect())
        }
    };
    let mut shown = Map::new();
    shown.insert("clusterIP".to_owned(), frontend(Frontend::ClusterIp));
    if port.node_port != 0 {
        shown.insert("nodePort".to_owned(), frontend(Frontend::NodePort));
    }
    let ingress = list(&object["status"]["loadBalancer"]["ingress"]).iter();
    for ip in ingress.filter_map(|row| text(&row["ip"]).parse().ok()) {
        shown.insert(format!("loadBalancer {ip}"), frontend(Frontend::Balancer(ip)));
    }
    for ip in ips(list(&object["spec"]["externalIPs"])) {
        shown.insert(format!("externalIP {ip}"), frontend(Frontend::External(ip)));
    }
    shown.into()
}

/// A port as the recordings name it.
pub(super) fn port_name(key: PortKey, names: &Interner) -> String {
    let protocol = match key.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    };
    format!("{}/{protocol}", names.resolve(key.name))
}
