//! What the proxies of a service mesh know of the pods behind Services, and which one a proxy
//! chooses.
//!
//! ```text
//! endpoints ──watch──► control plane ──quiet for so long──► push ──takes──► each proxy uses it
//! ```
//!
//! No kube-proxy plays a part. A push tells a proxy all that the control plane has heard by then; a
//! proxy that begins is told that at once. Nothing of this is an event: when a push was made is
//! worked out as changes are heard, and what a proxy knows when it is asked for a pod.
//!
//! Differs: one control plane, whose pushes do not wait for each other; a proxy's threads balance
//! together; of the pods that it has tried it knows the last.
//!
//! Source: Istio, pilot/pkg/xds/discovery.go `debounce`; Envoy, load balancers, `previous_hosts`
//! (rules N184, N185).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::dist::{mix, open01_of};
use crate::base::{Duration, SimTime, cast};
use crate::cluster::Cluster;
use crate::model::{Balance, PodRef, PushSpec, ServiceId};

use super::rules::one_of;
use super::view::{Proxies, Watcher};

/// How often a proxy looks for a pod that it has not just tried.
const HOST_ATTEMPTS: u64 = 5;
/// The part of its share that a new pod gets at least.
const WEIGHT_MIN: f64 = 0.1;
/// How often a proxy looks for a pod that is not new.
const DRAWS: u64 = 16;

/// What a mesh's control plane has told.
#[derive(Debug)]
pub struct ControlPlane {
    spec: PushSpec,
    seed: u64,
    /// When it heard of the newest change.
    heard: SimTime,
    pushes: VecDeque<Push>,
    /// What it has heard and not pushed.
    open: Option<Window>,
}

/// All versions up to a number are told from an instant on.
#[derive(Clone, Copy, Debug)]
struct Push {
    to: u64,
    at: SimTime,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    first: SimTime,
    last: SimTime,
    to: u64,
}

impl ControlPlane {
    /// One that has told all there is.
    #[must_use]
    pub const fn new(spec: PushSpec, seed: u64) -> Self {
        let seed = mix(seed ^ 0x6d65_7368);
        Self { spec, seed, heard: SimTime::ZERO, pushes: VecDeque::new(), open: None }
    }

    /// Some endpoints have changed.
    pub fn hear(&mut self, proxies: &Proxies, cluster: &Cluster, now: SimTime) {
        let heard = proxies.hears(cluster, Watcher::MESH, now).max(self.heard);
        self.heard = heard;
        if let Some(open) = self.open.filter(|open| self.due(*open) <= heard) {
            self.pushes.push_back(Push { to: open.to, at: self.due(open) });
            self.open = None;
        }
        let log = cluster.endpoint_log();
        let window = self.open.get_or_insert(Window { first: heard, last: heard, to: 0 });
        (window.last, window.to) = (heard, log.end());
        // What has left the log is long known.
        while self.pushes.front().is_some_and(|push| push.to <= log.first()) {
            self.pushes.pop_front();
        }
    }

    fn due(&self, window: Window) -> SimTime {
        let quiet = window.last.saturating_add(self.spec.debounce);
        let (first, most) = (window.first, self.spec.debounce_max);
        quiet.min(first.saturating_add(most.max(self.spec.debounce)))
    }

    /// Whether a proxy, which began at an instant, uses a version now.
    fn has_told(&self, version: u64, proxy: u64, began: SimTime, now: SimTime) -> bool {
        let place = self.pushes.partition_point(|push| push.to < version);
        let push = self.pushes.get(place).copied().or_else(|| {
            let open = self.open.filter(|open| version <= open.to)?;
            Some(Push { to: open.to, at: self.due(open) })
        });
        // A version of which nothing is heard has left the log.
        let Some(push) = push else { return true };
        if push.at <= began {
            return began <= now;
        }
        let word = mix(self.seed ^ mix(push.to ^ mix(proxy)));
        push.at + Duration::from_secs_f64(self.spec.takes.quantile(open01_of(word))) <= now
    }
}

/// What one proxy knows of one Service, and how it spreads calls over its pods.
#[derive(Debug)]
pub struct Upstream {
    service: ServiceId,
    /// The proxy's number, and when it began.
    proxy: u64,
    began: SimTime,
    version: Option<u64>,
    /// Up to where the log was when its newest version was in use.
    settled: u64,
    pods: Arc<[PodRef]>,
    /// Calls of the proxy to each.
    active: Vec<u32>,
    /// Since when each is known.
    since: Vec<SimTime>,
    turn: usize,
}

