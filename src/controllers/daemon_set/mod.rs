//! DaemonSet: a pod on each node that its template can run on.
//!
//! ```text
//! nodes, pods ─► view: which nodes want one, which have some
//!                  │ history: the present revision
//!                  ├─► manage: what is missing or too much ─► creations, deletions
//!                  ├─► update: only where nothing had to be repaired ─► old ones go, new ones come
//!                  └─► status
//! ```
//!
//! Where a pod goes is settled when it is made; the scheduler only puts it there (rule C102).
//! Expectations (rules C19, C98) are the engine's: a key whose own writes are under way is not
//! looked at, and a look that repairs something does not update anything.
//!
//! Source: kubernetes v1.36.3 pkg/controller/daemon (rules C97 to C113). Differs: a new revision is
//! seen through the watch before pods of it are made, and the label `pod-template-generation` is left
//! out.

mod manage;
mod update;
mod view;

use std::cell::RefCell;

use rand_chacha::ChaCha8Rng;

use crate::base::{Duration, IdVec, Ref, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, DaemonSet, DaemonSetWrite, NewPod, NodeChange, Plan, Pod, Requeue,
    Revision, Write,
};
use crate::model::{
    DaemonSetId, Model, NodeId, ObjectKey, OwnerRef, PodId, PodRef, Workload, WorkloadKind,
};
use crate::record::{About, EventRecord};
use crate::sim::{Ctx, Streams};

use super::pod_names::PodNames;
use super::revisions;
use manage::{FailureBackoff, Steps, manage};
use view::View;

/// Pods that one look makes, and pods that it deletes, at most (rule C105).
const BURST: usize = 250;
/// After a look that wrote something the next one is refused until the cache has caught up: it comes
/// after the first back-off, in place of any that was to come later (rules C15, C16, C20). Of a
/// status alone the cache knows by then, unless the next look was waiting already.
const CATCHES_UP: Duration = Duration::ms(5);

/// The DaemonSet controller.
#[derive(Debug)]
pub struct DaemonSetController {
    names: PodNames<DaemonSetId>,
    rows: IdVec<DaemonSetId, Row>,
    /// How often each was woken since its last look.
    woken: RefCell<IdVec<DaemonSetId, u32>>,
}

/// What it remembers of a DaemonSet between two looks.
#[derive(Debug, Default)]
struct Row {
    /// When it looked last, and which pods had turned ready at that very instant.
    looked: SimTime,
    ready: Vec<PodId>,
    failures: FailureBackoff,
    /// Which nodes an update takes next.
    rng: Option<ChaCha8Rng>,
}

impl Row {
    /// Whether a pod has turned ready since the last look. Such a pod is looked at a second after
    /// it is available (rule C111).
    fn notes_ready(&mut self, set: &DaemonSet, cluster: &Cluster, now: SimTime) -> bool {
        let turned = |id: &&PodId| {
            let pod = &cluster.pods()[**id];
            pod.status.ready && pod.ready_changed >= self.looked
        };
        let known = |id: &PodId| {
            cluster.pods()[*id].ready_changed == self.looked && self.ready.contains(id)
        };
        let turned: Vec<PodId> = set.pods.iter().filter(turned).copied().collect();
        let is_news = turned.iter().any(|id| !known(id));
        let is_now = |id: &PodId| cluster.pods()[*id].ready_changed == now;
        self.ready = turned.into_iter().filter(is_now).collect();
        self.looked = now;
        is_news
    }
}

impl DaemonSetController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, streams: &Streams) -> Self {
        Self {
            names: PodNames::new("pod-names-daemonset", streams),
            rows: IdVec::new(),
            woken: RefCell::default(),
        }
    }
}

impl Controller for DaemonSetController {
    fn name(&self) -> &'static str {
        "daemon-set-controller"
    }

    /// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go `addPod`, `updatePod`,
    /// `deletePod`, `syncNodeUpdate` (rule C110).
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let mut wake = |owner: Option<OwnerRef>| {
            if let Some(OwnerRef::DaemonSet(id)) = owner
                && cluster.daemon_sets().get(id).is_some()
            {
                *self.woken.borrow_mut().grow_to(id) += 1;
                out.push(ObjectKey::DaemonSet(id));
            }
        };
        match *change {
            Change::Object { key: ObjectKey::DaemonSet(id), .. } => {
                wake(Some(OwnerRef::DaemonSet(id)));
            }
            Change::PodAdded { pod, owner: None } => self.wake_adopters(pod, cluster, out),
            Change::PodAdded { owner, .. }
            | Change::PodBound { owner, .. }
            | Change::PodStatus { owner, .. }
            | Change::PodDeleting { owner, .. }
            | Change::PodRefused { owner }
            | Change::PodRemoved { owner, .. } => wake(owner),
            Change::PodMeta { pod, owner } => {
                let now = cluster.pod(pod).and_then(|row| row.owner);
                wake(owner);
                wake(now.filter(|now| Some(*now) != owner));
                if now.is_none() {
                    self.wake_adopters(pod, cluster, out);
                }
            }
            Change::Node {
                node,
                what: NodeChange::Added | NodeChange::Labels | NodeChange::Taints,
            } => {
                for (id, set) in cluster.daemon_sets().iter() {
                    if is_concerned(node, set, cluster) {
                        out.push(ObjectKey::DaemonSet(id));
                    }
                }
            }
            _ => {}
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::DaemonSet(id) = key else { return Requeue::Never };
        let row = self.rows.grow_to(id);
        let woken = std::mem::take(self.woken.get_mut().grow_to(id));
        let Some(set) = cluster.daemon_sets().get(id).filter(|set| !set.is_deleting) else {
            *row = Row::default();
            return Requeue::Never;
        };
        self.look((id, set), woken, cluster, plan, ctx)
    }
}

