//! Lines of `expect`: a path of the summary compared with a value.
//!
//! ```text
//! services.checkout.calls.failed == 0
//! mean(services.checkout.calls.latency_p99) < 250ms
//! ```
//!
//! A line holds when it holds in every replication; `mean(path)` compares the mean.

use std::ops::Range;

use crate::base::text::did_you_mean;

use super::summary::{Metrics, Number, Path, Summary, Unit, is_text_of};
use super::words;

/// A line of `expect`, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// As written.
    pub text: String,
    path: String,
    path_range: Range<usize>,
    is_mean: bool,
    comparison: Comparison,
    bound: Bound,
    bound_range: Range<usize>,
}

/// What is wrong with a line of `expect`, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpectError {
    /// The offending bytes of the line.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

/// Whether a line of `expect` held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The line as written.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// What the number was.
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Bare(f64),
    Seconds(f64),
    Percent(f64),
    Usd(f64),
    UsdPerHour(f64),
    CallsPerSecond(f64),
    Bytes(f64),
    YesNo(bool),
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Expect {
    /// Reads a line.
    ///
    /// # Errors
    /// What is no comparison of a path with a value.
    pub fn parse(text: &str) -> Result<Self, ExpectError> {
        let at = text.find(['=', '!', '<', '>']).ok_or_else(|| {
            let hint = "write a comparison, like services.checkout.calls.failed == 0";
            error(0..text.len(), "there is no comparison".to_owned(), Some(hint))
        })?;
        let found = COMPARISONS.iter().find(|(sign, _)| text[at..].starts_with(sign));
        let (sign, comparison) = found.ok_or_else(|| {
            let hint = "the comparisons are == != < <= > >=";
            error(at..at + 1, format!("{:?} is no comparison", &text[at..=at]), Some(hint))
        })?;
        let (path_range, is_mean) = path_of(text, at)?;
        let bound_range = trimmed(text, at + sign.len()..text.len());
        let bound = Bound::parse(&text[bound_range.clone()]).map_err(|message| {
            let hint = "a value is like 0, 250ms, 3m, 99.9%, 0.92/h or true";
            error(bound_range.clone(), message, Some(hint))
        })?;
        Ok(Self {
            text: text.trim().to_owned(),
            path: text[path_range.clone()].to_owned(),
            path_range,
            is_mean,
            comparison: *comparison,
            bound,
            bound_range,
        })
    }

    /// Reads a line and checks it against the paths that a run of the model has.
    ///
    /// # Errors
    /// Those of [`Self::parse`] and [`Self::check`].
    pub fn read(text: &str, known: &Metrics) -> Result<Self, ExpectError> {
        let read = Self::parse(text)?;
        read.check(known)?;
        Ok(read)
    }

    /// Reads a line as [`Self::read`] does; where its path has `*` for a part, one line for each
    /// path that has anything there.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn read_all(text: &str, known: &Metrics) -> Result<Vec<Self>, ExpectError> {
        let read = Self::parse(text)?;
        if !read.path.split('.').any(|part| part == "*") {
            return Self::read(text, known).map(|read| vec![read]);
        }
        let parts: Vec<&str> = read.path.split('.').collect();
        let is_one = |segments: &[String]| {
            segments.len() == parts.len()
                && segments.iter().zip(&parts).all(|(own, part)| *part == "*" || own == part)
        };
        let paths = known.iter().map(|(path, _)| path).filter(|path| is_one(path.segments()));
        let lines = paths.map(|path| {
            let Range { start, end } = read.path_range.clone();
            let line = format!("{}{path}{}", &text[..start], &text[end..]);
            Self::read(&line, known)
        });
        let lines = lines.collect::<Result<Vec<Self>, ExpectError>>()?;
        if lines.is_empty() {
            let message = format!("the summary has no path like {:?}", read.path);
            let hint = "`*` stands for one part, as in services.*.calls.failed";
            return Err(error(read.path_range, message, Some(hint)));
        }
        Ok(lines)
    }

    /// Whether the path is one of those that a run of the model has, and its unit that of the
    /// value: before the run. See [`super::known_paths`].
    ///
    /// # Errors
    /// An unknown path, or a value of another unit.
    pub fn check(&self, known: &Metrics) -> Result<(), ExpectError> {
        let found = known.iter().find(|(path, _)| is_text_of(path, &self.path));
        if let Some((_, metric)) = found {
            return match self.bound.in_unit(metric.unit) {
                Ok(_) => Ok(()),
                Err(hint) => {
                    let message = format!("{} is in {}", self.path, unit_name(metric.unit));
                    Err(error(self.bound_range.clone(), message, Some(hint)))
                }
            };
        }
        if self.path.starts_with("pods.waited_for.") {
            return Ok(());
        }
        let hint = closest(&self.path, known);
        let message = format!("the summary has no path {:?}", self.path);
        Err(ExpectError { range: self.path_range.clone(), message, hint: Some(hint) })
    }

    /// The path that it compares.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it holds: in every run, or of the mean. A number that a run does not have fails.
    #[must_use]
    pub fn judge(&self, summary: &Summary) -> Verdict {
        let (held, value) = match summary.find(&self.path) {
            Some((_, number)) => self.judge_number(number),
            None if self.path.starts_with("pods.waited_for.") => {
                (self.holds(0.0, Unit::Pods), "0".to_owned())
            }
            None => (false, "no such number".to_owned()),
        };
        Verdict { text: self.text.clone(), held, value }
    }

    /// How far the mean is from where the line holds, without unit: the logarithm of one plus the
    /// distance in bounds (in the number's own unit if the bound is 0). Infinite without a number.
    #[must_use]
    pub fn distance(&self, summary: &Summary) -> f64 {
        let number = summary.find(&self.path).map(|(_, number)| number);
        let Some((value, unit)) = number.and_then(|n| Some((n.value?, n.unit))) else {
            return f64::INFINITY;
        };
        let bound = self.bound.in_unit(unit).unwrap_or(f64::INFINITY);
        let scale = if bound == 0.0 { 1.0 } else { bound.abs() };
        ((value - bound).abs() / scale).ln_1p()
    }

    fn judge_number(&self, number: &Number) -> (bool, String) {
        let all = number.runs.len();
        let text = words::with_interval(number);
        let missing = all - number.n;
        if missing > 0 {
            let why = match missing == all {
                true => "there is no such number in any run".to_owned(),
                false => format!("{text}; no such number in {missing} of {all} runs"),
            };
            return (false, why);
        }
        if self.is_mean {
            return (number.value.is_some_and(|mean| self.holds(mean, number.unit)), text);
        }
        let fails = |value: &&Option<f64>| value.is_none_or(|v| !self.holds(v, number.unit));
        let failed = number.runs.iter().filter(fails).count();
        match failed {
            0 => (true, text),
            _ if all > 1 => (false, format!("{text}; fails in {failed} of {all} runs")),
            _ => (false, text),
        }
    }

    fn holds(&self, value: f64, unit: Unit) -> bool {
        let Ok(bound) = self.bound.in_unit(unit) else {
            return false;
        };
        let same = (value - bound).abs() <= 1e-9 * value.abs().max(bound.abs());
        match self.comparison {
            Comparison::Equal => same,
            Comparison::NotEqual => !same,
            Comparison::Less => value < bound && !same,
            Comparison::AtMost => value < bound || same,
            Comparison::Greater => value > bound && !same,
            Comparison::AtLeast => value > bound || same,
        }
    }
}

