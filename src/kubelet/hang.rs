//! Processes that hang, and probes that take their time: those of a server whose probes wait among
//! its calls, and those of a process that answers nothing.
//!
//! A probe that waits has the number of a call of the kubelet. Whoever answers it first counts: the
//! server, the end of its timeout, or the end of the process.
//!
//! Differs: connections to a process that hangs are always accepted (the backlog of its socket
//! has no bound); a probe of a server that nobody can call waits for nobody.

use super::host::Port;
use super::machine::{Call, Outcome, Slot, Which};
use super::node::{NEVER, News, Row};
use super::processes::{has_probes, probe_of};
use crate::base::{Duration, SimTime, dist};
use crate::cluster::{Plight, Write};
use crate::event::{Event, SlotStep, TrafficEvent};
use crate::model::{Hang, HangWhen, ProbeKind};

/// When a process answers nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hanging {
    /// From when on.
    pub from: SimTime,
    /// Until when.
    pub until: SimTime,
    /// Whether it does so now.
    pub is_now: bool,
}

/// Never.
pub(super) const HANGS_NOT: Hanging = Hanging { from: NEVER, until: NEVER, is_now: false };

/// Apart from the draw of exit codes.
const SHARE: u64 = 1 << 40;

/// Whether the process itself must answer a probe: not a command beside it, and not the system that
/// accepts connections for it (rule N83).
pub(super) fn goes_to_server(row: &Row, c: u8, which: Which) -> bool {
    let kind = probe_of(row.spec(c), which).map(|probe| probe.how);
    matches!(kind, Some(ProbeKind::Http | ProbeKind::Grpc))
}

/// Whether a process is one of those that hang.
fn is_struck(row: &Row, c: u8, hang: &Hang) -> bool {
    let run = u64::from(row.processes[usize::from(c)].runs());
    dist::open01_of(dist::mix(row.uid ^ (SHARE | run))) < hang.share
}

impl Port<'_, '_> {
    /// A process has begun, which will be able to serve at an instant: when it will hang.
    pub(super) fn hangs_later(&mut self, slot: Slot, c: u8, able_at: SimTime) {
        let state = &mut *self.state;
        let Some(row) = state.row(slot) else { return };
        let template = std::sync::Arc::clone(&row.template);
        let Some(hang) = &template.behaviors[usize::from(c)].hang else { return };
        if !is_struck(row, c, hang) {
            return;
        }
        let (from, since) = match &hang.when {
            HangWhen::At(at) => (able_at.max(*at), *at),
            HangWhen::After(law) => {
                let from = able_at.saturating_add(law.sample_duration(&mut state.apps));
                (from, from)
            }
            HangWhen::Calls(_) => return,
        };
        let until = hang.lasts.map_or(NEVER, |lasts| since.saturating_add(lasts));
        if let Some(row) = self.state.row_mut(slot).filter(|_| from < until) {
            row.process(c).hanging = Hanging { from, until, is_now: false };
            self.later(from, slot, SlotStep::Hangs(c));
        }
    }

    /// The server has taken the call with which it hangs.
    pub(super) fn server_hangs(&mut self, slot: Slot) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return };
        let Some(c) = row.server() else { return };
        let template = std::sync::Arc::clone(&row.template);
        let hang = template.behaviors[usize::from(c)].hang.as_ref();
        if let Some(hang) = hang.filter(|hang| is_struck(row, c, hang)) {
            let until = hang.lasts.map_or(NEVER, |lasts| now.saturating_add(lasts));
            row.process(c).hanging = Hanging { from: now, until, is_now: false };
            self.hangs(slot, c);
        }
    }

    /// A process answers nothing from now on.
    pub(super) fn hangs(&mut self, slot: Slot, c: u8) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let is_probed = has_probes(row.spec(c));
        let process = row.process(c);
        if !process.is_running || process.hanging.is_now {
            return;
        }
        process.hanging.is_now = true;
        let until = process.hanging.until;
        self.later(until, slot, SlotStep::GoesOn(c));
        self.befalls(slot, c, Plight::Hangs);
        if is_probed {
            self.state.news.push_back(News::Outlook(slot));
        }
    }

    /// A process that hung goes on: it answers what has waited.
    pub(super) fn goes_on(&mut self, slot: Slot, c: u8) {
        let waits = self.probes_wait(slot, c);
        let Some(row) = self.state.row_mut(slot) else { return };
        if !std::mem::take(&mut row.process(c).hanging.is_now) {
            return;
        }
        self.befalls(slot, c, Plight::GoesOn);
        if !waits {
            self.end_probes(slot, c, Outcome::Ok);
        }
        self.state.news.push_back(News::Outlook(slot));
    }

    /// The kubelet is about to kill a container for its probe.
    pub(super) fn condemned(&mut self, slot: Slot, c: u8) {
        self.befalls(slot, c, Plight::Condemned);
    }

    fn befalls(&mut self, slot: Slot, c: u8, what: Plight) {
        let is_server = self.is_server(slot, c);
        if let Some(row) = self.state.row(slot).filter(|_| is_server) {
            let pod = row.pod;
            self.plan.push(Write::Plight { pod, what });
        }
    }

    /// Whether the HTTP and gRPC probes of a container wait among its calls.
    pub(super) fn probes_wait(&self, slot: Slot, c: u8) -> bool {
        let row = self.state.row(slot);
        let serve = row.and_then(|row| row.behavior(c).serve.as_ref());
        serve.is_some_and(|serve| serve.probes.is_some()) && self.is_server(slot, c)
    }

    /// A probe begins whose answer takes its time.
    pub(super) fn begin_probe(
        &mut self,
        slot: Slot,
        c: u8,
        which: Which,
        (call, timeout): (Call, Duration),
    ) {
        let waits = self.probes_wait(slot, c);
        let number = self.state.calls.wrapping_add(1);
        let Some(row) = self.state.row_mut(slot).filter(|row| goes_to_server(row, c, which)) else {
            return;
        };
        row.calls.push((number, call));
        let pod = row.pod;
        self.state.calls = number;
        self.later(self.now.saturating_add(timeout), slot, SlotStep::ProbeLate(number));
        if waits {
            let timeout_s = u16::try_from(timeout.whole_secs()).unwrap_or(u16::MAX);
            let probe = TrafficEvent::Probe { pod, number, timeout_s };
            self.ctx.after(Duration::ZERO, Event::Traffic(probe));
        }
    }

    /// The server has answered a probe, or refused it.
    pub(super) fn probed(&mut self, slot: Slot, number: u16, is_ok: bool) {
        self.probe_over(slot, number, if is_ok { Outcome::Ok } else { Outcome::Exit(1) });
    }

    /// A probe is over, unless it was so before.
    pub(super) fn probe_over(&mut self, slot: Slot, number: u16, outcome: Outcome) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let is_it = |(of, call): &(u16, Call)| *of == number && matches!(call, Call::Probe { .. });
        let Some(at) = row.calls.iter().position(is_it) else { return };
        let (_, call) = row.calls.swap_remove(at);
        self.state.news.push_back(News::Done(slot, call, outcome));
    }

    /// The probes under way of a container end.
    pub(super) fn end_probes(&mut self, slot: Slot, c: u8, outcome: Outcome) {
        let Some(row) = self.state.row(slot) else { return };
        let of_it = |call: &Call| matches!(call, Call::Probe { container, .. } if *container == c);
        let numbers: smallvec::SmallVec<[u16; 2]> =
            row.calls.iter().filter(|(_, call)| of_it(call)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.probe_over(slot, number, outcome);
        }
    }
}
