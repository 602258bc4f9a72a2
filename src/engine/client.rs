//! The clients of the controllers: how long a call takes to reach the API server.

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, LookupMap, SimTime};
use crate::controllers::GARBAGE_COLLECTOR;
use crate::model::{Latencies, ObjectKey};
use crate::sim::Streams;

/// Requests a second of one controller's client, and its burst (rule C12).
const QPS: u64 = 20;
const BURST: u64 = 30;
/// Events about one object that go out at once, and how long until one more may (rule C13).
const EVENTS: u64 = 25;
const EVENT_GAP: Duration = Duration::secs(300);

/// One controller's client: a token bucket, a latency a write, and the sender of its Events.
///
/// Writes, reads and Events draw from the one bucket. The Events have a sender of their own, which
/// sends one after another; each time it is idle it asks for one token, so that calls of a batch,
/// which ask all at once, leave it behind.
///
/// Source: kubernetes v1.36.3 pkg/controller/apis/config/v1alpha1/defaults.go, client-go
/// tools/record/events_cache.go (rules C12 to C14). Differs: an Event that is dropped is the last
/// one of its object rather than one among many; of reads only the autoscaler's draw tokens.
#[derive(Debug)]
pub(super) struct Client {
    watch: Distribution,
    handling: Distribution,
    write: Distribution,
    rng: ChaCha8Rng,
    is_limited: bool,
    burst: u64,
    /// Calls of each look before its first write.
    reads: u64,
    bucket: Bucket,
    /// When the last change of a pod, and of anything else, arrived: a watch keeps its order.
    heard: [SimTime; 2],
    /// Events that wait for the sender, and whether it waits for a token.
    events: u64,
    is_sending: bool,
    /// How many more Events each object may have.
    spam: LookupMap<ObjectKey, Bucket>,
}

/// A token bucket as a virtual schedule: it lacks `full_at − now` of its burst.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it would be full again, if nothing more is taken.
    full_at: SimTime,
}

impl Bucket {
    /// Takes a token; how long to wait for it.
    fn take(&mut self, now: SimTime, burst: u64) -> Duration {
        let gap = Duration::secs(1) / QPS;
        self.full_at = self.full_at.max(now) + gap;
        self.full_at.saturating_since(now).saturating_sub(gap * burst)
    }

    /// Takes one of an object's Events, if there is one.
    fn try_take(&mut self, now: SimTime) -> bool {
        let full_at = self.full_at.max(now) + EVENT_GAP;
        let has_one = full_at.saturating_since(now) <= EVENT_GAP * EVENTS;
        if has_one {
            self.full_at = full_at;
        }
        has_one
    }
}

impl Client {
    pub(super) fn new(name: &'static str, latencies: &Latencies, streams: &Streams) -> Self {
        let is_endpoints = name == "endpointslice-controller";
        Self {
            watch: latencies.watch.clone(),
            handling: match is_endpoints {
                true => latencies.endpoints.clone(),
                false => Distribution::Constant(0.0),
            },
            write: latencies.api_write.clone(),
            rng: streams.open("client", name),
            // The namespace controller's client has 400 a second and bursts of 3000.
            is_limited: latencies.limited_clients && name != "namespace-controller",
            // The collector has 40 a second and asks twice about each (rule C195).
            burst: if name == GARBAGE_COLLECTOR { BURST / 2 } else { BURST },
            reads: u64::from(name == "horizontal-pod-autoscaler-controller"),
            bucket: Bucket::default(),
            heard: [SimTime::ZERO; 2],
            events: 0,
            is_sending: false,
            spam: LookupMap::new(),
        }
    }

    /// Whether writes land at once.
    pub(super) fn is_inline(&self) -> bool {
        !self.is_limited && is_zero(&self.write) && is_zero(&self.handling)
    }

    /// How long a change takes to reach the controller.
    pub(super) fn watch_delay(&mut self) -> Duration {
        self.watch.sample_duration(&mut self.rng)
    }

    /// When a change of now reaches the controller: pods come over one watch, the rest over another.
    pub(super) fn hears(&mut self, of_pod: bool, now: SimTime) -> SimTime {
        let at = now + self.watch_delay();
        let last = &mut self.heard[usize::from(of_pod)];
        *last = at.max(*last);
        *last
    }

