//! What the servers of one behaviour do, worked out once for all of their pods.

use std::sync::Arc;

use crate::base::{Duration, SimTime, Symbol, cast, math};
use crate::cluster::Cluster;
use crate::model::{Behavior, Cache, Callee, Discipline, Fades, Order, Serve, ServiceId, Template};
use crate::record::Cause;

use super::call::{Call, ClientId, Purpose};
use super::clients::ClientState;
use super::inside::{Neighbour, size_of};
use super::servers::Server;

/// One call that a server makes while it serves one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// The Service, if there is one of that name.
    pub(super) service: Option<ServiceId>,
    pub(super) client: ClientId,
    /// With its neighbours of which that is true too.
    pub(super) parallel: bool,
    pub(super) probability: f64,
    /// Which container of its own pod, if it is that.
    pub(super) neighbour: Option<usize>,
}

/// What a server does, once for all pods of one behaviour.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) behavior: Arc<Behavior>,
    /// What it calls while it serves a call, one entry a call.
    pub(super) needs: Vec<Need>,
    /// Containers of its own pod that it calls.
    pub(super) neighbours: Vec<Neighbour>,
    /// What a call takes there and back; 0: it is not counted.
    pub(super) bytes: u64,
    pub(super) cpu: Duration,
    pub(super) errors: f64,
    pub(super) concurrency: u32,
    pub(super) backlog: usize,
    pub(super) order: Order,
    pub(super) discipline: Discipline,
    pub(super) says_close: bool,
    pub(super) idle_max: Duration,
    pub(super) age_max: Duration,
    /// Nothing changes the hold that is drawn.
    pub(super) is_plain: bool,
    /// Its calls take memory.
    pub(super) is_heavy: bool,
    /// After how many calls that write something it is told; 0: they write nothing.
    pub(super) told_every: u32,
}

impl Kind {
    pub(super) fn new(
        behavior: &Arc<Behavior>,
        template: &Template,
        cluster: &Cluster,
        clients: &mut Vec<ClientState>,
    ) -> Self {
        let (mut needs, mut neighbours) = (Vec::new(), Vec::new());
        for call in &behavior.calls {
            let client = ClientId::try_from(clients.len()).expect("fewer than 2^16 clients");
            let speaks = behavior.release.speaks;
            clients.push(ClientState::new(call.client.clone(), speaks, call.optional));
            let neighbour = match call.to {
                Callee::Service(_) => None,
                Callee::Container(name) => Neighbour::of(template, name).map(|neighbour| {
                    neighbours.push(neighbour);
                    neighbours.len() - 1
                }),
            };
            let need = Need {
                service: call.to.service().and_then(|name| cluster.service_named(name)),
                client,
                parallel: call.parallel,
                probability: call.probability,
                neighbour,
            };
            needs.extend(std::iter::repeat_n(need, cast::usize_of(call.times)));
        }
        let none = Serve::new(crate::base::Distribution::Constant(0.0), u32::MAX);
        let serve = behavior.serve.as_ref();
        let backlog = serve.map_or(0, |serve| cast::usize_of(serve.backlog));
        let serve = serve.unwrap_or(&none);
        let slower = behavior.release.slower;
        Self {
            needs,
            neighbours,
            bytes: size_of(behavior),
            cpu: serve.cpu,
            errors: 1.0 - (1.0 - serve.errors) * (1.0 - behavior.release.errors),
            concurrency: serve.concurrency.max(1),
            backlog,
            order: serve.order,
            discipline: serve.discipline,
            says_close: serve.says_close,
            idle_max: serve.idle_max,
            age_max: serve.age_max,
            is_plain: serve.warm_up.is_none()
                && serve.cache.is_none()
                && slower.total_cmp(&1.0).is_eq(),
            is_heavy: behavior.call_memory.0 > 0,
            told_every: told_every(behavior),
            behavior: Arc::clone(behavior),
        }
    }

    /// How long a call is in service, and by which factor that is longer than by itself.
    #[inline]
    pub(super) fn hold(&self, call: &Call, row: &Server, now: SimTime) -> (Duration, f64) {
        let Some(serve) = &self.behavior.serve else {
            return (Duration::ZERO, 1.0);
        };
        let chance = call.chance(Purpose::Hold);
        if !call.hold.is_zero() && !call.is_proxied() {
            return (call.hold, self.slower(serve, row, now));
        }
        if self.is_plain {
            return (Duration::from_secs_f64(serve.hold.quantile(chance)), 1.0);
        }
        let hits = |cache: &&Cache| call.chance(Purpose::Cache) >= row.hit_ratio(cache);
        let law = serve.cache.as_ref().filter(hits).map_or(&serve.hold, |cache| &cache.miss);
        (Duration::from_secs_f64(law.quantile(chance)), self.slower(serve, row, now))
    }

    /// Warm-up: w(t) = 1 + (w₀ − 1) · e^(−t / τ), by age or by calls served (rule N424).
    fn slower(&self, serve: &Serve, row: &Server, now: SimTime) -> f64 {
        let release = self.behavior.release.slower;
        let Some(warm) = &serve.warm_up else { return release };
        let part = match warm.fades {
            Fades::Age(constant) => now.saturating_since(row.since).ratio(constant),
            Fades::Calls(calls) => cast::f64_of_u64(row.served) / calls,
        };
        release * (1.0 + (warm.factor - 1.0) * math::exp(-part))
    }

    /// Whether the server answers a call with an error, and why.
    #[inline]
    pub(super) fn fault(&self, call: &Call, speaks: Option<Symbol>) -> Option<Cause> {
        let known = &self.behavior.release.understands;
        if !known.is_empty() && speaks.is_some_and(|version| !known.contains(&version)) {
            return Some(Cause::Incompatible);
        }
        (self.errors > 0.0 && call.chance(Purpose::Fault) < self.errors)
            .then_some(Cause::ServerFault)
    }

    /// Whether the end of a call is not known when its service begins.
    pub(super) fn is_open_ended(&self) -> bool {
        !self.needs.is_empty() || self.discipline != Discipline::Slots
    }
}

/// What calls write is told in such amounts, in bytes.
const TOLD: i64 = 1 << 20;

/// After how many calls what they have written is told.
fn told_every(behavior: &Behavior) -> u32 {
    let written = behavior.writes.map_or(0, |writes| writes.call.0);
    let call = written.saturating_add(behavior.logs.map_or(0, |logs| logs.call.0));
    if call > 0 { u32::try_from((TOLD / call).max(1)).unwrap_or(u32::MAX) } else { 0 }
}
