//! Who calls, and the pods that come without a controller.

use std::sync::Arc;

use crate::base::{Distribution, Duration, SimTime, Symbol};

use super::ids::ObjectName;
use super::pod::Template;

/// A source of calls from outside: open loop, Poisson.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficSpec {
    /// Its name.
    pub name: Symbol,
    /// The Service that is called.
    pub to: ObjectName,
    /// The port of the Service; 0 for its first.
    pub port: u16,
    /// How many calls a second, over time.
    pub rate: Rate,
    /// How long a call is waited for.
    pub timeout: Duration,
    /// How many more attempts a failed call gets.
    pub retries: u32,
    /// Whether connections are kept between calls.
    pub connections: Connections,
}

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// A new one for each call: the proxy chooses a pod for each call.
    New,
    /// A pool of kept ones a node: the proxy chose once, a call goes where its connection goes.
    KeepAlive {
        /// How many connections the pool of one node holds at most.
        pool: u32,
    },
}

/// Calls a second over time: constant from each step to the next, or a line between the points.
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
