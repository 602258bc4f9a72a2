//! What calls meet on a node: whether a pod's server accepts, and what pods use.

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
    /// The mesh proxy of its pod begins to take calls (rule N471).
    ProxyUp,
    /// It has been told to stop and waits until its pod has no calls.
    ProxyDrains,
    /// It has ended.
    ProxyDown,
    /// A load balancer has found the pod healthy and opens its readiness gates (rule N192).
    GatesOpen,
}
