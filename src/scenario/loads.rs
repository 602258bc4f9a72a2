//! When the calls of a source come: rates, bursts, recorded calls, users.

use crate::base::{Duration, SimTime, Timestamp, cast};
use crate::model::{Load, RecordedCall};
use crate::tree::{Diagnostic, Diagnostics, Span as Place, Spanned};

use super::file::{BurstsFile, RecordedFile, TrafficFile, UsersFile};
use super::input::Input;
use super::rates;

/// Recorded calls and users at most.
const CALLS_MAX: usize = 50_000_000;
const USERS_MAX: u32 = 10_000_000;

/// The load of a source: exactly one of the seven forms.
pub(super) fn lower(file: &TrafficFile, place: Place, input: &mut Input) -> Option<Load> {
    let forms = [
        file.rate.is_some(),
        file.steps.is_some(),
        file.daily.is_some(),
        file.series.is_some(),
        file.bursts.is_some(),
        file.recorded.is_some(),
        file.users.is_some(),
    ];
    if forms.iter().filter(|given| **given).count() != 1 {
        let message =
            "expected exactly one of rate, steps, daily, series, bursts, recorded and users";
        let error = Diagnostic::error(place, message);
        input.found.push(error.with_hint("for example rate: 400/s"));
        return None;
    }
    if let Some(bursts) = &file.bursts {
        return modulated(bursts, &mut input.found);
    }
    if let Some(recorded) = &file.recorded {
        return read(recorded, input);
    }
    if let Some(file) = &file.users {
        return users(file, &mut input.found);
    }
    rates::lower(file, place, input).map(Load::Poisson)
}

fn modulated(file: &Spanned<BurstsFile>, found: &mut Diagnostics) -> Option<Load> {
    let BurstsFile { rates, stays } = &file.value;
    let (rates, stays) = ([rates.0.0, rates.1.0], [stays.0.0, stays.1.0]);
    if stays.iter().any(|stay| *stay < Duration::us(1)) {
        let error = Diagnostic::error(file.span, "each rate lasts 1us at least on average");
        found
            .push(error.with_hint("for example bursts: { rates: [50/s, 400/s], stays: [1m, 5s] }"));
        return None;
    }
    if rates.iter().any(|rate| *rate > rates::RATE_MAX) {
        let error =
            Diagnostic::error(file.span, format!("rates are at most {}/s", rates::RATE_MAX));
        found.push(error.with_hint("a smaller rate to fewer pods shows the same"));
        return None;
    }
    Some(Load::Modulated { rates, stays })
}

fn users(file: &Spanned<UsersFile>, found: &mut Diagnostics) -> Option<Load> {
    let UsersFile { count, think, ramp } = &file.value;
    if count.value == 0 || count.value > USERS_MAX {
        let error = Diagnostic::error(count.span, format!("there are from 1 to {USERS_MAX} users"));
        found.push(error.with_hint("for example users: { count: 200, think: 1s }"));
        return None;
    }
    if think.0.mean() <= 0.0 {
        let message = "users who do not think call without end where an answer takes no time";
        let warning = Diagnostic::warning(file.span, message);
        found.push(warning.with_hint("for example think: { exponential: 1s }"));
    }
    let ramp = ramp.map_or(Duration::ZERO, |ramp| ramp.0);
    Some(Load::Users { count: count.value, think: think.0.clone(), ramp })
}

/// Where the columns of a file of recorded calls are.
struct Columns {
    at: usize,
    /// Column, and what each unit of it takes.
    hold: Vec<(usize, Duration)>,
}

