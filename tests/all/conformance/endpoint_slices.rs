//! Packing of endpoints into slices, and topology hints, step by step (rules C176 to C181,
//! N140 to N142, N144).

use std::collections::BTreeMap;
use std::sync::Arc;

use seatrial::api::{self, Kind, Lowering};
use seatrial::base::{Interner, Ref, Symbol};
use seatrial::cluster::{EndpointSlice, SliceEndpoint, SlicePort};
use seatrial::controllers::endpoint_slice::hints::{TopologyCache, TopologyEvent, TopologyNode};
use seatrial::controllers::endpoint_slice::packing::{Desired, Packing};
use seatrial::controllers::endpoint_slice::plan_slices;
use seatrial::controllers::endpoint_slice::publish::{NodeFacts, PodFacts, Published, publish};
use seatrial::model::{
    Behavior, Behaviors, NodeId, PodId, PriorityClasses, Protocol, ServiceId, ServiceSpec,
};
use serde_json::{Map, Value, json};

use crate::support::corpus::run_corpus;

#[test]
fn conformance_endpoint_slice_packing() {
    run_corpus("network", "endpointslice-reconcile", |case| {
        let mut world = World::new(case);
        let steps = list(&case["steps"]).iter().zip(list(&case["expect"]));
        for (index, (step, expected)) in steps.enumerate() {
            let existing = world.given(&step["slices"]);
            world.take(step);
            let done = world.reconcile(&existing);
            let ours = world.packed(&existing, &done);
            if !list(expected).contains(&ours) {
                return Err(format!("step {index}: ours {ours}, theirs {expected}"));
            }
        }
        Ok(())
    });
}

/// Several outcomes: each was recorded for the whole case.
#[test]
fn conformance_endpoint_slice_hints() {
    run_corpus("network", "hints", |case| {
        let mut world = World::new(case);
        let mut slices: Vec<EndpointSlice> = Vec::new();
        let outcomes = match &case["outcomes"] {
            Value::Array(all) => all.iter().collect(),
            _ => vec![&case["expect"]],
        };
        let mut ours: Vec<Value> = Vec::new();
        for (index, step) in list(&case["steps"]).iter().enumerate() {
            world.take(step);
            let overloaded = world.note_nodes(step);
            let done = world.reconcile(&slices);
            let written = done.packing.len();
            slices = world.apply(slices, &done.packing);
            let likely = outcomes[0][index]["hints"].is_object();
            ours.push(world.hinted(&slices, likely, written, overloaded, &done));
        }
        let agrees = |theirs: &&Value| list(theirs) == ours;
        if outcomes.iter().any(agrees) {
            return Ok(());
        }
        let first = (0..ours.len()).find(|at| outcomes.iter().all(|o| o[*at] != ours[*at]));
        let at = first.unwrap_or(0);
        let theirs: Vec<&Value> = outcomes.iter().map(|outcome| &outcome[at]).collect();
        Err(format!("step {at}: ours {}, theirs {}", ours[at], json!(theirs)))
    });
}

/// What a sync did.
struct Done {
    packing: Packing,
    event: Option<TopologyEvent>,
    has_all: bool,
}

/// What the reconciler sees.
struct World {
    names: Interner,
    max: usize,
    service: ServiceSpec,
    /// Pods by name.
    pods: BTreeMap<String, Value>,
    nodes: Vec<Value>,
    /// Numbers of things by what tells them apart.
    numbers: BTreeMap<String, u32>,
    topology: TopologyCache,
}

impl World {
    fn new(case: &Value) -> Self {
        let mut names = Interner::new();
        names.intern("");
        let max = case["maxEndpointsPerSlice"].as_u64().expect("a number");
        Self {
            max: usize::try_from(max).expect("it is small"),
            service: api::lower_service(&json!({}), &mut names),
            names,
            pods: BTreeMap::new(),
            nodes: Vec::new(),
            numbers: BTreeMap::new(),
            topology: TopologyCache::default(),
        }
    }

