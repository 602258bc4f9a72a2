//! What containers do: their start, what they answer to probes, the stop signal, their end.
//!
//! Probes cost no event a tick: when a process can serve is known when it starts, so the machine
//! is told until when a probe answers the same ([`Port::outlook`]). The state of a server is kept
//! only of pods that somebody can call: a Service selects them, and the scenario has callers.
//!
//! Differs: a process that cannot serve yet exits at once on the signal; a refused probe takes no
//! time.

use super::hang::{HANGS_NOT, Hanging, goes_to_server};
use super::host::Port;
use super::machine::{Call, Exit, Outcome, Outlook, Slot, Which};
use super::memory::Ledger;
use super::node::{NEVER, News, Row};
use crate::base::{Duration, SimTime, dist};
use crate::cluster::{Plight, Serving, Write};
use crate::event::SlotStep;
use crate::model::{self, ContainerPort, Hook, Probe, ProbeKind};

/// Codes of processes that a signal ends: 128 and its number.
const SIGTERM: i32 = 143;
/// See [`SIGTERM`].
const SIGKILL: i32 = 137;

/// How far the stop of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Nobody stops it.
    No,
    /// It has the stop signal and goes on accepting.
    Accepting,
    /// It finishes what it has accepted.
    Draining,
    /// It does not hear the signal.
    Deaf,
}

/// The process of a container. A timer is an instant in here: an event about another instant than
/// the one noted is stale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    /// Whether there is one.
    pub is_running: bool,
    /// When the last one ended.
    pub finished: Option<SimTime>,
    /// When it started.
    pub since: SimTime,
    /// Calls that it has, if they take memory.
    pub calls: u32,
    /// When it has all the memory that it may have.
    pub full_due: SimTime,
    /// How often it was started.
    runs: u32,
    /// From when on it can serve.
    able_at: SimTime,
    /// When it ends by itself.
    exit_due: SimTime,
    stop: Stop,
    /// When acceptance or drain is over.
    stop_due: SimTime,
    /// When the grace is over.
    grace_due: SimTime,
    /// The call that stops it.
    stopped_by: Option<Call>,
    /// When it answers nothing.
    pub hanging: Hanging,
}

impl Process {
    /// Before the first start.
    pub(super) const NEW: Self = Self {
        is_running: false,
        finished: None,
        since: SimTime::ZERO,
        calls: 0,
        full_due: NEVER,
        runs: 0,
        able_at: NEVER,
        exit_due: NEVER,
        stop: Stop::No,
        stop_due: NEVER,
        grace_due: NEVER,
        stopped_by: None,
        hanging: HANGS_NOT,
    };

    /// How often it was started.
    pub(super) const fn runs(&self) -> u32 {
        self.runs
    }

    /// A draining server has nothing left: it exits now. Gives whether that is so.
    pub(super) fn is_idle(&mut self, now: SimTime) -> bool {
        let is_draining = self.stop == Stop::Draining;
        if is_draining {
            self.stop_due = now;
        }
        is_draining
    }

    /// Ends it, and nothing of it is due any more.
    const fn end(&mut self, now: SimTime) {
        *self = Self { finished: Some(now), runs: self.runs, ..Self::NEW };
    }
}

/// One of a container's probes.
pub(super) const fn probe_of(spec: &model::Container, which: Which) -> Option<&Probe> {
    match which {
        Which::Readiness => spec.readiness.as_ref(),
        Which::Liveness => spec.liveness.as_ref(),
        Which::Startup => spec.startup.as_ref(),
    }
}

pub(super) const fn has_probes(spec: &model::Container) -> bool {
    spec.readiness.is_some() || spec.liveness.is_some() || spec.startup.is_some()
}

/// Whether a probe is carried out inside of the container.
pub(super) fn is_exec(row: &Row, c: u8, which: Which) -> bool {
    probe_of(row.spec(c), which).is_some_and(|probe| probe.how == ProbeKind::Exec)
}

/// How long a hook takes (rule N68).
pub(super) fn hook_time(row: &Row, c: u8, is_post_start: bool) -> Duration {
    let spec = row.spec(c);
    let hook = if is_post_start { &spec.post_start } else { &spec.pre_stop };
    match hook {
        None => Duration::ZERO,
        Some(Hook::Sleep(time) | Hook::Exec(Some(time))) => *time,
        Some(Hook::Exec(None) | Hook::Http) => row.behavior(c).hook,
    }
}

