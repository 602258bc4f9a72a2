//! Replays a recorded time line of one kubelet: the API server of its pods and its clock.

mod render;
mod runtime;

use std::sync::Arc;

use seatrial::api::{Lowering, lower_node, lower_pod_spec};
use seatrial::base::{Duration, Interner, SimTime};
use seatrial::kubelet::machine::{Config, Deletion, Machine, PodInput, Slot, SpecChange};
use seatrial::model::{Behavior, Behaviors, NodeSpec, PodSpec, PriorityClasses};
use serde_json::{Value, json};

use super::corpus::{int, text};
pub(crate) use render::first_difference;
use runtime::{Happening, Runtime};

/// Happenings of one instant at most: more means that it never ends.
const STEPS_MAX: u32 = 2_000;

/// A pod object, and what runs of it.
#[derive(Debug)]
struct PodRow {
    /// As the case's operations name it.
    key: String,
    /// As its object is named: a name may be used again.
    name: String,
    manifest: Value,
    spec: Arc<PodSpec>,
    slot: Option<Slot>,
    generation: i64,
    deletion: Option<Deletion>,
    is_gone: bool,
    is_terminal: bool,
    /// The status as it was written last.
    status: Value,
    sandbox_failures: i64,
    containers: Vec<runtime::Row>,
}

/// What one replay gave.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Runtime calls and exits.
    pub(crate) cri: Vec<Value>,
    /// Writes of the kubelet.
    pub(crate) api: Vec<Value>,
    /// Events.
    pub(crate) events: Vec<Value>,
    /// Draws of the work queue, and whether they were found in the recording.
    pub(crate) draws: Vec<Value>,
}

pub(crate) fn at(case: &Value, key: &str) -> SimTime {
    SimTime::at(ms(case, key))
}

fn ms(case: &Value, key: &str) -> Duration {
    Duration::ms(case[key].as_u64().unwrap_or(0))
}

/// Replays a case with the draws of one of its recorded outcomes.
pub(crate) fn replay(case: &Value, outcome: &Value) -> Told {
    let mut world = World::new(case, outcome);
    world.run(at(case, "horizon_ms"));
    world.host.finish()
}

struct World<'a> {
    machine: Machine,
    host: Runtime<'a>,
    now: SimTime,
}

impl<'a> World<'a> {
    fn new(case: &'a Value, outcome: &'a Value) -> Self {
        let mut names = Interner::new();
        let node = node(&case["kubelet"], &mut names);
        let mut host = Runtime::new(case, outcome, node, names);
        for draw in outcome["requeue"].as_array().into_iter().flatten() {
            let drawn = (at(draw, "t"), ms(draw, "after_ms"));
            let pod = text(draw, "pod").expect("a pod").to_owned();
            host.draws.entry(pod).or_default().push_back(drawn);
        }
        for op in case["ops"].as_array().into_iter().flatten() {
            host.plan(at(op, "t"), Happening::Op(op.clone()));
        }
        Self { machine: Machine::new(config(&case["kubelet"])), host, now: SimTime::default() }
    }

    fn run(&mut self, end: SimTime) {
        let mut steps = 0;
        loop {
            let due = self.machine.next_due();
            let next = self.host.next_at().into_iter().chain(due).min();
            let Some(next) = next.filter(|next| *next <= end) else { return };
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < STEPS_MAX, "no end at {next}");
            self.now = self.now.max(next);
            self.host.now = self.now;
            if let Some(happening) = self.host.pop(self.now) {
                self.happen(happening);
            } else {
                self.machine.advance(self.now, &mut self.host);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Op(op) => self.operate(&op),
            Happening::Exit { pod, container, run, exit } => {
                let Some(slot) = self.host.exit(pod, container, run, exit) else { return };
                self.machine.exited(slot, container, exit, now, &mut self.host);
            }
            Happening::Done { number } => {
                let Some((slot, call, outcome)) = self.host.done(number) else { return };
                self.machine.done(slot, call, outcome, now, &mut self.host);
            }
            Happening::Gone { pod } => {
                if let Some(slot) = self.host.pods[pod].slot {
                    self.machine.pod_removed(slot, now, &mut self.host);
                }
            }
        }
    }

    /// Carries out one of the case's operations (rules N120, N121).
    fn operate(&mut self, op: &Value) {
        let name = text(op, "pod").expect("a pod");
        if op["op"] == "create" {
            self.create(name);
            return;
        }
        let Some(at) = self.host.live(name) else { return };
        let patch = &op["patch"];
        match text(op, "op") {
            Some("delete") => self.delete(at, int(op, "grace")),
            Some("patch") => {
                let row = &mut self.host.pods[at];
                row.generation += 1;
                let limit = patch["spec"]["activeDeadlineSeconds"].as_u64().map(Duration::secs);
                let change = SpecChange { active_deadline: limit, generation: row.generation };
                let slot = row.slot.expect("a pod that was added");
                self.machine.spec_changed(slot, change, self.now, &mut self.host);
            }
            Some("patch-status") => self.open_gates(at, patch),
            other => panic!("operation {other:?}"),
        }
    }

