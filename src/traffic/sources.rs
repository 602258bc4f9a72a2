//! The sources of calls from outside: when calls come (rules N420, N421).

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::base::dist::open01;
use crate::base::math::ln;
use crate::base::{Duration, Interner, SimTime};
use crate::cluster::Cluster;
use crate::event::{Event, TrafficEvent};
use crate::model::{
    IngressPlace, IngressRequest, Load, NodeId, PoissonProcess, RecordedCall, ServiceId, SourceId,
    TrafficSpec,
};
use crate::sim::{Ctx, CursorId, Streams};

use super::call::{Call, Caller, ClientId, NO_SERVICE, Purpose};

/// A source of calls.
#[derive(Debug)]
pub(super) struct Source {
    spec: TrafficSpec,
    service: Option<ServiceId>,
    /// The Service behind ingress proxies.
    backend: Option<ServiceId>,
    arrivals: Arrivals,
    cursor: Option<CursorId>,
    /// Gaps between calls.
    gaps: ChaCha8Rng,
    /// One word a call: everything about it.
    lucks: ChaCha8Rng,
}

/// When the calls of a source come, and how far it is.
#[derive(Debug)]
enum Arrivals {
    Poisson(PoissonProcess),
    /// The state, and until when it stays.
    Modulated(usize, SimTime),
    /// The next call, and since when the list runs.
    Recorded(usize, SimTime),
    Users,
}

impl Source {
    pub(super) fn new(spec: &TrafficSpec, names: &Interner, streams: &Streams) -> Self {
        let name = names.resolve(spec.name);
        let arrivals = match &spec.load {
            Load::Poisson(rate) => Arrivals::Poisson(PoissonProcess::new(rate)),
            // It begins in the other state, which ends at once.
            Load::Modulated { .. } => Arrivals::Modulated(1, SimTime::ZERO),
            Load::Recorded { .. } => Arrivals::Recorded(0, SimTime::ZERO),
            Load::Users { .. } => Arrivals::Users,
        };
        Self {
            spec: spec.clone(),
            service: None,
            backend: None,
            arrivals,
            cursor: None,
            gaps: streams.open("traffic-gaps", name),
            lucks: streams.open("traffic-calls", name),
        }
    }

    /// Finds the Service and waits for the first call. A source whose Service was never there
    /// stays silent: loading the scenario has said so.
    pub(super) fn start(&mut self, id: SourceId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        self.service = cluster.service_named(self.spec.to);
        if self.spec.through.is_some() {
            self.backend = self.service;
            if let IngressPlace::Behind(front) = cluster.model().ingress.place {
                self.service = cluster.service_named(front);
            }
        }
        if self.service.is_none() {
            return;
        }
        if let Load::Users { count, ramp, .. } = self.spec.load {
            for user in 0..count {
                let part = ramp.scale(f64::from(user) / f64::from(count));
                ctx.after(part, Event::Traffic(TrafficEvent::User(id)));
            }
            return;
        }
        self.cursor = Some(ctx.queue.add_cursor());
        self.wait(id, ctx);
    }

    /// Sets the cursor to the next call.
    #[inline]
    fn wait(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let next = self.next(ctx.now());
        if let (Some(cursor), Some(at)) = (self.cursor, next) {
            ctx.queue.set_cursor(cursor, at, Event::Traffic(TrafficEvent::Start(id)));
        }
    }

    #[inline]
    fn next(&mut self, now: SimTime) -> Option<SimTime> {
        match (&mut self.arrivals, &self.spec.load) {
            (Arrivals::Poisson(process), _) => {
                let need = -ln(open01(&mut self.gaps));
                process.next(now, need)
            }
            (Arrivals::Modulated(state, until), Load::Modulated { rates, stays }) => {
                modulated((state, until), (rates, stays), &mut self.gaps, now)
            }
            (Arrivals::Recorded(place, since), Load::Recorded { calls, repeat }) => {
                if *place >= calls.len() {
                    *since = since.saturating_add(repeat.filter(|_| !calls.is_empty())?);
                    *place = 0;
                }
                Some(since.saturating_add(calls[*place].at.since_start()).max(now))
            }
            _ => None,
        }
    }

