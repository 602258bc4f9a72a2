//! Who may adopt which pod: owners by what they select, pods without owner by their labels
//! (rule C8).
//!
//! Both sides are found by one pair of labels: a selector by the first pair that it demands, a
//! template by each of its own. So neither a pod without owner nor an owner that looks costs more
//! where there are many of the other.

use smallvec::{SmallVec, smallvec};

use crate::base::{LookupMap, Symbol};
use crate::model::{Labels, ObjectKey, Operator, PodId, Selector, TemplateId};

use super::Cluster;

/// Namespace, label, value; of selectors that demand no pair only the namespace.
type Anchor = (Symbol, Option<(Symbol, Symbol)>);

/// The index of both sides.
#[derive(Debug, Default)]
pub(super) struct Selecting {
    owners: LookupMap<Anchor, Vec<ObjectKey>>,
    /// Templates of pods without owner.
    templates: LookupMap<Anchor, Vec<TemplateId>>,
}

/// The pairs of which a selected object has one.
fn anchors(namespace: Symbol, selector: &Selector) -> SmallVec<[Anchor; 2]> {
    let demanded = selector.0.iter().find(|r| r.operator == Operator::In);
    match demanded {
        Some(r) => r.values.iter().map(|value| (namespace, Some((r.key, *value)))).collect(),
        None => smallvec![(namespace, None)],
    }
}

/// The pairs under which an object with these labels is found.
fn places(namespace: Symbol, labels: &Labels) -> impl Iterator<Item = Anchor> + '_ {
    std::iter::once((namespace, None)).chain(labels.iter().map(move |pair| (namespace, Some(pair))))
}

impl Cluster {
    /// From now on an owner selects pods.
    pub(super) fn add_selector(&mut self, key: ObjectKey, namespace: Symbol, selector: &Selector) {
        for anchor in anchors(namespace, selector) {
            self.selecting.owners.or_insert_with(anchor, Vec::new).push(key);
        }
    }

    /// An owner selects pods no more.
    pub(super) fn drop_selector(&mut self, key: ObjectKey, namespace: Symbol, selector: &Selector) {
        for anchor in anchors(namespace, selector) {
            if let Some(keys) = self.selecting.owners.get_mut(&anchor) {
                keys.retain(|other| *other != key);
            }
        }
    }

    /// A pod of a template has no owner any more (`+1`), or one again, or is gone (`-1`).
    pub(super) fn count_orphan(&mut self, template: TemplateId, by: i32) {
        let row = &mut self.templates[template];
        let before = row.orphans;
        row.orphans = before.checked_add_signed(by).expect("orphans are counted both ways");
        if (before == 0) == (row.orphans == 0) {
            return;
        }
        let namespace = row.template.workload.name.namespace;
        let labels = row.labels.clone();
        for anchor in places(namespace, &labels) {
            let listed = self.selecting.templates.or_insert_with(anchor, Vec::new);
            if before == 0 {
                listed.push(template);
            } else {
                listed.retain(|other| *other != template);
            }
        }
    }

    /// Pods without owner that a selector selects, in order of their creation.
    #[must_use]
    pub fn orphans(&self, namespace: Symbol, selector: &Selector) -> Vec<PodId> {
        let mut templates: Vec<TemplateId> = Vec::new();
        for anchor in anchors(namespace, selector) {
            let listed = self.selecting.templates.get(&anchor).into_iter().flatten();
            let selected =
                |id: &&TemplateId| selector.matches(&self.templates[**id].labels, &self.names);
            templates.extend(listed.filter(selected));
        }
        if templates.is_empty() {
            return Vec::new();
        }
        let pods = self.pods.iter();
        let orphans = pods.filter(|(_, p)| p.owner.is_none() && templates.contains(&p.template));
        let mut found: Vec<_> = orphans.map(|(id, pod)| (pod.serial, id)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Owners that select a pod with these labels.
    pub fn owners_selecting(&self, namespace: Symbol, labels: &Labels, out: &mut Vec<ObjectKey>) {
        for anchor in places(namespace, labels) {
            let keys = self.selecting.owners.get(&anchor).into_iter().flatten();
            out.extend(keys.filter(|key| self.selects(**key, labels)));
        }
    }

    fn selects(&self, key: ObjectKey, labels: &Labels) -> bool {
        let selector = match key {
            ObjectKey::ReplicaSet(id) => self.replica_sets.at(id).map(|row| &row.selector),
            ObjectKey::StatefulSet(id) => self.stateful_sets.get(id).map(|row| &row.spec.selector),
            ObjectKey::DaemonSet(id) => self.daemon_sets.get(id).map(|row| &row.spec.selector),
            ObjectKey::Job(id) => self.jobs.at(id).map(|row| &row.selector),
            _ => None,
        };
        selector.is_some_and(|selector| selector.matches(labels, &self.names))
    }
}
