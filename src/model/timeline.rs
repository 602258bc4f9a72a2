//! What happens when: commands in kubectl's words, and faults.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{SimTime, Symbol};

use super::ids::Workload;

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// When.
    pub at: SimTime,
    /// What.
    pub action: Action,
    /// As written, for the report.
    pub text: String,
}

/// What an entry of the timeline does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A command of kubectl.
    Command(Command),
    /// A fault.
    Fault(Fault),
}

/// A command of kubectl, every word of it checked; it is read again when its time comes.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The words, as written.
    pub line: String,
    /// The documents of the files that it names.
    pub files: BTreeMap<String, Vec<Value>>,
    /// What others read of it.
    pub effect: Effect,
}

/// What others than kubectl itself read of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// `set image`: container (`*`: all) and image.
    SetImage {
        /// Of whom.
        workloads: Vec<Workload>,
        /// Container and image.
        images: Vec<(String, String)>,
    },
    /// `rollout restart`, of whom.
    Restart(Vec<Workload>),
    /// `rollout undo`, of whom.
    Undo(Vec<Workload>),
    /// `drain`, of which nodes; none if a selector says which.
    Drain(Vec<String>),
    /// Anything else.
    Other,
}

/// A fault: ours, not Kubernetes'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Machines lose power: containers die at once, nothing answers, Leases are not renewed.
    Crash(FaultPlace),
    /// Kubelets report that they are not ready; what runs there goes on.
    NotReady(FaultPlace),
    /// Both are over.
    Recover(FaultPlace),
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPlace {
    /// One node.
    Node(Symbol),
    /// All nodes of a zone.
    Zone(Symbol),
}
