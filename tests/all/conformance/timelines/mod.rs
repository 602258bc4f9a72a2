//! Whole scenarios against a real control plane in real time: order of states and counts as
//! recorded, times within what the repetitions spread plus the lags of that set-up.
//!
//! All components are ours but the kubelets, which do as the recording's do. Lags follow those of
//! the set-up (`latencies.json`). As the original does not repeat itself, each scenario is played
//! with several seeds: a sequence agrees if one of ours is one of the recorded ones, a count or a
//! time if the median of ours is within what was recorded, a time with some tolerance.

mod kwok;
mod watcher;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use seatrial::api::{self, KindClass};
use seatrial::base::{Distribution, Duration, Interner, SimTime};
use seatrial::cluster::{Cluster, Plan, Write};
use seatrial::engine::{Roles, World};
use seatrial::kubectl::Files;
use seatrial::model::{Latencies, Model, NodeMonitor};
use seatrial::recorder::Recorder;
use seatrial::sim::Streams;
use serde_json::Value;

use crate::support::corpus::{recorded, recordings};
use kwok::{Frozen, Kwok};
use watcher::{DeploymentFacts, Facts, Watcher};

/// What a command of kubectl takes before its request goes out.
const KUBECTL: Duration = Duration::ms(100);
/// Pods that are ready and gone at once: what remains is the pace of the set-up's two busy cores.
const FAST: &str = "rollout-fast-stages";
/// How often each scenario is played.
const SEEDS: u64 = 24;
/// How far outside the recorded spread a time may be: pauses of two busy cores.
const TOLERANCE_MS: f64 = 1200.0;

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The lags of the set-up of the recordings.
fn lags() -> Latencies {
    Latencies {
        profile: "custom",
        limited_clients: true,
        watch: Distribution::log_normal_p99(0.004, 0.008),
        api_write: Distribution::log_normal_p99(0.003, 0.006),
        schedule: Distribution::log_normal_p99(0.008, 0.03),
        endpoints: Distribution::log_normal_p99(0.005, 0.02),
        lease_jitter: Distribution::uniform(0.0, 0.08),
        ..Latencies::ideal()
    }
}

/// The node monitor as the flags of the set-up say (rules C161, C162).
fn monitor(header: &Value) -> NodeMonitor {
    let flags = list(&header["flags"]["kube-controller-manager"]);
    let flag = |name: &str| {
        let mut values = flags.iter().filter_map(|flag| flag.as_str()?.strip_prefix(name));
        values.next_back().map(|value| {
            let secs = value.trim_matches(|c| c == '=' || c == 's');
            Duration::secs(secs.parse().expect("seconds"))
        })
    };
    let usual = NodeMonitor::DEFAULT;
    NodeMonitor {
        period: flag("--node-monitor-period").unwrap_or(usual.period),
        grace: flag("--node-monitor-grace-period").unwrap_or(usual.grace),
        lease: header["node_lease"]["duration_s"].as_u64().map_or(usual.lease, Duration::secs),
        ..usual
    }
}

struct Replay {
    world: World,
    facts: Rc<RefCell<Facts>>,
    frozen: Frozen,
}

impl Replay {
    fn new(header: &Value, seed: u64) -> Self {
        let mut names = Interner::new();
        names.intern("");
        names.intern("default");
        let nodes =
            list(&header["nodes"]).iter().map(|node| lower_node(node, &mut names)).collect();
        let mut model = Model { nodes, latencies: lags(), ..Model::empty("timeline", names) };
        model.node_monitor = monitor(header);
        let second = header["starts_at_second_of_minute"].as_u64().unwrap_or(0);
        model.run.start_unix = 1_763_510_400 + i64::try_from(second).expect("below 60");
        let model = Arc::new(model);
        let streams = Streams { seed, replication: 0 };
        let mut roles = Roles::real(&model, &streams);
        let (facts, frozen) = (Rc::default(), Frozen::default());
        roles.controllers.push(Box::new(Watcher(Rc::clone(&facts))));
        roles.kubelet = Box::new(Kwok::new(Rc::clone(&frozen), &streams));
        let mut world = World::with_roles(&model, streams, roles, Recorder::off());
        world.begin();
        Self { world, facts, frozen }
    }

    /// Plays all steps and on until `end`.
    fn run(mut self, header: &Value, end: Duration) -> Result<Facts, String> {
        for step in list(&header["steps"]) {
            let at = step["at_ms"].as_u64().expect("an instant");
            self.step(SimTime::ZERO + Duration::ms(at) + KUBECTL, step)?;
        }
        self.world.step_until(SimTime::ZERO + end);
        drop(self.world);
        drop(self.frozen);
        Ok(Rc::into_inner(self.facts).expect("the run is over").into_inner())
    }

