//! One look at one StatefulSet.

use crate::base::{SimTime, Symbol};
use crate::cluster::{
    Cluster, NewPod, Phase, Plan, Pod, Revision, StatefulSet, StatefulSetStatus, Write,
};
use crate::model::{OwnerRef, PodId, PodRef, StatefulSetId};
use crate::record::{About, EventRecord, PodName};
use crate::sim::Ctx;

use super::claims;

/// Pods that one look makes or deletes at most.
const BURST: usize = 500;

/// What one look sees, and what it says at the end.
pub(super) struct Look<'a, 'q> {
    pub id: StatefulSetId,
    pub set: &'a StatefulSet,
    pub cluster: &'a Cluster,
    current: &'a Revision,
    update: &'a Revision,
    /// By ordinal from `ordinals.start` on.
    slots: Vec<Option<PodId>>,
    /// Pods beyond, the highest ordinal first.
    condemned: Vec<PodId>,
    /// The lowest condemned pod that is unavailable, if all slots are available.
    first_condemned: Option<PodId>,
    status: StatefulSetStatus,
    now: SimTime,
    recorder: &'q mut crate::recorder::Recorder,
    is_ok: bool,
}

/// What handling one slot or pod means for those after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

impl<'a, 'q> Look<'a, 'q> {
    pub(super) fn new(
        (id, set): (StatefulSetId, &'a StatefulSet),
        (current, update): (&'a Revision, &'a Revision),
        cluster: &'a Cluster,
        ctx: &'q mut Ctx<'_>,
    ) -> Self {
        let spec = &set.spec;
        let count = crate::base::cast::usize_of(spec.replicas);
        let mut slots = vec![None; count];
        let mut condemned = Vec::new();
        for id in &set.pods {
            let Some(ordinal) = cluster.pods()[*id].index else { continue };
            let slot = ordinal.checked_sub(spec.start).map(crate::base::cast::usize_of);
            match slot.filter(|slot| *slot < count) {
                Some(slot) => slots[slot] = Some(*id),
                None => condemned.push(*id),
            }
        }
        condemned.sort_by_key(|id| std::cmp::Reverse(cluster.pods()[*id].index));
        let mut look = Self {
            id,
            set,
            cluster,
            current,
            update,
            slots,
            condemned,
            first_condemned: None,
            status: set.status,
            now: ctx.now(),
            recorder: ctx.recorder,
            is_ok: true,
        };
        let lacks = |slot: &Option<PodId>| slot.is_none_or(|id| look.is_unavailable(id));
        if !look.slots.iter().any(lacks) {
            let mut lowest_first = look.condemned.iter().rev().copied();
            look.first_condemned = lowest_first.find(|id| look.is_unavailable(*id));
        }
        look.status.observed_generation = set.generation;
        look.status.current_revision = Some(current.hash);
        look.status.update_revision = Some(update.hash);
        look.count();
        look
    }

    /// The reference of one of its pods.
    pub(super) fn pod_ref(&self, pod: &Pod) -> Option<PodRef> {
        let is_it = |id: &&PodId| self.cluster.pods()[**id].serial == pod.serial;
        let id = self.set.pods.iter().find(is_it)?;
        Some(self.cluster.pods().refer(*id))
    }

    fn pod(&self, id: PodId) -> &'a Pod {
        &self.cluster.pods()[id]
    }

    fn revision_of(&self, id: PodId) -> Option<Symbol> {
        self.cluster.template_of(self.pod(id)).labels.get(self.cluster.revision_label())
    }

    fn is_running_and_ready(&self, id: PodId) -> bool {
        let pod = self.pod(id);
        pod.status.phase == Phase::Running && pod.status.ready
    }

    fn is_running_and_available(&self, id: PodId) -> bool {
        let pod = self.pod(id);
        pod.status.phase == Phase::Running && pod.is_available(self.set.spec.min_ready, self.now)
    }