impl Upstream {
    /// What a proxy that began at an instant knows of a Service: nothing yet.
    #[must_use]
    pub fn new(service: ServiceId, proxy: u64, began: SimTime) -> Self {
        let word = mix(proxy ^ mix(u64::from(service.number())));
        Self {
            service,
            proxy,
            began,
            version: None,
            settled: u64::MAX,
            pods: Arc::from([]),
            active: Vec::new(),
            since: Vec::new(),
            turn: cast::usize_trunc(open01_of(word) * 1e6),
        }
    }

    /// The Service.
    #[must_use]
    pub const fn service(&self) -> ServiceId {
        self.service
    }

    /// The pods that it knows now: those that were ready.
    pub fn pods(
        &mut self,
        plane: &ControlPlane,
        (proxies, cluster): (&mut Proxies, &Cluster),
        now: SimTime,
    ) -> &Arc<[PodRef]> {
        let end = cluster.endpoint_log().end();
        if self.settled != end {
            let knows = |version| plane.has_told(version, self.proxy, self.began, now);
            let (version, set) = proxies.newest(cluster, self.service, knows);
            if self.version != Some(version) {
                let ready = set.endpoints.iter().filter(|e| e.ready);
                let pods: Arc<[PodRef]> = ready.map(|e| e.pod).collect();
                self.version = Some(version);
                let written = set.at;
                self.take(pods, written);
            }
            let (newest, _) = proxies.newest(cluster, self.service, |_| true);
            self.settled = if newest == version { end } else { u64::MAX };
        }
        &self.pods
    }

    fn take(&mut self, pods: Arc<[PodRef]>, written: SimTime) {
        let before = |pod: &PodRef| self.pods.iter().position(|known| known == pod);
        self.active =
            pods.iter().map(|pod| before(pod).map_or(0, |place| self.active[place])).collect();
        self.since =
            pods.iter().map(|pod| before(pod).map_or(written, |place| self.since[place])).collect();
        self.pods = pods;
    }

    /// What part of its share a pod gets: a tenth when it is new, all of it after the warm-up.
    ///
    /// Source: Envoy, `SlowStartConfig` with an aggression of 1 and a minimum of 10 % (rule N185).
    fn weight(&self, place: usize, warmup: Duration, now: SimTime) -> f64 {
        let age = now.saturating_since(self.since[place]);
        if age >= warmup {
            return 1.0;
        }
        (age.as_secs_f64() / warmup.as_secs_f64()).max(WEIGHT_MIN)
    }

    /// One of the pods, by their places: of all, or of these; another one than `not` as far as
    /// some attempts find one.
    pub fn choose(
        &mut self,
        (balance, warmup, now): (Balance, Duration, SimTime),
        among: Option<&[usize]>,
        not: Option<PodRef>,
        word: u64,
    ) -> PodRef {
        let mut chosen = 0;
        for attempt in 0..HOST_ATTEMPTS {
            let words = mix(word ^ mix(attempt));
            chosen = self.warm(balance, (warmup, now), among, words);
            if Some(self.pods[chosen]) != not {
                break;
            }
        }
        self.active[chosen] += 1;
        self.pods[chosen]
    }

    /// One by its turn; a pod that is still new is passed over now and then.
    fn warm(
        &mut self,
        balance: Balance,
        (warmup, now): (Duration, SimTime),
        among: Option<&[usize]>,
        words: u64,
    ) -> usize {
        let mut chosen = self.one(balance, among, words);
        if warmup.is_zero() {
            return chosen;
        }
        for draw in 1..=DRAWS {
            let word = mix(words ^ mix(draw << 32));
            if open01_of(word) < self.weight(chosen, warmup, now) {
                break;
            }
            chosen = self.one(balance, among, mix(word));
        }
        chosen
    }

    fn one(&mut self, balance: Balance, among: Option<&[usize]>, words: u64) -> usize {
        let count = among.map_or(self.pods.len(), <[usize]>::len);
        let place = |of: usize| among.map_or(of, |among| among[of]);
        let (one, other) = halves(words);
        match balance {
            Balance::Random => place(one_of(one, count)),
            Balance::RoundRobin => {
                self.turn = self.turn.wrapping_add(1);
                place(self.turn % count)
            }
            Balance::LeastRequest => {
                let (one, other) = (place(one_of(one, count)), place(one_of(other, count)));
                if self.active[other] < self.active[one] { other } else { one }
            }
        }
    }

