//! Manifests that a real control plane was given with `kubectl apply --dry-run=server`: a small API
//! server of our parts says what it would.
//!
//! What kubectl says itself, before a request goes out, counts by verdict alone; so does what other
//! parts than the objects' own rules say in other words. Kinds that a simulation does not read are
//! exempt. Of an object that is taken, admission's additions count as far as ours make them.

use std::collections::BTreeMap;

use seatrial::api::admission::{self, Surroundings};
use seatrial::api::{self, Kind, KindClass, PatchType, Problem, Refused};
use seatrial::tree::{Diagnostics, ParseOptions, Sources, parse};
use serde_json::{Value, json};

use super::validation::{same_errors, same_object};
use crate::support::corpus::{Verdict, judge_corpus, recorded, same, text};

const NAMESPACES: [&str; 11] = [
    "default",
    "demo",
    "limited",
    "ranged",
    "other",
    "production",
    "sock-shop",
    "monitoring",
    "dev",
    "test",
    "webapp",
];

/// Who says no.
enum No {
    /// kubectl, before a request.
    Client(String),
    /// The API server, in one text.
    Server(String),
    /// The API server, of the whole object.
    Object(Refused),
    /// A kind that is not read.
    Unread(String),
}

#[derive(Default)]
struct Server {
    /// By kind, namespace and name: what is stored, and what was applied.
    objects: BTreeMap<(Kind, String, String), (Value, Value)>,
}

type Answer<T> = Result<T, No>;

/// The objects of a manifest as kubectl reads it: a repeated key's last value.
fn documents(manifest: &str) -> Answer<Vec<Value>> {
    let mut sources = Sources::new();
    let file = sources.add("STDIN.yaml", manifest.to_owned());
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
    if found.has_errors() {
        return Err(No::Client(found.lines(&sources).join("\n")));
    }
    if documents.is_empty() {
        return Err(No::Client("no objects passed to apply".to_owned()));
    }
    Ok(documents.iter().map(|document| document.tree.root().to_json()).collect())
}

impl Server {
    fn apply(&mut self, object: &Value, namespace: Option<&str>, dry_run: bool) -> Answer<Value> {
        let word = |key: &str| object[key].as_str().unwrap_or_default();
        if word("apiVersion").is_empty() || word("kind").is_empty() {
            return Err(No::Client("apiVersion or kind not set".to_owned()));
        }
        let kind = match api::classify(word("apiVersion"), word("kind")) {
            KindClass::Modelled(Kind::HorizontalPodAutoscaler)
                if word("apiVersion") == "autoscaling/v2beta2" =>
            {
                return Err(No::Client("no matches for kind".to_owned()));
            }
            KindClass::Modelled(kind) => kind,
            KindClass::Unknown => return Err(No::Client("no matches for kind".to_owned())),
            // There are no custom kinds here.
            _ if word("apiVersion").contains('.') && !word("apiVersion").contains(".k8s.io/") => {
                return Err(No::Client("no matches for kind".to_owned()));
            }
            KindClass::NotModelled | KindClass::Irrelevant => {
                return Err(No::Unread(format!("{} {}", word("apiVersion"), word("kind"))));
            }
        };
        let mut wanted = object.clone();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let own = object["metadata"]["namespace"].as_str();
        let space = match (own, namespace) {
            (Some(own), Some(given)) if own != given && kind.is_namespaced() => {
                return Err(No::Client("the namespace does not match".to_owned()));
            }
            (own, given) => own.or(given).unwrap_or("default").to_owned(),
        };
        let space = if kind.is_namespaced() { space } else { String::new() };
        if kind.is_namespaced() {
            wanted["metadata"]["namespace"] = space.as_str().into();
        }
        if name.is_empty() || name.contains(['/', '%']) {
            return Err(No::Client("no name for a request".to_owned()));
        }
        let key = (kind, space, name);
        match self.objects.get(&key).cloned() {
            Some((stored, applied)) => self.change(key, &stored, &applied, wanted, dry_run),
            None => self.create(key, wanted, dry_run),
        }
    }