    fn step(&mut self, at: SimTime, step: &Value) -> Result<(), String> {
        match (step["run"].as_str(), step["do"].as_str()) {
            (Some(_), _) => self.command(at, step),
            (None, Some("add-nodes")) => {
                self.world.advance_to(at);
                for (index, pool) in list(&step["nodes"]).iter().enumerate() {
                    let node = added_node(index, pool);
                    self.world.apply(|cluster, plan| create(&node, cluster, plan));
                }
                Ok(())
            }
            (None, Some(what @ ("stop-kubelet" | "start-kubelet"))) => {
                self.world.advance_to(at);
                self.set_kubelets(&step["node_selector"], what == "start-kubelet");
                Ok(())
            }
            (_, other) => Err(format!("step {other:?} is not played")),
        }
    }

    /// Stops or starts the kubelets of the nodes that carry these labels.
    fn set_kubelets(&mut self, labels: &Value, is_up: bool) {
        let labels: Vec<(String, String)> = labels
            .as_object()
            .expect("labels")
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().expect("a text").to_owned()))
            .collect();
        let frozen = Rc::clone(&self.frozen);
        self.world.apply(|cluster, plan| {
            for (node, row) in cluster.nodes().enumerate().filter(|(_, row)| !row.is_gone) {
                let has = |(key, value): &(String, String)| {
                    let names = cluster.names();
                    let (key, value) = (names.get(key), names.get(value));
                    key.is_some_and(|key| row.spec.labels.get(key) == value && value.is_some())
                };
                if labels.iter().all(has) {
                    plan.push(Write::NodeUp { node, is_up });
                    if is_up {
                        frozen.borrow_mut().remove(&node);
                    } else {
                        frozen.borrow_mut().insert(node);
                    }
                }
            }
        });
    }

    fn command(&mut self, at: SimTime, step: &Value) -> Result<(), String> {
        let words = step["run"].as_str().expect("a command");
        let files = Files::from([("-".to_owned(), list(&step["manifests"]).to_vec())]);
        let line = quoted(words);
        let output = self.world.kubectl(at, &line, &files)?;
        match output.exit_code {
            0 => Ok(()),
            _ => Err(format!("{words}: {}", output.stderr)),
        }
    }
}

/// The recorded words have lost their quotes: a patch is one word.
fn quoted(words: &str) -> String {
    match words.split_once(" {") {
        Some((before, patch)) => format!("{before} '{{{patch}'"),
        None => words.to_owned(),
    }
}

fn node_object(name: &str, labels: &Value, node: &Value) -> Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels },
        "spec": { "taints": node["taints"] },
        "status": { "allocatable": node["allocatable"], "capacity": node["allocatable"] },
    })
}

/// A node that comes later.
fn added_node(index: usize, pool: &Value) -> Value {
    let name = format!("added{index}");
    let mut labels = pool["labels"].clone();
    labels["kubernetes.io/hostname"] = name.as_str().into();
    if let Some(zone) = pool["zones"][0].as_str() {
        labels["topology.kubernetes.io/zone"] = zone.into();
    }
    node_object(&name, &labels, pool)
}

fn lower_node(node: &Value, names: &mut Interner) -> seatrial::model::NodeSpec {
    let name = node["name"].as_str().expect("a name");
    let mut object = node_object(name, &node["labels"], node);
    api::default_object(api::Kind::Node, &mut object);
    api::lower_node(&object, names)
}

/// Creates an object, or puts it in the place of the one that is there.
fn create(object: &Value, cluster: &mut Cluster, plan: &mut Plan) {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let KindClass::Modelled(kind) = api::classify(text("apiVersion"), text("kind")) else {
        panic!("kind {}", text("kind"));
    };
    let mut object = object.clone();
    let problems = api::prepare(kind, &mut object);
    assert!(!problems.iter().any(|problem| problem.is_error), "{problems:?}");
    let lowered = api::lower_object(kind, &Arc::new(object), &mut cluster.lowering());
    let object = lowered.expect("it can be lowered");
    let is_there = cluster.tree(kind, object.name).is_some();
    let object = Box::new(object);
    plan.push(if is_there { Write::Replace(object) } else { Write::Create(object) });
}

/// One compared fact.
struct Row {
    fact: String,
    recorded: String,
    ours: String,
    is_same: bool,
}

/// Compares the facts of our runs with the spread of the repetitions.
fn compare(runs: &[Facts], spread: &Value, is_parallel: bool) -> Vec<Row> {
    let facts = spread.as_object().expect("a mapping").iter().filter(|(key, _)| *key != "type");
    facts.map(|(key, value)| compare_fact(key, value, runs, is_parallel)).collect()
}

