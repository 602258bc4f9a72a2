//! All that did happen: facts, written by a run and never read by it.

#![deny(clippy::wildcard_enum_match_arm)]

use crate::base::{Duration, Money, SimTime, Symbol};
use crate::model::{HpaId, ObjectName, ServiceId, SourceId, Workload};

/// The name of a pod, made only when somebody reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodName {
    /// As written in a manifest.
    Fixed(Symbol),
    /// `<prefix>-` and five characters (rule C7), here as a number below 27⁵.
    Generated {
        /// The owner's name.
        prefix: Symbol,
        /// The five characters as a number.
        suffix: u32,
    },
    /// `<prefix>-<index>-` and five characters: a pod of an indexed Job (rule C127).
    Indexed {
        /// The Job's name.
        prefix: Symbol,
        /// The completion index.
        index: u32,
        /// The five characters as a number.
        suffix: u32,
    },
    /// `<prefix>-<number>`: a pod of a generator.
    Numbered {
        /// The generator's name.
        prefix: Symbol,
        /// Its number, from 0.
        number: u64,
    },
}

/// The alphabet of generated names: no vowels, nothing that looks like something else.
///
/// Source: kubernetes v1.36.3 apimachinery/pkg/util/rand/rand.go (rule C7).
pub const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl PodName {
    /// How many different suffixes there are.
    pub const SUFFIXES: u32 = 27 * 27 * 27 * 27 * 27;

    /// The name as text.
    #[must_use]
    pub fn text(self, names: &crate::base::Interner) -> String {
        match self {
            Self::Fixed(name) => names.resolve(name).to_owned(),
            Self::Numbered { prefix, number } => format!("{}-{number}", names.resolve(prefix)),
            Self::Generated { prefix, suffix } => generated(names.resolve(prefix), None, suffix),
            Self::Indexed { prefix, index, suffix } => {
                generated(names.resolve(prefix), Some(index), suffix)
            }
        }
    }
}

/// A generated name: at most 58 characters of `<owner>-`, or of owner and index, of which the
/// owner's are cut, and five more.
fn generated(owner: &str, index: Option<u32>, mut suffix: u32) -> String {
    let middle = index.map_or_else(|| "-".to_owned(), |index| format!("-{index}-"));
    let kept = if index.is_some() { 58 - middle.len() } else { 58 };
    // Names are ASCII: any byte ends a character.
    let mut text = owner.get(..kept).unwrap_or(owner).to_owned();
    text.push_str(&middle);
    text.truncate(58);
    for _ in 0..5 {
        text.push(char::from(ALPHABET[(suffix % 27) as usize]));
        suffix /= 27;
    }
    text
}

/// The whole life of a pod: a row of `pods.csv`, written when it is gone or the run ends.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRecord {
    /// Its number in the run, in order of creation.
    pub serial: u64,
    /// Its namespace.
    pub namespace: Symbol,
    /// Its name.
    pub name: PodName,
    /// Whose template it has.
    pub workload: Workload,
    /// Revision of that template; 0 where there are none.
    pub revision: u32,
    /// Where it was placed.
    pub node: Option<Symbol>,
    /// When it was created.
    pub created: SimTime,
    /// When it was bound to a node.
    pub scheduled: Option<SimTime>,
    /// When its first container ran.
    pub started: Option<SimTime>,
    /// When it was ready first.
    pub ready: Option<SimTime>,
    /// When its deletion was asked for.
    pub deleted: Option<SimTime>,
    /// When it ended by itself (phase Succeeded or Failed).
    pub finished: Option<SimTime>,
    /// When the object was gone; `None`: it was there at the end of the run.
    pub gone: Option<SimTime>,
    /// What an hour of its share of the node costs by its requests, in millionths of a
    /// [`Money`].
    pub price_requested: i64,
    /// What its share of the node by its use has cost, in the same times nanoseconds.
    pub cost_used: i128,
    /// How often its containers were started again.
    pub restarts: u32,
    /// How it ended, or why it does not run.
    pub reason: &'static str,
    /// Message of the last failed attempt to place it; `None`: the first attempt placed it, or
    /// there was none.
    pub message: Option<String>,
}

/// The life of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineRecord {
    /// The name of its node.
    pub name: Symbol,
    /// The pool or group that it came from; the empty symbol for a node from a manifest.
    pub pool: Symbol,
    /// Its type, if it is a machine of the cloud.
    pub kind: Option<Symbol>,
    /// Its zone.
    pub zone: Option<Symbol>,
    /// Whether it is a spot machine.
    pub is_spot: bool,
    /// What an hour of it costs.
    pub price: Money,
    /// When it was asked for.
    pub requested: SimTime,
    /// Since when it ran, and was paid for.
    pub running: SimTime,
    /// When its Node was Ready for the first time.
    pub ready: Option<SimTime>,
    /// When the notice of its interruption came.
    pub noticed: Option<SimTime>,
    /// When it was off; `None`: it ran at the end of the run.
    pub ended: Option<SimTime>,
}

