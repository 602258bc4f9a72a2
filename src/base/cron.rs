//! Cron schedules: when is the next instant that a line of five fields, or a descriptor, names?
//!
//! Instants are whole Unix seconds. Zones come from the database that the build carries: no file of
//! the machine is read.
//!
//! Source: robfig/cron v3 parser.go `ParseStandard`, spec.go `SpecSchedule.Next`,
//! constantdelay.go; Go time.Date, time.AddDate (rules C136, C142; recorded). Differs: names of
//! zones are those of the bundled database.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::go_time::parse_go_duration;

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Each instant of a zone's clock that all fields allow.
    Fields(Box<Fields>),
    /// This many seconds after the last one.
    Every(i64),
}

/// One bit a value; [`STAR`] for a field that allows everything.
#[derive(Clone, Debug, PartialEq)]
struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    zone: Zone,
}

/// The bit of a field that was written as `*` or `?`.
const STAR: u64 = 1 << 63;

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Nothing was written.
    #[error("empty spec string")]
    Empty,
    /// Not five fields.
    #[error("expected exactly 5 fields, found {found}: [{fields}]")]
    FieldCount {
        /// How many there are.
        found: usize,
        /// All of them.
        fields: String,
    },
    /// A number that is none, or an unknown name.
    #[error("failed to parse int from {0}: strconv.Atoi: parsing {0:?}: invalid syntax")]
    NoNumber(String),
    /// `a-b-c`.
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    /// `a/b/c`.
    #[error("too many slashes: {0}")]
    Slashes(String),
    /// Below the field's smallest value.
    #[error("beginning of range ({start}) below minimum ({min}): {text}")]
    Below {
        /// The beginning.
        start: u32,
        /// The smallest.
        min: u32,
        /// As written.
        text: String,
    },
    /// Above the field's largest value.
    #[error("end of range ({end}) above maximum ({max}): {text}")]
    Above {
        /// The end.
        end: u32,
        /// The largest.
        max: u32,
        /// As written.
        text: String,
    },
    /// It begins after its end.
    #[error("beginning of range ({start}) beyond end of range ({end}): {text}")]
    Backwards {
        /// The beginning.
        start: u32,
        /// The end.
        end: u32,
        /// As written.
        text: String,
    },
    /// A step of 0.
    #[error("step of range should be a positive number: {0}")]
    NoStep(String),
    /// `@` and something unknown.
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    /// `@every` and no duration.
    #[error("failed to parse duration {text}: {why}")]
    Every {
        /// As written.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// A zone that nobody knows.
    #[error("provided bad location {0}: unknown time zone {0}")]
    Zone(String),
}

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// A zone of the IANA database; the empty name is UTC, as in Go.
    ///
    /// # Errors
    /// If there is no zone of this name.
    pub fn named(name: &str) -> Result<Self, CronError> {
        if matches!(name, "" | "UTC") {
            return Ok(Self::UTC);
        }
        let found = TimeZoneDatabase::bundled().get(name).ok();
        let exact = found.filter(|zone| zone.iana_name() == Some(name));
        exact.map(Self).ok_or_else(|| CronError::Zone(name.to_owned()))
    }

    /// How many seconds its clock is before UTC's.
    fn offset(&self, unix: i64) -> i64 {
        let at = Timestamp::from_second(unix).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(self.0.to_offset(at).seconds())
    }

    /// What its clock shows.
    fn clock(&self, unix: i64) -> Clock {
        Clock::of(unix + self.offset(unix))
    }

    /// The instant at which the clock shows this. Of two that do, or if none does, the one that
    /// Go's `time.Date` takes.
    fn instant(&self, clock: Clock) -> i64 {
        let local = clock.seconds();
        let near = local - self.offset(local);
        local - self.offset(near)
    }
}

/// Year, month, day and time of day as a clock on the wall shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// 0 is Sunday.
    weekday: i64,
}

