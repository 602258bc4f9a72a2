//! The roles of the world: what each component must be able to do, so that a test can put a
//! scripted one in its place.

use crate::base::{Duration, SimTime};
use crate::event::{
    CloudEvent, KubeletNodeStep, KubeletStep, NodeStep, SchedulerEvent, ServerStep, SlotStep,
    TrafficEvent,
};
use crate::model::{GeneratorId, NodeId, ObjectKey, PodRef};
use crate::sim::Ctx;

use super::{Backoff, Change, Cluster, Plan};

/// A component of the world that handles events of the kind `E`.
///
/// It changes only its own fields; what it wants of the cluster it puts into the plan, which is
/// committed when `handle` returns.
pub trait Component<E> {
    /// The run begins: the cluster holds all objects of the model. Schedules first events.
    fn start(&mut self, _cluster: &Cluster, _plan: &mut Plan, _ctx: &mut Ctx<'_>) {}

    /// Is told of each change as it is committed, by itself or others. Here a component notes and
    /// schedules events, with the delay of its watch; it does not act.
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>);

    /// Something of its own happens.
    fn handle(&mut self, event: E, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>);
}

/// What happens to kubelets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeletEvent {
    /// One hears something of a pod.
    Pod(PodRef, KubeletStep),
    /// One hears of the server of a pod.
    Server(PodRef, ServerStep),
    /// Something with a pod that the kubelet of a node has, by its slot there.
    Slot(NodeId, u32, SlotStep),
    /// Something with the kubelet of a node itself.
    Node(NodeId, KubeletNodeStep),
}
/// What happens to a node as a whole.
pub type NodeEvent = (NodeId, NodeStep);

/// The scheduler's role.
pub trait SchedulerRole: Component<SchedulerEvent> {}
impl<T: Component<SchedulerEvent>> SchedulerRole for T {}

/// The role of all kubelets together.
pub trait KubeletRole: Component<KubeletEvent> {
    /// Memory that a pod on this node has in use, in bytes; `None`: as its behaviours say.
    fn memory_used(&self, _node: NodeId, _pod: PodRef, _now: SimTime) -> Option<i64> {
        None
    }
}

/// The role of the kubelets as far as they report on their nodes.
pub trait NodeRole: Component<NodeEvent> {}
impl<T: Component<NodeEvent>> NodeRole for T {}

/// The role of the cloud: makes and deletes machines.
pub trait CloudRole: Component<CloudEvent> {}
impl<T: Component<CloudEvent>> CloudRole for T {}

/// The role of whoever submits pods.
pub trait GeneratorRole: Component<GeneratorId> {}
impl<T: Component<GeneratorId>> GeneratorRole for T {}

/// The role of callers and servers.
pub trait TrafficRole: Component<TrafficEvent> {
    /// CPU time that a pod has spent on calls and by its series since the pod's first process.
    fn cpu_spent(&mut self, pod: PodRef, ctx: &Ctx<'_>) -> Duration;

    /// Calls that have begun service at a pod's server, and those in service or in its backlog.
    fn calls(&self, _pod: PodRef) -> (u64, u64) {
        (0, 0)
    }
}

/// A component that does nothing: a role that is off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

impl<E> Component<E> for Off {
    fn observe(&mut self, _change: &Change, _cluster: &Cluster, _ctx: &mut Ctx<'_>) {}
    fn handle(&mut self, _event: E, _cluster: &Cluster, _plan: &mut Plan, _ctx: &mut Ctx<'_>) {}
}

impl KubeletRole for Off {}

impl TrafficRole for Off {
    fn cpu_spent(&mut self, _pod: PodRef, _ctx: &Ctx<'_>) -> Duration {
        Duration::ZERO
    }
}

/// When a controller wants to look at an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// When something changes.
    Never,
    /// After this long, unless something wakes it earlier.
    After(Duration),
    /// The look failed (a write was refused): again after the back-off of its queue (rule C16).
    Failed,
    /// It went well and is to be repeated as soon as a first failure would be.
    Limited,
}

/// A control loop. Looks at the cluster, asks for changes; running it twice is harmless.
pub trait Controller {
    /// Its name, as in kube-controller-manager.
    fn name(&self) -> &'static str;

    /// Is told of each change as it is committed, to note what it must look at again.
    fn notes(&mut self, _change: &Change) {}

    /// Which objects it must look at because of a change; they are looked at after the delay of
    /// its watch, once however often they are named.
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>);

    /// How long after a wake it looks (in place of at once); the autoscaler has its sync period.
    fn wake_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// The same for one change and one object that it wakes. What is looked at once does not stand
    /// in for what is to be looked at later (rule C15).
    fn wake_delay_of(&self, _change: &Change, _key: ObjectKey) -> Duration {
        self.wake_delay()
    }

    /// All writes of its last look at an object have landed, which takes time where clients are
    /// limited or slow; when it wants to look again.
    fn landed(&mut self, _key: ObjectKey, _now: SimTime) -> Requeue {
        Requeue::Never
    }

    /// Which objects it must look at some time after a change, besides those that it looks at
    /// because of it: of two such times of one object the earlier counts (rule C15).
    fn wakes_later(
        &self,
        _change: &Change,
        _cluster: &Cluster,
        _out: &mut Vec<(ObjectKey, Duration)>,
    ) {
    }

    /// How long its keys wait after failed looks.
    fn backoff(&self) -> Backoff {
        Backoff::DEFAULT
    }

    /// What it looks at from the start of a run, and when: loops that no change wakes.
    fn begins(&self, _cluster: &Cluster, _out: &mut Vec<(ObjectKey, Duration)>) {}

    /// Looks at one object.
    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue;
}