    fn number(&mut self, thing: String) -> u32 {
        let next = u32::try_from(self.numbers.len()).expect("they are few");
        *self.numbers.entry(thing).or_insert(next)
    }

    /// Takes over what a step brings.
    fn take(&mut self, step: &Value) {
        for pod in list(&step["pods"]) {
            self.pods.insert(text(&pod["metadata"]["name"]).to_owned(), pod.clone());
        }
        for name in list(&step["podsRemoved"]) {
            self.pods.remove(text(name));
        }
        if let Some(nodes) = step["nodes"].as_array() {
            self.nodes.clone_from(nodes);
        }
        if step["service"].is_object() {
            self.service = api::lower_service(&step["service"], &mut self.names);
        }
    }

    /// Gives the topology cache the nodes of a step; whether the Service is overloaded then.
    fn note_nodes(&mut self, step: &Value) -> Option<bool> {
        step["nodes"].as_array()?;
        let nodes = self.nodes.clone();
        let facts: Vec<TopologyNode> = nodes
            .iter()
            .map(|node| {
                let spec = api::lower_node(node, &mut self.names);
                let labels = &node["metadata"]["labels"];
                let of_plane = |role: &str| labels.get(format!("node-role.kubernetes.io/{role}"));
                TopologyNode {
                    zone: spec.zone,
                    milli_cpu: spec.allocatable.cpu.0,
                    is_ready: is_true(node, "Ready"),
                    is_control_plane: of_plane("control-plane").or(of_plane("master")).is_some(),
                }
            })
            .collect();
        self.topology.set_nodes(facts.into_iter());
        Some(self.topology.overloaded().next().is_some())
    }

    fn zone_of(&mut self, node: &str) -> NodeFacts {
        let found = self.nodes.iter().find(|row| row["metadata"]["name"] == node);
        let zone = found.map(|row| text(&row["metadata"]["labels"]["topology.kubernetes.io/zone"]));
        let zone = zone.filter(|zone| !zone.is_empty()).map(|zone| zone.to_owned());
        let is_known = found.is_some();
        NodeFacts { is_known, zone: zone.map(|zone| self.names.intern(&zone)) }
    }