fn read(recorded: &Spanned<RecordedFile>, input: &mut Input) -> Option<Load> {
    let file = &recorded.value;
    let text = input.read_text(&file.file)?;
    let found = &mut input.found;
    let faster = file.faster.as_ref().map_or(1.0, |faster| faster.value);
    if let Some(wrong) = file.faster.as_ref().filter(|f| !f.value.is_finite() || f.value <= 0.0) {
        let error = Diagnostic::error(wrong.span, "a speed is a number above 0");
        found.push(error.with_hint("faster: 10 makes an hour of the file six minutes"));
        return None;
    }
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let columns = columns(file, &rows.headers().cloned().unwrap_or_default(), found)?;
    let mut calls: Vec<RecordedCall> = Vec::new();
    let mut first = None;
    for row in rows.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let error = Diagnostic::error(text.line(error.position()), rates::no_row(&error));
                found.push(error.with_related(file.file.span, "read because of this"));
                return None;
            }
        };
        let mut problem = |message: String| {
            found.push(
                Diagnostic::error(text.line(row.position()), message)
                    .with_related(recorded.span, "read because of this"),
            );
        };
        let word = row.get(columns.at).unwrap_or("").trim();
        let Some(at) = instant(word) else {
            problem(format!("\"{word}\" is no instant: expected seconds, or YYYY-MM-DD hh:mm:ss"));
            return None;
        };
        let first = *first.get_or_insert(at);
        let since = cast::f64_of_i128(at - first) / faster;
        let at = SimTime::from_nanos(cast::u64_trunc(since.max(0.0)));
        if since < 0.0 || calls.last().is_some_and(|last| last.at > at) {
            problem(format!("{word} is before the row above"));
            return None;
        }
        let Some(hold) = hold(&row, &columns) else {
            problem("this row has no number for the time in service".to_owned());
            return None;
        };
        calls.push(RecordedCall { at, hold });
        if calls.len() > CALLS_MAX {
            problem(format!("more than {CALLS_MAX} calls"));
            return None;
        }
    }
    let Some(last) = calls.last() else {
        found.error(file.file.span, format!("{} has no rows", file.file.value));
        return None;
    };
    if let Some(repeat) = file.repeat.as_ref().filter(|r| r.value.0 <= last.at.since_start()) {
        let message = format!("the calls last {}: they cannot come again before", last.at);
        let hint = "repeat is longer than the calls last, or left out: then they come once";
        found.push(Diagnostic::error(repeat.span, message).with_hint(hint));
        return None;
    }
    let repeat = file.repeat.as_ref().map(|repeat| repeat.value.0);
    Some(Load::Recorded { calls: calls.into(), repeat })
}

fn columns(
    file: &RecordedFile,
    headers: &csv::StringRecord,
    found: &mut Diagnostics,
) -> Option<Columns> {
    let find = |name: &str, place: Place, found: &mut Diagnostics| {
        let index = headers.iter().position(|header| header.trim() == name);
        if index.is_none() {
            let message = format!("{} has no column \"{name}\"", file.file.value);
            let listed: Vec<&str> = headers.iter().take(20).collect();
            let error = Diagnostic::error(place, message);
            let error = error.with_hint(format!("it has {}", listed.join(", ")));
            found.push(error.with_suggestion(name, headers));
        }
        index
    };
    let at = find(&file.at.value, file.at.span, found);
    let hold =
        file.hold.iter().map(|(name, each)| Some((find(name, each.span, found)?, each.value.0)));
    let hold = hold.collect::<Option<Vec<_>>>();
    Some(Columns { at: at?, hold: hold? })
}

fn hold(row: &csv::StringRecord, columns: &Columns) -> Option<Duration> {
    columns.hold.iter().try_fold(Duration::ZERO, |sum, (column, each)| {
        let number: f64 = row.get(*column)?.trim().parse().ok()?;
        (number.is_finite() && number >= 0.0).then(|| sum.saturating_add(each.scale(number)))
    })
}

/// Seconds, or a date with a time (without a zone: any, as only differences count), in nanoseconds.
fn instant(text: &str) -> Option<i128> {
    if let Some(secs) = text.parse::<f64>().ok().filter(|secs| secs.is_finite()) {
        let nanos = i128::from(cast::i64_trunc(secs.floor())) * 1_000_000_000;
        return Some(nanos + i128::from(cast::i64_trunc((secs - secs.floor()) * 1e9)));
    }
    let zoned = text.replacen(' ', "T", 1);
    let stamp =
        Timestamp::parse(&zoned).or_else(|_| Timestamp::parse(&format!("{zoned}Z"))).ok()?;
    Some(i128::from(stamp.unix_secs()) * 1_000_000_000 + i128::from(stamp.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        assert_eq!(instant("1.5"), Some(1_500_000_000));
        let text = "2023-11-16 18:15:46.6805900";
        assert_eq!(instant(text).map(|at| at % 60_000_000_000), Some(46_680_590_000));
        assert_eq!(instant("2023-11-16T18:15:46Z"), instant("2023-11-16 18:15:46"));
        assert_eq!(instant("soon"), None);
    }
}
