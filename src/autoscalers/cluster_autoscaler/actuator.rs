//! Nodes that are being deleted, from the taint to the cloud's answer.
//!
//! ```text
//! tainted ─5 s─► judged again ─► empty ───────────────────────────► cloud ─► done
//!                     │        └► pods evicted ─► pods gone ──────────┘
//!                     └► blocked, or evictions refused for 2 min, or pods stay ─► taint taken off
//! ```
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/scaledown/actuation/{actuator,drain,
//! delete_in_batch,group_deletion_scheduler}.go (rules A178 to A181).

use std::collections::BTreeMap;

use crate::base::{Duration, Interner, SimTime, Symbol};
use crate::model::PodRef;

use super::Options;
use super::cloud::Cloud;
use super::drainability::{Outcome, Rules};
use super::view::{PodView, View};

/// How long after a refusal an eviction is tried again (rule A180).
const RETRY: Duration = Duration::secs(10);
/// How often one looks whether evicted pods are gone (rule A180).
const POLL: Duration = Duration::secs(5);
/// How much longer than the longest grace period pods are waited for (rule A180).
const HEADROOM: Duration = Duration::secs(30);

/// How a deletion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deletion {
    /// The cloud took it.
    Done,
    /// Something is on the node that was not there before, or must stay.
    Blocked,
    /// Evictions were refused for too long, or pods did not go.
    EvictionFailed,
    /// The cloud refused.
    CloudFailed,
}

/// The answer to an eviction.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Whether the pod goes (or is gone already).
    pub is_granted: bool,
    /// When the answer came.
    pub at: SimTime,
}

/// What the actuator asks of the API.
pub trait Evictor {
    /// Evicts a pod, which has so long to end.
    fn evict(&mut self, pod: &PodView, grace: Duration) -> Answer;
}

/// A pod to be evicted.
#[derive(Clone, Copy, Debug)]
struct Eviction {
    pod: PodRef,
    due: SimTime,
    /// Whether the node waits for it; DaemonSets' pods are only tried.
    must_go: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Settle { until: SimTime },
    Evict { left: Vec<Eviction>, must_go: Vec<PodRef>, until: SimTime, last: SimTime, failed: bool },
    Watch { pods: Vec<PodRef>, next: SimTime, until: SimTime },
}

impl Step {
    fn due(&self) -> SimTime {
        match self {
            Self::Settle { until } => *until,
            Self::Evict { left, last, .. } => left.iter().map(|e| e.due).min().unwrap_or(*last),
            Self::Watch { next, .. } => *next,
        }
    }
}

/// A node on its way out.
#[derive(Clone, Debug)]
struct Leaving {
    node: Symbol,
    group: usize,
    is_drained: bool,
    step: Step,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Actuator {
    leaving: Vec<Leaving>,
    /// Those that ended since anybody looked, by node.
    pub(super) ended: BTreeMap<Symbol, Deletion>,
    /// When a group lost a node last, and when it last failed to.
    pub(super) deleted: BTreeMap<usize, SimTime>,
    pub(super) failed: BTreeMap<usize, SimTime>,
}

/// What the steps work with.
pub(super) struct Acting<'a, 'b> {
    pub(super) view: &'b View<'a>,
    pub(super) options: &'b Options,
    pub(super) names: &'b Interner,
}

impl Actuator {
    /// When the next step is due.
    pub(super) fn next_step(&self) -> Option<SimTime> {
        self.leaving.iter().map(|leaving| leaving.step.due()).min()
    }

    pub(super) fn is_leaving(&self, node: Symbol) -> bool {
        self.leaving.iter().any(|leaving| leaving.node == node)
    }

    /// Nodes under way: empty ones and drained ones.
    pub(super) fn counts(&self) -> (usize, usize) {
        let drained = self.leaving.iter().filter(|leaving| leaving.is_drained).count();
        (self.leaving.len() - drained, drained)
    }

    pub(super) fn drained(&self) -> impl Iterator<Item = Symbol> {
        self.leaving.iter().filter(|leaving| leaving.is_drained).map(|leaving| leaving.node)
    }

    pub(super) fn of_group(&self, group: usize) -> usize {
        self.leaving.iter().filter(|leaving| leaving.group == group).count()
    }

    pub(super) fn start(&mut self, node: Symbol, group: usize, is_drained: bool, until: SimTime) {
        self.leaving.push(Leaving { node, group, is_drained, step: Step::Settle { until } });
    }

