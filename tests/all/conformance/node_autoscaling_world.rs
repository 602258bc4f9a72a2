//! The world of a recorded timeline of the Cluster Autoscaler: what the environment did is replayed
//! at its time, what the autoscaler does to it is noted.

use std::collections::{BTreeMap, BTreeSet};

use seatrial::api::lower_budget;
use seatrial::autoscalers::cluster_autoscaler::{
    Answer, BudgetView, Cloud, ErrorClass, Evictor, Group, Instance, InstanceError, Iteration,
    NodeView, Options, PodView, View,
};
use seatrial::base::{Duration, Id, SimTime, Symbol};
use seatrial::model::{NodeId, PodId, PodRef, Profile, Taint, TaintEffect};
use seatrial::placement::Catalog;
use seatrial::record::PodName;
use serde_json::{Value, json};

use super::node_autoscaling::{Reader, START, by_name, groups_of, name_of, natural};
use crate::support::corpus::{int, text};
use crate::support::scheduler_case::{Objects, list};

/// Milliseconds since the beginning of a case.
pub(super) type Ms = i64;

pub(super) fn ms(of: &Value) -> Ms {
    let t = of["t"].as_f64().expect("a time");
    #[expect(clippy::cast_possible_truncation, reason = "a few hours")]
    let whole = (t * 1_000.0).round() as Ms;
    whole
}

pub(super) fn at(t: Ms) -> SimTime {
    SimTime::ZERO + START + Duration::ms(u64::try_from(t).expect("not before the beginning"))
}

/// What the events say of things that the autoscaler causes.
pub(super) const CAUSED: [&str; 9] = [
    "increase",
    "increaseFailed",
    "increaseRefused",
    "decreaseTarget",
    "decreaseRefused",
    "delete",
    "deleteRefused",
    "deleteUnknown",
    "evictionRefused",
];

