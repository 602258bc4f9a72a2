//! When the calls of a source, or the pods of a generator, come: a Poisson process whose rate
//! changes over time.

use crate::base::{Duration, SimTime, cast};

use super::traffic::Rate;

/// A rate turned into the instants of calls by exact inversion: the next call comes when the rate,
/// summed up over time, has grown by an exponential number of mean 1 (rule N420).
///
/// One number a call whatever the rate does, so the same numbers give the same calls wherever two
/// rates are equal.
#[derive(Clone, Debug)]
pub struct PoissonProcess {
    rate: Rate,
    /// Of a rate that never changes: the mean gap in nanoseconds.
    gap: Option<f64>,
    /// Of a rate that starts again: how many calls come in one period, on average.
    lap: Option<(Duration, f64)>,
}

/// A piece of time in which the rate is a straight line: the end, in nanoseconds, and the rates at
/// the present place and at the end, in calls a nanosecond.
struct Piece {
    end: Option<u64>,
    from: f64,
    to: f64,
}

impl PoissonProcess {
    /// Of a rate.
    #[must_use]
    pub fn new(rate: &Rate) -> Self {
        let repeat = rate.repeat.filter(|period| !period.is_zero());
        let gap = match &rate.points[..] {
            [(SimTime::ZERO, only)] if *only > 0.0 => Some(1e9 / only),
            _ => None,
        };
        let mut process = Self { rate: rate.clone(), gap, lap: None };
        process.lap = repeat.map(|period| (period, process.calls_in(period)));
        process
    }

    /// The first call after `now`, when the sum of the rate is to grow by `need`; `None`: never.
    #[must_use]
    pub fn next(&self, now: SimTime, mut need: f64) -> Option<SimTime> {
        if let Some(gap) = self.gap {
            return later(now, need * gap);
        }
        let mut at = now.as_nanos();
        if let Some((period, calls)) = self.lap {
            if calls <= 0.0 {
                return None;
            }
            let laps = (need / calls).floor();
            need -= laps * calls;
            at = at.saturating_add(period.saturating_mul(cast::u64_trunc(laps)).as_nanos());
            if at == u64::MAX {
                return None;
            }
        }
        loop {
            let piece = self.piece(at);
            let Some(end) = piece.end else {
                let at = SimTime::from_nanos(at);
                return (piece.from > 0.0).then(|| later(at, need / piece.from)).flatten();
            };
            let width = cast::f64_of_u64(end - at);
            let area = f64::midpoint(piece.from, piece.to) * width;
            if need < area {
                // need = from·x + slope·x²/2, solved for x without cancellation.
                let slope = (piece.to - piece.from) / width;
                let root = (piece.from * piece.from + 2.0 * slope * need).max(0.0).sqrt();
                let step = cast::u64_round(2.0 * need / (piece.from + root));
                return Some(SimTime::from_nanos(end.min(at + step)));
            }
            need -= area;
            at = end;
        }
    }

    /// How many calls come from the start until `until`, on average.
    fn calls_in(&self, until: Duration) -> f64 {
        let until = until.as_nanos();
        let (mut at, mut calls) = (0, 0.0);
        while at < until {
            let piece = self.piece(at);
            let end = piece.end.unwrap_or(until).min(until);
            let width = cast::f64_of_u64(end - at);
            let whole = piece.end.map_or(width, |whole| cast::f64_of_u64(whole - at));
            let to = piece.from + (piece.to - piece.from) * width / whole;
            calls += f64::midpoint(piece.from, to) * width;
            at = end;
        }
        calls
    }

    /// The piece that begins at a place. The end of a period cuts a piece short.
    fn piece(&self, at: u64) -> Piece {
        const PER_NANO: f64 = 1e-9;
        let points = &self.rate.points;
        let period = self.rate.repeat.map_or(0, Duration::as_nanos);
        let place = at.checked_rem(period).unwrap_or(at);
        let lap_end = (period > 0).then(|| at - place + period);
        let next = points.partition_point(|(t, _)| t.as_nanos() <= place);
        let point_end = points.get(next).map(|(t, _)| at - place + t.as_nanos());
        let end = point_end.into_iter().chain(lap_end).min();
        let Some((since, rate)) = next.checked_sub(1).map(|i| points[i]) else {
            return Piece { end, from: 0.0, to: 0.0 };
        };
        let line = points.get(next).filter(|_| self.rate.is_linear);
        let at_place = |place: u64| match line {
            None => rate * PER_NANO,
            Some((to, target)) => {
                let part = cast::f64_of_u64(place - since.as_nanos()) / nanos_of(*to - since);
                (rate + (target - rate) * part) * PER_NANO
            }
        };
        let to = end.map_or(rate * PER_NANO, |end| at_place(place + (end - at)));
        Piece { end, from: at_place(place), to }
    }
}

