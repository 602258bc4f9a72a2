//! `kubectl create KIND` and `run`: objects from words.
//!
//! Source: kubectl v0.36.3 pkg/cmd/create/*.go, pkg/cmd/run/run.go (recorded).

use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::api::Kind;

use super::client::{At, Done, Session, Sub, Trouble};
use super::resources::{Resource, resource};
use super::targets::{Target, Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, switch, value};

/// Built-in types are sent so.
pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub(super) const JSON: &str = "application/json";

/// A new object.
#[derive(Clone, Debug)]
pub struct Create {
    /// Its kind.
    pub resource: &'static Resource,
    /// Its name.
    pub name: String,
    /// The object without a namespace.
    pub object: Value,
    /// `create job --from`: the CronJob.
    pub from: Option<Target>,
    /// `failed to create X: ` before the words of a refusal, if kubectl says so.
    pub failed: Option<String>,
    /// The content type of the request.
    pub content_type: &'static str,
}

pub(super) const FLAGS: &[Flag] = &[
    value("image"),
    value("replicas").short('r'),
    value("port"),
    value("from"),
    value("schedule"),
    value("restart"),
    value("selector"),
    value("min-available"),
    value("max-unavailable"),
    value("from-literal"),
    value("tcp"),
    value("node-port"),
    value("clusterip"),
    value("external-name"),
    value("value"),
    switch("global-default"),
    value("description"),
    value("preemption-policy"),
    value("hard"),
];
pub(super) const RUN_FLAGS: &[Flag] = &[
    value("image"),
    value("port"),
    value("labels").short('l'),
    value("env"),
    value("restart"),
    switch("command"),
    value("image-pull-policy"),
    switch("quiet").short('q'),
];
/// What `kubectl create` makes.
const KINDS: [&str; 17] = [
    "deployment",
    "deploy",
    "job",
    "cronjob",
    "cj",
    "poddisruptionbudget",
    "pdb",
    "configmap",
    "cm",
    "service",
    "svc",
    "namespace",
    "ns",
    "serviceaccount",
    "sa",
    "priorityclass",
    "pc",
];

pub(super) fn read(args: &Args) -> Result<Create> {
    let mut words = args.words.iter();
    let kind = words.next().ok_or_else(|| {
        let error = CommandError::new(args.end.clone(), "expected a kind or -f");
        error
            .hint("for example create job NAME --image=IMAGE")
            .says("error: must specify one of -f and -k\n")
    })?;
    let mut name = words.next();
    let service = match kind.text.as_str() {
        "service" | "svc" => {
            let of = name.map_or("", |word| word.text.as_str());
            name = words.next();
            of
        }
        _ => "",
    };
    if let Some(word) = words.next() {
        return Err(CommandError::new(word.at.clone(), format!("unexpected \"{}\"", word.text)));
    }
    let missing = || {
        let error = CommandError::new(args.end.clone(), "expected a name");
        error.says(format!(
            "error: exactly one NAME is required, got 0\nSee 'kubectl create {} -h' for help and \
             examples\n",
            kind.text
        ))
    };
    let name = || name.map(|word| word.text.clone()).ok_or_else(missing);
    match kind.text.as_str() {
        "deployment" | "deploy" => deployment(name()?, args),
        "job" => job(name()?, args),
        "cronjob" | "cj" => cron_job(name()?, args),
        "poddisruptionbudget" | "pdb" => budget(name()?, args),
        "configmap" | "cm" => config_map(name()?, args),
        "service" | "svc" => self::service(service, name()?, kind.at.clone(), args),
        "namespace" | "ns" => {
            let create = plain(Kind::Namespace, name()?, &json!({ "spec": {}, "status": {} }));
            Ok(Create { failed: None, ..create })
        }
        "serviceaccount" | "sa" => Ok(plain(Kind::ServiceAccount, name()?, &json!({}))),
        "priorityclass" | "pc" => priority_class(name()?, args),
        other => {
            let message = format!("kubectl create {other} is not modelled");
            let error = CommandError::new(kind.at.clone(), message);
            Err(match crate::base::text::did_you_mean(other, KINDS) {
                Some(known) => error.hint(format!("did you mean \"{known}\"?")),
                None => error.hint("write it in a file: kubectl create -f FILE"),
            })
        }
    }
}

