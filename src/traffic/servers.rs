//! The servers: the pods' ends of calls, one row a pod that has had a process.

use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime, cast, math};
use crate::cluster::{Cluster, Plan, Serving, Write};
use crate::event::TrafficEvent;
use crate::model::{Behavior, Cache, Discipline, NO_LIMIT, NodeId, PodId, PodRef, Template};

use super::backlog::Backlog;
use super::call::{Call, Caller, NO_POD};
use super::clients::{ClientState, Connection, Verdict};
use super::ingress::is_proxy;
use super::kinds::Kind;
use super::machines::Machines;
use super::shared::{RATE_SHIFT, Rule, Shared};

/// The server of one pod.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) pod: PodRef,
    /// The pod's number in the run.
    pub(super) serial: u64,
    pub(super) node: NodeId,
    pub(super) state: Serving,
    /// Its machine is up.
    pub(super) is_up: bool,
    /// It has accepted calls before.
    pub(super) has_served: bool,
    /// Its pod has the proxy of a mesh.
    pub(super) is_meshed: bool,
    /// Somebody has kept a connection to this process.
    pub(super) is_kept: bool,
    /// Its process does no work.
    pub(super) is_hung: bool,
    /// It is, or was, killed for its probe.
    pub(super) is_condemned: bool,
    /// Calls in service.
    pub(super) busy: u32,
    /// Index of its kind.
    pub(super) kind: usize,
    /// Calls that wait.
    pub(super) backlog: Backlog,
    /// Calls that share it; `None`: each has a slot of its own.
    pub(super) shared: Option<Box<Shared>>,
    /// What it would have done while it hung.
    pub(super) stuck: Vec<TrafficEvent>,
    /// When it stopped to take calls on kept connections last.
    closed: Option<SimTime>,
    /// When its process began to accept.
    pub(super) since: SimTime,
    /// Calls that it has taken into service since.
    pub(super) served: u64,
    cpu: CpuMeter,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            pod: NO_POD,
            serial: 0,
            node: NodeId::new(0),
            state: Serving::Absent,
            is_up: false,
            has_served: false,
            is_meshed: false,
            is_kept: false,
            is_hung: false,
            is_condemned: false,
            busy: 0,
            kind: 0,
            backlog: Backlog::default(),
            shared: None,
            stuck: Vec::new(),
            closed: None,
            since: SimTime::ZERO,
            served: 0,
            cpu: CpuMeter::default(),
        }
    }
}

impl Server {
    /// Whether nothing that it has accepted is left.
    pub(super) const fn is_idle(&self) -> bool {
        self.busy == 0 && self.backlog.is_empty()
    }

    /// h(n) = h∞ · (1 − e^(−n / k)) after n calls (rule N424).
    pub(super) fn hit_ratio(&self, cache: &Cache) -> f64 {
        if cache.fill <= 0.0 {
            return cache.hits;
        }
        cache.hits * (1.0 - math::exp(-cast::f64_of_u64(self.served) / cache.fill))
    }
}

/// CPU time spent on calls; what those in service have used so far is spread evenly over their
/// holds. Whole numbers modulo 2⁶⁴: the sums come out exact in whatever order calls come and go.
#[derive(Clone, Copy, Debug, Default)]
struct CpuMeter {
    /// Nanoseconds of CPU of the holds that are over.
    done: u64,
    /// Sum of the rates of the calls in service, in 2⁻¹⁶ of a CPU.
    rate: u64,
    /// Sum of each rate times its beginning in nanoseconds, modulo 2⁶⁴.
    moment: u64,
}

impl CpuMeter {
    fn begin(&mut self, rate: u32, at: SimTime) {
        self.rate += u64::from(rate);
        self.moment = self.moment.wrapping_add(u64::from(rate).wrapping_mul(at.as_nanos()));
    }

    fn end(&mut self, rate: u32, began: SimTime, spent: u64) {
        self.rate -= u64::from(rate);
        self.moment = self.moment.wrapping_sub(u64::from(rate).wrapping_mul(began.as_nanos()));
        self.done += spent;
    }

    fn spent(&self, now: SimTime) -> Duration {
        let running = self.rate.wrapping_mul(now.as_nanos()).wrapping_sub(self.moment);
        Duration::ns(self.done + (running >> RATE_SHIFT))
    }
}

/// All servers and their kinds.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    rows: IdVec<PodId, Server>,
    kinds: Vec<Kind>,
    /// Servers whose calls take memory and have become more or fewer.
    loads: Vec<PodRef>,
    /// Servers that have taken so many more calls, each of which writes something.
    writers: Vec<(PodRef, u32)>,
    machines: Machines,
}

