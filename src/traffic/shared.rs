//! Calls that share a server: processor sharing, and the CPU of a container with its quota.
//!
//! All calls in service advance at one speed, which hangs on their number or on the CPU that they
//! want together. So one clock a server, that of the work which each has got, says who is done:
//! the call with the least mark. The next end is computed, with all the freezes before it; nothing
//! ticks.
//!
//! Source of the quota: rule N97 (CFS bandwidth control: a period of 100 ms, a quota of the limit
//! times that, at least 1 ms; a period begins when a group that was idle runs again).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::{Duration, SimTime, cast};
use crate::event::CallId;

/// Rates of CPU are in 2⁻¹⁶ of a core.
pub(super) const RATE_SHIFT: u32 = 16;
/// Work that is closer to its end than this, in seconds, is done.
const DONE: f64 = 1e-9;
const PERIOD: Duration = Duration::ms(100);

/// How the calls share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rule {
    /// Each gets one part in n of the server.
    Evenly,
    /// They use the CPU of so many cores, and of a limit if there is one, both in cores.
    Cpu {
        /// What the machine has for them.
        cores: f64,
        /// The container's limit.
        limit: Option<f64>,
    },
}

/// The calls in service of one server.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    rule: Rule,
    /// Work that each call has got since the server was idle last, in seconds.
    done: f64,
    at: SimTime,
    marks: BinaryHeap<Reverse<Mark>>,
    /// CPU that all want together, in 2⁻¹⁶ of a core.
    wanted: u64,
    /// CPU time that is left in this period, in seconds.
    left: f64,
    period_ends: SimTime,
    /// CPU time used, in seconds.
    used: f64,
    /// When an event will look next.
    pub(super) armed: SimTime,
}

/// When a call is done, by the server's clock.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: f64,
    call: CallId,
    rate: u32,
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Mark {}
impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Mark {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.total_cmp(&other.at).then(self.call.cmp(&other.call))
    }
}