/// Whether a node that is new, or has other labels or taints, concerns a DaemonSet: it wants a pod
/// and has none, has one that must go, or has one while some node has one that should not.
fn is_concerned(node: NodeId, set: &DaemonSet, cluster: &Cluster) -> bool {
    let row = &cluster.nodes()[node];
    if row.is_gone {
        return false;
    }
    let verdict = view::verdict(row, &set.spec, cluster);
    let has_one = set.pods.iter().any(|id| cluster.pods()[*id].node == Some(node));
    if has_one { !verdict.keeps || set.status.misscheduled > 0 } else { verdict.wants }
}

impl DaemonSetController {
    /// Wakes the DaemonSets that select a pod without owner.
    fn wake_adopters(&self, pod: PodRef, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let Some(row) = cluster.pod(pod) else { return };
        let mut found = Vec::new();
        cluster.owners_selecting(row.namespace, &cluster.template_of(row).labels, &mut found);
        for key in found {
            if let ObjectKey::DaemonSet(id) = key {
                *self.woken.borrow_mut().grow_to(id) += 1;
                out.push(key);
            }
        }
    }

    /// One look.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go `syncDaemonSet`,
    /// `updateDaemonSet` (rule C98).
    fn look(
        &mut self,
        (id, set): (DaemonSetId, &DaemonSet),
        woken: u32,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let (now, spec) = (ctx.now(), &*set.spec);
        let write = |write| Write::DaemonSet(id, write);
        let (present, news) =
            revisions::present(&set.revisions, &spec.template, &spec.source, cluster);
        if let Some(news) = news {
            // What follows from it comes when it is there.
            revisions::tell_start(whose(set), &news, ctx);
            plan.push(write(DaemonSetWrite::Revision(news)));
            return Requeue::Never;
        }
        let present = present.expect("a revision that is not there is made");
        let claimed = claim((id, set), present, cluster, plan);
        let view = View::new((id, set), (&claimed, present), cluster, now);
        let row = &mut self.rows[id];
        let has_turned_ready = row.notes_ready(set, cluster, now);
        let steps = manage(&view, &mut row.failures);
        let mut is_busy = !steps.is_empty();
        let mut is_ok = self.carry_out(&steps, &view, plan, ctx);
        if is_ok && !is_busy {
            let thing = |name: crate::model::ObjectName| {
                let text = |symbol| cluster.names().resolve(symbol);
                format!("{}/{}", text(name.namespace), text(name.name))
            };
            let open = || ctx.streams.open("daemon-set-updates", &thing(spec.name));
            let rng = self.rows[id].rng.get_or_insert_with(open);
            let steps = update::roll(&view, rng);
            is_busy = steps.as_ref().is_some_and(|steps| !steps.is_empty());
            is_ok = steps.is_some_and(|steps| self.carry_out(&steps, &view, plan, ctx));
        }
        if is_ok {
            let old = outdated(&view).into_iter();
            old.for_each(|old| plan.push(write(DaemonSetWrite::Revision(old))));
        }
        let status = view.status();
        if update::is_complete(&status) && !update::is_complete(&set.status) {
            revisions::tell_end(whose(set), present, ctx);
        }
        if status != set.status {
            is_busy |= woken > 1;
            plan.push(write(DaemonSetWrite::Status(status)));
        }
        let is_due = |holds: bool, after| (holds && !spec.min_ready.is_zero()).then_some(after);
        let again = [
            steps.wait,
            is_due(has_turned_ready, spec.min_ready + Duration::secs(1)),
            is_due(status.ready != status.available, spec.min_ready),
            is_busy.then_some(CATCHES_UP),
        ];
        match again.into_iter().flatten().min() {
            _ if !is_ok => Requeue::Failed,
            Some(after) => Requeue::After(after),
            None => Requeue::Never,
        }
    }

