//! The row of a pod.

use crate::base::{Duration, Ip, SimTime, Symbol};
use crate::model::{NodeId, OwnerRef, TemplateId, WorkloadKind};
use crate::record::PodName;

use super::Resize;

/// A pod as the API server keeps it.
///
/// ```text
/// created ──bind──► bound ──first container──► running ──exit──► succeeded | failed
///    │                │                           │                     │
///    └────────────────┴──delete──► deletion set ──┴──kubelet is done──► removed
/// ```
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its number in the run, in order of creation, never used again.
    pub serial: u64,
    /// Stands for the uid where its order matters: a hash of seed and serial.
    pub uid: u64,
    /// Its namespace.
    pub namespace: Symbol,
    /// Its name.
    pub name: PodName,
    /// Its template.
    pub template: TemplateId,
    /// The controller that owns it.
    pub owner: Option<OwnerRef>,
    /// Which kind of object made it.
    pub origin: WorkloadKind,
    /// Revision of its template; 0 where there are none.
    pub revision: u32,
    /// Its number among its owner's: the ordinal in a StatefulSet, the completion index in a Job.
    pub index: Option<u32>,
    /// The only node that it can go to: that of a DaemonSet's pod (rule C102).
    pub pinned: Option<NodeId>,
    /// Annotation `controller.kubernetes.io/pod-deletion-cost` (rule C74).
    pub deletion_cost: i32,
    /// Finalizer `batch.kubernetes.io/job-tracking`: the object stays until the Job controller
    /// has counted it (rule C116).
    pub is_tracked: bool,
    /// How often pods of its completion index failed before it (rule C128).
    pub index_failures: IndexFailures,
    /// The mirror of a static pod: its kubelet has it from a file, and the API cannot end it (rule
    /// N15).
    pub is_static: bool,
    /// Whether everything is done but for that finalizer.
    pub is_over: bool,
    /// How long its containers run before they exit 0; `None`: as their behaviours say.
    pub lifetime: Option<Duration>,
    /// When it was created.
    pub created: SimTime,
    /// Where it is bound.
    pub node: Option<NodeId>,
    /// When it was bound.
    pub bound: Option<SimTime>,
    /// What the kubelet says of it.
    pub status: PodStatus,
    /// When `status.ready` changed last.
    pub ready_changed: SimTime,
    /// When it was ready first.
    pub ready_first: Option<SimTime>,
    /// Its deletion, once asked for.
    pub deletion: Option<Deletion>,
    /// `status.nominatedNodeName`: where it is to go once its victims are gone.
    pub nominated: Option<NodeId>,
    /// Condition `DisruptionTarget`, by its reason.
    pub disruption: Option<Disruption>,
    /// When that condition was set or taken back.
    pub disruption_changed: SimTime,
    /// Why it could not be placed at the last attempt that failed; kept once it is placed.
    pub unschedulable: Option<Box<str>>,
    /// Containers that were killed because they took too much memory, and when.
    pub oom_kills: Vec<(Symbol, SimTime)>,
    /// A resize that is not complete (rule N104).
    pub resize: Option<Box<Resize>>,
    /// Conditions that others than the kubelet have set: type, and whether it is True (rule N88).
    pub conditions: Vec<(Symbol, bool)>,
}

/// The status that a kubelet writes, whole at each write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodStatus {
    /// Phase.
    pub phase: Phase,
    /// Condition Ready.
    pub ready: bool,
    /// `status.podIP`, once it is published.
    pub ip: Option<Ip>,
    /// `status.startTime`: when the kubelet took it.
    pub start_time: Option<SimTime>,
    /// When its first container ran.
    pub started: Option<SimTime>,
    /// When it ended.
    pub finished: Option<SimTime>,
    /// How often containers were started again.
    pub restarts: u32,
    /// Reason, as Kubernetes words it; empty if there is none.
    pub reason: &'static str,
    /// How containers ended.
    pub exits: Exits,
}

/// The containers of a pod that have ended with another code than 0: what a Job's failure policy
/// looks at (rule C129). More than four are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exits([Option<ContainerExit>; 4]);

