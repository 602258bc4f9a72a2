//! Peak-EWMA: which pods have answered sooner of late.
//!
//! ```text
//! answer after rtt:  mean ← mean · e^(−Δt / 10 s) + rtt · (1 − e^(−Δt / 10 s))
//! score at a choice: mean · e^(−Δt / 10 s); of two pods drawn at random the lower one
//! ```
//!
//! A pod that comes new begins with the mean of the others.
//!
//! Source: ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua (rules N180, N184).

use crate::base::dist::mix;
use crate::base::math::exp;
use crate::base::{Duration, SimTime, cast};
use crate::model::PodRef;

use super::rules::one_of;

/// How soon the past is forgotten, in seconds.
const DECAY_S: f64 = 10.0;

/// What is known of the pods of one Service.
#[derive(Clone, Debug, Default)]
pub struct Ewma {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    pod: PodRef,
    /// In seconds.
    mean: f64,
    touched: SimTime,
}

impl Row {
    fn decayed(&self, rtt: f64, now: SimTime) -> f64 {
        let weight = exp(-now.saturating_since(self.touched).as_secs_f64() / DECAY_S);
        self.mean * weight + rtt * (1.0 - weight)
    }
}

impl Ewma {
    /// These pods are known from an instant on: new ones begin as the others are on average.
    pub fn welcome(&mut self, pods: &[PodRef], now: SimTime) {
        let sum: f64 = self.rows.iter().map(|row| row.mean).sum();
        let mean = sum / cast::f64_of_usize(self.rows.len().max(1));
        self.rows.retain(|row| pods.contains(&row.pod));
        for pod in pods {
            if !self.rows.iter().any(|row| row.pod == *pod) {
                self.rows.push(Row { pod: *pod, mean, touched: now });
            }
        }
    }

    /// A pod has answered after so long.
    pub fn note(&mut self, pod: PodRef, rtt: Duration, now: SimTime) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.pod == pod) {
            (row.mean, row.touched) = (row.decayed(rtt.as_secs_f64(), now), now);
        }
    }

    fn score(&self, pod: PodRef, now: SimTime) -> f64 {
        let row = self.rows.iter().find(|row| row.pod == pod);
        row.map_or(0.0, |row| row.decayed(0.0, now))
    }

    /// One of the pods, another one than `not` if there is one; `None`: there is none.
    #[must_use]
    pub fn choose(
        &self,
        pods: &[PodRef],
        not: Option<PodRef>,
        word: u64,
        now: SimTime,
    ) -> Option<PodRef> {
        let others: Vec<PodRef> = pods.iter().copied().filter(|pod| Some(*pod) != not).collect();
        let pods = if others.is_empty() { pods } else { &others };
        if pods.len() < 2 {
            return pods.first().copied();
        }
        let halves = mix(word).to_be_bytes();
        let half = |at: usize| {
            u32::from_be_bytes([halves[at], halves[at + 1], halves[at + 2], halves[at + 3]])
        };
        let first = one_of(half(0), pods.len());
        // Another one than the first.
        let second = (first + 1 + one_of(half(4), pods.len() - 1)) % pods.len();
        let is_better = self.score(pods[second], now) < self.score(pods[first], now);
        Some(pods[if is_better { second } else { first }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PodId;

    fn pod(number: u32) -> PodRef {
        PodRef { id: PodId::new(number), life: 0 }
    }

    fn at(seconds: u64) -> SimTime {
        SimTime::at(Duration::secs(seconds))
    }

    /// N184: the means by hand: 100 ms after 10 s without any weigh 1 − 1/e; of two pods the
    /// faster one is chosen always, of three the slowest one never.
    #[test]
    fn sooner_ones_are_chosen() {
        let all = [pod(0), pod(1), pod(2)];
        let mut known = Ewma::default();
        known.welcome(&all, at(0));
        for (number, ms) in [(0, 100), (1, 20), (2, 300)] {
            known.note(pod(number), Duration::ms(ms), at(10));
        }
        let expected = 0.1 * (1.0 - exp(-1.0));
        assert!((known.score(pod(0), at(10)) - expected).abs() < 1e-12);
        assert!((known.score(pod(0), at(20)) - expected * exp(-1.0)).abs() < 1e-12);
        let mut counts = [0; 3];
        for word in 0..3000 {
            let chosen = known.choose(&all, None, word, at(10)).unwrap();
            counts[usize::try_from(chosen.id.number()).unwrap()] += 1;
        }
        // Of three pairs the fastest is in two.
        assert!((1900..2100).contains(&counts[1]) && counts[2] == 0, "{counts:?}");
        for word in 0..20 {
            assert_eq!(known.choose(&all[..2], Some(pod(1)), word, at(10)), Some(pod(0)));
            assert_eq!(known.choose(&all[..1], Some(pod(0)), word, at(10)), Some(pod(0)));
        }
        assert_eq!(known.choose(&[], None, 1, at(10)), None);
        // A new one begins in the middle.
        known.welcome(&[pod(0), pod(1), pod(3)], at(10));
        let middle = (0.1 + 0.02 + 0.3) / 3.0 * (1.0 - exp(-1.0));
        assert!((known.score(pod(3), at(10)) - middle).abs() < 1e-12);
    }
}