    /// What a pod's endpoint should be.
    fn endpoint(&mut self, pod: &Value) -> Published {
        let (meta, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
        let named = |addresses: &[Value]| {
            let ips = addresses.iter().map(|row| text(&row["ip"]).to_owned());
            ips.filter(|ip| ip.contains('.')).collect::<Vec<_>>().join(" ")
        };
        let ips = named(list(&status["podIPs"]));
        let is_called = spec["subdomain"] == self.names.resolve(self.service.name.name);
        let host = if is_called { text(&spec["hostname"]) } else { "" };
        let name = text(&meta["name"]);
        let serial = self.number(format!("endpoint {name} {ips} {host}"));
        let id = self.number(format!("pod {}", text(&meta["uid"])));
        let node = self.number(format!("node {}", text(&spec["nodeName"])));
        let facts = PodFacts {
            serial: serial.into(),
            pod: Ref { id: PodId::new(id), life: 0 },
            node: NodeId::new(node),
            has_ip: !ips.is_empty(),
            is_over: matches!(text(&status["phase"]), "Failed" | "Succeeded"),
            is_ready: is_true(pod, "Ready"),
            is_deleted: meta["deletionTimestamp"].is_string(),
        };
        let at = self.zone_of(text(&spec["nodeName"]));
        let mut tree = pod.clone();
        api::default_object(Kind::Pod, &mut tree);
        let tree = Arc::new(tree);
        let behaviors = Behaviors { standard: Behavior::plain(), rules: Vec::new(), mesh: None };
        let classes = PriorityClasses::default();
        let cx = &mut Lowering { behaviors: &behaviors, classes: &classes, names: &mut self.names };
        let lowered = api::lower_pod(&tree, cx).expect("a recorded pod is right");
        publish(&self.service, facts, at, &lowered.template)
    }

    fn published(&mut self) -> Vec<Published> {
        let pods: Vec<Value> = self.pods.values().cloned().collect();
        pods.iter().map(|pod| self.endpoint(pod)).collect()
    }

    fn reconcile(&mut self, existing: &[EndpointSlice]) -> Done {
        let published = self.published();
        let has_all = !published.contains(&Published::NodeUnknown);
        let desired: Vec<Desired> = published
            .into_iter()
            .filter_map(|published| match published {
                Published::Yes(desired) => Some(desired),
                Published::No | Published::NodeUnknown => None,
            })
            .collect();
        let service = (ServiceId::new(0), &self.service);
        let (packing, event) =
            plan_slices(service, existing, desired, &mut self.topology, self.max);
        Done { packing, event, has_all }
    }

    /// The slices that a step begins with, as pods, nodes and Service are before it.
    fn given(&mut self, slices: &Value) -> Vec<EndpointSlice> {
        let give = |slice: &Value| {
            let pods: Vec<Value> =
                list(&slice["pods"]).iter().map(|name| self.pods[text(name)].clone()).collect();
            let published: Vec<Published> = pods.iter().map(|pod| self.endpoint(pod)).collect();
            let all = published.into_iter().map(|published| match published {
                Published::Yes(desired) => desired,
                Published::No | Published::NodeUnknown => {
                    panic!("a pod in a slice has no endpoint")
                }
            });
            let all: Vec<Desired> = all.collect();
            let written = list(&slice["ports"]).iter().map(|port| self.port(text(port)));
            let mut ports: Vec<SlicePort> = written.collect();
            ports.sort_unstable();
            EndpointSlice {
                number: 0,
                labels: self.service.labels.clone(),
                ports: all.first().map_or(ports, |first| first.ports.clone()),
                endpoints: all.into_iter().map(|desired| desired.endpoint).collect(),
            }
        };
        list(slices).iter().map(give).collect()
    }

    /// A port as it is written: `name=8080/TCP`.
    fn port(&mut self, written: &str) -> SlicePort {
        let (name, rest) = written.split_once('=').expect("name=port");
        let (port, protocol) = rest.split_once('/').expect("port/protocol");
        SlicePort {
            name: self.names.intern(name),
            port: port.parse().expect("a number"),
            protocol: if protocol == "UDP" { Protocol::Udp } else { Protocol::Tcp },
            app_protocol: None,
        }
    }

    fn shown(&self, port: &SlicePort) -> String {
        let protocol = match port.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        };
        format!("{}={}/{protocol}", self.names.resolve(port.name), port.port)
    }

    fn apply(&self, mut slices: Vec<EndpointSlice>, packing: &Packing) -> Vec<EndpointSlice> {
        for (place, slice) in &packing.update {
            slices[*place] = slice.clone();
        }
        let mut place = 0;
        slices.retain(|_| {
            place += 1;
            !packing.delete.contains(&(place - 1))
        });
        slices.extend(packing.create.iter().cloned());
        slices
    }

    /// The outcome of a sync as the corpus of packings has it.
    fn packed(&self, existing: &[EndpointSlice], done: &Done) -> Value {
        let size = |slice: &EndpointSlice| slice.endpoints.len();
        let write = |verb: &str, before: usize, after: usize| json!({ "verb": verb, "before": before, "after": after });
        let packing = &done.packing;
        let mut writes: Vec<(String, usize, usize)> = Vec::new();
        writes.extend(packing.create.iter().map(|slice| ("create".to_owned(), 0, size(slice))));
        writes.extend(
            packing
                .update
                .iter()
                .map(|(place, slice)| ("update".to_owned(), size(&existing[*place]), size(slice))),
        );
        let deleted = packing.delete.iter();
        writes.extend(deleted.map(|place| ("delete".to_owned(), size(&existing[*place]), 0)));
        writes.sort_by(|a, b| (&a.0, b.1, b.2).cmp(&(&b.0, a.1, a.2)));
        let slices = self.apply(existing.to_vec(), packing);
        let mut rows: Vec<(Vec<String>, usize)> = slices
            .iter()
            .map(|slice| {
                let mut ports: Vec<String> = slice.ports.iter().map(|p| self.shown(p)).collect();
                ports.sort_unstable();
                (ports, size(slice))
            })
            .collect();
        rows.sort_by(|a, b| (&a.0, b.1).cmp(&(&b.0, a.1)));
        let endpoints = || slices.iter().flat_map(|slice| &slice.endpoints);
        let zone =
            |of: &SliceEndpoint| of.zone.map_or("", |zone| self.names.resolve(zone)).to_owned();
        let rows: Vec<Value> =
            rows.into_iter().map(|(ports, size)| json!({ "ports": ports, "size": size })).collect();
        let writes: Vec<Value> =
            writes.into_iter().map(|(verb, before, after)| write(&verb, before, after)).collect();
        json!({
            "conditions": counted(endpoints().map(conditions)),
            "retry": !done.has_all,
            "slices": rows,
            "writes": writes,
            "zones": counted(endpoints().map(zone)),
        })
    }

