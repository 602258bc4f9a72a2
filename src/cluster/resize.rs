//! Pods whose containers get other amounts while they run.
//!
//! Three amounts differ meanwhile: what the specification asks for, what the kubelet has promised
//! (allocated) and what the containers have (actual). A node is taken to be used by the greatest of
//! them (rule S84), of a resize that the kubelet calls infeasible by the greater of the last two.
//!
//! ```text
//! ResizePod ─► template with other amounts ─► Change::PodResized ─► kubelet
//!                                                                     │
//!              Pod::resize (allocated, actual, why not) ◄── ResizeStatus
//! ```
//!
//! Source: kubernetes v1.36.3 component-helpers/resource/helpers.go `determineEffectiveRequests`;
//! KEP-1287 (rules N104, S84).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{self, Kind, Lowering};
use crate::base::{Bytes, MilliCpu, Symbol};
use crate::model::{Amounts, Container, ObjectName, PodId, PodRef, PodSpec, QosClass, Template};
use crate::record::PodName;

use super::admission;
use super::{Allotment, Change, Cluster, Pod, declared};

/// What containers are to ask for and may use, by their names.
pub type Allotments = Vec<(Symbol, Allotment)>;

/// A resize that is not complete.
#[derive(Clone, Debug)]
pub struct Resize {
    /// What the kubelet says.
    pub status: ResizeStatus,
    /// What the pod takes of its node.
    held: Arc<PodSpec>,
}

/// What a kubelet says of the amounts of a pod.
#[derive(Clone, Debug)]
pub struct ResizeStatus {
    /// What it has promised.
    pub allocated: Arc<PodSpec>,
    /// What the containers have.
    pub actual: Arc<PodSpec>,
    /// Condition PodResizePending.
    pub pending: Option<ResizePending>,
    /// Condition PodResizeInProgress, with what stands in its way if something does.
    pub progress: Option<Option<Arc<str>>>,
}

/// Why a resize has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResizePending {
    /// Whether it never will on this node (`Infeasible`), or may (`Deferred`).
    pub is_infeasible: bool,
    /// In the kubelet's words.
    pub message: Arc<str>,
}

impl ResizePending {
    /// The condition's reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        if self.is_infeasible { "Infeasible" } else { "Deferred" }
    }
}

/// Templates with other amounts: many pods of a workload share one.
#[derive(Debug, Default)]
pub(super) struct Resized(Vec<(Arc<Template>, Allotments, Arc<Template>)>);

/// How many are kept.
const RESIZED_MAX: usize = 64;

impl Resized {
    fn of(
        &mut self,
        template: &Arc<Template>,
        amounts: Allotments,
        cx: &mut Lowering<'_>,
    ) -> Option<Arc<Template>> {
        let is_it = |(from, to, _): &&(Arc<Template>, Allotments, _)| {
            Arc::ptr_eq(from, template) && *to == amounts
        };
        if let Some((_, _, made)) = self.0.iter().find(is_it) {
            return Some(Arc::clone(made));
        }
        let made = with_amounts(template, &amounts, cx)?;
        if self.0.len() >= RESIZED_MAX {
            self.0.remove(0);
        }
        self.0.push((Arc::clone(template), amounts, Arc::clone(&made)));
        Some(made)
    }
}

/// A template whose containers ask for other amounts.
pub(super) fn with_amounts(
    template: &Template,
    amounts: &[(Symbol, Allotment)],
    cx: &mut Lowering<'_>,
) -> Option<Arc<Template>> {
    let mut tree = (*template.source).clone();
    write_amounts(&mut tree, amounts, cx.names);
    let made = api::lower_generated(&tree, template.workload, cx).ok()?;
    // What admission has filled in is not in the tree.
    let mut spec = (*template.spec).clone();
    let pairs = |to: &mut Vec<Container>, from: &[Container]| {
        for (to, from) in to.iter_mut().zip(from) {
            to.requests.clone_from(&from.requests);
            to.asked = from.asked;
            (to.cpu_limit, to.memory_limit) = (from.cpu_limit, from.memory_limit);
        }
    };
    pairs(&mut spec.containers, &made.spec.containers);
    pairs(&mut spec.init_containers, &made.spec.init_containers);
    spec.requests.clone_from(&made.spec.requests);
    spec.own_requests = made.spec.own_requests;
    spec.own_limits = made.spec.own_limits;
    spec.nonzero_requests = made.spec.nonzero_requests;
    spec.scored_requests.clone_from(&made.spec.scored_requests);
    spec.qos = made.spec.qos;
    let source = Arc::clone(&made.source);
    Some(Arc::new(Template { spec: Arc::new(spec), source, ..template.clone() }))
}

