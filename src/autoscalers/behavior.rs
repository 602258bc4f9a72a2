//! From what the metrics ask for to what is written: stabilisation, limits, and their memory.
//!
//! Source: kubernetes v1.36.3 pkg/controller/podautoscaler/horizontal.go (rules A7 to A19, A46 to
//! A60).

use std::cmp::Ordering;

use crate::base::{Duration, SimTime, cast};
use crate::cluster::HpaStatus;
use crate::model::{HpaBehavior, HpaMetric, HpaPolicy, HpaRules, HpaSpec, SelectPolicy};

/// What the controller remembers of one autoscaler, in its own memory only (rule A4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the metrics asked for, and when; slots are used again.
    recommendations: Vec<(SimTime, i64)>,
    ups: Vec<(SimTime, i64)>,
    downs: Vec<(SimTime, i64)>,
}

/// What all metrics together ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Combined {
    /// Replicas; at least 0.
    pub replicas: i64,
    /// Why it would rise: the name of the metric that asked for most, with "above target".
    pub above: &'static str,
    /// Reason of the first invalid metric, if one was.
    pub failed: Option<&'static str>,
}

/// What one metric asks for: a number and [`Combined::above`], or the reason of its failure.
pub type Asked = Result<(i64, &'static str), &'static str>;

/// What comes of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is written.
    Keep,
    /// Another number is written.
    Scale {
        /// Which.
        to: i64,
        /// What the metrics asked for; on the branches without metrics the same as `to`.
        raw: i64,
        /// Why, as the event says.
        reason: &'static str,
    },
}

/// One look at an autoscaler.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// What is declared.
    pub spec: &'a HpaSpec,
    /// `spec.replicas` of what it scales.
    pub current: i64,
    /// The present instant.
    pub now: SimTime,
    /// The controller's own downscale stabilisation (rule A5).
    pub window: Duration,
    /// The gate HPAScaleToZero (rule A17).
    pub scales_to_zero: bool,
}

/// The largest proposal counts. Invalid metrics forbid a step down, and all of them any step.
///
/// # Errors
/// The reason of the first invalid metric, if nothing may be done.
/// Source: horizontal.go `computeReplicasForMetrics` (rules A46, A47).
pub fn combine(
    asked: impl IntoIterator<Item = Asked>,
    current: i64,
) -> Result<Combined, &'static str> {
    let mut best: Option<(i64, &'static str)> = None;
    let mut failed = None;
    for one in asked {
        match one {
            Ok((replicas, name)) => {
                if best.is_none_or(|(most, _)| most <= 0 || replicas > most) {
                    best = Some((replicas, name));
                }
            }
            Err(reason) => failed = failed.or(Some(reason)),
        }
    }
    match (best, failed) {
        (None, reason) => Err(reason.unwrap_or("InvalidMetricSourceType")),
        (Some((replicas, _)), Some(reason)) if replicas < current => Err(reason),
        (Some((replicas, above)), failed) => Ok(Combined { replicas, above, failed }),
    }
}

