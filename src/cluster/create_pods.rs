//! Writes that create pods.

use std::sync::Arc;

use crate::api::Lowering;
use crate::base::Symbol;
use crate::base::dist::mix;
use crate::model::{Labels, OwnerRef, PodId, PodRef, PodVolume, TemplateId};

use super::admission;
use super::commit::cover;
use super::{Change, Charged, Cluster, NewPod, Pod, PodMetrics, PodStatus, Serving};

impl Cluster {
    /// Creates a pod unless its owner is gone by now.
    pub(super) fn create_pod_if_owned(&mut self, new: &NewPod, changes: &mut Vec<Change>) {
        if new.owner.is_some_and(|owner| self.pods_of_mut(owner).is_none()) {
            return;
        }
        if self.admit(new, &mut Charged::default()).is_err() {
            return changes.push(Change::PodRefused { owner: new.owner });
        }
        self.create_pod(new, changes);
    }

    /// Adds a pod to the counts, or takes it off them, as it is now.
    pub(super) fn count(&mut self, id: PodId, by: i32) {
        let pod = &self.pods[id];
        self.counts.add(pod, by);
        if let Some(OwnerRef::ReplicaSet(set)) = pod.owner
            && let Some(row) = self.replica_sets.get_mut(set)
        {
            row.counts.add(pod, by);
        }
    }

    /// Creates a pod.
    pub(super) fn create_pod(&mut self, new: &NewPod, changes: &mut Vec<Change>) {
        let serial = self.pods_created;
        self.pods_created += 1;
        let template = self.admitted(new);
        let pod = self.pods.insert(Pod {
            serial,
            uid: new.uid.unwrap_or_else(|| mix(self.seed ^ mix(serial))),
            namespace: new.namespace,
            name: new.name,
            template,
            owner: new.owner,
            origin: new.origin,
            revision: new.revision,
            index: new.index,
            pinned: new.pinned,
            deletion_cost: self.templates[template].template.deletion_cost,
            is_tracked: new.is_tracked,
            index_failures: new.index_failures,
            is_static: is_mirror(&self.templates[template].template),
            is_over: false,
            lifetime: new.lifetime,
            created: self.now,
            node: None,
            bound: None,
            status: PodStatus::NEW,
            ready_changed: self.now,
            ready_first: None,
            deletion: None,
            nominated: None,
            disruption: None,
            disruption_changed: self.now,
            unschedulable: None,
            oom_kills: Vec::new(),
            resize: None,
            conditions: Vec::new(),
        });
        self.name_claims_of(pod.id);
        cover(&mut self.serving, pod.id);
        cover(&mut self.metrics, pod.id);
        self.serving[pod.id] = Serving::Absent;
        self.metrics[pod.id] = PodMetrics::default();
        match new.owner {
            None => self.count_orphan(template, 1),
            Some(owner) => self.pods_of_mut(owner).into_iter().for_each(|pods| pods.push(pod.id)),
        }
        for service in &self.templates[template].services {
            if let Some(row) = &mut self.services[*service] {
                row.pods.push(pod.id);
            }
        }
        self.join_budgets(pod.id);
        self.count(pod.id, 1);
        self.charge(pod.id, admission::add);
        changes.push(Change::PodAdded { pod, owner: new.owner });
        self.bind_by_hand(pod, changes);
    }

    /// The row of a pod's template: the template itself, or as admission fills it in, or with
    /// labels of the pod's own. Taken into use once more.
    fn admitted(&mut self, new: &NewPod) -> TemplateId {
        let own = self.own_labels(new);
        let row = &mut self.templates[new.template];
        let filled = row.admission.as_ref().and_then(|admitted| admitted.template.clone());
        let mut cx = Lowering {
            behaviors: self.behaviors.as_deref().unwrap_or(&self.model.behaviors),
            classes: &self.priorities,
            names: &mut self.names,
        };
        let base = filled.as_ref().unwrap_or(&row.template);
        let bounds = || self.admission.bounds(new.namespace);
        let resized = self.vertical.of(base, &self.vpas, bounds, &mut cx);
        let filled = resized.or(filled);
        if filled.is_none() && own.is_empty() {
            row.users += 1;
            return new.template;
        }
        let labels = Labels::new(row.labels.iter().chain(own));
        let template = filled.unwrap_or_else(|| Arc::clone(&row.template));
        self.use_template(&template, labels)
    }

    /// The labels by which pods of a StatefulSet or of an indexed Job differ, where a Service
    /// selects by one (rules C82, C127).
    ///
    /// Differs: where no Service asks for them pods do not carry them.
    fn own_labels(&mut self, new: &NewPod) -> Vec<(Symbol, Symbol)> {
        let keys = match new.owner {
            Some(OwnerRef::StatefulSet(_)) => {
                ["apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name"]
            }
            Some(OwnerRef::Job(_)) => ["batch.kubernetes.io/job-completion-index", ""],
            Some(OwnerRef::ReplicaSet(_) | OwnerRef::DaemonSet(_)) | None => return Vec::new(),
        };
        let Some(number) = new.index else { return Vec::new() };
        let keys = keys.map(|key| self.names.get(key));
        let asks = |service: &super::Service| {
            let selector = service.spec.selector.as_ref();
            service.spec.name.namespace == new.namespace
                && selector.is_some_and(|s| s.iter().any(|(key, _)| keys.contains(&Some(key))))
        };
        if !self.services.iter().flatten().any(asks) {
            return Vec::new();
        }
        let name = new.name.text(&self.names);
        let values = [number.to_string(), name].map(|value| self.names.intern(&value));
        let pairs = keys.into_iter().zip(values).filter_map(|(key, value)| Some((key?, value)));
        pairs.filter(|(key, _)| !self.names.resolve(*key).is_empty()).collect()
    }

    /// The claims of a pod's generic ephemeral volumes are called after pod and volume; whoever
    /// makes them finds the names known.
    fn name_claims_of(&mut self, pod: PodId) {
        let (row, names) = (&self.pods[pod], &mut self.names);
        let spec = &self.templates[row.template].template.spec;
        for volume in &spec.volumes {
            let name = row.name.text(names);
            let claim = match volume {
                PodVolume::Ephemeral { volume, .. } => {
                    format!("{name}-{}", names.resolve(*volume))
                }
                PodVolume::Templated { template, .. } => {
                    format!("{}-{name}", names.resolve(*template))
                }
                PodVolume::Claim(_) | PodVolume::Disk(_) | PodVolume::Csi(_) => continue,
            };
            names.intern(&name);
            names.intern(&claim);
        }
    }

    /// A pod whose template names a node is bound to it at once, without a scheduler.
    fn bind_by_hand(&mut self, pod: PodRef, changes: &mut Vec<Change>) {
        let name = self.templates[self.pods[pod.id].template].template.spec.node_name;
        if let Some(node) = name.and_then(|name| self.node_named(name)) {
            self.bind_pod(pod, node, changes);
        }
    }
}

/// Whether a pod is the mirror of one that a kubelet has from a file.
fn is_mirror(template: &crate::model::Template) -> bool {
    template.source["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string()
}