/// The world of a case.
pub(super) struct World<'a> {
    pub(super) case: &'a Value,
    options: Options,
    pub(super) reader: Reader<'a>,
    pub(super) groups: Vec<Group>,
    pub(super) modes: Vec<&'a Value>,
    pub(super) instances: Vec<Vec<Instance>>,
    pub(super) made: Vec<u32>,
    pub(super) nodes: BTreeMap<Vec<(u64, String)>, NodeView>,
    pub(super) node_ids: BTreeMap<String, NodeId>,
    pub(super) symbols: BTreeMap<String, Symbol>,
    pub(super) texts: BTreeMap<Symbol, String>,
    pub(super) pods: BTreeMap<Vec<(u64, String)>, PodView>,
    pub(super) pod_count: usize,
    pub(super) budgets: BTreeMap<String, BudgetView>,
    pub(super) events: Vec<&'a Value>,
    pub(super) done: BTreeSet<usize>,
    pub(super) now: Ms,
    /// What was done to the world, as the events tell it.
    pub(super) caused: Vec<Value>,
    pub(super) problem: Option<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(case: &'a Value, options: Options) -> Self {
        let mut reader = Reader { case, objects: Objects::new(), uids: BTreeMap::new() };
        let groups = reader.groups();
        let mut events: Vec<&Value> = list(&case["expect"], "events").iter().collect();
        events.sort_by_key(|event| (ms(event), rank(event)));
        let mut world = Self {
            case,
            options,
            instances: vec![Vec::new(); groups.len()],
            made: vec![0; groups.len()],
            modes: groups_of(case).iter().map(|group| &group["cloud"]).collect(),
            groups,
            reader,
            nodes: BTreeMap::new(),
            node_ids: BTreeMap::new(),
            symbols: BTreeMap::new(),
            texts: BTreeMap::new(),
            pods: BTreeMap::new(),
            pod_count: 0,
            budgets: BTreeMap::new(),
            events,
            done: BTreeSet::new(),
            now: 0,
            caused: Vec::new(),
            problem: None,
        };
        world.fill();
        world
    }

    /// Names that are needed while the table of names is in other hands.
    fn learn_names(&mut self) {
        let case = self.case;
        let nodes = list(case, "nodes").iter().map(|node| name_of(node).to_owned());
        let events = self.events.iter().filter_map(|event| text(event, "name"));
        let mut all: Vec<String> = nodes.chain(events.map(str::to_owned)).collect();
        let script = list(case, "script").iter().flat_map(|op| list(op, "pods"));
        let pods = list(case, "pods").iter().chain(script);
        all.extend(pods.map(|pod| name_of(pod).to_owned()));
        let grown = self.events.iter().filter(|event| event["ev"] == "increase");
        let grown: i64 = grown.filter_map(|event| int(event, "n")).sum();
        for group in &self.groups {
            all.extend((1..grown + 300).map(|number| format!("{}-n{number:03}", group.id)));
        }
        for name in all {
            let symbol = self.reader.objects.names.intern(&name);
            self.symbols.insert(name.clone(), symbol);
            self.texts.insert(symbol, name);
        }
    }

    fn fill(&mut self) {
        self.learn_names();
        let case = self.case;
        for node in by_name(list(case, "nodes")) {
            self.add_node(node);
            let name = self.reader.objects.names.intern(name_of(node));
            let group = self.nodes[&natural(name_of(node))].group;
            if let Some(group) = group {
                self.instances[group].push(Instance { name, error: None, is_deleting: false });
            }
        }
        for pod in by_name(list(case, "pods")) {
            self.add_pod(pod);
        }
        for object in list(case, "pdbs") {
            let budget = lower_budget(object, &mut self.reader.objects.names);
            let namespace = budget.name.namespace;
            let of = BudgetView { namespace, selector: budget.selector, allowed: budget.allowed };
            self.budgets.insert(name_of(object).to_owned(), of);
        }
        self.count_budgets();
    }

    fn add_node(&mut self, object: &Value) {
        let number = self.node_ids.len();
        let view = self.reader.node((number, object));
        let name = name_of(object).to_owned();
        self.node_ids.insert(name.clone(), NodeId::from_index(number));
        self.nodes.insert(natural(&name), view);
    }

    fn add_pod(&mut self, object: &Value) {
        let ids = self.node_ids.clone();
        let view = self.reader.pod((self.pod_count, object), &ids, &BTreeMap::new());
        self.pod_count += 1;
        self.pods.insert(natural(name_of(object)), view);
    }

    fn name(&self, name: Symbol) -> String {
        self.texts[&name].clone()
    }

    fn group(&self, id: &str) -> usize {
        self.groups.iter().position(|group| group.id == id).expect("a group")
    }

    /// Budgets whose number the events do not say yet: before anything happened.
    fn count_budgets(&mut self) {
        for object in list(self.case, "pdbs") {
            let spec = &object["spec"];
            let Some(of) = self.budgets.get(name_of(object)) else { continue };
            let names = &self.reader.objects.names;
            let covered: Vec<&PodView> = self
                .pods
                .values()
                .filter(|pod| pod.info.namespace == of.namespace)
                .filter(|pod| {
                    of.selector.as_ref().is_some_and(|s| s.matches(&pod.info.labels, names))
                })
                .collect();
            let expected = i64::try_from(covered.len()).expect("few");
            let healthy = covered.iter().filter(|pod| pod.node.is_some()).count();
            let healthy = i64::try_from(healthy).expect("few");
            let number = |value: &Value| match value {
                Value::String(text) => {
                    let percent: i64 = text.trim_end_matches('%').parse().expect("a percentage");
                    Some((percent * expected + 99) / 100)
                }
                other => other.as_i64(),
            };
            let least = number(&spec["minAvailable"]);
            let most = number(&spec["maxUnavailable"]).map(|most| (expected - most).max(0));
            let Some(desired) = least.or(most) else { continue };
            let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
            self.budgets.get_mut(name_of(object)).expect("it is there").allowed = allowed;
        }
    }

    /// Lets happen what is due before an iteration or a step at `to`.
    pub(super) fn advance(&mut self, to: Ms) {
        let case = self.case;
        loop {
            let script = list(case, "script").iter().enumerate();
            let script = script
                .filter(|(n, op)| ms(op) <= to && !self.done.contains(&(n + 1_000_000)))
                .map(|(n, op)| (ms(op), 0, n + 1_000_000, op));
            let events = self.events.iter().enumerate();
            let events = events
                .filter(|(n, event)| ms(event) <= to && !self.done.contains(n))
                .filter(|(_, event)| !self.is_caused(event))
                .map(|(n, event)| (ms(event), 1 + rank(event), n, *event));
            let next = script.chain(events).min_by_key(|(t, rank, n, _)| (*t, *rank, *n));
            let Some((t, _, number, what)) = next else { break };
            self.done.insert(number);
            self.now = self.now.max(t);
            if number >= 1_000_000 {
                self.run_script(what);
            } else {
                self.replay(what);
            }
        }
        self.now = self.now.max(to);
    }

    /// Whether the autoscaler itself makes an event happen, in its time.
    fn is_caused(&self, event: &Value) -> bool {
        let kind = text(event, "ev").unwrap_or_default();
        if CAUSED.contains(&kind) || kind == "evicted" {
            return true;
        }
        let goes = ["instanceGone", "nodeGone"].contains(&kind);
        goes && self.events.iter().any(|other| {
            other["ev"] == "delete" && other["name"] == event["name"] && ms(other) == ms(event)
        })
    }

    fn run_script(&mut self, op: &Value) {
        let name = text(op, "name").unwrap_or_default();
        match text(op, "op").unwrap_or_default() {
            "addPods" => {
                for pod in list(op, "pods") {
                    self.add_pod(pod);
                    let view = self.pods.get_mut(&natural(name_of(pod))).expect("just added");
                    view.created = at(ms(op));
                }
            }
            "finishPod" => {
                if let Some(pod) = self.pods.get_mut(&natural(name)) {
                    pod.traits.is_finished = true;
                }
            }
            "annotateNode" => {
                let key = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
                if let (Some(node), Some(value)) =
                    (self.nodes.get_mut(&natural(name)), text(&op["map"], key))
                {
                    node.is_kept = value == "true";
                }
            }
            "removeTaint" => {
                let key = text(op, "key").or(text(op, "name")).unwrap_or_default();
                let key = self.reader.objects.names.intern(key);
                for node in self.nodes.values_mut() {
                    node.spec.taints.retain(|taint| taint.key != key);
                }
            }
            "setMax" | "setMin" => {
                let value = u32::try_from(int(op, "value").unwrap_or(0)).expect("small");
                let group = self.group(name);
                let of = &mut self.groups[group];
                *(if op["op"] == "setMax" { &mut of.max } else { &mut of.min }) = value;
            }
            "cloud" => {
                let group = self.group(name);
                let script = list(self.case, "script");
                let own = script.iter().find(|other| *other == op).expect("it is there");
                self.modes[group] = &own["cloud"];
            }
            "vanish" => self.lose_instance(name),
            "deletePods" | "nodeReady" => {}
            other => self.problem = Some(format!("script: {other} is not known")),
        }
    }

    fn lose_instance(&mut self, name: &str) {
        let Some(name) = self.symbols.get(name).copied() else { return };
        for instances in &mut self.instances {
            instances.retain(|instance| instance.name != name);
        }
    }

    fn replay(&mut self, event: &Value) {
        let name = text(event, "name").unwrap_or_default();
        match text(event, "ev").unwrap_or_default() {
            "nodeRegistered" => self.register(event),
            "nodeReady" => self.set_ready(name, true),
            "nodeNotReady" => self.set_ready(name, false),
            "nodeGone" => {
                self.lose_instance(name);
                self.nodes.remove(&natural(name));
                let gone = self.node_ids.get(name).copied();
                self.pods.retain(|_, pod| pod.node.is_none() || pod.node != gone);
            }
            "instanceGone" => self.lose_instance(name),
            "instanceError" => self.break_instance(event),
            "podBound" => self.bind(name, text(event, "node").unwrap_or_default()),
            "podCreated" => self.come_back(event),
            "podGone" => {
                self.pods.remove(&natural(name));
            }
            "pdb" => {
                let allowed = int(event, "n").unwrap_or(0);
                if let Some(budget) = self.budgets.get_mut(name) {
                    budget.allowed = allowed;
                }
            }
            other => self.problem = Some(format!("event {other} is not known")),
        }
    }

    fn register(&mut self, event: &Value) {
        let name = text(event, "name").unwrap_or_default();
        let group = self.group(text(event, "group").unwrap_or_default());
        let mut object = groups_of(self.case)[group]["template"].clone();
        object["metadata"]["name"] = name.into();
        object["metadata"]["labels"]["kubernetes.io/hostname"] = name.into();
        object["spec"]["providerID"] = format!("fake:///{}/{name}", self.groups[group].id).into();
        object["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        self.add_node(&object);
        let is_ready = event["info"] == "ready";
        let taint = self.not_ready();
        let node = self.nodes.get_mut(&natural(name)).expect("just added");
        (node.created, node.ready_changed, node.is_ready) = (at(self.now), at(self.now), is_ready);
        if !is_ready {
            node.spec.taints.push(taint);
        }
    }

    fn not_ready(&mut self) -> Taint {
        let names = &mut self.reader.objects.names;
        let (key, value) = (names.intern("node.kubernetes.io/not-ready"), names.intern(""));
        Taint { key, value, effect: TaintEffect::NoSchedule }
    }

    fn set_ready(&mut self, name: &str, is_ready: bool) {
        let taint = self.not_ready();
        let Some(node) = self.nodes.get_mut(&natural(name)) else { return };
        (node.is_ready, node.ready_changed) = (is_ready, at(self.now));
        node.spec.taints.retain(|other| other.key != taint.key);
        if !is_ready {
            node.spec.taints.push(taint);
        }
    }

    fn break_instance(&mut self, event: &Value) {
        let name = self.reader.objects.names.intern(text(event, "name").unwrap_or_default());
        let group = self.group(text(event, "group").unwrap_or_default());
        let code = text(event, "info").unwrap_or_default().to_owned();
        let (class, message) = if code == "OTHER" {
            (ErrorClass::Other, "failed")
        } else {
            (ErrorClass::OutOfResources, "no capacity")
        };
        let error = Some(InstanceError { class, code, message: message.to_owned() });
        let of = self.instances[group].iter_mut().find(|instance| instance.name == name);
        match of {
            Some(instance) => instance.error = error,
            None => self.instances[group].push(Instance { name, error, is_deleting: false }),
        }
    }

    fn bind(&mut self, name: &str, node: &str) {
        if !self.pods.contains_key(&natural(name)) {
            self.make_daemon(name, node);
        }
        let id = self.node_ids.get(node).copied();
        match self.pods.get_mut(&natural(name)) {
            Some(pod) => (pod.node, pod.nominated) = (id, None),
            None => self.problem = Some(format!("pod {name} is not known")),
        }
    }

    fn make_daemon(&mut self, name: &str, node: &str) {
        let is_its = |set: &&Value| name == format!("{}-{node}", name_of(set));
        let Some(set) = list(self.case, "daemonSets").iter().find(is_its) else { return };
        let mut pod = set["spec"]["template"].clone();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["namespace"] = set["metadata"]["namespace"].clone();
        pod["metadata"]["ownerReferences"] = json!([{
            "kind": "DaemonSet", "name": name_of(set), "uid": set["metadata"]["uid"],
            "controller": true,
        }]);
        self.add_pod(&pod);
        let view = self.pods.get_mut(&natural(name)).expect("just added");
        view.created = at(self.now);
    }

    fn come_back(&mut self, event: &Value) {
        let name = text(event, "name").unwrap_or_default();
        let of = text(event, "info").and_then(|info| info.strip_prefix("replaces "));
        let Some(old) = of.and_then(|of| self.pods.get(&natural(of))) else {
            self.problem = Some(format!("pod {name} replaces nobody"));
            return;
        };
        let mut new = old.clone();
        new.pod = PodRef { id: PodId::from_index(self.pod_count), life: 0 };
        self.pod_count += 1;
        new.name = PodName::Fixed(self.reader.objects.names.intern(name));
        new.created = at(self.now);
        (new.node, new.nominated, new.traits.deletion) = (None, None, None);
        self.pods.insert(natural(name), new);
    }

    pub(super) fn view<'v>(&mut self, profile: &'v Profile, catalog: &'v Catalog) -> View<'v> {
        let sets = list(self.case, "daemonSets");
        let daemon_sets = sets.iter().map(|set| self.reader.daemon_set(set)).collect();
        View {
            now: at(self.now),
            profile,
            catalog,
            nodes: self.nodes.values().map(|node| self.as_seen(node)).collect(),
            pods: self.pods.values().filter(|pod| !pod.traits.is_finished).cloned().collect(),
            budgets: self.budgets.values().cloned().collect(),
            daemon_sets,
        }
    }

    /// With a startup taint a node is not ready, whatever its condition says (rule A126).
    fn as_seen(&self, node: &NodeView) -> NodeView {
        let names = &self.reader.objects.names;
        let is_starting = |taint: &Taint| self.options.is_startup_taint(names.resolve(taint.key));
        let is_ready = node.is_ready && !node.spec.taints.iter().any(is_starting);
        NodeView { is_ready, ..node.clone() }
    }

    fn cause(&mut self, kind: &str, rest: Value) {
        self.cause_at(self.now, kind, rest);
    }

    pub(super) fn cause_at(&mut self, t: Ms, kind: &str, rest: Value) {
        let mut event = rest;
        event["ev"] = kind.into();
        event["t"] = t.into();
        self.caused.push(event);
    }

    pub(super) fn start(&mut self, iteration: &Iteration, cordons: bool) {
        for departure in &iteration.departures {
            let name = self.name(departure.node);
            let names = &mut self.reader.objects.names;
            let key = names.intern("ToBeDeletedByClusterAutoscaler");
            let taint = Taint { key, value: names.intern(""), effect: TaintEffect::NoSchedule };
            let now = at(self.now);
            let node = self.nodes.get_mut(&natural(&name)).expect("a node");
            node.spec.taints.push(taint);
            node.spec.unschedulable |= cordons;
            node.deleting_since = Some(now);
        }
    }

    pub(super) fn release(&mut self, node: Symbol) {
        let name = self.name(node);
        let key = self.reader.objects.names.intern("ToBeDeletedByClusterAutoscaler");
        let Some(node) = self.nodes.get_mut(&natural(&name)) else { return };
        node.spec.taints.retain(|taint| taint.key != key);
        (node.spec.unschedulable, node.deleting_since) = (false, None);
    }

    /// After a delete: what is gone at this very moment.
    fn go(&mut self, name: &str) {
        let events = self.events.clone();
        for (number, event) in events.into_iter().enumerate() {
            let goes = event["ev"] == "nodeGone" || event["ev"] == "instanceGone";
            if goes && event["name"] == name && ms(event) == self.now && self.done.insert(number) {
                self.replay(event);
            }
        }
    }
}