impl Port<'_, '_> {
    /// A process starts.
    pub(super) fn launch(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let is_server = self.is_server(slot, c);
        let Some(row) = self.state.row_mut(slot) else { return };
        let clash = port_taken(row, c).is_some();
        if !row.is_init(c) {
            row.started.get_or_insert(now);
        }
        let is_mesh = self.is_mesh_proxy(slot, c);
        let able_at = now.saturating_add(self.time_to_able(slot, c, is_server || is_mesh));
        let run = if clash { Some(Duration::ZERO) } else { self.time_to_exit(slot, c) };
        let exit_due = run.map_or(NEVER, |run| now.saturating_add(run));
        let Some(row) = self.state.row_mut(slot) else { return };
        let process = row.process(c);
        let (runs, finished) = (process.runs + 1, process.finished);
        *process = Process {
            is_running: true,
            runs,
            finished,
            since: now,
            able_at,
            exit_due,
            ..Process::NEW
        };
        self.later(exit_due, slot, SlotStep::Exited(c));
        self.memory_begins(slot, c);
        self.storage_begins(slot, c);
        if is_server && able_at == now {
            self.set_serving(slot, Serving::Accepting);
        } else if is_server {
            self.set_serving(slot, Serving::Starting);
            self.later(able_at, slot, SlotStep::Able(c));
        }
        if is_mesh && able_at == now {
            self.proxy_is(slot, Plight::ProxyUp);
        } else if is_mesh {
            self.later(able_at, slot, SlotStep::Able(c));
        }
        self.hangs_later(slot, c, able_at);
    }

    /// Whether a container is the pod's mesh proxy, and somebody calls.
    fn is_mesh_proxy(&self, slot: Slot, c: u8) -> bool {
        let mesh = self.cluster.model().mesh.as_ref().filter(|_| self.has_callers);
        let row = self.state.row(slot).filter(|row| !self.is_server_of(row, c));
        mesh.zip(row).is_some_and(|(mesh, row)| row.spec(c).name == mesh.container)
    }

    fn is_server_of(&self, row: &Row, c: u8) -> bool {
        row.server() == Some(c)
    }

    /// How long the postStart hook of the pod's mesh proxy takes: until that takes calls, and so
    /// long the other containers wait (`holdApplicationUntilProxyStarts`).
    pub(super) fn waits_for_proxy(
        &self,
        slot: Slot,
        c: u8,
        is_post_start: bool,
    ) -> Option<Duration> {
        let row = self.state.row(slot).filter(|_| is_post_start && self.is_mesh_proxy(slot, c))?;
        let is_wait = matches!(row.spec(c).post_start, Some(Hook::Exec(None)));
        let able_at = row.processes[usize::from(c)].able_at;
        is_wait.then(|| able_at.saturating_since(self.now))
    }

    /// The preStop hook of a sidecar is over, which may have stopped it: before its turn, with the
    /// main containers still at work (rules N124, N472).
    pub(super) fn quits(&mut self, slot: Slot, c: u8) {
        let Some(row) = self.state.row(slot) else { return };
        if row.is_sidecar(c) && row.spec(c).pre_stop_quits {
            self.signal(slot, c, NEVER);
        }
    }

    /// The pod's mesh proxy takes calls, or has ended.
    fn proxy_is(&mut self, slot: Slot, what: Plight) {
        if let Some(row) = self.state.row(slot) {
            let pod = row.pod;
            self.plan.push(Write::Plight { pod, what });
        }
    }

    /// How long a process takes until it can serve; asked only if something depends on it.
    fn time_to_able(&mut self, slot: Slot, c: u8, is_server: bool) -> Duration {
        let state = &mut *self.state;
        let row = state.row(slot).expect("a pod that is there");
        if !has_probes(row.spec(c)) && !is_server {
            return Duration::ZERO;
        }
        let template = std::sync::Arc::clone(&row.template);
        template.behaviors[usize::from(c)].start.sample_duration(&mut state.apps)
    }