    /// Takes the steps that are due; answers with the nodes whose taint is to be taken off.
    pub(super) fn advance(
        &mut self,
        acting: &Acting<'_, '_>,
        cloud: &mut dyn Cloud,
        evictor: &mut dyn Evictor,
    ) -> Vec<Symbol> {
        let (now, mut released) = (acting.view.now, Vec::new());
        for mut leaving in std::mem::take(&mut self.leaving) {
            let mut end = None;
            if leaving.step.due() <= now {
                end = acting.step(&mut leaving, cloud, evictor);
            }
            let Some(end) = end else {
                self.leaving.push(leaving);
                continue;
            };
            let of = if end == Deletion::Done { &mut self.deleted } else { &mut self.failed };
            of.insert(leaving.group, now);
            if end != Deletion::Done {
                released.push(leaving.node);
            }
            self.ended.insert(leaving.node, end);
        }
        released
    }
}

impl Acting<'_, '_> {
    fn step(
        &self,
        of: &mut Leaving,
        cloud: &mut dyn Cloud,
        evictor: &mut dyn Evictor,
    ) -> Option<Deletion> {
        let now = self.view.now;
        match &mut of.step {
            Step::Settle { .. } => {
                let Some(left) = self.evictions(of) else { return Some(Deletion::Blocked) };
                if left.is_empty() {
                    return Some(delete(of, cloud));
                }
                let must_go = left.iter().filter(|e| e.must_go).map(|e| e.pod).collect();
                let until = now + self.options.eviction_time;
                of.step = Step::Evict { left, must_go, until, last: now, failed: false };
                self.evict(&mut of.step, evictor);
                None
            }
            Step::Evict { left, failed: true, .. } if left.is_empty() => {
                Some(Deletion::EvictionFailed)
            }
            Step::Evict { left, must_go, .. } if left.is_empty() => {
                let pods = std::mem::take(must_go);
                let until = now + self.options.grace_max + HEADROOM;
                of.step = Step::Watch { pods, next: now, until };
                self.step(of, cloud, evictor)
            }
            Step::Evict { .. } => {
                self.evict(&mut of.step, evictor);
                None
            }
            Step::Watch { pods, next, until } => {
                let stays = |pod: &PodRef| self.is_there(*pod, of.node);
                if !pods.iter().any(stays) {
                    return Some(delete(of, cloud));
                }
                *next = now + POLL;
                (*next >= *until).then_some(Deletion::EvictionFailed)
            }
        }
    }

    fn is_there(&self, pod: PodRef, node: Symbol) -> bool {
        let of = self.view.pods.iter().find(|view| view.pod == pod).and_then(|view| view.node);
        let node = self.view.nodes.iter().find(|view| view.spec.name == node);
        of.is_some() && of == node.map(|node| node.node)
    }

    /// The pods to evict, unless the node must stay after all (rule A179).
    fn evictions(&self, of: &Leaving) -> Option<Vec<Eviction>> {
        let Some(node) = self.view.nodes.iter().find(|node| node.spec.name == of.node) else {
            return Some(Vec::new());
        };
        let (options, now, names) = (self.options, self.view.now, self.names);
        let budgets = of.is_drained.then_some(self.view.budgets.as_slice());
        let rules = Rules { options, now, names, budgets };
        let mut left = Vec::new();
        let counts = |pod: &&PodView| {
            pod.node == Some(node.node) && pod.info.spec.priority >= options.priority_cutoff
        };
        for pod in self.view.pods.iter().filter(counts) {
            match rules.judge(pod) {
                Outcome::Block(_) => return None,
                Outcome::Move if !of.is_drained && !pod.is_daemon() => return None,
                Outcome::Wait if !of.is_drained => return None,
                Outcome::Skip | Outcome::Move | Outcome::Wait => {}
            }
            let evicts_daemons = if of.is_drained {
                options.evicts_daemons_occupied
            } else {
                options.evicts_daemons_empty
            };
            let must_go = !pod.is_daemon();
            if !pod.traits.is_mirror && (must_go || evicts_daemons) {
                left.push(Eviction { pod: pod.pod, due: now, must_go });
            }
        }
        if !of.is_drained {
            left.retain(|eviction| !eviction.must_go);
        }
        Some(left)
    }

    fn evict(&self, step: &mut Step, evictor: &mut dyn Evictor) {
        let Step::Evict { left, until, last, failed, .. } = step else { return };
        let now = self.view.now;
        left.retain_mut(|eviction| {
            if eviction.due > now {
                return true;
            }
            if eviction.due >= *until {
                *failed |= eviction.must_go;
                *last = eviction.due.max(*last);
                return false;
            }
            let Some(pod) = self.view.pods.iter().find(|view| view.pod == eviction.pod) else {
                *last = now.max(*last);
                return false;
            };
            let grace = pod.traits.grace.min(self.options.grace_max);
            let answer = evictor.evict(pod, grace);
            *last = answer.at.max(*last);
            eviction.due = answer.at + RETRY;
            !answer.is_granted
        });
    }
}

fn delete(of: &Leaving, cloud: &mut dyn Cloud) -> Deletion {
    match cloud.delete(of.group, &[of.node]) {
        Ok(()) => Deletion::Done,
        Err(_) => Deletion::CloudFailed,
    }
}