    /// The call that starts now; the next one is waited for.
    #[inline]
    pub(super) fn call(&mut self, id: SourceId, ctx: &mut Ctx<'_>) -> Option<Call> {
        let recorded = self.recorded();
        if self.cursor.is_some() {
            self.wait(id, ctx);
        }
        let luck = self.lucks.next_u64();
        let caller = Caller::Source(id, NodeId::new(0));
        let mut call = Call::new(caller, client_of(id), self.service?, ctx.now(), luck);
        call.priority = self.spec.priority;
        call.is_idempotent = self.spec.is_idempotent;
        call.backend = self.backend.unwrap_or(NO_SERVICE);
        if let Some(recorded) = recorded {
            call.hold = recorded.hold;
        }
        if let Some(hold) = self.spec.hold.as_ref().filter(|_| call.hold.is_zero()) {
            call.hold = Duration::from_secs_f64(hold.quantile(call.chance(Purpose::Hold)));
        }
        Some(call)
    }

    /// The recorded call whose turn it is.
    fn recorded(&mut self) -> Option<RecordedCall> {
        let (Arrivals::Recorded(place, _), Load::Recorded { calls, .. }) =
            (&mut self.arrivals, &self.spec.load)
        else {
            return None;
        };
        *place += 1;
        calls.get(*place - 1).copied()
    }

    /// Whether its calls go through ingress proxies.
    pub(super) const fn is_proxied(&self) -> bool {
        self.backend.is_some()
    }

    /// What its calls ask ingress proxies for, if Ingresses say where they go.
    pub(super) const fn request(&self) -> Option<&IngressRequest> {
        self.spec.request.as_ref()
    }

    /// Its calls are about another Service from now on, as Ingresses say.
    pub(super) fn is_led_to(&mut self, service: ServiceId) {
        if self.backend.is_some() {
            self.backend = Some(service);
        }
    }

    /// Which Service it calls.
    pub(super) const fn service(&self) -> Option<ServiceId> {
        self.service
    }

    /// How many addresses its calls come from, if calls share them.
    pub(super) const fn addresses(&self) -> Option<u32> {
        self.spec.clients
    }

    /// How long a user thinks after a call; `None`: its calls are not those of users.
    #[inline]
    pub(super) fn thinks(&self, call: &Call) -> Option<Duration> {
        let Load::Users { think, .. } = &self.spec.load else { return None };
        Some(Duration::from_secs_f64(think.quantile(call.chance(Purpose::Think))))
    }
}

/// The number of a source as a client.
pub(super) fn client_of(id: SourceId) -> ClientId {
    ClientId::try_from(id.number()).expect("fewer than 2^16 sources")
}

/// MMPP-2: the next call of a process whose rate jumps between two values after exponential stays.
fn modulated(
    (state, until): (&mut usize, &mut SimTime),
    (rates, stays): (&[f64; 2], &[Duration; 2]),
    gaps: &mut ChaCha8Rng,
    now: SimTime,
) -> Option<SimTime> {
    let mut at = now;
    loop {
        let gap = -ln(open01(gaps)) / rates[*state];
        let next = at.saturating_add(Duration::from_secs_f64(gap));
        if next < *until {
            return Some(next);
        }
        at = *until;
        if at == SimTime::MAX {
            return None;
        }
        *state = 1 - *state;
        let stay = -ln(open01(gaps)) * stays[*state].as_secs_f64();
        *until = at.saturating_add(Duration::from_secs_f64(stay).max(Duration::ns(1)));
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::base::cast;

    /// N420: the mean rate of MMPP-2 is (r₁q₂ + r₂q₁) / (q₁ + q₂) with qᵢ = 1 / stayᵢ: 100/s for 1 s
    /// and 10/s for 2 s give 40/s; the index of dispersion is far above 1.
    #[test]
    fn modulated_calls() {
        let mut gaps = ChaCha8Rng::seed_from_u64(1);
        let (mut state, mut until, mut now) = (1, SimTime::ZERO, SimTime::ZERO);
        let stays = [Duration::secs(1), Duration::secs(2)];
        let mut counts = vec![0.0_f64; 20_000];
        loop {
            let of = (&mut state, &mut until);
            now = modulated(of, (&[100.0, 10.0], &stays), &mut gaps, now).unwrap();
            let second = cast::usize_trunc(now.as_secs_f64());
            match counts.get_mut(second) {
                Some(count) => *count += 1.0,
                None => break,
            }
        }
        let n = cast::f64_of_usize(counts.len());
        let mean = counts.iter().sum::<f64>() / n;
        let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / n;
        assert!((mean / 40.0 - 1.0).abs() < 0.03, "{mean}");
        assert!(variance / mean > 10.0, "{variance}");
    }
}
