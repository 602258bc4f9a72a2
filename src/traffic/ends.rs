//! The caller's side of an end: told once, tried again, or carried on by the pod that called.

use crate::base::SimTime;
use crate::cluster::Cluster;
use crate::event::{CallRef, TrafficEvent};
use crate::model::{Client, Retries};
use crate::record::{CallRecord, Cause, Fate};
use crate::sim::Ctx;

use super::attempts::pool_of;
use super::call::{NO_CALL, NO_POD};
use super::clients::Connection;
use super::hang::tell_prober;
use super::ingress::caller_of;
use super::mesh::is_sidecar;
use super::{Call, Caller, Purpose, Stage, Traffic, event};

/// How an attempt ends for its caller, and when the caller knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) fate: Fate,
    pub(super) cause: Cause,
    pub(super) at: SimTime,
}

impl Traffic {
    /// Ends an attempt for its caller. The call is in no table any more, or given up there.
    #[inline]
    pub(super) fn settle(&mut self, call: &Call, mut end: End, ctx: &mut Ctx<'_>) {
        if call.is_given_up {
            return;
        }
        if let Caller::Probe(number) = call.caller {
            return tell_prober(call.server, number, end.fate == Fate::Ok, ctx);
        }
        if end.at > call.deadline {
            let cause = Cause::SlowService;
            end = End { fate: Fate::TimedOut, cause, at: call.deadline.max(ctx.now()) };
        }
        self.release(call, end.at, ctx);
        if self.mesh.makes(call) {
            self.mesh.over(call);
        }
        let is_ok = end.fate == Fate::Ok;
        let client = &mut self.clients[usize::from(call.client)];
        client.note(call.place, call.server, is_ok, ctx.now());
        if call.twin != NO_CALL {
            let Some(attempt) = self.wins(call, is_ok, end.at, ctx) else { return };
            let mut counted = *call;
            counted.attempt = attempt;
            return self.goes_on(&counted, end, ctx);
        }
        self.goes_on(call, end, ctx);
    }

    /// An attempt that has ended alone is followed by another one, or its end is that of the call.
    #[inline]
    fn goes_on(&mut self, call: &Call, end: End, ctx: &mut Ctx<'_>) {
        if end.fate != Fate::Ok && self.back_off(call, end, ctx) {
            return;
        }
        self.keep_connection(call, end, ctx);
        self.settle_for_good(call, end, ctx);
    }

    /// Ends a call for its caller.
    #[inline]
    pub(super) fn settle_for_good(&mut self, call: &Call, end: End, ctx: &mut Ctx<'_>) {
        match call.caller {
            Caller::Source(source, _) => {
                if let Some(think) = self.sources[source].thinks(call) {
                    let at = end.at.saturating_add(think);
                    if at < self.horizon {
                        ctx.at(at, event(TrafficEvent::User(source)));
                    }
                }
            }
            Caller::Call(parent) => {
                if call.is_upstream {
                    self.note_answer(call, end.at);
                }
                if let Some(parent_call) = self.calls.get_mut(parent) {
                    let optional = self.clients[usize::from(call.client)].optional;
                    parent_call.is_failed |= end.fate != Fate::Ok && !optional;
                    if call.is_upstream {
                        (parent_call.why, parent_call.upstream) = (end.cause, call.server);
                    }
                    self.send_at(end.at, call.hop(), event(TrafficEvent::Continue(parent)), ctx);
                }
            }
            Caller::Probe(_) => {}
        }
        if !call.is_upstream {
            self.tell(call, end, ctx);
        }
    }

    /// An attempt of a client that counts them is over at an instant.
    #[inline]
    fn release(&mut self, call: &Call, at: SimTime, ctx: &mut Ctx<'_>) {
        let client = &mut self.clients[usize::from(call.client)];
        if !client.counts {
            return;
        }
        let again = call.attempt > 0;
        if at <= ctx.now() {
            client.over(call.place, again);
        } else {
            let over = TrafficEvent::Over { client: call.client, again, place: call.place };
            ctx.at(at, event(over));
        }
    }

    /// Whether the end of one of two attempts that race is that of the call: it is if it went well,
    /// and then the other one is given up, or if it is the last. The number of the last attempt.
    #[cold]
    fn wins(&mut self, call: &Call, is_ok: bool, at: SimTime, ctx: &mut Ctx<'_>) -> Option<u8> {
        let Some(other) = self.calls.get_mut(call.twin).filter(|other| !other.is_given_up) else {
            return Some(call.attempt);
        };
        other.twin = NO_CALL;
        if !is_ok {
            return None;
        }
        other.is_given_up = true;
        let other = *other;
        self.release(&other, at, ctx);
        Some(call.attempt.max(other.attempt))
    }

    /// Lets a call know when a second attempt may start beside it.
    #[inline]
    pub(super) fn hedge_later(&self, call: &Call, id: CallRef, ctx: &mut Ctx<'_>) {
        let after = self.clients[usize::from(call.client)].spec.hedge;
        if let Some(after) = after.filter(|_| !call.is_hedged) {
            ctx.after(after, event(TrafficEvent::Hedge(id)));
        }
    }

