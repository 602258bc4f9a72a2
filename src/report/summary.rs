//! The numbers of the report: one run's, and the means of several.
//!
//! ```text
//! Facts ─metrics─► Metrics (path → number of one run) ─fold─► Summary (path → mean, interval, n) ─► summary.json
//! ```
//!
//! A path is what an `expect` line names: `services.checkout.calls.failed`. Every path that a model
//! can have is there in each run; one without a number (no call, no completed rollout) is absent
//! from the JSON.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::{cast, stats};

/// The way to a number: segments, of which one may be an object's name with dots in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Box<[String]>);

impl Path {
    /// From its segments.
    #[must_use]
    pub fn new(segments: &[&str]) -> Self {
        Self(segments.iter().map(|s| (*s).to_owned()).collect())
    }

    /// Its segments.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join("."))
    }
}

/// What a number counts or measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time in seconds.
    Seconds,
    /// Calls to a Service.
    Calls,
    /// Calls a second.
    CallsPerSecond,
    /// Pods.
    Pods,
    /// Nodes.
    Nodes,
    /// Other whole things: steps, restarts, rollouts, events.
    Count,
    /// Money.
    Usd,
    /// Money over time.
    UsdPerHour,
    /// Bytes.
    Bytes,
    /// A part of a whole, 1 is all of it.
    Share,
    /// 1 for yes, 0 for no.
    YesNo,
}

impl Unit {
    /// Its name in `summary.json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Calls => "calls",
            Self::CallsPerSecond => "calls/s",
            Self::Pods => "pods",
            Self::Nodes => "nodes",
            Self::Count => "count",
            Self::Usd => "USD",
            Self::UsdPerHour => "USD/h",
            Self::Bytes => "bytes",
            Self::Share => "1",
            Self::YesNo => "yes/no",
        }
    }
}

/// One number of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The number; `None`: there is none in this run.
    pub value: Option<f64>,
    /// What it counts.
    pub unit: Unit,
    /// What it is.
    pub about: &'static str,
    /// Whether a run in which the path is missing counts as zero: paths that come and go.
    pub zero_if_missing: bool,
}

/// The numbers of one run by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<Path, Metric>);

impl Metrics {
    /// Adds a number; one that is not finite is none.
    pub fn put(
        &mut self,
        path: &[&str],
        value: impl Into<Option<f64>>,
        unit: Unit,
        about: &'static str,
    ) {
        let value = value.into().filter(|value| value.is_finite());
        let metric = Metric { value, unit, about, zero_if_missing: false };
        self.0.insert(Path::new(path), metric);
    }

    /// Adds a count under a path that runs without it do not have.
    pub fn put_sometimes(&mut self, path: &[&str], value: f64, unit: Unit, about: &'static str) {
        let metric = Metric { value: Some(value), unit, about, zero_if_missing: true };
        self.0.insert(Path::new(path), metric);
    }

    /// All of them by path.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Path, &Metric)> {
        self.0.iter()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Metric> {
        self.0.get(path)
    }
}

/// One number over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The mean over the runs that have it; `None`: no run has.
    pub value: Option<f64>,
    /// The 95 % interval of the mean; `None` for fewer than two runs.
    pub interval: Option<(f64, f64)>,
    /// How many runs have it.
    pub n: usize,
    /// What it counts.
    pub unit: Unit,
    /// What it is.
    pub about: &'static str,
    /// The number of each run, in the order of replications.
    pub runs: Vec<Option<f64>>,
}

/// The numbers of several runs of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    numbers: BTreeMap<Path, Number>,
    /// How many runs there were.
    pub replications: usize,
}

impl Summary {
    /// Means with 95 % intervals (Student's t) over the runs, in the order of replications.
    #[must_use]
    pub fn fold(runs: &[Metrics]) -> Self {
        let mut numbers = BTreeMap::new();
        for (path, metric) in runs.iter().flat_map(Metrics::iter) {
            if !numbers.contains_key(path) {
                numbers.insert(path.clone(), fold_one(path, metric, runs));
            }
        }
        Self { numbers, replications: runs.len() }
    }

    /// All numbers by path.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Path, &Number)> {
        self.numbers.iter()
    }

    /// A number by its segments.
    #[must_use]
    pub fn get(&self, segments: &[&str]) -> Option<&Number> {
        self.numbers.get(&Path::new(segments))
    }

    /// The mean of a number, if there is one.
    #[must_use]
    pub fn value(&self, segments: &[&str]) -> Option<f64> {
        self.get(segments)?.value
    }

    /// A number by the text of its path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(&Path, &Number)> {
        self.numbers.iter().find(|(known, _)| is_text_of(known, path))
    }

    /// The tree of `summary.json`: objects of `{value, low, high, n, unit, about}`. Numbers that no
    /// run has are absent.
    #[must_use]
    pub fn tree(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut root = serde_json::Map::new();
        for (path, number) in &self.numbers {
            let Some(object) = number_object(number) else {
                continue;
            };
            place(&mut root, path.segments(), object);
        }
        root
    }
}