    /// Terminating pods are.
    fn is_unavailable(&self, id: PodId) -> bool {
        !self.is_running_and_available(id) || self.pod(id).deletion.is_some()
    }

    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_control.go
    /// `computeReplicaStatus` (rule C93).
    fn count(&mut self) {
        let mut status = StatefulSetStatus {
            replicas: 0,
            ready: 0,
            available: 0,
            current: 0,
            updated: 0,
            ..self.status
        };
        for id in self.slots.iter().flatten().chain(&self.condemned).copied() {
            status.replicas += 1;
            status.ready += u32::from(self.is_running_and_ready(id));
            status.available += u32::from(self.is_running_and_available(id));
            if self.pod(id).deletion.is_none() {
                let revision = self.revision_of(id);
                status.current += u32::from(revision == Some(self.current.hash));
                status.updated += u32::from(revision == Some(self.update.hash));
            }
        }
        self.status = status;
    }

    /// Does what is to be done; false if something was refused.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_control.go
    /// `updateStatefulSet` (rules C85, C194).
    pub(super) fn carry_out(&mut self, plan: &mut Plan) -> bool {
        if self.set.is_deleting {
            return true;
        }
        let is_whole = self.replicas(plan);
        if is_whole && self.is_ok {
            self.retain_condemned(plan);
            let is_done = self.scale_down(plan);
            if is_done && !self.set.spec.on_delete {
                self.update(plan);
            }
        }
        self.is_ok
    }

    /// The slots, lowest first; true if nothing keeps the look from going on.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_control.go
    /// `processReplica`, `runForAll` (rule C86).
    fn replicas(&mut self, plan: &mut Plan) -> bool {
        let count = self.slots.len().min(if self.is_ordered() { usize::MAX } else { BURST });
        let (mut at, mut batch) = (0, 1);
        while at < count {
            let end = count.min(at + if self.is_ordered() { 1 } else { batch });
            for slot in at..end {
                let then = self.replica(slot, plan);
                if then == Then::Stop && self.is_ordered() {
                    return false;
                }
            }
            if !self.is_ok {
                return false;
            }
            (at, batch) = (end, batch * 2);
        }
        true
    }

    fn is_ordered(&self) -> bool {
        !self.set.spec.is_parallel
    }

    fn replica(&mut self, slot: usize, plan: &mut Plan) -> Then {
        let Some(id) = self.slots[slot] else {
            if !self.create(slot, plan) {
                self.is_ok = false;
            }
            return Then::Stop;
        };
        let pod = self.pod(id);
        if pod.is_terminal() {
            // Its successor comes when the object is gone.
            if pod.deletion.is_none() {
                self.delete(id, plan);
            }
            return Then::Stop;
        }
        if pod.status.phase == Phase::Pending {
            claims::make_missing(self, pod, plan);
        }
        let waits = pod.deletion.is_some() || !self.is_running_and_available(id);
        if waits && self.is_ordered() {
            return Then::Stop;
        }
        claims::retain(self, pod, false, plan);
        Then::GoOn
    }

    /// Makes the pod of a slot, its claims first; false if it was refused.
    fn create(&mut self, slot: usize, plan: &mut Plan) -> bool {
        let spec = &self.set.spec;
        let offset = u32::try_from(slot).unwrap_or(u32::MAX);
        let ordinal = spec.start.saturating_add(offset);
        // A revision's pods come back as they were where the partition or the count says so.
        let keeps = match spec.rolling {
            _ if spec.on_delete => false,
            Some(rolling) => offset < rolling.partition,
            None => offset < self.set.status.current,
        };
        let revision = if keeps { self.current } else { self.update };
        let template = &self.cluster.templates()[revision.template].template;
        let name = PodName::Numbered { prefix: spec.name.name, number: ordinal.into() };
        let new = NewPod {
            owner: Some(OwnerRef::StatefulSet(self.id)),
            revision: revision.number,
            index: Some(ordinal),
            lifetime: template.spec.lifetime,
            ..NewPod::new(spec.name.namespace, name, revision.template, template.workload.kind)
        };
        if claims::is_stale(self, name) {
            return true;
        }
        claims::make(self, name, plan);
        let names = self.cluster.names();
        let set = names.resolve(spec.name.name);
        match plan.create_pod(new, self.cluster) {
            Ok(()) => {
                let message =
                    || format!("create Pod {} in StatefulSet {set} successful", name.text(names));
                self.tell((false, "SuccessfulCreate"), message);
                true
            }
            Err(why) => {
                let message = || {
                    let name = name.text(names);
                    format!("create Pod {name} in StatefulSet {set} failed error: {}", why.message)
                };
                self.tell((true, "FailedCreate"), message);
                false
            }
        }
    }

