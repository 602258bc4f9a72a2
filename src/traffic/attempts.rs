//! From the start of an attempt to the end of its service.

use crate::base::{Duration, SimTime};
use crate::cluster::{Cluster, Serving};
use crate::event::{CallRef, TrafficEvent};
use crate::model::{NodeId, PodRef};
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::ends::End;
use super::route::{high, low};
use super::{Call, Caller, Purpose, Stage, Traffic, event};

/// What a call that reaches a pod meets.
enum Door {
    /// Its server takes it.
    Open,
    /// Nothing answers.
    Dark,
    /// It is refused, or its connection broke.
    Shut(Fate, Cause),
}

impl Traffic {
    /// Sends an attempt on its way.
    #[inline]
    pub(super) fn attempt(&mut self, mut call: Call, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        self.set_hop(&mut call);
        if let Err(end) = self.connect(&mut call, cluster, now) {
            return self.settle(call, end, ctx);
        }
        let hop = call.hop();
        let sent = self.calls.insert(call);
        if hop.is_zero() {
            self.arrive(sent, cluster, ctx);
        } else {
            self.send(hop, event(TrafficEvent::Arrive(sent)), ctx);
        }
    }

    /// Finds the pod that an attempt goes to: by a kept connection, or by a new one.
    #[inline]
    fn connect(&mut self, call: &mut Call, cluster: &Cluster, now: SimTime) -> Result<(), End> {
        let word = call.word(Purpose::Route);
        let node = self.entry(call, high(word), cluster, now)?;
        if let Some(pod) = self.kept_connection(call, node, now) {
            call.server = pod;
            call.is_kept = true;
            return Ok(());
        }
        call.server = self.route(call, node, low(word), cluster, now)?;
        Ok(())
    }

    #[inline]
    fn kept_connection(&mut self, call: &Call, node: NodeId, now: SimTime) -> Option<PodRef> {
        let Caller::Source(source, _) = call.caller else {
            return None;
        };
        let Self { sources, servers, .. } = self;
        let source = &mut sources[source];
        if !source.keeps() {
            return None;
        }
        source.take_idle(node, |kept| servers.has_closed(kept, call.hop(), now))
    }

    /// An attempt reaches the pod.
    #[inline]
    pub(super) fn arrive(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = self.calls.get(id).expect("a call on its way is there");
        let (deadline, back) = (call.deadline, ctx.now() + call.hop());
        let end = match self.door(call, cluster) {
            Door::Open => return self.enter(id, ctx),
            Door::Dark => End { fate: Fate::TimedOut, cause: Cause::NodeDown, at: deadline },
            Door::Shut(fate, cause) => End { fate, cause, at: back },
        };
        let call = self.calls.remove(id.id);
        self.settle(call, end, ctx);
    }

    /// What a call meets at the pod, at this instant.
    #[inline]
    fn door(&self, call: &Call, cluster: &Cluster) -> Door {
        let Some(row) = self.servers.get(call.server) else {
            return self.shut(call, cluster);
        };
        match row.state {
            _ if !row.is_up => Door::Dark,
            Serving::Accepting => Door::Open,
            // The server said "close" with its last answers and takes what is still on the wire.
            Serving::Draining if call.is_kept => Door::Open,
            Serving::Draining | Serving::Absent | Serving::Starting | Serving::Gone => {
                self.shut(call, cluster)
            }
        }
    }

    #[cold]
    fn shut(&self, call: &Call, cluster: &Cluster) -> Door {
        if call.is_kept {
            return Door::Shut(Fate::Reset, Cause::ConnectionClosed);
        }
        let row = self.servers.get(call.server);
        let pod = cluster.pod(call.server);
        if row.is_none() && pod.is_some_and(|p| p.node.is_some_and(|n| !cluster.nodes()[n].is_up)) {
            return Door::Dark;
        }
        let is_leaving = pod.is_none_or(|pod| pod.deletion.is_some() || pod.is_terminal());
        let is_draining = row.is_some_and(|row| row.state == Serving::Draining);
        let cause = if is_leaving || is_draining {
            Cause::StaleProxy
        } else if row.is_some_and(|row| row.has_served) {
            Cause::ProcessDown
        } else {
            Cause::NotYetServing
        };
        Door::Shut(Fate::Refused, cause)
    }