/// A new object of a kind: what the parts say besides name, kind and version.
fn plain(kind: Kind, name: String, parts: &Value) -> Create {
    let resource = resource(kind);
    let mut object = json!({
        "apiVersion": resource.api_version(), "kind": resource.name, "metadata": { "name": name },
    });
    for (key, part) in parts.as_object().into_iter().flatten() {
        match (key.as_str(), part.as_object()) {
            ("metadata", Some(part)) => {
                for (key, part) in part {
                    object["metadata"][key] = part.clone();
                }
            }
            _ => object[key] = part.clone(),
        }
    }
    let failed = Some(format!("failed to create {}: ", resource.singular()));
    Create { resource, name, object, from: None, failed, content_type: PROTOBUF }
}

fn required(args: &Args, flag: &str, example: &str) -> Result<String> {
    let missing = || {
        let error = CommandError::new(args.end.clone(), format!("--{flag} is missing"));
        let says = format!("error: required flag(s) \"{flag}\" not set\n");
        error.hint(format!("for example --{flag}={example}")).says(says)
    };
    args.text(flag).map(str::to_owned).ok_or_else(missing)
}

/// The command after `--`.
fn command(args: &Args) -> Vec<Value> {
    args.rest.iter().flatten().map(|word| word.text.as_str().into()).collect()
}

fn container(name: &str, image: &str, command: Vec<Value>) -> Value {
    let mut container = json!({ "name": name, "image": image, "resources": {} });
    if !command.is_empty() {
        container["command"] = command.into();
    }
    container
}

/// The container's name that kubectl makes of an image.
///
/// Differs: names with `_` or `.` get a random end from kubectl.
fn name_of_image(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split([':', '@']).next().unwrap_or(last);
    name.replace(['_', '.'], "-")
}

fn deployment(name: String, args: &Args) -> Result<Create> {
    required(args, "image", "shop/web:1")?;
    let images: Vec<&str> = args.all("image").flat_map(|word| word.text.split(',')).collect();
    let command = command(args);
    if images.len() > 1 && !command.is_empty() {
        let message = "cannot specify multiple --image options and command";
        return Err(CommandError::new(args.place("image"), message));
    }
    let mut containers: Vec<Value> = images
        .iter()
        .map(|image| container(&name_of_image(image), image, command.clone()))
        .collect();
    if let Some(port) = args.number("port", "a port")?.filter(|port| *port >= 0) {
        containers[0]["ports"] = json!([{ "containerPort": port }]);
    }
    let labels = json!({ "app": name });
    let parts = json!({
        "metadata": { "labels": labels },
        "spec": {
            "replicas": args.number("replicas", "pods")?.unwrap_or(1),
            "selector": { "matchLabels": labels },
            "strategy": {},
            "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } },
        },
        "status": {},
    });
    Ok(plain(Kind::Deployment, name, &parts))
}

fn job(name: String, args: &Args) -> Result<Create> {
    if let Some(word) = args.get("from") {
        let targets = Targets::read(std::slice::from_ref(word), args, Whole::Asked)?;
        let from = targets.named.first().filter(|target| target.resource.name == "CronJob");
        let from = from.ok_or_else(|| {
            CommandError::new(word.at.clone(), "from must be an existing cronjob")
        })?;
        let mut create = plain(Kind::Job, name, &json!({ "status": {} }));
        create.from = Some(from.clone());
        return Ok(create);
    }
    let image = required(args, "image", "busybox")
        .map_err(|error| error.says("error: either --image or --from must be specified\n"))?;
    let parts = json!({
        "spec": { "template": { "metadata": {}, "spec": {
            "containers": [container(&name, &image, command(args))], "restartPolicy": "Never",
        } } },
        "status": {},
    });
    Ok(plain(Kind::Job, name, &parts))
}

fn cron_job(name: String, args: &Args) -> Result<Create> {
    let image = required(args, "image", "busybox")?;
    let schedule = required(args, "schedule", "'0 3 * * *'")?;
    let restart = args.text("restart").unwrap_or("OnFailure");
    let parts = json!({
        "spec": {
            "schedule": schedule,
            "jobTemplate": {
                "metadata": { "name": name },
                "spec": { "template": { "metadata": {}, "spec": {
                    "containers": [container(&name, &image, command(args))],
                    "restartPolicy": restart,
                } } },
            },
        },
        "status": {},
    });
    Ok(plain(Kind::CronJob, name, &parts))
}