/// So many nanoseconds later; `None` beyond the end of time.
fn later(at: SimTime, nanos: f64) -> Option<SimTime> {
    let at = at.saturating_add(Duration::ns(cast::u64_round(nanos)));
    (at < SimTime::MAX).then_some(at)
}

fn nanos_of(span: Duration) -> f64 {
    cast::f64_of_u64(span.as_nanos())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn secs(at: u64) -> SimTime {
        SimTime::at(Duration::secs(at))
    }

    fn rate(points: &[(u64, f64)], is_linear: bool, repeat: Option<u64>) -> PoissonProcess {
        let points: Arc<[_]> = points.iter().map(|(at, rate)| (secs(*at), *rate)).collect();
        PoissonProcess::new(&Rate { points, is_linear, repeat: repeat.map(Duration::secs) })
    }

    #[test]
    fn a_constant_rate_has_its_gap() {
        assert_eq!(
            rate(&[(0, 4.0)], false, None).next(secs(3), 2.0),
            Some(secs(3) + Duration::ms(500))
        );
        assert_eq!(rate(&[(0, 0.0)], false, None).next(secs(3), 2.0), None);
    }

    /// 2/s until 10 s, then nothing until 20 s, then 1/s. From 9 s: 2 calls until 10 s, so the
    /// third unit of need is met at 21 s.
    #[test]
    fn steps_are_exact() {
        let steps = rate(&[(0, 2.0), (10, 0.0), (20, 1.0)], false, None);
        assert_eq!(steps.next(secs(9), 1.0), Some(secs(9) + Duration::ms(500)));
        assert_eq!(steps.next(secs(9), 3.0), Some(secs(21)));
        assert_eq!(rate(&[(0, 2.0), (10, 0.0)], false, None).next(secs(9), 3.0), None);
    }

    /// A line from 0/s to 10/s in 10 s: t²/2 calls by t.
    #[test]
    fn a_line_is_exact() {
        let line = rate(&[(0, 0.0), (10, 10.0)], true, None);
        assert_eq!(line.next(secs(0), 8.0), Some(secs(4)));
        assert_eq!(line.next(secs(4), 10.0), Some(secs(6)));
        assert_eq!(line.next(secs(0), 70.0), Some(secs(12)));
    }

    /// A triangle of 25 calls each 10 s, read again and again: a need of 102 is four periods and 2
    /// calls, which a rise of 1/s² has after 2 s.
    #[test]
    fn a_period_repeats() {
        let wave = rate(&[(0, 0.0), (5, 5.0), (10, 0.0)], true, Some(10));
        assert_eq!(wave.next(secs(0), 102.0), Some(secs(42)));
        assert_eq!(wave.next(secs(32), 23.0), Some(secs(40)));
        assert_eq!(rate(&[(0, 0.0)], false, Some(10)).next(secs(0), 1.0), None);
        assert_eq!(rate(&[(0, 1e-12)], false, Some(10)).next(secs(0), 1.0), None);
        assert_eq!(rate(&[(0, 1e-12)], false, None).next(secs(0), 1.0), None);
    }

    /// The sum of the rate between two calls is the need that was drawn.
    #[test]
    fn the_inverse_of_the_sum() {
        let wave = rate(&[(0, 3.0), (4, 7.0), (6, 0.5)], true, Some(9));
        let (mut at, step) = (secs(0), 0.37);
        for _ in 0..500 {
            at = wave.next(at, step).expect("the rate never ends");
        }
        let whole = 500.0 * step;
        let sum = wave.calls_in(at.since_start());
        assert!((sum - whole).abs() < 1e-5, "{sum} {whole}");
    }
}
