//! How calls ended, and why.

#![deny(clippy::wildcard_enum_match_arm)]

use crate::base::{Duration, SimTime};
use crate::model::{ServiceId, SourceId};

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
    /// Its server was killed because it took too much memory (rule N95).
    OutOfMemory,
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
    /// Its caller, or what sent it on, had the address of a pod that was gone, and another
    /// application's pod had it by now (rules N128, N488).
    OtherApplication,
    /// The load balancer still sent to a node without a pod, or to one that was down (rules N162,
    /// N190).
    StaleBalancer,
    /// A policy is Local, and no pod of the Service was on the node (rule N158).
    NotOnNode,
    /// The pod's process was there and answered nothing.
    Hung,
    /// The kubelet had killed the pod's container for a probe that failed (rules N94, N481), or
    /// did so while the call was there.
    KilledByProbe,
    /// An ingress proxy still sent to a pod that had stopped, or did not know of any (rules N180,
    /// N473).
    StaleIngress,
    /// No path of an Ingress took it, or that led to no Service that was there (rule N180).
    NoRoute,
    /// An ingress proxy had reloaded, and its old processes waited no longer (rule N180).
    CutByReload,
    /// Its caller and its pod are on two sides of a cut in the network (rule N406).
    Partitioned,
    /// The mesh proxy of the caller's or the server's pod was not there (rule N471).
    NoMeshProxy,
    /// A mesh proxy ended while the call was under way through it (rule N471).
    CutByMeshProxy,
    /// A mesh proxy had not been told yet that the pod had stopped, or of any (rules N131, N471).
    StaleMesh,
    /// A mesh proxy had ejected all pods of the Service (rule N185).
    Ejected,
}

impl Cause {
    /// All causes, in the order of columns.
    pub const ALL: [Self; 32] = [
        Self::None,
        Self::StaleProxy,
        Self::NotYetServing,
        Self::ProcessDown,
        Self::CutByStop,
        Self::CutWaiting,
        Self::OutOfMemory,
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
        Self::OtherApplication,
        Self::StaleBalancer,
        Self::NotOnNode,
        Self::Hung,
        Self::KilledByProbe,
        Self::StaleIngress,
        Self::CutByReload,
        Self::Partitioned,
        Self::NoMeshProxy,
        Self::CutByMeshProxy,
        Self::StaleMesh,
        Self::Ejected,
        Self::NoRoute,
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
            Self::OutOfMemory => "out_of_memory",
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
            Self::OtherApplication => "other_application",
            Self::StaleBalancer => "stale_balancer",
            Self::NotOnNode => "not_on_node",
            Self::Hung => "hung",
            Self::KilledByProbe => "killed_by_probe",
            Self::StaleIngress => "stale_ingress",
            Self::NoRoute => "no_route",
            Self::CutByReload => "cut_by_reload",
            Self::Partitioned => "partitioned",
            Self::NoMeshProxy => "no_mesh_proxy",
            Self::CutByMeshProxy => "cut_by_mesh_proxy",
            Self::StaleMesh => "stale_mesh",
            Self::Ejected => "ejected",
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
            Self::OutOfMemory => "reset when its server was killed for its memory",
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
            Self::OtherApplication => "another application had the address of a pod that was gone",
            Self::StaleBalancer => "the load balancer still sent to a node that could not serve",
            Self::NotOnNode => "no pod on the node, and the policy is Local",
            Self::Hung => "the pod's process hung",
            Self::KilledByProbe => "a probe failed and the kubelet killed the container",
            Self::NoRoute => "no Ingress led it to a service that was there",
            Self::StaleIngress => "an ingress proxy still sent to a pod that had stopped",
            Self::CutByReload => "an ingress proxy's old processes ended after a reload",
            Self::Partitioned => "caller and pod were on two sides of a cut network",
            Self::NoMeshProxy => "the mesh proxy of caller or pod was not there",
            Self::CutByMeshProxy => "reset in flight when a mesh proxy ended",
            Self::StaleMesh => "a mesh proxy still sent to a pod that had stopped",
            Self::Ejected => "the mesh proxy had ejected all pods of the service",
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