/// The CPU limit of a container, in cores: its own, or that of its pod.
fn cpu_limit(spec: &crate::model::PodSpec, container: usize) -> Option<f64> {
    let own = spec.containers.get(container)?.cpu_limit;
    let limit = own.into_iter().chain(spec.own_limits.cpu).min()?;
    Some(limit.as_cores()).filter(|cores| *cores > 0.0)
}

impl Servers {
    /// The server of a pod, if the pod has had one in this life.
    #[inline]
    pub(super) fn get(&self, pod: PodRef) -> Option<&Server> {
        self.rows.get(pod.id).filter(|row| row.pod == pod)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, pod: PodRef) -> Option<&mut Server> {
        self.rows.get_mut(pod.id).filter(|row| row.pod == pod)
    }

    /// Of calls to a pod's server: the bytes that each takes, if they are counted, and whether it is
    /// not known when their service begins how it ends.
    #[inline]
    pub(super) fn is_about(&self, pod: PodRef) -> (u64, bool) {
        self.kind(pod).map_or((0, false), |kind| (kind.bytes, kind.is_open_ended()))
    }

    /// The kind of a pod's server.
    #[inline]
    pub(super) fn kind(&self, pod: PodRef) -> Option<&Kind> {
        self.get(pod).map(|row| &self.kinds[row.kind])
    }

    /// The server of a call that is there: it lives as long as its calls.
    #[inline]
    pub(super) fn of(&mut self, call: &Call) -> (&mut Server, &Kind) {
        let row = &mut self.rows[call.server.id];
        assert!(row.pod == call.server, "a call of {:?} in {:?}", call.server, row.pod);
        let kind = &self.kinds[row.kind];
        (row, kind)
    }

    /// All connections to a pod are closed.
    pub(super) fn close(&mut self, pod: PodRef, now: SimTime) {
        if let Some(row) = self.get_mut(pod) {
            row.closed = Some(now);
        }
    }

    /// A pod's containers may have another CPU limit now.
    pub(super) fn resized(&mut self, pod: PodRef, cluster: &Cluster, now: SimTime) {
        let Some(row) = cluster.pod(pod) else { return };
        let server = cluster.template_of(row).template.server;
        let limit = cpu_limit(cluster.actual(row), usize::from(server.unwrap_or(0)));
        if let Some(shared) = self.get_mut(pod).and_then(|own| own.shared.as_mut()) {
            shared.set_limit(limit, now);
        }
    }

    /// Sets the state of a pod's server, whose row begins with the first one; and whether the proxy
    /// of a mesh stands before it.
    pub(super) fn set(
        &mut self,
        pod: PodRef,
        (to, is_proxied): (Serving, bool),
        cluster: &Cluster,
        clients: &mut Vec<ClientState>,
        now: SimTime,
    ) {
        let row = self.rows.grow_to(pod.id);
        if row.pod != pod {
            let Some((pod_row, node)) = cluster.pod(pod).and_then(|p| Some((p, p.node?))) else {
                return;
            };
            assert!(row.is_idle(), "{:?} is gone and has calls", row.pod);
            let backlog = std::mem::take(&mut row.backlog);
            let template = &cluster.template_of(pod_row).template;
            let node_row = &cluster.nodes()[node];
            let container = usize::from(template.server.unwrap_or(0));
            let at = template.spec.init_containers.len() + container;
            let limit = cpu_limit(cluster.actual(pod_row), container);
            let (is_up, machine) = (node_row.is_up, node_row.spec.allocatable.cpu);
            let serial = pod_row.serial;
            let is_meshed = template.is_meshed(cluster.model().mesh.as_ref());
            let kind = self.kind_of(&template.behaviors[at], template, cluster, clients);
            let cores = |cpu: crate::base::MilliCpu| cast::f64_of_i64(cpu.0) / 1000.0;
            let shared = match self.kinds[kind].discipline {
                Discipline::Slots => None,
                Discipline::Sharing => Some(Rule::Evenly),
                Discipline::Cpu => Some(Rule::Cpu { cores: cores(machine), limit }),
            };
            let shared = shared.map(|rule| Box::new(Shared::new(rule)));
            self.rows[pod.id] = Server {
                pod,
                serial,
                node,
                is_up,
                is_meshed,
                backlog,
                kind,
                shared,
                ..Server::default()
            };
        }
        let row = &mut self.rows[pod.id];
        if self.kinds[row.kind].discipline == Discipline::Cpu {
            match cluster.pod(pod).filter(|_| to != Serving::Gone) {
                Some(of) => {
                    let cores = cluster.nodes()[row.node].spec.allocatable.cpu;
                    let units = (u64::try_from(cores.0).unwrap_or(0) << RATE_SHIFT) / 1000;
                    self.machines.join(row.node, units, pod, cluster.actual(of).requests.cpu);
                }
                None => self.machines.leave(row.node, pod),
            }
        }
        let says_close = self.kinds[row.kind].says_close;
        // Connections to a pod of a mesh end at its proxy.
        let is_kept_up = row.is_meshed && is_proxied;
        if is_open(row.state, says_close) && !is_open(to, says_close) && !is_kept_up {
            row.closed = Some(now);
        }
        if to == Serving::Accepting {
            row.has_served = true;
        }
        if matches!(row.state, Serving::Absent | Serving::Starting) && to == Serving::Accepting {
            (row.since, row.served, row.is_kept) = (now, 0, false);
            row.is_condemned = false;
        }
        row.state = to;
    }

