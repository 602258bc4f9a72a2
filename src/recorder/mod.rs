//! The recorder: takes facts from a run, keeps bounded sums, streams rows.
//!
//! ```text
//! components ─call, pod, event, scale, rollout, command, sample─► Recorder ─┬─rows─► pods.csv, events.csv, failures.csv
//!                                                                           └─into_facts─► Facts (bounded)
//! ```
//!
//! A run writes here and never reads. What is kept is bounded by the length of the run and the
//! number of workloads, not by the number of pods or calls. It knows names only when it writes a
//! row, and no file: a row goes into any `io::Write`.

mod calls;
mod facts;
mod jobs;
mod machines;
mod pods;
mod pressure;
mod rows;
mod samples;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::base::{IdVec, Interner, SimTime, Symbol};
use crate::model::{Model, ServiceId, Workload, WorkloadKind};
use crate::record::{
    CallRecord, CommandRecord, ConfigRecord, DiskRecord, Distance, DrainRecord, EventRecord, Fate,
    GroupRecord, JobRecord, MachineRecord, NamespaceRecord, PodRecord, RolloutRecord, RolloutStep,
    Sample, ScaleRecord, ScriptRecord, VerticalRecord,
};

pub use calls::{CallCounts, Interval, IntervalLatency, ServiceCalls};
pub use facts::{Facts, Rollout};
pub use jobs::JobTally;
pub use machines::{FINE, MachineFacts, MachineTally, Spent};
pub use pods::{DiskTally, PodFacts, PodTally};
pub use pressure::PressureTally;
pub use rows::{RowSinks, secs};
pub use samples::{Gauge, PoolPoint, ReplicaPoint, SamplePoint, Samples, Spread};

/// Failed calls that are kept one by one; more are only counted.
const FAILURES_MAX: usize = 100_000;
/// Deleted pods whose deletion is remembered, for failures after it.
const DELETIONS_MAX: usize = 65_536;
/// Steps of autoscalers, of rollouts and of the timeline that are kept, of each.
const STEPS_MAX: usize = 100_000;

/// What a recorder is to do besides keeping sums.
#[derive(Debug, Default)]
pub struct Wants {
    /// Whether Kubernetes Events are wanted: their texts cost time.
    pub events: bool,
    /// Where rows go.
    pub rows: RowSinks,
}

/// Takes the facts of one run.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Whether Kubernetes Events are wanted: their texts cost time.
    wants_events: bool,
    /// `None`: everything is dropped.
    kept: Option<Box<Kept>>,
    /// Every call, for who wants to look at them one by one.
    every_call: Option<Vec<CallRecord>>,
    /// Kubernetes Events with these reasons, for who wants to look at them.
    some_events: Option<(&'static [&'static str], Vec<EventRecord>)>,
}

#[derive(Debug)]
struct Kept {
    model: Arc<Model>,
    /// What rolls out, of the model.
    rolling: BTreeSet<Workload>,
    rows: RowSinks,
    calls: IdVec<ServiceId, ServiceCalls>,
    failures: Vec<CallRecord>,
    /// How many calls failed so far.
    failed: u64,
    /// The lives of all pods, if they are wanted.
    lives: Option<Vec<PodRecord>>,
    failures_dropped: u64,
    deletions: VecDeque<(u64, SimTime)>,
    pods: PodFacts,
    pressure: PressureTally,
    machines: MachineFacts,
    scales: Vec<ScaleRecord>,
    verticals: Vec<VerticalRecord>,
    groups: Vec<GroupRecord>,
    unhelped: BTreeMap<String, u64>,
    rollouts: Vec<Rollout>,
    jobs: BTreeMap<Workload, JobTally>,
    commands: Vec<CommandRecord>,
    scripts: Vec<ScriptRecord>,
    drains: Vec<DrainRecord>,
    namespaces: Vec<NamespaceRecord>,
    configs: Vec<ConfigRecord>,
    samples: Samples,
}

impl Recorder {
    /// A recorder that keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// A recorder for one run of the model.
    #[must_use]
    pub fn new(model: &Arc<Model>, wants: Wants) -> Self {
        let kept = Kept::new(model, wants.rows);
        let wants_events = wants.events;
        Self { wants_events, kept: Some(Box::new(kept)), ..Self::default() }
    }

