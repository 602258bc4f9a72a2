//! What an ingress proxy knows of the pods behind Services, and whose turn it is.
//!
//! ```text
//! endpoints ──watch──► asks for a look ──at most one each `sync`──► look
//!                               Dynamic: each process takes it over at its next poll ◄──┤
//!                               Reload: new processes have it when they have started ◄──┘
//! ```
//!
//! A proxy balances over pods itself; no kube-proxy plays a part. Each of its processes gives calls
//! to the ready pods in turn. A look takes over all that the proxy has been told by then, and any
//! change of any Service's endpoints asks for one.
//!
//! Differs: the first look at a Service is at the first call to it; changes of Ingresses and other
//! objects ask for no look; processes do not know of each other's failures.
//!
//! Source: ingress-nginx internal/ingress/controller/{controller,nginx}.go, internal/task/queue.go,
//! rootfs/etc/nginx/lua/balancer.lua (rules N180, N184).

use std::sync::Arc;

use crate::base::dist::{mix, open01_of};
use crate::base::{Duration, IdVec, SimTime, cast};
use crate::cluster::Cluster;
use crate::model::{Finds, IngressSpec, PodRef, ServiceId};

use super::view::{Proxies, Watcher};

/// One proxy.
#[derive(Debug)]
pub struct IngressProxy {
    watcher: Watcher,
    seed: u64,
    /// Its last look.
    looked: Option<SimTime>,
    /// Whether one is to come.
    is_asked: bool,
    services: IdVec<ServiceId, Option<Box<Known>>>,
}

/// What is known of a Service.
#[derive(Debug)]
struct Known {
    /// By the instant from which they count; the first is there from the start.
    versions: Vec<Found>,
    /// Whose turn it is, by process.
    turns: Box<[usize]>,
}

#[derive(Debug)]
struct Found {
    from: SimTime,
    version: u32,
    pods: Arc<[PodRef]>,
}

/// What a look has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// When new processes have started, if some do.
    pub reloads: Option<SimTime>,
    /// When the next look is.
    pub next: Option<SimTime>,
}

impl IngressProxy {
    /// One that has looked at nothing yet.
    #[must_use]
    pub const fn new(number: u32, seed: u64) -> Self {
        let watcher = Watcher::ingress(number);
        let seed = mix(seed ^ mix(0x1_0000_0000 | number as u64));
        Self { watcher, seed, looked: None, is_asked: false, services: IdVec::new() }
    }

    /// Some endpoints have changed; when the proxy looks, unless it is to look already.
    pub fn hear(
        &mut self,
        spec: &IngressSpec,
        proxies: &Proxies,
        cluster: &Cluster,
        now: SimTime,
    ) -> Option<SimTime> {
        if self.is_asked || spec.finds == Finds::Service {
            return None;
        }
        self.is_asked = true;
        Some(self.may_look(spec, proxies.hears(cluster, self.watcher, now)))
    }

    /// The first instant from one on at which a look is allowed.
    fn may_look(&self, spec: &IngressSpec, from: SimTime) -> SimTime {
        self.looked.map_or(from, |last| from.max(last.saturating_add(spec.sync)))
    }

    /// It looks.
    ///
    /// # Panics
    ///
    /// Never: what it knows has a version from the start.
    pub fn look(
        &mut self,
        spec: &IngressSpec,
        proxies: &mut Proxies,
        cluster: &Cluster,
        now: SimTime,
    ) -> Looked {
        (self.looked, self.is_asked) = (Some(now), false);
        let takes = match spec.finds {
            Finds::Reload => Duration::from_secs_f64(
                spec.reload.quantile(open01_of(mix(self.seed ^ now.as_nanos()))),
            ),
            Finds::Dynamic | Finds::Service => Duration::ZERO,
        };
        let (mut next, mut is_new) = (None::<SimTime>, false);
        for service in self.services.ids() {
            let Some(known) = &mut self.services[service] else { continue };
            let (set, later) = proxies.told(cluster, self.watcher, service, now);
            next = next.into_iter().chain(later).min();
            let newest = known.versions.last().expect("there is a first one");
            if newest.version == set.version {
                continue;
            }
            let pods: Arc<[PodRef]> =
                set.endpoints.iter().filter(|e| e.ready).map(|e| e.pod).collect();
            if newest.pods == pods {
                known.versions.last_mut().expect("it was there").version = set.version;
                continue;
            }
            is_new = true;
            let settled = |found: &Found| found.from.saturating_add(spec.poll) <= now;
            while known.versions.get(1).is_some_and(settled) {
                known.versions.remove(0);
            }
            known.versions.push(Found { from: now + takes, version: set.version, pods });
        }
        let next = next.map(|at| self.may_look(spec, at));
        self.is_asked = next.is_some();
        let reloads = (is_new && spec.finds == Finds::Reload).then(|| now + takes);
        Looked { reloads, next }
    }

    /// The pod of a Service whose turn it is in one of the proxy's processes; another one than
    /// `not`, if there is one. `None`: there is none.
    pub fn next(
        &mut self,
        (spec, process): (&IngressSpec, u32),
        (proxies, cluster): (&mut Proxies, &Cluster),
        service: ServiceId,
        not: Option<PodRef>,
        now: SimTime,
    ) -> Option<PodRef> {
        let (seed, watcher) = (self.seed, self.watcher);
        let known = self.services.grow_to(service).get_or_insert_with(|| {
            let (set, _) = proxies.told(cluster, watcher, service, now);
            let pods = set.endpoints.iter().filter(|e| e.ready).map(|e| e.pod).collect();
            let first = Found { from: SimTime::ZERO, version: set.version, pods };
            let turn = |process: u32| {
                let word = mix(seed ^ mix(u64::from(service.number()) << 32 | u64::from(process)));
                cast::usize_trunc(open01_of(word) * 1e6)
            };
            Box::new(Known { versions: vec![first], turns: (0..spec.workers).map(turn).collect() })
        });
        let is_known = |found: &&Found| taken(found.from, spec, seed, process) <= now;
        let found = known.versions.iter().rev().find(is_known).unwrap_or(&known.versions[0]);
        let count = found.pods.len();
        if count == 0 {
            return None;
        }
        let turn = &mut known.turns[cast::usize_of(process)];
        let mut take = || {
            *turn = turn.wrapping_add(1);
            found.pods[*turn % count]
        };
        let pod = take();
        Some(if count > 1 && Some(pod) == not { take() } else { pod })
    }
}

/// When a process takes over what counts from an instant on: at its next poll.
fn taken(from: SimTime, spec: &IngressSpec, seed: u64, process: u32) -> SimTime {
    if from == SimTime::ZERO || spec.poll.is_zero() || spec.finds != Finds::Dynamic {
        return from;
    }
    let period = spec.poll.as_nanos();
    let phase = mix(seed ^ u64::from(process)) % period;
    let since = (from.as_nanos() + period - phase) % period;
    if since == 0 { from } else { from + Duration::ns(period - since) }
}