impl Shared {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            done: 0.0,
            at: SimTime::ZERO,
            marks: BinaryHeap::new(),
            wanted: 0,
            left: 0.0,
            period_ends: SimTime::ZERO,
            used: 0.0,
            armed: SimTime::MAX,
        }
    }

    /// The container may use so many cores from now on: a period begins with a new quota, as the
    /// kernel has it (`tg_set_cfs_bandwidth`).
    pub(super) fn set_limit(&mut self, to: Option<f64>, now: SimTime) {
        self.advance(now);
        let Rule::Cpu { limit, .. } = &mut self.rule else { return };
        if *limit == to {
            return;
        }
        *limit = to;
        if let Some(quota) = self.quota() {
            self.left = quota;
            self.period_ends = now + PERIOD;
        }
    }

    /// The machine has so many cores for it from now on. Gives whether that is another number.
    pub(super) fn set_cores(&mut self, to: f64, now: SimTime) -> bool {
        let Rule::Cpu { cores, .. } = self.rule else { return false };
        let is_other = cores.total_cmp(&to).is_ne();
        if is_other {
            self.advance(now);
            if let Rule::Cpu { cores, .. } = &mut self.rule {
                *cores = to;
            }
        }
        is_other
    }

    /// The CPU that its calls would use on a machine of their own, in 2⁻¹⁶ of a core; `None`: it
    /// does not take CPU from others.
    pub(super) fn demand(&self) -> Option<u64> {
        match self.rule {
            Rule::Evenly => None,
            Rule::Cpu { limit, .. } => {
                let limit =
                    limit.map(|cores| cast::u64_trunc(cores * f64::from(1_u32 << RATE_SHIFT)));
                Some(self.wanted.min(limit.unwrap_or(u64::MAX)))
            }
        }
    }

    /// Takes a call that needs so much work and uses CPU at a rate meanwhile.
    pub(super) fn add(&mut self, call: CallId, work: Duration, rate: u32, now: SimTime) {
        self.advance(now);
        if self.marks.is_empty() {
            self.done = 0.0;
            if let Some(quota) = self.quota().filter(|_| now >= self.period_ends) {
                self.left = quota;
                self.period_ends = now + PERIOD;
            }
        }
        self.wanted += u64::from(rate);
        self.marks.push(Reverse(Mark { at: self.done + work.as_secs_f64(), call, rate }));
    }

    /// A call that is done by now, if there is one.
    pub(super) fn take_done(&mut self, now: SimTime) -> Option<CallId> {
        self.advance(now);
        let next = self.marks.peek().filter(|mark| mark.0.at <= self.done + DONE)?.0;
        self.marks.pop();
        self.wanted -= u64::from(next.rate);
        Some(next.call)
    }

    /// Forgets all calls.
    pub(super) fn clear(&mut self, now: SimTime) {
        self.advance(now);
        self.marks.clear();
        self.wanted = 0;
    }

    /// CPU time used.
    pub(super) fn used(&self, now: SimTime) -> Duration {
        if now == self.at {
            return Duration::from_secs_f64(self.used);
        }
        let mut then = Self { marks: BinaryHeap::new(), ..*self };
        then.advance_by(now, self.marks.len());
        Duration::from_secs_f64(then.used)
    }

    /// When the next call will be done if none comes.
    pub(super) fn next_end(&self) -> Option<SimTime> {
        let need = (self.marks.peek()?.0.at - self.done).max(0.0);
        let (speed, using) = self.speed(self.marks.len());
        let after = |secs: f64| self.at.saturating_add(ceil(secs));
        let Some(quota) = self.quota().filter(|_| using > 0.0) else {
            return Some(after(need / speed));
        };
        let here = (self.period_ends - self.at).as_secs_f64().min(self.left / using);
        if need / speed <= here {
            return Some(after(need / speed));
        }
        let (period, need) = (PERIOD.as_secs_f64(), need - here * speed);
        let each = (quota / using).min(period) * speed;
        let whole = ((need / each).ceil() - 1.0).max(0.0);
        let rest = (need - whole * each) / speed;
        let from = self.period_ends.saturating_add(PERIOD.saturating_mul(cast::u64_trunc(whole)));
        Some(from.saturating_add(ceil(rest)))
    }

    /// The speed of each call and the CPU that all use, while they run.
    fn speed(&self, count: usize) -> (f64, f64) {
        let wanted = cast::f64_of_u64(self.wanted) / f64::from(1_u32 << RATE_SHIFT);
        match self.rule {
            Rule::Evenly => {
                let part = 1.0 / cast::f64_of_usize(count.max(1));
                (part, wanted * part)
            }
            Rule::Cpu { cores, .. } if wanted > cores => (cores / wanted, cores),
            Rule::Cpu { .. } => (1.0, wanted),
        }
    }

    fn quota(&self) -> Option<f64> {
        match self.rule {
            Rule::Cpu { limit: Some(limit), .. } => Some((limit * PERIOD.as_secs_f64()).max(0.001)),
            Rule::Cpu { limit: None, .. } | Rule::Evenly => None,
        }
    }

    fn advance(&mut self, now: SimTime) {
        self.advance_by(now, self.marks.len());
    }

    fn advance_by(&mut self, now: SimTime, count: usize) {
        if count == 0 || now <= self.at {
            self.at = self.at.max(now);
            return;
        }
        let (speed, using) = self.speed(count);
        let Some(quota) = self.quota().filter(|_| using > 0.0) else {
            let run = (now - self.at).as_secs_f64();
            (self.done, self.used) = (self.done + run * speed, self.used + run * using);
            self.at = now;
            return;
        };
        while self.at < now {
            let to = now.min(self.period_ends);
            let run = to.saturating_since(self.at).as_secs_f64().min(self.left.max(0.0) / using);
            self.run(run, speed, using);
            self.at = self.at.max(to);
            if self.at >= self.period_ends {
                let each = (quota / using).min(PERIOD.as_secs_f64());
                let whole = (now - self.at).as_nanos() / PERIOD.as_nanos();
                self.run(each * cast::f64_of_u64(whole), speed, using);
                self.at += PERIOD.saturating_mul(whole);
                (self.left, self.period_ends) = (quota, self.at + PERIOD);
            }
        }
    }

    fn run(&mut self, secs: f64, speed: f64, using: f64) {
        self.done += secs * speed;
        self.used += secs * using;
        self.left -= secs * using;
    }
}

