//! What the scheduler learns of pods (rules S142, S185 to S189).

use std::sync::Arc;

use super::{Core, PodFacts, Row, Stage, gate_of};
use crate::base::{Interner, SimTime};
use crate::model::{NodeId, PodRef};
use crate::placement::{PlacedPod, PluginSet};
use crate::scheduler::hints::{Happened, PodAspect, helpers, may_help};
use crate::scheduler::queue::Place;

/// Pods, as the watch tells.
impl Core {
    /// A pod is new to this scheduler. One that is for another scheduler counts once it has a node.
    pub fn add_pod(&mut self, pod: PodRef, facts: PodFacts, names: &Interner, now: SimTime) {
        let profile = self.profile_of(facts.info.spec.scheduler_name, names);
        if profile.is_some() || facts.node.is_some() {
            self.add_pod_of(profile, pod, facts, names, now);
        }
    }

    /// The same of a pod whose profile is known.
    pub(in crate::scheduler) fn add_pod_of(
        &mut self,
        profile: Option<u8>,
        pod: PodRef,
        facts: PodFacts,
        names: &Interner,
        now: SimTime,
    ) {
        let (life, node) = (pod.life, facts.node);
        let stage = node.map_or(Stage::Waiting, Stage::Bound);
        let row = Row { life, facts, profile, stage, condition: None };
        *self.rows.grow_to(pod.id) = Some(row);
        match node {
            Some(node) => self.count_bound(pod, node, names, now),
            None => self.enqueue(pod, now),
        }
    }

    fn enqueue(&mut self, pod: PodRef, now: SimTime) {
        let gate = gate_of(pod, &self.rows, &self.preempting, &self.placer);
        let Some(row) = self.row(pod) else { return };
        let facts = &row.facts;
        let Some(profile) = row.profile else { return };
        let (class, priority, pinned) = (facts.class, facts.info.spec.priority, facts.pinned);
        if let (Some(node), None) = (facts.nominated, gate) {
            let info = Arc::clone(&facts.info);
            self.placer.nominator_mut().add(pod, info, node);
        }
        self.queue.add(pod, (class, profile, priority), pinned, gate, now);
    }

    fn count_bound(&mut self, pod: PodRef, node: NodeId, names: &Interner, now: SimTime) {
        self.count(pod, node, names);
        self.tell_added(pod, names, now);
    }

    /// A pod has a node, which may help others (rule S146).
    fn tell_added(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        let Some(row) = self.row(pod).filter(|_| self.is_listening()) else { return };
        let info = Arc::clone(&row.facts.info);
        self.publish(Happened::PodAdded(&info), names, now);
    }

    pub(super) fn count(&mut self, pod: PodRef, node: NodeId, names: &Interner) {
        let Some(Row { facts, .. }) = self.row(pod) else { return };
        let placed = PlacedPod {
            class: Some(facts.class),
            start: facts.start,
            is_terminating: facts.is_terminating,
            is_preempted: facts.is_preempted,
            name: facts.name,
            ..PlacedPod::new(pod, Arc::clone(&facts.info))
        };
        if self.placer.nodes().get(node).is_none() {
            self.strays.entry(node).or_default().push(placed);
        } else {
            self.placer.place(node, placed, names);
        }
    }

    fn discount(&mut self, pod: PodRef, node: NodeId) {
        if self.placer.nodes().get(node).is_some() {
            return self.placer.remove_pod(node, pod);
        }
        if let Some(strays) = self.strays.get_mut(&node) {
            strays.retain(|stray| stray.pod != pod);
            if strays.is_empty() {
                self.strays.remove(&node);
            }
        }
    }

