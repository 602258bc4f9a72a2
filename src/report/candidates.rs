//! What a search over settings found: the best few, what each line came to, the picture.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::base::cast;
use crate::base::text::counted;

use super::chart::{Axis, Figure, Layer, Panel, Role, Unit as AxisUnit};
use super::expect::Verdict;
use super::summary::{Number, Path, Unit, json_number};
use super::table::{Align, text_table};
use super::words;

/// Rows that are printed.
const SHOWN: usize = 6;

/// The number that is to be small, or large.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// Its path in the summary.
    pub path: Path,
    /// Whether more is better.
    pub is_more_better: bool,
}

/// One candidate with what its runs came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// Its values, in the order of the knobs.
    pub values: Vec<String>,
    /// How many runs it had.
    pub runs: usize,
    /// The number that is to be small or large.
    pub goal: Option<Number>,
    /// The number of each line's path.
    pub numbers: Vec<Option<Number>>,
    /// Whether each line held.
    pub verdicts: Vec<Verdict>,
    /// How far the broken lines are from holding, summed (see [`super::expect::Expect::distance`]).
    pub distance: f64,
}

/// All that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The paths that were open.
    pub knobs: Vec<String>,
    /// What was sought.
    pub goal: Goal,
    /// The lines that must hold, and their paths.
    pub lines: Vec<(String, String)>,
    /// Best first; those of the last round before the others.
    pub tried: Vec<Tried>,
    /// How many candidates each round had, and how many runs each candidate had after it.
    pub rounds: Vec<(usize, u32)>,
}

impl Tried {
    /// How many lines do not hold.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.held).count()
    }

    fn goal_value(&self) -> Option<f64> {
        self.goal.as_ref().and_then(|goal| goal.value)
    }

    /// The better one first: fewer broken lines, then those that are nearer to holding, then the goal
    /// (one without the number last), then less of the first line's number.
    #[must_use]
    pub fn compare(&self, other: &Self, goal: &Goal) -> Ordering {
        let worth = |tried: &Self| {
            let sign = if goal.is_more_better { -1.0 } else { 1.0 };
            tried.goal_value().map_or(f64::INFINITY, |value| sign * value)
        };
        let second = |tried: &Self| {
            tried.numbers.first().and_then(|n| n.as_ref()?.value).unwrap_or(f64::INFINITY)
        };
        (self.broken().cmp(&other.broken()))
            .then(self.distance.total_cmp(&other.distance))
            .then(worth(self).total_cmp(&worth(other)))
            .then(second(self).total_cmp(&second(other)))
    }
}

impl Search {
    /// The candidates of the last round.
    fn finalists(&self) -> impl Iterator<Item = &Tried> {
        let most = self.tried.first().map_or(0, |tried| tried.runs);
        self.tried.iter().filter(move |tried| tried.runs == most)
    }

    /// The best candidate, if all lines hold there.
    #[must_use]
    pub fn best(&self) -> Option<&Tried> {
        self.tried.first().filter(|tried| tried.broken() == 0)
    }

    /// What is printed.
    #[must_use]
    pub fn text(&self, name: &str, file: &str, seed: u64) -> String {
        let word = if self.goal.is_more_better { "maximise" } else { "minimise" };
        let rounds: Vec<String> =
            self.rounds.iter().map(|(count, runs)| format!("{count} × {runs}")).collect();
        let tried = counted(cast::u64_of(self.tried.len()), "setting");
        let mut text = format!(
            "{name} · {word} {:#} · {tried}, rounds of {} runs, seed {seed}\n\n",
            self.goal.path,
            rounds.join(", "),
        );
        text += &self.table();
        text.push('\n');
        for (index, (line, _)) in self.lines.iter().enumerate() {
            let holds = self.finalists().filter(|tried| tried.verdicts[index].held).count();
            let all = self.finalists().count();
            text += &format!("SUBJECT  {line}: holds for {holds} of the last {all}\n");
        }
        text += &self.end(file);
        text
    }

