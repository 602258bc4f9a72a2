//! What is sent while the network is cut, and sent again until it arrives: TCP's retransmissions.
//!
//! ```text
//! SYN      0 ─ 1 s ─► 1 ─ 2 s ─► 3 ─ 4 s ─► 7 … (six times; no answer by 127 s: no connection)
//! segment  0 ─ RTO ─► ─ 2 RTO ─► ─ 4 RTO ─► … (fifteen times)
//! ```
//!
//! So a cut that is shorter than the caller's patience makes calls late and loses none: the first
//! retransmission after it heals goes through. Requests are sent again by the caller's machine,
//! answers by the server's, for as long as its pod is there. A reset is sent once.
//!
//! Source: RFC 6298; Linux net/ipv4/tcp_timer.c, tcp_input.c (`TCP_TIMEOUT_INIT` 1 s, `TCP_RTO_MIN`
//! 200 ms above the round trip, `tcp_syn_retries` 6, `tcp_retries2` 15), rules N158, N160, N406.

use crate::base::{Duration, SimTime};
use crate::cluster::Cluster;
use crate::event::{CallRef, TrafficEvent};
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::attempts::time;
use super::ends::End;
use super::{Call, Caller, Stage, Traffic, event};

/// How long the first answer to a SYN is waited for.
const SYN_WAIT: Duration = Duration::secs(1);
/// How often a SYN is sent again.
const SYN_TRIES: u32 = 6;
/// How long an acknowledgement is waited for at least, above the round trip.
const WAIT_MIN: Duration = Duration::ms(200);
/// How often a segment is sent again.
const TRIES: u32 = 15;

/// The first retransmission that leaves at or after an instant of what was sent first at `sent`,
/// with a wait that doubles; `None`: there are no more.
fn next(sent: SimTime, wait: Duration, tries: u32, from: SimTime) -> Option<SimTime> {
    let leaves = |number: u32| sent.saturating_add(wait.saturating_mul((1 << number) - 1));
    (1..=tries).map(leaves).find(|at| *at >= from)
}

impl Traffic {
    /// Whether a call that has met a cut network is sent again before its caller gives up.
    #[cold]
    pub(super) fn is_sent_again(&self, id: CallRef, ctx: &mut Ctx<'_>) -> bool {
        let call = &self.calls[id.id];
        let limit = self.hears_nothing(call, call.deadline);
        let hop = call.hop();
        let (wait, tries) = match call.is_kept {
            true => (hop * 2 + WAIT_MIN, TRIES),
            false => (SYN_WAIT, SYN_TRIES),
        };
        // Just after the one that was lost left.
        let from = ctx.now().saturating_sub(hop) + Duration::ns(1);
        let arrives = next(call.began, wait, tries, from).map(|leaves| leaves + hop);
        let Some(at) = arrives.filter(|at| *at < limit) else { return false };
        ctx.at(at.max(ctx.now()), event(TrafficEvent::Arrive(id)));
        true
    }

    /// An answer meets a cut network; its server is done with the call.
    #[cold]
    pub(super) fn answer_is_lost(
        &mut self,
        id: CallRef,
        fate: Fate,
        cause: Cause,
        ctx: &mut Ctx<'_>,
    ) {
        let call = &mut self.calls[id.id];
        if call.is_given_up {
            self.calls.remove(id.id);
            return;
        }
        (call.stage, call.began, call.why) = (Stage::Resending, ctx.now(), cause);
        call.is_failed = fate == Fate::ServerError;
        // A reset is not sent again.
        if matches!(fate, Fate::Ok | Fate::ServerError) && self.answers_again(id, ctx) {
            return time(&mut self.calls[id.id], id, ctx);
        }
        self.answer_never_comes(id, ctx);
    }

    /// Whether an answer is sent again before its caller gives up.
    fn answers_again(&self, id: CallRef, ctx: &mut Ctx<'_>) -> bool {
        let call = &self.calls[id.id];
        let wait = call.hop() * 2 + WAIT_MIN;
        let leaves = next(call.began, wait, TRIES, ctx.now() + Duration::ns(1));
        let Some(at) = leaves.filter(|at| at.saturating_add(call.hop()) < call.deadline) else {
            return false;
        };
        ctx.at(at, event(TrafficEvent::Resend(id)));
        true
    }

    /// A server sends an answer again.
    #[cold]
    pub(super) fn resend(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get(id).copied() else { return };
        if call.is_given_up {
            self.calls.remove(id.id);
            return;
        }
        let is_there = self.servers.get(call.server).is_some_and(|row| row.is_up)
            && cluster.pod(call.server).is_some();
        if !is_there {
            return self.answer_never_comes(id, ctx);
        }
        if self.is_cut_off(&call, cluster) {
            if !self.answers_again(id, ctx) {
                self.answer_never_comes(id, ctx);
            }
            return;
        }
        let mut call = self.calls.remove(id.id);
        let fate = if call.is_failed { Fate::ServerError } else { Fate::Ok };
        let end = End { fate, cause: call.why, at: ctx.now() + call.hop() };
        (call.is_failed, call.why) = (false, Cause::None);
        self.settle(&call, end, ctx);
    }

    /// A caller waits in vain for an answer that will not come.
    fn answer_never_comes(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let mut call = self.calls.remove(id.id);
        call.is_failed = false;
        self.blame(&call, Cause::Partitioned);
        let at = call.deadline.max(ctx.now());
        self.settle(&call, End { fate: Fate::TimedOut, cause: Cause::Partitioned, at }, ctx);
    }

    /// The time of a call is over whose answer is sent again and again.
    pub(super) fn answer_is_late(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        if self.calls[id.id].is_given_up {
            return;
        }
        self.answer_never_comes(id, ctx);
    }

    /// Whether a call comes straight from outside to its pod, through no node.
    #[inline]
    pub(super) fn is_straight(&self, call: &Call) -> bool {
        match call.caller {
            Caller::Source(..) => self.has_targets && self.has_targets(call.service),
            Caller::Call(_) => self.is_from_outside(call) && self.ingress.balances(),
            Caller::Probe(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N158: SYNs at 0, 1, 3, 7, … s, seven of them.
    #[test]
    fn when_syns_are_sent() {
        let mut all = Vec::new();
        let mut from = SimTime::ZERO;
        while let Some(at) = next(SimTime::ZERO, SYN_WAIT, SYN_TRIES, from) {
            all.push(at.as_secs_f64());
            from = at + Duration::ns(1);
        }
        assert_eq!(all, [1.0, 3.0, 7.0, 15.0, 31.0, 63.0]);
    }
}