    /// A pod is another than before: bound, changed, being deleted.
    pub fn update_pod(&mut self, pod: PodRef, facts: PodFacts, names: &Interner, now: SimTime) {
        let Some(row) = self.row(pod) else {
            return self.add_pod(pod, facts, names, now);
        };
        let has_begun_to_end = facts.is_terminating && !row.facts.is_terminating;
        if has_begun_to_end {
            self.victim_is_done(pod);
        }
        let Some(row) = self.row(pod) else { return };
        match (row.stage, facts.node) {
            (Stage::Bound(node), _) => self.update_bound(pod, node, facts, names, now),
            (Stage::Waiting, None) => self.update_waiting(pod, facts, names, now),
            (Stage::Assumed(_), None) if has_begun_to_end => self.forget_assumed(pod, names, now),
            (Stage::Assumed(_), None) => {}
            (_, Some(node)) => self.confirm(pod, node, facts, names, now),
        }
    }

    /// A pod is bound to the node that it was assumed on, and is as it was; gives whether that is
    /// so.
    pub fn confirm_assumed(
        &mut self,
        pod: PodRef,
        node: NodeId,
        names: &Interner,
        now: SimTime,
    ) -> bool {
        let Some(row) = self.row_mut(pod) else { return false };
        if row.stage != Stage::Assumed(node) {
            return false;
        }
        row.stage = Stage::Bound(node);
        row.facts.node = Some(node);
        self.tell_added(pod, names, now);
        self.queue.forget(pod);
        true
    }

    /// A pod has a node: what this scheduler assumed, or somebody else's doing.
    fn confirm(
        &mut self,
        pod: PodRef,
        node: NodeId,
        facts: PodFacts,
        names: &Interner,
        now: SimTime,
    ) {
        let Some(row) = self.row_mut(pod) else { return };
        let was = row.stage;
        let is_same = Arc::ptr_eq(&row.facts.info, &facts.info)
            && (facts.start, facts.is_terminating, facts.is_preempted)
                == (row.facts.start, row.facts.is_terminating, row.facts.is_preempted);
        row.facts = facts;
        row.stage = Stage::Bound(node);
        match was {
            Stage::Assumed(assumed) if assumed == node && is_same => {}
            Stage::Assumed(assumed) => {
                self.discount(pod, assumed);
                self.count(pod, node, names);
            }
            Stage::Waiting | Stage::Bound(_) => self.count(pod, node, names),
        }
        self.tell_added(pod, names, now);
        self.queue.forget(pod);
        self.placer.nominator_mut().remove(pod);
    }

    fn update_bound(
        &mut self,
        pod: PodRef,
        node: NodeId,
        facts: PodFacts,
        names: &Interner,
        now: SimTime,
    ) {
        let Some(row) = self.row_mut(pod) else { return };
        let old = std::mem::replace(&mut row.facts, facts);
        let new = row.facts.clone();
        if Arc::ptr_eq(&old.info, &new.info) {
            self.touch(pod, node, &new);
            return;
        }
        self.discount(pod, node);
        self.count(pod, node, names);
        for aspect in PodAspect::between(&old.info, &new.info) {
            self.publish(Happened::PodUpdated(aspect, &old.info, &new.info), names, now);
        }
    }

    pub(super) fn touch(&mut self, pod: PodRef, node: NodeId, facts: &PodFacts) {
        let set = |placed: &mut PlacedPod| {
            placed.start = facts.start;
            placed.is_terminating = facts.is_terminating;
            placed.is_preempted = facts.is_preempted;
        };
        match self.strays.get_mut(&node) {
            Some(strays) => strays.iter_mut().filter(|stray| stray.pod == pod).for_each(set),
            None => self.placer.touch_pod(node, pod, set),
        }
    }

