//! Calls that a server makes while it serves one: one after another, or several at once (rule
//! N427).

use crate::cluster::Cluster;
use crate::event::CallRef;
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::call::Purpose;
use super::kinds::Need;
use super::{Call, Caller, Traffic};

impl Traffic {
    /// The answer of a downstream call is back.
    pub(super) fn carry_on(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let pod = call.server;
        if self.hung > 0 && self.sticks(pod, crate::event::TrafficEvent::Continue(id)) {
            return;
        }
        let call = &mut self.calls[id.id];
        call.pending -= 1;
        if call.pending > 0 {
            return;
        }
        if call.is_proxied() {
            return self.upstream_answers(id, ctx);
        }
        if call.is_failed {
            self.leave(id, Fate::ServerError, Cause::Downstream, ctx);
        } else {
            self.call_next(id, cluster, ctx);
        }
    }

    /// A call in service makes the next calls that it depends on, or is done. Calls that go
    /// together are all waited for, whether one has failed or not.
    pub(super) fn call_next(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let mut began = false;
        loop {
            let call = &mut self.calls[id.id];
            let (_, kind) = self.servers.of(call);
            let need = kind.needs.get(usize::from(call.step)).copied();
            let goes_on = |need: &Need| if began { need.parallel } else { !call.is_failed };
            let Some(need) = need.filter(goes_on) else { break };
            let luck = call.child_luck();
            call.step = call.step.saturating_add(1);
            let mut child =
                Call::new(Caller::Call(id), need.client, super::NO_SERVICE, ctx.now(), luck);
            if need.probability < 1.0 && child.chance(Purpose::Made) >= need.probability {
                continue;
            }
            if let Some(neighbour) = need.neighbour {
                call.pending += 1;
                began = need.parallel;
                let is_ok = self.call_neighbour(id, neighbour, &child, ctx);
                let is_optional = self.clients[usize::from(need.client)].optional;
                self.calls[id.id].is_failed |= !is_ok && !is_optional;
                if !need.parallel {
                    return;
                }
                continue;
            }
            let Some(service) = need.service else {
                if !self.clients[usize::from(need.client)].optional {
                    call.is_failed = true;
                }
                continue;
            };
            child.service = service;
            (child.priority, child.is_idempotent) = (call.priority, call.is_idempotent);
            child.place = call.server.id.number();
            call.pending += 1;
            began = need.parallel;
            let place = (child.place, call.server.life);
            self.clients[usize::from(need.client)].lives(place.0, place.1);
            self.attempt(&mut child, cluster, ctx);
            if !need.parallel {
                return;
            }
        }
        let call = &self.calls[id.id];
        if call.pending > 0 {
            return;
        }
        let is_failed = call.is_failed;
        let (fate, cause) = if is_failed {
            (Fate::ServerError, Cause::Downstream)
        } else {
            (Fate::Ok, Cause::None)
        };
        self.leave(id, fate, cause, ctx);
    }
}
