//! Metrics that autoscalers ask for by name, and the ScaledObjects of KEDA.

use crate::base::cron::Schedule;
use crate::base::{Duration, SimTime, Symbol};

use super::{ObjectName, Rate, Workload};

/// A metric that autoscalers ask for by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSpec {
    /// Its name.
    pub name: Symbol,
    /// Where its value comes from.
    pub source: MetricSource,
    /// How old the value is that the metrics API answers.
    pub delay: Duration,
    /// From when until when the metrics API answers nothing.
    pub gaps: Vec<(SimTime, SimTime)>,
}

/// Where the value of a metric comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricSource {
    /// A number over time, in the metric's own unit.
    Series(Rate),
    /// The calls of a workload's pods, as the metrics pipeline samples them.
    Calls {
        /// Whose pods.
        of: Workload,
        /// What of them.
        measure: CallMeasure,
        /// Over how long a rate is taken; zero: from one sample to the next.
        window: Duration,
    },
    /// So many between a start and an end, else one.
    Cron {
        /// When it begins.
        start: Schedule,
        /// When it ends.
        end: Schedule,
        /// `desiredReplicas`.
        desired: u32,
    },
}

/// What of a pod's calls is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMeasure {
    /// Calls that began service, a second, over the window.
    PerSecond,
    /// Calls in service and in the backlog at the last sample.
    InFlight,
}

impl MetricSpec {
    /// Whether the metrics API answers for it at this instant.
    #[must_use]
    pub fn is_answered(&self, now: SimTime) -> bool {
        !self.gaps.iter().any(|(from, until)| (*from..*until).contains(&now))
    }

    /// How far back its value reaches.
    #[must_use]
    pub fn reach(&self) -> Duration {
        match self.source {
            MetricSource::Calls { window, .. } => self.delay.saturating_add(window),
            MetricSource::Series(_) | MetricSource::Cron { .. } => self.delay,
        }
    }
}

impl MetricSource {
    /// Whether a cron trigger is between its start and its end; `false` of other sources.
    ///
    /// Source: keda v2.20.2 pkg/scalers/cron_scaler.go `getCronTime`, `GetMetricsAndActivity`.
    #[must_use]
    pub fn is_on(&self, start_unix: i64, now: SimTime) -> bool {
        let Self::Cron { start, end, .. } = self else { return false };
        let seconds = i64::try_from(now.since_start().whole_secs()).unwrap_or(i64::MAX);
        let unix = start_unix.saturating_add(seconds);
        match (start.next(unix), end.next(unix)) {
            (Some(start), Some(end)) => end < start,
            (None, Some(_)) => true,
            _ => false,
        }
    }
}

/// A ScaledObject: what KEDA does besides the HorizontalPodAutoscaler that it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObjectSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The autoscaler that it makes: `keda-hpa-NAME`.
    pub hpa: ObjectName,
    /// `minReplicaCount`.
    pub replicas_min: u32,
    /// `idleReplicaCount`.
    pub replicas_idle: Option<u32>,
    /// `pollingInterval`.
    pub polling: Duration,
    /// `cooldownPeriod`.
    pub cooldown: Duration,
    /// `initialCooldownPeriod`.
    pub initial_cooldown: Duration,
    /// Whether it may go up by itself: not with `paused-scale-out`.
    pub may_grow: bool,
    /// Whether it may go down by itself: not with `paused-scale-in`.
    pub may_shrink: bool,
    /// Its triggers.
    pub triggers: Vec<TriggerSpec>,
}

/// A trigger of a ScaledObject.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerSpec {
    /// Its metric, by its place in the model; `None`: cpu or memory, which is always active.
    pub metric: Option<usize>,
    /// Active above this many thousandths of the unit.
    pub activation: i64,
}