/// A Kubernetes Event: a row of `events.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// When.
    pub at: SimTime,
    /// Whether it is a warning (else normal).
    pub is_warning: bool,
    /// Reason, as Kubernetes' component names it.
    pub reason: &'static str,
    /// About what.
    pub about: About,
    /// The text.
    pub message: String,
}

/// What an event or record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A pod: namespace and name.
    Pod(Symbol, PodName),
    /// A node.
    Node(Symbol),
    /// Any other object: its kind as in the API, and its name.
    Object(&'static str, ObjectName),
    /// The whole cluster.
    Cluster,
}

/// How far the two ends of a call are from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distance {
    /// Containers of one pod: what goes between them is on no network.
    InPod,
    /// Pods of one node.
    SameNode,
    /// Nodes of one zone.
    #[default]
    SameZone,
    /// Nodes of two zones.
    BetweenZones,
}

impl Distance {
    /// All of them, the nearest first.
    pub const ALL: [Self; 4] = [Self::InPod, Self::SameNode, Self::SameZone, Self::BetweenZones];

    /// Its name in paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InPod => "in_pod",
            Self::SameNode => "same_node",
            Self::SameZone => "same_zone",
            Self::BetweenZones => "between_zones",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Answered in time.
    Ok,
    /// The connection was refused.
    Refused,
    /// The connection broke while the call was under way.
    Reset,
    /// No answer in time.
    TimedOut,
    /// The Service had no endpoint.
    NoEndpoint,
    /// The server answered with an error (5xx).
    ServerError,
}

impl Fate {
    /// All fates, in the order of columns.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Refused, Self::Reset, Self::TimedOut, Self::NoEndpoint, Self::ServerError];

    /// Its name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::NoEndpoint => "no_endpoint",
            Self::ServerError => "server_error",
        }
    }
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It did not fail.
    None,
    /// A proxy still sent to a pod that had stopped (rule N460).
    StaleProxy,
    /// The pod was in rotation before it could serve: no readiness probe (rule N467).
    NotYetServing,
    /// A pod in rotation had no running process (it crashed, or was restarted).
    ProcessDown,
    /// It was in service when the pod stopped.
    CutByStop,
    /// It waited in the pod's backlog when the pod stopped.
    CutWaiting,
    /// A kept connection broke as the pod stopped (rule N465).
    ConnectionClosed,
    /// The pod's node was down: nothing answered.
    NodeDown,
    /// It waited too long in the backlog.
    WaitedTooLong,
    /// It was in service for too long.
    SlowService,
    /// The backlog was full.
    BacklogFull,
    /// No pod of the Service was ready.
    NoReadyPod,
    /// A call that it depended on failed.
    Downstream,
    /// The server's own errors.
    ServerFault,
    /// A kept connection that the server had closed as idle (rule N425).
    IdleClosed,
    /// Its caller had as many calls under way as it allows.
    CallerFull,
    /// Caller and server speak different versions (rule N428).
    Incompatible,
    /// Its caller still had the address of a pod that had stopped, or that there was none, from
    /// DNS (rules N182, N488).
    StaleDns,
    /// The load balancer still sent to a node without a pod, or to one that was down (rules N162,
    /// N190).
    StaleBalancer,
    /// A policy is Local, and no pod of the Service was on the node (rule N158).
    NotOnNode,
}

impl Cause {
    /// All causes, in the order of columns.
    pub const ALL: [Self; 20] = [
        Self::None,
        Self::StaleProxy,
        Self::NotYetServing,
        Self::ProcessDown,
        Self::CutByStop,
        Self::CutWaiting,
        Self::ConnectionClosed,
        Self::NodeDown,
        Self::WaitedTooLong,
        Self::SlowService,
        Self::BacklogFull,
        Self::NoReadyPod,
        Self::Downstream,
        Self::ServerFault,
        Self::IdleClosed,
        Self::CallerFull,
        Self::Incompatible,
        Self::StaleDns,
        Self::StaleBalancer,
        Self::NotOnNode,
    ];

