//! A pod on each node that wants one, and none where it must not be.

use std::collections::BTreeMap;

use crate::base::{Duration, SimTime};
use crate::cluster::Phase;
use crate::model::{NodeId, PodId};

use super::view::{Place, Pods, View};

/// What a look does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// Nodes that get a pod.
    pub(super) create: Vec<NodeId>,
    /// Pods that go.
    pub(super) delete: Vec<PodId>,
    /// Those of them that have failed.
    pub(super) failed: Vec<PodId>,
    /// How long failed pods are left alone that are not deleted now: the shortest time.
    pub(super) wait: Option<Duration>,
}

impl Steps {
    /// Whether nothing is done.
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty()
    }
}

/// How long failed pods of a node are left alone: longer each time.
///
/// Source: kubernetes v1.36.3 client-go/util/flowcontrol/backoff.go;
/// pkg/controller/daemon/daemon_controller.go `failedPodsBackoffKey` (rule C103).
#[derive(Debug, Default)]
pub(super) struct FailureBackoff(BTreeMap<(u64, NodeId), (Duration, SimTime)>);

const BACKOFF_FIRST: Duration = Duration::secs(1);
const BACKOFF_MAX: Duration = Duration::mins(15);

impl FailureBackoff {
    /// Whether a failed pod may be deleted now: `None`; else how long to wait.
    fn ask(&mut self, key: (u64, NodeId), now: SimTime) -> Option<Duration> {
        self.0.retain(|_, (_, last)| now.saturating_since(*last) <= BACKOFF_MAX * 2);
        let entry = self.0.get(&key).copied();
        if let Some((backoff, last)) = entry
            && now.saturating_since(last) < backoff
        {
            return Some(backoff);
        }
        let next = entry.map_or(BACKOFF_FIRST, |(backoff, _)| (backoff * 2).min(BACKOFF_MAX));
        self.0.insert(key, (next, now));
        None
    }
}

/// What is missing and what is too much.
///
/// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go `manage`,
/// `podsShouldBeOnNode`, `getUnscheduledPodsWithoutNode` (rules C103, C104, C112).
pub(super) fn manage(view: &View<'_>, failures: &mut FailureBackoff) -> Steps {
    let mut steps = Steps::default();
    for place in &view.places {
        if place.verdict.wants && place.pods.is_empty() {
            steps.create.push(place.node);
        } else if place.verdict.keeps {
            keep(place, view, failures, &mut steps);
        } else {
            let pods = place.pods.iter().copied();
            steps.delete.extend(pods.filter(|id| view.pod(*id).deletion.is_none()));
        }
    }
    for (_, pods) in &view.strays {
        steps.delete.extend(pods.iter().copied().filter(|id| view.pod(*id).node.is_none()));
    }
    steps
}

fn keep(place: &Place, view: &View<'_>, failures: &mut FailureBackoff, steps: &mut Steps) {
    let mut alive = Pods::new();
    for id in place.pods.iter().copied().filter(|id| view.pod(*id).deletion.is_none()) {
        match view.pod(id).status.phase {
            Phase::Failed => {
                let key = (view.set.status.observed_generation, place.node);
                match failures.ask(key, view.now) {
                    Some(wait) => steps.wait = Some(steps.wait.map_or(wait, |w| w.min(wait))),
                    None => {
                        steps.delete.push(id);
                        steps.failed.push(id);
                    }
                }
            }
            Phase::Succeeded => steps.delete.push(id),
            Phase::Pending | Phase::Running => alive.push(id),
        }
    }
    view.sort(&mut alive);
    if !view.allows_surge() {
        steps.delete.extend(alive.iter().skip(1));
    } else if alive.is_empty() {
        if place.verdict.wants {
            steps.create.push(place.node);
        }
    } else {
        thin_out(&alive, view, steps);
    }
}

/// During an update with surge one pod of each kind may stand on a node: the old one until it is
/// not ready, or until the new one is available (rule C104).
fn thin_out(alive: &[PodId], view: &View<'_>, steps: &mut Steps) {
    let (mut new, mut old) = (None, None);
    for id in alive {
        let slot = if view.is_new(view.pod(*id)) { &mut new } else { &mut old };
        match slot {
            None => *slot = Some(*id),
            Some(_) => steps.delete.push(*id),
        }
    }
    if let (Some(new), Some(old)) = (new, old)
        && (!view.pod(old).status.ready || view.is_available(view.pod(new)))
    {
        steps.delete.push(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + Duration::ms(ms)
    }

    /// Rule C103: 1 s, doubled with each deletion up to 15 minutes, forgotten after twice that.
    #[test]
    fn failed_pods_are_left_alone_longer_each_time() {
        let mut failures = FailureBackoff::default();
        let node = (1, NodeId::new(0));
        assert_eq!(failures.ask(node, at(0)), None);
        assert_eq!(failures.ask(node, at(900)), Some(Duration::secs(1)));
        assert_eq!(failures.ask(node, at(1000)), None);
        assert_eq!(failures.ask(node, at(2900)), Some(Duration::secs(2)));
        // Another node, or another generation, has a back-off of its own.
        assert_eq!(failures.ask((1, NodeId::new(1)), at(2900)), None);
        assert_eq!(failures.ask((2, NodeId::new(0)), at(2900)), None);
        let mut now = at(10_000);
        for _ in 0..12 {
            assert_eq!(failures.ask(node, now), None);
            now += Duration::mins(15);
        }
        assert_eq!(failures.ask(node, now - Duration::ms(1)), Some(Duration::mins(15)));
        let long_after = now + Duration::mins(31);
        assert_eq!(failures.ask(node, long_after), None);
        assert_eq!(failures.ask(node, long_after + Duration::ms(1)), Some(Duration::secs(1)));
    }
}