    fn create(
        &mut self,
        key: (Kind, String, String),
        mut wanted: Value,
        dry_run: bool,
    ) -> Answer<Value> {
        let (kind, space, _) = key.clone();
        let applied = wanted.clone();
        let decoded = api::decode(kind, &wanted);
        if decoded.error.is_some() || !decoded.strict.is_empty() {
            let refused = api::create(kind, wanted).expect_err("it cannot be decoded");
            return Err(No::Object(refused));
        }
        if kind.is_namespaced() && !NAMESPACES.contains(&space.as_str()) {
            return Err(No::Server(format!("namespaces \"{space}\" not found")));
        }
        let objects = self.objects.clone();
        let of = |wanted: Kind, space: &str| -> Vec<&Value> {
            let hit = objects.iter().filter(|((kind, own, _), _)| {
                *kind == wanted && (own == space || !wanted.is_namespaced())
            });
            hit.map(|(_, (stored, _))| stored).collect()
        };
        api::default_object(kind, &mut wanted);
        let around = Surroundings {
            limit_ranges: of(Kind::LimitRange, &space),
            runtime_classes: of(Kind::RuntimeClass, ""),
        };
        let forbidden = |why: String| No::Server(format!("is forbidden: {why}"));
        admission::fill(kind, &mut wanted, &around).map_err(forbidden)?;
        if kind == Kind::Pod {
            priority(&mut wanted, &of(Kind::PriorityClass, "")).map_err(forbidden)?;
            let is_there = |name: &str| name == "default";
            admission::service_account(&mut wanted, is_there).map_err(forbidden)?;
        }
        let is_global = |class: &&&Value| class["globalDefault"] == true;
        if kind == Kind::PriorityClass
            && wanted["globalDefault"] == true
            && let Some(other) = of(kind, "").iter().find(is_global)
        {
            let name = other["metadata"]["name"].as_str().unwrap_or_default();
            return Err(forbidden(format!(
                "PriorityClass {name} is already marked as default. Only one default can exist"
            )));
        }
        if kind == Kind::Job {
            wanted["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111".into();
        }
        let mut stored = api::create(kind, wanted).map_err(No::Object)?;
        admission::check_limits(kind, &stored, &around).map_err(forbidden)?;
        self.quota(kind, &space, &stored).map_err(forbidden)?;
        if kind == Kind::Service {
            let others: Vec<&Value> = objects
                .iter()
                .filter(|((kind, ..), _)| *kind == Kind::Service)
                .map(|(_, (stored, _))| stored)
                .collect();
            let allocated = api::allocate(&mut stored, &others, dry_run);
            allocated.map_err(|problems| No::Object(Refused::Invalid(problems)))?;
        }
        if !dry_run {
            self.objects.insert(key, (stored.clone(), applied));
        }
        Ok(stored)
    }

    fn quota(&self, kind: Kind, space: &str, object: &Value) -> Result<(), String> {
        let usage = admission::usage(kind, object);
        for ((_, own, _), (tree, _)) in &self.objects {
            if own != space || tree["kind"] != "ResourceQuota" {
                continue;
            }
            let quota = admission::Quota::new(tree);
            if !quota.counts(&usage) {
                continue;
            }
            let mut used = seatrial::api::Amounts::new();
            for ((kind, other, _), (tree, _)) in &self.objects {
                if other == space {
                    for (name, amount) in admission::usage(*kind, tree).amounts {
                        let sum = &used.get(&name).cloned().unwrap_or_default() + &amount;
                        used.insert(name, sum);
                    }
                }
            }
            quota.check(&usage, &used)?;
        }
        Ok(())
    }

    fn change(
        &mut self,
        key: (Kind, String, String),
        stored: &Value,
        applied: &Value,
        wanted: Value,
        dry_run: bool,
    ) -> Answer<Value> {
        let kind = key.0;
        let version = wanted["metadata"]["resourceVersion"].as_str();
        if version.is_some() {
            return Err(No::Server("the object has been modified".to_owned()));
        }
        let patch = api::three_way(kind, applied, &wanted, stored).map_err(No::Client)?;
        let new = api::apply_patch(kind, stored, PatchType::Strategic, &patch);
        let mut new = new.map_err(|error| No::Server(format!("{error:?}")))?;
        if kind == Kind::Pod && new["spec"]["tolerations"].as_array().is_none_or(Vec::is_empty) {
            new["spec"]["tolerations"] = stored["spec"]["tolerations"].clone();
        }
        let mut new = api::update(kind, stored, new).map_err(No::Object)?;
        if kind == Kind::Service {
            let others: Vec<&Value> = self
                .objects
                .iter()
                .filter(|(other, _)| other.0 == Kind::Service && **other != key)
                .map(|(_, (stored, _))| stored)
                .collect();
            let allocated = api::allocate(&mut new, &others, dry_run);
            allocated.map_err(|problems| No::Object(Refused::Invalid(problems)))?;
        }
        if !dry_run {
            self.objects.insert(key, (new.clone(), wanted));
        }
        Ok(new)
    }
}

/// Admission's Priority plugin: the class must be there (rule S83).
fn priority(pod: &mut Value, classes: &[&Value]) -> Result<(), String> {
    let name = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let class = classes.iter().find(|class| class["metadata"]["name"] == name.as_str());
    let builtin = matches!(name.as_str(), "system-cluster-critical" | "system-node-critical");
    if !name.is_empty() && !builtin && class.is_none() {
        return Err(format!("no PriorityClass with name {name} was found"));
    }
    let value = class.map_or(0, |class| class["value"].as_i64().unwrap_or(0));
    let given = pod["spec"]["priority"].as_i64();
    if !builtin && given.is_some_and(|given| given != value) {
        return Err(format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission \
             controller computed {value} from the given PriorityClass name",
            given.unwrap_or_default()
        ));
    }
    Ok(())
}

