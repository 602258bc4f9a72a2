//! What the proxies of the nodes have applied of the endpoint log: a reader's view, one a node.
//!
//! Each node has a kube-proxy that follows all Services. An entry of the log reaches it after the
//! delay of a watch; then a run takes over all that has reached it by the run's start.
//!
//! ```text
//! written ──watch──► reached ──idle: at once, else not before the last run's end + period──►
//!     run starts ──run time──► applied
//! ```
//!
//! A run takes over everything, so one number a node says it all: the log is applied up to there.
//! It is worked out when somebody asks, from hashed draws, so a node that nobody calls through
//! costs no event and no memory beyond its row. Rules N150, N151; what one waits between the
//! write and the rule is the delay R of rule N134.
//!
//! Absent on purpose: failed runs, hourly full runs, and the first run of a new node.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::dist::{mix, open01_of};
use crate::base::{Distribution, Duration, IdVec, SimTime};
use crate::model::{Latencies, NodeId, ServiceId};
use crate::sim::Streams;

use super::{Cluster, EndpointLog, EndpointSet};

/// What each node's proxy has applied.
#[derive(Clone, Debug)]
pub struct ProxyView {
    seed: u64,
    watch: Distribution,
    run: Distribution,
    period: Duration,
    /// No delay at all: the view is the truth.
    is_instant: bool,
    proxies: IdVec<NodeId, Proxy>,
    /// Numbers of the log's entries by Service, as far as they have been read.
    numbers: IdVec<ServiceId, VecDeque<u64>>,
    read_to: u64,
}

/// The proxy of one node. Numbers are those of the log's entries.
#[derive(Clone, Copy, Debug, Default)]
struct Proxy {
    /// All entries before this one are applied.
    applied: u64,
    /// The first entry that no run has taken.
    next: u64,
    /// When the entry before `next` reached the node.
    reached: SimTime,
    /// The run under way: its end, and up to where it applies.
    run: Option<(SimTime, u64)>,
    /// The earliest start of the next run.
    rested: SimTime,
    /// Up to where the log was known at the last look, and the instant from which another look
    /// tells more.
    seen: u64,
    look: SimTime,
}

impl ProxyView {
    /// The view at the beginning of a run: nothing is applied, and nothing is written.
    #[must_use]
    pub fn new(latencies: &Latencies, streams: &Streams) -> Self {
        let is_zero = |d: &Distribution| d.is_constant() && d.quantile(0.5) <= 0.0;
        Self {
            seed: mix(streams.seed ^ mix(u64::from(streams.replication))),
            watch: latencies.watch.clone(),
            run: latencies.proxy_run.clone(),
            period: latencies.proxy_period,
            is_instant: is_zero(&latencies.watch)
                && is_zero(&latencies.proxy_run)
                && latencies.proxy_period.is_zero(),
            proxies: IdVec::new(),
            numbers: IdVec::new(),
            read_to: 0,
        }
    }

