//! From the metrics of pods to a number of replicas.
//!
//! Amounts are in thousandths of the unit: millicores, millibytes (rule A21).
//!
//! Source: kubernetes v1.36.3 pkg/controller/podautoscaler/replica_calculator.go,
//! metrics/utilization.go (rules A29 to A42).

use crate::base::{Duration, SimTime, cast};
use crate::cluster::Phase;

/// What the calculator reads of a pod. Times are whole seconds, as the API stores them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PodInput {
    /// Its phase.
    pub phase: Phase,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// `status.startTime`.
    pub start: Option<SimTime>,
    /// Condition Ready and its last transition, if there is one.
    pub ready: Option<(bool, SimTime)>,
    /// What it asks for, in thousandths; `None`: a container asks for nothing.
    pub request: Option<i64>,
    /// What it uses.
    pub metric: Option<PodMetric>,
}

/// What a pod uses, from the metrics pipeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PodMetric {
    /// In thousandths of the unit.
    pub value: i64,
    /// When it was taken.
    pub at: SimTime,
    /// The window that it stands for.
    pub window: Duration,
}

/// How far a ratio may be from 1 without a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Below.
    pub down: f64,
    /// Above.
    pub up: f64,
}

/// What a computation is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question<'a> {
    /// All pods of the selector.
    pub pods: &'a [PodInput],
    /// Values of pods that have metrics and are not among them (rule A42).
    pub strays: &'a [i64],
    /// Whether the metric is CPU: only then readiness is looked at (rule A30).
    pub is_cpu: bool,
    /// `spec.replicas`; of a [`share`](Self::share) `status.replicas`.
    pub current: i64,
    /// Tolerances.
    pub tolerance: Tolerance,
    /// The present instant.
    pub now: SimTime,
    /// So long after its start a pod's readiness is looked at closely.
    pub initialization: Duration,
    /// A pod whose readiness changed last within this time of its start was never ready.
    pub initial_delay: Duration,
}

/// What a metric asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Replicas.
    pub replicas: i64,
    /// Percent of the requests in use, if the metric aims at that.
    pub utilization: Option<i32>,
    /// What a pod uses on the average, in thousandths.
    pub usage: i64,
}

/// Why a metric says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The selector has no pods.
    #[error("no pods returned by selector while calculating replica count")]
    NoPods,
    /// The pipeline gives nothing for any of them, or only for such as do not count.
    #[error("did not receive metrics for targeted pods (pods might be unready)")]
    NoMetrics,
    /// A container has no request.
    #[error("missing request")]
    NoRequest,
    /// The requests sum to nothing.
    #[error("no metrics returned matched known pods")]
    NoMatch,
}

impl Tolerance {
    /// The controller's default, 10 % both ways (rule A5).
    pub const DEFAULT: Self = Self { down: 0.1, up: 0.1 };