fn rank(event: &Value) -> u8 {
    match text(event, "ev").unwrap_or_default() {
        "podCreated" => 0,
        "podGone" => 1,
        "instanceError" => 2,
        "nodeRegistered" => 3,
        "nodeReady" | "nodeNotReady" => 4,
        "pdb" => 6,
        "podBound" => 7,
        _ => 5,
    }
}

impl Cloud for World<'_> {
    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn instances(&self, group: usize) -> Vec<Instance> {
        self.instances[group].clone()
    }

    fn has_instance(&self, node: Symbol, group: Option<usize>) -> bool {
        let has = |group: usize| self.instances[group].iter().any(|other| other.name == node);
        group.is_none_or(has)
    }

    fn increase(&mut self, group: usize, by: u32) -> Result<(), String> {
        let id = self.groups[group].id.clone();
        let mode = text(self.modes[group], "mode").unwrap_or_default();
        let failing = int(self.modes[group], "failCount").filter(|count| *count > 0);
        let failing = failing.map_or(u32::MAX, |count| u32::try_from(count).expect("small"));
        if mode == "increaseError" {
            self.cause("increaseFailed", json!({"group": id, "n": by}));
            return Err("cloud refused".to_owned());
        }
        self.cause("increase", json!({"group": id, "n": by}));
        self.groups[group].target += by;
        for number in 0..by {
            if mode == "unfulfilled" && number < failing {
                continue;
            }
            self.made[group] += 1;
            let name = format!("{id}-n{:03}", self.made[group]);
            let name = self.symbols[&name];
            self.instances[group].push(Instance { name, error: None, is_deleting: false });
        }
        Ok(())
    }

    fn delete(&mut self, group: usize, nodes: &[Symbol]) -> Result<(), String> {
        let id = self.groups[group].id.clone();
        for node in nodes {
            let name = self.name(*node);
            let instance = self.instances[group].iter_mut().find(|i| i.name == *node);
            let Some(instance) = instance else {
                self.cause("deleteUnknown", json!({"group": id, "name": name}));
                return Err(format!("unknown instance {name}"));
            };
            if self.groups[group].target <= self.groups[group].min {
                self.cause("deleteRefused", json!({"group": id, "name": name}));
                return Err("min size reached".to_owned());
            }
            instance.is_deleting = true;
            self.groups[group].target -= 1;
            self.cause("delete", json!({"group": id, "name": name}));
            self.go(&name);
        }
        Ok(())
    }

    fn decrease_target(&mut self, group: usize, by: u32) -> Result<(), String> {
        let of = &self.groups[group];
        let (id, target) = (of.id.clone(), of.target);
        let delta = -i64::from(by);
        let live = self.instances[group].iter().filter(|i| !i.is_deleting).count();
        if target < by || usize::try_from(target - by).expect("small") < live {
            self.cause("decreaseRefused", json!({"group": id, "n": delta}));
            return Err(format!(
                "attempt to delete existing nodes targetSize:{target} delta:{delta} \
                 existingNodes: {live}"
            ));
        }
        self.groups[group].target -= by;
        self.cause("decreaseTarget", json!({"group": id, "n": delta}));
        Ok(())
    }
}

