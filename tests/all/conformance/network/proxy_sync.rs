//! When a proxy writes its rules, what they say then, and what becomes of flows and health checks
//! (rules N150 to N153, N160, N162, N163, N503).

use std::collections::BTreeMap;

use seatrial::base::{Duration, Interner, SimTime};
use seatrial::network::conntrack::Flow;
use seatrial::network::health::{Stay, proxy_answer};
use seatrial::network::proxier::Proxier;
use seatrial::network::rules::Mode;
use seatrial::network::runner::Bounds;
use seatrial::network::table::Name;
use serde_json::{Map, Value, json};

use super::objects::{self, list, text};
use crate::support::corpus::run_corpus;

#[test]
fn conformance_proxy_sync() {
    run_corpus("network", "proxy-sync", |case| {
        let mut world = World::new(case);
        world.run(case);
        let theirs = &case["expect"];
        for (index, sync) in list(&theirs["syncs"]).iter().enumerate() {
            let sync = &sorted(sync.clone());
            let ours = world.syncs.get(index).unwrap_or(&Value::Null);
            if ours != sync {
                return Err(format!("sync {index}: ours {ours}, theirs {sync}"));
            }
        }
        let (ours, theirs) = (world.syncs.len(), list(&theirs["syncs"]).len());
        if ours != theirs {
            return Err(format!("{ours} syncs, not {theirs}: {}", world.syncs[theirs]));
        }
        let answers = list(&case["expect"]["healthz"]);
        if world.answers != answers {
            return Err(format!("healthz: ours {:?}, theirs {answers:?}", world.answers));
        }
        Ok(())
    });
}

/// The same with all lists in order: that of long ones is left to chance.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, sorted(value))).collect(),
        Value::Array(mut list) => {
            list.sort_by_key(|item| (item.as_u64(), item.to_string()));
            list.into()
        }
        plain => plain,
    }
}

fn at(ms: u64) -> SimTime {
    SimTime::at(Duration::ms(ms))
}

fn ms(at: SimTime) -> u64 {
    at.as_nanos() / 1_000_000
}

struct World {
    names: Interner,
    mode: Mode,
    proxier: Proxier,
    /// The Services as they were told, by name.
    objects: BTreeMap<Name, Value>,
    /// The Service of each slice.
    owners: BTreeMap<Name, Name>,
    flows: Vec<Option<Flow>>,
    /// Rules of the last run that ended well, by port.
    rules: BTreeMap<String, Value>,
    local: BTreeMap<Name, usize>,
    /// The Services as the run under way has them.
    taken: BTreeMap<Name, Value>,
    began: SimTime,
    ends: Option<(SimTime, bool)>,
    writes: u64,
    node: Stay,
    syncs: Vec<Value>,
    answers: Vec<Value>,
}

