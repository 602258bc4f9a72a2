//! The API server as kubectl asks it in a run: trees come from the rows, writes are checked,
//! admitted and committed one by one.
//!
//! ```text
//! kubectl ─► get, list ──────────────────────► objects.rs: rows and trees as objects
//!         └► create, patch, replace ─ defaults, validation, admission ─ lower ─► Write ─► commit
//! ```

use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Kind, PatchType, Refused, TextSelector};
use crate::base::{Duration, Symbol};
use crate::cluster::{CustomWrite, Refusal, Write, allotments};
use crate::kubectl::{self, Api, At, Cascade, DeleteOptions, Resource, Status, Sub, server};
use crate::model::{Custom, ObjectName, Propagation};
use crate::scenario;

use super::{World, objects, statuses};

/// Conditions of a pod that its kubelet, the scheduler and others of the cluster write.
const OWN_CONDITIONS: [&str; 9] = [
    "PodScheduled",
    "PodReadyToStartContainers",
    "Initialized",
    "ContainersReady",
    "Ready",
    "DisruptionTarget",
    "PodResizePending",
    "PodResizeInProgress",
    "AllContainersRestarting",
];

/// The API server of a run.
pub(super) struct ApiServer<'a>(pub(super) &'a mut World);

impl ApiServer<'_> {
    /// The symbols of a name, if any object has it.
    pub(super) fn name(&self, at: At<'_>) -> Option<ObjectName> {
        let names = self.0.cluster.names();
        let namespace = if at.resource.is_namespaced { at.namespace } else { "default" };
        Some(ObjectName { namespace: names.get(namespace)?, name: names.get(at.name)? })
    }

    /// The names of pods that controllers make, and of namespaces that nothing declares, are no
    /// symbols until somebody says them.
    fn learn(&mut self, at: At<'_>) {
        if matches!(at.resource.kind, Some(Kind::Pod | Kind::Namespace)) {
            self.0.cluster.names_mut().intern(at.name);
        }
    }

    /// The object, if it is there.
    fn object(&self, at: At<'_>) -> Option<Value> {
        if let Some(custom) = at.resource.custom {
            return self.0.cluster.custom(custom, self.name(at)?).map(|tree| (**tree).clone());
        }
        objects::object(at.resource.kind?, self.name(at)?, &self.0.cluster)
    }

    fn present(&self, at: At<'_>) -> Result<Value, Status> {
        self.object(at).ok_or_else(|| Status::not_found(at.resource, at.name))
    }

    /// Stores another version of an object and gives what was asked about.
    fn put(&mut self, at: At<'_>, new: Value) -> Result<Value, Status> {
        match at.sub {
            Sub::Object => self.store(at, new, false),
            Sub::Scale => {
                let stored = self.store(at, new, false)?;
                server::scale_of(at.resource, &stored).ok_or_else(Status::no_such_path)
            }
            Sub::Resize => self.resize(at, new),
            Sub::Status => Ok(self.put_conditions(at, new)),
        }
    }

    /// The containers of a pod are to get other amounts.
    fn resize(&mut self, at: At<'_>, new: Value) -> Result<Value, Status> {
        let lowered = api::lower_pod_spec(&new, &mut self.0.cluster.lowering());
        let spec = lowered.map_err(|problems| {
            server::refusal(at.resource, at.name, Refused::Invalid(problems))
        })?;
        let pod = self.name(at).and_then(|name| self.0.cluster.pod_named(name));
        if let Some(pod) = pod {
            let admitted = self.0.cluster.admit_resize(pod, &new);
            admitted.map_err(|refusal| forbidden(at, at.name, &refusal))?;
            self.0.plan.push(Write::ResizePod { pod, amounts: allotments(&spec) });
            self.0.settle();
        }
        Ok(new)
    }

    /// Conditions of a pod that its kubelet does not write: those of its readiness gates.
    fn put_conditions(&mut self, at: At<'_>, new: Value) -> Value {
        let cluster = &mut self.0.cluster;
        let list = new["status"]["conditions"].as_array();
        let conditions = list.into_iter().flatten().filter_map(|condition| {
            let kind = condition["type"].as_str().filter(|kind| !OWN_CONDITIONS.contains(kind))?;
            Some((cluster.names_mut().intern(kind), condition["status"] == "True"))
        });
        let conditions: Vec<(Symbol, bool)> = conditions.collect();
        let pod = self.name(at).and_then(|name| self.0.cluster.pod_named(name));
        if let Some(pod) = pod {
            self.0.plan.push(Write::PodConditions { pod, conditions });
            self.0.settle();
        }
        new
    }

    /// Checks, lowers and writes an object.
    fn store(&mut self, at: At<'_>, mut tree: Value, is_new: bool) -> Result<Value, Status> {
        if let Some(custom) = at.resource.custom {
            return self.store_custom(custom, at, tree, is_new);
        }
        let kind = at.resource.kind.ok_or_else(Status::no_such_path)?;
        let namespace = self.0.cluster.names_mut().intern(at.namespace);
        if is_new {
            self.admit_to_namespace(at, &tree, namespace)?;
            let admitted = self.0.cluster.admit_object(kind, namespace, &mut tree);
            admitted.map_err(|refusal| forbidden(at, &name_of(&tree), &refusal))?;
        }
        let stored = Arc::new(stripped(kind, &tree));
        let lowered = api::lower_object(kind, &stored, &mut self.0.cluster.lowering());
        let object = lowered.map_err(|problems| {
            let name = name_of(&tree);
            server::refusal(at.resource, &name, Refused::Invalid(problems))
        })?;
        let write = if is_new { Write::Create } else { Write::Replace };
        self.0.plan.push(write(Box::new(object)));
        self.0.settle();
        Ok(tree)
    }
}