/// Answers as recorded.
pub(super) struct Recorded<'a> {
    pub(super) events: Vec<&'a Value>,
    pub(super) now: Ms,
    pub(super) answers: Vec<(&'a Value, String)>,
    pub(super) done: BTreeSet<usize>,
    pub(super) texts: BTreeMap<Symbol, String>,
    pub(super) problem: Option<String>,
}

impl Evictor for Recorded<'_> {
    fn evict(&mut self, pod: &PodView, _: Duration) -> Answer {
        let PodName::Fixed(name) = pod.name else { unreachable!("pods are named as recorded") };
        let (name, now) = (self.texts[&name].clone(), self.now);
        let is_it = |(number, event): &(usize, &Value)| {
            (event["ev"] == "evicted" || event["ev"] == "evictionRefused")
                && event["name"] == name.as_str()
                && (now..now + 1_000).contains(&ms(event))
                && !self.done.contains(number)
        };
        let Some((number, event)) = self.events.iter().copied().enumerate().find(is_it) else {
            self.problem.get_or_insert(format!("nobody evicted {name} at {now} ms"));
            return Answer { is_granted: true, at: at(now) };
        };
        self.done.insert(number);
        self.answers.push((event, name));
        Answer { is_granted: event["ev"] == "evicted", at: at(ms(event)) }
    }
}
