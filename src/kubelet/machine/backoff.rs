//! Back-off of restarts and of pulls (rules N63, N90, N92).
//!
//! Source: kubernetes v1.36.3 client-go/util/flowcontrol/backoff.go; pkg/kubelet/kubelet.go
//! `newCrashLoopBackOff` (expiry after 600 s), kuberuntime `doBackOff`.

use std::collections::BTreeMap;

use crate::base::{Duration, SimTime};

/// The first delay.
pub const BASE: Duration = Duration::secs(10);
/// The longest delay, unless a node says otherwise (rule N92).
pub const MAX: Duration = Duration::secs(300);
/// So long after its last update an entry is void.
pub const EXPIRY: Duration = Duration::secs(600);

/// Delays that double, by key.
#[derive(Clone, Debug)]
pub struct Backoff<K> {
    base: Duration,
    max: Duration,
    entries: BTreeMap<K, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    delay: Duration,
    updated: SimTime,
}

impl Entry {
    fn is_void(self, at: SimTime) -> bool {
        at.saturating_since(self.updated) > EXPIRY
    }
}

impl<K: Ord + Clone> Backoff<K> {
    /// No delays yet; none will be longer than `max`, and neither will the first.
    #[must_use]
    pub fn new(max: Duration) -> Self {
        Self { base: BASE.min(max), max, entries: BTreeMap::new() }
    }

    /// Until when what happened at `event` delays the key, if that is not over.
    #[must_use]
    pub fn blocked_since(&self, key: &K, event: SimTime, now: SimTime) -> Option<SimTime> {
        let entry = self.entries.get(key).filter(|entry| !entry.is_void(event))?;
        let until = event.saturating_add(entry.delay);
        (now < until).then_some(until)
    }

    /// Until when the key is delayed, counted from its last update.
    #[must_use]
    pub fn blocked(&self, key: &K, now: SimTime) -> Option<SimTime> {
        let entry = self.entries.get(key).filter(|entry| !entry.is_void(now))?;
        let until = entry.updated.saturating_add(entry.delay);
        (now < until).then_some(until)
    }

    /// It happened again, at `event`: the delay doubles, or is the first again.
    pub fn push(&mut self, key: K, event: SimTime, now: SimTime) {
        let (base, max) = (self.base, self.max);
        let next = Entry { delay: base, updated: now };
        let entry = self.entries.entry(key).or_insert(Entry { delay: Duration::ZERO, ..next });
        let goes_on = !entry.delay.is_zero() && !entry.is_void(event);
        let delay = if goes_on { entry.delay.saturating_mul(2).min(max) } else { base };
        *entry = Entry { delay, updated: now };
    }

    /// The delay of a key; zero if there is none.
    #[must_use]
    pub fn delay(&self, key: &K) -> Duration {
        self.entries.get(key).map_or(Duration::ZERO, |entry| entry.delay)
    }

    /// When the next entry is void: from then on [`Backoff::clean`] drops it.
    #[must_use]
    pub fn next_void(&self) -> Option<SimTime> {
        let void = |entry: &Entry| entry.updated.saturating_add(EXPIRY + Duration::ns(1));
        self.entries.values().map(void).min()
    }

    /// Housekeeping drops what is void (each 2 s; the image back-off after each pull).
    pub fn clean(&mut self, now: SimTime) {
        self.entries.retain(|_, entry| !entry.is_void(now));
    }

    /// Forgets the keys that `is_gone`.
    pub fn forget(&mut self, is_gone: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| !is_gone(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> SimTime {
        SimTime::at(Duration::secs(secs))
    }

    /// Rule N90: none, 10, 20, 40 … 300 s.
    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::new(MAX);
        assert_eq!(backoff.blocked_since(&1, at(5), at(5)), None, "the first is immediate");
        let mut now = at(5);
        let mut delays = Vec::new();
        for _ in 0..7 {
            backoff.push(1, now, now);
            let until = backoff.blocked_since(&1, now, now).expect("a delay");
            delays.push(until.saturating_since(now).whole_secs());
            now = until;
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
    }

    /// Rule N90: 600 s after the last update the first delay counts again.
    #[test]
    fn a_long_run_begins_again() {
        let mut backoff = Backoff::new(MAX);
        backoff.push((), at(0), at(0));
        backoff.push((), at(10), at(10));
        assert_eq!(backoff.delay(&()), Duration::secs(20));
        backoff.clean(at(610));
        assert_eq!(backoff.delay(&()), Duration::secs(20));
        backoff.push((), at(611), at(611));
        assert_eq!(backoff.delay(&()), Duration::secs(10));
        backoff.clean(at(1212));
        assert_eq!(backoff.next_void(), None);
    }

    /// Rule N92: a node may allow less than the first delay.
    #[test]
    fn a_node_may_shorten_the_delays() {
        let mut backoff = Backoff::new(Duration::secs(7));
        backoff.push((), at(0), at(0));
        assert_eq!(backoff.delay(&()), Duration::secs(7));
    }
}
