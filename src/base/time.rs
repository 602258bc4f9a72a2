//! Simulated time: an instant and a span, both whole nanoseconds.
//!
//! Instant + span is an instant, instant − instant is a span, instant + instant does not compile.
//! Overflow is a bug or a forgotten limit, so it panics with the values.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

use super::cast;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// An instant of simulated time: nanoseconds since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(u64);

/// A span of simulated time in nanoseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

impl SimTime {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens: "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The instant that many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant that far after the start.
    pub const fn at(since_start: Duration) -> Self {
        Self(since_start.0)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start, to the nearest float.
    pub const fn as_secs_f64(self) -> f64 {
        Duration(self.0).as_secs_f64()
    }

    /// The span since the start.
    pub const fn since_start(self) -> Duration {
        Duration(self.0)
    }

    /// The span from `earlier` to this instant; zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// The span from `earlier` to this instant; none when `earlier` is later.
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration)
    }

    /// The instant that much earlier; none before the start.
    pub fn checked_sub(self, span: Duration) -> Option<Self> {
        self.0.checked_sub(span.0).map(Self)
    }

    /// The instant that much earlier; the start when that would be before it.
    pub const fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The instant that much later; `MAX` when that is beyond the range.
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The whole second that it is in: what is left of a time that was stored in an object of
    /// Kubernetes.
    pub const fn floor_secs(self) -> Self {
        Self(self.0 - self.0 % NANOS_PER_SEC)
    }

    /// The first instant at or after this one that is a whole multiple of `period` after `phase`;
    /// this is when a ticker with that period fires next. A zero period means "now".
    pub fn next_tick(self, phase: Self, period: Duration) -> Self {
        if self <= phase || period.0 == 0 {
            return self.max(phase);
        }
        let past = (self.0 - phase.0) % period.0;
        if past == 0 { self } else { self + Duration(period.0 - past) }
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span, about 584 years: "for ever".
    pub const MAX: Self = Self(u64::MAX);

    /// Nanoseconds.
    pub const fn ns(count: u64) -> Self {
        Self(count)
    }

    /// Microseconds.
    ///
    /// # Panics
    /// Beyond 584 years, like all the constructors below.
    pub const fn us(count: u64) -> Self {
        Self::of(count, 1_000)
    }

    /// Milliseconds.
    pub const fn ms(count: u64) -> Self {
        Self::of(count, 1_000_000)
    }

    /// Seconds.
    pub const fn secs(count: u64) -> Self {
        Self::of(count, NANOS_PER_SEC)
    }

    /// Minutes.
    pub const fn mins(count: u64) -> Self {
        Self::of(count, 60 * NANOS_PER_SEC)
    }

    /// Hours.
    pub const fn hours(count: u64) -> Self {
        Self::of(count, 3_600 * NANOS_PER_SEC)
    }

    const fn of(count: u64, unit: u64) -> Self {
        match count.checked_mul(unit) {
            Some(nanos) => Self(nanos),
            None => panic!("span beyond 584 years"),
        }
    }

    /// Seconds, rounded to the nearest nanosecond; below zero and NaN give zero, too much `MAX`.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self(cast::u64_round(secs * 1e9))
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds, to the nearest float.
    pub const fn as_secs_f64(self) -> f64 {
        cast::f64_of_u64(self.0) / 1e9
    }

    /// Milliseconds, to the nearest float.
    pub const fn as_millis_f64(self) -> f64 {
        cast::f64_of_u64(self.0) / 1e6
    }

    /// Whole seconds, cut.
    pub const fn whole_secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// Whole milliseconds, cut.
    pub const fn whole_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// True for no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The difference; none below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The difference; zero below zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum; `MAX` beyond the range.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// That many times the span; `MAX` beyond the range.
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// The span times a non-negative factor, rounded to the nearest nanosecond, saturating.
    pub fn scale(self, factor: f64) -> Self {
        Self(cast::u64_round(cast::f64_of_u64(self.0) * factor))
    }

    /// How many times `other` goes into this span, as a float.
    pub fn ratio(self, other: Self) -> f64 {
        cast::f64_of_u64(self.0) / cast::f64_of_u64(other.0)
    }
}

