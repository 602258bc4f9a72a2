//! Servers that hang, and probes that wait among calls.
//!
//! What a server would do while it hangs waits: its ends of holds, answers that it waits for, looks
//! at what is done. When it goes on, all of that happens at that instant.
//!
//! Differs: a hold that begins before a server hangs runs on meanwhile.

use crate::base::{Duration, SimTime};
use crate::cluster::{Plight, Serving};
use crate::event::{Event, ServerStep, TrafficEvent};
use crate::model::{Behaviors, Hang, HangWhen, PodRef};
use crate::sim::Ctx;

use super::attempts::time;
use super::call::NO_SERVICE;
use super::{Call, Caller, Traffic, event};

/// Whether a server may hang because of its calls.
pub(super) fn can_hang(behaviors: &Behaviors) -> bool {
    let by_calls =
        |hang: &Option<Hang>| matches!(hang, Some(Hang { when: HangWhen::Calls(_), .. }));
    by_calls(&behaviors.standard.hang) || behaviors.rules.iter().any(|r| by_calls(&r.change.hang))
}

/// Tells the kubelet how a probe ended.
pub(super) fn tell_prober(pod: PodRef, number: u16, is_ok: bool, ctx: &mut Ctx<'_>) {
    let step = ServerStep::Probed { number, is_ok };
    ctx.after(Duration::ZERO, Event::Server { pod, step });
}

impl Traffic {
    /// Something befalls a server.
    pub(super) fn befalls(&mut self, pod: PodRef, what: Plight, ctx: &mut Ctx<'_>) {
        match what {
            Plight::ProxyUp | Plight::ProxyDown => {
                return self.proxy_is(pod, what == Plight::ProxyUp, ctx);
            }
            Plight::ProxyDrains => return self.proxy_drains(pod, ctx),
            Plight::GatesOpen => return,
            Plight::Hangs | Plight::GoesOn | Plight::Condemned => {}
        }
        let Some(row) = self.servers.get_mut(pod) else { return };
        match what {
            Plight::Condemned => row.is_condemned = true,
            Plight::Hangs if !row.is_hung => {
                row.is_hung = true;
                self.hung += 1;
            }
            Plight::GoesOn if row.is_hung => {
                row.is_hung = false;
                self.hung -= 1;
                for stuck in std::mem::take(&mut row.stuck) {
                    ctx.after(Duration::ZERO, event(stuck));
                }
            }
            Plight::Hangs
            | Plight::GoesOn
            | Plight::ProxyUp
            | Plight::ProxyDrains
            | Plight::GatesOpen
            | Plight::ProxyDown => {}
        }
    }

    /// The process of a server is gone, and with it that it hung.
    pub(super) fn ends_hung(&mut self, pod: PodRef) {
        let Some(row) = self.servers.get_mut(pod).filter(|row| row.is_hung) else { return };
        row.is_hung = false;
        if row.stuck.iter().any(|stuck| matches!(stuck, TrafficEvent::Work(_)))
            && let Some(shared) = &mut row.shared
        {
            shared.armed = SimTime::MAX;
        }
        row.stuck.clear();
        self.hung -= 1;
    }

    /// Whether a server hangs; then what it would do waits.
    pub(super) fn sticks(&mut self, pod: PodRef, what: TrafficEvent) -> bool {
        if self.hung == 0 {
            return false;
        }
        let Some(row) = self.servers.get_mut(pod).filter(|row| row.is_hung) else { return false };
        row.stuck.push(what);
        true
    }

    /// A server has taken a call: the one with which it hangs?
    #[cold]
    pub(super) fn hangs_with_it(&self, pod: PodRef, ctx: &mut Ctx<'_>) {
        let hang = self.servers.kind(pod).and_then(|kind| kind.behavior.hang.as_ref());
        let Some(Hang { when: HangWhen::Calls(calls), .. }) = hang else { return };
        if self.servers.get(pod).is_some_and(|row| row.served == *calls) {
            ctx.after(Duration::ZERO, Event::Server { pod, step: ServerStep::Hangs });
        }
    }

    /// A probe comes to a server.
    pub(super) fn probe(&mut self, pod: PodRef, number: u16, timeout_s: u16, ctx: &mut Ctx<'_>) {
        let is_open = |row: &&super::servers::Server| row.is_up && row.state == Serving::Accepting;
        let hold = self.servers.kind(pod).and_then(|kind| kind.behavior.serve.as_ref()?.probes);
        let Some(hold) = hold.filter(|_| self.servers.get(pod).filter(is_open).is_some()) else {
            return tell_prober(pod, number, false, ctx);
        };
        let now = ctx.now();
        let luck = crate::base::dist::mix(now.as_nanos() ^ u64::from(number));
        let mut call = Call::new(Caller::Probe(number), 0, NO_SERVICE, now, luck);
        call.server = pod;
        call.hold = hold.max(Duration::ns(1));
        call.deadline = now.saturating_add(Duration::secs(u64::from(timeout_s)));
        let id = self.calls.insert(call);
        time(&mut self.calls[id.id], id, ctx);
        self.enter(id, ctx);
    }
}