fn budget(name: String, args: &Args) -> Result<Create> {
    let selector = required(args, "selector", "app=web")
        .map_err(|error| error.says("error: a selector must be specified\n"))?;
    let labels = labels_of(&selector, args.place("selector"))?;
    let amount = |flag: &str| {
        args.text(flag).map(|text| match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::from(text),
        })
    };
    let mut spec = json!({ "selector": { "matchLabels": labels } });
    match (amount("min-available"), amount("max-unavailable")) {
        (Some(_), Some(_)) => {
            let message = "min-available and max-unavailable cannot be both specified";
            return Err(CommandError::new(args.place("max-unavailable"), message));
        }
        (Some(amount), None) => spec["minAvailable"] = amount,
        (None, Some(amount)) => spec["maxUnavailable"] = amount,
        (None, None) => {
            let message = "one of min-available or max-unavailable must be specified";
            return Err(CommandError::new(args.end.clone(), message));
        }
    }
    let status = json!({
        "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
    });
    let parts = json!({ "spec": spec, "status": status });
    let mut create = plain(Kind::PodDisruptionBudget, name, &parts);
    create.failed = Some("failed to create poddisruptionbudgets: ".to_owned());
    Ok(create)
}

/// `a=b,c=d` as labels.
pub(super) fn labels_of(text: &str, at: Range<usize>) -> Result<Map<String, Value>> {
    let label = |part: &str| match part.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok((key.to_owned(), value.trim_start_matches('=').into()))
        }
        _ => Err(CommandError::new(at.clone(), format!("unexpected label spec: {part}"))),
    };
    text.split(',').filter(|part| !part.is_empty()).map(label).collect()
}

fn config_map(name: String, args: &Args) -> Result<Create> {
    let mut data = Map::new();
    for word in args.all("from-literal") {
        let error = |message: String| CommandError::new(word.at.clone(), message);
        let (key, value) =
            word.text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
                error(format!("invalid literal source {}, expected key=value", word.text))
            })?;
        if data.insert(key.to_owned(), value.into()).is_some() {
            return Err(error(format!(
                "cannot add key {key:?}, another key by that name already exists in Data for \
                 ConfigMap {name:?}"
            )));
        }
    }
    let parts = if data.is_empty() { json!({}) } else { json!({ "data": data }) };
    Ok(plain(Kind::ConfigMap, name, &parts))
}

fn priority_class(name: String, args: &Args) -> Result<Create> {
    let mut parts = json!({ "value": args.number("value", "a priority")?.unwrap_or(0) });
    if args.is_on("global-default")? {
        parts["globalDefault"] = true.into();
    }
    for (flag, field) in [("description", "description"), ("preemption-policy", "preemptionPolicy")]
    {
        if let Some(text) = args.text(flag) {
            parts[field] = text.into();
        }
    }
    Ok(plain(Kind::PriorityClass, name, &parts))
}

fn service(of: &str, name: String, at: Range<usize>, args: &Args) -> Result<Create> {
    let kind = match of {
        "clusterip" => "ClusterIP",
        "nodeport" => "NodePort",
        "loadbalancer" => "LoadBalancer",
        "externalname" => "ExternalName",
        other => {
            let message = format!("kubectl create service {other} is not modelled");
            let error = CommandError::new(at, message);
            return Err(error.hint("known are clusterip, nodeport, loadbalancer and externalname"));
        }
    };
    let mut ports: Vec<Value> = Vec::new();
    for word in args.all("tcp").flat_map(|word| word.text.split(',').map(|text| (text, &word.at))) {
        ports.push(service_port(word.0, word.1)?);
    }
    if ports.is_empty() && kind != "ExternalName" && args.text("clusterip") != Some("None") {
        let message = "at least one tcp port specifier must be provided";
        let error = CommandError::new(args.end.clone(), message);
        return Err(error.hint("for example --tcp=80:8080"));
    }
    let node_port = args.number("node-port", "a port")?.filter(|port| *port != 0);
    if let (Some(node_port), Some(first)) = (node_port, ports.first_mut()) {
        first["nodePort"] = node_port.into();
    }
    let labels = json!({ "app": name });
    let mut spec = json!({ "selector": labels, "type": kind });
    if !ports.is_empty() {
        spec["ports"] = ports.into();
    }
    if let Some(address) = args.text("clusterip") {
        spec["clusterIP"] = address.into();
    }
    if let Some(host) = args.text("external-name") {
        spec["externalName"] = host.into();
    }
    let parts = json!({
        "metadata": { "labels": labels }, "spec": spec, "status": { "loadBalancer": {} },
    });
    let mut create = plain(Kind::Service, name, &parts);
    create.failed = Some(format!("failed to create {kind} service: "));
    Ok(create)
}