    fn create(&mut self, name: &str) {
        let at = self.host.create(name);
        let row = &self.host.pods[at];
        let input = PodInput {
            spec: Arc::clone(&row.spec),
            created: self.now.floor_secs(),
            serial: u64::try_from(at).expect("few pods"),
            generation: 1,
            deletion: None,
        };
        self.host.incoming = Some(at);
        let slot = self.machine.pod_added(input, self.now, &mut self.host);
        self.host.bind(slot);
    }

    fn delete(&mut self, at: usize, grace: Option<i64>) {
        let row = &mut self.host.pods[at];
        let own = i64::try_from(row.spec.grace.whole_secs()).expect("a sane grace");
        let grace = if row.is_terminal { 0 } else { grace.unwrap_or(own) };
        let grace = if grace < 0 { 1 } else { grace };
        let grace = Duration::secs(grace.unsigned_abs());
        if row.deletion.is_some_and(|before| grace >= before.grace) {
            return;
        }
        if row.deletion.is_none() {
            row.generation += 1;
        }
        let deletion = Deletion { grace, generation: row.generation };
        row.deletion = Some(deletion);
        row.is_gone |= grace.is_zero();
        let slot = row.slot.expect("a pod that was added");
        let is_gone = row.is_gone;
        self.machine.pod_deleting(slot, deletion, self.now, &mut self.host);
        if is_gone {
            self.host.plan(self.now, Happening::Gone { pod: at });
        }
    }

    fn open_gates(&mut self, at: usize, patch: &Value) {
        let row = &mut self.host.pods[at];
        for condition in patch["status"]["conditions"].as_array().into_iter().flatten() {
            let kind = text(condition, "type").expect("a type");
            row.status["gates"][kind] = condition["status"].clone();
        }
        let gates = row.manifest["spec"]["readinessGates"].as_array().cloned().unwrap_or_default();
        let is_open = |gate: &Value| {
            text(gate, "conditionType").is_some_and(|kind| row.status["gates"][kind] == "True")
        };
        let is_told = |gate: &Value| {
            text(gate, "conditionType").is_some_and(|kind| !row.status["gates"][kind].is_null())
        };
        let told = gates.iter().enumerate().filter(|(_, gate)| is_told(gate));
        let open = gates.iter().enumerate().filter(|(_, gate)| is_open(gate));
        let open = open.fold(0, |bits, (at, _)| bits | 1 << at);
        let slot = row.slot.expect("a pod that was added");
        let told = told.fold(0, |bits, (at, _)| bits | 1 << at);
        self.machine.gates_told(slot, open, told, self.now, &mut self.host);
    }
}

/// The kubelet of a case.
fn config(kubelet: &Value) -> Config {
    let restart_max = int(kubelet, "max_container_restart_period_s").filter(|secs| *secs > 0);
    let parallel = kubelet["max_parallel_image_pulls"].as_u64().filter(|most| *most > 0);
    Config {
        relist: Duration::secs(1),
        relist_phase: at(kubelet, "pleg_phase_ms"),
        on_demand: Duration::ms(1),
        sync_tick: Duration::secs(1),
        sync_phase: at(kubelet, "sync_phase_ms"),
        housekeeping: Duration::secs(2),
        status_tick: Duration::secs(10),
        volume_loop: Duration::ms(100),
        volume_wait: Duration::ms(300),
        backoff_max: Duration::secs(restart_max.unwrap_or(300).unsigned_abs()),
        serialize_pulls: kubelet["serialize_image_pulls"] == true,
        parallel_pulls_max: parallel.map(|most| u32::try_from(most).expect("a sane limit")),
        limits_pulls: Some((5, 10)),
        resync: true,
    }
}

fn node(kubelet: &Value, names: &mut Interner) -> NodeSpec {
    let node = json!({
        "metadata": {"name": "node-1", "labels": {
            "kubernetes.io/hostname": "node-1",
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }},
        "status": {"allocatable": {
            "cpu": kubelet["cpu"].to_string(),
            "memory": format!("{}Mi", kubelet["memory_mib"]),
            "ephemeral-storage": "10Gi",
            "pods": kubelet["max_pods"].to_string(),
        }},
    });
    lower_node(&node, names)
}

fn lower(manifest: &Value, names: &mut Interner) -> PodSpec {
    let behaviors = Behaviors { standard: Behavior::plain(), rules: Vec::new(), mesh: None };
    let classes = PriorityClasses::default();
    let mut lowering = Lowering { behaviors: &behaviors, classes: &classes, names };
    let mut spec =
        lower_pod_spec(manifest, &mut lowering).unwrap_or_else(|problems| panic!("{problems:?}"));
    let written = manifest["spec"]["priority"].as_i64();
    if let Some(priority) = written.and_then(|priority| i32::try_from(priority).ok()) {
        spec.priority = priority;
    }
    spec
}