impl ApiServer<'_> {
    /// Creates an object.
    fn bring(&mut self, at: At<'_>, object: &Value, applies: bool) -> Result<Value, Status> {
        let name = name_of(object);
        let at = At { name: &name, ..at };
        let created = server::create(at, with_owners(object.clone()))?;
        if let Some(present) = self.object(at) {
            let mut status = Status::already_exists(at.resource, &name);
            if !present["metadata"]["deletionTimestamp"].is_null() {
                status.message = format!("object is being deleted: {}", status.message);
            }
            return Err(status);
        }
        let stored = self.store(at, created, true)?;
        self.note_created(at, object, applies);
        Ok(stored)
    }

    /// Checks and writes an object of somebody else's kind.
    fn store_custom(
        &mut self,
        custom: Custom,
        at: At<'_>,
        tree: Value,
        is_new: bool,
    ) -> Result<Value, Status> {
        let space = if at.resource.is_namespaced { at.namespace } else { "default" };
        let names = self.0.cluster.names_mut();
        let (namespace, own) = (names.intern(space), name_of(&tree));
        let name = ObjectName { namespace, name: names.intern(&own) };
        let lowered = scenario::lower_custom(custom, &tree, names);
        if is_new {
            self.admit_to_namespace(at, &tree, namespace)?;
        }
        let spec = lowered.map_err(|causes| Status {
            code: 422,
            reason: "Invalid",
            message: format!("{} {own:?} is invalid: {}", at.resource.name, causes.join(", ")),
            of: Some((at.resource.name.to_owned(), own)),
            causes,
        })?;
        let to = Some((Arc::new(tree.clone()), spec));
        self.0.plan.push(Write::Custom(Box::new(CustomWrite { custom, name, to })));
        self.0.settle();
        Ok(tree)
    }

    /// Whether the namespace of a new object takes it.
    fn admit_to_namespace(&self, at: At<'_>, tree: &Value, of: Symbol) -> Result<(), Status> {
        if !at.resource.is_namespaced {
            return Ok(());
        }
        self.0.cluster.admit_to_namespace(of).map_err(|refusal| match refusal.code {
            404 => Status::not_found(kubectl::resource(Kind::Namespace), at.namespace),
            _ => forbidden(at, &name_of(tree), &refusal),
        })
    }
}

/// What is kept of an object: what controllers and the server itself write stands in the rows.
fn stripped(kind: Kind, tree: &Value) -> Value {
    let mut kept = tree.clone();
    if let Some(object) = kept.as_object_mut().filter(|_| kind != Kind::Node) {
        object.remove("status");
    }
    let metadata = &mut kept["metadata"];
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("generation");
    }
    if kind == Kind::Job {
        objects::strip_job(&mut kept);
        return kept;
    }
    if kind == Kind::Deployment
        && let Some(annotations) = metadata["annotations"].as_object_mut()
    {
        annotations.remove("deployment.kubernetes.io/revision");
        if annotations.is_empty()
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.remove("annotations");
        }
    }
    kept
}

/// Objects have no uids here: owners get one that the checks take.
fn with_owners(mut object: Value) -> Value {
    let owners = object["metadata"].get_mut("ownerReferences").and_then(Value::as_array_mut);
    for owner in owners.into_iter().flatten().filter(|owner| owner.is_object()) {
        if owner["uid"].as_str().is_none_or(str::is_empty) {
            owner["uid"] = objects::NOBODY.into();
        }
    }
    object
}