    fn table(&self) -> String {
        let goal = self.goal.path.to_string();
        let short: Vec<String> = self.knobs.iter().map(|knob| short(knob)).collect();
        let mut columns = vec![("", Align::Left), (goal.as_str(), Align::Left)];
        columns.extend(short.iter().map(|knob| (knob.as_str(), Align::Right)));
        columns.extend(self.lines.iter().map(|(_, path)| (path.as_str(), Align::Left)));
        let text_of = |number: Option<&Number>| {
            number.map_or_else(|| "none".to_owned(), words::with_interval)
        };
        let row = |tried: &Tried| {
            let mark = if tried.broken() == 0 { "✓" } else { "✗" };
            let mut row = vec![mark.to_owned(), text_of(tried.goal.as_ref())];
            row.extend(tried.values.iter().cloned());
            row.extend(tried.numbers.iter().map(|number| text_of(number.as_ref())));
            row
        };
        let rows: Vec<Vec<String>> = self.finalists().take(SHOWN).map(row).collect();
        text_table(&columns, &rows, 2)
    }

    fn end(&self, file: &str) -> String {
        let Some(best) = self.best() else {
            return "NONE     no setting holds every line; the nearest stand first\n".to_owned();
        };
        let mut text = String::new();
        if let Some(second) = self.finalists().nth(1).filter(|second| second.broken() == 0) {
            text += &format!("NEXT     {}\n", self.lead(best, second));
        }
        let sets = self.knobs.iter().zip(&best.values);
        let sets: Vec<String> = sets.map(|(knob, value)| quoted(knob, value)).collect();
        text + &format!("TRY      seatrial run {file} {}\n", sets.join(" "))
    }

    /// By how much the best is better than the second, run by run.
    fn lead(&self, best: &Tried, second: &Tried) -> String {
        let runs = |tried: &Tried| tried.goal.as_ref().map(|goal| goal.runs.clone());
        let (Some(a), Some(b)) = (runs(best), runs(second)) else {
            return "the second has no such number".to_owned();
        };
        let pairs: Option<Vec<(f64, f64)>> =
            a.iter().zip(&b).map(|(a, b)| Some(((*a)?, (*b)?))).collect();
        let Some(pairs) = pairs else {
            return "the second has no such number in every run".to_owned();
        };
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let ahead = crate::base::stats::Summary::of_paired_difference(&a, &b);
        let unit = best.goal.as_ref().map_or(Unit::Count, |goal| goal.unit);
        let by = words::value(ahead.mean.abs(), unit);
        match ahead.is_significant() {
            true => format!("the first is ahead of the second by {by} over the same seeds"),
            false => format!("first and second cannot be told apart ({by} over the same seeds)"),
        }
    }

    /// The whole result as JSON.
    #[must_use]
    pub fn json(&self, name: &str, seed: u64) -> Value {
        let number = |number: &Number| {
            let value = |value: Option<f64>| value.map_or(Value::Null, json_number);
            json!({
                "value": value(number.value),
                "low": value(number.interval.map(|ends| ends.0)),
                "high": value(number.interval.map(|ends| ends.1)),
                "n": number.n,
                "unit": number.unit.as_str(),
            })
        };
        let one = |tried: &Tried| {
            let values: Map<String, Value> = (self.knobs.iter().cloned())
                .zip(tried.values.iter().map(|value| value.as_str().into()))
                .collect();
            let lines: Vec<Value> = (tried.verdicts.iter().zip(&tried.numbers))
                .map(|(verdict, of)| {
                    json!({
                        "line": verdict.text,
                        "held": verdict.held,
                        "number": of.as_ref().map(number),
                    })
                })
                .collect();
            json!({
                "values": values,
                "runs": tried.runs,
                "goal": tried.goal.as_ref().map(number),
                "lines": lines,
            })
        };
        json!({
            "name": name,
            "seed": seed,
            "goal": self.goal.path.to_string(),
            "maximise": self.goal.is_more_better,
            "rounds": self.rounds,
            "tried": self.tried.iter().map(one).collect::<Vec<_>>(),
        })
    }