    /// How long a process runs before it ends by itself.
    fn time_to_exit(&mut self, slot: Slot, c: u8) -> Option<Duration> {
        let state = &mut *self.state;
        let row = state.row(slot).expect("a pod that is there");
        let (is_init, is_sidecar, lifetime) = (row.is_init(c), row.is_sidecar(c), row.lifetime);
        if lifetime.is_some() && !is_init {
            return lifetime;
        }
        let template = std::sync::Arc::clone(&row.template);
        let run = &template.behaviors[usize::from(c)].run;
        let drawn = run.as_ref().map(|run| run.sample_duration(&mut state.apps));
        drawn.or((is_init && !is_sidecar).then_some(Duration::ZERO))
    }

    /// Something of a process is due, or a call is over; nothing if it is so no longer.
    pub(super) fn step(&mut self, slot: Slot, step: SlotStep) {
        let now = self.now;
        let process = |port: &Self, c: u8| {
            let row = port.state.row(slot);
            row.and_then(|row| row.processes.get(usize::from(c)).copied()).unwrap_or(Process::NEW)
        };
        match step {
            SlotStep::Gone
            | SlotStep::Mounted
            | SlotStep::Storage
            | SlotStep::Gates
            | SlotStep::Files => {}
            SlotStep::Done(number) => self.done(slot, number),
            SlotStep::Able(c) => {
                let process = process(self, c);
                if process.able_at == now && self.is_mesh_proxy(slot, c) {
                    self.proxy_is(slot, Plight::ProxyUp);
                } else if process.able_at == now && process.stop == Stop::No {
                    self.set_serving(slot, Serving::Accepting);
                }
            }
            SlotStep::Exited(c) if process(self, c).exit_due == now => {
                let code = self.state.row(slot).map_or(0, |row| exit_code(row, c));
                self.die(slot, c, code);
            }
            SlotStep::Hangs(c) if process(self, c).hanging.from == now => self.hangs(slot, c),
            SlotStep::GoesOn(c) if process(self, c).hanging.until == now => self.goes_on(slot, c),
            SlotStep::ProbeLate(number) => self.probe_over(slot, number, Outcome::TimedOut),
            SlotStep::AcceptEnds(c) if process(self, c).stop_due == now => self.drain(slot, c),
            SlotStep::DrainEnds(c) if process(self, c).stop_due == now => self.bows_out(slot, c),
            SlotStep::GraceEnds(c) if process(self, c).grace_due == now => {
                self.die(slot, c, SIGKILL);
            }
            SlotStep::Full(c) if process(self, c).full_due == now => self.is_full(slot, c),
            SlotStep::Full(_)
            | SlotStep::Exited(_)
            | SlotStep::Hangs(_)
            | SlotStep::GoesOn(_)
            | SlotStep::AcceptEnds(_)
            | SlotStep::DrainEnds(_)
            | SlotStep::GraceEnds(_) => {}
        }
    }

