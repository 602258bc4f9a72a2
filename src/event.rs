//! All that can happen: the table of contents of the simulated world.
//!
//! An event is plain data of at most 16 bytes. What can restart is named by a reference with its
//! life, and a handler's first line drops an event about a life that is over.

#![deny(clippy::wildcard_enum_match_arm)]

use crate::base::{Ref, id_type};
use crate::model::{GeneratorId, GroupId, InstanceRef, NodeId, ObjectKey, PodRef, SourceId};

id_type!(ControllerId, "A controller, by its place in the registry.");
id_type!(WriteId, "A write on its way to the API server.");
id_type!(DrainId, "A `kubectl drain`, in order of their starts.");
id_type!(CallId, "A slot in the table of calls under way.");

/// A call that may be over.
pub type CallRef = Ref<CallId>;

/// All that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A delayed write lands at the API server.
    Write(WriteId),
    /// Something that a kubelet hears.
    Kubelet {
        /// Whose pod.
        pod: PodRef,
        /// What.
        step: KubeletStep,
    },
    /// Something with a pod that a kubelet has.
    Slot {
        /// Whose kubelet.
        node: NodeId,
        /// Which of its slots.
        slot: u32,
        /// What.
        step: SlotStep,
    },
    /// A kubelet hears of the server of a pod.
    Server {
        /// Whose.
        pod: PodRef,
        /// What.
        step: ServerStep,
    },
    /// Something with the kubelet of a node.
    KubeletNode {
        /// Whose kubelet.
        node: NodeId,
        /// What.
        step: KubeletNodeStep,
    },
    /// Something with a node as a whole.
    Node {
        /// Which.
        node: NodeId,
        /// What.
        step: NodeStep,
    },
    /// Something with calls.
    Traffic(TrafficEvent),
    /// An entry of the timeline, by its index.
    Timeline(u32),
    /// A script starts, or goes on after a sleep.
    Script {
        /// Which, by its place in the model.
        script: u32,
        /// The step that is over; none at the start.
        slept: Option<u32>,
    },
    /// Something with a command that waits.
    Command {
        /// Which, by its place among those that wait.
        command: u32,
        /// What.
        step: CommandStep,
    },
    /// The next pod of a generator.
    Generator(GeneratorId),
    /// The metrics pipeline samples all pods.
    Metrics,
    /// A controller looks at an object.
    Reconcile {
        /// Which controller.
        controller: ControllerId,
        /// Which object.
        key: ObjectKey,
    },
    /// Something with the scheduler.
    Scheduler(SchedulerEvent),
    /// Something of a `kubectl drain`.
    Drain {
        /// Which.
        drain: DrainId,
        /// What.
        step: DrainStep,
    },
    /// Something with the cloud.
    Cloud(CloudEvent),
    /// A sample of the series.
    Sample,
}

/// What happens to a command that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandStep {
    /// It looks at what it waits for.
    Look,
    /// Its time is over.
    TimeOut {
        /// The entry of the timeline that it is.
        entry: u32,
        /// The object that it waited for, as it counts them.
        turn: u16,
    },
}

/// What happens in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudEvent {
    /// A group makes or deletes machines until it has its target size.
    Fill(GroupId),
    /// A step in the life of a machine.
    Instance {
        /// Which.
        instance: InstanceRef,
        /// What.
        step: InstanceStep,
    },
    /// The cloud's controller looks for Nodes whose machines are gone.
    Sweep,
    /// A node is drained because its machine is about to be interrupted.
    Drain(InstanceRef),
}

/// Steps in the life of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceStep {
    /// The cloud answers whether it can be had.
    Create,
    /// Its Node is registered.
    Register,
    /// Its kubelet says that it is ready.
    Ready,
    /// The cloud says that it will want it back.
    Notice,
    /// The cloud takes it back.
    Reclaim,
    /// It has been down for long: its group replaces it.
    Heal,
    /// It is off.
    End,
    /// A launch that failed is given up, so that the group tries again.
    GiveUp,
}

/// What happens in a drain; pods are counted within the node that has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainStep {
    /// The next node has its turn.
    Node,
    /// A pod is to be evicted.
    Ask(u32),
    /// The request for that reaches the API server.
    Answer(u32),
    /// It is to be looked whether a pod is gone.
    Look(u32),
    /// The request for that reaches the API server.
    Seen(u32),
}

/// What a kubelet hears of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeletStep {
    /// The kubelet sees the pod and looks whether it takes it.
    Admit,
    /// It sees that the pod is being deleted.
    Kill,
    /// It sees that the pod asks for other amounts.
    Resize,
    /// It sees that somebody else has set conditions of the pod.
    Conditions,
}

/// What a kubelet hears of the server of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// It has taken the call with which it hangs.
    Hangs,
    /// A probe that waited among its calls is over.
    Probed {
        /// The number that the kubelet gave it.
        number: u16,
        /// Whether it was answered well.
        is_ok: bool,
    },
}