/// A span that is not shorter, in whole nanoseconds.
fn ceil(secs: f64) -> Duration {
    Duration::ns(cast::u64_trunc((secs * 1e9 - 1e-3).ceil().max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> SimTime {
        SimTime::at(Duration::ms(at))
    }

    /// Starts calls (at, work, milli-CPU) and gives when each ends, in ms.
    fn ends(rule: Rule, calls: &[(u64, u64, u32)]) -> Vec<f64> {
        let mut shared = Shared::new(rule);
        let mut ends = vec![0.0; calls.len()];
        let mut left = (0_u32..).zip(calls).peekable();
        loop {
            let next = shared.next_end();
            match left.peek() {
                Some((_, (at, ..))) if next.is_none_or(|end| ms(*at) < end) => {
                    let (id, (at, work, milli)) = left.next().unwrap();
                    let rate = (milli << RATE_SHIFT) / 1000;
                    shared.add(CallId::new(id), Duration::ms(*work), rate, ms(*at));
                }
                _ => {
                    let Some(end) = next else { return ends };
                    while let Some(call) = shared.take_done(end) {
                        ends[call.number() as usize] = end.since_start().as_millis_f64();
                    }
                }
            }
        }
    }

    /// Two calls of 100 ms, the second 50 ms later: 50 ms alone, then half as fast until 150 ms.
    #[test]
    fn evenly() {
        assert_eq!(ends(Rule::Evenly, &[(0, 100, 0), (50, 100, 0)]), [150.0, 200.0]);
    }

    /// N448: 150 ms of one thread at half a core: 50 ms run, 50 ms frozen, 50, 50, 50.
    #[test]
    fn a_thread_at_half_a_core() {
        let half = Rule::Cpu { cores: 8.0, limit: Some(0.5) };
        assert_eq!(ends(half, &[(0, 150, 1000)]), [250.0]);
        // A period begins with the work of a group that was idle.
        assert_eq!(ends(half, &[(30, 150, 1000)]), [280.0]);
        // Within its quota nobody is frozen.
        assert_eq!(ends(half, &[(0, 300, 500)]), [300.0]);
    }

    /// N97: two threads at one core use the quota of 100 ms up in 50 ms, all freeze.
    #[test]
    fn two_threads_at_one_core() {
        let one = Rule::Cpu { cores: 8.0, limit: Some(1.0) };
        assert_eq!(ends(one, &[(0, 100, 1000), (0, 100, 1000)]), [150.0, 150.0]);
        // Ten periods of 50 ms: the last run ends within the tenth.
        assert_eq!(ends(one, &[(0, 500, 1000), (0, 500, 1000)]), [950.0, 950.0]);
    }

    /// Four threads on two cores without a limit are half as fast.
    #[test]
    fn too_few_cores() {
        let two = Rule::Cpu { cores: 2.0, limit: None };
        assert_eq!(ends(two, &[(0, 100, 1000); 4]), [200.0; 4]);
    }

    #[test]
    fn cpu_that_was_used() {
        let mut shared = Shared::new(Rule::Cpu { cores: 8.0, limit: Some(0.5) });
        shared.add(CallId::new(0), Duration::secs(1), 1 << RATE_SHIFT, ms(0));
        for (at, used) in [(20, 20.0), (50, 50.0), (90, 50.0), (110, 60.0), (1090, 550.0)] {
            assert!((shared.used(ms(at)).as_millis_f64() - used).abs() < 1e-3, "at {at} ms");
        }
    }
}