    /// Makes and deletes pods; false if one was refused.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go `syncNodes` (rule
    /// C105).
    fn carry_out(
        &mut self,
        steps: &Steps,
        view: &View<'_>,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let (set, cluster) = (view.set, view.cluster);
        let is_ending = cluster.namespace_deleted(set.spec.name.namespace).is_some();
        // What is refused because the namespace ends is silent.
        let most = if is_ending { 0 } else { BURST };
        let nodes = &steps.create[..steps.create.len().min(most)];
        let (mut at, mut batch, mut is_ok) = (0, 1, true);
        // Batches grow, and end with the first in which one is refused.
        while at < nodes.len() && is_ok {
            let end = nodes.len().min(at + batch);
            for node in &nodes[at..end] {
                let new = self.new_pod(*node, view);
                let name = new.name;
                match plan.create_pod(new, cluster) {
                    Ok(()) => tell(set, (false, "SuccessfulCreate"), ctx, || {
                        format!("Created pod: {}", name.text(cluster.names()))
                    }),
                    Err(why) => {
                        is_ok = false;
                        tell(set, (true, "FailedCreate"), ctx, || {
                            format!("Error creating: {}", why.message)
                        });
                    }
                }
            }
            (at, batch) = (end, batch * 2);
        }
        for pod in steps.delete.iter().take(BURST) {
            let name = || view.pod(*pod).name.text(cluster.names());
            if steps.failed.contains(pod) {
                tell(set, (true, "FailedDaemonPod"), ctx, || {
                    let namespace = cluster.names().resolve(set.spec.name.namespace);
                    let node = view.pod(*pod).node.map(|node| cluster.nodes()[node].spec.name);
                    let node = node.map_or("", |node| cluster.names().resolve(node));
                    format!(
                        "Found failed daemon pod {namespace}/{} on node {node}, will try to kill it",
                        name()
                    )
                });
            }
            plan.push(Write::DeletePod { pod: cluster.pods().refer(*pod), grace: None });
            tell(set, (false, "SuccessfulDelete"), ctx, || format!("Deleted pod: {}", name()));
        }
        is_ok
    }

    fn new_pod(&mut self, node: NodeId, view: &View<'_>) -> NewPod {
        let (id, present) = (view.id, view.present);
        let owner = view.set.spec.name;
        let name = self.names.next(Ref { id, life: 0 }, owner, view.cluster.names());
        let template = &view.cluster.templates()[present.template].template;
        NewPod {
            owner: Some(OwnerRef::DaemonSet(id)),
            revision: present.number,
            pinned: Some(node),
            lifetime: template.spec.lifetime,
            ..NewPod::new(owner.namespace, name, present.template, template.workload.kind)
        }
    }
}

/// Whose rollout is told of.
fn whose(set: &DaemonSet) -> Workload {
    Workload { kind: WorkloadKind::DaemonSet, name: set.spec.name }
}

/// The pods that count as the set's own: of those that it owns the selected ones (an active one
/// that is not is released), and those without owner that it selects and so adopts.
///
/// Source: kubernetes v1.36.3 pkg/controller/controller_ref_manager.go `ClaimPods` (rule C8).
fn claim(
    (id, set): (DaemonSetId, &DaemonSet),
    present: &Revision,
    cluster: &Cluster,
    plan: &mut Plan,
) -> Vec<PodId> {
    let (pods, selector) = (cluster.pods(), &set.spec.selector);
    let is_own = |pod: &Pod| {
        pod.template == present.template
            || selector.matches(&cluster.template_of(pod).labels, cluster.names())
    };
    let mut claimed = Vec::with_capacity(set.pods.len());
    for id in &set.pods {
        if is_own(&pods[*id]) {
            claimed.push(*id);
        } else if pods[*id].is_active() {
            plan.push(Write::PodOwner { pod: pods.refer(*id), owner: None });
        }
    }
    for orphan in cluster.orphans(set.spec.name.namespace, selector) {
        if pods[orphan].is_active() {
            let (pod, owner) = (pods.refer(orphan), Some(OwnerRef::DaemonSet(id)));
            plan.push(Write::PodOwner { pod, owner });
            claimed.push(orphan);
        }
    }
    claimed
}

/// The revisions that go.
fn outdated(view: &View<'_>) -> Vec<crate::cluster::RevisionWrite> {
    let label = view.cluster.revision_label();
    let is_live = |revision: &Revision| {
        view.set.pods.iter().any(|id| {
            let labels = &view.cluster.template_of(view.pod(*id)).labels;
            labels.get(label) == Some(revision.hash)
        })
    };
    let limit = view.spec().history_limit;
    revisions::outdated(&view.set.revisions, view.present.hash, limit, is_live)
}

fn tell(
    set: &DaemonSet,
    (is_warning, reason): (bool, &'static str),
    ctx: &mut Ctx<'_>,
    message: impl FnOnce() -> String,
) {
    if ctx.recorder.wants_events() {
        let about = About::Object("DaemonSet", set.spec.name);
        let (at, message) = (ctx.now(), message());
        ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}
