//! Namespaces on their way out: nothing is created in them any more.
//!
//! ```text
//! there ─ DELETE ─► terminating ─ its content is gone ─► gone ─ created again ─► there
//! ```
//!
//! A namespace in which an object stands is there, whether or not a manifest declares it.
//!
//! Source: kubernetes v1.36.3 apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go
//! `Admit`, pkg/registry/core/namespace/storage/storage.go `Delete` (rule C186). Differs: a
//! namespace that nothing declares takes new objects; the original refuses them as not found.

use std::collections::BTreeMap;

use crate::api::Kind;
use crate::base::{SimTime, Symbol};
use crate::model::{Injection, ObjectName};
use crate::record::NamespaceRecord;
use crate::recorder::Recorder;

use super::{Change, Cluster, ObjectChange, Refusal};

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Namespaces that were deleted.
#[derive(Debug, Default)]
pub(super) struct Namespaces(BTreeMap<Symbol, Deleted>);

#[derive(Clone, Copy, Debug)]
enum Deleted {
    /// Since when.
    Terminating(SimTime),
    Gone,
}

impl Cluster {
    /// Since when a namespace is on its way out; `None`: it is not, or is gone.
    #[must_use]
    pub fn namespace_deleted(&self, namespace: Symbol) -> Option<SimTime> {
        match self.namespaces.0.get(&namespace) {
            Some(Deleted::Terminating(since)) => Some(*since),
            Some(Deleted::Gone) | None => None,
        }
    }

    /// Whether a namespace is there: declared, or with something in it.
    #[must_use]
    pub fn has_namespace(&self, namespace: Symbol) -> bool {
        match self.namespaces.0.get(&namespace) {
            Some(Deleted::Terminating(_)) => true,
            Some(Deleted::Gone) => false,
            None => {
                IMMORTAL.contains(&self.names.resolve(namespace))
                    || self.trees.iter().any(|((kind, name), _)| match kind {
                        Kind::Namespace => name.name == namespace,
                        kind => kind.is_namespaced() && name.namespace == namespace,
                    })
                    || self.pods.iter().any(|(_, pod)| pod.namespace == namespace)
            }
        }
    }

    /// Whether something may be created in a namespace. The message of a namespace on its way out
    /// is without `RESOURCE "NAME" is forbidden: `.
    ///
    /// # Errors
    /// It is on its way out (403), or was deleted (404).
    pub fn admit_to_namespace(&self, namespace: Symbol) -> Result<(), Refusal> {
        let Some(state) = self.namespaces.0.get(&namespace) else { return Ok(()) };
        let name = self.names.resolve(namespace);
        Err(match state {
            Deleted::Terminating(_) => Refusal {
                code: 403,
                message: format!(
                    "unable to create new content in namespace {name} because it is being \
                     terminated"
                ),
            },
            Deleted::Gone => {
                Refusal { code: 404, message: format!("namespaces \"{name}\" not found") }
            }
        })
    }

    /// Whether a namespace may be deleted.
    ///
    /// # Errors
    /// It is one of the cluster's own.
    pub fn admit_namespace_deletion(&self, namespace: Symbol) -> Result<(), Refusal> {
        if IMMORTAL.contains(&self.names.resolve(namespace)) {
            let message = "this namespace may not be deleted".to_owned();
            return Err(Refusal { code: 403, message });
        }
        Ok(())
    }

    /// Marks a namespace: it is on its way out.
    pub(super) fn delete_namespace(&mut self, name: ObjectName, changes: &mut Vec<Change>) {
        let namespace = name.name;
        let may = self.admit_namespace_deletion(namespace).is_ok();
        if may && self.has_namespace(namespace) && self.namespace_deleted(namespace).is_none() {
            self.namespaces.0.insert(namespace, Deleted::Terminating(self.now));
            changes.push(Change::Tree { kind: Kind::Namespace, name, has_new_data: false });
        }
    }

    /// Labels of namespaces say whether a mesh puts its proxies into the templates that are written
    /// from now on.
    ///
    /// Differs: templates that were written before stay as they are, and with them pods that are
    /// made of them later.
    pub(super) fn learn_labels(&mut self) {
        let known = self.behaviors.as_deref().unwrap_or(&self.model.behaviors);
        let injection = known.mesh.as_ref().and_then(|mesh| mesh.injection.as_ref());
        let Some(injection) = injection.filter(|injection| injection.is_by_label) else { return };
        let asks = |(name, tree): (ObjectName, &std::sync::Arc<serde_json::Value>)| {
            let labels = &tree["metadata"]["labels"];
            let label = |key: &str| labels[key].as_str();
            let is_asked = Injection::is_asked_for(label("istio-injection"), label("istio.io/rev"));
            is_asked.then(|| self.names.resolve(name.name).to_owned())
        };
        let namespaces: Vec<String> = self.trees_of(Kind::Namespace).filter_map(asks).collect();
        if namespaces == injection.namespaces {
            return;
        }
        let injection = Injection { namespaces, ..(**injection).clone() };
        let mut behaviors = known.clone();
        if let Some(mesh) = &mut behaviors.mesh {
            mesh.injection = Some(std::sync::Arc::new(injection));
        }
        self.behaviors = Some(Box::new(behaviors));
    }

    /// A namespace is created: it may have been deleted before.
    pub(super) fn revive_namespace(&mut self, namespace: Symbol) {
        self.namespaces.0.remove(&namespace);
    }

    /// The content of a namespace is gone, and so is its finalizer: the object goes, unless it has
    /// finalizers of others.
    pub(super) fn finish_namespace(
        &mut self,
        namespace: Symbol,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let Some(since) = self.namespace_deleted(namespace) else { return };
        let own = |name: &ObjectName| name.namespace == namespace;
        let claims: Vec<ObjectName> = self.claims.keys().copied().filter(own).collect();
        for name in claims {
            self.claims.remove(&name);
            changes.push(Change::Claim { name, what: ObjectChange::Removed });
        }
        let found = self
            .trees
            .keys()
            .find(|(kind, name)| *kind == Kind::Namespace && name.name == namespace);
        let key = found.copied();
        let held = key.and_then(|key| self.trees[&key]["metadata"]["finalizers"].as_array());
        if held.is_some_and(|list| !list.is_empty()) {
            return;
        }
        self.namespaces.0.insert(namespace, Deleted::Gone);
        if let Some(key) = key {
            self.trees.remove(&key);
            let kind = Kind::Namespace;
            changes.push(Change::Tree { kind, name: key.1, has_new_data: false });
        }
        let name = self.names.resolve(namespace).to_owned();
        recorder.namespace(NamespaceRecord {
            name,
            deleted: since,
            gone: Some(self.now),
            pods_left: 0,
        });
    }

    /// Namespaces that are still on their way out, for the records at the end of a run.
    pub fn namespaces_left(&self) -> impl Iterator<Item = NamespaceRecord> {
        let all = self.namespaces.0.iter();
        all.filter_map(|(namespace, state)| {
            let Deleted::Terminating(deleted) = *state else { return None };
            let pods = self.pods.iter().filter(|(_, pod)| pod.namespace == *namespace);
            let name = self.names.resolve(*namespace).to_owned();
            let pods_left = crate::base::cast::u32_of(pods.count());
            Some(NamespaceRecord { name, deleted, gone: None, pods_left })
        })
    }
}