/// Puts a value where the path leads; no path is the beginning of another.
fn place(
    at: &mut serde_json::Map<String, serde_json::Value>,
    path: &[String],
    value: serde_json::Value,
) {
    match path {
        [] => {}
        [last] => {
            at.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let next = at.entry(first.clone());
            let next = next.or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            if let serde_json::Value::Object(inner) = next {
                place(inner, rest, value);
            }
        }
    }
}

/// Whether the segments joined by dots are this text.
pub(super) fn is_text_of(path: &Path, mut text: &str) -> bool {
    for (index, segment) in path.segments().iter().enumerate() {
        if index > 0 {
            let Some(rest) = text.strip_prefix('.') else {
                return false;
            };
            text = rest;
        }
        let Some(rest) = text.strip_prefix(segment.as_str()) else {
            return false;
        };
        text = rest;
    }
    text.is_empty()
}

fn fold_one(path: &Path, metric: &Metric, runs: &[Metrics]) -> Number {
    let missing = metric.zero_if_missing.then_some(0.0);
    let of_run = |run: &Metrics| run.get(path).map_or(missing, |metric| metric.value);
    let runs: Vec<Option<f64>> = runs.iter().map(of_run).collect();
    let present: Vec<f64> = runs.iter().copied().flatten().collect();
    let folded = stats::Summary::of(&present);
    Number {
        value: (!present.is_empty()).then_some(folded.mean),
        interval: (present.len() > 1).then_some((folded.low, folded.high)),
        n: present.len(),
        unit: metric.unit,
        about: metric.about,
        runs,
    }
}

fn number_object(number: &Number) -> Option<serde_json::Value> {
    let mut object = serde_json::Map::new();
    object.insert("value".to_owned(), json_number(number.value?));
    if let Some((low, high)) = number.interval {
        object.insert("low".to_owned(), json_number(low));
        object.insert("high".to_owned(), json_number(high));
    }
    object.insert("n".to_owned(), number.n.into());
    object.insert("unit".to_owned(), number.unit.as_str().into());
    object.insert("about".to_owned(), number.about.into());
    Some(serde_json::Value::Object(object))
}

/// A number to twelve digits, which drops the noise of sums; a whole one without `.0`.
pub(super) fn json_number(value: f64) -> serde_json::Value {
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    let whole = cast::i64_trunc(rounded);
    let is_whole = rounded.abs() < 9e15 && (rounded - cast::f64_of_i64(whole)).abs() <= 0.0;
    if is_whole { whole.into() } else { rounded.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(failed: f64, duration: Option<f64>) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.put(&["services", "a.b", "calls", "failed"], failed, Unit::Calls, "failed calls");
        metrics.put(&["rollouts", "a", "duration"], duration, Unit::Seconds, "how long");
        metrics
    }

    #[test]
    fn means_with_intervals() {
        let runs = [run(1.0, Some(10.0)), run(2.0, None), run(3.0, Some(12.0))];
        let summary = Summary::fold(&runs);
        let failed = summary.get(&["services", "a.b", "calls", "failed"]).unwrap();
        let (low, high) = failed.interval.unwrap();
        // s = 1, n = 3: 2 ± 4.30265 / √3 = 2 ± 2.48414
        assert!((failed.value.unwrap() - 2.0).abs() < 1e-12);
        assert!((low + 0.484_14).abs() < 1e-4 && (high - 4.484_14).abs() < 1e-4);
        let duration = summary.get(&["rollouts", "a", "duration"]).unwrap();
        assert_eq!((duration.n, duration.value), (2, Some(11.0)));
        assert_eq!(duration.runs, [Some(10.0), None, Some(12.0)]);
    }

    #[test]
    fn one_run_has_no_interval_and_what_is_absent_is_absent() {
        let summary = Summary::fold(&[run(1.5, None)]);
        let text = serde_json::to_string(&summary.tree()).unwrap();
        assert_eq!(
            text,
            r#"{"services":{"a.b":{"calls":{"failed":{"about":"failed calls","n":1,"unit":"calls","value":1.5}}}}}"#
        );
        assert!(summary.find("services.a.b.calls.failed").is_some());
        assert!(summary.find("services.a.b.calls").is_none());
        assert!(summary.find("services.a.b.calls.failed.x").is_none());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(json_number(1.151_999_999_999_993_5).to_string(), "1.152");
        assert_eq!(json_number(-3.0).to_string(), "-3");
        assert_eq!(json_number(1.0 / 3.0).to_string(), "0.333333333333");
        assert_eq!(json_number(2.5e-9).to_string(), "2.5e-9");
    }

    #[test]
    fn what_is_not_finite_is_no_number() {
        let mut metrics = Metrics::default();
        metrics.put(&["a"], f64::NAN, Unit::Count, "");
        assert_eq!(Summary::fold(&[metrics]).value(&["a"]), None);
    }

    #[test]
    fn a_reason_that_one_run_lacks_counts_as_zero() {
        let mut with = Metrics::default();
        with.put_sometimes(&["why"], 4.0, Unit::Pods, "");
        let summary = Summary::fold(&[with, Metrics::default()]);
        assert_eq!(summary.value(&["why"]), Some(2.0));
    }
}
