//! What an ingress proxy knows of Ingresses and of the pods behind Services, and whose turn it is.
//!
//! ```text
//! endpoints, Services, Ingresses ──watch──► ask for a look ──at most one each `sync`──► look
//!                               Dynamic: each process takes pods over at its next poll ◄──┤
//!     Reload, or another configuration: new processes have it when they have started ◄────┘
//! ```
//!
//! A proxy balances over pods itself; no kube-proxy plays a part. Each of its processes gives calls
//! to the ready pods in turn, or all to those that have answered sooner of late ([`Ewma`]). A look
//! takes over all that the proxy has been told by then, and any change of any Service, its endpoints
//! or an Ingress asks for one. Paths, hosts and settings of Ingresses are the configuration of its
//! processes, as is which of the Services are there: for another one it starts new processes (a
//! reload), even where it takes over pods without.
//!
//! Differs: the first look at a Service is at the first call to it; changes of Secrets and
//! ConfigMaps ask for no look; processes do not know of each other's failures; of two Ingresses
//! with the same host and path the older one takes all calls, canaries too.
//!
//! Source: ingress-nginx internal/ingress/controller/{controller,nginx}.go
//! (`IsDynamicConfigurationEnough`), internal/ingress/controller/store/store.go,
//! internal/task/queue.go, rootfs/etc/nginx/lua/balancer.lua, docs/how-it-works.md (rules N180, N184).

use std::sync::Arc;

use crate::base::dist::{mix, open01_of};
use crate::base::{Duration, IdVec, SimTime, cast};
use crate::cluster::{Cluster, EndpointSet};
use crate::model::{
    Finds, IngressBalance, IngressPort, IngressRequest, IngressSpec, PodRef, ServiceId,
    ServicePort, ServiceSpec, SourceId,
};

use super::ewma::Ewma;
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
    /// Its configurations by the instant from which they count: numbers of the cluster's versions.
    configurations: Vec<(SimTime, usize)>,
    /// Where the calls of a source go, by the configuration that says so.
    routes: IdVec<SourceId, Option<(usize, Route)>>,
    services: IdVec<ServiceId, Option<Box<Known>>>,
}

/// Where a configuration sends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a Service.
    To(ServiceId, Option<IngressPort>),
    /// To something that is no Service, or to a Service that was never there.
    Nowhere,
    /// No path takes it: the proxy answers with 404.
    NoPath,
}

/// What is known of a Service.
#[derive(Debug)]
struct Known {
    /// By the instant from which they count; the first is there from the start.
    versions: Vec<Found>,
    /// Whose turn it is, by process.
    turns: Box<[usize]>,
    /// How soon they have answered of late.
    answers: Ewma,
}

#[derive(Debug)]
struct Found {
    from: SimTime,
    /// Whether processes have it from their start, not by a poll.
    is_from_start: bool,
    version: u32,
    pods: Arc<[PodRef]>,
    /// The Service; `None`: it is not there.
    service: Option<Arc<ServiceSpec>>,
}

impl Found {
    fn new(from: SimTime, is_from_start: bool, set: &EndpointSet) -> Self {
        let service = set.service.clone();
        // With the Service its endpoints go.
        let there = set.endpoints.iter().filter(|_| service.is_some());
        let pods = there.filter(|e| e.ready).map(|e| e.pod).collect();
        Self { from, is_from_start, version: set.version, pods, service }
    }

    /// The ports of the Service, if that is there.
    fn ports(&self) -> Option<&[ServicePort]> {
        self.service.as_ref().map(|service| &service.ports[..])
    }
}

/// What a look has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// When new processes have started, if some do.
    pub reloads: Option<SimTime>,
    /// When the next look is.
    pub next: Option<SimTime>,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Endpoints or a Service.
    Endpoints,
    /// Ingresses.
    Ingresses,
}

/// Where a request goes by a version of the Ingresses.
#[must_use]
pub fn route(request: &IngressRequest, version: usize, cluster: &Cluster) -> Route {
    let version = &cluster.ingresses().versions()[version];
    let Some(path) = request.taken_by(version.paths()) else { return Route::NoPath };
    let service = path.backend.and_then(|name| cluster.service_named(name));
    service.map_or(Route::Nowhere, |service| Route::To(service, path.port))
}

/// The same by what holds now.
#[must_use]
pub fn true_route(request: &IngressRequest, cluster: &Cluster) -> Route {
    route(request, newest(cluster), cluster)
}

fn newest(cluster: &Cluster) -> usize {
    cluster.ingresses().versions().len() - 1
}