    /// Whether Kubernetes Events are wanted: ask before making a text.
    #[must_use]
    pub const fn wants_events(&self) -> bool {
        self.wants_events
    }

    /// Keeps the whole life of every pod in the facts: for who looks at a single call. Memory grows
    /// with the number of pods.
    #[must_use]
    pub fn keeping_pods(mut self) -> Self {
        if let Some(kept) = &mut self.kept {
            kept.lives = Some(Vec::new());
        }
        self
    }

    /// Keeps Kubernetes Events with these reasons until they are taken.
    #[must_use]
    pub fn keeping_events(self, reasons: &'static [&'static str]) -> Self {
        Self { wants_events: true, some_events: Some((reasons, Vec::new())), ..self }
    }

    /// Takes the Events kept so far.
    pub fn take_events(&mut self) -> Vec<EventRecord> {
        self.some_events.as_mut().map(|(_, all)| std::mem::take(all)).unwrap_or_default()
    }

    /// A pod is gone, or the run has ended.
    pub fn pod(&mut self, row: &PodRecord) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(lives) = &mut kept.lives {
            lives.push(row.clone());
        }
        kept.pods.add(row);
        kept.rows.pod(row);
        let serves = match row.workload.kind {
            WorkloadKind::Deployment
            | WorkloadKind::ReplicaSet
            | WorkloadKind::ReplicationController
            | WorkloadKind::StatefulSet
            | WorkloadKind::DaemonSet => true,
            WorkloadKind::Job
            | WorkloadKind::CronJob
            | WorkloadKind::Pod
            | WorkloadKind::Generator => false,
        };
        if serves {
            kept.replica(row);
        }
    }

    /// A machine is off, or the run has ended.
    pub fn machine(&mut self, row: &MachineRecord) {
        if let Some(kept) = &mut self.kept {
            kept.machines.add(row, kept.model.cloud.billed_min);
        }
    }

    /// A machine of this pool could not be had.
    pub fn machine_failed(&mut self, pool: Symbol) {
        if let Some(kept) = &mut self.kept {
            kept.machines.fail(pool);
        }
    }

    /// A pull of this image failed.
    pub fn failed_pull(&mut self, image: &str) {
        let Some(kept) = &mut self.kept else { return };
        count_one(&mut kept.pods.failed_pulls, image);
    }

    /// A sandbox could not be made on a node.
    pub fn failed_sandbox(&mut self, node: &str) {
        let Some(kept) = &mut self.kept else { return };
        count_one(&mut kept.pods.failed_sandboxes, node);
    }

    /// Where is counted what nodes run out of, if anything is kept.
    pub fn pressure(&mut self) -> Option<&mut PressureTally> {
        self.kept.as_mut().map(|kept| &mut kept.pressure)
    }

    /// A disk is attached to the node of a pod.
    pub fn disk(&mut self, row: DiskRecord) {
        if let Some(kept) = &mut self.kept {
            kept.pods.disks.add(row);
        }
    }

    /// The first disks that were attached, in order.
    #[must_use]
    pub fn disks(&self) -> &[DiskRecord] {
        self.kept.as_ref().map_or(&[], |kept| &kept.pods.disks.first)
    }

    /// A Kubernetes Event.
    pub fn event(&mut self, row: EventRecord) {
        if let Some((reasons, all)) = &mut self.some_events
            && reasons.contains(&row.reason)
        {
            all.push(row.clone());
        }
        if let Some(kept) = &mut self.kept {
            kept.rows.event(row);
        }
    }

    /// A recorder that keeps every call until they are taken, and nothing else.
    #[must_use]
    pub fn keeping_calls() -> Self {
        Self { every_call: Some(Vec::new()), ..Self::default() }
    }

    /// Takes the calls kept so far.
    pub fn take_calls(&mut self) -> Vec<CallRecord> {
        self.every_call.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A call has ended.
    #[inline]
    pub fn call(&mut self, row: &CallRecord) {
        if let Some(kept) = &mut self.kept {
            kept.call(row);
        } else if let Some(calls) = &mut self.every_call {
            calls.push(*row);
        }
    }

    /// A call that started at an instant has taken bytes over a distance.
    #[inline]
    pub fn bytes(&mut self, service: ServiceId, start: SimTime, distance: Distance, bytes: u64) {
        if let Some(kept) = &mut self.kept
            && let Some(calls) = kept.calls.get_mut(service)
        {
            calls.add_bytes(start, distance, bytes);
        }
    }

    /// An autoscaler has changed the number of replicas; one that nothing announced is not told
    /// of.
    pub fn scale(&mut self, row: ScaleRecord) {
        if let Some(kept) = &mut self.kept
            && row.hpa.index() < kept.model.hpas.len()
        {
            push_below(&mut kept.scales, row);
        }
    }

    /// A VerticalPodAutoscaler has recommended something else, or its updater has evicted.
    pub fn vertical(&mut self, row: VerticalRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.verticals, row);
        }
    }

    /// Cluster Autoscaler has done something with a node group.
    pub fn group(&mut self, row: GroupRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.groups, row);
        }
    }

    /// Cluster Autoscaler says why no node group helps a pod, or says something new of it.
    pub fn unhelped(&mut self, why: &str) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(count) = kept.unhelped.get_mut(why) {
            *count += 1;
        } else if kept.unhelped.len() < STEPS_MAX {
            kept.unhelped.insert(why.to_owned(), 1);
        }
    }

    /// A rollout has made a step; that of a workload that a command made is not told of.
    pub fn rollout(&mut self, row: RolloutRecord) {
        if let Some(kept) = &mut self.kept
            && kept.rolling.contains(&row.workload)
        {
            kept.rollout_step(row);
        }
    }

    /// Something happened to a Job or CronJob.
    pub fn job(&mut self, row: &JobRecord) {
        if let Some(kept) = &mut self.kept {
            kept.jobs.entry(row.workload).or_default().add(row);
        }
    }

    /// A command of the timeline was carried out or refused.
    pub fn command(&mut self, row: CommandRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.commands, row);
        }
    }

    /// A command of the timeline has ended: why it was refused, or what it printed last.
    pub fn command_ended(
        &mut self,
        entry: u32,
        at: SimTime,
        refused: Option<String>,
        said: String,
        is_asked: bool,
    ) {
        let kept = self.kept.as_mut().map(|kept| kept.commands.iter_mut().rev());
        if let Some(row) = kept.and_then(|mut rows| rows.find(|row| row.entry == entry)) {
            (row.ended, row.refused, row.said, row.is_asked) = (Some(at), refused, said, is_asked);
        }
    }

    /// A script has ended.
    pub fn script(&mut self, row: ScriptRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.scripts, row);
        }
    }

    /// A drain has ended, or the run has before it.
    pub fn drain(&mut self, row: DrainRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.drains, row);
        }
    }

    /// A namespace that was deleted is gone, or the run has ended before it.
    pub fn namespace(&mut self, row: NamespaceRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.namespaces, row);
        }
    }

    /// A pod has new files of a ConfigMap or Secret, or keeps its old values.
    pub fn config(&mut self, row: ConfigRecord) {
        if let Some(kept) = &mut self.kept {
            push_below(&mut kept.configs, row);
        }
    }

    /// What became of ConfigMaps and Secrets that changed, in order.
    #[must_use]
    pub fn configs(&self) -> &[ConfigRecord] {
        self.kept.as_ref().map_or(&[], |kept| &kept.configs)
    }

    /// A sample of the cluster.
    pub fn sample(&mut self, row: &Sample) {
        if let Some(kept) = &mut self.kept {
            kept.samples.add(row);
        }
    }

    /// Writes the rows that wait for their names. A run asks for it from time to time, so that few
    /// wait; `names` are those of the run.
    pub fn write_rows(&mut self, names: &Interner) {
        if let Some(kept) = &mut self.kept {
            kept.rows.write(names);
        }
    }

    /// Ends the recording: the last rows are written, what was kept is handed over. `None` of a
    /// recorder that is off. `names` are those of the run, `events` how many happened in it.
    #[must_use]
    pub fn into_facts(self, names: &Interner, ended: SimTime, events: u64) -> Option<Facts> {
        self.kept.map(|kept| kept.facts(names, ended, events))
    }
}

