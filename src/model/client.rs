//! How a caller calls: connections, time limits, more attempts, and what it does about servers that
//! fail (rules N184 to N186, N425).

use crate::base::{Duration, SimTime};

/// No limit of time.
pub const NO_LIMIT: Duration = Duration::ns(u64::MAX);

/// How a caller calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// How connections are used.
    pub connections: Connections,
    /// How long an attempt is waited for.
    pub timeout: Duration,
    /// How long a new connection is waited for; [`NO_LIMIT`]: as long as the attempt.
    pub connect_timeout: Duration,
    /// How long all attempts together are waited for; [`NO_LIMIT`]: each has its own time only.
    pub deadline: Duration,
    /// What follows a failed attempt.
    pub retries: Retries,
    /// A second attempt beside the first when that has not been answered for so long.
    pub hedge: Option<Duration>,
    /// Servers that fail are left alone for a while.
    pub ejection: Option<Ejection>,
    /// How many calls may be under way at once; more fail at once.
    pub calls_max: u32,
    /// How long it keeps an answer of DNS.
    pub dns_cache: DnsCache,
}

/// How long a client keeps an answer of DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsCache {
    /// For as long as the answer says.
    Ttl,
    /// For so long, whatever it says; not at all for zero.
    For(Duration),
}

impl Client {
    /// A new connection a call, one attempt.
    #[must_use]
    pub fn plain(timeout: Duration) -> Self {
        Self {
            connections: Connections::new(ConnectionKind::New),
            timeout,
            connect_timeout: NO_LIMIT,
            deadline: NO_LIMIT,
            retries: Retries::none(),
            hedge: None,
            ejection: None,
            calls_max: u32::MAX,
            dns_cache: DnsCache::For(Duration::ZERO),
        }
    }
}

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How calls share them.
    pub kind: ConnectionKind,
    /// The client closes one that no call has used for so long.
    pub idle_max: Duration,
    /// The client uses one for so long, more or less a tenth.
    pub age_max: Duration,
    /// TLS 1.3: one round trip more before the first call.
    pub tls: bool,
    /// Whether the client notices that the server has closed one before it uses it again.
    pub notices_close: bool,
}

/// How calls share connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A new one for each call: the proxy chooses a pod for each call.
    New,
    /// Kept ones: the proxy chose once, a call goes where its connection goes, one at a time.
    KeepAlive {
        /// How many connections without a call are kept at most.
        pool: u32,
    },
    /// So many, each taking any number of calls at once (HTTP/2, gRPC).
    Shared {
        /// How many connections; calls take one at random.
        count: u32,
    },
}

impl Connections {
    /// Without limits of time, plain text.
    #[must_use]
    pub const fn new(kind: ConnectionKind) -> Self {
        Self { kind, idle_max: NO_LIMIT, age_max: NO_LIMIT, tls: false, notices_close: true }
    }

    /// Kept ones, so many of them without a call at most.
    #[must_use]
    pub const fn keep_alive(pool: u32) -> Self {
        Self::new(ConnectionKind::KeepAlive { pool })
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retries {
    /// How many more attempts a call gets.
    pub attempts: u32,
    /// After which ends.
    pub on: FateSet,
    /// How long before each.
    pub back_off: BackOff,
    /// What bounds the attempts of all calls together.
    pub budget: Budget,
    /// Whether another attempt goes to another pod, as far as there is one: what a proxy that knows
    /// the pods can do, and a new connection to a Service cannot (rule N486).
    pub elsewhere: bool,
}

impl Retries {
    /// One attempt is all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            attempts: 0,
            on: FateSet::FAILED,
            back_off: BackOff::ENVOY,
            budget: Budget::Unlimited,
            elsewhere: false,
        }
    }

    /// So many more attempts, without a budget.
    #[must_use]
    pub const fn times(attempts: u32) -> Self {
        Self { attempts, ..Self::none() }
    }
}

/// A set of ends, each by its place in `record::Fate::ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateSet(u8);

impl FateSet {
    /// All but success.
    pub const FAILED: Self = Self(!1);

    /// These.
    #[must_use]
    pub fn of(places: impl IntoIterator<Item = u8>) -> Self {
        Self(places.into_iter().fold(0, |set, place| set | 1 << place))
    }

    /// Whether an end is one of them.
    #[must_use]
    pub const fn contains(self, place: u8) -> bool {
        self.0 & (1 << place) != 0
    }
}

/// How long a caller waits before another attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BackOff {
    /// Evenly from 0 to (2ⁿ − 1) · base before the n-th, at most `max`.
    ///
    /// Source: Envoy, router filter, `x-envoy-max-retries`: base 25 ms, at most ten times that.
    Full {
        /// The unit.
        base: Duration,
        /// The most.
        max: Duration,
    },
    /// min(initial · factorⁿ⁻¹, max), more or less a part.
    ///
    /// Source: gRPC proposal A6 (rule N186): the part is 0.2.
    Around {
        /// Before the first.
        initial: Duration,
        /// How much longer each is than the one before.
        factor: f64,
        /// The most.
        max: Duration,
        /// The part, from 0 to 1.
        jitter: f64,
    },
}