/// Manifests refused and taken.
#[test]
fn conformance_api_errors() {
    let Some(cases) = recorded("timelines", "api-errors") else { return };
    let setups: BTreeMap<String, Server> = cases
        .iter()
        .filter(|case| text(case, "verdict") == Some("setup"))
        .map(|case| {
            let id = text(case, "id").unwrap_or_default().trim_start_matches("setup-").to_owned();
            let mut server = Server::default();
            for manifest in case["manifests"].as_array().into_iter().flatten() {
                for object in
                    documents(manifest.as_str().unwrap_or_default()).ok().unwrap_or_default()
                {
                    let done = server.apply(&object, text(case, "namespace"), false);
                    let fine = matches!(done, Ok(_) | Err(No::Unread(_)));
                    assert!(fine, "{id}: {}", done.err().map_or(String::new(), |no| told(&no)));
                }
            }
            (id, server)
        })
        .collect();
    judge_corpus("timelines", "api-errors", |case| {
        if text(case, "verdict") == Some("setup") {
            return Verdict::Agreed;
        }
        let mut server = Server::default();
        if let Some(setup) = text(case, "setup").and_then(|name| setups.get(name)) {
            server.objects.clone_from(&setup.objects);
        }
        judge(&mut server, case)
    });
}

fn judge(server: &mut Server, case: &Value) -> Verdict {
    let manifest = text(case, "manifest").unwrap_or_default();
    let answer = documents(manifest).and_then(|objects| {
        let mut last = Value::Null;
        for object in objects {
            last = server.apply(&object, text(case, "namespace"), true)?;
        }
        Ok(last)
    });
    if let Err(No::Unread(kind)) = &answer {
        return Verdict::Exempt(format!("a simulation does not read {kind}"));
    }
    let outcome = match (text(case, "verdict"), answer) {
        (Some("accepted"), Ok(mut stored)) if case["stored"].is_object() => {
            taken(&mut stored, case["stored"].clone())
        }
        (Some("accepted"), Ok(_)) => Ok(()),
        (Some("accepted"), Err(no)) => Err(format!("refused: {}", told(&no))),
        (_, Ok(_)) => Err(format!("taken, not {}", text(case, "stderr").unwrap_or_default())),
        (_, Err(no)) => refused(&no, text(case, "stderr").unwrap_or_default()),
    };
    match outcome {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how),
    }
}

fn told(no: &No) -> String {
    match no {
        No::Client(text) | No::Server(text) | No::Unread(text) => text.clone(),
        No::Object(refused) => refused.to_string(),
    }
}

