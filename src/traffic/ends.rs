//! The caller's side of an end: told once, tried again, or carried on by the pod that called.

use crate::base::{Duration, SimTime};
use crate::cluster::{Cluster, Serving};
use crate::event::{CallRef, TrafficEvent};
use crate::record::{CallRecord, Cause, Fate};
use crate::sim::Ctx;

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
    pub(super) fn settle(&mut self, call: Call, mut end: End, ctx: &mut Ctx<'_>) {
        if call.is_given_up {
            return;
        }
        if end.at > call.deadline {
            let cause = Cause::SlowService;
            end = End { fate: Fate::TimedOut, cause, at: call.deadline.max(ctx.now()) };
        }
        match call.caller {
            Caller::Source(id, _) => {
                let source = &self.sources[id];
                if end.fate != Fate::Ok && u32::from(call.attempt) < source.retries() {
                    return self.back_off(call, end, ctx);
                }
                if source.keeps() && self.stays_open(&call, end.fate) {
                    self.free_connection(call, end.at, ctx);
                }
            }
            Caller::Call(parent) => {
                if let Some(parent_call) = self.calls.get_mut(parent) {
                    parent_call.is_failed = end.fate != Fate::Ok;
                    ctx.at(end.at, event(TrafficEvent::Continue(parent)));
                }
            }
        }
        self.tell(&call, end, ctx);
    }

    /// Tells the recorder.
    #[inline]
    fn tell(&self, call: &Call, end: End, ctx: &mut Ctx<'_>) {
        if end.at >= self.horizon {
            return;
        }
        let source = match call.caller {
            Caller::Source(source, _) => Some(source),
            Caller::Call(_) => None,
        };
        ctx.recorder.call(&CallRecord {
            source,
            service: call.service,
            start: call.start,
            latency: end.at - call.start,
            fate: end.fate,
            cause: end.cause,
            retries: u32::from(call.attempt),
            pod: self.servers.get(call.server).map(|row| row.serial),
        });
    }

    /// A failed attempt waits for the next one; see the head of this room for how long.
    fn back_off(&mut self, mut call: Call, end: End, ctx: &mut Ctx<'_>) {
        const BASE_S: f64 = 0.025;
        let doublings = i32::from(call.attempt.min(10)) + 1;
        let most = ((f64::from(2_u16).powi(doublings) - 1.0) * BASE_S).min(10.0 * BASE_S);
        let pause = Duration::from_secs_f64(call.chance(Purpose::BackOff) * most);
        call.stage = Stage::BackOff;
        let waiting = self.calls.insert(call);
        ctx.at(end.at + pause, event(TrafficEvent::Retry(waiting)));
    }

    /// The next attempt of a call.
    pub(super) fn retry(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = self.calls.remove(id.id);
        let Caller::Source(source, _) = call.caller else { unreachable!("only sources try again") };
        let timeout = self.sources[source].timeout();
        self.attempt(call.again(ctx.now(), timeout), cluster, ctx);
    }

    /// Whether a call's connection can take another call: it was answered, by a server that goes on
    /// (one that drains says "close" with its last answers, rule N136).
    fn stays_open(&self, call: &Call, fate: Fate) -> bool {
        let row = self.servers.get(call.server);
        matches!(fate, Fate::Ok | Fate::ServerError)
            && row.is_some_and(|row| row.state == Serving::Accepting)
    }

    /// A call's connection is free for the next call when its answer has reached the caller.
    fn free_connection(&mut self, mut call: Call, at: SimTime, ctx: &mut Ctx<'_>) {
        call.stage = Stage::Answering;
        let answer = self.calls.insert(call);
        ctx.at(at, event(TrafficEvent::Answer(answer)));
    }

    /// An answer has reached the caller: its connection waits for the next call.
    pub(super) fn answered(&mut self, id: CallRef, now: SimTime) {
        let call = self.calls.remove(id.id);
        if let Caller::Source(source, node) = call.caller {
            self.sources[source].keep(node, call.server, now.saturating_sub(call.hop()));
        }
    }

    /// The caller gives up, whatever its server does.
    pub(super) fn time_is_over(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let cause = match call.stage {
            Stage::Waiting => Cause::WaitedTooLong,
            Stage::Travelling
            | Stage::InService
            | Stage::Calling
            | Stage::BackOff
            | Stage::Answering => Cause::SlowService,
        };
        let given_up = *call;
        call.is_given_up = true;
        self.settle(given_up, End { fate: Fate::TimedOut, cause, at: ctx.now() }, ctx);
    }
}
