//! What the metrics pipeline says of calls, and what named metrics are worth.

use std::collections::VecDeque;

use crate::base::{Duration, SimTime, Symbol, cast};
use crate::model::{CallMeasure, MetricSource, MetricSpec, PodRef, Workload};

use super::Cluster;

/// Samples of all pods' calls, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct CallHistory {
    samples: VecDeque<CallSample>,
}

/// A sample of all pods' calls.
#[derive(Clone, Debug)]
struct CallSample {
    at: SimTime,
    rows: Vec<CallCount>,
}

/// The calls of a pod until a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// Whose.
    pub pod: PodRef,
    /// Of which workload it is.
    pub workload: Workload,
    /// Calls that have begun service since the pod's server is there.
    pub served: u64,
    /// Calls in service and in the backlog.
    pub in_flight: u64,
}

impl CallHistory {
    /// Takes a sample, and forgets those that nobody asks for any more.
    pub(super) fn take(&mut self, at: SimTime, rows: Vec<CallCount>, delay_max: Duration) {
        self.samples.push_back(CallSample { at, rows });
        let is_old =
            |sample: Option<&CallSample>| sample.is_some_and(|sample| sample.at + delay_max < at);
        // The one before the oldest that is asked for is what its rates are from.
        while self.samples.len() > 2 && is_old(self.samples.get(2)) {
            self.samples.pop_front();
        }
    }

    /// The pods of a workload with their values in thousandths, as of the last sample until `at`.
    fn pods(
        &self,
        of: Workload,
        (measure, window): (CallMeasure, Duration),
        at: SimTime,
    ) -> Option<Vec<(PodRef, i64)>> {
        let last = self.samples.iter().rposition(|sample| sample.at <= at)?;
        let sample = &self.samples[last];
        // A rate is from the last sample before the window, or the oldest that there is.
        let begins = sample.at.saturating_sub(window);
        let earlier = self.samples.iter().take(last).rposition(|sample| sample.at <= begins);
        let before = (last > 0).then(|| &self.samples[earlier.unwrap_or(0)]);
        let value = |row: &CallCount| match measure {
            CallMeasure::InFlight => {
                Some(i64::try_from(row.in_flight.saturating_mul(1000)).unwrap_or(i64::MAX))
            }
            CallMeasure::PerSecond => {
                let before = before?;
                let earlier = before.rows.iter().find(|other| other.pod == row.pod)?;
                let calls = row.served.saturating_sub(earlier.served);
                let window = (sample.at - before.at).as_secs_f64();
                Some(cast::i64_trunc((cast::f64_of_u64(calls) / window * 1000.0).round()))
            }
        };
        let rows = sample.rows.iter().filter(|row| row.workload == of);
        Some(rows.filter_map(|row| Some((row.pod, value(row)?))).collect())
    }
}

impl Cluster {
    /// The metric of this name, if the model has one.
    #[must_use]
    pub fn metric_named(&self, name: Symbol) -> Option<&MetricSpec> {
        self.model().metrics.iter().find(|metric| metric.name == name)
    }

    /// What the metrics API answers now about a metric as a whole, in thousandths; `None`: nothing.
    #[must_use]
    pub fn metric_value(&self, metric: &MetricSpec, now: SimTime) -> Option<i64> {
        if !metric.is_answered(now) {
            return None;
        }
        // What doubles have beyond a millionth is no part of it.
        let milli = |value: f64| cast::i64_trunc(((value * 1e6).round() / 1e3).ceil());
        match &metric.source {
            MetricSource::Series(series) => Some(milli(series.at(before(now, metric.delay)))),
            MetricSource::Cron { desired, .. } => {
                let is_on = metric.source.is_on(self.model().run.start_unix, now);
                Some(i64::from(if is_on { *desired } else { 1 }) * 1000)
            }
            MetricSource::Formula { formula, of } => {
                let metrics = &self.model().metrics;
                let value = |index: &usize| self.metric_value(&metrics[*index], now);
                let values = of.iter().map(|index| Some(cast::f64_of_i64(value(index)?) / 1e3));
                let value = formula.value(&values.collect::<Option<Vec<f64>>>()?);
                value.is_finite().then(|| milli(value))
            }
            MetricSource::Calls { .. } => {
                let pods = self.metric_pods(metric, now)?;
                Some(pods.iter().fold(0, |sum: i64, (_, value)| sum.saturating_add(*value)))
            }
        }
    }

    /// What the metrics API answers about each pod that it knows, in thousandths. Of what is not
    /// measured pod by pod each pod has the same value.
    #[must_use]
    pub fn metric_pods(&self, metric: &MetricSpec, now: SimTime) -> Option<Vec<(PodRef, i64)>> {
        let MetricSource::Calls { of, measure, window } = metric.source else {
            let value = self.metric_value(metric, now)?;
            let pods = self.pods().iter();
            return Some(pods.map(|(id, _)| (self.pods().refer(id), value)).collect());
        };
        if !metric.is_answered(now) {
            return None;
        }
        self.calls.pods(of, (measure, window), before(now, metric.delay))
    }
}

/// An instant some time ago.
fn before(now: SimTime, delay: Duration) -> SimTime {
    SimTime::ZERO + now.since_start().saturating_sub(delay)
}