    /// A call to a pod is over.
    pub fn over(&mut self, pod: PodRef) {
        if let Some(place) = self.pods.iter().position(|known| *known == pod) {
            self.active[place] = self.active[place].saturating_sub(1);
        }
    }

    /// The proxy is gone.
    pub fn forget(&mut self) {
        (self.pods, self.active, self.since) = (Arc::from([]), Vec::new(), Vec::new());
        self.version = None;
        self.settled = u64::MAX;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is for one choice")]
const fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Distribution;
    use crate::model::PodId;

    fn at_ms(ms: u64) -> SimTime {
        SimTime::at(Duration::ms(ms))
    }

    fn pods(count: u32) -> Arc<[PodRef]> {
        (0..count).map(|number| PodRef { id: PodId::new(number), life: 0 }).collect()
    }

    /// Changes at 0, 60 and 120 ms come with one push at 220 ms, which takes 30 ms; one at 1 s with
    /// the next. A proxy that begins at 230 ms is told at once of the first push. Without a quiet
    /// tenth of a second the first push is made after 10 s.
    #[test]
    fn a_push_waits_until_it_is_quiet() {
        let takes = Distribution::Constant(0.03);
        let mut plane = ControlPlane::new(PushSpec { takes, ..PushSpec::istio() }, 1);
        plane.pushes.push_back(Push { to: 3, at: at_ms(220) });
        plane.open = Some(Window { first: at_ms(1000), last: at_ms(1000), to: 4 });
        let told = |version, began, now| plane.has_told(version, 7, at_ms(began), at_ms(now));
        assert!(!told(3, 0, 249) && told(3, 0, 250) && told(1, 0, 250));
        assert!(told(3, 230, 230) && !told(4, 230, 1129) && told(4, 230, 1130));
        let busy = Window { first: at_ms(0), last: at_ms(9_990), to: 9 };
        assert_eq!(plane.due(busy), at_ms(10_000));
    }

    /// N184: in turn each pod gets its part; least request goes where fewer calls are; another
    /// attempt goes elsewhere.
    #[test]
    fn pods_are_chosen() {
        let by = |balance| (balance, Duration::ZERO, SimTime::ZERO);
        let mut upstream = Upstream::new(ServiceId::new(0), 3, SimTime::ZERO);
        upstream.take(pods(4), SimTime::ZERO);
        let turn: Vec<_> =
            (0..8).map(|n| upstream.choose(by(Balance::RoundRobin), None, None, n)).collect();
        assert_eq!(turn[..4], turn[4..]);
        assert_eq!(upstream.active, [2; 4]);
        // Three calls more at the first one: it is chosen only against itself.
        let first = pods(1)[0];
        upstream.active[0] += 3;
        let mut of_first = 0;
        for n in 0..1600 {
            let pod = upstream.choose(by(Balance::LeastRequest), None, None, mix(n));
            of_first += u32::from(pod == first);
            upstream.over(pod);
        }
        assert!((60..140).contains(&of_first), "{of_first} of 1600, a sixteenth is 100");
        let elsewhere = (0..50)
            .filter(|n| upstream.choose(by(Balance::Random), None, Some(first), *n) == first);
        assert!(elsewhere.count() <= 1);
        assert_eq!(upstream.choose(by(Balance::Random), Some(&[2]), None, 5), pods(4)[2]);
        upstream.take(pods(5), SimTime::ZERO);
        assert_eq!(upstream.active[4], 0);
    }

    /// N185: a pod that came 6 s ago of 60 s has a tenth of its share, at 30 s half of it, at 60 s
    /// all of it; beside three others w / (3 + w).
    #[test]
    fn new_pods_get_fewer_calls() {
        for balance in [Balance::Random, Balance::RoundRobin] {
            let mut upstream = Upstream::new(ServiceId::new(0), 3, SimTime::ZERO);
            upstream.take(pods(3), SimTime::ZERO);
            upstream.take(pods(4), at_ms(100_000));
            let new = pods(4)[3];
            for (age, weight) in [(0, 0.1), (3, 0.1), (30, 0.5), (60, 1.0), (600, 1.0)] {
                let how = (balance, Duration::secs(60), at_ms(100_000 + age * 1000));
                let draws = (0..4000).filter(|n| upstream.choose(how, None, None, mix(*n)) == new);
                let share = cast::f64_of_usize(draws.count()) / 4000.0;
                assert!((share - weight / (3.0 + weight)).abs() < 0.02, "{age}: {share}");
            }
        }
    }
}
