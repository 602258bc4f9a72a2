//! The runtime, image service and API server that a recorded kubelet talked to, as scripted.

mod calls;
mod host;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use seatrial::base::{Duration, Interner, SimTime};
use seatrial::kubelet::machine::{Call, Exit, Outcome, Slot};
use seatrial::model::NodeSpec;
use serde_json::{Value, json};

use super::super::corpus::text;
use super::{PodRow, Told, lower};

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