impl Kept {
    fn new(model: &Arc<Model>, rows: RowSinks) -> Self {
        let warmup = SimTime::at(model.run.warmup);
        let services = model.services.len();
        let calls = (0..services).map(|_| ServiceCalls::new(warmup, services));
        Self {
            model: Arc::clone(model),
            rolling: model.rolling().collect(),
            rows,
            calls: calls.collect::<Vec<_>>().into(),
            failures: Vec::new(),
            failed: 0,
            lives: None,
            failures_dropped: 0,
            deletions: VecDeque::new(),
            pods: PodFacts::default(),
            pressure: PressureTally::default(),
            machines: MachineFacts::default(),
            scales: Vec::new(),
            verticals: Vec::new(),
            groups: Vec::new(),
            unhelped: BTreeMap::new(),
            rollouts: Vec::new(),
            jobs: BTreeMap::new(),
            commands: Vec::new(),
            scripts: Vec::new(),
            drains: Vec::new(),
            namespaces: Vec::new(),
            configs: Vec::new(),
            samples: Samples::default(),
        }
    }

    fn facts(mut self, names: &Interner, ended: SimTime, events: u64) -> Facts {
        self.rows.write(names);
        self.samples.end(ended);
        self.pods.end(ended);
        self.machines.end(ended, self.model.cloud.billed_min);
        let mut deletions: Vec<(u64, SimTime)> = self.deletions.into();
        deletions.sort_unstable();
        Facts {
            model: self.model,
            ended,
            events,
            services: self.calls,
            failures: self.failures,
            failures_dropped: self.failures_dropped,
            deletions,
            pods: self.pods,
            pressure: self.pressure,
            machines: self.machines,
            scales: self.scales,
            verticals: self.verticals,
            groups: self.groups,
            unhelped: self.unhelped,
            rollouts: self.rollouts,
            jobs: self.jobs,
            commands: self.commands,
            scripts: self.scripts,
            drains: self.drains,
            namespaces: self.namespaces,
            configs: self.configs,
            samples: self.samples,
            lives: self.lives.unwrap_or_default(),
            trouble: self.rows.finish(),
        }
    }

