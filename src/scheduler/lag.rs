//! How long things take that the scheduler asks for or is told.

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, SimTime};

/// Requests a second of the scheduler's client, and its burst (rule S197).
const QPS: u64 = 50;
const BURST: u64 = 100;

/// A latency with its random stream.
#[derive(Debug)]
pub(super) struct Lag {
    /// `None`: there is none.
    latency: Option<(Distribution, ChaCha8Rng)>,
    last: SimTime,
}

impl Lag {
    pub(super) fn new(latency: &Distribution, stream: ChaCha8Rng) -> Self {
        let is_none = *latency == Distribution::Constant(0.0);
        Self { latency: (!is_none).then(|| (latency.clone(), stream)), last: SimTime::ZERO }
    }

    pub(super) const fn is_none(&self) -> bool {
        self.latency.is_none()
    }

    pub(super) fn draw(&mut self) -> Duration {
        match &mut self.latency {
            Some((latency, stream)) => latency.sample_duration(stream),
            None => Duration::ZERO,
        }
    }

    /// When what is sent now arrives: not before what was sent earlier.
    pub(super) fn ordered(&mut self, now: SimTime) -> SimTime {
        let at = now + self.draw();
        self.not_before(at)
    }

    /// The same of what would arrive at this instant.
    pub(super) fn not_before(&mut self, at: SimTime) -> SimTime {
        self.last = self.last.max(at);
        self.last
    }
}

/// The scheduler's client: a token bucket that bindings, patches and evictions share (rules S197,
/// S198).
#[derive(Debug)]
pub(super) struct Client {
    is_limited: bool,
    /// When the bucket would be full again, if nothing more is taken.
    full_at: SimTime,
}

impl Client {
    pub(super) const fn new(is_limited: bool) -> Self {
        Self { is_limited, full_at: SimTime::ZERO }
    }

    /// How long a request waits for its token.
    pub(super) fn wait(&mut self, now: SimTime) -> Duration {
        if !self.is_limited {
            return Duration::ZERO;
        }
        let gap = Duration::secs(1) / QPS;
        self.full_at = self.full_at.max(now) + gap;
        self.full_at.saturating_since(now).saturating_sub(gap * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_requests_go_at_once_and_then_fifty_a_second() {
        let mut client = Client::new(true);
        let at = SimTime::at(Duration::secs(9));
        let waits: Vec<_> = (0..150).map(|_| client.wait(at)).collect();
        assert_eq!((waits[99], waits[100]), (Duration::ZERO, Duration::ms(20)));
        assert_eq!(waits[149], Duration::secs(1));
        assert_eq!(Client::new(false).wait(at), Duration::ZERO);
    }
}
