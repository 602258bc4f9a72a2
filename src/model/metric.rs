//! Metrics that autoscalers ask for by name, and the ScaledObjects of KEDA.

use crate::base::cron::Schedule;
use crate::base::{Duration, Formula, SimTime, Symbol};

use super::{HpaTarget, ObjectName, Rate, Workload};

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
    /// What a formula makes of other metrics, none of which is one itself.
    Formula {
        /// The formula.
        formula: Formula,
        /// The metrics that its names stand for, by their places in the model.
        of: Vec<usize>,
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
            MetricSource::Series(_) | MetricSource::Cron { .. } | MetricSource::Formula { .. } => {
                self.delay
            }
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
    /// `scalingModifiers`: what stands in for the triggers together.
    pub composite: Option<TriggerSpec>,
    /// `fallback`: what counts while triggers fail.
    pub fallback: Option<Fallback>,
}

/// `fallback` of a ScaledObject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// So many failures in a row are borne.
    pub failures_max: u32,
    /// The size that is asked for then.
    pub replicas: u32,
    /// What the size at hand has to do with it.
    pub behavior: FallbackBehavior,
}

/// What the size at hand has to do with a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackBehavior {
    /// Nothing.
    Static,
    /// It is kept.
    Current,
    /// It is kept if it is larger.
    CurrentIfHigher,
    /// It is kept if it is smaller.
    CurrentIfLower,
}

/// A ScaledObject that `paused-replicas` keeps at one size: it has no loop and no autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PausedScale {
    /// Namespace and name.
    pub name: ObjectName,
    /// What it scales.
    pub target: HpaTarget,
    /// To how many.
    pub replicas: u32,
}

/// A ScaledJob: KEDA makes a Job for what waits, at each poll.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledJobSpec {
    /// Namespace and name; the Jobs hang on a CronJob of that name that starts none itself.
    pub name: ObjectName,
    /// `pollingInterval`.
    pub polling: Duration,
    /// `minReplicaCount`.
    pub jobs_min: i64,
    /// `maxReplicaCount`.
    pub jobs_max: i64,
    /// `scalingStrategy.strategy`.
    pub strategy: JobStrategy,
    /// `multipleScalersCalculation`.
    pub together: Together,
    /// A Job is pending until one of its pods runs, or until its pods have all of these.
    pub pending_until: Vec<PendingCondition>,
    /// Ended Jobs that are kept: succeeded and failed ones.
    pub kept: (usize, usize),
    /// Its triggers: each with its threshold in thousandths.
    pub triggers: Vec<(TriggerSpec, i64)>,
}

/// How many Jobs a ScaledJob makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JobStrategy {
    /// So many as wait, without those that run.
    Default,
    /// So many as wait, without a fixed number and a part of those that run.
    Custom {
        /// `customScalingQueueLengthDeduction`.
        deduction: i64,
        /// `customScalingRunningJobPercentage`, 1 is all of them.
        running: f64,
    },
    /// So many as wait, without those whose pods do not run yet: what runs is no longer in the queue.
    Accurate,
    /// All that there is room for as soon as something waits.
    Eager,
}

/// How several triggers of a ScaledJob count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// The one that asks for most.
    Max,
    /// The one that asks for least, of those that are active.
    Min,
    /// The mean of those that are active.
    Mean,
    /// All of them.
    Sum,
}

/// A condition that a pending pod is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingCondition {
    /// It has a node.
    PodScheduled,
    /// It runs and is ready; its containers too.
    Ready,
}

/// A trigger of a ScaledObject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerSpec {
    /// Its metric, by its place in the model; `None`: cpu or memory, which is always active.
    pub metric: Option<usize>,
    /// Active above this many thousandths of the unit.
    pub activation: i64,
}