impl IngressProxy {
    /// One that begins, with the Ingresses as they are.
    #[must_use]
    pub fn new(number: u32, seed: u64, cluster: &Cluster) -> Self {
        Self {
            watcher: Watcher::ingress(number),
            seed: mix(seed ^ mix(0x1_0000_0000 | u64::from(number))),
            looked: None,
            is_asked: false,
            configurations: vec![(SimTime::ZERO, newest(cluster))],
            routes: IdVec::new(),
            services: IdVec::new(),
        }
    }

    /// Something has changed; when the proxy looks, unless it is to look already.
    pub fn hear(
        &mut self,
        news: News,
        (spec, proxies): (&IngressSpec, &Proxies),
        cluster: &Cluster,
        now: SimTime,
    ) -> Option<SimTime> {
        if self.is_asked || (spec.finds == Finds::Service && news == News::Endpoints) {
            return None;
        }
        self.is_asked = true;
        let hears = match news {
            News::Endpoints => proxies.hears(cluster, self.watcher, now),
            News::Ingresses => proxies.hears_of_ingresses(self.watcher, newest(cluster), now),
        };
        Some(self.may_look(spec, hears))
    }

    /// The first instant from one on at which a look is allowed.
    fn may_look(&self, spec: &IngressSpec, from: SimTime) -> SimTime {
        self.looked.map_or(from, |last| from.max(last.saturating_add(spec.sync)))
    }

    /// It looks.
    pub fn look(
        &mut self,
        spec: &IngressSpec,
        proxies: &mut Proxies,
        cluster: &Cluster,
        now: SimTime,
    ) -> Looked {
        (self.looked, self.is_asked) = (Some(now), false);
        let (told, mut next) = self.told_of_ingresses(proxies, cluster, now);
        let mut news: Vec<(ServiceId, Arc<EndpointSet>)> = Vec::new();
        for (service, known) in self.services.enumerate() {
            let Some(newest) = known.as_ref().and_then(|known| known.versions.last()) else {
                continue;
            };
            let (set, later) = proxies.told(cluster, self.watcher, service, now);
            next = next.into_iter().chain(later).min();
            if newest.version != set.version {
                news.push((service, set));
            }
        }
        let is_configured = self.is_configured(told, &news, cluster);
        let has_news = self.has_news(&mut news);
        let is_reload = !is_configured || (has_news && spec.finds == Finds::Reload);
        let from = if is_reload { now + self.reload(spec, now) } else { now };
        for (service, set) in news {
            self.take(service, Found::new(from, is_reload, &set), spec.poll, now);
        }
        if !is_configured {
            self.configurations.retain(|(counts, _)| *counts <= now);
            let past = self.configurations.len().saturating_sub(1);
            self.configurations.drain(..past);
            self.configurations.push((from, told));
        }
        let next = next.map(|at| self.may_look(spec, at));
        self.is_asked = next.is_some();
        Looked { reloads: is_reload.then_some(from), next }
    }

    /// How long a reload takes.
    fn reload(&self, spec: &IngressSpec, now: SimTime) -> Duration {
        let chance = open01_of(mix(self.seed ^ now.as_nanos()));
        Duration::from_secs_f64(spec.reload.quantile(chance))
    }

    /// The version of the Ingresses of which it has been told, and when it hears of a later one.
    fn told_of_ingresses(
        &self,
        proxies: &Proxies,
        cluster: &Cluster,
        now: SimTime,
    ) -> (usize, Option<SimTime>) {
        let known = self.configured();
        let later = cluster.ingresses().versions().iter().enumerate().skip(known + 1);
        let hears = |(number, version): (usize, &crate::cluster::IngressVersion)| {
            (number, proxies.hears_of_ingresses(self.watcher, number, version.at))
        };
        let (mut told, mut next) = (known, None::<SimTime>);
        for (number, at) in later.map(hears) {
            if at <= now {
                (told, next) = (number, None);
            } else {
                next = next.into_iter().chain([at]).min();
            }
        }
        (told, next)
    }

    /// The version of the Ingresses that its newest processes have, or will have.
    fn configured(&self) -> usize {
        self.configurations.last().map_or(0, |(_, number)| *number)
    }

    /// Whether its processes' configuration is that of a version of the Ingresses still: no
    /// setting differs, and the same Services are there.
    fn is_configured(
        &self,
        told: usize,
        news: &[(ServiceId, Arc<EndpointSet>)],
        cluster: &Cluster,
    ) -> bool {
        let versions = cluster.ingresses().versions();
        let own = &versions[self.configured()];
        let is_there = |service: ServiceId| {
            let known = self.services.get(service).and_then(Option::as_ref);
            known.and_then(|known| known.versions.last()).map(|found| found.service.is_some())
        };
        let is_same = |(service, set): &(_, Arc<EndpointSet>)| {
            is_there(*service) == Some(set.service.is_some())
        };
        own.rules == versions[told].rules && news.iter().all(is_same)
    }