/// Writes amounts into the containers of a pod or template.
pub(super) fn write_amounts(
    tree: &mut Value,
    amounts: &[(Symbol, Allotment)],
    names: &crate::base::Interner,
) {
    for kind in ["containers", "initContainers"] {
        let list = tree["spec"].get_mut(kind).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten() {
            let own = amounts.iter().find(|(name, _)| container["name"] == names.resolve(*name));
            if let Some((_, own)) = own {
                write(&mut container["resources"], "requests", own.requests);
                write(&mut container["resources"], "limits", own.limits);
            }
        }
    }
}

fn write(resources: &mut Value, key: &str, amounts: Amounts) {
    if !resources.is_object() {
        *resources = json!({});
    }
    let texts = [
        ("cpu", amounts.cpu.map(|milli| format!("{milli}m"))),
        ("memory", amounts.memory.map(|bytes| Bytes(bytes).to_string())),
    ];
    for (resource, text) in texts {
        if let Some(text) = text {
            resources[key][resource] = Value::String(text);
        }
    }
}

/// The greatest that a pod's containers ask for, have been promised or have (rule S84).
fn effective(asked: &PodSpec, status: &ResizeStatus) -> Allotments {
    let is_infeasible = status.pending.as_ref().is_some_and(|pending| pending.is_infeasible);
    let parts = status.allocated.all_containers().zip(status.actual.all_containers());
    let each = asked.all_containers().zip(parts).map(|(asked, (allocated, actual))| {
        let most = |get: fn(&Container) -> i64| {
            let held = get(allocated).max(get(actual));
            if is_infeasible { held } else { held.max(get(asked)) }
        };
        let requests = Amounts {
            cpu: Some(most(|of| of.requests.cpu.0)).filter(|cpu| *cpu > 0),
            memory: Some(most(|of| of.requests.memory.0)).filter(|memory| *memory > 0),
        };
        (asked.name, Allotment { requests, limits: Amounts::default() })
    });
    each.collect()
}

/// What all containers of a specification ask for and may use.
#[must_use]
pub fn allotments(spec: &PodSpec) -> Allotments {
    spec.all_containers().map(|container| (container.name, declared(container))).collect()
}

