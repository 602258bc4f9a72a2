//! Durations and time stamps as Go reads and writes them, which is as Kubernetes does.

use std::fmt;

use super::cast;
use super::time::{Duration, SimTime};

/// Why a text is no duration; the messages are Go's own.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GoDurationError {
    /// Not a duration at all, or beyond 292 years.
    #[error("time: invalid duration {0:?}")]
    Invalid(Box<str>),
    /// A number with nothing after it.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(Box<str>),
    /// A unit that Go does not know.
    #[error("time: unknown unit {unit:?} in duration {whole:?}")]
    UnknownUnit {
        /// The unit as written.
        unit: Box<str>,
        /// The whole text.
        whole: Box<str>,
    },
}

/// Why a person's text is no span.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DurationError {
    /// A bare number.
    #[error("number without a unit: {0:?} (write {0}s, {0}ms or {0}m)")]
    NoUnit(Box<str>),
    /// Below zero.
    #[error("time span below zero: {0:?}")]
    Negative(Box<str>),
    /// A unit we do not know.
    #[error("unknown unit {unit:?} in time span {whole:?} (known: h, m, s, ms, us, ns)")]
    UnknownUnit {
        /// The unit as written.
        unit: Box<str>,
        /// The whole text.
        whole: Box<str>,
    },
    /// Anything else.
    #[error("not a time span: {0:?} (write 250ms, 1.5s or 1h30m)")]
    Invalid(Box<str>),
}

impl Duration {
    /// Reads a person's text: `250ms`, `1.5s`, `1h30m`. The grammar is Go's `time.ParseDuration`.
    ///
    /// # Errors
    /// A number without a unit, a negative span, anything else that is no span.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let nanos = parse_go_duration(text).map_err(|error| match error {
            GoDurationError::MissingUnit(whole) => DurationError::NoUnit(whole),
            GoDurationError::Invalid(whole) => DurationError::Invalid(whole),
            GoDurationError::UnknownUnit { unit, whole } => {
                DurationError::UnknownUnit { unit, whole }
            }
        })?;
        let nanos = u64::try_from(nanos).map_err(|_| DurationError::Negative(text.into()))?;
        Ok(Self::ns(nanos))
    }

    /// The text that Go's `Duration.String` gives: `1h30m0s`, `1.5s`, `250ms`.
    pub fn go_text(self) -> String {
        format_go_magnitude(self.as_nanos())
    }
}

/// Reads a metav1.Duration in nanoseconds, which may be negative.
///
/// # Errors
/// What Go refuses, in Go's words.
/// Source: go1.26 src/time/format.go `ParseDuration` (recorded).
pub fn parse_go_duration(text: &str) -> Result<i64, GoDurationError> {
    let invalid = || GoDurationError::Invalid(text.into());
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanos, after) = parse_term(rest, text)?;
        total = total.checked_add(nanos).filter(|sum| *sum <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    let signed = if negative { -i128::from(total) } else { i128::from(total) };
    i64::try_from(signed).map_err(|_| invalid())
}

/// One number with its unit; gives nanoseconds and what follows.
fn parse_term<'a>(text: &'a str, whole: &str) -> Result<(u64, &'a str), GoDurationError> {
    let invalid = || GoDurationError::Invalid(whole.into());
    let (digits, after) = split_digits(text);
    let (part, after) = after.strip_prefix('.').map_or(("", after), split_digits);
    if digits.is_empty() && part.is_empty() {
        return Err(invalid());
    }
    let is_unit = |letter: char| letter != '.' && !letter.is_ascii_digit();
    let rest = after.trim_start_matches(is_unit);
    let unit = &after[..after.len() - rest.len()];
    if unit.is_empty() {
        return Err(GoDurationError::MissingUnit(whole.into()));
    }
    let scale: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => {
            return Err(GoDurationError::UnknownUnit { unit: unit.into(), whole: whole.into() });
        }
    };
    let count: u64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| invalid())? };
    let nanos = count.checked_mul(scale).filter(|nanos| *nanos <= 1 << 63).ok_or_else(invalid)?;
    let nanos = nanos.checked_add(fraction(part, scale)).ok_or_else(invalid)?;
    Ok((nanos, rest))
}