    /// Its name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::StaleProxy => "stale_proxy",
            Self::NotYetServing => "not_yet_serving",
            Self::ProcessDown => "process_down",
            Self::CutByStop => "cut_by_stop",
            Self::CutWaiting => "cut_waiting",
            Self::ConnectionClosed => "connection_closed",
            Self::NodeDown => "node_down",
            Self::WaitedTooLong => "waited_too_long",
            Self::SlowService => "slow_service",
            Self::BacklogFull => "backlog_full",
            Self::NoReadyPod => "no_ready_pod",
            Self::Downstream => "downstream",
            Self::ServerFault => "server_fault",
            Self::IdleClosed => "idle_closed",
            Self::CallerFull => "caller_full",
            Self::Incompatible => "incompatible",
            Self::StaleDns => "stale_dns",
            Self::StaleBalancer => "stale_balancer",
            Self::NotOnNode => "not_on_node",
        }
    }

    /// What a person reads.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::None => "did not fail",
            Self::StaleProxy => "a proxy still sent to a pod that had stopped",
            Self::NotYetServing => "sent to a pod that could not serve yet",
            Self::ProcessDown => "sent to a pod whose process was down",
            Self::CutByStop => "reset in flight when the pod stopped",
            Self::CutWaiting => "reset in the pod's backlog when it stopped",
            Self::ConnectionClosed => "a kept connection closed as the pod stopped",
            Self::NodeDown => "sent to a pod on a node that was down",
            Self::WaitedTooLong => "waited too long in a pod's backlog",
            Self::SlowService => "the answer took too long",
            Self::BacklogFull => "the pod's backlog was full",
            Self::NoReadyPod => "no pod of the service was ready",
            Self::Downstream => "a call it depended on failed",
            Self::ServerFault => "the server answered with an error",
            Self::IdleClosed => "a kept connection that the server had closed as idle",
            Self::CallerFull => "its caller had too many calls under way",
            Self::Incompatible => "caller and server speak different versions",
            Self::StaleDns => "its caller had an old answer of DNS",
            Self::StaleBalancer => "the load balancer still sent to a node that could not serve",
            Self::NotOnNode => "no pod on the node, and the policy is Local",
        }
    }
}

/// The end of a call (of all its attempts together).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallRecord {
    /// Who called; `None`: a pod, while it served another call.
    pub source: Option<SourceId>,
    /// Which Service was called.
    pub service: ServiceId,
    /// When it started.
    pub start: SimTime,
    /// How long the caller waited.
    pub latency: Duration,
    /// How it ended.
    pub fate: Fate,
    /// Why it failed.
    pub cause: Cause,
    /// How many attempts were made after the first.
    pub retries: u32,
    /// The pod that the last attempt went to, by serial.
    pub pod: Option<u64>,
}

/// A decision of an autoscaler that changed the number of replicas: a row of `scaling.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleRecord {
    /// When.
    pub at: SimTime,
    /// Which autoscaler.
    pub hpa: HpaId,
    /// From how many pods.
    pub from: u32,
    /// To how many.
    pub to: u32,
    /// What the metrics asked for, before stabilisation and limits.
    pub raw: u32,
    /// CPU utilisation of the requests in percent, if that metric decided.
    pub utilization: Option<i32>,
    /// Why, as the event says.
    pub reason: &'static str,
}

/// A loop of a VerticalPodAutoscaler in which something was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerticalRecord {
    /// When.
    pub at: SimTime,
    /// Which, by its place in the model.
    pub vpa: usize,
    /// The targets of all containers together.
    pub target: crate::model::Amounts,
    /// Pods that the updater evicted in this loop.
    pub evicted: u32,
    /// Evictions that budgets refused in this loop.
    pub refused: u32,
}

/// A step of the rollout of a Deployment, StatefulSet or DaemonSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutRecord {
    /// When.
    pub at: SimTime,
    /// Whose.
    pub workload: Workload,
    /// The revision that it leads to.
    pub revision: u32,
    /// What happened.
    pub step: RolloutStep,
}

/// What happened in a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStep {
    /// A new template was seen.
    Started,
    /// All pods are of the new template and available (rule C57).
    Completed,
    /// The progress deadline passed (rule C59).
    DeadlineExceeded,
}

/// Something that happened to a Job, or to a CronJob at a point of its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// When.
    pub at: SimTime,
    /// Which Job; of a CronJob's Jobs the CronJob.
    pub workload: Workload,
    /// What.
    pub step: JobStep,
}

/// What happened to a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStep {
    /// It started.
    Started,
    /// It was complete.
    Complete(JobEnd),
    /// It failed.
    Failed(JobEnd),
    /// It was deleted to make way for the next one (rule C140).
    Replaced,
    /// None started, as an earlier one ran (rule C139).
    Blocked,
    /// None started, as it would have been too late (rule C138).
    Missed,
}

/// How a Job stood at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobEnd {
    /// From its start to its end.
    pub duration: Duration,
    /// Pods that succeeded; of an indexed Job the indexes.
    pub succeeded: u32,
    /// Pods that failed.
    pub failed: u32,
    /// Indexes that failed.
    pub failed_indexes: u32,
}

/// A command of the timeline, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRecord {
    /// When.
    pub at: SimTime,
    /// As written.
    pub text: String,
    /// Why it was refused; `None`: it was carried out.
    pub refused: Option<String>,
}