impl World {
    fn new(case: &Value) -> Self {
        let mut names = Interner::new();
        let node = names.intern(text(&case["node"]["name"]));
        let zone = objects::zone_of(&case["node"], &mut names);
        let span = |key: &str| Duration::ms(case["config"][key].as_u64().expect("a number"));
        let (min, retry) = (span("minSyncPeriodMs"), span("syncPeriodMs"));
        let bounds = Bounds { min, retry, max: Bounds::IDLE_MAX };
        let mode = if case["mode"] == "nftables" { Mode::Nftables } else { Mode::Iptables };
        Self {
            names,
            mode,
            proxier: Proxier::new(mode, bounds, node, zone),
            objects: BTreeMap::new(),
            owners: BTreeMap::new(),
            flows: list(&case["flows"]).iter().map(|row| Some(flow(row))).collect(),
            rules: BTreeMap::new(),
            local: BTreeMap::new(),
            taken: BTreeMap::new(),
            began: SimTime::ZERO,
            ends: None,
            writes: 0,
            node: Stay::Stays,
            syncs: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn run(&mut self, case: &Value) {
        for object in list(&case["services"]) {
            self.set_service(object, SimTime::ZERO);
        }
        for object in list(&case["slices"]) {
            self.set_slice(object, SimTime::ZERO);
        }
        self.start_at_once(case, SimTime::ZERO);
        let end = at(case["endMs"].as_u64().expect("a number"));
        let ops = list(&case["ops"]);
        let mut next = 0;
        loop {
            let op = ops.get(next).map(|op| at(op["t"].as_u64().expect("a number")));
            let run = self.ends.map(|(at, _)| at).or_else(|| self.proxier.next_run());
            match (op, run) {
                (Some(op), run) if run.is_none_or(|run| op < run) => {
                    self.op(case, &ops[next], op);
                    next += 1;
                }
                (_, Some(now)) if now <= end => self.step(case, now),
                _ => return,
            }
        }
    }

    /// A run ends, or the loop starts one.
    fn step(&mut self, case: &Value, now: SimTime) {
        if self.ends.is_some() {
            return self.end(now);
        }
        self.proxier.start(now);
        self.write(case, now);
    }

    fn start_at_once(&mut self, case: &Value, now: SimTime) {
        self.proxier.start_at_once(now);
        self.write(case, now);
    }

    fn write(&mut self, case: &Value, now: SimTime) {
        let is_full = self.proxier.run().expect("it runs").is_full;
        let key = if is_full { "full" } else { "partial" };
        let takes = Duration::ms(case["writeMs"][key].as_u64().expect("a number"));
        let fails = list(&case["failWrites"]).contains(&json!(self.writes));
        self.writes += 1;
        self.taken.clone_from(&self.objects);
        self.began = now;
        self.ends = Some((now + takes, !fails));
    }

    fn end(&mut self, now: SimTime) {
        let (_, is_ok) = self.ends.take().expect("it runs");
        let run = self.proxier.end(now, is_ok);
        if self.syncs.is_empty() {
            self.proxier.begin_loop(now);
        }
        let mut sync = Map::new();
        let mut say = |key: &str, value: Value| drop(sync.insert(key.to_owned(), value));
        say("start", ms(self.began).into());
        say("end", ms(now).into());
        say("full", run.is_full.into());
        say("ok", is_ok.into());
        if is_ok {
            let changed = self.changed_rules();
            if !changed.is_empty() {
                say("traffic", changed.into());
            }
            if self.local != *self.proxier.local() {
                self.local.clone_from(self.proxier.local());
                say("localEndpoints", self.shown_local());
            }
            if run.looks_at_flows {
                say("conntrackScan", true.into());
                let removed = self.remove_flows();
                if !removed.is_empty() {
                    say("conntrackRemoved", json!(removed));
                }
            }
        }
        self.syncs.push(sync.into());
    }

    fn changed_rules(&mut self) -> Map<String, Value> {
        let rules: BTreeMap<String, Value> = self
            .proxier
            .ports()
            .map(|(name, key)| {
                let service = self.names.resolve(name.1);
                let title = format!("{service}:{}", objects::port_name(key, &self.names));
                let info = &self.proxier.service(name).expect("it is there")[&key];
                let all = self.proxier.endpoints_of(name, key);
                let chosen = self.proxier.chosen(name, key);
                let object = &self.taken[&name];
                (title, objects::traffic(self.mode, object, (info, &chosen, all)))
            })
            .collect();
        let gone = self.rules.keys().filter(|title| !rules.contains_key(*title));
        let mut changed: Map<String, Value> =
            gone.map(|title| (title.clone(), Value::Null)).collect();
        let new = rules.iter().filter(|(title, rule)| self.rules.get(*title) != Some(rule));
        changed.extend(new.map(|(title, rule)| (title.clone(), rule.clone())));
        self.rules = rules;
        changed
    }

    fn shown_local(&self) -> Value {
        let rows = self.local.iter().map(|(name, count)| {
            let (space, name) = (self.names.resolve(name.0), self.names.resolve(name.1));
            (format!("{space}/{name}"), json!(count))
        });
        Value::Object(rows.collect())
    }

    fn remove_flows(&mut self) -> Vec<usize> {
        let serving = self.proxier.serving();
        let is_stale = |flow: &Option<Flow>| flow.as_ref().is_some_and(|f| serving.is_stale(f));
        let stale: Vec<usize> =
            (0..self.flows.len()).filter(|index| is_stale(&self.flows[*index])).collect();
        for index in &stale {
            self.flows[*index] = None;
        }
        stale
    }

    fn op(&mut self, case: &Value, op: &Value, now: SimTime) {
        match text(&op["op"]) {
            "service" => self.set_service(&op["object"], now),
            "slice" => self.set_slice(&op["object"], now),
            "deleteService" => {
                let name = self.deleted(op);
                self.objects.remove(&name);
                self.proxier.set_service(name, None, now);
            }
            "deleteSlice" => {
                let own = self.deleted(op);
                if let Some(owner) = self.owners.remove(&own) {
                    self.proxier.set_slice(owner, own, None, now);
                }
            }
            "zone" => {
                let zone = objects::zone(text(&op["zone"]), &mut self.names);
                self.proxier.set_zone(zone, now);
            }
            "flushed" => {
                self.start_at_once(case, now);
                self.end(now);
            }
            "flow" => self.flows.push(Some(flow(&op["flow"]))),
            "node" => {
                let leaves = op["taint"] == "ToBeDeletedByClusterAutoscaler";
                self.node = if leaves { Stay::Leaves } else { Stay::Stays };
            }
            "healthz" => self.answer(now),
            other => panic!("unknown op {other}"),
        }
    }

    /// What is deleted: an object, or its name alone.
    fn deleted(&mut self, op: &Value) -> Name {
        if op["object"].is_object() {
            return objects::name(&op["object"], &mut self.names);
        }
        let full = text(&op["name"]);
        let (space, name) = full.split_once('/').unwrap_or(("default", full));
        let space = op["namespace"].as_str().unwrap_or(space);
        (self.names.intern(space), self.names.intern(name))
    }

    fn answer(&mut self, now: SimTime) {
        let is_healthy = self.proxier.is_healthy(now);
        self.answers.push(json!({
            "t": ms(now),
            "code": proxy_answer(is_healthy, self.node).code(),
            "healthy": is_healthy,
            "nodeEligible": self.node == Stay::Stays,
        }));
    }

    fn set_service(&mut self, object: &Value, now: SimTime) {
        let name = objects::name(object, &mut self.names);
        let service = objects::service(object, &mut self.names);
        self.objects.insert(name, object.clone());
        self.proxier.set_service(name, Some(&service), now);
    }

    fn set_slice(&mut self, object: &Value, now: SimTime) {
        if let Some((owner, own, slice)) = objects::slice(object, &mut self.names) {
            self.owners.insert(own, owner);
            self.proxier.set_slice(owner, own, Some(slice), now);
        }
    }
}

fn flow(row: &Value) -> Flow {
    let socket = |ip: &str, port: &str| {
        let port = row[port].as_u64().and_then(|n| u16::try_from(n).ok());
        (text(&row[ip]).parse().expect("an address"), port.expect("a port"))
    };
    Flow {
        protocol: objects::protocol(&row["proto"]),
        to: socket("dst", "dstPort"),
        reply: socket("reply", "replyPort"),
    }
}
