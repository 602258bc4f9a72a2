//! From a history to a recommendation.
//!
//! Source: vertical-pod-autoscaler pkg/recommender/logic/estimator.go, recommender.go,
//! model/types.go, routines/capping_post_processor.go, cpu_integer_post_processor.go (rules A93 to
//! A100).

use crate::base::{Symbol, cast, math};
use crate::model::{Amounts, VpaPolicy, VpaSpec};

use super::usage::Usage;

/// The largest amount: millicores or bytes.
const AMOUNT_MAX: f64 = 1e14;
/// The least CPU of a pod, in millicores.
const POD_CPU_MIN: i64 = 25;
/// The least memory of a pod, in bytes.
const POD_MEMORY_MIN: i64 = 250 * 1024 * 1024;
const SAMPLES_A_DAY: f64 = 60.0 * 24.0;
const DAY_NANOS: f64 = 86_400.0 * 1e9;

/// How the recommender is set: its flags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimation {
    /// `--recommendation-margin-fraction`.
    pub margin: f64,
    /// `--target-cpu-percentile`.
    pub cpu_percentile: f64,
    /// `--target-memory-percentile`.
    pub memory_percentile: f64,
    /// `--recommendation-lower-bound-…-percentile` and `--…-upper-bound-…-percentile`.
    pub bounds: (f64, f64),
    /// `--round-cpu-millicores`.
    pub round_cpu: i64,
    /// `--round-memory-bytes`.
    pub round_memory: i64,
    /// `--container-recommendation-max-allowed-cpu` and `-memory`.
    pub max: Amounts,
    /// `--cpu-integer-post-processor-enabled`.
    pub whole_cores: bool,
}

impl Default for Estimation {
    fn default() -> Self {
        Self {
            margin: 0.15,
            cpu_percentile: 0.9,
            memory_percentile: 0.9,
            bounds: (0.5, 0.95),
            round_cpu: 1,
            round_memory: 1,
            max: Amounts::default(),
            whole_cores: false,
        }
    }
}

/// What is recommended for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// Its name.
    pub container: Symbol,
    /// The request that it should have.
    pub target: Amounts,
    /// A lower request is too low.
    pub lower: Amounts,
    /// A higher request is too high.
    pub upper: Amounts,
    /// The target before the policy's bounds.
    pub uncapped: Amounts,
}

/// An amount of a float: truncated, within bounds (rule A94). What is not a number is the least
/// integer on amd64, and the floor lifts it.
fn amount(value: f64) -> i64 {
    if value.is_nan() || value < 0.0 {
        return 0;
    }
    cast::i64_trunc(value.min(AMOUNT_MAX))
}

fn scaled(of: i64, factor: f64) -> i64 {
    amount(cast::f64_of_i64(of) * factor)
}

/// Days that a history spans, by its time or its number of samples (rule A96).
fn confidence(usage: &Usage) -> f64 {
    let nanos = match (usage.first, usage.last) {
        (Some(first), Some(last)) => last.saturating_since(first).as_nanos(),
        _ => 0,
    };
    let days = cast::f64_of_u64(nanos) / DAY_NANOS;
    days.min(cast::f64_of_u64(usage.samples) / SAMPLES_A_DAY)
}

/// One of the three: its percentiles, what confidence multiplies with, and the floor.
struct Estimator<'a> {
    settings: &'a Estimation,
    cpu: f64,
    memory: f64,
    factor: f64,
    floor: (i64, i64),
}

impl Estimator<'_> {
    fn of(&self, usage: &Usage) -> (i64, i64) {
        let raw = |cores: f64, bytes: f64| (amount(cores * 1000.0), amount(bytes));
        let (cpu, memory) =
            raw(usage.cpu.percentile(self.cpu), usage.memory.percentile(self.memory));
        (self.finish(cpu, self.floor.0), self.finish(memory, self.floor.1))
    }

    /// Rules A95 to A97.
    fn finish(&self, raw: i64, floor: i64) -> i64 {
        let with_margin = raw + scaled(raw, self.settings.margin);
        scaled(with_margin, self.factor).max(floor)
    }
}

