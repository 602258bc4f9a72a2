//! Who calls, and the pods that come without a controller.

use std::sync::Arc;

use crate::base::{Distribution, Duration, SimTime, Symbol};

use super::client::Client;
use super::ids::ObjectName;
use super::pod::Template;

/// A source of calls from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficSpec {
    /// Its name.
    pub name: Symbol,
    /// The Service that is called.
    pub to: ObjectName,
    /// The port of the Service; 0 for its first.
    pub port: u16,
    /// The Ingress through which it is called, if it is.
    pub through: Option<ObjectName>,
    /// What its calls ask the proxies for; `None`: they lead to the Service, whatever becomes of
    /// the Ingress.
    pub request: Option<super::IngressRequest>,
    /// Whether a call that has been sent may be sent again by a proxy (GET, not POST).
    pub is_idempotent: bool,
    /// When calls come.
    pub load: Load,
    /// How they are made.
    pub client: Client,
    /// Which calls a server takes first, if it looks at that: the greatest.
    pub priority: u8,
    /// How long its calls are in service, in seconds, in place of what the server says.
    pub hold: Option<Distribution>,
    /// The version of the protocol that it speaks.
    pub speaks: Option<Symbol>,
    /// How many addresses they come from; `None`: each from another one.
    pub clients: Option<u32>,
}

impl TrafficSpec {
    /// A plain caller: open loop, a new connection a call, one attempt.
    #[must_use]
    pub fn new(name: Symbol, to: ObjectName, rate: Rate, timeout: Duration) -> Self {
        Self {
            name,
            to,
            port: 0,
            through: None,
            request: None,
            is_idempotent: true,
            load: Load::Poisson(rate),
            client: Client::plain(timeout),
            priority: 0,
            hold: None,
            speaks: None,
            clients: None,
        }
    }
}

/// When calls come (rules N420, N421).
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// Independently, so many a second over time.
    Poisson(Rate),
    /// Independently, at one of two rates, which change at random (MMPP-2).
    Modulated {
        /// Calls a second in each state.
        rates: [f64; 2],
        /// How long each state lasts on average.
        stays: [Duration; 2],
    },
    /// At recorded instants.
    Recorded {
        /// In order of time.
        calls: Arc<[RecordedCall]>,
        /// After this long they come again; `None`: once.
        repeat: Option<Duration>,
    },
    /// From users who call, wait for the answer, think, and call again (closed loop).
    Users {
        /// How many.
        count: u32,
        /// How long each thinks, in seconds.
        think: Distribution,
        /// They come evenly within this time.
        ramp: Duration,
    },
}

impl Load {
    /// The most calls a second that are asked for, if that is known beforehand.
    #[must_use]
    pub fn rate_max(&self) -> Option<f64> {
        match self {
            Self::Poisson(rate) => Some(rate.max()),
            Self::Modulated { rates, .. } => Some(rates[0].max(rates[1])),
            Self::Recorded { .. } | Self::Users { .. } => None,
        }
    }
}

/// A recorded call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedCall {
    /// When it comes.
    pub at: SimTime,
    /// How long it is in service; zero: as the server says.
    pub hold: Duration,
}

/// Calls a second (or another number) over time: constant from each step to the next, or a line between the points.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// Points in order of time; the first at zero.
    pub points: Arc<[(SimTime, f64)]>,
    /// Whether the rate goes in a straight line from point to point (else in steps).
    pub is_linear: bool,
    /// After this long it starts again; `None`: the last value stays.
    pub repeat: Option<Duration>,
}

impl Rate {
    /// The same rate for ever, in calls a second.
    #[must_use]
    pub fn constant(per_second: f64) -> Self {
        Self { points: Arc::from([(SimTime::ZERO, per_second)]), is_linear: false, repeat: None }
    }

    /// The highest rate of all points, in calls a second.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.points.iter().fold(0.0, |max, (_, rate)| max.max(*rate))
    }

    /// The time from one instant to another in parts, each with its length in seconds and its mean
    /// rate.
    pub fn parts(&self, from: SimTime, to: SimTime) -> impl Iterator<Item = (f64, f64)> {
        let mut at = from;
        std::iter::from_fn(move || {
            if at >= to {
                return None;
            }
            let next = self.next_point(at).min(to);
            // Half-way of a straight line is its mean.
            let mean = self.at(at + (next - at).scale(0.5));
            let secs = (next - at).as_secs_f64();
            at = next;
            Some((secs, mean))
        })
    }

    /// The first instant later than this at which the rate steps or its line bends.
    fn next_point(&self, now: SimTime) -> SimTime {
        let period = self.repeat.filter(|period| *period > Duration::ZERO);
        let within = period.map_or(now.as_nanos(), |period| now.as_nanos() % period.as_nanos());
        let begun = SimTime::from_nanos(now.as_nanos() - within);
        let next = self.points.partition_point(|(at, _)| at.as_nanos() <= within);
        let point = self.points.get(next).map(|(at, _)| begun + at.since_start());
        match (point, period) {
            (Some(point), Some(period)) => point.min(begun + period),
            (None, Some(period)) => begun + period,
            (Some(point), None) => point,
            (None, None) => SimTime::MAX,
        }
    }

    /// The rate at an instant, in calls a second.
    #[must_use]
    pub fn at(&self, now: SimTime) -> f64 {
        let now = match self.repeat {
            Some(period) if period > Duration::ZERO => {
                SimTime::from_nanos(now.as_nanos() % period.as_nanos())
            }
            _ => now,
        };
        let next = self.points.partition_point(|(at, _)| *at <= now);
        let Some((from, rate)) = next.checked_sub(1).map(|i| self.points[i]) else {
            return 0.0;
        };
        match self.points.get(next) {
            Some((to, target)) if self.is_linear => {
                let part = (now - from).as_secs_f64() / (*to - from).as_secs_f64();
                rate + (target - rate) * part
            }
            _ => rate,
        }
    }
}

/// Pods that are submitted without a controller: an arrival process, sizes and lifetimes.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorSpec {
    /// Its name; pods are called `<name>-<number>`.
    pub name: Symbol,
    /// Namespace of its pods.
    pub namespace: Symbol,
    /// When pods come.
    pub arrivals: Arrivals,
    /// How many pods come in all; `None`: until the horizon.
    pub count: Option<u64>,
    /// Templates and how often each is drawn (weights need not sum to one).
    pub mix: Vec<(f64, TemplateHandle)>,
    /// How long a pod runs, in seconds, before it exits 0; `None`: for ever.
    pub lifetime: Option<Distribution>,
}

/// A template in a generator's mix, compared by identity.
#[derive(Clone, Debug)]
pub struct TemplateHandle(pub Arc<Template>);

impl PartialEq for TemplateHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// When the pods of a generator come.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Independently, so many a second over time.
    Poisson(Rate),
    /// One after another with gaps drawn from a distribution, in seconds.
    Renewal(Distribution),
    /// All at one instant.
    At(SimTime),
    /// A list: instant, index into the mix, lifetime (`None`: for ever). Sorted by instant.
    Listed(Arc<[ListedPod]>),
}

/// A pod of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedPod {
    /// When it is submitted.
    pub at: SimTime,
    /// Which entry of the mix it is.
    pub template: u32,
    /// How long it runs.
    pub lifetime: Option<Duration>,
}