fn error(range: Range<usize>, message: String, hint: Option<&str>) -> ExpectError {
    ExpectError { range, message, hint: hint.map(str::to_owned) }
}

/// The range without blanks at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start.max(range.start + part.trim_end().len())
}

/// The range of the path before the comparison, and whether it stands in `mean( )`.
fn path_of(text: &str, end: usize) -> Result<(Range<usize>, bool), ExpectError> {
    let range = trimmed(text, 0..end);
    let part = &text[range.clone()];
    let inner = part.strip_prefix("mean(").and_then(|rest| rest.strip_suffix(')'));
    let (range, is_mean) = match inner {
        Some(inner) => {
            let start = range.start + "mean(".len();
            (trimmed(text, start..start + inner.len()), true)
        }
        None => (range, false),
    };
    let path = &text[range.clone()];
    if path.is_empty() {
        let message = "there is no path before the comparison".to_owned();
        return Err(error(0..end.max(1).min(text.len()), message, None));
    }
    if path.contains(char::is_whitespace) || path.contains(['(', ')']) {
        let message = format!("{path:?} is no path");
        let hint = "a path is names joined by dots, alone or in mean( )";
        return Err(error(range, message, Some(hint)));
    }
    Ok((range, is_mean))
}

impl Bound {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => return Err("there is no value after the comparison".to_owned()),
            "true" => return Ok(Self::YesNo(true)),
            "false" => return Ok(Self::YesNo(false)),
            _ => {}
        }
        let (number, unit) = leading_number(text).ok_or_else(|| format!("{text:?} is no value"))?;
        let (first, rest) = split_unit(unit);
        match first {
            "" if rest.is_empty() => return Ok(Self::Bare(number)),
            "%" if rest.is_empty() => return Ok(Self::Percent(number / 100.0)),
            "k" if rest.is_empty() => return Ok(Self::Bare(number * 1e3)),
            "M" if rest.is_empty() => return Ok(Self::Bare(number * 1e6)),
            "/h" | "USD/h" if rest.is_empty() => return Ok(Self::UsdPerHour(number)),
            "USD" if rest.is_empty() => return Ok(Self::Usd(number)),
            "/s" | "calls/s" if rest.is_empty() => return Ok(Self::CallsPerSecond(number)),
            "bytes" | "B" if rest.is_empty() => return Ok(Self::Bytes(number)),
            "kB" if rest.is_empty() => return Ok(Self::Bytes(number * 1e3)),
            "MB" if rest.is_empty() => return Ok(Self::Bytes(number * 1e6)),
            "GB" | "G" if rest.is_empty() => return Ok(Self::Bytes(number * 1e9)),
            "Ki" if rest.is_empty() => return Ok(Self::Bytes(number * 1024.0)),
            "Mi" if rest.is_empty() => return Ok(Self::Bytes(number * 1_048_576.0)),
            "Gi" if rest.is_empty() => return Ok(Self::Bytes(number * 1_073_741_824.0)),
            "calls" | "pods" | "nodes" if rest.is_empty() => return Ok(Self::Bare(number)),
            _ => {}
        }
        seconds(text).map(Self::Seconds).ok_or_else(|| format!("{unit:?} is no unit"))
    }

    /// The value in the unit of a number, or what to write instead.
    fn in_unit(self, unit: Unit) -> Result<f64, &'static str> {
        match (unit, self) {
            (Unit::Seconds, Self::Seconds(value))
            | (Unit::Share, Self::Percent(value) | Self::Bare(value))
            | (Unit::Usd, Self::Usd(value) | Self::Bare(value))
            | (Unit::UsdPerHour, Self::UsdPerHour(value) | Self::Bare(value))
            | (Unit::CallsPerSecond, Self::CallsPerSecond(value) | Self::Bare(value))
            | (Unit::Calls | Unit::Pods | Unit::Nodes | Unit::Count, Self::Bare(value)) => {
                Ok(value)
            }
            (Unit::Bytes, Self::Bytes(value) | Self::Bare(value)) => Ok(value),
            (Unit::YesNo, Self::YesNo(value)) => Ok(f64::from(u8::from(value))),
            (Unit::Seconds, Self::Bare(value)) if value.abs() <= 0.0 => Ok(0.0),
            (Unit::Seconds, _) => Err("a time needs a unit, like 250ms, 3s or 2m"),
            (Unit::Share, _) => Err("write a share, like 0.1% or 0.001"),
            (Unit::Usd, _) => Err("write an amount, like 1.50"),
            (Unit::UsdPerHour, _) => Err("write a price, like 0.92/h"),
            (Unit::CallsPerSecond, _) => Err("write a rate, like 400/s"),
            (Unit::Bytes, _) => Err("write bytes, like 20Mi, 1.5GB or 4096"),
            (Unit::YesNo, _) => Err("write true or false"),
            (Unit::Calls | Unit::Pods | Unit::Nodes | Unit::Count, _) => {
                Err("write a plain number")
            }
        }
    }
}