impl Estimation {
    /// What is recommended for these containers, in their order; those whose policy is off are left
    /// out, and the others share the floor (rules A97, A98).
    #[must_use]
    pub fn recommend(&self, all: &[(Symbol, Usage)], spec: &VpaSpec) -> Vec<Recommendation> {
        let is_on = |name: Symbol| spec.policy(name).is_none_or(|policy| !policy.is_off);
        let on: Vec<&(Symbol, Usage)> = all.iter().filter(|(name, _)| is_on(*name)).collect();
        let share = 1.0 / cast::f64_of_usize(on.len());
        let floor = (scaled(POD_CPU_MIN, share), scaled(POD_MEMORY_MIN, share));
        on.into_iter().map(|(name, usage)| self.one(*name, usage, floor, spec)).collect()
    }

    fn one(
        &self,
        container: Symbol,
        usage: &Usage,
        floor: (i64, i64),
        spec: &VpaSpec,
    ) -> Recommendation {
        let confidence = confidence(usage);
        let policy = spec.policy(container);
        let is_whole = self.whole_cores && spec.whole_cores.contains(&container);
        let estimate = |cpu: f64, memory: f64, factor: f64| {
            let estimator = Estimator { settings: self, cpu, memory, factor, floor };
            let (cpu, memory) = estimator.of(usage);
            let cpu = rounded_up(cpu, self.round_cpu);
            let cpu = if is_whole { rounded_up(cpu, 1000) } else { cpu };
            controlled(cpu, rounded_up(memory, self.round_memory), policy)
        };
        let (low, high) = self.bounds;
        let uncapped = estimate(self.cpu_percentile, self.memory_percentile, 1.0);
        let lower = estimate(low, low, math::go_pow(1.0 + 0.001 / confidence, -2.0));
        let upper = estimate(high, high, 1.0 + 1.0 / confidence);
        Recommendation {
            container,
            target: self.capped(uncapped, policy),
            lower: self.capped(lower, policy),
            upper: self.capped(upper, policy),
            uncapped,
        }
    }

    /// Within what the policy allows, and where it has no upper end, the flag's (rule A100).
    #[must_use]
    pub fn capped(&self, of: Amounts, policy: Option<&VpaPolicy>) -> Amounts {
        let (min, max) = policy.map_or_else(Default::default, |policy| (policy.min, policy.max));
        let within = |value: Option<i64>, min: Option<i64>, max: Option<i64>| {
            let value = value?.max(min.unwrap_or(i64::MIN));
            Some(max.map_or(value, |max| value.min(max)))
        };
        Amounts {
            cpu: within(of.cpu, min.cpu, max.cpu.or(self.max.cpu)),
            memory: within(of.memory, min.memory, max.memory.or(self.max.memory)),
        }
    }
}

/// The resources that a policy leaves to the autoscaler (rule A98).
fn controlled(cpu: i64, memory: i64, policy: Option<&VpaPolicy>) -> Amounts {
    Amounts {
        cpu: policy.is_none_or(|policy| policy.cpu).then_some(cpu),
        memory: policy.is_none_or(|policy| policy.memory).then_some(memory),
    }
}

/// The next multiple of a step (rule A99).
fn rounded_up(value: i64, step: i64) -> i64 {
    if step <= 1 {
        return value;
    }
    let over = value.rem_euclid(step);
    if over == 0 { value } else { value.saturating_add(step - over) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Duration, SimTime};

    #[test]
    fn half_a_day_of_minutes_triples_the_upper_bound() {
        let mut usage = Usage::new(SimTime::ZERO);
        usage.samples = 720;
        usage.first = Some(SimTime::ZERO);
        usage.last = Some(SimTime::at(Duration::hours(12)));
        assert_eq!(scaled(100, 1.0 + 1.0 / confidence(&usage)), 300, "A96");
        assert_eq!(amount(f64::INFINITY), 100_000_000_000_000, "A94");
        assert_eq!(rounded_up(1001, 1000), 2000, "A99");
    }
}