impl Look<'_> {
    /// Decides; `metrics` is asked only where the branch needs it. Sets the conditions of the status
    /// and the numbers of a look that writes none; [`written`](Self::written) does the rest.
    ///
    /// Source: horizontal.go `reconcileAutoscaler`, `shouldComputeMetricsForZeroReplicas` (rules A7
    /// to A18).
    pub fn decide(
        &self,
        memory: &mut Memory,
        status: &mut HpaStatus,
        metrics: impl FnOnce() -> Result<Combined, &'static str>,
    ) -> Verdict {
        status.able_reason = "SucceededGetScale";
        if memory.recommendations.is_empty() {
            memory.recommendations.push((self.now, self.current));
        }
        let (min, max) = (i64::from(self.spec.replicas_min), i64::from(self.spec.replicas_max));
        status.current = count(self.current);
        if !self.scales_to_zero {
            status.scaled_to_zero = None;
        }
        let verdict = if self.current == 0 && !self.leaves_zero(status) {
            status.active_reason = "ScalingDisabled";
            Verdict::Keep
        } else if self.current > max {
            clamp(max, "Current number of replicas above Spec.MaxReplicas")
        } else if self.current > 0 && self.current < min {
            clamp(min, "Current number of replicas below Spec.MinReplicas")
        } else {
            match metrics() {
                Ok(combined) => self.follow(combined, memory, status),
                Err(reason) => {
                    status.active_reason = reason;
                    return Verdict::Keep;
                }
            }
        };
        if verdict == Verdict::Keep {
            status.desired = status.current;
        }
        verdict
    }

    /// Whether metrics may bring it back from zero: only where it was the autoscaler that went
    /// there (rule A18).
    fn leaves_zero(&self, status: &HpaStatus) -> bool {
        let was_own = self.scales_to_zero && status.scaled_to_zero == Some(true);
        was_own && (self.spec.replicas_min != 0 || self.has_outside_metric())
    }

    /// Whether a metric has a value without pods.
    fn has_outside_metric(&self) -> bool {
        let is_outside =
            |m: &HpaMetric| matches!(m, HpaMetric::Object { .. } | HpaMetric::External { .. });
        self.spec.metrics.iter().any(is_outside)
    }

    /// Notes that the number asked for was written.
    ///
    /// Source: horizontal.go `reconcileAutoscaler`, `storeScaleEvent`, `markScaleEventsOutdated`
    /// (rules A13, A18, A54).
    pub fn written(&self, to: i64, memory: &mut Memory, status: &mut HpaStatus) {
        status.able_reason = "SucceededRescale";
        status.desired = count(to);
        status.last_scale = Some(self.now);
        if self.scales_to_zero {
            let has_gone = self.current > 0 && to == 0 && self.spec.replicas_min == 0;
            status.scaled_to_zero = Some(has_gone && self.has_outside_metric());
        }
        let Some(behavior) = &self.spec.behavior else {
            return;
        };
        let (rules, steps) = if to > self.current {
            (&behavior.up, &mut memory.ups)
        } else {
            (&behavior.down, &mut memory.downs)
        };
        let longest = rules.policies.iter().map(|policy| policy.period).max();
        let cutoff = self.cutoff(longest.unwrap_or(Duration::ZERO));
        let step = (self.now, (to - self.current).abs());
        remember(steps, step, |at| is_before(at, cutoff));
    }

    fn follow(&self, asked: Combined, memory: &mut Memory, status: &mut HpaStatus) -> Verdict {
        status.active_reason = "ValidMetricFound";
        let raw = asked.replicas.max(0);
        let to = match &self.spec.behavior {
            None => self.normalise(raw, memory, status),
            Some(behavior) => self.normalise_by(behavior, raw, memory, status),
        };
        // From zero it goes to the least number at once (rule A19).
        let to = if self.current == 0 { to.max(i64::from(self.spec.replicas_min)) } else { to };
        let reason = match raw.cmp(&self.current) {
            Ordering::Greater => asked.above,
            Ordering::Less => "All metrics below target",
            Ordering::Equal => "",
        };
        if to == self.current {
            return Verdict::Keep;
        }
        Verdict::Scale { to, raw, reason }
    }

    /// Without `behavior`.
    ///
    /// Source: horizontal.go `normalizeDesiredReplicas`, `stabilizeRecommendation`,
    /// `convertDesiredReplicasWithRules` (rules A49, A50).
    fn normalise(&self, raw: i64, memory: &mut Memory, status: &mut HpaStatus) -> i64 {
        let cutoff = self.cutoff(self.window);
        let kept = memory.recommendations.iter().filter(|(at, _)| !is_before(*at, cutoff));
        let stable = kept.map(|(_, n)| *n).max().unwrap_or(raw).max(raw);
        let is_old = |at| is_before(at, cutoff);
        remember(&mut memory.recommendations, (self.now, raw), is_old);
        status.able_reason = if stable == raw { "ReadyForNewScale" } else { "ScaleDownStabilized" };
        let (min, max) = (i64::from(self.spec.replicas_min), i64::from(self.spec.replicas_max));
        let limit = (2 * self.current).max(4);
        let (to, reason) = if stable < min {
            (min, "TooFewReplicas")
        } else if stable > max.min(limit) {
            let reason = if max > limit { "ScaleUpLimit" } else { "TooManyReplicas" };
            (max.min(limit), reason)
        } else {
            (stable, "DesiredWithinRange")
        };
        limited(status, to != stable, reason);
        to
    }

    /// With `behavior`.
    ///
    /// Source: horizontal.go `normalizeDesiredReplicasWithBehaviors` (rules A51, A52).
    fn normalise_by(
        &self,
        behavior: &HpaBehavior,
        raw: i64,
        memory: &mut Memory,
        status: &mut HpaStatus,
    ) -> i64 {
        let stable = self.stabilise(behavior, raw, memory);
        status.able_reason = match (stable == raw, raw >= self.current) {
            (true, _) => "ReadyForNewScale",
            (false, true) => "ScaleUpStabilized",
            (false, false) => "ScaleDownStabilized",
        };
        let (to, reason) = self.limit(behavior, stable, memory);
        limited(status, to != stable, reason);
        to
    }

    /// Source: horizontal.go `stabilizeRecommendationWithBehaviors` (rules A52, A53).
    fn stabilise(&self, behavior: &HpaBehavior, raw: i64, memory: &mut Memory) -> i64 {
        let up = self.cutoff(behavior.up.window.unwrap_or(Duration::ZERO));
        let down = self.cutoff(behavior.down.window.unwrap_or(self.window));
        let after = |cutoff| {
            let all = memory.recommendations.iter();
            all.filter(move |(at, _)| is_after(*at, cutoff)).map(|(_, n)| *n)
        };
        let low = after(up).fold(raw, i64::min);
        let high = after(down).fold(raw, i64::max);
        let is_old = |at| is_before(at, up) && is_before(at, down);
        remember(&mut memory.recommendations, (self.now, raw), is_old);
        self.current.max(low).min(high)
    }

    /// Source: horizontal.go `convertDesiredReplicasWithBehaviorRate` (rules A56 to A58).
    fn limit(&self, behavior: &HpaBehavior, wanted: i64, memory: &Memory) -> (i64, &'static str) {
        if wanted > self.current {
            let limit = self.rate_limit(&behavior.up, Way::Up, memory);
            let limit = limit.max(self.current);
            let max = i64::from(self.spec.replicas_max);
            if wanted > max.min(limit) {
                let reason = if max > limit { "ScaleUpLimit" } else { "TooManyReplicas" };
                return (max.min(limit), reason);
            }
        } else if wanted < self.current {
            let limit = self.rate_limit(&behavior.down, Way::Down, memory);
            let limit = limit.min(self.current);
            let min = i64::from(self.spec.replicas_min);
            if wanted < min.max(limit) {
                let reason = if min < limit { "ScaleDownLimit" } else { "TooFewReplicas" };
                return (min.max(limit), reason);
            }
        }
        (wanted, "DesiredWithinRange")
    }

    /// How far the policies of one direction let it go.
    ///
    /// Source: horizontal.go `calculateScaleUpLimitWithScalingRules`,
    /// `calculateScaleDownLimitWithBehaviors`, `getReplicasChangePerPeriod` (rules A55 to A57).
    fn rate_limit(&self, rules: &HpaRules, way: Way, memory: &Memory) -> i64 {
        let limits = rules.policies.iter().map(|policy| {
            let cutoff = self.cutoff(policy.period);
            let recent = |steps: &[(SimTime, i64)]| -> i64 {
                let recent = steps.iter().filter(|(at, _)| is_after(*at, cutoff));
                recent.map(|(_, n)| n).sum()
            };
            let base = self.current - recent(&memory.ups) + recent(&memory.downs);
            way.proposal(policy, base)
        });
        let limit = match (rules.select, way) {
            (SelectPolicy::Disabled, _) => None,
            (SelectPolicy::Max, Way::Up) | (SelectPolicy::Min, Way::Down) => limits.max(),
            (SelectPolicy::Min, Way::Up) | (SelectPolicy::Max, Way::Down) => limits.min(),
        };
        limit.unwrap_or(self.current)
    }

    /// The instant so long ago; `None`: before the run.
    fn cutoff(&self, window: Duration) -> Option<SimTime> {
        self.now.checked_sub(window)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Way {
    /// How far one policy lets it go from `base` replicas, in the original's order of doubles:
    /// 10 % of 100 upwards is 111 (rules A56, A57, A59).
    fn proposal(self, policy: &HpaPolicy, base: i64) -> i64 {
        let value = policy.value;
        match (self, policy.is_percent) {
            (Self::Up, false) => base + i64::from(value),
            (Self::Down, false) => base - i64::from(value),
            (Self::Up, true) => {
                let factor = 1.0 + f64::from(value) / 100.0;
                cast::i64_trunc((cast::f64_of_i64(base) * factor).ceil())
            }
            (Self::Down, true) => {
                let factor = 1.0 - f64::from(value) / 100.0;
                cast::i64_trunc(cast::f64_of_i64(base) * factor)
            }
        }
    }
}

/// Stores an entry in the slot of the last one that is old, else at the end (rules A49, A52, A54).
fn remember(
    entries: &mut Vec<(SimTime, i64)>,
    entry: (SimTime, i64),
    is_old: impl Fn(SimTime) -> bool,
) {
    match entries.iter().rposition(|(at, _)| is_old(*at)) {
        Some(slot) => entries[slot] = entry,
        None => entries.push(entry),
    }
}

fn is_before(at: SimTime, cutoff: Option<SimTime>) -> bool {
    cutoff.is_some_and(|cutoff| at < cutoff)
}

fn is_after(at: SimTime, cutoff: Option<SimTime>) -> bool {
    cutoff.is_none_or(|cutoff| at > cutoff)
}

fn clamp(to: i64, reason: &'static str) -> Verdict {
    Verdict::Scale { to, raw: to, reason }
}

fn limited(status: &mut HpaStatus, is_limited: bool, reason: &'static str) {
    (status.is_limited, status.limited_reason) = (is_limited, reason);
}

fn count(replicas: i64) -> u32 {
    u32::try_from(replicas).expect("a number of replicas is never negative")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Interner;
    use crate::model::{HpaTarget, ObjectName};

    fn spec(min: u32, max: u32, behavior: Option<HpaBehavior>) -> HpaSpec {
        let web = Interner::new().intern("web");
        HpaSpec {
            name: ObjectName { namespace: web, name: web },
            target: HpaTarget::Deployment(web),
            replicas_min: min,
            replicas_max: max,
            metrics: Vec::new(),
            behavior,
        }
    }

    fn rules(window: u64, select: SelectPolicy, policies: &[(bool, i32, u64)]) -> HpaRules {
        let policy = |(is_percent, value, secs): &(bool, i32, u64)| HpaPolicy {
            is_percent: *is_percent,
            value: *value,
            period: Duration::secs(*secs),
        };
        HpaRules {
            window: Some(Duration::secs(window)),
            select,
            policies: policies.iter().map(policy).collect(),
            tolerance: None,
        }
    }

    /// The defaults of rule A60.
    fn standard() -> HpaBehavior {
        let mut down = rules(0, SelectPolicy::Max, &[(true, 100, 15)]);
        down.window = None;
        HpaBehavior { up: rules(0, SelectPolicy::Max, &[(false, 4, 15), (true, 100, 15)]), down }
    }

    struct Case {
        spec: HpaSpec,
        memory: Memory,
        status: HpaStatus,
        current: i64,
        gate: bool,
    }

    impl Case {
        fn new(spec: HpaSpec, current: i64) -> Self {
            let (memory, status) = (Memory::default(), HpaStatus::default());
            Self { spec, memory, status, current, gate: false }
        }

        /// A look at so many seconds with metrics that ask for `raw`; gives the number then.
        fn look(&mut self, secs: u64, raw: i64) -> i64 {
            let look = Look {
                spec: &self.spec,
                current: self.current,
                now: SimTime::ZERO + Duration::secs(secs),
                window: Duration::secs(300),
                scales_to_zero: self.gate,
            };
            let asked = Combined { replicas: raw, above: "cpu above target", failed: None };
            let verdict = look.decide(&mut self.memory, &mut self.status, || Ok(asked));
            if let Verdict::Scale { to, .. } = verdict {
                look.written(to, &mut self.memory, &mut self.status);
                self.current = to;
            }
            self.current
        }
    }

    #[test]
    fn without_behavior_it_doubles_at_most() {
        let mut case = Case::new(spec(1, 50, None), 1);
        assert_eq!(case.look(0, 30), 4); // max(2 · 1, 4)
        assert_eq!(case.status.limited_reason, "ScaleUpLimit");
        assert_eq!(case.look(15, 30), 8);
        assert_eq!(case.look(30, 30), 16);
        assert_eq!(case.look(45, 99), 32);
        assert_eq!(case.look(60, 99), 50);
        assert_eq!(case.status.limited_reason, "TooManyReplicas");
    }

    /// Rule A49: the window is inclusive at its old edge.
    #[test]
    fn the_way_down_waits_five_minutes() {
        let mut case = Case::new(spec(1, 50, None), 10);
        assert_eq!(case.look(0, 10), 10);
        assert_eq!(case.look(15, 3), 10);
        assert_eq!(case.status.able_reason, "ScaleDownStabilized");
        assert_eq!(case.look(300, 3), 10);
        assert_eq!(case.look(301, 3), 3);
        assert_eq!(case.status.able_reason, "SucceededRescale");
    }

    /// Rule A9.
    #[test]
    fn the_limits_are_kept_in_one_step() {
        let mut case = Case::new(spec(2, 5, Some(standard())), 40);
        assert_eq!(case.look(0, 99), 5);
        case.current = 1;
        assert_eq!(case.look(15, 99), 2);
        case.current = 0;
        assert_eq!(case.look(30, 99), 0);
        assert_eq!(case.status.active_reason, "ScalingDisabled");
    }

    /// Rules A18, A19: with the gate it comes back from a zero of its own, not from another's.
    #[test]
    fn with_the_gate_it_goes_to_zero_and_comes_back() {
        let mut spec = spec(0, 9, Some(standard()));
        let mut case = Case::new(spec.clone(), 2);
        (case.gate, case.current) = (true, 0);
        assert_eq!(case.look(0, 5), 0);
        assert_eq!(case.status.active_reason, "ScalingDisabled", "somebody else went to zero");
        spec.metrics = vec![HpaMetric::External {
            name: spec.name.name,
            target: crate::model::HpaGoal::Value(1000),
        }];
        let mut case = Case::new(spec, 2);
        case.gate = true;
        case.look(0, 2);
        assert_eq!((case.look(301, 0), case.status.scaled_to_zero), (0, Some(true)));
        assert_eq!(case.look(316, 0), 0);
        assert_eq!(case.status.active_reason, "ValidMetricFound");
        case.spec.replicas_min = 3;
        assert_eq!((case.look(331, 1), case.status.scaled_to_zero), (3, Some(false)));
        case.gate = false;
        case.current = 0;
        assert_eq!((case.look(346, 5), case.status.scaled_to_zero), (0, None));
    }

    #[test]
    fn the_standard_behavior_adds_four_or_doubles() {
        let mut case = Case::new(spec(1, 100, Some(standard())), 1);
        assert_eq!(case.look(0, 90), 5); // max(1 + 4, 2)
        // 15 s later the step is out of the period: max(5 + 4, 10)
        assert_eq!(case.look(15, 90), 10);
        // 5 s later it is in: base 10 − 5 = 5, limit 10: nothing
        assert_eq!(case.look(20, 90), 10);
        assert_eq!(case.status.limited_reason, "ScaleUpLimit");
    }

    /// Rule A57: 10 % of 5 down is ⌊4.5⌋.
    #[test]
    fn percent_downwards_is_cut() {
        let behavior =
            HpaBehavior { up: standard().up, down: rules(0, SelectPolicy::Max, &[(true, 10, 60)]) };
        let mut case = Case::new(spec(1, 100, Some(behavior)), 5);
        assert_eq!(case.look(0, 1), 4);
        assert_eq!(case.status.limited_reason, "ScaleDownLimit");
        // base 4 + 1 = 5: limit 4
        assert_eq!(case.look(15, 1), 4);
        assert_eq!(case.look(60, 1), 3); // ⌊3.6⌋
    }

    /// Rule A59.
    #[test]
    fn percent_is_of_doubles() {
        let ten = HpaPolicy { is_percent: true, value: 10, period: Duration::secs(15) };
        assert_eq!(Way::Up.proposal(&ten, 100), 111);
        assert_eq!(Way::Up.proposal(&ten, 10), 11);
    }

    /// Rule A52: up follows the least, down the most of its window; the first recommendation is
    /// what there was.
    #[test]
    fn windows_hold_both_ways() {
        let behavior = HpaBehavior {
            up: rules(30, SelectPolicy::Max, &[(true, 900, 15)]),
            down: rules(60, SelectPolicy::Max, &[(true, 100, 15)]),
        };
        let mut case = Case::new(spec(1, 100, Some(behavior)), 5);
        assert_eq!(case.look(0, 20), 5);
        assert_eq!(case.status.able_reason, "ScaleUpStabilized");
        assert_eq!(case.look(15, 10), 5);
        // The entry of 0 s is exactly at the cutoff: out. The least is 10.
        assert_eq!(case.look(30, 30), 10);
        assert_eq!(case.look(45, 2), 10);
        assert_eq!(case.look(91, 2), 2);
    }

    #[test]
    fn a_disabled_direction_does_not_move() {
        let behavior = HpaBehavior {
            up: standard().up,
            down: rules(0, SelectPolicy::Disabled, &[(true, 100, 15)]),
        };
        let mut case = Case::new(spec(1, 100, Some(behavior)), 5);
        assert_eq!(case.look(0, 1), 5);
    }

    /// Rules A46, A47.
    #[test]
    fn an_invalid_metric_forbids_the_way_down() {
        let ok = |n| Ok((n, "m"));
        let get = |asked: &[Asked]| combine(asked.iter().copied(), 5).map(|c| c.replicas);
        assert_eq!(get(&[ok(3), ok(4)]), Ok(4));
        assert_eq!(get(&[ok(4), Err("FailedGetResourceMetric")]), Err("FailedGetResourceMetric"));
        assert_eq!(get(&[Err("FailedGetResourceMetric"), ok(5)]), Ok(5));
        assert_eq!(get(&[Err("A"), Err("B")]), Err("A"));
        assert_eq!(get(&[ok(0), ok(0)]), Ok(0));
    }
}