    /// The stop signal; SIGKILL follows after `timeout`. The call is over when the process is dead.
    pub(super) fn stop(
        &mut self,
        slot: Slot,
        c: u8,
        timeout: Duration,
        call: Call,
    ) -> Option<Outcome> {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return Some(Outcome::Ok) };
        let process = row.process(c);
        if !process.is_running {
            return Some(Outcome::Ok);
        }
        process.stopped_by = Some(call);
        let grace_due = now.saturating_add(timeout);
        if process.stop != Stop::No {
            // Its preStop hook has told it already.
            process.grace_due = grace_due;
            self.later(grace_due, slot, SlotStep::GraceEnds(c));
            return None;
        }
        self.signal(slot, c, grace_due);
        None
    }

    /// A process gets the stop signal.
    fn signal(&mut self, slot: Slot, c: u8, grace_due: SimTime) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return };
        let shutdown = row.behavior(c).shutdown;
        let process = row.process(c);
        if !process.is_running || process.stop != Stop::No {
            return;
        }
        process.grace_due = grace_due;
        let is_able = process.able_at <= now;
        if shutdown.ignores_signal {
            process.stop = Stop::Deaf;
            self.later(grace_due, slot, SlotStep::GraceEnds(c));
        } else if is_able && !shutdown.accept.is_zero() {
            process.stop = Stop::Accepting;
            self.until(slot, c, now + shutdown.accept, SlotStep::AcceptEnds(c));
        } else if is_able {
            self.drain(slot, c);
        } else {
            self.die(slot, c, SIGTERM);
        }
    }

    /// Lets a step of a stop happen at `at`, or SIGKILL if that comes first.
    fn until(&mut self, slot: Slot, c: u8, at: SimTime, step: SlotStep) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let process = row.process(c);
        process.stop_due = at;
        let grace_due = process.grace_due;
        if at <= grace_due {
            self.later(at, slot, step);
        } else {
            self.later(grace_due, slot, SlotStep::GraceEnds(c));
        }
    }

    /// The process accepts no more and finishes what it has accepted; what has none exits.
    fn drain(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let is_server = self.is_server(slot, c);
        let Some(row) = self.state.row_mut(slot) else { return };
        let time = row.behavior(c).shutdown.drain;
        if self.is_mesh_proxy(slot, c) && self.cluster.model().mesh.as_ref().is_some_and(waits) {
            let Some(row) = self.state.row_mut(slot) else { return };
            row.process(c).stop = Stop::Draining;
            self.proxy_is(slot, Plight::ProxyDrains);
            return self.until(slot, c, NEVER, SlotStep::DrainEnds(c));
        }
        let Some(row) = self.state.row_mut(slot) else { return };
        let is_probed = has_probes(row.spec(c));
        if !is_server || time.is_zero() {
            return self.bows_out(slot, c);
        }
        let process = row.process(c);
        (process.stop, process.able_at) = (Stop::Draining, NEVER);
        self.set_serving(slot, Serving::Draining);
        if is_probed {
            self.state.news.push_back(News::Outlook(slot));
        }
        self.until(slot, c, now + time, SlotStep::DrainEnds(c));
    }

    /// A process ends because of the stop signal, with all its work done: a server exits 0, what
    /// would have ended by itself does not.
    fn bows_out(&mut self, slot: Slot, c: u8) {
        let Some(row) = self.state.row(slot) else { return };
        let ends = row.behavior(c).run.is_some() || row.lifetime.is_some();
        self.die(slot, c, if ends { SIGTERM } else { 0 });
    }

    /// A process ends with a code.
    fn die(&mut self, slot: Slot, c: u8, code: i32) {
        self.die_as(slot, c, code, if code == 0 { "Completed" } else { "Error" });
    }

    /// A process ends with a code, for a reason in the runtime's words.
    pub(super) fn die_as(&mut self, slot: Slot, c: u8, code: i32, reason: &'static str) {
        let now = self.now;
        if self.state.row(slot).is_none_or(|row| !row.processes[usize::from(c)].is_running) {
            return;
        }
        self.memory_ends(slot, c);
        self.storage_ends(slot, c);
        if self.is_mesh_proxy(slot, c) {
            self.proxy_is(slot, Plight::ProxyDown);
        }
        let is_server = self.is_server(slot, c);
        let Some(row) = self.state.row_mut(slot) else { return };
        let is_probed = has_probes(row.spec(c));
        let process = row.process(c);
        let stopped_by = process.stopped_by;
        process.end(now);
        // Connections of probes under way break.
        self.end_probes(slot, c, Outcome::Exit(1));
        self.state.news.push_back(News::Exited(slot, c, Exit { code, reason }));
        if let Some(call) = stopped_by {
            self.state.news.push_back(News::Done(slot, call, Outcome::Ok));
        } else if is_probed && !self.latencies().relist.is_zero() {
            self.state.news.push_back(News::Outlook(slot));
        }
        if is_server {
            self.set_serving(slot, Serving::Absent);
        }
    }

    /// The node lost power: processes and network namespaces are gone, and nobody writes about it.
    pub(super) fn power_lost(&mut self) {
        let now = self.now;
        self.state.sandboxes = 0;
        self.state.news.clear();
        self.state.memory = Ledger::default();
        self.state.pressure.power_lost();
        self.state.shutdown = None;
        self.promises_after_power_loss();
        for slot in self.state.slots() {
            self.storage_loses_power(slot);
            let Some(row) = self.state.row_mut(slot) else { continue };
            row.calls.clear();
            let has_server = row.server().is_some();
            for process in row.processes.iter_mut().filter(|process| process.is_running) {
                process.end(now);
            }
            if has_server {
                self.set_serving(slot, Serving::Gone);
            }
        }
    }

    /// What a probe answers from now on: it succeeds from the instant on at which the process can
    /// serve, until it stops accepting.
    pub(super) fn outlook(&self, slot: Slot, c: u8, which: Which) -> Outlook {
        let refused = Outcome::Exit(1);
        let Some(row) = self.state.row(slot) else { return Outlook::Steady(refused, NEVER) };
        let process = &row.processes[usize::from(c)];
        if !process.is_running {
            let is_exec = is_exec(row, c, which);
            return Outlook::Steady(if is_exec { Outcome::NotRunning } else { refused }, NEVER);
        }
        if process.able_at > self.now {
            return Outlook::Steady(refused, process.able_at);
        }
        if goes_to_server(row, c, which) && (process.hanging.is_now || self.probes_wait(slot, c)) {
            return Outlook::Ask;
        }
        Outlook::Steady(Outcome::Ok, NEVER)
    }

    /// Whether it is a container that serves calls and may get some.
    pub(super) fn is_server(&self, slot: Slot, c: u8) -> bool {
        self.is_called(slot) && self.state.row(slot).is_some_and(|row| row.server() == Some(c))
    }

    /// Whether anybody can call the pod.
    fn is_called(&self, slot: Slot) -> bool {
        let row = self.state.row(slot).filter(|_| self.has_callers);
        let row = row.and_then(|row| self.cluster.pod(row.pod));
        row.is_some_and(|row| !self.cluster.template_of(row).services.is_empty())
    }

    /// Sets the state of the pod's server, if anybody can call it.
    pub(super) fn set_serving(&mut self, slot: Slot, state: Serving) {
        if self.is_called(slot)
            && let Some(row) = self.state.row(slot)
        {
            let pod = row.pod;
            self.plan.push(Write::Serving { pod, state });
        }
    }
}