/// `80` or `80:8080`.
fn service_port(text: &str, at: &Range<usize>) -> Result<Value> {
    let (port, target) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| CommandError::new(at.clone(), format!("invalid port specified: {text:?}")))
    };
    let target = match target.parse::<u16>() {
        Ok(number) => Value::from(number),
        Err(_) => target.into(),
    };
    Ok(json!({
        "name": text.replace(':', "-"), "port": number(port)?, "protocol": "TCP",
        "targetPort": target,
    }))
}

/// `kubectl run`.
pub(super) fn read_run(args: &Args) -> Result<Create> {
    let mut words = args.words.iter();
    let Some(name) = words.next() else {
        let error = CommandError::new(args.end.clone(), "expected a name");
        let says = "error: NAME is required for run\nSee 'kubectl run -h' for help and examples\n";
        return Err(error.says(says));
    };
    let image = required(args, "image", "busybox")?;
    let mut arguments: Vec<Value> = words.map(|word| word.text.as_str().into()).collect();
    arguments.extend(command(args));
    let mut container = json!({ "name": name.text, "image": image, "resources": {} });
    if !arguments.is_empty() {
        let key = if args.is_on("command")? { "command" } else { "args" };
        container[key] = arguments.into();
    }
    if let Some(port) = args.number("port", "a port")?.filter(|port| *port > 0) {
        container["ports"] = json!([{ "containerPort": port }]);
    }
    if let Some(policy) = args.text("image-pull-policy") {
        container["imagePullPolicy"] = policy.into();
    }
    let mut variables = Vec::new();
    for word in args.all("env") {
        let (name, value) = word.text.split_once('=').ok_or_else(|| {
            CommandError::new(word.at.clone(), format!("invalid env: {}", word.text))
        })?;
        variables.push(json!({ "name": name, "value": value }));
    }
    if !variables.is_empty() {
        container["env"] = variables.into();
    }
    let labels = match args.text("labels") {
        Some(text) => labels_of(text, args.place("labels"))?,
        None => Map::from_iter([("run".to_owned(), name.text.as_str().into())]),
    };
    let parts = json!({
        "metadata": { "labels": labels },
        "spec": {
            "containers": [container], "dnsPolicy": "ClusterFirst",
            "restartPolicy": args.text("restart").unwrap_or("Always"),
        },
        "status": {},
    });
    let create = plain(Kind::Pod, name.text.clone(), &parts);
    Ok(Create { failed: None, content_type: JSON, ..create })
}

pub(super) fn run(create: &Create, session: &mut Session<'_>) -> Done {
    let mut object = create.object.clone();
    if let Some(from) = &create.from {
        from_cron_job(&mut object, from, session)?;
    }
    if create.resource.is_namespaced && create.content_type == PROTOBUF {
        object["metadata"]["namespace"] = session.namespace.into();
    }
    if session.writes() {
        let namespace = session.namespace;
        let at = At { resource: create.resource, namespace, name: "", sub: Sub::Object };
        let made = session.api.create(at, object, create.content_type);
        made.map_err(|status| match &create.failed {
            Some(failed) => Trouble::Text(format!("{failed}{}", status.message)),
            None => status.into(),
        })?;
    }
    session.tell(create.resource, &create.name, "created");
    Ok(())
}

/// Fills in what a CronJob says of its Jobs.
fn from_cron_job(object: &mut Value, from: &Target, session: &mut Session<'_>) -> Done {
    let namespace = session.namespace;
    let at = At { resource: from.resource, namespace, name: &from.name, sub: Sub::Object };
    let cron_job = session.api.get(at)?;
    let template = &cron_job["spec"]["jobTemplate"];
    let metadata = &template["metadata"];
    let mut annotations = metadata["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".into());
    object["metadata"]["annotations"] = annotations.into();
    if metadata["labels"].is_object() {
        object["metadata"]["labels"] = metadata["labels"].clone();
    }
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": from.resource.api_version(), "kind": from.resource.name,
        "name": from.name, "uid": cron_job["metadata"]["uid"], "controller": true,
    }]);
    object["spec"] = template["spec"].clone();
    if object["spec"]["template"]["metadata"].is_null() {
        object["spec"]["template"]["metadata"] = json!({});
    }
    Ok(())
}