    /// The outcome of a sync as the corpus of hints has it.
    fn hinted(
        &self,
        slices: &[EndpointSlice],
        by_pod: bool,
        written: usize,
        overloaded: Option<bool>,
        done: &Done,
    ) -> Value {
        let text =
            |zone: Option<Symbol>| zone.map_or("", |zone| self.names.resolve(zone)).to_owned();
        let endpoints = || slices.iter().flat_map(|slice| &slice.endpoints);
        let mut outcome = json!({ "retry": !done.has_all, "written": written });
        if by_pod {
            let rows = endpoints().map(|endpoint| {
                let mut hints = Map::new();
                if let Some(zone) = endpoint.for_zone {
                    hints.insert("forZones".to_owned(), json!([text(Some(zone))]));
                }
                if let Some(node) = endpoint.for_node {
                    hints
                        .insert("forNodes".to_owned(), json!([self.called("node", node.number())]));
                }
                let hints = if hints.is_empty() { Value::Null } else { hints.into() };
                (self.pod_called(endpoint), hints)
            });
            outcome["hints"] = rows.collect::<Map<_, _>>().into();
        } else {
            let mut zones: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
            for endpoint in endpoints().filter(|endpoint| endpoint.endpoint.ready) {
                let row = zones.entry(text(endpoint.zone)).or_default();
                *row.entry(text(endpoint.for_zone)).or_default() += 1;
            }
            outcome["readyByZoneThenHint"] = json!(zones);
        }
        if let Some(overloaded) = overloaded {
            outcome["overloaded"] = overloaded.into();
        }
        if let Some(event) = &done.event {
            let kind = if event.is_warning { "Warning" } else { "Normal" };
            let (reason, message) = (event.reason(), &event.message);
            outcome["events"] = json!([format!("{kind} {reason} {message}, addressType: IPv4")]);
        }
        outcome
    }

    /// What a number was given for.
    fn called(&self, what: &str, number: u32) -> String {
        let start = format!("{what} ");
        let found = self.numbers.iter().find(|(key, n)| **n == number && key.starts_with(&start));
        found.expect("it has a number").0[start.len()..].to_owned()
    }

    fn pod_called(&self, endpoint: &SliceEndpoint) -> String {
        let serial = u32::try_from(endpoint.serial).expect("it is small");
        let called = self.called("endpoint", serial);
        called.split(' ').next().expect("a name").to_owned()
    }
}

/// The conditions of an endpoint that hold.
fn conditions(of: &SliceEndpoint) -> String {
    let endpoint = &of.endpoint;
    let all = [
        ("ready", endpoint.ready),
        ("serving", endpoint.serving),
        ("terminating", endpoint.terminating),
    ];
    let held = all.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name);
    held.collect::<Vec<_>>().join("+")
}

fn counted(all: impl Iterator<Item = String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn is_true(object: &Value, kind: &str) -> bool {
    let conditions = list(&object["status"]["conditions"]);
    conditions.iter().any(|c| c["type"] == kind && c["status"] == "True")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