    /// Whether there is something new of Services; what only has another number is noted.
    fn has_news(&mut self, news: &mut Vec<(ServiceId, Arc<EndpointSet>)>) -> bool {
        news.retain(|(service, set)| {
            let known = self.services[*service].as_mut().expect("it was looked at");
            let newest = known.versions.last_mut().expect("there is a first one");
            let found = Found::new(newest.from, newest.is_from_start, set);
            let is_same = newest.pods == found.pods && newest.ports() == found.ports();
            if is_same {
                newest.version = set.version;
            }
            !is_same
        });
        !news.is_empty()
    }

    fn take(&mut self, service: ServiceId, found: Found, poll: Duration, now: SimTime) {
        let known = self.services[service].as_mut().expect("it was looked at");
        let settled = |found: &Found| found.from.saturating_add(poll) <= now;
        while known.versions.get(1).is_some_and(settled) {
            known.versions.remove(0);
        }
        known.answers.welcome(&found.pods, now);
        known.versions.push(found);
    }

    /// A pod of a Service has answered after so long.
    pub fn answered(&mut self, service: ServiceId, pod: PodRef, rtt: Duration, now: SimTime) {
        let known = self.services.get_mut(service).and_then(Option::as_mut);
        if let Some(known) = known {
            known.answers.note(pod, rtt, now);
        }
    }

    /// Where a source's calls go by the configuration of the processes that take new ones.
    pub fn route(
        &mut self,
        source: SourceId,
        request: &IngressRequest,
        cluster: &Cluster,
        now: SimTime,
    ) -> Route {
        let counts = self.configurations.iter().rev().find(|(from, _)| *from <= now);
        let (_, number) = *counts.unwrap_or(&self.configurations[0]);
        let known = self.routes.grow_to(source);
        match known {
            Some((of, route)) if *of == number && *route != Route::Nowhere => *route,
            _ => known.insert((number, route(request, number, cluster))).1,
        }
    }

    /// The pod of a Service whose turn it is in one of the proxy's processes; another one than
    /// `not`, if there is one. `None`: there is none.
    pub fn next(
        &mut self,
        (spec, process): (&IngressSpec, u32),
        (proxies, cluster): (&mut Proxies, &Cluster),
        (service, port): (ServiceId, Option<IngressPort>),
        not: Option<PodRef>,
        now: SimTime,
    ) -> Option<PodRef> {
        let (seed, watcher) = (self.seed, self.watcher);
        let known = self.services.grow_to(service).get_or_insert_with(|| {
            let (set, _) = proxies.told(cluster, watcher, service, now);
            let first = Found::new(SimTime::ZERO, true, &set);
            let turn = |process: u32| {
                let word = mix(seed ^ mix(u64::from(service.number()) << 32 | u64::from(process)));
                cast::usize_trunc(open01_of(word) * 1e6)
            };
            let mut answers = Ewma::default();
            answers.welcome(&first.pods, now);
            let turns = (0..spec.workers).map(turn).collect();
            Box::new(Known { versions: vec![first], turns, answers })
        });
        let is_known = |found: &&Found| taken(found, spec, seed, process) <= now;
        let found = known.versions.iter().rev().find(is_known).unwrap_or(&known.versions[0]);
        let has_port = |port: IngressPort| found.service.as_ref().is_none_or(|s| port.is_of(s));
        let count = found.pods.len();
        if count == 0 || !port.is_none_or(has_port) {
            return None;
        }
        let turn = &mut known.turns[cast::usize_of(process)];
        if spec.balance == IngressBalance::Ewma {
            *turn = turn.wrapping_add(1);
            let word = seed ^ mix(cast::u64_of(*turn) << 16 ^ u64::from(process));
            return known.answers.choose(&found.pods, not, word, now);
        }
        let mut take = || {
            *turn = turn.wrapping_add(1);
            found.pods[*turn % count]
        };
        let pod = take();
        Some(if count > 1 && Some(pod) == not { take() } else { pod })
    }
}

/// When a process takes over what counts from an instant on: at its next poll, or when it starts.
fn taken(found: &Found, spec: &IngressSpec, seed: u64, process: u32) -> SimTime {
    let from = found.from;
    if found.is_from_start || spec.poll.is_zero() || spec.finds != Finds::Dynamic {
        return from;
    }
    let period = spec.poll.as_nanos();
    let phase = mix(seed ^ u64::from(process)) % period;
    let since = (from.as_nanos() + period - phase) % period;
    if since == 0 { from } else { from + Duration::ns(period - since) }
}