/// The number that a text begins with, and the rest without blanks around it.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-._".contains(c));
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let number: f64 = number.replace('_', "").parse().ok()?;
    number.is_finite().then(|| (number, rest.trim()))
}

/// The unit up to the next digit, and what follows.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (unit, rest) = text.split_at(end);
    (unit.trim(), rest)
}

/// `250ms`, `1m30s`, `1 h 5 min`.
fn seconds(mut text: &str) -> Option<f64> {
    let mut sum = 0.0;
    while !text.is_empty() {
        let (number, rest) = leading_number(text)?;
        let (unit, rest) = split_unit(rest);
        let factor = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum += number * factor;
        text = rest;
    }
    Some(sum)
}

const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "units of time",
        Unit::Share => "parts of a whole",
        Unit::YesNo => "yes or no",
        Unit::Calls
        | Unit::CallsPerSecond
        | Unit::Pods
        | Unit::Nodes
        | Unit::Count
        | Unit::Bytes
        | Unit::Usd
        | Unit::UsdPerHour => unit.as_str(),
    }
}

/// The path of a run of the model that a text names: whole, or its last segment alone if only one
/// path ends so.
///
/// # Errors
/// What was probably meant, if there is none.
pub fn known_path(text: &str, known: &Metrics) -> Result<Path, String> {
    if let Some((path, _)) = known.iter().find(|(path, _)| is_text_of(path, text)) {
        return Ok(path.clone());
    }
    let ends = |path: &Path| path.segments().last().is_some_and(|last| last == text);
    let mut ending = known.iter().map(|(path, _)| path).filter(|path| ends(path));
    match (ending.next(), ending.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(first), Some(second)) => Err(format!("{first:#} or {second:#}?")),
        (None, _) => Err(closest(text, known)),
    }
}

