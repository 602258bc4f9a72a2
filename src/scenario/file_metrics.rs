//! The key `metrics` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::file_traffic::SeriesFile;
use super::units::Span;

/// A metric that autoscalers ask for by name: exactly one of value, steps, series and calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct MetricFile {
    /// Its name: `metric.name` of an autoscaler's Pods, Object or External metric; for a trigger of
    /// a ScaledObject its `name` or a value of its metadata (a query, a queue).
    pub name: Spanned<String>,
    /// It has this value all the time.
    pub value: Option<Spanned<f64>>,
    /// It has one value after another.
    pub steps: Option<Spanned<Vec<Spanned<MetricStepFile>>>>,
    /// It has the values of a CSV file, one after another.
    pub series: Option<Spanned<SeriesFile>>,
    /// It is what the pods of a workload have to do.
    pub calls: Option<Spanned<MetricCallsFile>>,
    /// How old the value is that the metrics API answers: what scraping and an adapter take.
    pub delay: Option<Spanned<Span>>,
    /// When the metrics API answers nothing for it, as while Prometheus is restarted.
    #[serde(default)]
    pub gaps: Vec<Spanned<GapFile>>,
}

/// A time without any answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GapFile {
    /// From when on.
    pub at: Span,
    /// For how long.
    #[serde(rename = "for")]
    pub lasts: Span,
}

/// A value from some time on.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MetricStepFile {
    /// From when on.
    pub at: Span,
    /// The value.
    pub value: f64,
}

/// Calls of a workload's pods, sampled as often as the metrics pipeline samples them
/// (`latencies.metricsPeriod`).
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MetricCallsFile {
    /// Whose pods: `deployment/web`.
    pub of: Spanned<String>,
    /// What of them.
    pub measure: MeasureFile,
    /// Of `per-second`: over how long the query takes the rate; from one sample to the next if
    /// absent.
    pub window: Option<Spanned<Span>>,
}

/// What of the calls is measured.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MeasureFile {
    /// Calls that begin service, a second.
    PerSecond,
    /// Calls in service and waiting for it.
    InFlight,
}