/// `0.part` of a unit in nanoseconds, cut, by way of floats as Go does it; digits that no longer
/// fit into 63 bits are ignored.
fn fraction(part: &str, scale: u64) -> u64 {
    let mut value: u64 = 0;
    let mut power = 1.0;
    for digit in part.bytes() {
        let next = value.checked_mul(10).and_then(|ten| ten.checked_add(u64::from(digit - b'0')));
        let Some(next) = next.filter(|next| *next <= 1 << 63) else {
            break;
        };
        value = next;
        power *= 10.0;
    }
    cast::u64_trunc(cast::f64_of_u64(value) * (cast::f64_of_u64(scale) / power))
}

fn split_digits(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    text.split_at(text.len() - rest.len())
}

/// Writes a metav1.Duration of that many nanoseconds.
/// Source: go1.26 src/time/time.go `Duration.String` (recorded).
pub fn format_go_duration(nanos: i64) -> String {
    let text = format_go_magnitude(nanos.unsigned_abs());
    if nanos < 0 { format!("-{text}") } else { text }
}

fn format_go_magnitude(nanos: u64) -> String {
    let fraction = |unit: u64, digits: usize| {
        let text = format!("{}.{:0digits$}", nanos / unit % 60, nanos % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => below_second(nanos, 1_000, 3, "µs"),
        1_000_000..1_000_000_000 => below_second(nanos, 1_000_000, 6, "ms"),
        _ => {
            let secs = fraction(1_000_000_000, 9);
            let mins = nanos / 60_000_000_000;
            match (mins / 60, mins % 60) {
                (0, 0) => format!("{secs}s"),
                (0, mins) => format!("{mins}m{secs}s"),
                (hours, mins) => format!("{hours}h{mins}m{secs}s"),
            }
        }
    }
}

fn below_second(nanos: u64, unit: u64, digits: usize, name: &str) -> String {
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A wall-clock instant in UTC: metav1.Time and MicroTime.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    secs: i64,
    /// Nanoseconds after that second, below 10^9.
    nanos: u32,
}

/// Why a text is no time stamp; the messages are Go's own.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TimestampError(Box<str>);

impl Timestamp {
    /// The instant that many seconds after 1970 began.
    pub const fn from_unix(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }

    /// Whole seconds since 1970 began, cut downwards.
    pub const fn unix_secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds after the whole second.
    pub const fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Go's zero time, year 1, which is written as `null`.
    pub const fn is_zero(self) -> bool {
        self.secs == -62_135_596_800 && self.nanos == 0
    }

    /// Reads a metav1.Time (RFC 3339).
    ///
    /// # Errors
    /// What Go refuses, in Go's words.
    /// Source: go1.26 src/time/format.go `Parse` with the layout `RFC3339` (recorded).
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        Reader { whole: text, rest: text, micro: false }.read()
    }

    /// Reads a MicroTime: six digits of a second are required.
    ///
    /// # Errors
    /// What Go refuses, in Go's words.
    /// Source: kubernetes v1.36.3 apimachinery/pkg/apis/meta/v1/micro_time.go (recorded).
    pub fn parse_micro(text: &str) -> Result<Self, TimestampError> {
        Reader { whole: text, rest: text, micro: true }.read()
    }

    /// The text of a MicroTime.
    pub fn micro_text(self) -> String {
        format!("{}.{:06}Z", self.civil(), self.nanos / 1_000)
    }

    /// `2026-01-02T03:04:05`.
    fn civil(self) -> String {
        let days = self.secs.div_euclid(86_400);
        let secs = self.secs.rem_euclid(86_400);
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// The instant of a run that began at this one.
    ///
    /// # Panics
    /// Beyond 292 thousand million years.
    #[must_use]
    pub fn at(self, since_start: SimTime) -> Self {
        let nanos = u64::from(self.nanos) + since_start.as_nanos() % 1_000_000_000;
        let secs = since_start.as_nanos() / 1_000_000_000 + nanos / 1_000_000_000;
        let secs = self.secs.checked_add_unsigned(secs).expect("a time stamp within 64 bits");
        let nanos = u32::try_from(nanos % 1_000_000_000).expect("below 10^9");
        Self { secs, nanos }
    }

    /// The instant of a run that began at `start`; none when it lies before it.
    pub fn since(self, start: Self) -> Option<SimTime> {
        let nanos = |stamp: Self| i128::from(stamp.secs) * 1_000_000_000 + i128::from(stamp.nanos);
        u64::try_from(nanos(self) - nanos(start)).ok().map(SimTime::from_nanos)
    }
}

/// The text of a metav1.Time: whole seconds in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}Z", self.civil()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Days since 1970 of a date of the Gregorian calendar. The year starts in March here, so that the
/// leap day is the last, and 400 years are 146,097 days.
const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date of a day since 1970.
const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let spare = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - spare) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Walks a text along Go's layout, element by element.
struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    micro: bool,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Timestamp, TimestampError> {
        let year = self.digits("2006", 4)?;
        self.letter("-")?;
        let month = self.digits("01", 2)?;
        self.in_range(month, 1..13, "month")?;
        self.letter("-")?;
        let day = self.digits("02", 2)?;
        self.letter("T")?;
        // Go takes an hour of one digit too.
        let width = if self.is_digit(1) { 2 } else { 1 };
        let hour = self.digits("15", width)?;
        self.in_range(hour, 0..24, "hour")?;
        self.letter(":")?;
        let minute = self.digits("04", 2)?;
        self.in_range(minute, 0..60, "minute")?;
        self.letter(":")?;
        let second = self.digits("05", 2)?;
        self.in_range(second, 0..60, "second")?;
        let nanos = self.fraction()?;
        let offset = self.zone()?;
        if !self.rest.is_empty() {
            return Err(self.says(&format!(": extra text: {:?}", self.rest)));
        }
        if day < 1 || days_of(year, month, day) >= first_of_next(year, month) {
            return Err(self.says(": day out of range"));
        }
        let secs = days_of(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Ok(Timestamp { secs: secs - offset, nanos })
    }

    fn is_digit(&self, at: usize) -> bool {
        self.rest.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
    }

    /// So many digits.
    fn digits(&mut self, element: &str, width: usize) -> Result<i64, TimestampError> {
        let taken = self.rest.get(..width).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let Some(taken) = taken else {
            return Err(self.stuck(element));
        };
        self.rest = &self.rest[width..];
        Ok(taken.parse().expect("a few digits"))
    }

    fn letter(&mut self, letter: &str) -> Result<(), TimestampError> {
        match self.rest.strip_prefix(letter) {
            Some(rest) => self.rest = rest,
            None => return Err(self.stuck(letter)),
        }
        Ok(())
    }

    fn in_range(
        &self,
        value: i64,
        range: std::ops::Range<i64>,
        name: &str,
    ) -> Result<(), TimestampError> {
        if range.contains(&value) {
            return Ok(());
        }
        Err(self.says(&format!(": {name} out of range")))
    }

    /// Nanoseconds. Six digits where the layout has them; otherwise any number, cut to nine, and
    /// none is fine. Go takes a comma for the point.
    fn fraction(&mut self) -> Result<u32, TimestampError> {
        let count = self.rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        let found = self.rest.starts_with(['.', ',']) && count > 0;
        let width = match (self.micro, found) {
            (true, true) if count >= 6 => 6,
            (true, _) => return Err(self.stuck(".000000")),
            (false, true) => count,
            (false, false) => return Ok(0),
        };
        let digits = &self.rest[1..=width.min(9)];
        let nanos: u32 = format!("{digits:0<9}").parse().expect("nine digits");
        self.rest = &self.rest[width + 1..];
        Ok(nanos)
    }

    /// Seconds east of Greenwich.
    fn zone(&mut self) -> Result<i64, TimestampError> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let zone = self.rest.as_bytes().get(..6);
        let zone = zone.filter(|zone| matches!(zone[0], b'+' | b'-') && zone[3] == b':');
        let digit = |at: usize| zone.map(|zone| zone[at]).filter(u8::is_ascii_digit);
        let pair =
            |at: usize| Some(i64::from(digit(at)? - b'0') * 10 + i64::from(digit(at + 1)? - b'0'));
        let (Some(hours), Some(minutes)) = (pair(1), pair(4)) else {
            return Err(self.stuck("Z07:00"));
        };
        let west = self.rest.starts_with('-');
        self.rest = &self.rest[6..];
        self.in_range(hours, 0..25, "time zone offset hour")?;
        self.in_range(minutes, 0..61, "time zone offset minute")?;
        let offset = hours * 3_600 + minutes * 60;
        Ok(if west { -offset } else { offset })
    }

    fn stuck(&self, element: &str) -> TimestampError {
        let layout = if self.micro { "05.000000Z07:00" } else { "05Z07:00" };
        let (whole, rest) = (self.whole, self.rest);
        TimestampError(
            format!(
                "parsing time {whole:?} as \"2006-01-02T15:04:{layout}\": \
                 cannot parse {rest:?} as {element:?}"
            )
            .into(),
        )
    }

    fn says(&self, what: &str) -> TimestampError {
        TimestampError(format!("parsing time {:?}{what}", self.whole).into())
    }
}

