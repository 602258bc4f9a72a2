//! What calls meet on a node: whether a pod's server accepts, and what pods use.

use crate::base::{Duration, SimTime};

/// The state of a pod's server, as the container that serves has it.
///
/// ```text
/// Absent ──process──► Starting ──able──► Accepting ──signal──► Draining ──exit──► Absent ──► Gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Serving {
    /// No process: connections are refused.
    #[default]
    Absent,
    /// The process runs and does not listen yet: connections are refused.
    Starting,
    /// It accepts calls.
    Accepting,
    /// It finishes what it has accepted and refuses new connections.
    Draining,
    /// The network namespace is gone: nothing answers.
    Gone,
}

/// What befalls a server that goes on being in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plight {
    /// It answers nothing any more, and does no work.
    Hangs,
    /// It goes on with all that it had accepted.
    GoesOn,
    /// The kubelet kills its container for a probe that failed.
    Condemned,
}

/// CPU of a pod as the metrics pipeline knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodMetrics {
    /// The last two samples: instant and CPU time since the pod's start.
    pub points: [Option<(SimTime, Duration)>; 2],
    /// What they give: millicores, rounded up (rules A21, A63).
    pub cpu_milli: Option<i64>,
    /// When the value was taken.
    pub at: SimTime,
    /// The window that it stands for.
    pub window: Duration,
    /// Memory in use, in bytes.
    pub memory_bytes: i64,
}