    fn delete(&mut self, id: PodId, plan: &mut Plan) {
        let names = self.cluster.names();
        let (name, set) = (self.pod(id).name, names.resolve(self.set.spec.name.name));
        plan.push(Write::DeletePod { pod: self.cluster.pods().refer(id), grace: None });
        let message = || format!("delete Pod {} in StatefulSet {set} successful", name.text(names));
        self.tell((false, "SuccessfulDelete"), message);
    }

    /// The claims of condemned pods get the owner that their removal asks for (rule C94).
    fn retain_condemned(&mut self, plan: &mut Plan) {
        for index in 0..self.condemned.len() {
            let pod = self.pod(self.condemned[index]);
            claims::retain(self, pod, true, plan);
        }
    }

    /// The condemned pods, highest first; true if the look goes on after them.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_control.go
    /// `processCondemned` (rule C87).
    fn scale_down(&mut self, plan: &mut Plan) -> bool {
        let ordered = self.is_ordered();
        for id in self.condemned.clone().into_iter().take(if ordered { usize::MAX } else { BURST })
        {
            let is_healthy = self.is_running_and_available(id);
            if self.pod(id).deletion.is_some() {
                if ordered {
                    return false;
                }
                continue;
            }
            if ordered && !is_healthy && Some(id) != self.first_condemned {
                return false;
            }
            self.delete(id, plan);
            if ordered {
                return false;
            }
        }
        true
    }

    /// Old pods from the highest down to the partition, one a look.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_control.go
    /// `updateStatefulSet` (rules C88 to C91).
    fn update(&mut self, plan: &mut Plan) {
        let partition = self.set.spec.rolling.map_or(0, |rolling| rolling.partition);
        let lowest = crate::base::cast::usize_of(partition);
        for slot in (lowest..self.slots.len()).rev() {
            let Some(id) = self.slots[slot] else { return };
            let is_old = self.revision_of(id) != Some(self.update.hash);
            if is_old && self.pod(id).deletion.is_none() {
                self.delete(id, plan);
                if self.revision_of(id) == Some(self.current.hash) {
                    self.status.current = self.status.current.saturating_sub(1);
                }
                return;
            }
            if self.is_unavailable(id) {
                return;
            }
        }
    }

    /// The status, with the update revision as the current one if the rollout is complete.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_utils.go
    /// `completeRollingUpdate` (rule C92).
    pub(super) fn final_status(&self) -> StatefulSetStatus {
        let mut status = self.status;
        let replicas = self.set.spec.replicas;
        let all = [status.updated, status.ready, status.replicas];
        if !self.set.spec.on_delete && all.iter().all(|count| *count == replicas) {
            status.current_revision = status.update_revision;
            status.current = status.updated;
        }
        status
    }

    fn tell(
        &mut self,
        (is_warning, reason): (bool, &'static str),
        message: impl FnOnce() -> String,
    ) {
        if self.recorder.wants_events() {
            let about = About::Object("StatefulSet", self.set.spec.name);
            let (at, message) = (self.now, message());
            self.recorder.event(EventRecord { at, is_warning, reason, about, message });
        }
    }
}