    /// When a look of now that writes something sends its first write.
    pub(super) fn sends(&mut self, now: SimTime) -> SimTime {
        now + self.handling.sample_duration(&mut self.rng)
    }

    /// The calls of a look before its first write.
    pub(super) fn read(&mut self, now: SimTime) {
        for _ in 0..self.reads {
            self.token(now);
        }
    }

    /// When a write lands that is sent at `sent`.
    pub(super) fn lands(&mut self, sent: SimTime) -> SimTime {
        self.token(sent) + self.write.sample_duration(&mut self.rng)
    }

    /// When a call goes out that is made at `at`.
    pub(super) fn token(&mut self, at: SimTime) -> SimTime {
        if self.is_limited { at + self.bucket.take(at, self.burst) } else { at }
    }

    /// Something is to be told about an object; when that has landed, if the sender was idle.
    pub(super) fn event(&mut self, about: ObjectKey, now: SimTime) -> Option<SimTime> {
        let spam = self.spam.or_insert_with(about, Bucket::default);
        if !self.is_limited || !spam.try_take(now) {
            return None;
        }
        self.events += 1;
        if self.is_sending { None } else { self.next_event(now) }
    }

    /// An Event has landed; when the next one does.
    pub(super) fn event_sent(&mut self, now: SimTime) -> Option<SimTime> {
        self.is_sending = false;
        self.next_event(now)
    }

    /// Sends Events as long as that takes no time; when the one has landed that takes some.
    fn next_event(&mut self, now: SimTime) -> Option<SimTime> {
        while self.events > 0 {
            self.events -= 1;
            let at = self.lands(now);
            if at > now {
                self.is_sending = true;
                return Some(at);
            }
        }
        None
    }
}

/// Whether a law gives nothing but zero.
fn is_zero(law: &Distribution) -> bool {
    law.is_constant() && law.mean() <= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules C12 and C14: 20 requests a second after a burst of 30, by one bucket of the controller.
    #[test]
    fn thirty_writes_go_at_once_and_then_twenty_a_second() {
        let latencies = Latencies { limited_clients: true, ..Latencies::ideal() };
        let streams = Streams { seed: 1, replication: 0 };
        let mut client = Client::new("replicaset-controller", &latencies, &streams);
        let at = SimTime::ZERO + Duration::secs(5);
        let lands: Vec<SimTime> = (0..50).map(|_| client.lands(at)).collect();
        assert_eq!(lands[29], at);
        assert_eq!(lands[30], at + Duration::ms(50));
        assert_eq!(lands[49], at + Duration::secs(1));
    }

    /// Rules C12 and C13: Events draw from the same bucket, one after another, and of one object 25.
    #[test]
    fn events_take_tokens_and_end_after_twenty_five() {
        let latencies = Latencies { limited_clients: true, ..Latencies::ideal() };
        let streams = Streams { seed: 1, replication: 0 };
        let mut client = Client::new("replicaset-controller", &latencies, &streams);
        let (at, about) = (SimTime::ZERO, ObjectKey::Cluster);
        let waits: Vec<_> = (0..30).map(|_| client.event(about, at)).collect();
        assert_eq!(waits, [None; 30]);
        let lands: Vec<SimTime> = (0..6).map(|_| client.lands(at)).collect();
        assert_eq!((lands[4], lands[5]), (at, at + Duration::ms(50)));
        let later = at + Duration::secs(300);
        assert_eq!([client.event(about, later), client.event(about, later)], [None; 2]);
        assert_eq!(client.bucket.full_at, later + Duration::ms(50));
    }

    #[test]
    fn ideal_with_a_watch_delay_keeps_its_writes_inline() {
        let watch = Distribution::Constant(1.0);
        let latencies = Latencies { profile: "custom", watch, ..Latencies::ideal() };
        let streams = Streams { seed: 1, replication: 0 };
        let mut client = Client::new("deployment-controller", &latencies, &streams);
        assert!(client.is_inline());
        assert_eq!(client.watch_delay(), Duration::secs(1));
    }
}
