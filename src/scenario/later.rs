//! What commands of the timeline create: they are played, in order of time, against the objects of
//! the manifests, and what comes new stands in the model beside them.
//!
//! So a client may call a Service before it is there, a behaviour may be said of a workload that a
//! script creates, and both have numbers of their own in the report.
//!
//! Every branch of a script is played; a command that fails here creates nothing here, and what a
//! run makes of it is said then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Kind, Lowering, PatchType, TextSelector};
use crate::base::{Interner, Timestamp};
use crate::kubectl::{self, Api, At, DeleteOptions, Place, Resource, Status, Sub, Verb, server};
use crate::manifest::Document;
use crate::model::{Behaviors, Custom, CustomSpec, Declared, ObjectName, Workload, WorkloadKind};

use super::behaviors::object_name;
use super::commands::Read;
use super::objects::{Objects, identity};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Kind(Kind),
    Custom(Custom),
}

/// An object that a command creates, as it is stored first.
#[derive(Debug)]
pub(super) struct Created {
    what: What,
    namespace: String,
    name: String,
    tree: Value,
}

impl Created {
    /// Its kind, if it is one of Kubernetes' own.
    pub(super) const fn kind(&self) -> Option<Kind> {
        match self.what {
            What::Kind(kind) => Some(kind),
            What::Custom(_) => None,
        }
    }

    /// Its name.
    pub(super) fn object_name(&self, names: &mut Interner) -> ObjectName {
        object_name(&self.namespace, &self.name, names)
    }
}

/// What the commands write.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// What they create that no manifest brings, by kind, namespace and name.
    pub created: Vec<Created>,
    /// All that they make of Ingresses, in the order of their writing.
    pub ingresses: Vec<Value>,
}

/// Plays the commands.
pub(super) fn play(commands: &[Read<'_>], documents: &[Document]) -> Played {
    let creates = |read: &Read<'_>| {
        matches!(
            &read.invocation.verb,
            Verb::Apply(_)
                | Verb::CreateFiles(_)
                | Verb::Create(_)
                | Verb::Expose(_)
                | Verb::Autoscale(_)
        )
    };
    let is_patch = |read: &Read<'_>| {
        matches!(&read.invocation.verb, Verb::Patch(_)) && documents.iter().any(is_ingress)
    };
    if !commands.iter().any(|read| creates(read) || is_patch(read)) {
        return Played::default();
    }
    let mut play = Play::of(documents);
    // What is exposed or scaled is looked at; these change what is read of it.
    let is_played = |read: &Read<'_>| {
        creates(read) || matches!(&read.invocation.verb, Verb::Patch(_) | Verb::Delete(_))
    };
    let mut played: Vec<&Read<'_>> = commands.iter().filter(|read| is_played(read)).collect();
    played.sort_by_key(|read| read.line.at);
    for read in played {
        kubectl::run(&read.invocation, &read.files, Timestamp::from_unix(0), &mut play);
    }
    let mut all: Vec<Created> = play.created.into_values().collect();
    all.sort_by(|a, b| (a.what, &a.namespace, &a.name).cmp(&(b.what, &b.namespace, &b.name)));
    Played { created: all, ingresses: play.ingresses }
}

fn is_ingress(document: &Document) -> bool {
    document.kind.value == "Ingress"
}

/// An API server that keeps trees and nothing else.
#[derive(Debug, Default)]
struct Play {
    objects: BTreeMap<Place, Value>,
    declared: BTreeSet<Place>,
    created: BTreeMap<Place, Created>,
    ingresses: Vec<Value>,
}

impl Play {
    fn of(documents: &[Document]) -> Self {
        let mut play = Self::default();
        for document in documents {
            let (kind, namespace, name) = identity(document);
            let Some(resource) = kubectl::resource_of(&document.api_version.value, kind) else {
                continue;
            };
            let at = At { resource, namespace, name, sub: Sub::Object };
            let key = at.place();
            play.declared.insert(key.clone());
            let mut tree = document.root().to_json();
            if resource.is_namespaced {
                tree["metadata"]["namespace"] = namespace.into();
            }
            if let Ok(stored) = server::create(at, tree) {
                play.objects.insert(key, stored);
            }
        }
        play
    }

    /// Another version of an object.
    fn put(&mut self, at: At<'_>, new: &Value) {
        if at.resource.kind == Some(Kind::Ingress) {
            self.ingresses.push(new.clone());
        }
        self.objects.insert(at.place(), new.clone());
    }

    fn present(&self, at: At<'_>) -> Result<&Value, Status> {
        self.objects.get(&at.place()).ok_or_else(|| Status::not_found(at.resource, at.name))
    }
}

impl Api for Play {
    fn get(&mut self, at: At<'_>) -> Result<Value, Status> {
        let object = self.present(at)?;
        match at.is_scale() {
            true => server::scale_of(at.resource, object).ok_or_else(Status::no_such_path),
            false => Ok(object.clone()),
        }
    }