impl Clock {
    /// The Gregorian calendar of a count of days.
    fn of(local: i64) -> Self {
        let (days, rest) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        // Years from March on, so that the odd day is the last of a year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * years + years / 4 - years / 100);
        let since_march = (5 * of_year + 2) / 153;
        let month = if since_march < 10 { since_march + 3 } else { since_march - 9 };
        Self {
            year: years + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * since_march + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
        }
    }

    /// Seconds since 1970 of a clock that shows this; months and days beyond their range run over.
    fn seconds(self) -> i64 {
        let months = self.year * 12 + self.month - 1;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let year = if month <= 2 { year - 1 } else { year };
        let since_march = (month + 9) % 12;
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * since_march + 2) / 5 + self.day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        days * 86_400 + self.hour * 3600 + self.minute * 60 + self.second
    }

    const fn at_midnight(self) -> Self {
        Self { hour: 0, minute: 0, second: 0, ..self }
    }
}

impl Schedule {
    /// Reads a line of five fields or a descriptor, in a zone. `TZ=` or `CRON_TZ=` before it names
    /// another zone.
    ///
    /// # Errors
    /// What is wrong, in the words of the original.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, CronError> {
        if text.is_empty() {
            return Err(CronError::Empty);
        }
        let named = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ="));
        let (zone, line) = match named {
            Some(rest) => {
                let (name, line) = rest.split_once(' ').unwrap_or((rest, ""));
                (Zone::named(name)?, line.trim())
            }
            None => (zone.clone(), text),
        };
        if line.starts_with('@') {
            return descriptor(line, &zone);
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::FieldCount { found: fields.len(), fields: fields.join(" ") });
        };
        Ok(Self(Kind::Fields(Box::new(Fields {
            minute: field(minute, &MINUTES)?,
            hour: field(hour, &HOURS)?,
            day: field(day, &DAYS)?,
            month: field(month, &MONTHS)?,
            weekday: field(weekday, &WEEKDAYS)?,
            zone,
        }))))
    }

    /// The first instant after this one; `None` if none comes within five years.
    #[must_use]
    pub fn next(&self, unix: i64) -> Option<i64> {
        match &self.0 {
            Kind::Every(seconds) => Some(unix + seconds),
            Kind::Fields(fields) => fields.next(unix),
        }
    }
}

impl Fields {
    fn next(&self, unix: i64) -> Option<i64> {
        let mut walk = Walk { zone: &self.zone, at: unix + 1, has_moved: false };
        let last_year = walk.clock().year + 5;
        loop {
            if walk.clock().year > last_year {
                return None;
            }
            let fits = walk.seek_month(self.month)
                && walk.seek_day(self)
                && walk.seek_hour(self.hour)
                && walk.seek_minute(self.minute)
                && walk.seek_full_minute();
            if fits {
                return Some(walk.at);
            }
        }
    }

    /// If both fields of days say something, either is enough.
    fn has_day(&self, clock: Clock) -> bool {
        let by_date = has(self.day, clock.day);
        let by_weekday = has(self.weekday, clock.weekday);
        if (self.day | self.weekday) & STAR == 0 {
            by_date || by_weekday
        } else {
            by_date && by_weekday
        }
    }
}

const fn has(bits: u64, value: i64) -> bool {
    bits >> value & 1 == 1
}

/// An instant that goes forward field by field; a step returns false when a larger field has turned
/// over and everything must be looked at again.
struct Walk<'a> {
    zone: &'a Zone,
    at: i64,
    /// Whether a field has been moved: the smaller ones begin anew then.
    has_moved: bool,
}

