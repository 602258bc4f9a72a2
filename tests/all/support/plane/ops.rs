//! What users do: an operation, a handler.

use std::sync::Arc;

use seatrial::api::{self, Kind, KindClass};
use seatrial::base::{Duration, Symbol};
use seatrial::cluster::{Phase, PodStatus, Write};
use seatrial::model::{ObjectName, PodRef, Propagation};
use seatrial::record::PodName;
use serde_json::{Map, Value, json};

use super::Plane;
use super::actor::failed;
use super::case::{Case, list, merge, ms, text};

impl Plane {
    /// Carries out one operation of the script.
    pub(super) fn operate(
        &mut self,
        case: &Case<'_>,
        index: usize,
        op: &Value,
    ) -> Result<(), String> {
        match text(&op["op"]) {
            "create" => self.create(&op["obj"]),
            "patch" => self.patch(index, op),
            "delete" => self.delete(index, op),
            "undo" => {
                let answer = self.undo(op);
                self.answer(index, "", &answer);
                Ok(())
            }
            "quota" => {
                let pods = ms(&op["n"]).to_string();
                let object = json!({
                    "apiVersion": "v1", "kind": "ResourceQuota",
                    "metadata": { "name": "quota", "namespace": "default" },
                    "spec": { "hard": { "pods": pods } },
                });
                self.apply(&object)
            }
            "fail_creates" => {
                self.cluster.fail_creations(u32::try_from(ms(&op["n"])).expect("a number"));
                Ok(())
            }
            "evict" | "drain" | "cordon" | "uncordon" => self.disrupt(index, op),
            other if other.starts_with("node_") => self.operate_node(case, index, op),
            other if other.starts_with("pod_") => {
                self.operate_pod(index, op);
                Ok(())
            }
            other => Err(format!("no operation {other:?}")),
        }
    }

    /// Keeps an answer.
    pub(super) fn answer(&mut self, op: usize, pod: &str, res: &str) {
        let t = self.now().since_start().whole_millis();
        let mut row = json!({ "op": op, "t": t, "res": res });
        if !pod.is_empty() {
            row["pod"] = pod.into();
        }
        self.answers.push(row);
    }

    fn create(&mut self, object: &Value) -> Result<(), String> {
        let kind = kind_of(object)?;
        let mut tree = object.clone();
        let object = self.prepared(kind, &mut tree)?;
        self.write(Write::Create(object));
        Ok(())
    }

    /// Creates an object or puts it in place of the one that is there.
    fn apply(&mut self, object: &Value) -> Result<(), String> {
        let kind = kind_of(object)?;
        let object = self.prepared(kind, &mut object.clone())?;
        let is_there = self.cluster.tree(kind, object.name).is_some();
        self.write(if is_there { Write::Replace(object) } else { Write::Create(object) });
        Ok(())
    }

    fn prepared(&mut self, kind: Kind, tree: &mut Value) -> Result<Box<api::Object>, String> {
        let problems = api::prepare(kind, tree);
        if let Some(problem) = problems.iter().find(|p| p.is_error) {
            return Err(format!("refused: {} {}", problem.path, problem.message));
        }
        let tree = Arc::new(tree.clone());
        let object = self.lowering(|cx| api::lower_object(kind, &tree, cx));
        object.map(Box::new).map_err(|problems| format!("cannot be lowered: {problems:?}"))
    }

    /// The tree of an object as it is now: with the size that controllers gave it.
    pub(super) fn live_tree(&self, kind: Kind, name: ObjectName) -> Option<Value> {
        let mut tree = (**self.cluster.tree(kind, name)?).clone();
        let replicas = match kind {
            Kind::Deployment => {
                let id = self.cluster.deployment_named(name);
                id.and_then(|id| self.cluster.deployment(id)).map(|row| row.replicas)
            }
            Kind::ReplicaSet => {
                let mut rows = self.cluster.replica_sets().iter();
                rows.find(|(_, row)| row.name == name).map(|(_, row)| row.replicas)
            }
            _ => None,
        };
        if let Some(replicas) = replicas {
            tree["spec"]["replicas"] = replicas.into();
        }
        Some(tree)
    }

