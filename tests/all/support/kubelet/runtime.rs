//! The runtime, image service and API server that a recorded kubelet talked to, as scripted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use seatrial::base::{Duration, Interner, SimTime, Symbol};
use seatrial::kubelet::machine::{
    Call, Exit, Host, Outcome, Rejection, Say, Slot, Status, Which, admit,
};
use seatrial::model::NodeSpec;
use serde_json::{Value, json};

use super::super::corpus::text;
use super::{PodRow, Told, lower, ms, render};

/// Something of the world that is due.
#[derive(Debug)]
pub(super) enum Happening {
    /// A process ends, unless it has.
    Exit { pod: usize, container: u8, run: usize, exit: Exit },
    /// A call is over, unless it was given up.
    Done { number: u64 },
    /// The watch tells that the object is gone.
    Gone { pod: usize },
    /// An operation of the case.
    Op(Value),
}

impl Happening {
    const fn rank(&self) -> u8 {
        match self {
            Self::Exit { .. } => 0,
            Self::Done { .. } => 1,
            Self::Gone { .. } => 2,
            Self::Op(_) => 3,
        }
    }
}

/// A container of the runtime.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// How often it was created.
    created: usize,
    started: SimTime,
    is_running: bool,
    ended: SimTime,
    attempt: u32,
}

#[derive(Debug)]
struct Active {
    pod: usize,
    call: Call,
    record: Option<usize>,
    outcome: Outcome,
    is_given_up: bool,
    /// A stop that goes on although the process has ended.
    is_late: bool,
}

#[derive(Debug)]
pub(super) struct Runtime<'a> {
    case: &'a Value,
    /// What is recorded: asked for what is left to chance.
    outcome: &'a Value,
    names: Interner,
    node: NodeSpec,
    pub(super) now: SimTime,
    pub(super) pods: Vec<PodRow>,
    slots: BTreeMap<Slot, usize>,
    /// The pod whose slot is not known yet.
    pub(super) incoming: Option<usize>,
    agenda: BTreeMap<(SimTime, u8, u64), Happening>,
    planned: u64,
    active: BTreeMap<u64, Active>,
    /// Recorded draws of each pod.
    pub(super) draws: BTreeMap<String, VecDeque<(SimTime, Duration)>>,
    images: BTreeSet<String>,
    pulls: BTreeMap<String, usize>,
    addresses: BTreeSet<u32>,
    told: Told,
}

pub(super) fn millis(at: SimTime) -> u64 {
    at.since_start().whole_millis()
}

/// The entry of this number, or the last.
fn nth(list: &Value, at: usize) -> &Value {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.get(at).or(list.last()).unwrap_or(&Value::Null)
}

impl<'a> Runtime<'a> {
    pub(super) fn new(
        case: &'a Value,
        outcome: &'a Value,
        node: NodeSpec,
        names: Interner,
    ) -> Self {
        let images = case["images"].as_object().into_iter().flatten();
        let present = images.filter(|(_, image)| image["present"] == true);
        Self {
            case,
            outcome,
            names,
            node,
            now: SimTime::default(),
            pods: Vec::new(),
            slots: BTreeMap::new(),
            incoming: None,
            agenda: BTreeMap::new(),
            planned: 0,
            active: BTreeMap::new(),
            draws: BTreeMap::new(),
            images: present.map(|(name, _)| name.clone()).collect(),
            pulls: BTreeMap::new(),
            addresses: BTreeSet::new(),
            told: Told::default(),
        }
    }