    /// The endpoints of a Service as the proxy of a node has them at an instant. Instants of one
    /// node must not go back.
    #[inline]
    pub fn applied<'c>(
        &mut self,
        cluster: &'c Cluster,
        node: NodeId,
        service: ServiceId,
        now: SimTime,
    ) -> &'c Arc<EndpointSet> {
        let log = cluster.endpoint_log();
        let is_current = self.is_instant || self.is_current(log, node, now);
        if let Some(row) = cluster.service(service).filter(|_| is_current) {
            return &row.endpoints;
        }
        self.look_up(log, node, service, now)
    }

    /// Whether a proxy has applied all that was ever written.
    fn is_current(&mut self, log: &EndpointLog, node: NodeId, now: SimTime) -> bool {
        let end = log.end();
        let proxy = self.proxies.grow_to(node);
        if proxy.seen != end || now >= proxy.look {
            self.advance(log, node, now);
        }
        self.proxies[node].applied >= end
    }

    fn look_up<'c>(
        &mut self,
        log: &'c EndpointLog,
        node: NodeId,
        service: ServiceId,
        now: SimTime,
    ) -> &'c Arc<EndpointSet> {
        let is_current = self.is_instant || self.is_current(log, node, now);
        let applied = if is_current { log.end() } else { self.proxies[node].applied };
        self.read(log);
        let numbers = self.numbers.grow_to(service);
        while numbers.front().is_some_and(|number| *number < log.first()) {
            numbers.pop_front();
        }
        match numbers.iter().rev().find(|number| **number < applied) {
            Some(number) => log.entry(*number).1,
            None => log.base(service),
        }
    }

    /// Sorts what is new in the log by Service.
    fn read(&mut self, log: &EndpointLog) {
        for number in self.read_to.max(log.first())..log.end() {
            self.numbers.grow_to(log.entry(number).0).push_back(number);
        }
        self.read_to = log.end();
    }

    /// Lets one node's proxy do all that it has done by now.
    fn advance(&mut self, log: &EndpointLog, node: NodeId, now: SimTime) {
        let mut proxy = self.proxies[node];
        proxy.seen = log.end();
        proxy.next = proxy.next.max(log.first());
        proxy.look = loop {
            if let Some((ends, to)) = proxy.run {
                if ends > now {
                    break ends;
                }
                proxy.applied = to;
                proxy.rested = ends + self.period;
                proxy.run = None;
            }
            if proxy.next == log.end() {
                break SimTime::MAX;
            }
            let first = self.reaches(log, node, proxy.next, proxy.reached);
            let start = first.max(proxy.rested);
            if start > now {
                break start;
            }
            proxy.reached = first;
            proxy.next += 1;
            while proxy.next < log.end() {
                let at = self.reaches(log, node, proxy.next, proxy.reached);
                if at > start {
                    break;
                }
                proxy.reached = at;
                proxy.next += 1;
            }
            proxy.run = Some((start + self.draw(&self.run, node, !proxy.next), proxy.next));
        };
        self.proxies[node] = proxy;
    }

    /// When an entry reaches a node: not before the entry before it.
    fn reaches(&self, log: &EndpointLog, node: NodeId, number: u64, before: SimTime) -> SimTime {
        before.max(log.entry(number).1.at + self.draw(&self.watch, node, number))
    }

    /// A draw that hangs on seed, node and number alone, in whatever order it is asked for.
    fn draw(&self, of: &Distribution, node: NodeId, number: u64) -> Duration {
        let word = mix(self.seed ^ mix(number ^ mix(u64::from(node.number()))));
        Duration::from_secs_f64(of.quantile(open01_of(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::*;
    use crate::base::Ref;
    use crate::model::PodId;

    fn log_of(at_ms: &[u64]) -> EndpointLog {
        let mut log = EndpointLog::default();
        let mut last = EndpointSet::empty();
        log.add_service(Arc::new(last.clone()));
        for (number, at) in (0..).zip(at_ms) {
            let endpoint = Endpoint {
                pod: Ref { id: PodId::new(number), life: 0 },
                node: NodeId::new(0),
                ready: true,
                serving: true,
                terminating: false,
            };
            last = last.next(vec![endpoint], SimTime::at(Duration::ms(*at)));
            log.push(ServiceId::new(0), Arc::new(last.clone()));
        }
        log
    }

    fn view(watch_s: f64, run_s: f64, period: Duration) -> ProxyView {
        let mut latencies = Latencies::ideal();
        latencies.watch = Distribution::Constant(watch_s);
        latencies.proxy_run = Distribution::Constant(run_s);
        latencies.proxy_period = period;
        ProxyView::new(&latencies, &Streams { seed: 1, replication: 0 })
    }

    fn version(view: &mut ProxyView, log: &EndpointLog, at_ms: u64) -> u32 {
        let now = SimTime::at(Duration::ms(at_ms));
        view.look_up(log, NodeId::new(0), ServiceId::new(0), now).version
    }

    /// Writes at 0, 100, 200 and 5000 ms; watch 10 ms, a run takes 50 ms, period 1 s. An idle
    /// proxy runs at once: 10 to 60 applies version 1. Versions 2 and 3 wait for 60 + 1000, one run
    /// until 1110 applies both. At 5010 it is idle again: applied at 5060.
    #[test]
    fn runs_are_immediate_when_idle_and_coalesce_after() {
        let log = log_of(&[0, 100, 200, 5000]);
        let mut view = view(0.01, 0.05, Duration::secs(1));
        let looks = [(59, 0), (60, 1), (1109, 1), (1110, 3), (5059, 3), (5060, 4)];
        for (at, expected) in looks {
            assert_eq!(version(&mut view, &log, at), expected, "at {at} ms");
        }
    }

    #[test]
    fn how_often_one_looks_changes_nothing() {
        let log = log_of(&[0, 3, 100, 180, 200, 1300, 1310, 2500, 5000]);
        let mut latencies = Latencies::ideal();
        latencies.watch = Distribution::exponential(0.1);
        latencies.proxy_run = Distribution::exponential(0.2);
        latencies.proxy_period = Duration::ms(500);
        let fresh = ProxyView::new(&latencies, &Streams { seed: 9, replication: 3 });
        let mut often = fresh.clone();
        for at in 5000..8000 {
            assert_eq!(version(&mut often, &log, at), version(&mut fresh.clone(), &log, at));
        }
        assert_eq!(version(&mut often, &log, 20_000), 9);
    }

    #[test]
    fn without_delay_the_view_is_the_log() {
        let mut view = view(0.0, 0.0, Duration::ZERO);
        assert_eq!(version(&mut view, &log_of(&[0, 100, 200]), 200), 3);
    }

    /// N151: under steady churn an entry waits half a cycle and a run on average. Period 1 s, run
    /// 0.1 s: 1.1 / 2 + 0.1 = 0.65 s. Writes come each 37 ms, which hits all phases of a cycle.
    #[test]
    fn the_wait_under_churn() {
        let at: Vec<u64> = (0..2700).map(|number| 37 * number).collect();
        let log = log_of(&at);
        let mut view = view(0.0, 0.1, Duration::secs(1));
        let (mut seen, mut waited_ms) = (0, 0);
        for now in 0..101_100 {
            let applied = u64::from(version(&mut view, &log, now));
            waited_ms += (seen..applied).map(|number| now - 37 * number).sum::<u64>();
            seen = applied;
        }
        assert_eq!(seen, 2700);
        let mean_ms = waited_ms / 2700;
        assert!((640..660).contains(&mean_ms), "{mean_ms}");
    }

    /// Entries older than ten minutes are in the base, whoever has applied them.
    #[test]
    fn what_left_the_log_is_applied() {
        let log = log_of(&[0, 1, 700_000]);
        assert_eq!(log.first(), 2);
        let mut view = view(0.01, 0.0, Duration::secs(1));
        assert_eq!(version(&mut view, &log, 700_005), 2);
        assert_eq!(version(&mut view, &log, 700_010), 3);
    }
}