/// The end of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerExit {
    /// Its place in the template: containers, then init containers.
    pub container: u8,
    /// The code.
    pub code: i32,
}

impl Exits {
    /// None.
    pub const NONE: Self = Self([None; 4]);

    /// Of these, in order; codes 0 are left out.
    #[must_use]
    pub fn of(ends: impl IntoIterator<Item = ContainerExit>) -> Self {
        let mut exits = Self::NONE;
        let failed = ends.into_iter().filter(|end| end.code != 0);
        for (place, end) in exits.0.iter_mut().zip(failed) {
            *place = Some(end);
        }
        exits
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = ContainerExit> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// How often pods of a completion index failed before this one: annotations that go from a failed
/// pod to its replacement (rule C128).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexFailures {
    /// Those that count.
    pub counted: u32,
    /// Those that the failure policy ignores.
    pub ignored: u32,
}

impl IndexFailures {
    /// None.
    pub const NONE: Self = Self { counted: 0, ignored: 0 };

    /// All of them.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.counted + self.ignored
    }
}

/// The phase of a pod (rule N89).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not all containers have run yet.
    Pending,
    /// At least one container runs or will run again.
    Running,
    /// All ended with 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
}

/// Reasons of the condition `DisruptionTarget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// The scheduler needs the place for another pod (rule S187).
    PreemptionByScheduler,
    /// Somebody evicts it through the API (rule C155).
    EvictionByEvictionApi,
    /// A taint that it does not tolerate (rule C171).
    DeletionByTaintManager,
    /// Its node is gone (rule C175).
    DeletionByPodGc,
    /// Its kubelet ends it.
    TerminationByKubelet,
}

impl Disruption {
    /// The reason as the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreemptionByScheduler => "PreemptionByScheduler",
            Self::EvictionByEvictionApi => "EvictionByEvictionAPI",
            Self::DeletionByTaintManager => "DeletionByTaintManager",
            Self::DeletionByPodGc => "DeletionByPodGC",
            Self::TerminationByKubelet => "TerminationByKubelet",
        }
    }
}

/// A deletion that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When.
    pub requested: SimTime,
    /// The grace.
    pub grace: Duration,
}

impl PodStatus {
    /// Of a pod that no kubelet has seen.
    pub const NEW: Self = Self {
        phase: Phase::Pending,
        ready: false,
        ip: None,
        start_time: None,
        started: None,
        finished: None,
        restarts: 0,
        reason: "",
        exits: Exits::NONE,
    };
}

impl Pod {
    /// Whether its phase is terminal.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self.status.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether controllers count it: not terminal and not being deleted.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.is_terminal() && self.deletion.is_none()
    }

    /// When `status.ready` changed last, as the API stores it: in whole seconds (rule C2).
    #[must_use]
    pub const fn ready_since(&self) -> SimTime {
        self.ready_changed.floor_secs()
    }

    /// Whether it has been ready for `min_ready` (rule C9).
    #[must_use]
    pub fn is_available(&self, min_ready: Duration, now: SimTime) -> bool {
        self.status.ready && self.ready_since() + min_ready <= now
    }
}

/// How many pods are in which state; kept up with every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCounts {
    /// Neither terminal nor being deleted.
    pub active: u32,
    /// Active and without a node.
    pub unbound: u32,
    /// In phase Running.
    pub running: u32,
    /// Active and ready.
    pub ready: u32,
    /// Being deleted and not terminal.
    pub terminating: u32,
    /// In a terminal phase.
    pub terminal: u32,
}

impl PodCounts {
    /// Adds a pod as it is now, or takes it away with −1.
    pub(super) fn add(&mut self, pod: &Pod, by: i32) {
        let add = |to: &mut u32, holds: bool| {
            *to = to.wrapping_add_signed(if holds { by } else { 0 });
        };
        let active = pod.is_active();
        add(&mut self.active, active);
        add(&mut self.unbound, active && pod.node.is_none());
        add(&mut self.running, pod.status.phase == Phase::Running);
        add(&mut self.ready, active && pod.status.ready);
        add(&mut self.terminal, pod.is_terminal());
        add(&mut self.terminating, !pod.is_terminal() && pod.deletion.is_some());
    }
}