impl Add<Duration> for SimTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        match self.0.checked_add(span.0) {
            Some(nanos) => Self(nanos),
            None => panic!("simulated time overflows: {self} + {span}"),
        }
    }
}

impl AddAssign<Duration> for SimTime {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for SimTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        match self.0.checked_sub(span.0) {
            Some(nanos) => Self(nanos),
            None => panic!("instant before the start of the run: {self} - {span}"),
        }
    }
}

impl Sub for SimTime {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        match self.0.checked_sub(earlier.0) {
            Some(nanos) => Duration(nanos),
            None => panic!("span below zero: {self} - {earlier}"),
        }
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        match self.0.checked_add(other.0) {
            Some(nanos) => Self(nanos),
            None => panic!("span overflows: {self} + {other}"),
        }
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Self(nanos),
            None => panic!("span below zero: {self} - {other}"),
        }
    }
}

impl SubAssign for Duration {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Mul<u64> for Duration {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        match self.0.checked_mul(factor) {
            Some(nanos) => Self(nanos),
            None => panic!("span overflows: {self} * {factor}"),
        }
    }
}

impl Div<u64> for Duration {
    type Output = Self;
    fn div(self, divisor: u64) -> Self {
        assert!(divisor != 0, "span divided by zero: {self}");
        Self(self.0 / divisor)
    }
}

impl Sum for Duration {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::ZERO, Add::add)
    }
}

/// For people: `250 ms`, `2.1 s`, `1 min 52 s`, `1 h 5 min`, `3 d 2 h`. Rounded to about three
/// digits; use [`Duration::as_secs_f64`] for files.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&human(self.0))
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A clock: `1:00`, `12:05.250`, `1:02:03`; minutes and seconds, hours when there are any, the
/// fraction in groups of three digits when there is one.
impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&clock(*self))
    }
}

impl fmt::Debug for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Rounds before it picks the unit, so that 59.96 s is `1 min` and not `60 s`.
fn human(nanos: u64) -> String {
    if nanos < 1_000 {
        return if nanos == 0 { "0 s".to_owned() } else { format!("{nanos} ns") };
    }
    for (unit, name) in [(1_000, "µs"), (1_000_000, "ms")] {
        if let Some(number) = three_digits(nanos, unit) {
            return format!("{number} {name}");
        }
    }
    let tenths = rounded(nanos, NANOS_PER_SEC / 10);
    if tenths < 600 {
        return format!("{} s", decimal(tenths, 1));
    }
    let secs = rounded(nanos, NANOS_PER_SEC);
    if secs < 3_600 {
        return two_parts(secs, (60, "min"), (1, "s"));
    }
    let mins = rounded(nanos, 60 * NANOS_PER_SEC);
    if mins < 24 * 60 {
        return two_parts(mins, (60, "h"), (1, "min"));
    }
    two_parts(rounded(nanos, 3_600 * NANOS_PER_SEC), (24, "d"), (1, "h"))
}

/// The number of units with three significant digits, or none when it rounds to 1000 or more.
fn three_digits(nanos: u64, unit: u64) -> Option<String> {
    for decimals in [2, 1, 0] {
        let scaled = rounded(nanos, unit / 10_u64.pow(decimals));
        if scaled < 1_000 {
            return Some(decimal(scaled, decimals));
        }
    }
    None
}

/// Half up.
const fn rounded(nanos: u64, unit: u64) -> u64 {
    nanos / unit + if nanos % unit >= unit.div_ceil(2) { 1 } else { 0 }
}

/// `scaled / 10^decimals` without zeros at the end of the fraction.
fn decimal(scaled: u64, decimals: u32) -> String {
    let ten = 10_u64.pow(decimals);
    let (whole, part) = (scaled / ten, scaled % ten);
    if part == 0 {
        return whole.to_string();
    }
    let width = usize::try_from(decimals).expect("few decimals");
    let text = format!("{whole}.{part:0width$}");
    text.trim_end_matches('0').to_owned()
}