    /// A waiting pod has changed (rule S147).
    fn update_waiting(&mut self, pod: PodRef, facts: PodFacts, names: &Interner, now: SimTime) {
        let Some(row) = self.row_mut(pod) else { return };
        let old = std::mem::replace(&mut row.facts, facts);
        let new = row.facts.clone();
        self.queue.set_class(pod, new.class);
        let aspects = PodAspect::between(&old.info, &new.info);
        let own = |aspect| Happened::Own(aspect, &old.info, &new.info);
        match self.queue.get(pod).map(|waiting| (waiting.place, waiting.profile)) {
            None => self.enqueue(pod, now),
            Some((Place::InFlight | Place::Aside, profile)) => {
                let world = self.placer.world(usize::from(profile), names);
                let helped = aspects.iter().map(|a| helpers(own(*a), &new.info, &world));
                let helped = helped.fold(PluginSet::EMPTY, PluginSet::union);
                self.queue.note(pod, helped);
            }
            Some((Place::Active | Place::Backoff | Place::ErrorBackoff, _)) => {
                self.renominate(pod, &old, &new);
            }
            Some((Place::Unschedulable | Place::Gated, profile)) => {
                self.renominate(pod, &old, &new);
                for aspect in aspects {
                    let Some(waiting) = self.queue.get(pod) else { break };
                    let (rejectors, world) =
                        (waiting.rejectors, self.placer.world(usize::from(profile), names));
                    let helps =
                        rejectors.is_empty() || may_help(own(aspect), &new.info, rejectors, &world);
                    let Self { queue, placer, rows, preempting, .. } = self;
                    let gate = |pod| gate_of(pod, rows, preempting, placer);
                    if helps && queue.move_one(pod, gate, now) {
                        break;
                    }
                }
            }
        }
        if old.nominated.is_some() && old.nominated != new.nominated {
            let priority = old.info.spec.priority;
            self.publish_below(Happened::NominationLost(&old.info), priority, names, now);
        }
    }

    /// Keeps the nomination up when its pod changes: one that the API does not know of stays (rule
    /// S157).
    fn renominate(&mut self, pod: PodRef, old: &PodFacts, new: &PodFacts) {
        let nominator = self.placer.nominator_mut();
        let known = nominator.remove(pod);
        let kept = known.filter(|_| old.nominated.is_none() && new.nominated.is_none());
        if let Some(node) = kept.or(new.nominated) {
            nominator.add(pod, Arc::clone(&new.info), node);
        }
    }

    /// A pod is gone, or has ended: what it held is free (rules S6, S58, S146).
    pub fn delete_pod(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        self.victim_is_done(pod);
        self.preempting.remove(&pod);
        let Some(row) = self.row(pod) else { return };
        match row.stage {
            Stage::Bound(node) => {
                self.discount(pod, node);
                let Some(row) = self.rows[pod.id].take() else { return };
                if self.is_listening() {
                    self.publish(Happened::PodDeleted(&row.facts.info), names, now);
                }
            }
            Stage::Assumed(_) => {
                self.forget_assumed(pod, names, now);
                self.queue.forget(pod);
                self.rows[pod.id] = None;
            }
            Stage::Waiting => {
                self.queue.forget(pod);
                self.placer.nominator_mut().remove(pod);
                let Some(Row { facts, .. }) = self.rows[pod.id].take() else { return };
                if facts.nominated.is_some() {
                    let priority = facts.info.spec.priority;
                    let lost = Happened::NominationLost(&facts.info);
                    self.publish_below(lost, priority, names, now);
                }
            }
        }
    }

    /// What was assumed of a pod does not hold: it is gone, or its binding failed.
    pub(super) fn forget_assumed(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        let Some(row) = self.row_mut(pod) else { return };
        let Stage::Assumed(node) = row.stage else { return };
        row.stage = Stage::Waiting;
        let info = Arc::clone(&row.facts.info);
        self.volumes.unreserve(pod, &mut self.placer);
        self.discount(pod, node);
        self.publish(Happened::PodDeleted(&info), names, now);
    }

    /// If a pod is the last victim of another, that one is held back no longer (rule S186).
    fn victim_is_done(&mut self, victim: PodRef) {
        if !self.preempting.is_empty() {
            self.preempting.retain(|_, last| *last != victim);
        }
    }
}
