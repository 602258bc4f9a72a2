//! The servers: the pods' ends of calls, one row a pod that has had a process.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime};
use crate::cluster::{Cluster, Serving};
use crate::event::CallId;
use crate::model::{Behavior, NodeId, PodId, PodRef, ServiceId};

use super::call::{Call, NO_POD, Purpose};
use super::sources::Connection;

/// What a server does, once for all pods of one behaviour.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    behavior: Arc<Behavior>,
    /// What it calls while it serves a call: Service (if there is one of that name), how often,
    /// timeout.
    pub(super) calls: Vec<(Option<ServiceId>, u32, Duration)>,
    cpu: Duration,
    errors: f64,
    pub(super) concurrency: u32,
    pub(super) backlog: usize,
}

impl Kind {
    fn new(behavior: &Arc<Behavior>, cluster: &Cluster) -> Self {
        let calls = behavior.calls.iter();
        let calls = calls.map(|c| (cluster.service_named(c.to), c.times, c.timeout)).collect();
        let serve = behavior.serve.as_ref();
        Self {
            behavior: Arc::clone(behavior),
            calls,
            cpu: serve.map_or(Duration::ZERO, |serve| serve.cpu),
            errors: serve.map_or(0.0, |serve| serve.errors),
            concurrency: serve.map_or(u32::MAX, |serve| serve.concurrency.max(1)),
            backlog: serve.map_or(0, |serve| crate::base::cast::usize_of(serve.backlog)),
        }
    }

    /// How long a call is in service.
    #[inline]
    pub(super) fn hold(&self, call: &Call) -> Duration {
        let serve = self.behavior.serve.as_ref();
        serve.map_or(Duration::ZERO, |serve| {
            Duration::from_secs_f64(serve.hold.quantile(call.chance(Purpose::Hold)))
        })
    }

    /// Whether the server answers a call with an error of its own.
    pub(super) fn fails(&self, call: &Call) -> bool {
        self.errors > 0.0 && call.chance(Purpose::Fault) < self.errors
    }

    /// The downstream call that comes after `step` others.
    pub(super) fn next_call(&self, step: u16) -> Option<(Option<ServiceId>, Duration)> {
        let mut left = u32::from(step);
        for (service, times, timeout) in &self.calls {
            if left < *times {
                return Some((*service, *timeout));
            }
            left -= times;
        }
        None
    }
}

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
    /// Calls in service.
    pub(super) busy: u32,
    /// Index of its kind.
    pub(super) kind: usize,
    /// Calls that wait, first come first.
    pub(super) backlog: VecDeque<CallId>,
    /// When it stopped accepting last.
    closed: Option<SimTime>,
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
            busy: 0,
            kind: 0,
            backlog: VecDeque::new(),
            closed: None,
            cpu: CpuMeter::default(),
        }
    }
}

impl Server {
    /// Whether nothing that it has accepted is left.
    pub(super) fn is_idle(&self) -> bool {
        self.busy == 0 && self.backlog.is_empty()
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

const RATE_SHIFT: u32 = 16;

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
}

impl Servers {
    /// The server of a pod, if the pod has had one in this life.
    #[inline]
    pub(super) fn get(&self, pod: PodRef) -> Option<&Server> {
        self.rows.get(pod.id).filter(|row| row.pod == pod)
    }

    /// The server of a call that is there: it lives as long as its calls.
    #[inline]
    pub(super) fn of(&mut self, call: &Call) -> (&mut Server, &Kind) {
        let row = &mut self.rows[call.server.id];
        assert!(row.pod == call.server, "a call of {:?} in {:?}", call.server, row.pod);
        let kind = &self.kinds[row.kind];
        (row, kind)
    }