/// Whether proxies of a mesh wait for the calls of their pods.
const fn waits(mesh: &model::MeshSpec) -> bool {
    mesh.exits_when_idle
}

/// A port that a container wants and another one that runs has: the containers of a pod share one
/// network, so the process cannot bind it and ends at once (rule N57).
fn port_taken(row: &Row, c: u8) -> Option<u16> {
    let taken = |port: &ContainerPort| {
        let others = (0_u8..).zip(&row.processes);
        let others = others.filter(|(other, process)| *other != c && process.is_running);
        let mut theirs = others.flat_map(|(other, _)| &row.spec(other).ports);
        theirs.any(|other| (other.port, other.protocol) == (port.port, port.protocol))
    };
    row.spec(c).ports.iter().find(|port| taken(port)).map(|port| port.port)
}

/// With which code a process ends by itself.
fn exit_code(row: &Row, c: u8) -> i32 {
    if port_taken(row, c).is_some() {
        return 1;
    }
    let runs = row.processes[usize::from(c)].runs;
    // Containers of a pod draw each for itself; the first as it always has.
    let place = u64::from(c.saturating_sub(row.inits_u8())) << 32;
    let place = if row.is_init(c) { u64::MAX - u64::from(c) } else { place };
    let draw = dist::open01_of(dist::mix(row.uid ^ place ^ u64::from(runs)));
    let fails = |exit: &&model::Exit| {
        let of = exit.indexes.as_ref();
        of.is_none_or(|of| row.index.is_some_and(|index| of.has(index)))
            && exit.runs.is_none_or(|first| runs <= first)
            && draw < exit.share
    };
    let exit = row.behavior(c).exits.iter().find(fails);
    exit.map_or(0, |exit| i32::from(exit.code))
}

/// Whether a hook of a container fails, drawn for each of its runs.
pub(super) fn hook_fails(row: &Row, c: u8, is_post_start: bool) -> bool {
    let own = row.behavior(c).hook_failures;
    let share = if is_post_start { own.post_start } else { own.pre_stop };
    let runs = u64::from(row.processes[usize::from(c)].runs);
    let which = dist::mix(u64::from(c) << 1 | u64::from(is_post_start));
    share > 0.0
        && dist::open01_of(dist::mix(row.uid ^ which ^ runs.wrapping_mul(0x9E37_79B9))) < share
}