const fn first_of_next(year: i64, month: i64) -> i64 {
    if month == 12 { days_of(year + 1, 1, 1) } else { days_of(year, month + 1, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_must_write_a_unit() {
        assert_eq!(Duration::parse("250ms"), Ok(Duration::ms(250)));
        assert_eq!(Duration::parse("1h30m"), Ok(Duration::mins(90)));
        assert_eq!(Duration::parse("1.5s"), Ok(Duration::ms(1_500)));
        assert_eq!(Duration::parse("0"), Ok(Duration::ZERO));
        let message = |text| Duration::parse(text).unwrap_err().to_string();
        assert_eq!(message("5"), "number without a unit: \"5\" (write 5s, 5ms or 5m)");
        assert_eq!(message("-5s"), "time span below zero: \"-5s\"");
        assert!(message("2d").starts_with("unknown unit \"d\""));
        assert!(message("").starts_with("not a time span"));
    }

    #[test]
    fn go_writes_the_largest_unit_first() {
        let cases = [(0, "0s"), (1, "1ns"), (1_500, "1.5µs"), (-2_000_000, "-2ms")];
        for (nanos, text) in cases {
            assert_eq!(format_go_duration(nanos), text);
            assert_eq!(parse_go_duration(text), Ok(nanos));
        }
        assert_eq!(Duration::ms(3_661_250).go_text(), "1h1m1.25s");
        assert_eq!(Duration::mins(5).go_text(), "5m0s");
        assert_eq!(parse_go_duration("-9223372036854775808ns"), Ok(i64::MIN));
        assert!(parse_go_duration("9223372036854775808ns").is_err());
    }

    #[test]
    fn time_stamps_read_and_print() {
        let leap = Timestamp::parse("2024-02-29T12:00:00Z").unwrap();
        // 2024-02-29 is day 19,782
        assert_eq!(leap.unix_secs(), 19_782 * 86_400 + 43_200);
        assert_eq!(leap.to_string(), "2024-02-29T12:00:00Z");
        assert_eq!(Timestamp::parse("2024-02-29T13:30:00+01:30"), Ok(leap));
        assert!(Timestamp::parse("2023-02-29T12:00:00Z").is_err());
        assert!(Timestamp::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
        let micro = Timestamp::parse_micro("2026-01-05T00:00:00.250000Z").unwrap();
        assert_eq!(micro.micro_text(), "2026-01-05T00:00:00.250000Z");
        let later = micro.at(SimTime::at(Duration::ms(1_750)));
        assert_eq!(later.to_string(), "2026-01-05T00:00:02Z");
        assert_eq!(later.since(micro), Some(SimTime::at(Duration::ms(1_750))));
        assert_eq!(micro.since(later), None);
    }

    #[test]
    fn dates_agree_with_jiff() {
        for days in (-800_000..800_000).step_by(997) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            let jiff = jiff::Timestamp::from_second(days * 86_400);
            if let Ok(stamp) = jiff
                && year >= 1
            {
                assert_eq!(stamp.to_string(), Timestamp::from_unix(days * 86_400).to_string());
            }
        }
    }
}