/// The quality of service class of a pod with other amounts (rule N96): a resize that changes it
/// is refused.
#[must_use]
pub fn class_with(spec: &PodSpec, amounts: &[(Symbol, Allotment)]) -> QosClass {
    let of = |container: &Container| {
        let own = amounts.iter().find(|(name, _)| *name == container.name);
        own.map_or_else(|| declared(container), |(_, own)| *own)
    };
    let all: Vec<Allotment> = spec.all_containers().map(of).collect();
    let both = |of: Amounts| of.cpu.is_some() && of.memory.is_some();
    if all.iter().all(|own| *own == Allotment::default()) {
        QosClass::BestEffort
    } else if all.iter().all(|own| both(own.limits) && own.requests == own.limits) {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

impl Cluster {
    /// What a pod takes of its node: what it asks for, more while it is resized (rule S84).
    #[must_use]
    pub fn held<'a>(&'a self, row: &'a Pod) -> &'a Arc<PodSpec> {
        match &row.resize {
            Some(resize) => &resize.held,
            None => &self.templates[row.template].template.spec,
        }
    }

    /// What a pod's containers have: what it asks for, once they have got it (rule N104).
    #[must_use]
    pub fn actual<'a>(&'a self, row: &'a Pod) -> &'a Arc<PodSpec> {
        match &row.resize {
            Some(resize) => &resize.status.actual,
            None => &self.templates[row.template].template.spec,
        }
    }

    /// A node has pods that take other amounts of it.
    fn weigh(&mut self, id: PodId, change: impl FnOnce(&mut Self)) {
        let sums = |cluster: &Self| {
            let spec = cluster.held(&cluster.pods[id]);
            (spec.requests.clone(), spec.nonzero_requests)
        };
        let (before, nonzero_before) = sums(self);
        change(self);
        let (after, nonzero) = sums(self);
        let Some(node) = self.pods[id].node else { return };
        let node = &mut self.nodes[node];
        if node.pods.contains(&id) {
            node.requested.subtract(&before);
            node.requested.add(&after);
            let add = |(cpu, memory): (MilliCpu, Bytes), sign: i64| {
                (MilliCpu(cpu.0 * sign), Bytes(memory.0 * sign))
            };
            for (cpu, memory) in [add(nonzero_before, -1), add(nonzero, 1)] {
                node.nonzero_requested.0 += cpu;
                node.nonzero_requested.1 += memory;
            }
        }
    }

    /// A pod's containers are to ask for other amounts.
    pub(super) fn resize_pod(
        &mut self,
        pod: PodRef,
        amounts: Allotments,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.pods.get(pod).filter(|row| !row.is_terminal()) else { return };
        let (before, owner, node) = (row.template, row.owner, row.node);
        let template = Arc::clone(&self.templates[before].template);
        let mut resized = std::mem::take(&mut self.resized);
        let made = resized.of(&template, amounts, &mut self.lowering());
        self.resized = resized;
        let Some(made) = made.filter(|made| !made.spec.has_amounts_of(&template.spec)) else {
            return;
        };
        self.charge(pod.id, admission::subtract);
        let was = Arc::clone(&template.spec);
        self.weigh(pod.id, |cluster| {
            let labels = cluster.templates[before].labels.clone();
            let after = cluster.use_template(&made, labels);
            let row = &mut cluster.pods[pod.id];
            row.template = after;
            if row.node.is_some() {
                let status = match row.resize.take() {
                    Some(resize) => ResizeStatus { pending: None, ..resize.status },
                    None => ResizeStatus {
                        allocated: Arc::clone(&was),
                        actual: was,
                        pending: None,
                        progress: None,
                    },
                };
                cluster.hold(pod.id, status);
            }
            if owner.is_none() {
                cluster.count_orphan(before, -1);
                cluster.count_orphan(after, 1);
            }
        });
        self.charge(pod.id, admission::add);
        self.drop_template(before);
        self.write_tree(pod.id);
        changes.push(Change::PodResized { pod, node, owner, is_asked: true });
    }

    /// The tree of a pod that a manifest declares says what it asks for now.
    fn write_tree(&mut self, id: PodId) {
        let row = &self.pods[id];
        let PodName::Fixed(name) = row.name else { return };
        let key = (Kind::Pod, ObjectName { namespace: row.namespace, name });
        let amounts = allotments(&self.templates[row.template].template.spec);
        if let Some(tree) = self.trees.get_mut(&key) {
            write_amounts(Arc::make_mut(tree), &amounts, &self.names);
        }
    }

    /// Notes what a kubelet says of a pod, and what the pod takes of its node then.
    fn hold(&mut self, id: PodId, status: ResizeStatus) {
        let template = Arc::clone(&self.templates[self.pods[id].template].template);
        let asked = &template.spec;
        let is_over = status.allocated.has_amounts_of(asked)
            && status.actual.has_amounts_of(asked)
            && status.progress.is_none()
            && status.pending.is_none();
        let resize = (!is_over).then(|| {
            let most = effective(asked, &status);
            let held = with_amounts(&template, &most, &mut self.lowering());
            let held = held.map_or_else(|| Arc::clone(asked), |made| Arc::clone(&made.spec));
            Box::new(Resize { status, held })
        });
        self.pods[id].resize = resize;
    }

    /// Takes over what a kubelet says of a pod's amounts.
    pub(super) fn set_resize_status(
        &mut self,
        pod: PodRef,
        status: ResizeStatus,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.pods.get(pod) else { return };
        let (node, owner) = (row.node, row.owner);
        self.weigh(pod.id, |cluster| cluster.hold(pod.id, status));
        changes.push(Change::PodResized { pod, node, owner, is_asked: false });
    }
}