    /// Sets the state of a pod's server, whose row begins with the first one.
    pub(super) fn set(&mut self, pod: PodRef, to: Serving, cluster: &Cluster, now: SimTime) {
        let row = self.rows.grow_to(pod.id);
        if row.pod != pod {
            let Some((pod_row, node)) = cluster.pod(pod).and_then(|p| Some((p, p.node?))) else {
                return;
            };
            assert!(row.is_idle(), "{:?} is gone and has calls", row.pod);
            let backlog = std::mem::take(&mut row.backlog);
            let template = &cluster.template_of(pod_row).template;
            *row = Server {
                pod,
                serial: pod_row.serial,
                node,
                is_up: cluster.nodes()[node].is_up,
                backlog,
                ..Server::default()
            };
            let container = usize::from(template.server.unwrap_or(0));
            let at = template.spec.init_containers.len() + container;
            self.rows[pod.id].kind = self.kind_of(&template.behaviors[at], cluster);
        }
        let row = &mut self.rows[pod.id];
        if row.state == Serving::Accepting && to != Serving::Accepting {
            row.closed = Some(now);
        }
        row.has_served |= to == Serving::Accepting;
        row.state = to;
    }

    fn kind_of(&mut self, behavior: &Arc<Behavior>, cluster: &Cluster) -> usize {
        let known = self.kinds.iter().position(|kind| Arc::ptr_eq(&kind.behavior, behavior));
        known.unwrap_or_else(|| {
            self.kinds.push(Kind::new(behavior, cluster));
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

    /// Takes a call into service for `hold`.
    #[inline]
    pub(super) fn begin(&mut self, call: &mut Call, hold: Duration, now: SimTime) {
        let (row, kind) = self.of(call);
        row.busy += 1;
        call.began = now;
        if !kind.cpu.is_zero() {
            let rate = (kind.cpu.as_nanos() << RATE_SHIFT).checked_div(hold.as_nanos());
            call.cpu_rate = rate.map_or(0, |rate| u32::try_from(rate).unwrap_or(u32::MAX));
            row.cpu.begin(call.cpu_rate, now);
        }
    }

    /// A call's hold is over: its CPU is spent.
    #[inline]
    pub(super) fn hold_ends(&mut self, call: &mut Call) {
        let (row, kind) = self.of(call);
        if !kind.cpu.is_zero() {
            row.cpu.end(call.cpu_rate, call.began, kind.cpu.as_nanos());
            call.cpu_rate = 0;
        }
    }

    /// A call's hold is cut: what it has used so far is spent.
    pub(super) fn hold_is_cut(&mut self, call: &Call, now: SimTime) {
        let spent = u128::from(call.cpu_rate) * u128::from((now - call.began).as_nanos());
        let spent = u64::try_from(spent >> RATE_SHIFT).unwrap_or(u64::MAX);
        self.of(call).0.cpu.end(call.cpu_rate, call.began, spent);
    }

    /// All calls of a pod's server are gone.
    pub(super) fn clear(&mut self, pod: PodRef) {
        let row = &mut self.rows[pod.id];
        row.busy = 0;
        row.backlog.clear();
    }

    /// CPU time that a pod's server has spent on calls.
    pub(super) fn cpu_spent(&self, pod: PodRef, now: SimTime) -> Duration {
        self.get(pod).map_or(Duration::ZERO, |row| row.cpu.spent(now))
    }

    /// Whether the client of a connection knows, one hop after the fact, that its pod has closed
    /// it. Of a machine that is down it hears nothing.
    pub(super) fn has_closed(&self, kept: &Connection, hop: Duration, now: SimTime) -> bool {
        self.get(kept.pod).is_none_or(|row| {
            row.is_up && row.closed.is_some_and(|at| at >= kept.used && at + hop <= now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(at: u64) -> SimTime {
        SimTime::at(Duration::secs(at))
    }

    /// Two calls of half a CPU: one from 1 s, one from 2 s; at 3 s they have used 1 s and 0.5 s.
    #[test]
    fn running_calls_count_with_what_they_have_used() {
        let mut meter = CpuMeter::default();
        let half = 1 << (RATE_SHIFT - 1);
        meter.begin(half, secs(1));
        meter.begin(half, secs(2));
        assert_eq!(meter.spent(secs(3)), Duration::ms(1500));
        meter.end(half, secs(1), Duration::ms(1000).as_nanos());
        assert_eq!(meter.spent(secs(3)), Duration::ms(1500));
        meter.end(half, secs(2), Duration::ms(2000).as_nanos());
        assert_eq!(meter.spent(secs(9)), Duration::ms(3000));
    }
}
