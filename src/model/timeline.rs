//! What happens when: commands in kubectl's words, and faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::base::{Duration, SimTime, Symbol};

use super::cloud::GroupId;
use super::drain::DrainOptions;
use super::ids::Workload;
use super::node_pool::PoolSpec;

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// When; of a command of a script: not before.
    pub at: SimTime,
    /// Whether a script runs it, when its turn comes.
    pub is_scripted: bool,
    /// What.
    pub action: Action,
    /// As written, for the report.
    pub text: String,
}

/// A script: commands one after another, each when the one before has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Its file, as the scenario names it.
    pub name: String,
    /// When it starts.
    pub at: SimTime,
    /// The first step.
    pub first: ScriptNext,
    /// All steps; a step leads only to others that stand after it in the script.
    pub steps: Vec<ScriptStep>,
}

/// A step of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptStep {
    /// What it does.
    pub action: ScriptAction,
    /// What follows if that went well.
    pub then: ScriptNext,
    /// What follows if it did not.
    pub otherwise: ScriptNext,
    /// Whether the script itself asks how it went: `||`, `if`, `!`.
    pub is_asked: bool,
}

/// What a step of a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptAction {
    /// A command: an entry of the timeline, by its place.
    Entry(u32),
    /// `sleep`.
    Sleep(Duration),
}

/// What follows in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptNext {
    /// A step, by its place.
    Step(u32),
    /// The end, with this status.
    End(u8),
}

/// What an entry of the timeline does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A command of kubectl.
    Command(Command),
    /// A fault.
    Fault(Fault),
    /// Something that happens to the cloud.
    Cloud(CloudAction),
}

/// Something that happens to the cloud: ours, not Kubernetes'.
#[derive(Clone, Debug, PartialEq)]
pub enum CloudAction {
    /// A group gets another target size.
    Resize {
        /// Which.
        group: GroupId,
        /// How many machines it is to have.
        to: u32,
    },
    /// Spot machines get the notice of their interruption, the oldest first.
    Interrupt {
        /// Of this group.
        group: Option<GroupId>,
        /// In this zone.
        zone: Option<Symbol>,
        /// So many at most.
        count: Option<u32>,
    },
    /// There are no machines to be had, or some again.
    Scarce {
        /// For this group.
        group: Option<GroupId>,
        /// In this zone.
        zone: Option<Symbol>,
        /// Whether there are none.
        is_scarce: bool,
    },
    /// A NodePool of Karpenter is declared anew.
    NodePool(Arc<PoolSpec>),
}

/// A command of kubectl, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Words that kubectl's client carries out.
    Kubectl(Box<Kubectl>),
    /// `kubectl drain`: it takes its time.
    Drain(Box<DrainOptions>),
}

/// The words of a command, and what it reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kubectl {
    /// The words as a shell splits them, checked.
    pub words: Vec<String>,
    /// Documents by the name that `-f` gives.
    pub files: BTreeMap<String, Vec<Value>>,
    /// Workloads whose pods it may make anew, as far as its words name them.
    pub revisions: Vec<Revision>,
}

/// What a command makes of a workload's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Whose.
    pub workload: Workload,
    /// Container (`*`: all) and its image afterwards.
    pub images: Vec<(String, String)>,
    /// What the report calls it where no image changes.
    pub about: &'static str,
}

/// A fault: ours, not Kubernetes'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Machines lose power: containers die at once, nothing answers, Leases are not renewed.
    Crash(FaultPlace),
    /// Kubelets report that they are not ready; what runs there goes on.
    NotReady(FaultPlace),
    /// Machines shut down: their kubelets end the pods first, as they are set (rule N132).
    Shutdown(FaultPlace),
    /// Kubelets are started anew, and their pods run on (rule N16).
    KubeletRestart(FaultPlace),
    /// The network plugin of machines fails: no new pod gets a sandbox (rule N58); what runs there
    /// goes on.
    CniDown(FaultPlace),
    /// The sandboxes of all pods on machines are lost; their containers run on until the kubelet
    /// notices (rule N57).
    SandboxLoss(FaultPlace),
    /// metrics-server goes away, or is back.
    MetricsServer {
        /// Whether it is there.
        is_up: bool,
    },
    /// Machines are cut off: they run on, and neither see nor are seen (rules N406, N407).
    Cut(FaultPlace, CutFrom),
    /// All are over.
    Recover(FaultPlace),
}

/// What machines are cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutFrom {
    /// The API server.
    ControlPlane,
    /// All other machines.
    Nodes,
    /// Callers and load balancers outside the cluster.
    Outside,
    /// All of these.
    Everything,
    /// Certain machines.
    Place(FaultPlace),
}

impl CutFrom {
    /// Whether the API server is among it.
    #[must_use]
    pub const fn is_from_api(self) -> bool {
        matches!(self, Self::ControlPlane | Self::Everything)
    }
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPlace {
    /// One node.
    Node(Symbol),
    /// All nodes of a zone.
    Zone(Symbol),
}