/// The path that was probably meant: else what begins like it, else what paths begin with.
fn closest(path: &str, known: &Metrics) -> String {
    let all: Vec<(&Path, String)> = known.iter().map(|(p, _)| (p, p.to_string())).collect();
    if let Some(meant) = did_you_mean(path, all.iter().map(|(_, text)| text.as_str())) {
        return format!("did you mean {meant:?}?");
    }
    let mut place = String::new();
    let mut last: Vec<&str> = Vec::new();
    for (known, text) in &all {
        let shared = shared_segments(known, path);
        if shared.len() > place.len() {
            place = shared.clone();
            last.clear();
        }
        if shared == place {
            let rest = text[place.len()..].trim_start_matches('.');
            let next = rest.split('.').next().unwrap_or(rest);
            if !last.contains(&next) {
                last.push(next);
            }
        }
    }
    last.truncate(12);
    let of = if place.is_empty() { String::new() } else { format!(" {place}") };
    format!("there is{of}: {}", last.join(", "))
}

/// The leading segments of a known path that a text begins with too.
fn shared_segments(known: &Path, text: &str) -> String {
    let mut shared = String::new();
    for segment in known.segments() {
        let longer =
            if shared.is_empty() { segment.clone() } else { format!("{shared}.{segment}") };
        if !text.starts_with(&format!("{longer}.")) {
            break;
        }
        shared = longer;
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Metrics {
        let mut known = Metrics::default();
        let calls = ["services", "checkout", "calls"];
        known.put(&[calls.as_slice(), &["failed"]].concat(), None, Unit::Calls, "");
        known.put(&[calls.as_slice(), &["failed_share"]].concat(), None, Unit::Share, "");
        known.put(&[calls.as_slice(), &["latency_p99"]].concat(), None, Unit::Seconds, "");
        known.put(&["rollouts", "checkout.v1", "completed"], None, Unit::YesNo, "");
        known.put(&["cluster", "cost_per_hour"], None, Unit::UsdPerHour, "");
        known
    }

    fn fails(text: &str, at: &str, message: &str, hint: &str) {
        let parsed = Expect::parse(text).and_then(|expect| expect.check(&known()));
        let error = parsed.expect_err(text);
        assert_eq!(&text[error.range], at, "{text}");
        assert_eq!(error.message, message, "{text}");
        let found = error.hint.unwrap_or_default();
        assert!(found.contains(hint), "{text}: {found}");
    }

    #[test]
    fn good_lines() {
        for text in [
            "services.checkout.calls.failed == 0",
            "mean( services.checkout.calls.failed )<=1_000",
            "services.checkout.calls.failed_share < 0.1%",
            "services.checkout.calls.failed_share < 0.001",
            "services.checkout.calls.latency_p99 <= 1m30s",
            "services.checkout.calls.latency_p99 >= 0",
            "rollouts.checkout.v1.completed == true",
            "cluster.cost_per_hour < 0.92/h",
            "pods.waited_for.Insufficient == 0",
        ] {
            let parsed = Expect::parse(text).and_then(|expect| expect.check(&known()));
            assert_eq!(parsed, Ok(()), "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_any_one_part() {
        let texts = |line: &str| {
            let read = Expect::read_all(line, &known());
            read.map(|all| all.into_iter().map(|one| one.text).collect::<Vec<_>>())
        };
        let failed = Ok(vec!["services.checkout.calls.failed == 0".to_owned()]);
        assert_eq!(texts("services.*.calls.failed == 0"), failed);
        let mean = Ok(vec!["mean(services.checkout.calls.failed_share) < 1%".to_owned()]);
        assert_eq!(texts("mean(services.*.*.failed_share) < 1%"), mean);
        let none = texts("services.*.failed == 0").unwrap_err();
        assert_eq!(none.message, "the summary has no path like \"services.*.failed\"");
        assert!(texts("services.*.calls.failed < 3s").is_err());
    }

    #[test]
    fn bad_lines() {
        let long = "services.checkout.calls.latency_p99";
        fails("services.checkout", "services.checkout", "there is no comparison", "==");
        fails("a = 3", "=", "\"=\" is no comparison", "==");
        fails(" == 3", " ", "there is no path before the comparison", "");
        fails("a b == 3", "a b", "\"a b\" is no path", "mean");
        fails("a == ", "", "there is no value after the comparison", "250ms");
        fails("a == x3", "x3", "\"x3\" is no value", "250ms");
        fails("a == 3 parsecs", "3 parsecs", "\"parsecs\" is no unit", "250ms");
        let message = format!("{long} is in units of time");
        fails(&format!("{long} < 3"), "3", &message, "needs a unit");
        fails(&format!("{long} < 3%"), "3%", &message, "needs a unit");
        let message = "rollouts.checkout.v1.completed is in yes or no";
        fails("rollouts.checkout.v1.completed == 1", "1", message, "true or false");
        let meant = "did you mean \"services.checkout.calls.failed\"?";
        let wrong = "services.chekout.calls.failed";
        fails(
            &format!("{wrong} == 0"),
            wrong,
            &format!("the summary has no path {wrong:?}"),
            meant,
        );
        let wrong = "services.checkout.calls.zzz_zzz_zzz_zzz_zzz_zzz";
        let there = "there is services.checkout.calls: failed, failed_share, latency_p99";
        fails(
            &format!("{wrong} == 0"),
            wrong,
            &format!("the summary has no path {wrong:?}"),
            there,
        );
    }

    #[test]
    fn a_line_holds_when_it_holds_in_every_run() {
        let run = |failed: f64, p99: Option<f64>| {
            let mut run = Metrics::default();
            run.put(&["failed"], failed, Unit::Calls, "");
            run.put(&["p99"], p99, Unit::Seconds, "");
            run
        };
        let summary = Summary::fold(&[run(0.0, Some(0.2)), run(3.0, Some(0.3)), run(0.0, None)]);
        let judge = |text: &str| {
            let verdict = Expect::parse(text).unwrap().judge(&summary);
            (verdict.held, verdict.value)
        };
        assert_eq!(judge("failed == 0"), (false, "1 [0 – 5.3]; fails in 1 of 3 runs".to_owned()));
        assert!(judge("failed <= 3").0);
        assert!(judge("mean(failed) == 1").0);
        let missing = "250 ms [0 – 885 ms]; no such number in 1 of 3 runs".to_owned();
        assert_eq!(judge("p99 < 1s"), (false, missing));
        assert!(!judge("absent == 0").0);
    }
}