    /// Goal against the first line's number: every candidate a dot, those that nothing beats in
    /// both joined by steps. `None` without a line, or without numbers.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<Figure> {
        let (line, path) = self.lines.first()?;
        let point = |tried: &Tried| {
            let second = tried.numbers.first()?.as_ref()?;
            Some(((tried.goal_value()?, second.value?), tried.broken() == 0))
        };
        let all: Vec<((f64, f64), bool)> = self.tried.iter().filter_map(point).collect();
        let unit =
            |at: fn(&Tried) -> Option<&Number>| self.tried.iter().find_map(at).map(|n| n.unit);
        let goal_unit = unit(|tried| tried.goal.as_ref())?;
        let line_unit = unit(|tried| tried.numbers.first()?.as_ref())?;
        let of = |held: bool| all.iter().filter(|p| p.1 == held).map(|p| p.0).collect::<Vec<_>>();
        let panel = Panel::new(axis(path, line_unit))
            .layer(Layer::step("not beaten in both", Role::Reference, front(&all, &self.goal)))
            .layer(Layer::dots("breaks a line", Role::Failure(0), of(false)))
            .layer(Layer::dots("holds every line", Role::Ok, of(true)));
        let tried = counted(cast::u64_of(all.len()), "setting");
        let figure = Figure::new(format!("{name}: {} against {path}", self.goal.path), {
            axis(&self.goal.path.to_string(), goal_unit)
        });
        Some(
            figure
                .subtitle(format!("{tried}, means over the runs of each; first line: {line}"))
                .note("Settings that fell behind in an early round had fewer runs.")
                .panel(panel),
        )
    }
}

fn axis(path: &str, unit: Unit) -> Axis {
    let (label, unit) = match unit {
        Unit::Seconds => (path.to_owned(), AxisUnit::Seconds),
        Unit::Share => (path.to_owned(), AxisUnit::Share),
        Unit::Bytes => (path.to_owned(), AxisUnit::Bytes),
        Unit::Calls
        | Unit::CallsPerSecond
        | Unit::Pods
        | Unit::Nodes
        | Unit::Count
        | Unit::Usd
        | Unit::UsdPerHour
        | Unit::YesNo => (format!("{path} ({})", unit.as_str()), AxisUnit::Number),
    };
    Axis::new(label, unit)
}

/// The candidates that no other beats in both numbers, in order of the goal. Less is better of the
/// second number.
fn front(all: &[((f64, f64), bool)], goal: &Goal) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = all.iter().map(|(point, _)| *point).collect();
    let sign = if goal.is_more_better { -1.0 } else { 1.0 };
    points.sort_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.total_cmp(&b.1)));
    let mut best = f64::INFINITY;
    points.retain(|(_, second)| {
        let is_better = *second < best;
        best = best.min(*second);
        is_better
    });
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// A knob's heading: the object and the last step of its path.
fn short(knob: &str) -> String {
    let (object, path) = knob.split_once(':').unwrap_or(("", knob));
    let last = path.rsplit('.').next().unwrap_or(path);
    match object {
        "" => path.to_owned(),
        object => format!("{object} {last}"),
    }
}

/// `--set 'path=value'`, in quotes where a shell would read it otherwise.
fn quoted(knob: &str, value: &str) -> String {
    let text = format!("{knob}={value}");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%".contains(c);
    match text.chars().all(is_plain) {
        true => format!("--set {text}"),
        false => format!("--set '{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats_in_both() {
        let goal = Goal { path: Path::new(&["cost"]), is_more_better: false };
        let all = [(1.0, 9.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 0.0)].map(|p| (p, true));
        assert_eq!(front(&all, &goal), [(1.0, 9.0), (2.0, 4.0), (5.0, 0.0)]);
    }

    #[test]
    fn a_command_can_be_pasted() {
        assert_eq!(quoted("hpa/api:spec.maxReplicas", "5"), "--set hpa/api:spec.maxReplicas=5");
        assert_eq!(quoted("nodes[pool=a].count", "5"), "--set 'nodes[pool=a].count=5'");
        assert_eq!(
            short("hpa/api:spec.metrics[0].averageUtilization"),
            "hpa/api averageUtilization"
        );
    }
}