impl Walk<'_> {
    fn clock(&self) -> Clock {
        self.zone.clock(self.at)
    }

    fn set(&mut self, clock: Clock) {
        self.at = self.zone.instant(clock);
    }

    fn seek_month(&mut self, months: u64) -> bool {
        while !has(months, self.clock().month) {
            if !std::mem::replace(&mut self.has_moved, true) {
                self.set(Clock { day: 1, ..self.clock().at_midnight() });
            }
            let clock = self.clock();
            self.set(Clock { month: clock.month + 1, ..clock });
            if self.clock().month == 1 {
                return false;
            }
        }
        true
    }

    fn seek_day(&mut self, fields: &Fields) -> bool {
        while !fields.has_day(self.clock()) {
            if !std::mem::replace(&mut self.has_moved, true) {
                self.set(self.clock().at_midnight());
            }
            let clock = self.clock();
            self.set(Clock { day: clock.day + 1, ..clock });
            // A zone without that midnight: back to the day's begin, or on to it.
            let hour = self.clock().hour;
            if hour > 12 {
                self.at += (24 - hour) * 3600;
            } else {
                self.at -= hour * 3600;
            }
            if self.clock().day == 1 {
                return false;
            }
        }
        true
    }

    fn seek_hour(&mut self, hours: u64) -> bool {
        while !has(hours, self.clock().hour) {
            if !std::mem::replace(&mut self.has_moved, true) {
                self.set(Clock { minute: 0, second: 0, ..self.clock() });
            }
            self.at += 3600;
            if self.clock().hour == 0 {
                return false;
            }
        }
        true
    }

    fn seek_minute(&mut self, minutes: u64) -> bool {
        while !has(minutes, self.clock().minute) {
            if !std::mem::replace(&mut self.has_moved, true) {
                self.at -= self.at.rem_euclid(60);
            }
            self.at += 60;
            if self.clock().minute == 0 {
                return false;
            }
        }
        true
    }

    /// Seconds are not written: they are 0.
    fn seek_full_minute(&mut self) -> bool {
        let rest = self.clock().second;
        if rest == 0 {
            return true;
        }
        self.has_moved = true;
        self.at += 60 - rest;
        false
    }
}

/// The values of a field.
struct Bounds {
    min: u32,
    max: u32,
    /// Names of the values, from the smallest on.
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds =
    Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

fn field(text: &str, bounds: &Bounds) -> Result<u64, CronError> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| range(part, bounds)).try_fold(0, |bits, more| Ok(bits | more?))
}

