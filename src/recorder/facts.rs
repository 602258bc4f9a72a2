//! What a run leaves in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime};
use crate::model::{Model, ServiceId, Workload};
use crate::record::{
    CallRecord, CommandRecord, ConfigRecord, DrainRecord, Fate, GroupRecord, NamespaceRecord,
    PodRecord, RolloutRecord, ScaleRecord, ScriptRecord, VerticalRecord,
};

use super::{JobTally, MachineFacts, PodFacts, PressureTally, Samples, ServiceCalls};

/// What a run leaves in memory: bounded by its length and the number of workloads.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What was run.
    pub model: Arc<Model>,
    /// When it ended.
    pub ended: SimTime,
    /// How many events happened.
    pub events: u64,
    /// The calls of each Service.
    pub services: IdVec<ServiceId, ServiceCalls>,
    /// Failed calls in the order of their ends, the first 100,000.
    pub failures: Vec<CallRecord>,
    /// How many more there were.
    pub failures_dropped: u64,
    /// Serial and deletion of pods of Deployments and ReplicaSets, by serial.
    pub deletions: Vec<(u64, SimTime)>,
    /// Pods.
    pub pods: PodFacts,
    /// What nodes ran out of.
    pub pressure: PressureTally,
    /// Machines, and what they cost.
    pub machines: MachineFacts,
    /// Steps of autoscalers.
    pub scales: Vec<ScaleRecord>,
    /// What VerticalPodAutoscalers did.
    pub verticals: Vec<VerticalRecord>,
    /// Steps of Cluster Autoscaler.
    pub groups: Vec<GroupRecord>,
    /// Why no node group helped pods, as Cluster Autoscaler says it, and of how many pods it said
    /// so.
    pub unhelped: BTreeMap<String, u64>,
    /// Rollouts in the order of their starts; the first revision of a workload is one too.
    pub rollouts: Vec<Rollout>,
    /// Jobs, and CronJobs with all of theirs.
    pub jobs: BTreeMap<Workload, JobTally>,
    /// Commands of the timeline in the order of their starts.
    pub commands: Vec<CommandRecord>,
    /// Scripts that have ended.
    pub scripts: Vec<ScriptRecord>,
    /// Drains of nodes, in the order of their ends.
    pub drains: Vec<DrainRecord>,
    /// Namespaces that were deleted, in the order of their ends.
    pub namespaces: Vec<NamespaceRecord>,
    /// What became of ConfigMaps and Secrets that changed, in pods.
    pub configs: Vec<ConfigRecord>,
    /// The series of the whole cluster.
    pub samples: Samples,
    /// The life of every pod, in the order of their ends, if the recorder kept them
    /// ([`Recorder::keeping_pods`](super::Recorder::keeping_pods)).
    pub lives: Vec<PodRecord>,
    /// What could not be written.
    pub trouble: Vec<String>,
}

impl Facts {
    /// Nothing happened yet.
    #[must_use]
    pub fn empty(model: &Arc<Model>) -> Self {
        super::Kept::new(model, super::RowSinks::default()).facts(&model.names, SimTime::ZERO, 0)
    }

    /// How long after its pod's deletion a call failed: when it ended, or started if it got no
    /// answer; `None`: there was no pod, or it was not being deleted.
    #[must_use]
    pub fn after_deletion(&self, call: &CallRecord) -> Option<Duration> {
        let serial = call.pod?;
        let at = self.deletions.binary_search_by_key(&serial, |(pod, _)| *pod);
        let (_, deleted) = self.deletions[at.ok()?];
        let end = match call.fate {
            Fate::TimedOut => call.start,
            Fate::Ok | Fate::Refused | Fate::Reset | Fate::NoEndpoint | Fate::ServerError => {
                call.start.saturating_add(call.latency)
            }
        };
        end.checked_since(deleted)
    }
}

/// One rollout of one Deployment, StatefulSet or DaemonSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Whose.
    pub workload: Workload,
    /// The revision that it leads to.
    pub revision: u32,
    /// When the new template was seen.
    pub started: SimTime,
    /// When all pods were new and available.
    pub completed: Option<SimTime>,
    /// When the progress deadline passed.
    pub deadline_exceeded: Option<SimTime>,
    /// When the last pod of another revision was gone.
    pub old_gone: Option<SimTime>,
    /// Whether pods of another revision were still ending when the run ended.
    pub old_left: bool,
}

/// How long after the last old pod failures still belong to a rollout: connections and proxies
/// that have not heard of it.
const TAIL: Duration = Duration::secs(5);

impl Rollout {
    /// A rollout that begins.
    #[must_use]
    pub const fn started(row: &RolloutRecord) -> Self {
        Self {
            workload: row.workload,
            revision: row.revision,
            started: row.at,
            completed: None,
            deadline_exceeded: None,
            old_gone: None,
            old_left: false,
        }
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.completed?.checked_since(self.started)
    }

    /// Until when the failures of calls belong to it: some seconds after it was complete and the
    /// last old pod was gone; `None` while that has not happened.
    #[must_use]
    pub fn settled(&self) -> Option<SimTime> {
        let completed = self.completed.filter(|_| !self.old_left)?;
        let last = self.old_gone.map_or(completed, |gone| gone.max(completed));
        Some(last.saturating_add(TAIL))
    }

    pub(super) fn old_pod_gone(&mut self, gone: Option<SimTime>) {
        match gone {
            Some(gone) => self.old_gone = self.old_gone.max(Some(gone)),
            None => self.old_left = true,
        }
    }
}