fn name_of(tree: &Value) -> String {
    tree["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Admission refuses.
fn forbidden(at: At<'_>, name: &str, refusal: &Refusal) -> Status {
    let message = format!("{} \"{name}\" is forbidden: {}", at.resource.full(), refusal.message);
    Status { code: refusal.code, reason: "Forbidden", message, of: None, causes: Vec::new() }
}

impl Api for ApiServer<'_> {
    fn get(&mut self, at: At<'_>) -> Result<Value, Status> {
        self.learn(at);
        let object = self.present(at)?;
        match at.is_scale() {
            true => server::scale_of(at.resource, &object).ok_or_else(Status::no_such_path),
            false => Ok(object),
        }
    }

    fn list(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        selector: &TextSelector,
    ) -> Result<Vec<Value>, Status> {
        let cluster = &self.0.cluster;
        let space: Option<Symbol> = cluster.names().get(namespace);
        if resource.is_namespaced && space.is_none() {
            return Ok(Vec::new());
        }
        let space = space.filter(|_| resource.is_namespaced);
        let mut all = match (resource.kind, resource.custom) {
            (Some(kind), _) => objects::objects(kind, space, cluster),
            (None, Some(custom)) => {
                let all = cluster.customs_of(custom);
                let here = all.filter(|(name, _)| space.is_none_or(|own| own == name.namespace));
                here.map(|(_, tree)| (**tree).clone()).collect()
            }
            (None, None) => objects::revisions(space, cluster),
        };
        all.retain(|object| selector.matches(&object["metadata"]["labels"]));
        Ok(all)
    }

    fn create(
        &mut self,
        at: At<'_>,
        object: Value,
        _content_type: &'static str,
    ) -> Result<Value, Status> {
        self.bring(at, &object, false)
    }

    fn act_as(&mut self, manager: &str) {
        manager.clone_into(&mut self.0.managed.actor);
    }

    fn apply(&mut self, at: At<'_>, config: Value, force: bool) -> Result<Value, Status> {
        self.learn(at);
        let Some(old) = self.object(at) else { return self.bring(at, &config, true) };
        let (new, managers) = self.merged(at, (&old, &config), force)?;
        let new = server::update(at, &old, new)?;
        let stored = self.put(at, new)?;
        self.note(at, managers);
        Ok(stored)
    }

    fn patch(&mut self, at: At<'_>, language: PatchType, patch: Value) -> Result<Value, Status> {
        self.learn(at);
        let old = match at.sub {
            Sub::Status => self.observe(At { sub: Sub::Object, ..at })?,
            Sub::Object | Sub::Scale | Sub::Resize => self.present(at)?,
        };
        let new = server::patch(at, &old, language, &patch)?;
        let managers = self.written(at, &old, &new);
        let stored = self.put(at, new)?;
        self.note(at, managers);
        Ok(stored)
    }

    fn replace(&mut self, at: At<'_>, object: Value) -> Result<Value, Status> {
        self.learn(at);
        let old = self.present(at)?;
        let new = match at.is_scale() {
            true => server::replace_scale(at, &old, &object)?,
            false => server::update(at, &old, object)?,
        };
        let managers = self.written(at, &old, &new);
        let stored = self.put(at, new)?;
        self.note(at, managers);
        Ok(stored)
    }

    fn delete(&mut self, at: At<'_>, options: DeleteOptions) -> Result<(), Status> {
        self.learn(at);
        self.forget(at);
        let missing = || Status::not_found(at.resource, at.name);
        if let Some(custom) = at.resource.custom {
            let name = self.name(at).filter(|_| self.object(at).is_some()).ok_or_else(missing)?;
            self.0.plan.push(Write::Custom(Box::new(CustomWrite { custom, name, to: None })));
            self.0.settle();
            return Ok(());
        }
        let kind = at.resource.kind.ok_or_else(Status::no_such_path)?;
        let name = self.name(at).filter(|_| self.object(at).is_some()).ok_or_else(missing)?;
        if kind == Kind::Namespace {
            let may = self.0.cluster.admit_namespace_deletion(name.name);
            may.map_err(|refusal| forbidden(at, at.name, &refusal))?;
        }
        let propagation = match options.cascade {
            Cascade::Background => Propagation::Background,
            Cascade::Foreground => Propagation::Foreground,
            Cascade::Orphan => Propagation::Orphan,
        };
        let grace = options.grace_s.and_then(|s| u64::try_from(s).ok()).map(Duration::secs);
        self.0.plan.push(Write::Delete { kind, name, propagation, grace });
        self.0.settle();
        Ok(())
    }

    fn observe(&mut self, at: At<'_>) -> Result<Value, Status> {
        let mut object = self.get(at)?;
        if let (Some(kind), Some(name)) = (at.resource.kind, self.name(at)) {
            statuses::add(kind, name, &self.0.cluster, &mut object);
        }
        Ok(object)
    }

    fn life(&mut self, at: At<'_>) -> Option<u64> {
        self.learn(at);
        let name = self.name(at)?;
        if at.resource.kind == Some(Kind::Pod) {
            let pod = self.0.cluster.pod_named(name)?;
            return self.0.cluster.pod(pod).map(|row| row.serial);
        }
        self.object(at).map(|_| 0)
    }
}