    fn call(&mut self, row: &CallRecord) {
        if let Some(calls) = self.calls.get_mut(row.service) {
            calls.add(row);
        }
        if row.fate != Fate::Ok {
            self.failure(row);
        }
    }

    #[cold]
    fn failure(&mut self, row: &CallRecord) {
        self.failed += 1;
        self.rows.failure(self.failed, row, &self.model);
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(*row);
        } else {
            self.failures_dropped += 1;
        }
    }

    /// A pod that may have served calls: its deletion is remembered, and it may have been the last
    /// old one of a rollout.
    fn replica(&mut self, row: &PodRecord) {
        let Some(deleted) = row.deleted else { return };
        if self.deletions.len() == DELETIONS_MAX {
            self.deletions.pop_front();
        }
        self.deletions.push_back((row.serial, deleted));
        let mut latest = self.rollouts.iter_mut().rev();
        let Some(rollout) = latest.find(|r| r.workload == row.workload) else {
            return;
        };
        if row.revision != rollout.revision {
            rollout.old_pod_gone(row.gone);
        }
    }

    fn rollout_step(&mut self, row: RolloutRecord) {
        if row.step == RolloutStep::Started {
            push_below(&mut self.rollouts, Rollout::started(&row));
            return;
        }
        let same = |r: &&mut Rollout| r.workload == row.workload && r.revision == row.revision;
        let Some(rollout) = self.rollouts.iter_mut().rev().find(same) else {
            return;
        };
        match row.step {
            RolloutStep::Started => {}
            RolloutStep::Completed => rollout.completed = rollout.completed.or(Some(row.at)),
            RolloutStep::DeadlineExceeded => rollout.deadline_exceeded = Some(row.at),
        }
    }
}

/// One more of a name.
fn count_one(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

fn push_below<T>(rows: &mut Vec<T>, row: T) {
    if rows.len() < STEPS_MAX {
        rows.push(row);
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