fn refused(no: &No, said: &str) -> Result<(), String> {
    match no {
        No::Client(_) if said.starts_with("error: ") => Ok(()),
        No::Server(text) if said.contains(text.as_str()) => Ok(()),
        No::Object(Refused::Invalid(problems)) => {
            let Some((_, causes)) = said.split_once(" is invalid: ") else {
                return Err(format!("{}, not {said}", told(no)));
            };
            same_causes(problems, causes)
        }
        No::Object(Refused::Strict(texts)) => {
            let ours = format!("strict decoding error: {}", texts.join(", "));
            if said.trim_end().ends_with(&ours) {
                Ok(())
            } else {
                Err(format!("{ours}, not {said}"))
            }
        }
        No::Object(Refused::Decode(text)) => {
            let client = said.starts_with("error: unable to decode");
            if client || said.trim_end().ends_with(text.as_str()) {
                Ok(())
            } else {
                Err(format!("{text}, not {said}"))
            }
        }
        _ => Err(format!("{}, not {said}", told(no))),
    }
}

/// Causes as kubectl prints them: one behind the name, or several with a star each.
fn same_causes(problems: &[Problem], causes: &str) -> Result<(), String> {
    let list: Vec<&str> = match causes.strip_prefix("\n* ") {
        Some(rest) => rest.split("\n* ").collect(),
        None => vec![causes],
    };
    let theirs = list.iter().map(|cause| {
        let cause = cause.trim_end();
        let (field, message) = split_field(cause);
        let kinds = [
            ("Invalid value", "FieldValueInvalid"),
            ("Required value", "FieldValueRequired"),
            ("Unsupported value", "FieldValueNotSupported"),
            ("Duplicate value", "FieldValueDuplicate"),
            ("Forbidden", "FieldValueForbidden"),
            ("Not found", "FieldValueNotFound"),
            ("Too long", "FieldValueTooLong"),
            ("Too many", "FieldValueTooMany"),
        ];
        let kind = kinds.iter().find(|(start, _)| message.starts_with(start)).map(|(_, kind)| kind);
        json!({ "field": field, "type": kind, "message": message })
    });
    same_errors(problems, &theirs.collect::<Vec<Value>>())
}

/// The field ends before the first `: ` that is in no bracket.
fn split_field(cause: &str) -> (&str, &str) {
    let mut depth = 0_i32;
    for (at, c) in cause.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ':' if depth == 0 => return (&cause[..at], cause[at + 1..].trim_start()),
            _ => {}
        }
    }
    (cause, "")
}

/// What is stored, without what admission adds that is not modelled here.
fn taken(ours: &mut Value, mut theirs: Value) -> Result<(), String> {
    if let Some(metadata) = ours["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    for value in [&mut *ours, &mut theirs] {
        match value["kind"].as_str() {
            Some("Service") => {
                // Which address and which ports is chance; that there are some is not.
                let spec = value["spec"].as_object_mut().expect("a spec");
                for field in ["clusterIP", "clusterIPs"] {
                    if let Some(own) = spec.get_mut(field).filter(|own| **own != "None") {
                        *own = if *own == json!(["None"]) { own.clone() } else { "given".into() };
                    }
                }
                for port in spec["ports"].as_array_mut().into_iter().flatten() {
                    if port["nodePort"].is_number() {
                        port["nodePort"] = "given".into();
                    }
                }
            }
            Some("Pod") => {
                let spec = value["spec"].as_object_mut().expect("a spec");
                for field in [
                    "priority",
                    "preemptionPolicy",
                    "priorityClassName",
                    "serviceAccount",
                    "serviceAccountName",
                    "tolerations",
                ] {
                    spec.remove(field);
                }
                let of_account = |own: &Value| {
                    own["name"].as_str().is_some_and(|name| name.starts_with("kube-api-access-"))
                };
                if let Some(volumes) = spec.get_mut("volumes").and_then(Value::as_array_mut) {
                    volumes.retain(|own| !of_account(own));
                }
                for container in spec["containers"].as_array_mut().into_iter().flatten() {
                    if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                        mounts.retain(|own| !of_account(own));
                    }
                }
            }
            Some("PersistentVolumeClaim") => {
                let metadata = value["metadata"].as_object_mut().expect("metadata");
                metadata.remove("finalizers");
            }
            _ => {}
        }
    }
    same("kind", &ours["kind"], &theirs["kind"])?;
    same_object(ours, &mut theirs)
}