/// A `kubectl drain`, told when it ends or the run does.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainRecord {
    /// The command as written.
    pub text: String,
    /// When it began.
    pub started: SimTime,
    /// When kubectl returned; `None`: it was still at it when the run ended.
    pub ended: Option<SimTime>,
    /// Its nodes, in the order in which they have their turns.
    pub nodes: Vec<DrainedNode>,
}

/// What became of one node of a drain.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainedNode {
    /// Its name.
    pub name: String,
    /// When it had its turn.
    pub started: Option<SimTime>,
    /// When that was over.
    pub ended: Option<SimTime>,
    /// How it ended.
    pub outcome: DrainOutcome,
    /// Pods that went.
    pub gone: u32,
    /// Pods that did not.
    pub left: u32,
    /// Who refused evictions, in order of the first refusals.
    pub blocks: Vec<DrainBlock>,
}

impl DrainedNode {
    /// A node that waits for its turn.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self {
            name,
            started: None,
            ended: None,
            outcome: DrainOutcome::Waits,
            gone: 0,
            left: 0,
            blocks: Vec::new(),
        }
    }
}

/// How a node's turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainOutcome {
    /// It has not had its turn.
    Waits,
    /// Its pods are on their way.
    UnderWay,
    /// Its pods are gone.
    Drained,
    /// Not all of them; with kubectl's words.
    Failed(String),
}

/// A PodDisruptionBudget that refused evictions of a node's pods.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainBlock {
    /// Which budget, with `NAMESPACE/` unless that is `default`; `None`: a pod has several, and then no eviction is possible (rule C152).
    pub budget: Option<String>,
    /// What it asks for: `maxUnavailable 1`.
    pub rule: String,
    /// The first refusal.
    pub since: SimTime,
    /// The last one.
    pub last: SimTime,
    /// How often it refused.
    pub refusals: u32,
    /// How many pods it refused.
    pub pods: u32,
    /// How many of them it let go later.
    pub let_through: u32,
    /// Why, at the last refusal.
    pub why: BlockedBy,
}

/// Why a budget refuses an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockedBy {
    /// It wants as many healthy pods as there shall be: it never allows one.
    Never {
        /// Healthy pods that it wants.
        desired: i64,
        /// Pods that there shall be.
        pods: i64,
    },
    /// Some of its pods are not healthy.
    Unready {
        /// Healthy pods.
        healthy: i64,
        /// Healthy pods that it wants.
        desired: i64,
        /// Pods without a node.
        waiting: u32,
        /// Pods on a node that are not ready.
        unready: u32,
    },
    /// Others of its pods are going.
    Busy {
        /// Healthy pods.
        healthy: i64,
        /// Healthy pods that it wants.
        desired: i64,
    },
    /// Its controller cannot count its pods (rule C148); with what that says.
    NotCounted(String),
    /// Its controller has not seen its latest version.
    NotObserved,
    /// The pod has several budgets.
    SeveralBudgets,
}

/// A sample of the whole cluster: a row of `series.csv`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub at: SimTime,
    /// Pods without a node.
    pub pods_pending: u32,
    /// Pods that run.
    pub pods_running: u32,
    /// Pods that are ready.
    pub pods_ready: u32,
    /// Pods that are being deleted.
    pub pods_terminating: u32,
    /// Nodes that are ready.
    pub nodes_ready: u32,
    /// Machines of the cloud that run and are paid for.
    pub machines: u32,
    /// Allocatable CPU of all ready nodes, in cores.
    pub cpu_allocatable_cores: f64,
    /// Requested CPU of all placed pods, in cores.
    pub cpu_requested_cores: f64,
    /// CPU in use at the last sample of the metrics pipeline, in cores.
    pub cpu_used_cores: f64,
    /// Allocatable memory, in bytes.
    pub memory_allocatable_bytes: f64,
    /// Requested memory, in bytes.
    pub memory_requested_bytes: f64,
    /// The least and the greatest part of CPU that is requested on one ready node, 0 to 1.
    pub cpu_requested_range: (f64, f64),
    /// What all nodes cost an hour, in USD.
    pub cost_usd_per_hour: f64,
    /// Ready and unready pods by revision: one entry a living ReplicaSet.
    pub replicas: Vec<ReplicaSample>,
}

/// The pods of one revision of one workload at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaSample {
    /// Whose.
    pub workload: Workload,
    /// Revision.
    pub revision: u32,
    /// Pods that are not being deleted.
    pub pods: u32,
    /// Of them ready.
    pub ready: u32,
    /// Pods that are being deleted.
    pub terminating: u32,
    /// How many the workload wants in all.
    pub wanted: u32,
}
