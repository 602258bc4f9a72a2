//! All that did happen: facts, written by a run and never read by it.

#![deny(clippy::wildcard_enum_match_arm)]

mod calls;
mod configs;
mod drains;
mod namespaces;

use crate::base::{Duration, Ip, Money, SimTime, Symbol};
use crate::model::{HpaId, ObjectName, Workload};

pub use calls::{CallRecord, Cause, Distance, Fate};
pub use configs::ConfigRecord;
pub use drains::{BlockedBy, DrainBlock, DrainOutcome, DrainRecord, DrainedNode};
pub use namespaces::NamespaceRecord;

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
    /// Whether this is the name.
    #[must_use]
    pub fn is(self, text: &str, names: &crate::base::Interner) -> bool {
        let prefix = match self {
            Self::Fixed(name) => return names.resolve(name) == text,
            Self::Generated { prefix, .. } | Self::Indexed { prefix, .. } => prefix,
            Self::Numbered { prefix, .. } => prefix,
        };
        // Long prefixes are cut somewhere behind that.
        let prefix = names.resolve(prefix);
        text.starts_with(prefix.get(..40).unwrap_or(prefix)) && self.text(names) == text
    }

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
    /// Its address: the last one that was published.
    pub ip: Option<Ip>,
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

/// A disk is attached to the node of a pod that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRecord {
    /// When.
    pub at: SimTime,
    /// The pod's namespace and name.
    pub pod: (Symbol, PodName),
    /// The PersistentVolume, or what names the disk in the pod itself.
    pub disk: Symbol,
    /// The pod's node.
    pub node: Symbol,
    /// How long since the pod was bound to it.
    pub waited: Duration,
    /// The node that it was still attached to when it was wanted here, and how long it stayed.
    pub held: Option<(Symbol, Duration)>,
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

/// A step of Cluster Autoscaler with a node group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// When.
    pub at: SimTime,
    /// Which group.
    pub group: Symbol,
    /// What.
    pub step: GroupStep,
}

/// What Cluster Autoscaler does with a node group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStep {
    /// It asked for more machines, for so many pods.
    Grew {
        /// Machines wanted before.
        from: u32,
        /// Machines wanted now.
        to: u32,
        /// Pods that it is for; 0: it was below its least size.
        pods: u32,
    },
    /// A machine did not come: it asks for none until then.
    BackedOff {
        /// Until when.
        until: SimTime,
    },
    /// A node begins to leave.
    Shrinks {
        /// Which.
        node: Symbol,
        /// Pods that must move.
        pods: u32,
    },
    /// The cloud was asked to delete that node's machine.
    Shrank {
        /// Which.
        node: Symbol,
    },
    /// That node stays after all.
    Kept {
        /// Which.
        node: Symbol,
        /// Why.
        why: &'static str,
    },
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
    /// Resizes in place that the updater asked for in this loop.
    pub resized: u32,
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
    /// Which entry of the timeline.
    pub entry: u32,
    /// When.
    pub at: SimTime,
    /// When it had ended; `None`: it still waited when the run ended.
    pub ended: Option<SimTime>,
    /// As written.
    pub text: String,
    /// Why it was refused, or failed later; `None`: it was carried out.
    pub refused: Option<String>,
    /// The last line that it printed.
    pub said: String,
    /// Whether its script asks how it ended: then its failure is part of the plan.
    pub is_asked: bool,
}

impl CommandRecord {
    /// A command that begins.
    #[must_use]
    pub const fn begun(entry: u32, at: SimTime, text: String) -> Self {
        let (ended, refused) = (None, None);
        Self { entry, at, ended, text, refused, said: String::new(), is_asked: false }
    }
}

/// A script that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptRecord {
    /// Which, by its place in the model.
    pub script: u32,
    /// When it began.
    pub began: SimTime,
    /// When it ended.
    pub ended: SimTime,
    /// How: 0 is well.
    pub status: u8,
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
    /// What is paid for by pool: one entry a pool that has some.
    pub pools: Vec<PoolSample>,
}

/// The machines of one pool at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSample {
    /// The pool; the empty symbol for nodes from manifests.
    pub pool: Symbol,
    /// Nodes that are there, and machines that run and have none yet.
    pub nodes: u32,
    /// What they cost an hour, in USD.
    pub cost_usd_per_hour: f64,
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