    /// A call has not been answered for long: a second attempt starts beside it.
    pub(super) fn hedge(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_given_up) else {
            return;
        };
        call.is_hedged = true;
        let mut second = call.again(ctx.now());
        (second.twin, second.is_hedged) = (id, true);
        let sent =
            self.attempt(&mut second, cluster, ctx).filter(|sent| self.calls.contains(*sent));
        if let (Some(sent), Some(call)) = (sent, self.calls.get_mut(id)) {
            call.twin = sent;
        }
    }

    /// Tells the recorder.
    #[inline]
    fn tell(&self, call: &Call, end: End, ctx: &mut Ctx<'_>) {
        if end.at >= self.horizon {
            return;
        }
        let source = match call.caller {
            Caller::Source(source, _) => Some(source),
            Caller::Call(_) | Caller::Probe(_) => None,
        };
        let pod = if call.upstream == NO_POD { call.server } else { call.upstream };
        ctx.recorder.call(&CallRecord {
            source,
            service: call.about(),
            start: call.start,
            latency: end.at - call.start,
            fate: end.fate,
            cause: end.cause,
            retries: u32::from(call.attempt),
            pod: self.servers.get(pod).map(|row| row.serial),
        });
    }

    /// A failed attempt waits for the next one, if its client allows it.
    fn back_off(&mut self, call: &Call, end: End, ctx: &mut Ctx<'_>) -> bool {
        let client = &mut self.clients[usize::from(call.client)];
        // What another application answers is an answer.
        if client.spec.retries.attempts == 0 || end.cause == Cause::OtherApplication {
            return false;
        }
        if self.mesh.makes(call) {
            let is_grpc =
                self.clients[usize::from(caller_of(call, &self.calls))].shares().is_some();
            if !self.mesh.tries_again(call, end, is_grpc) {
                return false;
            }
        } else if is_sent_for_good(call, end.fate) {
            return false;
        }
        let client = &mut self.clients[usize::from(call.client)];
        let Client { deadline, retries: Retries { back_off, .. }, .. } = client.spec;
        let pause = back_off.pause(call.attempt.saturating_add(1), call.chance(Purpose::BackOff));
        let at = end.at.saturating_add(pause);
        let in_time = at < call.start.saturating_add(deadline);
        if !in_time || !client.may_try_again(call.place, call.attempt, end.fate) {
            return false;
        }
        let mut waiting = call.at_stage(Stage::BackOff);
        waiting.twin = NO_CALL;
        let waiting = self.calls.insert(waiting);
        ctx.at(at, event(TrafficEvent::Retry(waiting)));
        true
    }

    /// The next attempt of a call.
    pub(super) fn retry(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = self.calls.remove(id.id);
        self.blame(&call, Cause::None);
        self.attempt(&mut call.again(ctx.now()), cluster, ctx);
    }

    /// A connection takes another call if it was answered, by a server that goes on (one that
    /// drains says "close" with its last answers, rule N136).
    #[inline]
    fn keep_connection(&mut self, call: &Call, end: End, ctx: &mut Ctx<'_>) {
        let client = &mut self.clients[usize::from(call.client)];
        let is_answered = matches!(end.fate, Fate::Ok | Fate::ServerError);
        if client.keeps() {
            let is_kept = is_answered && call.server != NO_POD && !is_sidecar(call.server);
            if is_kept && self.servers.is_open(call.server, |pod| self.mesh.is_up(pod)) {
                let answer = self.calls.insert(call.at_stage(Stage::Answering));
                self.send_at(end.at, call.hop(), event(TrafficEvent::Answer(answer)), ctx);
            }
        } else if client.shares().is_some() && matches!(end.fate, Fate::Refused | Fate::Reset) {
            let slot = client.shared(call.place, call.slot);
            if slot.is_some_and(|kept| kept.pod == call.server) {
                *slot = None;
            }
        }
    }

    /// An answer has reached the caller: its connection waits for the next call.
    pub(super) fn answered(&mut self, id: CallRef, now: SimTime) {
        let call = self.calls.remove(id.id);
        let node = match call.caller {
            Caller::Source(_, node) => node,
            // Its pod may have ended meanwhile, and another may be in its place.
            Caller::Call(parent) if self.calls.contains(parent) => crate::model::NodeId::new(0),
            Caller::Call(_) | Caller::Probe(_) => return,
        };
        let used = now.saturating_sub(call.hop());
        let kept = Connection { pod: call.server, node, used, ages_at: call.ages_at };
        self.clients[usize::from(call.client)].keep(pool_of(&call, node), kept);
    }

    /// The caller gives up, whatever its server does.
    pub(super) fn time_is_over(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let is_hung = self.hung > 0 && self.servers.is_hung(call.server);
        if call.stage == Stage::Resending {
            return self.answer_is_late(id, ctx);
        }
        let cause = match call.stage {
            Stage::Waiting | Stage::InService | Stage::Calling if is_hung => Cause::Hung,
            Stage::Waiting => Cause::WaitedTooLong,
            Stage::Travelling
            | Stage::InService
            | Stage::Calling
            | Stage::BackOff
            | Stage::Answering
            | Stage::Resending => Cause::SlowService,
        };
        if call.is_given_up {
            return;
        }
        // What a proxy waits for in vain is known by now.
        let cause = if call.why == Cause::None { cause } else { call.why };
        let given_up = *call;
        call.is_given_up = true;
        self.settle(&given_up, End { fate: Fate::TimedOut, cause, at: ctx.now() }, ctx);
    }
}

/// Whether a proxy does not send a call again: it was sent, and is not idempotent (nginx,
/// `proxy_next_upstream` without `non_idempotent`, rule N180). A connection that was not made has
/// sent nothing.
const fn is_sent_for_good(call: &Call, fate: Fate) -> bool {
    let is_sent = call.is_kept && !matches!(fate, Fate::Refused);
    call.is_upstream && !call.is_idempotent && is_sent
}