/// What happens to a pod that a kubelet has, by its slot there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStep {
    /// The API object is gone.
    Gone,
    /// A call of the kubelet is over, by its number.
    Done(u16),
    /// A container's process is able to serve. Containers are counted from the first init
    /// container on.
    Able(u8),
    /// A container's process ends by itself.
    Exited(u8),
    /// A container stops to accept calls.
    AcceptEnds(u8),
    /// A container's own drain is over: it exits.
    DrainEnds(u8),
    /// The grace of a container is over: SIGKILL.
    GraceEnds(u8),
    /// A container's process hangs.
    Hangs(u8),
    /// It goes on.
    GoesOn(u8),
    /// A probe has not been answered for its timeout, by the number of the call.
    ProbeLate(u16),
    /// A container has all the memory that it may have: it is killed.
    Full(u8),
    /// Its volumes are mounted.
    Mounted,
    /// The kubelet looks at what it has on the node's disk.
    Storage,
    /// Its readiness gates are opened from outside.
    Gates,
    /// It is synced, and its files are those of the ConfigMaps and Secrets as they are.
    Files,
}

/// What happens to the kubelet of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeletNodeStep {
    /// Something of its own is due.
    Due,
    /// Its node lost power.
    PowerLost,
    /// Its node is up again, and it starts.
    Restart,
    /// Its process is started anew; the node runs on.
    StartsAnew,
    /// Its pods have lost their sandboxes.
    SandboxesLost,
    /// The API server can be reached again.
    Rejoin,
    /// It looks whether the node has memory and disk left, or the kernel finds no memory.
    Memory,
    /// It looks whether images are to be removed.
    Images,
    /// A change of the node's conditions is reported.
    Report,
    /// The disks that it uses are reported.
    Disks,
    /// Resizes that wait are tried again.
    Resizes,
    /// Its machine is to shut down.
    ShutDown,
    /// A group of pods has had its time, or the machine.
    ShutdownGoesOn,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeStep {
    /// Its kubelet reports that it is ready.
    Report,
}

/// What happens to calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficEvent {
    /// The next call of a source starts.
    Start(SourceId),
    /// A call reaches the pod.
    Arrive(CallRef),
    /// A call's time in service ends.
    HoldEnds(CallRef),
    /// A downstream call starts, or the answer of one is back.
    Continue(CallRef),
    /// A call's answer reaches the caller, or it gives up.
    Answer(CallRef),
    /// A server sends an answer again that has not arrived.
    Resend(CallRef),
    /// A call is waited for no longer.
    Timeout(CallRef),
    /// A retry starts.
    Retry(CallRef),
    /// A call has not been answered for so long that a second attempt may start beside it.
    Hedge(CallRef),
    /// A user of a source has thought enough.
    User(SourceId),
    /// An attempt that its client counts is over.
    Over {
        /// The client's number.
        client: u16,
        /// Whether it was not the first one of its call.
        again: bool,
        /// Where the client is.
        place: u32,
    },
    /// The next of the calls that share a server may be done.
    Work(PodRef),
    /// Whether a draining server has become idle.
    IdleCheck(PodRef),
    /// A probe is to wait among the calls of a pod's server.
    Probe {
        /// Whose.
        pod: PodRef,
        /// The kubelet's number of it.
        number: u16,
        /// `timeoutSeconds`.
        timeout_s: u16,
    },
    /// A load balancer checks a pod whose readiness gate it opens.
    Target(PodRef),
    /// Something with an ingress proxy.
    Ingress {
        /// Its number.
        proxy: u32,
        /// What.
        step: IngressStep,
    },
}

/// What happens to an ingress proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressStep {
    /// It looks at the endpoints.
    Look,
    /// New processes have started.
    Reloaded,
    /// The time of those from before a reload is over.
    Drained,
}

/// What happens to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulerEvent {
    /// Its watch delivers the next change that waits.
    Notice,
    /// The loop takes the next pod.
    ScheduleOne,
    /// A binding lands.
    Bind(PodRef),
    /// Pods whose back-off is over leave the queue of those that back off.
    FlushBackoff,
    /// Pods that have waited long are tried again (rule S139).
    FlushUnschedulable,
}

const _: () = assert!(size_of::<Event>() <= 16);

/// An event's place within its instant: less is earlier. Ends before beginnings, facts before
/// decisions, sampling last.
#[must_use]
pub const fn rank(event: &Event) -> u8 {
    match event {
        Event::Write(_) => 0,
        Event::Node { .. } | Event::Cloud(_) => 1,
        Event::Kubelet { .. }
        | Event::Slot { .. }
        | Event::Server { .. }
        | Event::KubeletNode { .. } => 2,
        Event::Traffic(event) => match event {
            TrafficEvent::HoldEnds(_)
            | TrafficEvent::Work(_)
            | TrafficEvent::Target(_)
            | TrafficEvent::Ingress { .. } => 3,
            TrafficEvent::Continue(_)
            | TrafficEvent::Answer(_)
            | TrafficEvent::Resend(_)
            | TrafficEvent::Timeout(_)
            | TrafficEvent::Over { .. }
            | TrafficEvent::IdleCheck(_) => 4,
            TrafficEvent::Arrive(_) | TrafficEvent::Probe { .. } => 5,
            TrafficEvent::Start(_)
            | TrafficEvent::Retry(_)
            | TrafficEvent::Hedge(_)
            | TrafficEvent::User(_) => 6,
        },
        Event::Timeline(_) | Event::Script { .. } | Event::Command { .. } | Event::Drain { .. } => {
            7
        }
        Event::Generator(_) => 8,
        Event::Metrics => 9,
        Event::Reconcile { .. } => 10,
        Event::Scheduler(event) => match event {
            SchedulerEvent::Bind(_) => 11,
            SchedulerEvent::Notice
            | SchedulerEvent::FlushBackoff
            | SchedulerEvent::FlushUnschedulable => 12,
            SchedulerEvent::ScheduleOne => 13,
        },
        Event::Sample => 14,
    }
}