fn two_parts(count: u64, big: (u64, &str), small: (u64, &str)) -> String {
    let (whole, rest) = (count / big.0, count % big.0 / small.0);
    if rest == 0 {
        return format!("{whole} {}", big.1);
    }
    format!("{whole} {} {rest} {}", big.1, small.1)
}

fn clock(at: SimTime) -> String {
    if at == SimTime::MAX {
        return "never".to_owned();
    }
    let (secs, nanos) = (at.0 / NANOS_PER_SEC, at.0 % NANOS_PER_SEC);
    let (hours, mins, secs) = (secs / 3_600, secs / 60 % 60, secs % 60);
    let whole = if hours > 0 {
        format!("{hours}:{mins:02}:{secs:02}")
    } else {
        format!("{mins}:{secs:02}")
    };
    if nanos == 0 {
        whole
    } else if nanos % 1_000_000 == 0 {
        format!("{whole}.{:03}", nanos / 1_000_000)
    } else if nanos % 1_000 == 0 {
        format!("{whole}.{:06}", nanos / 1_000)
    } else {
        format!("{whole}.{nanos:09}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        let cases = [
            (Duration::ZERO, "0 s"),
            (Duration::ns(999), "999 ns"),
            (Duration::ns(1_500), "1.5 µs"),
            (Duration::us(61), "61 µs"),
            (Duration::us(1_234), "1.23 ms"),
            (Duration::ms(250), "250 ms"),
            (Duration::ns(999_600_000), "1 s"),
            (Duration::ms(2_100), "2.1 s"),
            (Duration::secs(43), "43 s"),
            (Duration::ms(59_960), "1 min"),
            (Duration::secs(112), "1 min 52 s"),
            (Duration::mins(65), "1 h 5 min"),
            (Duration::hours(2), "2 h"),
            (Duration::hours(74), "3 d 2 h"),
        ];
        for (span, text) in cases {
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(format!("{:>6}|", Duration::secs(1)), "   1 s|");
    }

    #[test]
    fn instants_read_as_a_clock() {
        assert_eq!(SimTime::at(Duration::secs(60)).to_string(), "1:00");
        assert_eq!(SimTime::at(Duration::ms(725_250)).to_string(), "12:05.250");
        assert_eq!(SimTime::at(Duration::secs(3_723)).to_string(), "1:02:03");
        assert_eq!(SimTime::from_nanos(1_500).to_string(), "0:00.000001500");
        assert_eq!(SimTime::MAX.to_string(), "never");
    }

    #[test]
    fn arithmetic() {
        let at = SimTime::ZERO + Duration::secs(5);
        assert_eq!(at - SimTime::from_nanos(1), Duration::ns(4_999_999_999));
        assert_eq!(SimTime::ZERO.saturating_since(at), Duration::ZERO);
        assert_eq!(at.checked_sub(Duration::secs(6)), None);
        assert_eq!(Duration::secs(1) / 3, Duration::ns(333_333_333));
        assert_eq!(Duration::secs(1) * 3, Duration::ms(3_000));
        assert_eq!(Duration::from_secs_f64(0.000_000_001_5), Duration::ns(2));
        assert_eq!(Duration::from_secs_f64(-1.0), Duration::ZERO);
        assert_eq!(Duration::from_secs_f64(f64::INFINITY), Duration::MAX);
        assert_eq!(Duration::secs(2).scale(1.25), Duration::ms(2_500));
    }

    #[test]
    fn a_ticker_fires_on_multiples_after_its_phase() {
        let (phase, period) = (SimTime::at(Duration::secs(2)), Duration::secs(15));
        assert_eq!(SimTime::ZERO.next_tick(phase, period), phase);
        assert_eq!(phase.next_tick(phase, period), phase);
        let later = SimTime::from_nanos(2_000_000_001);
        assert_eq!(later.next_tick(phase, period), SimTime::at(Duration::secs(17)));
    }

    #[test]
    #[should_panic(expected = "span below zero: 0:00 - 0:01")]
    fn an_instant_minus_a_later_one_is_a_bug() {
        let _ = SimTime::ZERO - SimTime::at(Duration::secs(1));
    }
}