    fn patch(&mut self, index: usize, op: &Value) -> Result<(), String> {
        let (kind, name) = self.target(op)?;
        let Some(mut tree) = self.live_tree(kind, name) else {
            self.answer(index, "", "404 NotFound");
            return Ok(());
        };
        merge(&mut tree, &op["patch"]);
        let object = self.prepared(kind, &mut tree)?;
        self.write(Write::Replace(object));
        Ok(())
    }

    /// Kind and name of an operation's object.
    pub(super) fn target(&mut self, op: &Value) -> Result<(Kind, ObjectName), String> {
        let kind = kind_named(text(&op["kind"]))?;
        Ok((kind, self.name(text(&op["name"]))))
    }

    /// An object of the namespace `default`.
    pub(super) fn name(&mut self, name: &str) -> ObjectName {
        let names = self.cluster.names_mut();
        ObjectName { namespace: names.intern("default"), name: names.intern(name) }
    }

    pub(super) fn symbol(&mut self, name: &str) -> Symbol {
        self.cluster.names_mut().intern(name)
    }

    fn delete(&mut self, index: usize, op: &Value) -> Result<(), String> {
        let (kind, name) = self.target(op)?;
        if self.cluster.tree(kind, name).is_none() {
            self.answer(index, "", "404 NotFound");
            return Ok(());
        }
        let propagation = match text(&op["propagation"]) {
            "Foreground" => Propagation::Foreground,
            "Orphan" => Propagation::Orphan,
            "" if kind == Kind::Job => Propagation::Orphan,
            _ => Propagation::Background,
        };
        self.write(Write::Delete { kind, name, propagation, grace: None });
        Ok(())
    }

    /// kubectl's undo of a Deployment (rule C63).
    fn undo(&mut self, op: &Value) -> String {
        let name = self.name(text(&op["name"]));
        let id = self.cluster.deployment_named(name);
        let Some(row) = id.and_then(|id| self.cluster.deployment(id)) else {
            return "not found".to_owned();
        };
        if row.spec.paused {
            let name = text(&op["name"]);
            return format!("error: deployments.apps {name:?} is paused, run rollout resume first");
        }
        let sets = row.replica_sets.iter().map(|id| &self.cluster.replica_sets()[*id]);
        let mut sets: Vec<_> = sets.map(|set| (set.revision, set)).collect();
        sets.sort_by_key(|(revision, _)| *revision);
        let found = match ms(&op["to"]) {
            0 => sets.len().checked_sub(2).map(|i| sets[i]),
            to => sets.iter().copied().find(|(revision, _)| u64::from(*revision) == to),
        };
        let Some((revision, set)) = found else {
            let name = text(&op["name"]);
            return match ms(&op["to"]) {
                0 => format!("error: no rollout history found for deployment {name:?}"),
                to => format!("error: unable to find specified revision {to} in history"),
            };
        };
        let source = Arc::clone(&self.cluster.templates()[set.template].template.source);
        let annotations = set.annotations.clone();
        if source == row.spec.template.source {
            return format!(
                "skipped rollback (current template already matches revision {revision})"
            );
        }
        let mut tree = self.live_tree(Kind::Deployment, name).expect("it has a tree");
        tree["spec"]["template"] = (*source).clone();
        let own = tree["metadata"]["annotations"].as_object().into_iter().flatten();
        let own = own.filter(|(key, _)| api::OWN_ANNOTATIONS.contains(&key.as_str()));
        let text = |symbol| self.cluster.names().resolve(symbol).to_owned();
        let others = annotations.iter().map(|(key, value)| (text(key), text(value).into()));
        let all: Map<String, Value> =
            own.map(|(key, value)| (key.clone(), value.clone())).chain(others).collect();
        tree["metadata"]["annotations"] = all.into();
        let object = self.prepared(Kind::Deployment, &mut tree).expect("it was valid before");
        self.write(Write::Replace(object));
        "rolled back".to_owned()
    }