    /// The server takes a call: into service, or into its backlog.
    #[inline]
    fn enter(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let call = &mut self.calls[id.id];
        let (row, kind) = self.servers.of(call);
        if row.busy < kind.concurrency {
            return self.begin_hold(id, ctx);
        }
        if row.backlog.len() < kind.backlog {
            row.backlog.push_back(id.id);
            call.stage = Stage::Waiting;
            time(call, id, ctx);
            return;
        }
        let at = ctx.now() + call.hop();
        let call = self.calls.remove(id.id);
        self.settle(call, End { fate: Fate::ServerError, cause: Cause::BacklogFull, at }, ctx);
    }

    /// A call's time in service begins.
    #[inline]
    fn begin_hold(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let call = &mut self.calls[id.id];
        let (_, kind) = self.servers.of(call);
        let (hold, depends) = (kind.hold(call), !kind.calls.is_empty());
        self.servers.begin(call, hold, now);
        call.stage = Stage::InService;
        let ends = now.saturating_add(hold);
        if ends < SimTime::MAX {
            ctx.at(ends, event(TrafficEvent::HoldEnds(id)));
        }
        if depends || ends.saturating_add(call.hop()) > call.deadline {
            time(call, id, ctx);
        }
    }

    /// A call's hold is over: it fails, goes on with the calls that it depends on, or is done.
    #[inline]
    pub(super) fn hold_ends(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        self.servers.hold_ends(call);
        let (_, kind) = self.servers.of(call);
        if kind.fails(call) {
            self.leave(id, Fate::ServerError, Cause::ServerFault, ctx);
        } else if kind.calls.is_empty() {
            self.leave(id, Fate::Ok, Cause::None, ctx);
        } else {
            call.stage = Stage::Calling;
            self.call_next(id, cluster, ctx);
        }
    }

    /// The answer of a downstream call is back.
    pub(super) fn carry_on(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        if call.is_failed {
            self.leave(id, Fate::ServerError, Cause::Downstream, ctx);
        } else {
            self.call_next(id, cluster, ctx);
        }
    }

    /// A call in service makes the next call that it depends on, or is done.
    fn call_next(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = &mut self.calls[id.id];
        let (_, kind) = self.servers.of(call);
        let Some((service, timeout)) = kind.next_call(call.step) else {
            return self.leave(id, Fate::Ok, Cause::None, ctx);
        };
        let Some(service) = service else {
            return self.leave(id, Fate::ServerError, Cause::Downstream, ctx);
        };
        let luck = call.child_luck();
        call.step = call.step.saturating_add(1);
        let child = Call::new(Caller::Call(id), service, ctx.now(), timeout, luck);
        self.attempt(child, cluster, ctx);
    }

    /// A call leaves its server, and the next one that waits takes its slot.
    #[inline]
    fn leave(&mut self, id: CallRef, fate: Fate, cause: Cause, ctx: &mut Ctx<'_>) {
        let call = self.calls.remove(id.id);
        let at = ctx.now() + call.hop();
        let (row, _) = self.servers.of(&call);
        row.busy -= 1;
        while let Some(next) = row.backlog.pop_front() {
            // Its client is gone: the server finds a closed connection.
            if self.calls[next].is_given_up {
                self.calls.remove(next);
                continue;
            }
            let next = self.calls.refer(next);
            self.begin_hold(next, ctx);
            break;
        }
        self.tell_if_idle(call.server, ctx);
        self.settle(call, End { fate, cause, at }, ctx);
    }

    /// A draining server that has just become idle is looked at within this instant.
    #[inline]
    pub(super) fn tell_if_idle(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        let row = self.servers.get(pod);
        if row.is_some_and(|row| row.state == Serving::Draining && row.is_idle()) {
            ctx.after(Duration::ZERO, event(TrafficEvent::IdleCheck(pod)));
        }
    }
}

/// Lets a call know when its time is over.
fn time(call: &mut Call, id: CallRef, ctx: &mut Ctx<'_>) {
    if !call.is_timed && !call.is_given_up && call.deadline < SimTime::MAX {
        call.is_timed = true;
        ctx.at(call.deadline.max(ctx.now()), event(TrafficEvent::Timeout(id)));
    }
}
