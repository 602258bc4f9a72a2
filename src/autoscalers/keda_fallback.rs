//! KEDA's metrics server while triggers fail: after so many failures in a row it answers what
//! makes the autoscaler ask for the fallback's size.
//!
//! Source: keda v2.20.2 pkg/fallback/fallback.go `GetMetricsWithFallback`, `doFallback` (rule A228).

use crate::base::{SimTime, Symbol};
use crate::cluster::Cluster;
use crate::model::{
    Fallback, FallbackBehavior, HpaGoal, HpaMetric, HpaSpec, MetricSource, ScaledObjectSpec,
};

/// How often in a row each trigger of a ScaledObject has failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Vec<u32>);

/// What an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served<'a> {
    /// Replicas of the target.
    pub(super) current: i64,
    /// Of them ready.
    pub(super) ready: i64,
    /// When it is asked.
    pub(super) now: SimTime,
    /// Where.
    pub(super) cluster: &'a Cluster,
}

impl Failures {
    /// Counts what fails now; answers by name that take the place of what failed too often.
    pub(super) fn serve(
        &mut self,
        spec: &ScaledObjectSpec,
        hpa: &HpaSpec,
        of: &Served<'_>,
    ) -> Vec<(Symbol, i64)> {
        let Some(fallback) = spec.fallback else { return Vec::new() };
        self.0.resize(spec.triggers.len(), 0);
        let metrics = &of.cluster.model().metrics;
        let mut answers = Vec::new();
        for (trigger, failures) in spec.triggers.iter().zip(&mut self.0) {
            let Some(metric) = trigger.metric.map(|index| &metrics[index]) else { continue };
            let is_cron = matches!(metric.source, MetricSource::Cron { .. });
            if is_cron || of.cluster.metric_value(metric, of.now).is_some() {
                *failures = 0;
                continue;
            }
            *failures = failures.saturating_add(1);
            if *failures <= fallback.failures_max {
                continue;
            }
            // A formula is not worked out then: one failed part stands for all.
            let shown = spec.composite.and_then(|all| all.metric).map(|index| &metrics[index]);
            let name = shown.unwrap_or(metric).name;
            answers.extend(goal(hpa, name).map(|goal| (name, answer(fallback, goal, of))));
        }
        answers
    }
}

fn goal(hpa: &HpaSpec, named: Symbol) -> Option<HpaGoal> {
    hpa.metrics.iter().find_map(|metric| match metric {
        HpaMetric::External { name, target } if *name == named => Some(*target),
        HpaMetric::External { .. }
        | HpaMetric::Resource { .. }
        | HpaMetric::Pods { .. }
        | HpaMetric::Object { .. }
        | HpaMetric::Unmodelled(_) => None,
    })
}

/// The value from which the autoscaler gets the fallback's size: its share of each replica is the
/// goal, or its ratio to the goal that of the size to the pods that are ready.
fn answer(fallback: Fallback, goal: HpaGoal, of: &Served<'_>) -> i64 {
    let own = i64::from(fallback.replicas);
    let replicas = match fallback.behavior {
        FallbackBehavior::Static => own,
        FallbackBehavior::Current => of.current,
        FallbackBehavior::CurrentIfHigher => own.max(of.current),
        FallbackBehavior::CurrentIfLower => own.min(of.current),
    };
    match goal {
        HpaGoal::AverageValue(share) => share.saturating_mul(replicas),
        HpaGoal::Value(value) => value.saturating_mul(replicas) / of.ready.max(1),
    }
}
