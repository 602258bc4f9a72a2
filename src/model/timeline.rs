//! What happens when: commands in kubectl's words, and faults.

use crate::base::{Duration, SimTime, Symbol};

use super::drain::DrainOptions;
use super::ids::{ObjectName, WorkloadKind};

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

/// A command of kubectl, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `kubectl set image KIND/NAME CONTAINER=IMAGE …`; `*` as container means all.
    SetImage {
        /// Of which object.
        target: Target,
        /// Container and image.
        images: Vec<(String, String)>,
    },
    /// `kubectl scale KIND/NAME --replicas=N`.
    Scale {
        /// Of which object.
        target: Target,
        /// How many pods.
        replicas: u32,
        /// `--current-replicas`: only if there are so many now.
        current: Option<u32>,
    },
    /// `kubectl rollout restart KIND/NAME`.
    RolloutRestart {
        /// Of which object.
        target: Target,
    },
    /// `kubectl delete KIND NAME`.
    Delete {
        /// Of which object.
        target: Target,
        /// `--grace-period` (with `--force` or `--now` too).
        grace: Option<Duration>,
    },
    /// `kubectl cordon NODE`.
    Cordon {
        /// Which node.
        node: Symbol,
    },
    /// `kubectl uncordon NODE`.
    Uncordon {
        /// Which node.
        node: Symbol,
    },
    /// `kubectl drain NODE…`.
    Drain(Box<DrainOptions>),
}

/// The object of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: TargetKind,
    /// Its name.
    pub name: ObjectName,
}

/// The kinds that a command can aim at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Something with a pod template, or a pod.
    Workload(WorkloadKind),
    /// A Service.
    Service,
    /// An autoscaler.
    Hpa,
    /// A node.
    Node,
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