    pub(super) fn plan(&mut self, at: SimTime, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at, happening.rank(), self.planned), happening);
    }

    pub(super) fn next_at(&self) -> Option<SimTime> {
        self.agenda.keys().next().map(|(at, ..)| *at)
    }

    pub(super) fn pop(&mut self, now: SimTime) -> Option<Happening> {
        let first = self.agenda.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// The pod of this name that the API has.
    pub(super) fn live(&self, name: &str) -> Option<usize> {
        self.pods.iter().rposition(|row| row.key == name).filter(|at| !self.pods[*at].is_gone)
    }

    /// Whether the API has an object of this name.
    fn live_name(&self, name: &str) -> bool {
        self.pods.iter().any(|row| row.name == name && !row.is_gone)
    }

    /// The next recorded write of the kubelet for a pod, from now on.
    fn next_recorded(&self, pod: usize) -> impl Iterator<Item = (u64, &Value)> {
        let (now, name) = (millis(self.now), &self.pods[pod].name);
        let ours = move |write: &&Value| {
            write["by"] == "kubelet"
                && write["pod"] == **name
                && write["t"].as_u64().is_some_and(|t| t >= now)
        };
        let writes = self.outcome["api"].as_array().map_or(&[][..], Vec::as_slice);
        writes.iter().filter(ours).map(|write| (write["t"].as_u64().unwrap_or(0), write))
    }

    pub(super) fn create(&mut self, name: &str) -> usize {
        let manifest = self.case["pods"][name].clone();
        let spec = lower(&manifest, &mut self.names);
        let count = spec.init_containers.len() + spec.containers.len();
        let own = text(&manifest["metadata"], "name").map(str::to_owned);
        self.pods.push(PodRow {
            key: name.to_owned(),
            name: own.unwrap_or_else(|| name.to_owned()),
            manifest,
            spec: Arc::new(spec),
            slot: None,
            generation: 1,
            deletion: None,
            is_gone: false,
            is_terminal: false,
            status: json!({}),
            sandbox_failures: 0,
            containers: (0..count).map(|_| Row::default()).collect(),
        });
        self.pods.len() - 1
    }

    pub(super) fn bind(&mut self, slot: Slot) {
        if let Some(at) = self.incoming.take() {
            self.slots.insert(slot, at);
            self.pods[at].slot = Some(slot);
        }
    }

    fn at(&mut self, slot: Slot) -> usize {
        if !self.slots.contains_key(&slot) {
            self.bind(slot);
        }
        self.slots[&slot]
    }

    /// The end: calls under way have none.
    pub(super) fn finish(self) -> Told {
        self.told
    }

    fn container(&self, pod: usize, container: u8) -> &Value {
        let spec = &self.pods[pod].manifest["spec"];
        let inits = spec["initContainers"].as_array().map_or(0, Vec::len);
        let at = usize::from(container);
        if at < inits { &spec["initContainers"][at] } else { &spec["containers"][at - inits] }
    }

    fn name_of(&self, pod: usize, container: u8) -> &str {
        self.container(pod, container)["name"].as_str().expect("a name")
    }

    /// What the container does in its present run.
    fn behaviour(&self, pod: usize, container: u8) -> &Value {
        let key = format!("{}/{}", self.pods[pod].name, self.name_of(pod, container));
        let created = self.pods[pod].containers[usize::from(container)].created;
        nth(&self.case["behaviour"][&key], created.saturating_sub(1))
    }

    fn record(&mut self, pod: usize, call: &str, more: &Value) -> usize {
        let mut record = json!({"t": millis(self.now), "call": call, "pod": self.pods[pod].name});
        for (key, value) in more.as_object().into_iter().flatten() {
            record[key] = value.clone();
        }
        self.told.cri.push(record);
        self.told.cri.len() - 1
    }

    /// A process ends: gives whose, if it ran still.
    pub(super) fn exit(
        &mut self,
        pod: usize,
        container: u8,
        run: usize,
        exit: Exit,
    ) -> Option<Slot> {
        let now = self.now;
        let row = &mut self.pods[pod].containers[usize::from(container)];
        if !row.is_running || row.created != run {
            return None;
        }
        row.is_running = false;
        row.ended = now;
        let attempt = row.attempt;
        let name = self.name_of(pod, container).to_owned();
        let more = json!({"container": name, "attempt": attempt, "exit": exit.code});
        self.record(pod, "exit", &more);
        let mut over = Vec::new();
        for (number, active) in &mut self.active {
            if active.pod != pod {
                continue;
            }
            match active.call {
                Call::Stop { container: c, .. } if c == container && !active.is_late => {
                    over.push(*number);
                }
                Call::Probe { container: c, .. } | Call::Hook { container: c, .. }
                    if c == container && active.record.is_some() =>
                {
                    active.outcome = Outcome::Exit(137);
                    over.push(*number);
                }
                _ => {}
            }
        }
        for number in over {
            self.plan(self.now, Happening::Done { number });
        }
        self.pods[pod].slot
    }

    /// A call is over: gives whose and how, if anybody waits for it.
    pub(super) fn done(&mut self, number: u64) -> Option<(Slot, Call, Outcome)> {
        let active = self.active.remove(&number)?;
        let Active { pod, call, record, mut outcome, is_given_up, .. } = active;
        if let Some(record) = record {
            let record = &mut self.told.cri[record];
            record["end"] = json!(millis(self.now));
            close(record, outcome);
        }
        self.settle(pod, call, &mut outcome);
        let slot = self.pods[pod].slot?;
        (!is_given_up).then_some((slot, call, outcome))
    }

    /// The address of a new sandbox: pods of one instant get theirs in any order.
    fn address(&mut self, pod: usize) -> u32 {
        let number = |write: &Value| -> Option<u32> {
            let last = write["status"]["ip"].as_str()?.rsplit('.').next()?;
            last.parse::<u32>().ok()?.checked_sub(1)
        };
        let known = self.next_recorded(pod).filter_map(|(_, write)| number(write));
        let known = known.into_iter().find(|number| !self.addresses.contains(number));
        let next = self.addresses.last().map_or(1, |last| last + 1);
        let address = known.unwrap_or(next);
        self.addresses.insert(address);
        address
    }

    /// What the end of a call does to the runtime.
    fn settle(&mut self, pod: usize, call: Call, outcome: &mut Outcome) {
        match (call, *outcome) {
            (Call::RunSandbox { .. }, Outcome::Ok) => {
                *outcome = Outcome::Sandbox(self.address(pod));
            }
            (Call::Start { container, attempt }, Outcome::Ok) => {
                let now = self.now;
                let row = &mut self.pods[pod].containers[usize::from(container)];
                (row.is_running, row.started, row.attempt) = (true, now, attempt);
                let run = row.created;
                let does = self.behaviour(pod, container);
                let exit = exit_of(does, "exit", does["reason"].as_str());
                let lasts = does["run_ms"].as_u64();
                if let Some(lasts) = lasts {
                    let exit = Happening::Exit { pod, container, run, exit };
                    self.plan(now.saturating_add(Duration::ms(lasts)), exit);
                }
            }
            (Call::Pull { image, .. }, Outcome::Ok) => {
                self.images.insert(self.names.resolve(image).to_owned());
            }
            _ => {}
        }
    }

    /// How long a call takes, how it ends, and its record.
    fn open(&mut self, pod: usize, call: Call) -> (Option<Duration>, Outcome, Option<usize>) {
        let runtime = &self.case["runtime"];
        let failing = |fails: bool| if fails { Outcome::Failed } else { Outcome::Ok };
        match call {
            Call::RunSandbox { attempt } => {
                let record = self.record(pod, "RunPodSandbox", &json!({"attempt": attempt}));
                let row = &mut self.pods[pod];
                let fails = row.sandbox_failures < runtime["sandbox_fail"].as_i64().unwrap_or(0);
                row.sandbox_failures += i64::from(fails);
                (Some(ms(runtime, "sandbox_ms")), failing(fails), Some(record))
            }
            Call::StopSandbox => {
                let record = self.record(pod, "StopPodSandbox", &Value::Null);
                (Some(ms(runtime, "sandbox_stop_ms")), Outcome::Ok, Some(record))
            }
            Call::Create { container, attempt } => {
                self.pods[pod].containers[usize::from(container)].created += 1;
                let record = self.of_container(pod, "CreateContainer", container, attempt);
                let fails = self.behaviour(pod, container)["create_error"] == true;
                (Some(ms(runtime, "create_ms")), failing(fails), Some(record))
            }
            Call::Start { container, attempt } => {
                let record = self.of_container(pod, "StartContainer", container, attempt);
                let fails = self.behaviour(pod, container)["start_error"] == true;
                (Some(ms(runtime, "start_ms")), failing(fails), Some(record))
            }
            // The recorder's runtime notes no stop of what has ended already.
            Call::Stop { container, .. }
                if !self.pods[pod].containers[usize::from(container)].is_running =>
            {
                (Some(Duration::ZERO), Outcome::Ok, None)
            }
            Call::Stop { container, attempt, timeout } => {
                let record = self.of_container(pod, "StopContainer", container, attempt);
                self.told.cri[record]["timeout"] = json!(timeout.whole_secs());
                (self.stop(pod, container, timeout), Outcome::Ok, Some(record))
            }
            Call::Remove { container, attempt } => {
                self.of_container(pod, "RemoveContainer", container, attempt);
                (Some(Duration::ZERO), Outcome::Ok, None)
            }
            Call::Pull { image, .. } => self.pull(pod, image),
            Call::Probe { container, which, attempt, timeout } => {
                let key = match which {
                    Which::Readiness => "readinessProbe",
                    Which::Liveness => "livenessProbe",
                    Which::Startup => "startupProbe",
                };
                let exec = self.container(pod, container)[key].clone();
                self.exec((pod, container), Some(attempt), &exec, Some(timeout))
            }
            Call::Hook { container, is_post_start } => {
                let key = if is_post_start { "postStart" } else { "preStop" };
                let hook = self.container(pod, container)["lifecycle"][key].clone();
                if let Some(secs) = hook["sleep"]["seconds"].as_u64() {
                    return (Some(Duration::secs(secs)), Outcome::Ok, None);
                }
                self.exec((pod, container), None, &hook, None)
            }
            Call::Get => {
                let row = &self.pods[pod];
                let found = match (row.is_gone, self.live_name(&row.name)) {
                    (false, _) => Outcome::Ok,
                    (true, false) => Outcome::Failed,
                    (true, true) => Outcome::Replaced,
                };
                (Some(ms(&self.case["kubelet"], "api_ms")), found, None)
            }
            Call::Patch => panic!("a patch has its status"),
            Call::Delete => (Some(self.delete(pod)), Outcome::Ok, None),
        }
    }

    fn of_container(&mut self, pod: usize, call: &str, container: u8, attempt: u32) -> usize {
        let name = self.name_of(pod, container).to_owned();
        self.record(pod, call, &json!({"container": name, "attempt": attempt}))
    }

    /// Until when the stop lasts; `None`: until the process ends.
    fn stop(&mut self, pod: usize, container: u8, timeout: Duration) -> Option<Duration> {
        let row = &self.pods[pod].containers[usize::from(container)];
        if !row.is_running {
            return Some(Duration::ZERO);
        }
        let run = row.created;
        let does = self.behaviour(pod, container);
        let heeds = if does.is_null() { Some(0) } else { does["term_ms"].as_u64() };
        let heeds = heeds.map(Duration::ms).filter(|after| {
            *after <= timeout && does["term_exit"].as_i64().is_none_or(|code| code >= 0)
        });
        let kill = || timeout + ms(&self.case["runtime"], "kill_ms");
        // Both at once: the recording says which came first.
        let is_late = heeds == Some(timeout) && self.recorded_late(pod, container, kill());
        let exit = match heeds {
            Some(_) => exit_of(does, "term_exit", None),
            None => Exit { code: 137, reason: "Error" },
        };
        let after = heeds.unwrap_or_else(kill);
        self.plan(self.now.saturating_add(after), Happening::Exit { pod, container, run, exit });
        if is_late {
            return Some(kill());
        }
        None
    }

    /// Whether the recording has an exec that began at the instant of the exit, but before it.
    fn recorded_killed(&self, ours: &Value) -> bool {
        self.outcome["cri"].as_array().into_iter().flatten().any(|call| {
            let is_same = |key: &str| call[key] == ours[key];
            ["t", "pod", "container", "attempt", "cmd"].into_iter().all(is_same)
                && call["exit"] == 137
        })
    }

    /// Whether a stop that begins now is recorded to have taken so long.
    fn recorded_late(&self, pod: usize, container: u8, took: Duration) -> bool {
        let (now, end) = (millis(self.now), millis(self.now.saturating_add(took)));
        let (pod, container) = (&*self.pods[pod].name, self.name_of(pod, container));
        self.outcome["cri"].as_array().into_iter().flatten().any(|call| {
            call["call"] == "StopContainer"
                && call["pod"] == *pod
                && call["container"] == *container
                && call["t"] == now
                && call["end"] == end
        })
    }

    fn pull(&mut self, pod: usize, image: Symbol) -> (Option<Duration>, Outcome, Option<usize>) {
        let name = self.names.resolve(image).to_owned();
        let record = self.record(pod, "PullImage", &json!({"image": name}));
        let does = &self.case["images"][&name];
        let attempt = self.pulls.entry(name).or_default();
        let takes = nth(&does["pull_ms"], *attempt).as_u64().unwrap_or(100);
        let fails = nth(&does["fail"], *attempt) == true;
        *attempt += 1;
        let outcome = if fails { Outcome::Failed } else { Outcome::Ok };
        (Some(Duration::ms(takes)), outcome, Some(record))
    }

    fn exec(
        &mut self,
        (pod, container): (usize, u8),
        run: Option<u32>,
        handler: &Value,
        timeout: Option<Duration>,
    ) -> (Option<Duration>, Outcome, Option<usize>) {
        let command = handler["exec"]["command"][0].as_str().unwrap_or_default().to_owned();
        let row = &self.pods[pod].containers[usize::from(container)];
        let attempt = run.unwrap_or(row.attempt);
        let row_ended = row.ended;
        let (started, is_running) = (row.started, row.is_running && row.attempt == attempt);
        let record = self.of_container(pod, "ExecSync", container, attempt);
        self.told.cri[record]["cmd"] = json!(command);
        if let Some(timeout) = timeout {
            self.told.cri[record]["timeout_ms"] = json!(timeout.whole_millis());
        }
        if !is_running {
            let ended_now = row_ended == self.now && self.recorded_killed(&self.told.cri[record]);
            let outcome = if ended_now { Outcome::Exit(137) } else { Outcome::NotRunning };
            return (Some(Duration::ZERO), outcome, Some(record));
        }
        let age = self.now.saturating_since(started).whole_millis();
        let answers = self.behaviour(pod, container)["exec"][&command].as_array();
        let reached = |answer: &&Value| answer["from_ms"].as_u64().unwrap_or(0) <= age;
        let answer = answers.into_iter().flatten().rfind(reached).unwrap_or(&Value::Null);
        let takes = match answer["dur_ms"].as_i64() {
            Some(takes) => u64::try_from(takes).ok().map(Duration::ms),
            None => Some(Duration::ZERO),
        };
        if let Some(timeout) = timeout.filter(|timeout| takes.is_none_or(|takes| takes > *timeout))
        {
            return (Some(timeout), Outcome::TimedOut, Some(record));
        }
        let code = answer["exit"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
        let outcome = match code {
            _ if answer["error"] == true => Outcome::Errored,
            0 => Outcome::Ok,
            code => Outcome::Exit(code),
        };
        (takes, outcome, Some(record))
    }

    fn delete(&mut self, pod: usize) -> Duration {
        let row = &mut self.pods[pod];
        let mut write = json!({"t": millis(self.now), "pod": row.name, "verb": "delete"});
        if row.is_gone {
            write["error"] = json!(format!("pods \"{}\" not found", row.name));
        } else {
            write["removed"] = json!(true);
            row.is_gone = true;
            self.plan(self.now, Happening::Gone { pod });
        }
        self.told.api.push(write);
        ms(&self.case["kubelet"], "api_ms")
    }
}

fn exit_of(does: &Value, key: &str, reason: Option<&str>) -> Exit {
    let code = does[key].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
    let reason = match (reason, code) {
        (Some("OOMKilled"), _) => "OOMKilled",
        (_, 0) => "Completed",
        _ => "Error",
    };
    Exit { code, reason }
}

/// Notes in its record how a call ended.
fn close(record: &mut Value, outcome: Outcome) {
    let is_exec = record["call"] == "ExecSync";
    match outcome {
        Outcome::Ok if is_exec => record["exit"] = json!(0),
        Outcome::Exit(code) => record["exit"] = json!(code),
        Outcome::TimedOut => record["timed_out"] = json!(true),
        Outcome::Cancelled => record["canceled"] = json!(true),
        Outcome::Failed | Outcome::NotRunning | Outcome::Errored => record["error"] = json!(true),
        Outcome::Ok | Outcome::Sandbox(_) | Outcome::Replaced => {}
    }
}

impl Host for Runtime<'_> {
    fn begin(&mut self, slot: Slot, call: Call) -> Option<Outcome> {
        let pod = self.at(slot);
        let (takes, outcome, record) = self.open(pod, call);
        self.planned += 1;
        let number = self.planned;
        let is_late = matches!(call, Call::Stop { .. }) && takes.is_some();
        let active = Active { pod, call, record, outcome, is_given_up: false, is_late };
        self.active.insert(number, active);
        let waits = matches!(call, Call::Probe { .. }) && outcome != Outcome::NotRunning;
        match takes {
            Some(Duration::ZERO) if !waits => self.done(number).map(|(.., outcome)| outcome),
            Some(takes) => {
                self.plan(self.now.saturating_add(takes), Happening::Done { number });
                None
            }
            None => None,
        }
    }

    fn begin_patch(&mut self, slot: Slot, status: &Status) -> Option<Outcome> {
        let pod = self.at(slot);
        let takes = ms(&self.case["kubelet"], "api_ms");
        let row = &mut self.pods[pod];
        let mut write = json!({
            "t": millis(self.now), "pod": row.name, "verb": "patch", "sub": "status",
        });
        let outcome = if row.is_gone {
            write["error"] = json!(format!("pods \"{}\" not found", row.name));
            Outcome::Failed
        } else {
            let written = render::status(status, &row.manifest);
            row.is_terminal = status.phase.is_terminal();
            row.status["written"] = written.clone();
            write["status"] = written;
            Outcome::Ok
        };
        self.told.api.push(write);
        self.planned += 1;
        let number = self.planned;
        let (call, record) = (Call::Patch, None);
        self.active.insert(
            number,
            Active { pod, call, record, outcome, is_given_up: false, is_late: false },
        );
        if takes.is_zero() {
            return self.done(number).map(|(.., outcome)| outcome);
        }
        self.plan(self.now.saturating_add(takes), Happening::Done { number });
        None
    }

    fn cancel(&mut self, slot: Slot, call: Call) {
        let pod = self.at(slot);
        let is_same = |other: Call| match (other, call) {
            (
                Call::Probe { container: one, which: a, .. },
                Call::Probe { container: other, which: b, .. },
            ) => (one, a) == (other, b),
            _ => other == call,
        };
        let is_it = |active: &Active| active.pod == pod && is_same(active.call);
        let found = self.active.iter().find(|(_, a)| is_it(a) && !a.is_given_up);
        let Some(number) = found.map(|(number, _)| *number) else { return };
        let active = self.active.get_mut(&number).expect("just found");
        active.is_given_up = true;
        if matches!(call, Call::Probe { .. }) {
            active.outcome = Outcome::Cancelled;
            self.done(number);
        }
    }

    fn event(&mut self, slot: Slot, container: Option<u8>, say: Say) {
        let pod = self.at(slot);
        let own = container.map(|container| self.container(pod, container).clone());
        let mut event = render::event(say, own.as_ref(), &self.pods[pod].manifest);
        event["t"] = json!(millis(self.now));
        event["pod"] = json!(self.pods[pod].name);
        if let (Some(own), Some(at)) = (&own, container) {
            let inits = self.pods[pod].spec.init_containers.len();
            let list = if usize::from(at) < inits { "initContainers" } else { "containers" };
            let name = own["name"].as_str().unwrap_or_default();
            event["field"] = json!(format!("spec.{list}{{{name}}}"));
        }
        self.told.events.push(event);
    }

    fn requeue(&mut self, slot: Slot, base: Duration) -> Duration {
        let pod = self.at(slot);
        let (now, most) = (self.now, base + base / 2);
        let draws = self.draws.entry(self.pods[pod].name.clone()).or_default();
        let found = draws
            .iter()
            .position(|(at, after)| millis(*at) == millis(now) && *after >= base && *after <= most);
        let drawn = found.and_then(|found| draws.remove(found));
        let after = drawn.map(|(_, after)| after.whole_millis());
        let name = self.pods[pod].name.clone();
        self.told.draws.push(json!({"t": millis(now), "pod": name, "after_ms": after}));
        drawn.map_or_else(|| base + base / 4, |(_, after)| after)
    }

    fn next_write(&mut self, waiting: &[Slot]) -> usize {
        let due = millis(self.now.saturating_add(ms(&self.case["kubelet"], "api_ms")));
        let next = |slot: &Slot| {
            let pod = self.slots[slot];
            if self.pods[pod].is_gone {
                return u64::MAX;
            }
            let first = self.next_recorded(pod).find(|(at, _)| *at >= due);
            first.map_or(u64::MAX, |(at, _)| at)
        };
        let times: Vec<u64> = waiting.iter().map(next).collect();
        let exact = times.iter().position(|at| *at == due);
        // Who is written at another time was found up to date.
        exact.or_else(|| (0..times.len()).max_by_key(|at| times[*at])).unwrap_or(0)
    }

    fn poke_sees(&mut self, slot: Slot, container: u8) -> bool {
        let pod = self.at(slot);
        let own = self.container(pod, container);
        if own["readinessProbe"]["initialDelaySeconds"].as_u64().unwrap_or(0) > 0 {
            return true;
        }
        let command = &own["readinessProbe"]["exec"]["command"][0];
        let row = &self.pods[pod].containers[usize::from(container)];
        let (now, name, pod) = (millis(self.now), &own["name"], &*self.pods[pod].name);
        !row.is_running
            || self.outcome["cri"].as_array().into_iter().flatten().any(|call| {
                call["t"] == now
                    && call["cmd"] == *command
                    && call["pod"] == *pod
                    && call["container"] == *name
                    && call["attempt"] == row.attempt
            })
    }

    fn comes_apart(&mut self, slot: Slot, ours: bool) -> bool {
        let pod = self.at(slot);
        let phase = self.case["kubelet"]["pleg_phase_ms"].as_u64().unwrap_or(0);
        let now = millis(self.now);
        let relist = now + 1 + (phase + 999 - now % 1000) % 1000;
        let draws = self.draws.get(&self.pods[pod].name);
        let at = |when: u64| draws.is_some_and(|d| d.iter().any(|(at, _)| millis(*at) == when));
        if !ours && !at(now) {
            return false;
        }
        at(relist) && at(relist + 1000)
    }

    fn next_relist(&mut self, asking: &[Slot]) -> usize {
        let now = millis(self.now);
        let draws = |slot: &Slot| {
            let draws = self.draws.get(&self.pods[self.slots[slot]].name);
            draws.is_some_and(|draws| draws.iter().any(|(at, _)| millis(*at) == now))
        };
        asking.iter().position(draws).unwrap_or(0)
    }

    fn unmounts_late(&mut self, slot: Slot) -> bool {
        let pod = self.at(slot);
        let kubelet = &self.case["kubelet"];
        let phase = kubelet["pleg_phase_ms"].as_u64().unwrap_or(0);
        let now = millis(self.now);
        let relist = now + 1 + (phase + 999 - now % 1000) % 1000;
        let gone = self.next_recorded(pod).find(|(_, write)| write["verb"] == "delete");
        gone.is_some_and(|(at, _)| at >= relist + 300)
    }

    fn has_more_now(&mut self) -> bool {
        self.next_at().is_some_and(|next| next <= self.now)
    }

    fn joins_batch(&mut self, slot: Slot, batch: &[Slot]) -> bool {
        let own = self.at(slot);
        let due = millis(self.now) + ms(&self.case["kubelet"], "api_ms").whole_millis();
        let mut seen: Vec<usize> = Vec::new();
        for write in self.outcome["api"].as_array().into_iter().flatten() {
            if write["by"] != "kubelet" || write["t"].as_u64().is_none_or(|t| t < due) {
                continue;
            }
            let pods = batch.iter().map(|slot| self.slots[slot]);
            let pod = pods.rev().find(|pod| write["pod"] == *self.pods[*pod].name);
            match pod {
                Some(pod) if pod == own => return true,
                // The next batch has begun.
                Some(pod) if seen.contains(&pod) && write["verb"] != "delete" => return false,
                None => return false,
                Some(pod) => seen.push(pod),
            }
        }
        true
    }

    fn writes_now(&mut self, slot: Slot, status: &Status, is_last: bool) -> bool {
        let pod = self.at(slot);
        let api = ms(&self.case["kubelet"], "api_ms");
        let due = millis(self.now.saturating_add(api));
        let mut recorded = self.next_recorded(pod).skip_while(|(at, _)| *at < due);
        let Some((at, write)) = recorded.next() else { return false };
        let (api, pods) = (api.whole_millis(), self.slots.len() as u64);
        // What comes of the rest of this instant is written right after.
        let soon =
            |at: u64| if pods == 1 { at == due + 2 * api } else { at <= due + 2 * api * pods };
        let written = render::status(status, &self.pods[pod].manifest);
        if write["verb"] == "delete" {
            // It is up to date as it is, and written again once it is the last one.
            let is_same = self.pods[pod].status["written"] == written;
            return is_same && !is_last && at == due + api;
        }
        if at != due || render::strip_write(write.clone())["status"] != written {
            return false;
        }
        let Some((at, write)) = recorded.next() else { return false };
        if write["verb"] == "delete" && at == due + api {
            return is_last;
        }
        soon(at) && !is_last
    }

    fn has_volumes(&mut self, slot: Slot) -> bool {
        let pod = self.at(slot);
        let volumes = self.pods[pod].manifest["spec"]["volumes"].as_array();
        volumes.is_some_and(|volumes| !volumes.is_empty())
    }

    fn has_image(&mut self, image: Symbol) -> bool {
        self.images.contains(self.names.resolve(image))
    }

    fn probe_heeds_cancel(&mut self, _slot: Slot, _container: u8, _which: Which) -> bool {
        self.case["runtime"]["exec_ignores_cancel"] != true
    }

    fn rejection(&mut self, slot: Slot, others: &[Slot]) -> Option<Rejection> {
        let pod = self.at(slot);
        let others: Vec<_> = others.iter().map(|other| (*other, self.at(*other))).collect();
        let others: Vec<_> =
            others.iter().map(|(slot, at)| (*slot, &*self.pods[*at].spec)).collect();
        admit::rejection(&self.pods[pod].spec, &others, &self.node, false, &self.names)
    }

    fn forgotten(&mut self, slot: Slot) {
        if let Some(at) = self.slots.remove(&slot) {
            self.pods[at].slot = None;
        }
    }
}
