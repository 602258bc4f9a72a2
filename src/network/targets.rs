//! A load balancer outside the cluster whose targets are pods: its controller registers them as
//! endpoints come, and its own checks say which get new connections.
//!
//! ```text
//! endpoint ──controller──► initial ──healthy checks in a row──► healthy ◄─► unhealthy
//! endpoint gone ──controller──► draining ──until the balancer has taken it over──► gone
//! ```
//!
//! A check asks the pod's server. Where no target is healthy, those are used that were once; with
//! none but initial ones connections wait in vain. Checks are worked out when somebody calls.
//!
//! Differs: one balancer for all ports; pods with a readiness gate of the balancer are registered
//! as soon as they have an address; a draining target is not checked.
//!
//! Source: aws-load-balancer-controller, target group bindings (rules N190 to N192, N469).

use crate::base::dist::{mix, open01_of};
use crate::base::{Duration, SimTime};
use crate::model::{BalancerSpec, PodRef, ServiceId};

use super::health::Against;
use super::rules::one_of;

/// The load balancer of a Service, with pods as targets.
#[derive(Debug)]
pub struct PodBalancer {
    spec: BalancerSpec,
    seed: u64,
    targets: Vec<Target>,
    /// When the next of all checks is.
    due: SimTime,
    /// The pods that get new connections.
    used: Vec<PodRef>,
    is_stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Initial,
    Healthy,
    Unhealthy,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    pod: PodRef,
    health: Health,
    against: Against,
    /// When the next one is.
    due: SimTime,
    /// Until when it gets new connections although it is registered no more.
    gone: SimTime,
}

impl PodBalancer {
    /// In front of a Service, without any target.
    #[must_use]
    pub fn new(spec: BalancerSpec, service: ServiceId, seed: u64) -> Self {
        let seed = mix(seed ^ mix(0x7461_7267 ^ u64::from(service.number())));
        let (targets, used) = (Vec::new(), Vec::new());
        Self { spec, seed, targets, due: SimTime::MAX, used, is_stale: true }
    }

    /// The controller hears which pods are to be targets: it registers those that are not, and
    /// deregisters the others.
    pub fn hear(&mut self, wanted: &[PodRef], told: Duration, now: SimTime) {
        for pod in wanted {
            let takes = self.draw(&self.spec.register, *pod, 0);
            let known = self.targets.iter().position(|target| target.pod == *pod);
            if known.is_some_and(|at| self.targets[at].gone == SimTime::MAX) {
                continue;
            }
            let due = now.saturating_add(told + takes + self.spec.interval.scale(0.5));
            let gone = SimTime::MAX;
            let target = Target {
                pod: *pod,
                health: Health::Initial,
                against: Against::default(),
                due,
                gone,
            };
            match known {
                Some(at) => self.targets[at] = target,
                None => self.targets.push(target),
            }
            self.due = self.due.min(due);
        }
        for at in 0..self.targets.len() {
            let Target { pod, gone, .. } = self.targets[at];
            if gone < SimTime::MAX || wanted.contains(&pod) {
                continue;
            }
            let stays = self.draw(&self.spec.deregister, pod, 1);
            let target = &mut self.targets[at];
            target.gone = now.saturating_add(told + stays);
            self.due = self.due.min(target.gone);
        }
        self.is_stale = true;
    }

    fn draw(&self, law: &crate::base::Distribution, pod: PodRef, purpose: u64) -> Duration {
        let pod = u64::from(pod.id.number()) << 32 | u64::from(pod.life);
        Duration::from_secs_f64(law.quantile(open01_of(mix(self.seed ^ mix(pod << 1 ^ purpose)))))
    }

    /// Does all checks up to an instant; `is_ok` says how those end since the last time.
    pub fn settle(&mut self, is_ok: impl Fn(PodRef) -> bool, now: SimTime) {
        if self.due > now {
            return;
        }
        for target in &mut self.targets {
            while target.due <= now && target.due < target.gone && target.gone == SimTime::MAX {
                target.due = target.due.saturating_add(self.spec.interval);
                let (is_ok, is_healthy) = (is_ok(target.pod), target.health == Health::Healthy);
                if target.against.turns(is_healthy != is_ok, self.spec.wanted(is_ok)) {
                    target.health = if is_ok { Health::Healthy } else { Health::Unhealthy };
                    self.is_stale = true;
                }
            }
        }
        let before = self.targets.len();
        self.targets.retain(|target| target.gone > now);
        self.is_stale |= self.targets.len() < before;
        let next = |target: &Target| target.due.min(target.gone);
        let registered = |t: &&Target| t.gone == SimTime::MAX;
        let checks = self.targets.iter().filter(registered).map(next).min();
        let ends = self.targets.iter().map(|target| target.gone).min();
        self.due = checks.into_iter().chain(ends).min().unwrap_or(SimTime::MAX);
    }

    /// The pod that a new connection goes to, as far as all checks are done; `None`: there is none.
    pub fn choose(&mut self, word: u32) -> Option<PodRef> {
        if self.is_stale {
            self.is_stale = false;
            let of = |health| {
                let is_it = move |target: &&Target| target.health == health;
                self.targets.iter().filter(is_it).map(|target| target.pod).collect::<Vec<_>>()
            };
            let mut used = of(Health::Healthy);
            if used.is_empty() {
                used = of(Health::Unhealthy);
            }
            self.used = used;
        }
        self.used.get(one_of(word, self.used.len())).copied()
    }

    /// Whether a target is healthy, and when its next check is; `None`: it is none.
    #[must_use]
    pub fn health(&self, pod: PodRef) -> Option<(bool, SimTime)> {
        let target = self.targets.iter().find(|target| target.pod == pod)?;
        Some((target.health == Health::Healthy, target.due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Distribution;
    use crate::model::PodId;

    fn secs(at: u64) -> SimTime {
        SimTime::at(Duration::secs(at))
    }

    fn pod(number: u32) -> PodRef {
        PodRef { id: PodId::new(number), life: 0 }
    }

    /// N192: a target is used after two good checks of 10 s, registered within 1 s: the first at
    /// 6 s, the second at 16 s. N191: deregistered at 20 s it gets new connections for 120 s more.
    #[test]
    fn a_target_comes_and_goes() {
        let spec = BalancerSpec {
            interval: Duration::secs(10),
            healthy: 2,
            register: Distribution::Constant(1.0),
            deregister: Distribution::Constant(120.0),
            ..BalancerSpec::plain()
        };
        let mut balancer = PodBalancer::new(spec, ServiceId::new(0), 1);
        balancer.hear(&[pod(0)], Duration::ZERO, secs(0));
        let mut at = |now, is_ok| {
            balancer.settle(|_| is_ok, secs(now));
            balancer.choose(7)
        };
        assert_eq!([at(6, true), at(15, true), at(16, true)], [None, None, Some(pod(0))]);
        // Three bad checks make it unhealthy; as the only one it is used all the same.
        assert_eq!(at(50, false), Some(pod(0)));
        balancer.hear(&[], Duration::ZERO, secs(60));
        assert_eq!(balancer.health(pod(0)).map(|health| health.0), Some(false));
        for (now, left) in [(179, Some(pod(0))), (180, None)] {
            balancer.settle(|_| true, secs(now));
            assert_eq!(balancer.choose(7), left, "at {now} s");
        }
    }
}
