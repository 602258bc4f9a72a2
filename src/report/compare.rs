//! Two summaries compared, replication by replication.

use serde_json::{Value, json};

use crate::base::cast;
use crate::base::stats;
use crate::base::text::counted;

use super::chart::{Axis, Estimate, Figure, Layer, Panel, Role, Unit as AxisUnit};
use super::summary::{Number, Path, Summary, Unit, json_number};
use super::table::{Align, text_table};
use super::words;

/// The differences between two summaries.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How many runs were paired.
    pub replications: usize,
    /// One row a number that matters and is in both, in the order of paths.
    pub rows: Vec<Difference>,
}

/// One number of two summaries.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which.
    pub path: Path,
    /// What it counts.
    pub unit: Unit,
    /// The mean before, over the runs that are paired.
    pub before: f64,
    /// The mean after.
    pub after: f64,
    /// After minus before, pair by pair.
    pub difference: stats::Summary,
    /// What it means.
    pub verdict: Change,
}

/// What a difference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Less of what nobody wants.
    Better,
    /// More of what nobody wants.
    Worse,
    /// A clear difference that is neither good nor bad by itself.
    Other,
    /// The interval holds zero, or there is no interval.
    Unclear,
}

impl Change {
    /// What a person reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Other => "differs",
            Self::Unclear => "no clear difference",
        }
    }
}

/// The numbers that matter: first segment, last segment, whether less is better.
const HEADLINES: [(&str, &str, bool); 28] = [
    ("services", "failed", true),
    ("services", "latency_p50", true),
    ("services", "latency_p99", true),
    ("rollouts", "duration", true),
    ("rollouts", "failed_calls", true),
    ("rollouts", "latency_p99_during", true),
    ("hpas", "replicas_mean", false),
    ("hpas", "first_step_after", true),
    ("hpas", "reversals", true),
    ("pods", "waited", true),
    ("pods", "never_scheduled", true),
    ("pods", "pending_p50", true),
    ("pods", "pending_p99", true),
    ("pods", "startup_p99", true),
    ("pods", "restarts", true),
    ("pods", "pending_max", true),
    ("vpas", "evicted", true),
    ("pools", "cost", true),
    ("pools", "machines", false),
    ("pools", "came", false),
    ("pools", "went", false),
    ("pools", "interrupted", true),
    ("groups", "machines_asked", false),
    ("groups", "nodes_removed", false),
    ("cluster", "cost", true),
    ("cluster", "cost_per_hour", true),
    ("cluster", "cost_idle_share", true),
    ("cluster", "cpu_requested_share", false),
];

impl Comparison {
    /// After against before, run by run of the same number.
    #[must_use]
    pub fn of(before: &Summary, after: &Summary) -> Self {
        let mut rows = Vec::new();
        for (path, number) in before.iter() {
            let segments: Vec<&str> = path.segments().iter().map(String::as_str).collect();
            let Some(other) = after.get(&segments) else {
                continue;
            };
            let headline = HEADLINES.iter().find(|(first, last, _)| {
                segments.first() == Some(first) && segments.last() == Some(last)
            });
            if let Some((.., less_is_better)) = headline {
                rows.extend(Difference::of(path, (number, other), *less_is_better));
            }
        }
        Self { replications: before.replications.min(after.replications), rows }
    }

    /// A table: each number before and after, the difference with its interval, what it means.
    /// `names` are those of both sides.
    #[must_use]
    pub fn text(&self, names: [&str; 2], seed: u64) -> String {
        let runs = counted(cast::u64_of(self.replications), "paired run");
        let mut text = format!("{} → {} · {runs}, seed {seed}\n\n", names[0], names[1]);
        let row = |row: &Difference| {
            vec![
                row.path.to_string(),
                words::value(row.before, row.unit),
                words::value(row.after, row.unit),
                signed(row.difference.mean, row.unit),
                row.interval(),
                row.verdict.as_str().to_owned(),
            ]
        };
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        let columns = [
            ("", Align::Left),
            (names[0], Align::Right),
            (names[1], Align::Right),
            ("difference", Align::Right),
            ("95 % interval", Align::Left),
            ("", Align::Left),
        ];
        // One pair says nothing of how far chance reaches.
        let is_one = self.rows.iter().all(|row| row.difference.n < 2);
        let shown = if is_one { 4 } else { columns.len() };
        rows.iter_mut().for_each(|row| row.truncate(shown));
        text += &text_table(&columns[..shown], &rows, 0);
        if is_one {
            text +=
                "\none pair of runs has no intervals: --replications 10 tells chance from effect\n";
        }
        if self.rows.is_empty() {
            text = format!("{} → {}: no number differs from zero in both\n", names[0], names[1]);
        }
        text
    }