/// `*`, `n`, `a-b`, each with or without `/step`.
fn range(text: &str, bounds: &Bounds) -> Result<u64, CronError> {
    let own = || text.to_owned();
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let is_star = matches!(ends[0], "*" | "?");
    let (start, mut end) = match ends[..] {
        _ if is_star => (bounds.min, bounds.max),
        [one] => (value(one, bounds)?, value(one, bounds)?),
        [start, end] => (value(start, bounds)?, value(end, bounds)?),
        _ => return Err(CronError::Hyphens(own())),
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => number(step)?,
        _ => return Err(CronError::Slashes(own())),
    };
    if parts.len() == 2 && ends.len() == 1 {
        end = bounds.max;
    }
    if start < bounds.min {
        return Err(CronError::Below { start, min: bounds.min, text: own() });
    }
    if end > bounds.max {
        return Err(CronError::Above { end, max: bounds.max, text: own() });
    }
    if start > end {
        return Err(CronError::Backwards { start, end, text: own() });
    }
    if step == 0 {
        return Err(CronError::NoStep(own()));
    }
    let bits = (start..=end).step_by(step as usize).fold(0, |bits, value| bits | 1 << value);
    Ok(bits | if is_star && step == 1 { STAR } else { 0 })
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, CronError> {
    let lower = text.to_lowercase();
    let named = (bounds.min..).zip(bounds.names).find(|(_, name)| **name == lower);
    named.map_or_else(|| number(text), |(value, _)| Ok(value))
}

fn number(text: &str) -> Result<u32, CronError> {
    text.parse().map_err(|_| CronError::NoNumber(text.to_owned()))
}

fn descriptor(text: &str, zone: &Zone) -> Result<Schedule, CronError> {
    let line = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(span) = text.strip_prefix("@every ") else {
                return Err(CronError::Descriptor(text.to_owned()));
            };
            let nanos = parse_go_duration(span)
                .map_err(|why| CronError::Every { text: text.to_owned(), why: why.to_string() })?;
            return Ok(Schedule(Kind::Every((nanos / 1_000_000_000).max(1))));
        }
    };
    Schedule::parse(line, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    /// The next instants after `from`, as UTC texts.
    fn check(line: &str, zone: &str, from: &str, expected: &[&str]) {
        let schedule = Schedule::parse(line, &Zone::named(zone).unwrap()).unwrap();
        let mut at = unix(from);
        for expected in expected {
            at = schedule.next(at).unwrap();
            assert_eq!(at, unix(expected), "{line} in {zone}");
        }
    }

    #[test]
    fn fields_steps_names_and_descriptors() {
        check("*/15 * * * *", "UTC", "2026-01-05T00:00:01Z", &["2026-01-05T00:15:00Z"]);
        check(
            "5/20 9-10 * * mon-fri",
            "UTC",
            "2026-01-02T10:30:00Z",
            &["2026-01-02T10:45:00Z", "2026-01-05T09:05:00Z"],
        );
        check("0 0 29 feb ?", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
        check("@monthly", "UTC", "2026-01-31T12:00:00Z", &["2026-02-01T00:00:00Z"]);
        check("@every 90s", "UTC", "2026-01-01T00:00:07Z", &["2026-01-01T00:01:37Z"]);
        check(
            "CRON_TZ=Asia/Kolkata 0 6 * * *",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["2026-01-01T00:30:00Z"],
        );
    }

    /// Either field of days is enough if both say something; with a star both must hold.
    #[test]
    fn days_of_month_and_week() {
        check(
            "0 0 13 * fri",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"],
        );
        check("0 0 */2 * fri", "UTC", "2026-01-01T00:00:00Z", &["2026-01-02T00:00:00Z"]);
        check("0 0 * * fri", "UTC", "2026-01-03T00:00:00Z", &["2026-01-09T00:00:00Z"]);
    }

    /// New York: 2026-03-08 has no 02:30; 2026-11-01 has 01:30 twice.
    #[test]
    fn hours_that_do_not_exist_are_left_out_and_those_that_exist_twice_come_twice() {
        check("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", &["2026-03-09T06:30:00Z"]);
        check(
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-02T06:30:00Z"],
        );
    }

    /// São Paulo began summer time at midnight: 2018-11-04 began at 01:00.
    #[test]
    fn a_day_without_midnight_begins_later() {
        check("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", &["2018-11-05T02:00:00Z"]);
        check(
            "15 * 4 11 *",
            "America/Sao_Paulo",
            "2018-11-03T12:00:00Z",
            &["2018-11-04T03:15:00Z"],
        );
    }

    #[test]
    fn the_thirtieth_of_february_never_comes() {
        let schedule = Schedule::parse("0 0 30 2 *", &Zone::UTC).unwrap();
        assert_eq!(schedule.next(unix("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn what_is_no_schedule() {
        let refuses = |line: &str, says: &str| {
            assert_eq!(Schedule::parse(line, &Zone::UTC).unwrap_err().to_string(), says);
        };
        refuses("", "empty spec string");
        refuses("* * * *", "expected exactly 5 fields, found 4: [* * * *]");
        refuses("60 * * * *", "end of range (60) above maximum (59): 60");
        refuses("* * 0 * *", "beginning of range (0) below minimum (1): 0");
        refuses("* * * * 7", "end of range (7) above maximum (6): 7");
        refuses("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1");
        refuses("*/0 * * * *", "step of range should be a positive number: */0");
        refuses("@often", "unrecognized descriptor: @often");
        refuses("TZ=Nowhere * * * * *", "provided bad location Nowhere: unknown time zone Nowhere");
    }
}