    /// The pod of an operation: by name, or `@k` for the k-th of those that are not being deleted.
    pub(super) fn find_pod(&self, name: &str) -> Option<PodRef> {
        let pods = self.cluster.pods();
        let mut there: Vec<_> = pods
            .iter()
            .filter(|(_, pod)| pod.deletion.is_none())
            .map(|(id, pod)| {
                let part = &self.actor.parts[&pods.refer(id)];
                (pod.created, part.order.clone(), pods.refer(id))
            })
            .collect();
        there.sort();
        if let Some(number) = name.strip_prefix('@').and_then(|n| n.parse::<usize>().ok()) {
            return there.get(number % there.len().max(1)).map(|row| row.2);
        }
        let all = pods.iter().map(|(id, pod)| (pods.refer(id), pod));
        let mut named = all.filter(|(_, pod)| pod.name.text(self.cluster.names()) == name);
        named.next().map(|(pod, _)| pod)
    }

    /// What a pod is called in answers: its recorded name is not known, so its base and number.
    pub(super) fn pod_text(&self, pod: PodRef) -> String {
        let part = &self.actor.parts[&pod];
        let row = self.cluster.pod(pod);
        match row.map(|row| row.name) {
            Some(name @ (PodName::Fixed(_) | PodName::Numbered { .. })) => {
                name.text(self.cluster.names())
            }
            _ => format!("{}#{}", part.base, part.number),
        }
    }

    fn operate_pod(&mut self, index: usize, op: &Value) {
        let Some(pod) = self.find_pod(text(&op["name"])) else {
            return self.answer(index, "", "no pod");
        };
        let called = self.pod_text(pod);
        let row = self.cluster.pod(pod).expect("it was found");
        let status = row.status;
        match text(&op["op"]) {
            "pod_delete" => match op["grace"].as_u64() {
                Some(0) => self.write(Write::RemovePod { pod }),
                grace => self.write(Write::DeletePod { pod, grace: grace.map(Duration::secs) }),
            },
            "pod_annotate" => {
                if text(&op["key"]) == "controller.kubernetes.io/pod-deletion-cost" {
                    let Some(cost) = api::deletion_cost(text(&op["value"])) else {
                        let answer = invalid_cost(&called, &op["value"]);
                        return self.answer(index, &called, &answer);
                    };
                    self.write(Write::DeletionCost { pod, cost });
                }
            }
            "pod_label" => {
                let mut labels = self.cluster.template_of(row).labels.clone();
                let [key, value] = ["key", "value"].map(|key| self.symbol(text(&op[key])));
                labels.set(key, value);
                self.write(Write::LabelPod { pod, labels });
            }
            "pod_unready" | "pod_ready" if status.phase != Phase::Running => {
                return self.answer(index, &called, "false");
            }
            "pod_unready" => {
                self.write(Write::PodStatus { pod, status: PodStatus { ready: false, ..status } });
            }
            "pod_ready" => {
                self.write(Write::PodStatus { pod, status: PodStatus { ready: true, ..status } });
            }
            "pod_fail" => self.write(Write::PodStatus { pod, status: failed(status, "Evicted") }),
            other => panic!("no operation {other:?}"),
        }
        let answer = if text(&op["op"]).ends_with("ready") { "true" } else { "ok" };
        self.answer(index, &called, answer);
    }
}

/// What the API server says of a deletion cost that is none.
fn invalid_cost(pod: &str, value: &Value) -> String {
    let why = format!("Invalid value: {value}: must be a 32bit integer");
    let at = "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]";
    format!(
        "422 Invalid: Pod {pod:?} is invalid: {at}: {why} | FieldValueInvalid: {why} | \
         FieldValueInvalid: {why}"
    )
}

/// The kind of an object.
pub(super) fn kind_of(object: &Value) -> Result<Kind, String> {
    match api::classify(text(&object["apiVersion"]), text(&object["kind"])) {
        KindClass::Modelled(kind) => Ok(kind),
        _ => Err(format!("no kind {}", object["kind"])),
    }
}

/// A kind by its name.
pub(super) fn kind_named(name: &str) -> Result<Kind, String> {
    let groups = ["v1", "apps/v1", "batch/v1", "policy/v1"];
    let kinds = groups.iter().map(|group| kind_of(&json!({ "apiVersion": group, "kind": name })));
    kinds.into_iter().find_map(Result::ok).ok_or_else(|| format!("no kind {name:?}"))
}

/// The nodes of an operation.
pub(super) fn nodes_of(op: &Value) -> impl Iterator<Item = &str> {
    list(&op["nodes"]).iter().map(text)
}
