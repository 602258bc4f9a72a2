//! Which endpoints a proxy uses, and what its rules make of connections (rules N156 to N159, N161,
//! N162, C182).

use seatrial::base::{Duration, Interner, SimTime};
use seatrial::network::health::service_answer;
use seatrial::network::proxier::Proxier;
use seatrial::network::rules::Mode;
use seatrial::network::runner::Bounds;
use seatrial::network::service::{PortInfo, PortKey};
use seatrial::network::table::{Known, Name};
use serde_json::{Map, Value, json};

use super::objects;
use crate::support::corpus::run_corpus;

#[test]
fn conformance_endpoint_choice() {
    run_corpus("network", "endpoint-choice", |case| {
        let mut names = Interner::new();
        let node = names.intern(objects::text(&case["node"]["name"]));
        let zone = objects::zone_of(&case["node"], &mut names);
        let period = Duration::secs(30);
        let bounds = Bounds { min: Duration::secs(1), retry: period, max: Bounds::IDLE_MAX };
        let mut proxier = Proxier::new(Mode::Iptables, bounds, node, zone);
        let name = objects::name(&case["service"], &mut names);
        let service = objects::service(&case["service"], &mut names);
        proxier.set_service(name, Some(&service), SimTime::ZERO);
        for object in objects::list(&case["slices"]) {
            if let Some((owner, own, slice)) = objects::slice(object, &mut names) {
                proxier.set_slice(owner, own, Some(slice), SimTime::ZERO);
            }
        }
        proxier.start_at_once(SimTime::ZERO);
        proxier.end(SimTime::ZERO, true);
        let ours = json!({
            "ports": ports(case, &proxier, name, &names),
            "health": health(case, &proxier, name),
        });
        let mut theirs = case["expect"].clone();
        plain(&mut theirs);
        if ours == theirs { Ok(()) } else { Err(format!("ours {ours}, theirs {theirs}")) }
    });
}

/// `null` and no endpoints mean the same; no health check is a `null`.
fn plain(theirs: &mut Value) {
    for (_, port) in theirs["ports"].as_object_mut().into_iter().flatten() {
        for list in ["cluster", "local", "reachable"] {
            if port.get(list).is_some_and(Value::is_null) {
                port[list] = json!([]);
            }
        }
    }
    if theirs.get("health").is_none() {
        theirs["health"] = Value::Null;
    }
}

fn ports(case: &Value, proxier: &Proxier, name: Name, names: &Interner) -> Value {
    let Some(known) = proxier.service(name) else {
        let all = objects::list(&case["service"]["spec"]["ports"]).iter();
        let shown = all.map(|port| {
            let (name, protocol) = (objects::text(&port["name"]), objects::text(&port["protocol"]));
            (format!("{name}/{protocol}"), Value::Null)
        });
        return Value::Object(shown.collect());
    };
    let shown = known.iter().map(|(key, info)| {
        (objects::port_name(*key, names), port(case, proxier, (name, *key), info))
    });
    Value::Object(shown.collect())
}

fn port(case: &Value, proxier: &Proxier, (name, key): (Name, PortKey), info: &PortInfo) -> Value {
    let all = proxier.endpoints_of(name, key);
    let chosen = proxier.chosen(name, key);
    let usage = info.usage();
    let mut known: Vec<&Known> = all.iter().collect();
    known.sort_by_key(|endpoint| objects::address(endpoint));
    let known: Vec<Value> = known
        .iter()
        .map(|endpoint| {
            json!({
                "endpoint": objects::address(endpoint),
                "local": endpoint.is_local,
                "ready": endpoint.ready,
                "serving": endpoint.serving,
                "terminating": endpoint.terminating,
            })
        })
        .collect();
    let traffic = |mode| objects::traffic(mode, &case["service"], (info, &chosen, all));
    let (iptables, nftables) = (traffic(Mode::Iptables), traffic(Mode::Nftables));
    let mut shown = Map::new();
    let mut say = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    say("known", known.into());
    say("usesClusterEndpoints", usage.cluster.into());
    say("usesLocalEndpoints", usage.local.into());
    say("cluster", objects::addresses(&chosen.cluster, all).into());
    say("local", objects::addresses(&chosen.local, all).into());
    say("reachable", objects::addresses(&chosen.reachable, all).into());
    say("hasAny", chosen.has_any.into());
    if nftables != iptables {
        say("trafficNftables", nftables);
    }
    say("traffic", iptables);
    if let Some(seconds) = info.affinity_seconds.filter(|_| !chosen.reachable.is_empty()) {
        say("affinitySeconds", seconds.into());
    }
    shown.into()
}

fn health(case: &Value, proxier: &Proxier, name: Name) -> Value {
    let port = proxier.service(name).and_then(|ports| ports.values().next());
    let port = port.map_or(0, |info| info.health_check_port);
    let Some(local) = proxier.local().get(&name).filter(|_| port != 0) else {
        return Value::Null;
    };
    let is_healthy = case["proxyHealthy"] == true;
    let meta = &case["service"]["metadata"];
    json!({
        "port": port,
        "code": service_answer(*local, is_healthy).code(),
        "weightHeader": local.to_string(),
        "body": {
            "localEndpoints": local,
            "service": { "name": meta["name"], "namespace": meta["namespace"] },
            "serviceProxyHealthy": is_healthy,
        },
    })
}