    fn kind_of(
        &mut self,
        behavior: &Arc<Behavior>,
        template: &Template,
        cluster: &Cluster,
        clients: &mut Vec<ClientState>,
    ) -> usize {
        let known = self.kinds.iter().position(|kind| Arc::ptr_eq(&kind.behavior, behavior));
        known.unwrap_or_else(|| {
            self.kinds.push(Kind::new(behavior, template, cluster, clients));
            self.kinds.len() - 1
        })
    }

    /// Marks the servers of a node as reachable or not, and gives them.
    pub(super) fn set_up(&mut self, node: NodeId, is_up: bool) -> Vec<PodRef> {
        let on_node = self.rows.iter_mut().filter(|row| row.node == node && row.pod != NO_POD);
        on_node
            .map(|row| {
                row.is_up = is_up;
                row.pod
            })
            .collect()
    }

    /// A pod's server wants more or less CPU than before: gives the others on its machine that have
    /// another part now.
    pub(super) fn share_out(&mut self, pod: PodRef, now: SimTime) -> Vec<PodRef> {
        let row = self.get(pod);
        let found = row.and_then(|row| Some((row.node, row.shared.as_ref()?.demand()?)));
        let Some((node, demand)) = found else { return Vec::new() };
        let parts = self.machines.want(node, pod, demand).unwrap_or_default();
        let mut others = Vec::new();
        for (member, part) in parts {
            let shared = self.get_mut(member).and_then(|row| row.shared.as_mut());
            if shared.is_some_and(|shared| shared.set_cores(part, now)) && member != pod {
                others.push(member);
            }
        }
        others
    }

    /// Takes a call into service; gives how long it will be there if it has a slot of its own.
    #[inline]
    pub(super) fn begin(
        &mut self,
        id: crate::event::CallId,
        call: &mut Call,
        now: SimTime,
    ) -> Option<Duration> {
        let row = &mut self.rows[call.server.id];
        let kind = &self.kinds[row.kind];
        let is_probe = matches!(call.caller, Caller::Probe(_));
        let (hold, factor) = kind.hold(call, row, now);
        row.busy += 1;
        row.served += u64::from(!is_probe);
        if kind.is_heavy {
            self.loads.push(call.server);
        }
        if kind.told_every > 0 && row.served.is_multiple_of(u64::from(kind.told_every)) && !is_probe
        {
            self.writers.push((call.server, kind.told_every));
        }
        call.began = now;
        if !kind.cpu.is_zero() && !is_probe {
            let rate = (kind.cpu.as_nanos() << RATE_SHIFT).checked_div(hold.as_nanos());
            call.cpu_rate = rate.map_or(0, |rate| u32::try_from(rate).unwrap_or(u32::MAX));
        }
        let hold = if kind.is_plain { hold } else { hold.scale(factor) };
        if let Some(shared) = &mut row.shared {
            shared.add(id, hold, call.cpu_rate, now);
            return None;
        }
        if call.cpu_rate > 0 {
            row.cpu.begin(call.cpu_rate, now);
        }
        Some(hold)
    }

    /// A call's hold is over: its CPU is spent.
    #[inline]
    pub(super) fn hold_ends(&mut self, call: &mut Call, now: SimTime) {
        let (row, kind) = self.of(call);
        if call.cpu_rate > 0 && row.shared.is_none() {
            let spent = if kind.is_plain { kind.cpu.as_nanos() } else { spent_by(call, now) };
            row.cpu.end(call.cpu_rate, call.began, spent);
            call.cpu_rate = 0;
        }
    }

    /// A call's hold is cut: what it has used so far is spent.
    pub(super) fn hold_is_cut(&mut self, call: &Call, now: SimTime) {
        let row = self.of(call).0;
        if row.shared.is_none() {
            row.cpu.end(call.cpu_rate, call.began, spent_by(call, now));
        }
    }

    /// Whether calls that take memory have come or gone, or calls have written much.
    #[inline]
    pub(super) const fn has_news(&self) -> bool {
        !self.loads.is_empty() || !self.writers.is_empty()
    }

    /// A call that has come to a server, or has left it, may take memory there.
    #[inline]
    pub(super) fn note_load(&mut self, pod: PodRef) {
        if self.kind(pod).is_some_and(|kind| kind.is_heavy) {
            self.loads.push(pod);
        }
    }

