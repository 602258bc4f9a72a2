//! The clients of the controllers: how long a write takes to reach the API server.

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, SimTime};
use crate::model::Latencies;
use crate::sim::Streams;

/// Requests a second of one controller's client, and its burst (rule C12).
const QPS: u64 = 20;
const BURST: u64 = 30;

/// One controller's client: a token bucket, and a latency a write.
///
/// Writes of one look at an object land in their order. Source: kubernetes v1.36.3
/// pkg/controller/apis/config/v1alpha1/defaults.go (rules C12, C14). Differs: only writes draw
/// from the bucket; reads and Events do not.
#[derive(Debug)]
pub(super) struct Client {
    watch: Distribution,
    handling: Distribution,
    write: Distribution,
    rng: ChaCha8Rng,
    is_limited: bool,
    /// When the bucket would be full again, if nothing more is taken.
    full_at: SimTime,
    /// When the last change of a pod, and of anything else, arrived: a watch keeps its order.
    heard: [SimTime; 2],
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
            is_limited: latencies.limited_clients,
            full_at: SimTime::ZERO,
            heard: [SimTime::ZERO; 2],
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

    /// How long the controller works before its first write.
    pub(super) fn handling(&mut self) -> Duration {
        self.handling.sample_duration(&mut self.rng)
    }

    /// When a write lands that is sent at `sent`, not before `earliest`.
    pub(super) fn lands(&mut self, sent: SimTime, earliest: SimTime) -> SimTime {
        let token = if self.is_limited { self.take_token(sent) } else { sent };
        (token + self.write.sample_duration(&mut self.rng)).max(earliest)
    }

    /// The bucket as a virtual schedule: it lacks `full_at − now` of its burst.
    fn take_token(&mut self, now: SimTime) -> SimTime {
        let gap = Duration::secs(1) / QPS;
        self.full_at = self.full_at.max(now) + gap;
        let wait = self.full_at.saturating_since(now).saturating_sub(gap * BURST);
        now + wait
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
        let lands: Vec<SimTime> = (0..50).map(|_| client.lands(at, at)).collect();
        assert_eq!(lands[29], at);
        assert_eq!(lands[30], at + Duration::ms(50));
        assert_eq!(lands[49], at + Duration::secs(1));
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