    /// The tree of `compare.json`.
    #[must_use]
    pub fn json(&self, names: [&str; 2], seed: u64) -> Value {
        let row = |row: &Difference| {
            let mut object = serde_json::Map::new();
            let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
            put("path", row.path.to_string().into());
            put("unit", row.unit.as_str().into());
            put("before", json_number(row.before));
            put("after", json_number(row.after));
            put("difference", json_number(row.difference.mean));
            if row.difference.n > 1 {
                put("low", json_number(row.difference.low));
                put("high", json_number(row.difference.high));
            }
            put("n", row.difference.n.into());
            put("verdict", row.verdict.as_str().into());
            Value::Object(object)
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({
            "before": names[0],
            "after": names[1],
            "seed": seed,
            "replications": self.replications,
            "differences": rows,
        })
    }

    /// The relative changes with their intervals; `None` when nothing is left to draw.
    #[must_use]
    pub fn figure(&self, names: [&str; 2]) -> Option<Figure> {
        let drawn: Vec<&Difference> = self.rows.iter().filter(|row| row.before > 0.0).collect();
        if drawn.is_empty() {
            return None;
        }
        let labels = drawn.iter().map(|row| row.path.to_string()).collect();
        let mut panel = Panel::new(Axis::names("", labels));
        let groups = [
            (Change::Better, Role::After),
            (Change::Worse, Role::Failure(0)),
            (Change::Other, Role::Series(1)),
            (Change::Unclear, Role::Muted),
        ];
        for (verdict, role) in groups {
            let own = drawn.iter().enumerate().filter(|(_, row)| row.verdict == verdict);
            let estimate = |(index, row): (usize, &&Difference)| Estimate {
                row: index,
                value: row.difference.mean / row.before,
                low: row.difference.low / row.before,
                high: row.difference.high / row.before,
            };
            let rows: Vec<Estimate> = own.map(estimate).collect();
            if !rows.is_empty() {
                let name = verdict.as_str().to_owned();
                panel = panel.layer(Layer::Estimates { name, role, rows });
            }
        }
        let [before, after] = names;
        let axis = Axis::new(format!("change of {after} against {before}"), AxisUnit::Change);
        let runs = counted(cast::u64_of(self.replications), "paired run");
        let figure = Figure::new(format!("{after} against {before}"), axis);
        Some(figure.subtitle(format!("{runs}, 95 % intervals")).panel(panel))
    }
}

impl Difference {
    fn of(path: &Path, pair: (&Number, &Number), less_is_better: bool) -> Option<Self> {
        let both = pair.0.runs.iter().zip(&pair.1.runs);
        let both = both.filter_map(|(before, after)| Some(((*before)?, (*after)?)));
        let (before, after): (Vec<f64>, Vec<f64>) = both.unzip();
        let is_zero = |values: &[f64]| values.iter().all(|value| value.abs() <= 0.0);
        if before.is_empty() || (is_zero(&before) && is_zero(&after)) {
            return None;
        }
        let difference = stats::Summary::of_paired_difference(&before, &after);
        let verdict = match (difference.is_significant(), less_is_better) {
            (false, _) => Change::Unclear,
            (true, false) => Change::Other,
            (true, true) if difference.mean < 0.0 => Change::Better,
            (true, true) => Change::Worse,
        };
        let (before, after) = (stats::mean(&before), stats::mean(&after));
        Some(Self { path: path.clone(), unit: pair.0.unit, before, after, difference, verdict })
    }

    fn interval(&self) -> String {
        let stats::Summary { low, high, n, .. } = self.difference;
        if n < 2 {
            return String::new();
        }
        format!("[{} to {}]", signed(low, self.unit), signed(high, self.unit))
    }
}

fn signed(number: f64, unit: Unit) -> String {
    let sign = match number {
        number if number > 0.0 => "+",
        number if number < 0.0 => "-",
        _ => "",
    };
    // The difference of two percentages is no percentage of either.
    let value = words::value(number.abs(), unit);
    if unit == Unit::Share {
        return format!("{sign}{} points", value.trim_end_matches(" %"));
    }
    format!("{sign}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::Metrics;

    fn summary(failed: &[f64], p99: &[f64]) -> Summary {
        let run = |(failed, p99): (&f64, &f64)| {
            let mut run = Metrics::default();
            let calls = ["services", "checkout", "calls"];
            let mut put = |last, value: f64, unit| {
                run.put(&[calls.as_slice(), &[last]].concat(), value, unit, "");
            };
            put("failed", *failed, Unit::Calls);
            put("latency_p99", *p99, Unit::Seconds);
            put("latency_p50", 0.0, Unit::Seconds);
            run
        };
        let runs: Vec<Metrics> = failed.iter().zip(p99).map(run).collect();
        Summary::fold(&runs)
    }

    #[test]
    fn pairs_cancel_what_is_common() {
        let before = summary(&[10.0, 50.0, 90.0], &[0.1, 0.2, 0.3]);
        let after = summary(&[8.0, 47.0, 88.0], &[0.1, 0.2, 0.3]);
        let compared = Comparison::of(&before, &after);
        // −2, −3, −2: mean −7/3, s = 1/√3, half = 4.30265 · s / √3 = 1.43422
        let failed = &compared.rows[0];
        assert_eq!((failed.verdict, failed.difference.n), (Change::Better, 3));
        assert!((failed.difference.low + 7.0 / 3.0 + 1.434_22).abs() < 1e-4);
        assert_eq!(compared.rows[1].verdict, Change::Unclear);
        assert_eq!(compared.rows.len(), 2, "what is zero in both is left out");
        let text = compared.text(["before", "after"], 7);
        let wanted = "\
before → after · 3 paired runs, seed 7

                                      before    after   difference   95 % interval
services.checkout.calls.failed            50       48         -2.3   [-3.8 to -0.9]   better
services.checkout.calls.latency_p99   200 ms   200 ms          0 s   [0 s to 0 s]     no clear difference
";
        assert_eq!(text, wanted, "{text}");
        assert!(compared.figure(["before", "after"]).is_some());
    }
}