    /// Inclusive at both ends, in doubles (rule A36).
    fn holds(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// The pods by what they count for: the first that fits of ignored, unready, missing, ready.
struct Groups<'a> {
    ready: Vec<(&'a PodInput, i64)>,
    unready: Vec<&'a PodInput>,
    missing: Vec<&'a PodInput>,
}

impl<'a> Question<'a> {
    /// Source: `groupPods` (rules A29, A31).
    fn group(&self) -> Result<Groups<'a>, Failure> {
        if self.pods.is_empty() {
            return Err(Failure::NoPods);
        }
        let (mut ready, mut unready, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for pod in self.pods {
            if pod.deleting || pod.phase == Phase::Failed {
                continue;
            }
            match pod.metric {
                _ if pod.phase == Phase::Pending => unready.push(pod),
                None => missing.push(pod),
                Some(metric) if self.is_cpu && self.is_unready(pod, &metric) => unready.push(pod),
                Some(metric) => ready.push((pod, metric.value)),
            }
        }
        if ready.is_empty() && self.strays.is_empty() {
            return Err(Failure::NoMetrics);
        }
        Ok(Groups { ready, unready, missing })
    }

    /// Source: `groupPods` (rule A30).
    fn is_unready(&self, pod: &PodInput, metric: &PodMetric) -> bool {
        let (Some(start), Some((ready, since))) = (pod.start, pod.ready) else {
            return true;
        };
        if start + self.initialization > self.now {
            !ready || metric.at < since + metric.window
        } else {
            !ready && start + self.initial_delay > since
        }
    }

    /// What the ratio of a first look comes to when nothing has to be filled in (rule A37).
    fn plain(&self, ratio: f64, ready: usize) -> i64 {
        if self.tolerance.holds(ratio) {
            return self.current;
        }
        narrowed(ratio * cast::f64_of_usize(ready))
    }

    /// What a second look, at a set filled up to `count`, comes to (rules A40, A41).
    fn filled(&self, before: f64, ratio: f64, count: usize) -> i64 {
        let turned = (before < 1.0 && ratio > 1.0) || (before > 1.0 && ratio < 1.0);
        if self.tolerance.holds(ratio) || turned {
            return self.current;
        }
        let replicas = narrowed(ratio * cast::f64_of_usize(count));
        let against =
            (ratio < 1.0 && replicas > self.current) || (ratio > 1.0 && replicas < self.current);
        if against { self.current } else { replicas }
    }

    /// Replicas that bring the use of the requests to `target` percent.
    ///
    /// # Errors
    /// If the metric says nothing.
    /// Source: `GetResourceReplicas`, metrics/utilization.go `GetResourceUtilizationRatio` (rules
    /// A34, A37 to A42).
    pub fn utilization(&self, target: i32) -> Result<Proposal, Failure> {
        let groups = self.group()?;
        if self.pods.iter().any(|pod| pod.request.is_none()) {
            return Err(Failure::NoRequest);
        }
        let request = |pod: &PodInput| pod.request.unwrap_or(0);
        let mut sums = Sums::default();
        for (pod, value) in &groups.ready {
            sums.add(*value, request(pod));
        }
        let percent = sums.percent()?;
        let usage = sums.used / cast::i64_of(groups.ready.len());
        let ratio = f64::from(percent) / f64::from(target);
        let mut count = groups.ready.len() + self.strays.len();
        let fills_unready = !groups.unready.is_empty() && ratio > 1.0;
        let answer = |replicas| Proposal { replicas, utilization: Some(percent), usage };
        if !fills_unready && groups.missing.is_empty() {
            return Ok(answer(self.plain(ratio, groups.ready.len())));
        }
        if let Some(share) = missing_use(ratio, i64::from(target.max(100))) {
            for pod in &groups.missing {
                sums.add(request(pod).wrapping_mul(share) / 100, request(pod));
            }
            count += groups.missing.len();
        }
        if fills_unready {
            groups.unready.iter().for_each(|pod| sums.add(0, request(pod)));
            count += groups.unready.len();
        }
        let again = f64::from(sums.percent()?) / f64::from(target);
        Ok(answer(self.filled(ratio, again, count)))
    }

    /// Replicas that bring the average to `target`, in thousandths.
    ///
    /// # Errors
    /// If the metric says nothing.
    /// Source: `calcPlainMetricReplicas`, metrics/utilization.go `GetMetricUsageRatio` (rules A35,
    /// A37 to A42).
    pub fn average(&self, target: i64) -> Result<Proposal, Failure> {
        let groups = self.group()?;
        let mut count = groups.ready.len() + self.strays.len();
        let values = groups.ready.iter().map(|(_, value)| value);
        let mut used = values.chain(self.strays).fold(0_i64, |sum, value| sum.wrapping_add(*value));
        let ratio_of = |used: i64, count: usize| {
            let average = used / cast::i64_of(count);
            cast::f64_of_i64(average) / cast::f64_of_i64(target)
        };
        let (usage, ratio) = (used / cast::i64_of(count), ratio_of(used, count));
        let answer = |replicas| Proposal { replicas, utilization: None, usage };
        let fills_unready = !groups.unready.is_empty() && ratio > 1.0;
        if !fills_unready && groups.missing.is_empty() {
            return Ok(answer(self.plain(ratio, groups.ready.len())));
        }
        if let Some(use_of_one) = missing_use(ratio, target) {
            used = used.wrapping_add(use_of_one.wrapping_mul(cast::i64_of(groups.missing.len())));
            count += groups.missing.len();
        }
        if fills_unready {
            count += groups.unready.len();
        }
        let again = ratio_of(used, count);
        Ok(answer(self.filled(ratio, again, count)))
    }

    /// Replicas that bring a number that is not of the pods, such as the length of a queue, to
    /// `target`; both in thousandths.
    ///
    /// # Errors
    /// If there are no pods to count.
    /// Source: `getUsageRatioReplicaCount`, `getReadyPodsCount` (rules A20, A43).
    pub fn value(&self, usage: i64, target: i64) -> Result<Proposal, Failure> {
        let ratio = cast::f64_of_i64(usage) / cast::f64_of_i64(target);
        let replicas = if self.current == 0 {
            ceil(ratio)
        } else if self.tolerance.holds(ratio) {
            self.current
        } else if self.pods.is_empty() {
            return Err(Failure::NoPods);
        } else {
            let is_ready =
                |pod: &&PodInput| pod.phase == Phase::Running && pod.ready.is_some_and(|r| r.0);
            ceil(ratio * cast::f64_of_usize(self.pods.iter().filter(is_ready).count()))
        };
        Ok(Proposal { replicas, utilization: None, usage })
    }

    /// Replicas that bring each one's share of a number that is not of the pods to `target`; both
    /// in thousandths. `current` is `status.replicas` here (rule A27).
    ///
    /// Beyond 32 bits the largest number is the answer, but of one object's number (rule A44).
    ///
    /// Source: `GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas` (rules A20, A44).
    #[must_use]
    pub fn share(&self, usage: i64, target: i64, is_object: bool) -> Proposal {
        let (whole, target) = (cast::f64_of_i64(usage), cast::f64_of_i64(target));
        let pods = cast::f64_of_i64(self.current);
        let replicas = if self.tolerance.holds(whole / (target * pods)) {
            self.current
        } else if is_object {
            narrowed(whole / target)
        } else {
            ceil(whole / target)
        };
        // A sum that was cut off at 64 bits stays as it is.
        let usage = match usage {
            i64::MAX => usage,
            _ => cast::i64_trunc((whole / pods).ceil()),
        };
        Proposal { replicas, utilization: None, usage }
    }
}

/// What a pod without a metric is taken to use: `full` on the way down, nothing on the way up;
/// `None`: it stays out (rule A39).
fn missing_use(ratio: f64, full: i64) -> Option<i64> {
    if ratio < 1.0 {
        return Some(full);
    }
    (ratio > 1.0).then_some(0)
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    used: i64,
    requested: i64,
}

impl Sums {
    fn add(&mut self, used: i64, requested: i64) {
        self.used = self.used.wrapping_add(used);
        self.requested = self.requested.wrapping_add(requested);
    }

    /// Whole percent, cut; beyond 64 and 32 bits as the original's integers go on (rules A34, A45).
    fn percent(&self) -> Result<i32, Failure> {
        if self.requested == 0 {
            return Err(Failure::NoMatch);
        }
        let percent = self.used.wrapping_mul(100).wrapping_div(self.requested);
        let [a, b, c, d, ..] = percent.to_le_bytes();
        Ok(i32::from_le_bytes([a, b, c, d]))
    }
}

/// Rounded up and put into 32 bits as amd64 does it: what is too large becomes the least integer
/// (rule A45).
fn narrowed(replicas: f64) -> i64 {
    let whole = cast::i64_trunc(replicas.ceil());
    i64::from(i32::try_from(whole).unwrap_or(i32::MIN))
}

/// Rounded up, within 32 bits.
fn ceil(replicas: f64) -> i64 {
    cast::i64_trunc(replicas.ceil()).min(i64::from(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SimTime = SimTime::at(Duration::hours(1));

    /// A pod of one core that was ready long ago and uses so many millicores.
    fn pod(used: impl Into<Option<i64>>) -> PodInput {
        let at = NOW.saturating_sub(Duration::secs(10));
        let window = Duration::secs(15);
        PodInput {
            phase: Phase::Running,
            deleting: false,
            start: Some(SimTime::ZERO),
            ready: Some((true, SimTime::ZERO + Duration::secs(5))),
            request: Some(1000),
            metric: used.into().map(|value| PodMetric { value, at, window }),
        }
    }

    fn unready(used: i64) -> PodInput {
        PodInput { ready: Some((false, SimTime::ZERO)), ..pod(used) }
    }

    fn pending() -> PodInput {
        PodInput { phase: Phase::Pending, start: None, ready: None, ..pod(None) }
    }

    fn ask(pods: &[PodInput], current: i64) -> Question<'_> {
        Question {
            pods,
            strays: &[],
            is_cpu: true,
            current,
            tolerance: Tolerance::DEFAULT,
            now: NOW,
            initialization: Duration::secs(300),
            initial_delay: Duration::secs(30),
        }
    }

    fn percent(pods: &[PodInput], current: i64, target: i32) -> i64 {
        ask(pods, current).utilization(target).unwrap().replicas
    }

    /// replica_calculator_test.go: TestReplicaCalcScaleUp, …UnreadyLessScale,
    /// …UnreadyNoScale, …ScaleUpUnreadyNoScaleWouldScaleDown and the like.
    #[test]
    fn cases_of_the_original_going_up() {
        // (300 + 500 + 700) / 3000 = 50 %; 50/30 · 3 = 5
        assert_eq!(percent(&[pod(300), pod(500), pod(700)], 3, 30), 5);
        // 60 % of two; with the unready one at 0: 1200/3000 = 40 %; 40/30 · 3 = 4
        assert_eq!(percent(&[unready(300), pod(500), pod(700)], 3, 30), 4);
        // 40 % of one, 133 %; with two at 0: 13 %, on the other side: as it is
        let none = [pod(400), unready(500), unready(700)];
        assert_eq!(percent(&none, 3, 30), 3);
        // Pending: 60 % of two, then 1200/3000 → 4
        assert_eq!(percent(&[pod(500), pod(700), pending()], 3, 30), 4);
        // A failed one is out of it: 60/30 · 2 = 4
        let failed = PodInput { phase: Phase::Failed, ..pod(500) };
        assert_eq!(percent(&[failed, pod(500), pod(700)], 2, 30), 4);
    }

    #[test]
    fn cases_of_the_original_going_down() {
        // (100+300+500+250+250)/5000 = 28 %; 28/50 · 5 = 2.8
        let five = [pod(100), pod(300), pod(500), pod(250), pod(250)];
        assert_eq!(percent(&five, 5, 50), 3);
        // Unready ones are ignored: 1000/3000 = 33 %; 33/50 · 3 = 1.98
        let some = [pod(100), pod(300), pod(600), unready(250), unready(250)];
        assert_eq!(percent(&some, 5, 50), 2);
        // Rule A38: 3 ready at half the target and 7 pending: ⌈0.5 · 3⌉
        let mut many = vec![pod(250); 3];
        many.resize(10, pending());
        assert_eq!(percent(&many, 10, 50), 2);
    }

    #[test]
    fn missing_pods_damp_both_ways() {
        // TestReplicaCalcMissingMetricsNoChangeGt etc.: one at 1000 of 2, ratio 1; none filled
        assert_eq!(percent(&[pod(1000), pod(None)], 2, 100), 2);
        // 95/100 down within tolerance; the missing at 100 %: 97 %
        assert_eq!(percent(&[pod(950), pod(None)], 2, 100), 2);
        // 19 % of one; missing at 100 %: 59 %; ⌈0.59 · 2⌉ = 2
        assert_eq!(percent(&[pod(190), pod(None)], 2, 100), 2);
        // 190 %; missing at 0: 95 %: within
        assert_eq!(percent(&[pod(1900), pod(None)], 2, 100), 2);
        // Targets above 100 % fill with the target: (100 + 2·2000)/3000·100 = 136; 0.68 · 3 = 2.04
        assert_eq!(percent(&[pod(100), pod(None), pod(None)], 4, 200), 3);
    }

    /// Rule A36: 1.1 as doubles have it.
    #[test]
    fn tolerance_is_inclusive() {
        assert_eq!(percent(&[pod(1100)], 1, 100), 1);
        assert_eq!(percent(&[pod(1110)], 1, 100), 2);
        assert_eq!(percent(&[pod(900), pod(900)], 2, 100), 2);
        assert_eq!(percent(&[pod(890), pod(890), pod(890)], 3, 100), 3); // ⌈2.67⌉
    }

    /// Rule A30.
    #[test]
    fn young_pods_count_once_a_whole_window_was_ready() {
        let start = NOW.saturating_sub(Duration::secs(60));
        let since = |secs| Some((true, NOW.saturating_sub(Duration::secs(secs))));
        let young = |secs| PodInput { start: Some(start), ready: since(secs), ..pod(2000) };
        let proposal = |secs| ask(&[young(secs)], 1).utilization(100);
        assert_eq!(proposal(25).map(|p| p.replicas), Ok(2)); // taken 10 s ago ≥ 25 − 15
        assert_eq!(proposal(24), Err(Failure::NoMetrics));
        // Memory does not ask.
        let pods = [young(1)];
        let memory = Question { is_cpu: false, ..ask(&pods, 1) };
        assert_eq!(memory.average(1000).map(|p| p.replicas), Ok(2));
    }

    /// Rule A31: one that was ready once still counts.
    #[test]
    fn an_old_pod_that_lost_its_readiness_counts() {
        let lost =
            PodInput { ready: Some((false, SimTime::ZERO + Duration::secs(31))), ..pod(2000) };
        assert_eq!(percent(&[lost], 1, 100), 2);
        assert_eq!(ask(&[unready(2000)], 1).utilization(100), Err(Failure::NoMetrics));
    }

    #[test]
    fn a_request_must_not_be_missing_anywhere() {
        let bare = PodInput { request: None, deleting: true, ..pod(100) };
        assert_eq!(ask(&[pod(100), bare], 1).utilization(50), Err(Failure::NoRequest));
        assert_eq!(ask(&[], 1).utilization(50), Err(Failure::NoPods));
    }

    /// Rule A42: strays count in the size of the set and, for averages, in the sum.
    #[test]
    fn strays_count_as_the_original_counts_them() {
        let pods = [pod(1000), pod(None)];
        let stray = Question { strays: &[5000], ..ask(&pods, 2) };
        // 100/50 = 2; filled with 0: 50 %, ratio 1: within
        assert_eq!(stray.utilization(50).unwrap().replicas, 2);
        // (1000 + 5000)/2 = 3000; with the missing at 0: 2000; 2 · 3
        assert_eq!(stray.average(1000).unwrap().replicas, 6);
    }
}