impl BackOff {
    /// Envoy's.
    pub const ENVOY: Self = Self::Full { base: Duration::ms(25), max: Duration::ms(250) };

    /// The pause before the n-th attempt after the first (from 1), for a number between 0 and 1.
    #[must_use]
    pub fn pause(&self, nth: u8, chance: f64) -> Duration {
        let secs = match *self {
            Self::Full { base, max } => {
                let units = f64::from((1_u32 << nth.min(20)) - 1);
                chance * (units * base.as_secs_f64()).min(max.as_secs_f64())
            }
            Self::Around { initial, factor, max, jitter } => {
                let grown = (1..nth).fold(initial.as_secs_f64(), |pause, _| pause * factor);
                grown.min(max.as_secs_f64()) * (1.0 + jitter * (2.0 * chance - 1.0))
            }
        };
        Duration::from_secs_f64(secs)
    }
}

/// What bounds the further attempts of all calls of a caller together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Nothing.
    Unlimited,
    /// At any time a part of the calls under way may be such attempts, or `min` (Envoy, rule N185).
    Share {
        /// The part.
        share: f64,
        /// What is always allowed.
        min: u32,
    },
    /// A bucket: a failure takes one token, a success gives `ratio`, and attempts are made while
    /// more than half is there (gRPC, rule N186).
    Tokens {
        /// Tokens at the start and at most.
        max: f64,
        /// What a success gives.
        ratio: f64,
    },
}

/// When servers that fail are left alone.
///
/// Source: Envoy, outlier detection (rule N185).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long, times the number of times.
    pub base: Duration,
    /// For so long at most.
    pub max: Duration,
    /// Of this part of the servers at most, but of one always.
    pub share_max: f64,
    /// A server comes back at a sweep, one each so often; zero: as soon as its time is over.
    pub interval: Duration,
}

impl Ejection {
    /// Envoy's defaults.
    pub const ENVOY: Self = Self {
        failures: 5,
        base: Duration::secs(30),
        max: Duration::secs(300),
        share_max: 0.1,
        interval: Duration::secs(10),
    };

    /// Until when a server is left alone that fails now for the so-manieth time: the first sweep
    /// after its time.
    #[must_use]
    pub fn ends(&self, times: u32, now: SimTime) -> SimTime {
        let over = now.saturating_add(self.base.saturating_mul(u64::from(times)).min(self.max));
        match self.interval.as_nanos() {
            0 => over,
            interval => SimTime::from_nanos(over.as_nanos().div_ceil(interval) * interval),
        }
    }

    /// How many times are left of those that a server, back since an instant, was left alone: each
    /// sweep forgives one.
    #[must_use]
    pub fn forgives(&self, times: u32, back: SimTime, now: SimTime) -> u32 {
        let since = now.saturating_since(back).as_nanos();
        let sweeps = since.checked_div(self.interval.as_nanos()).unwrap_or(0);
        times.saturating_sub(u32::try_from(sweeps).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(pause: Duration) -> f64 {
        pause.as_secs_f64() * 1000.0
    }

    /// Envoy: 25, 75, 175, 250 ms at most. gRPC (N186): 100, 200, 400, 500 ms, ± 20 %.
    #[test]
    fn pauses_grow() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        let most: Vec<f64> = (1..5).map(|n| ms(BackOff::ENVOY.pause(n, 1.0))).collect();
        most.iter().zip([25.0, 75.0, 175.0, 250.0]).for_each(|(a, b)| near(*a, b));
        near(ms(BackOff::ENVOY.pause(2, 0.5)), 37.5);
        let grpc = BackOff::Around {
            initial: Duration::ms(100),
            factor: 2.0,
            max: Duration::ms(500),
            jitter: 0.2,
        };
        let middle: Vec<f64> = (1..5).map(|n| ms(grpc.pause(n, 0.5))).collect();
        middle.iter().zip([100.0, 200.0, 400.0, 500.0]).for_each(|(a, b)| near(*a, b));
        near(ms(grpc.pause(1, 0.0)), 80.0);
        near(ms(grpc.pause(1, 1.0)), 120.0);
    }

    /// N185: 30 s times the number of times, until the next sweep; each sweep without a failure
    /// forgives one time.
    #[test]
    fn ejections_end_at_sweeps() {
        let at = |secs| SimTime::at(Duration::secs(secs));
        let envoy = Ejection::ENVOY;
        assert_eq!(envoy.ends(1, at(3)), at(40));
        assert_eq!(envoy.ends(2, at(40)), at(100));
        assert_eq!(envoy.ends(100, at(1)), at(310));
        assert_eq!(envoy.forgives(3, at(100), at(119)), 2);
        assert_eq!(envoy.forgives(1, at(100), at(900)), 0);
        let plain = Ejection { interval: Duration::ZERO, ..envoy };
        assert_eq!(plain.ends(1, at(3)), at(33));
        assert_eq!(plain.forgives(3, at(100), at(900)), 3);
    }

    #[test]
    fn sets_of_ends() {
        assert!(!FateSet::FAILED.contains(0));
        assert!((1..8).all(|place| FateSet::FAILED.contains(place)));
        let some = FateSet::of([1, 4]);
        assert!(some.contains(1) && some.contains(4) && !some.contains(2));
    }
}
