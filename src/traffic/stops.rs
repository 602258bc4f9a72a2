//! What ends many calls at once: a server that stops, a machine that dies.

use crate::cluster::{Cluster, Serving};
use crate::event::CallId;
use crate::model::{NodeId, PodRef};
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::ends::End;
use super::ingress::is_proxy;
use super::{Call, Caller, Stage, Traffic};

impl Traffic {
    /// A server changes its state. One that has stopped cuts all that it had accepted; one that
    /// drains goes on, and is done at once if there is nothing.
    pub(super) fn server_changes(
        &mut self,
        pod: PodRef,
        to: Serving,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let is_proxied = self.mesh.is_up(pod);
        self.servers.set(pod, (to, is_proxied), cluster, &mut self.clients, ctx.now());
        match to {
            Serving::Accepting => {}
            Serving::Draining => self.tell_if_idle(pod, ctx),
            Serving::Absent | Serving::Starting | Serving::Gone => {
                let is_condemned = self.servers.get(pod).is_some_and(|row| row.is_condemned);
                if to == Serving::Gone {
                    self.ingress.forget(pod);
                    self.forget_proxy(pod, ctx);
                }
                let fate = self.broken_off(pod);
                for call in self.cut(pod, ctx) {
                    let cause = match call.stage {
                        _ if is_condemned => Cause::KilledByProbe,
                        Stage::Waiting => Cause::CutWaiting,
                        _ => Cause::CutByStop,
                    };
                    let at = ctx.now() + call.hop();
                    self.settle(&call, End { fate, cause, at }, ctx);
                }
            }
        }
    }

    /// A server is killed for its memory, and all that it had accepted with it (rule N95).
    pub(super) fn server_is_killed(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        let fate = self.broken_off(pod);
        for call in self.cut(pod, ctx) {
            let at = ctx.now() + call.hop();
            self.settle(&call, End { fate, cause: Cause::OutOfMemory, at }, ctx);
        }
    }

    /// A machine dies: whoever waits for one of its pods waits in vain.
    pub(super) fn node_dies(&mut self, node: NodeId, ctx: &mut Ctx<'_>) {
        for pod in self.servers.set_up(node, false) {
            for call in self.cut(pod, ctx) {
                let at = call.deadline.max(ctx.now());
                self.blame(&call, Cause::NodeDown);
                self.settle(&call, End { fate: Fate::TimedOut, cause: Cause::NodeDown, at }, ctx);
            }
        }
    }

    /// The node that a call comes from; `None`: it comes from outside.
    #[inline]
    pub(super) fn node_of_caller(&self, call: &Call) -> Option<NodeId> {
        match call.caller {
            Caller::Source(..) if self.is_straight(call) => None,
            Caller::Source(_, node) => Some(node),
            Caller::Call(parent) => {
                let pod = self.mesh.pod_of(self.calls.get(parent)?.server);
                self.servers.get(pod).map(|server| server.node)
            }
            Caller::Probe(_) => None,
        }
    }

    /// Whether caller and server of a call are on two sides of a cut (rule N406): the pod's machine
    /// and that of the caller, by which one from outside comes in.
    #[cold]
    pub(super) fn is_cut_off(&self, call: &Call, cluster: &Cluster) -> bool {
        let from = self.node_of_caller(call);
        let to = cluster.pod(call.server).and_then(|pod| pod.node);
        let entry = match call.caller {
            _ if self.is_straight(call) => to,
            Caller::Source(..) if is_proxy(call.server) => None,
            Caller::Source(..) => from,
            Caller::Call(_) | Caller::Probe(_) => None,
        };
        entry.is_some_and(|node| cluster.is_cut_from_outside(node))
            || from.zip(to).is_some_and(|(from, to)| cluster.are_cut(from, to))
    }

    /// A machine is cut off from others, or is not any more: an answer that comes while it is does
    /// not arrive.
    pub(super) fn links_change(&mut self, node: NodeId, cluster: &Cluster) {
        let is_cut = cluster.is_cut_from_outside(node);
        *self.outside_cut.grow_to(node) = is_cut;
        let ids: Vec<CallId> = self.calls.iter().map(|(id, _)| id).collect();
        for id in ids {
            let is_lost = cluster.has_cuts() && self.is_cut_off(&self.calls[id], cluster);
            let call = &mut self.calls[id];
            match is_lost {
                _ if call.is_proxied() || call.stage == Stage::Resending => {}
                true => call.why = Cause::Partitioned,
                false => call.why = Cause::None,
            }
        }
    }

    /// Takes all calls from a server, in the order of their slots.
    ///
    /// It walks over all calls under way: a server stops seldom, and calls need no links then.
    pub(super) fn cut(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) -> Vec<Call> {
        self.ends_hung(pod);
        if self.servers.get(pod).is_none_or(super::servers::Server::is_idle) {
            return Vec::new();
        }
        let is_there = |call: &Call| {
            call.server == pod
                && matches!(call.stage, Stage::Waiting | Stage::InService | Stage::Calling)
        };
        let calls = self.calls.iter().filter(|(_, call)| is_there(call));
        let ids: Vec<CallId> = calls.map(|(id, _)| id).collect();
        let calls: Vec<Call> = ids.into_iter().map(|id| self.calls.remove(id)).collect();
        for call in calls.iter().filter(|call| call.stage != Stage::Waiting) {
            self.servers.hold_is_cut(call, ctx.now());
        }
        self.servers.clear(pod, ctx.now());
        self.arm(pod, ctx);
        calls
    }
}