    /// Tells how many calls the servers have that take memory, and of those that write.
    #[cold]
    pub(super) fn tell_loads(&mut self, plan: &mut Plan) {
        for pod in std::mem::take(&mut self.loads) {
            let calls = u32::try_from(self.calls(pod).1).unwrap_or(u32::MAX);
            plan.push(Write::Load { pod, calls });
        }
        for (pod, calls) in std::mem::take(&mut self.writers) {
            plan.push(Write::Served { pod, calls });
        }
    }

    /// All calls of a pod's server are gone.
    pub(super) fn clear(&mut self, pod: PodRef, now: SimTime) {
        let row = &mut self.rows[pod.id];
        row.busy = 0;
        row.backlog.clear();
        if let Some(shared) = &mut row.shared {
            shared.clear(now);
        }
    }

    /// CPU time that a pod's server has spent on calls.
    pub(super) fn cpu_spent(&self, pod: PodRef, now: SimTime) -> Duration {
        self.get(pod).map_or(Duration::ZERO, |row| match &row.shared {
            Some(shared) => shared.used(now),
            None => row.cpu.spent(now),
        })
    }

    /// Calls that have begun service since the server is there, and those in service or waiting.
    pub(super) fn calls(&self, pod: PodRef) -> (u64, u64) {
        self.get(pod).map_or((0, 0), |row| {
            let in_flight = u64::from(row.busy) + cast::u64_of(row.backlog.len());
            (row.served, in_flight)
        })
    }

    /// Whether a server does no work.
    pub(super) fn is_hung(&self, pod: PodRef) -> bool {
        self.get(pod).is_some_and(|row| row.is_hung)
    }

    /// Whether a server takes calls on kept connections, behind the proxy of a mesh if one stands
    /// before it.
    #[inline]
    pub(super) fn is_open(&self, pod: PodRef, is_proxied: impl FnOnce(PodRef) -> bool) -> bool {
        let row = self.get(pod);
        let is_server_open = |row: &Server| is_open(row.state, self.kinds[row.kind].says_close);
        is_proxy(pod)
            || row.is_some_and(
                |row| if row.is_meshed { is_proxied(pod) } else { is_server_open(row) },
            )
    }

    /// Whether a server that drains has nothing to wait for. One that does not tell its clients
    /// waits for their connections.
    pub(super) fn is_drained(&self, pod: PodRef) -> bool {
        self.get(pod).is_some_and(|row| {
            row.state == Serving::Draining
                && row.is_idle()
                && (self.kinds[row.kind].says_close || !row.is_kept)
        })
    }

    /// How long a server uses a connection at most.
    pub(super) fn age_max(&self, pod: PodRef) -> Duration {
        self.kind(pod).map_or(NO_LIMIT, |kind| kind.age_max)
    }

    /// What becomes of a kept connection. Its client knows of the server's close one hop after the
    /// fact. Of a machine that is down it hears nothing.
    #[inline]
    pub(super) fn verdict(
        &self,
        kept: &Connection,
        client: &crate::model::Connections,
        hop: Duration,
        now: SimTime,
    ) -> Verdict {
        let Some(row) = self.get(kept.pod) else {
            let is_late = now >= kept.ages_at || now.saturating_since(kept.used) > client.idle_max;
            let is_there = is_proxy(kept.pod) && !is_late;
            return if is_there { Verdict::Open } else { Verdict::Closed };
        };
        let idle = now.saturating_since(kept.used + hop);
        if now >= kept.ages_at || idle > client.idle_max {
            return Verdict::Closed;
        }
        let mut closed = row.closed.filter(|at| *at >= kept.used);
        let server_idle = if row.is_meshed { NO_LIMIT } else { self.kinds[row.kind].idle_max };
        if server_idle < NO_LIMIT {
            let at = kept.used.saturating_add(server_idle);
            if at <= now + hop {
                closed = Some(closed.map_or(at, |other| other.min(at)));
            }
        }
        match closed {
            Some(at) if row.is_up && at + hop <= now => {
                if client.notices_close {
                    Verdict::Closed
                } else {
                    Verdict::Doomed
                }
            }
            Some(at) if server_idle < NO_LIMIT && at == kept.used.saturating_add(server_idle) => {
                Verdict::Doomed
            }
            _ => Verdict::Open,
        }
    }
}

/// Whether a server in this state takes calls on connections that it has accepted before.
const fn is_open(state: Serving, says_close: bool) -> bool {
    matches!(state, Serving::Accepting) || (matches!(state, Serving::Draining) && !says_close)
}

/// CPU time that a call has used since its service began, in nanoseconds.
fn spent_by(call: &Call, now: SimTime) -> u64 {
    let spent = u128::from(call.cpu_rate) * u128::from((now - call.began).as_nanos());
    u64::try_from(spent >> RATE_SHIFT).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod tests;