    fn list(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        selector: &TextSelector,
    ) -> Result<Vec<Value>, Status> {
        let is_it = |(plural, space, _): &Place| {
            *plural == resource.plural && (!resource.is_namespaced || space == namespace)
        };
        let all = self.objects.iter().filter(|(key, _)| is_it(key)).map(|(_, object)| object);
        let selected = all.filter(|object| selector.matches(&object["metadata"]["labels"]));
        Ok(selected.cloned().collect())
    }

    fn create(
        &mut self,
        at: At<'_>,
        object: Value,
        _content_type: &'static str,
    ) -> Result<Value, Status> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let at = At { name: &name, ..at };
        let stored = server::create(at, object)?;
        let key = at.place();
        if self.objects.contains_key(&key) {
            return Err(Status::already_exists(at.resource, &name));
        }
        let custom = at.resource.custom.map(What::Custom);
        let what = at.resource.kind.map(What::Kind).or(custom);
        if let Some(what) = what.filter(|_| !self.declared.contains(&key)) {
            let created = Created {
                what,
                namespace: at.namespace.to_owned(),
                name: name.clone(),
                tree: stored.clone(),
            };
            self.created.entry(key.clone()).or_insert(created);
        }
        self.put(at, &stored);
        Ok(stored)
    }

    fn apply(&mut self, at: At<'_>, config: Value, _force: bool) -> Result<Value, Status> {
        match self.objects.get(&at.place()) {
            Some(present) => Ok(present.clone()),
            None => self.create(at, config, ""),
        }
    }

    fn patch(&mut self, at: At<'_>, language: PatchType, patch: Value) -> Result<Value, Status> {
        let new = server::patch(at, self.present(at)?, language, &patch)?;
        self.put(at, &new);
        Ok(new)
    }

    fn replace(&mut self, at: At<'_>, object: Value) -> Result<Value, Status> {
        let old = self.present(at)?;
        let new = match at.is_scale() {
            true => server::replace_scale(at, old, &object)?,
            false => server::update(at, old, object)?,
        };
        self.put(at, &new);
        Ok(new)
    }

    fn delete(&mut self, at: At<'_>, _options: DeleteOptions) -> Result<(), Status> {
        let gone = self.objects.remove(&at.place());
        gone.map(drop).ok_or_else(|| Status::not_found(at.resource, at.name))
    }
}

/// Puts them into the tables of objects, after what is there from the start.
pub(super) fn lower(
    all: &[Created],
    behaviors: &Behaviors,
    names: &mut Interner,
    objects: &mut Objects,
) {
    let priorities = objects.priorities.clone();
    for created in all {
        let mut tree = created.tree.clone();
        if let Some(object) = tree.as_object_mut() {
            object.remove("status");
        }
        let kind = match created.what {
            What::Kind(kind) => kind,
            What::Custom(custom) => {
                match super::custom::lower(custom, &tree, names) {
                    Ok(CustomSpec::Vpa(spec)) => {
                        objects.later.vpas.insert(spec.name);
                        objects.vpas.push((*spec).clone());
                    }
                    Ok(CustomSpec::NodePool(spec)) => {
                        objects.later.pools.insert(spec.name);
                    }
                    Err(_) => {}
                }
                continue;
            }
        };
        let mut cx = Lowering { behaviors, classes: &priorities, names };
        // What is wrong is said when the command runs.
        let Ok(lowered) = api::lower_object(kind, &Arc::new(tree), &mut cx) else {
            continue;
        };
        add(kind, lowered, objects);
    }
}

fn add(kind: Kind, lowered: api::Object, objects: &mut Objects) {
    let name = lowered.name;
    let workload = |kind| Workload { kind, name };
    let kind = match lowered.declared {
        Declared::Service(spec) => {
            objects.services.push((*spec).clone());
            objects.later.services.insert(name);
            return;
        }
        Declared::Hpa(spec) => {
            objects.hpas.push((*spec).clone());
            objects.later.hpas.insert(name);
            return;
        }
        Declared::Pod(pod) => {
            objects.pods.push(*pod);
            WorkloadKind::Pod
        }
        Declared::Deployment(spec) => {
            objects.deployments.push((*spec).clone());
            WorkloadKind::Deployment
        }
        Declared::ReplicaSet(spec) => {
            objects.replica_sets.push((*spec).clone());
            match kind {
                Kind::ReplicationController => WorkloadKind::ReplicationController,
                _ => WorkloadKind::ReplicaSet,
            }
        }
        Declared::StatefulSet(spec) => {
            objects.stateful_sets.push((*spec).clone());
            WorkloadKind::StatefulSet
        }
        Declared::DaemonSet(spec) => {
            objects.daemon_sets.push((*spec).clone());
            WorkloadKind::DaemonSet
        }
        Declared::Job(spec) => {
            objects.jobs.push((*spec).clone());
            WorkloadKind::Job
        }
        Declared::CronJob(spec) => {
            objects.cron_jobs.push((*spec).clone());
            WorkloadKind::CronJob
        }
        Declared::Budget(_) | Declared::Node(_) | Declared::Ingress(_) | Declared::Tree => return,
    };
    objects.later.workloads.insert(workload(kind));
}
