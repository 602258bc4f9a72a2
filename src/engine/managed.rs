//! Who manages the fields of objects: what server-side apply asks.
//!
//! An object that the manifests brought counts as applied by kubectl. What commands write is noted;
//! replicas that a controller has changed are its own.
//!
//! Differs: of what controllers write only `spec.replicas` is noted.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{Manager, Managers, conflicts_text};
use crate::base::go_time::Timestamp;
use crate::kubectl::{At, Place, Status, Sub};

use super::api_server::ApiServer;

/// Who writes now, and who has written.
#[derive(Debug, Default)]
pub(super) struct Managed {
    /// The name of the client that writes.
    pub(super) actor: String,
    of: BTreeMap<Place, Managers>,
}

/// kubectl as it applies on the server.
const KUBECTL: &str = "kubectl";
/// kubectl as it applies by itself: what it had so it has when it applies on the server.
const CLIENT_SIDE: &str = "kubectl-client-side-apply";

impl ApiServer<'_> {
    /// The client that writes now.
    fn manager(&self, at: At<'_>, applies: bool) -> Manager {
        let start = Timestamp::from_unix(self.0.cluster.model().run.start_unix);
        Manager {
            name: self.0.managed.actor.clone(),
            applies,
            subresource: at.sub.name(),
            version: if at.sub == Sub::Scale {
                "autoscaling/v1".to_owned()
            } else {
                at.resource.api_version()
            },
            time: start.at(self.0.queue.now()).to_string(),
        }
    }

    /// The managers of an object as it is now.
    fn managers(&mut self, at: At<'_>, live: &Value) -> Managers {
        let kind = at.resource.kind;
        let declared = self.declared(at);
        let first = || {
            let name = if declared.is_some() { KUBECTL } else { "kube-controller-manager" };
            let manager = Manager {
                name: name.to_owned(),
                applies: declared.is_some(),
                subresource: None,
                version: at.resource.api_version(),
                time: Timestamp::from_unix(self.0.cluster.model().run.start_unix).to_string(),
            };
            Managers::of(kind, declared.as_ref().unwrap_or(live), manager)
        };
        let known = self.0.managed.of.get(&at.place()).cloned();
        let mut managers = known.unwrap_or_else(first);
        let replicas = |of: &Value| of["spec"]["replicas"].as_i64();
        let before = declared.as_ref().and_then(replicas);
        if at.resource.has_scale && before.is_some() && replicas(live) != before {
            let mut old = live.clone();
            old["spec"]["replicas"] = before.into();
            let mut scaler = self.manager(At { sub: Sub::Scale, ..at }, false);
            "kube-controller-manager".clone_into(&mut scaler.name);
            managers.written(kind, scaler, &old, live);
        }
        managers
    }

    /// The object as it was written last.
    fn declared(&self, at: At<'_>) -> Option<Value> {
        let name = self.name(at)?;
        let tree = match (at.resource.kind, at.resource.custom) {
            (Some(kind), _) => self.0.cluster.tree(kind, name),
            (None, Some(custom)) => self.0.cluster.custom(custom, name),
            (None, None) => None,
        };
        tree.map(|tree| (**tree).clone())
    }

    /// Notes that the client has created an object.
    pub(super) fn note_created(&mut self, at: At<'_>, sent: &Value, applies: bool) {
        let managers = Managers::of(at.resource.kind, sent, self.manager(at, applies));
        self.0.managed.of.insert(at.place(), managers);
    }

    /// The managers of an object once the client has written it without applying it.
    pub(super) fn written(&mut self, at: At<'_>, old: &Value, new: &Value) -> Managers {
        let mut managers = self.managers(at, old);
        managers.written(at.resource.kind, self.manager(at, false), old, new);
        managers
    }

    /// Notes the managers of an object.
    pub(super) fn note(&mut self, at: At<'_>, managers: Managers) {
        self.0.managed.of.insert(at.place(), managers);
    }

    /// An object is gone: one of its name begins anew.
    pub(super) fn forget(&mut self, at: At<'_>) {
        self.0.managed.of.remove(&at.place());
    }

    /// What a configuration makes of an object, and who manages it then.
    ///
    /// # Errors
    /// Others manage some of its fields.
    pub(super) fn merged(
        &mut self,
        at: At<'_>,
        (live, config): (&Value, &Value),
        force: bool,
    ) -> Result<(Value, Managers), Status> {
        let mut managers = self.managers(at, live);
        let manager = self.manager(at, true);
        if manager.name == KUBECTL {
            managers.rename(CLIENT_SIDE, &manager);
        }
        let applied = managers.apply(at.resource.kind, (live, config), manager, force);
        let new = applied.map_err(|conflicts| Status {
            code: 409,
            reason: "Conflict",
            message: conflicts_text(&conflicts),
            of: None,
            causes: Vec::new(),
        })?;
        Ok((new, managers))
    }
}