fn compare_fact(key: &str, value: &Value, runs: &[Facts], is_parallel: bool) -> Row {
    if value.is_array() {
        let all: Vec<&str> = list(value).iter().filter_map(|s| s["sequence"].as_str()).collect();
        let ours: Vec<String> = runs.iter().map(|facts| sequence(key, facts)).collect();
        // An order that no two repetitions share is left to chance: what happens counts, not when.
        // Nor is the order in which pods of a parallel StatefulSet are created fixed.
        let differs = list(value).iter().all(|s| list(&s["reps"]).len() == 1);
        let by_chance =
            (all.len() > 1 && differs) || key == "statefulset_pod_orders" && is_parallel;
        let parts = |text: &str| {
            let mut parts: Vec<String> = text.split(' ').map(str::to_owned).collect();
            parts.sort();
            parts
        };
        let is_one =
            |ours: &str, one: &str| ours == one || (by_chance && parts(ours) == parts(one));
        let same = ours.iter().find(|ours| all.iter().any(|one| is_one(ours, one)));
        let shown = same.unwrap_or(&ours[0]).clone();
        let (fact, recorded) = (key.to_owned(), all.join(" | "));
        return Row { fact, recorded, ours: shown, is_same: same.is_some() };
    }
    let tolerance = if key.contains("_ms") { TOLERANCE_MS } else { 0.0 };
    let bound = |name: &str| value[name].as_f64().expect("a number");
    let (min, max) = (bound("min"), bound("max"));
    let mut ours: Vec<f64> = runs.iter().filter_map(|facts| number(key, facts)).collect();
    ours.sort_by(f64::total_cmp);
    let median = ours.get(ours.len() / 2).copied();
    Row {
        fact: key.to_owned(),
        recorded: format!("{min} to {max}"),
        ours: median.map_or("none".to_owned(), |median| format!("{median:.0}")),
        is_same: median.is_some_and(|o| (min - tolerance..=max + tolerance).contains(&o)),
    }
}

/// The facts of the Deployment that a key names, and what of them.
fn deployment<'a, 'k>(key: &'k str, facts: &'a Facts) -> Option<(&'a DeploymentFacts, &'k str)> {
    let (owner, fact) = key.rsplit_once('.')?;
    Some((facts.deployments.get(owner.strip_prefix("deployment/")?)?, fact))
}

fn sequence(key: &str, facts: &Facts) -> String {
    match deployment(key, facts) {
        Some((of, "replicaset_sequences")) => of.sizes.join(" "),
        Some((of, "progressing_sequences")) => of.progressing.join(" "),
        None if key == "statefulset_pod_orders" => facts.pod_order.join(" "),
        _ => String::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "few pods")]
fn number(key: &str, facts: &Facts) -> Option<f64> {
    match deployment(key, facts) {
        Some((of, "min_available_after_first_complete")) => of.min_available.map(|n| n as f64),
        Some((of, fact)) => {
            let index = fact.strip_prefix("complete_ms[")?.strip_suffix(']')?;
            of.complete.get(index.parse::<usize>().ok()?).copied()
        }
        None => match key {
            "last_change_ms" => Some(facts.last_change),
            "pods_created" => Some(facts.pods_created as f64),
            "pods_deleted" => Some(facts.pods_deleted as f64),
            "max_pods_existing" => Some(facts.max_existing as f64),
            "max_pods_active" => Some(facts.max_active as f64),
            _ => None,
        },
    }
}

#[test]
fn whole_scenarios_go_as_on_a_real_control_plane() {
    let Some(place) = recordings().map(|place| place.join("timelines")) else {
        return println!("skipped: no recordings of timelines here (set SEATRIAL_CONFORMANCE)");
    };
    let only = crate::support::plane::setting("SEATRIAL_CASE");
    let mut files: Vec<String> = std::fs::read_dir(&place)
        .expect("a folder")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().ok()?;
            name.strip_suffix(".jsonl.zst").map(str::to_owned)
        })
        .filter(|name| name != "api-errors")
        .filter(|name| only.as_ref().is_none_or(|only| only == name))
        .collect();
    files.sort();
    let mut text = String::new();
    let mut differing = 0;
    for file in files {
        let lines = recorded("timelines", &file).expect("it is there");
        let header = &lines[0];
        let spread = lines.last().expect("a last line");
        let lasted = lines.iter().filter_map(|line| line["duration_ms"].as_u64());
        let end = Duration::ms(lasted.max().expect("a run"));
        let runs = (1..=SEEDS).map(|seed| Replay::new(header, seed).run(header, end));
        if file == FAST {
            println!("  exempt: {file}: its pace is that of the set-up's processors");
            continue;
        }
        let rows = match runs.collect::<Result<Vec<Facts>, String>>() {
            Ok(runs) => compare(&runs, spread, header.to_string().contains("\"Parallel\"")),
            Err(why) => {
                writeln!(text, "  {file}: {why}").expect("a text");
                Vec::new()
            }
        };
        let same = rows.iter().filter(|row| row.is_same).count();
        println!("conformance timelines/{file}: {same}/{}", rows.len());
        for row in &rows {
            let mark = if row.is_same { ' ' } else { '*' };
            writeln!(text, "{mark} {file} {}: {} (recorded {})", row.fact, row.ours, row.recorded)
                .expect("a text");
        }
        differing += rows.len() - same;
    }
    println!("{text}");
    assert_eq!(differing, 0, "{differing} facts differ");
}
