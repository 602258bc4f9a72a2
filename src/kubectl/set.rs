//! `kubectl set image|env|resources|serviceaccount|selector`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/set/*.go (recorded).

use serde_json::{Map, Value, json};

use crate::api::{PatchType, two_way};
use crate::base::Quantity;

use super::client::{Done, Session, Trouble, all_of};
use super::pairs::{Pair, pairs, split_pairs};
use super::targets::{Info, Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, Word, switch, value};

/// What is set.
#[derive(Clone, Debug)]
pub enum Set {
    /// `set image`: container (`*`: all) and image.
    Image(Vec<(String, String)>),
    /// `set env`.
    Env(Env),
    /// `set resources`: limits, requests.
    Resources {
        /// Which containers; may have `*`.
        containers: String,
        /// `--limits`, canonical amounts by name.
        limits: Vec<(String, String)>,
        /// `--requests`.
        requests: Vec<(String, String)>,
    },
    /// `set serviceaccount`.
    ServiceAccount(String),
    /// `set selector`, as labels.
    Selector(Vec<(String, String)>),
}

/// `set env`.
#[derive(Clone, Debug)]
pub struct Env {
    /// Which containers; may have `*`.
    pub containers: String,
    /// `NAME=VALUE`.
    pub set: Vec<(String, String)>,
    /// `NAME-`.
    pub removed: Vec<String>,
    /// `--from`: a ConfigMap or Secret.
    pub from: Option<Targets>,
    /// `--keys` of it.
    pub keys: Vec<String>,
    /// `--prefix`.
    pub prefix: String,
    /// Whether what is there may change.
    pub overwrites: bool,
}

pub(super) const FLAGS: &[Flag] =
    &[value("filename").short('f'), switch("all"), value("selector").short('l')];
pub(super) const ENV_FLAGS: &[Flag] = &[
    value("containers").short('c'),
    value("from"),
    value("prefix"),
    value("env").short('e'),
    value("keys"),
    switch("overwrite"),
];
pub(super) const RESOURCES_FLAGS: &[Flag] =
    &[value("containers").short('c'), value("limits"), value("requests")];

/// Reads what is set, and of what.
pub(super) fn read(what: &str, args: &Args) -> Result<(Set, Targets)> {
    match what {
        "image" => image(args),
        "env" => env(args),
        "resources" => resources(args),
        "serviceaccount" => service_account(args),
        _ => selector(args),
    }
}

fn image(args: &Args) -> Result<(Set, Targets)> {
    let (targets, changes) = split_pairs(&args.words, "image", "CONTAINER=IMAGE", EXAMPLE)?;
    let targets = Targets::read(targets, args, Whole::Asked)?;
    let mut images = Vec::new();
    for (pair, at) in pairs(changes, "image", false)? {
        let Pair::Set(container, image) = pair else { continue };
        if container.is_empty() || image.is_empty() {
            let message = format!("expected CONTAINER=IMAGE, found \"{container}={image}\"");
            return Err(CommandError::new(at, message).hint(EXAMPLE));
        }
        images.retain(|(other, _)| *other != container);
        images.push((container, image));
    }
    if images.is_empty() {
        let error = CommandError::new(args.end.clone(), "CONTAINER=IMAGE is missing");
        let says = "error: at least one image update is required\n";
        return Err(error.hint(EXAMPLE).says(says));
    }
    if images.len() > 1 && images.iter().any(|(container, _)| container == "*") {
        let message = "all containers are already specified by *, but saw more than one \
                       container_name=container_image pairs";
        return Err(CommandError::new(args.words_at(), message));
    }
    Ok((Set::Image(images), targets))
}

const EXAMPLE: &str = "for example app=shop/checkout:v2";

fn env(args: &Args) -> Result<(Set, Targets)> {
    let (targets, changes) =
        split_pairs(&args.words, "environment", "NAME=VALUE", "for example MODE=fast")?;
    let targets = Targets::read(targets, args, Whole::Asked)?;
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for word in args.all("env").chain(changes) {
        match word.text.split_once('=') {
            Some((name, value)) => {
                check_env_name(name, word)?;
                set.push((name.to_owned(), value.to_owned()));
            }
            None => match word.text.strip_suffix('-') {
                Some(name) => removed.push(name.to_owned()),
                None => {
                    let message = format!("unknown environment variable: {}", word.text);
                    return Err(CommandError::new(word.at.clone(), message));
                }
            },
        }
    }
    if removed.iter().any(|name| set.iter().any(|(other, _)| other == name)) {
        let message =
            "can not both modify and remove the same environment variable in the same command";
        return Err(CommandError::new(args.words_at(), message));
    }
    let keys: Vec<String> =
        args.all("keys").flat_map(|word| word.text.split(',').map(str::to_owned)).collect();
    let from = match args.get("from") {
        Some(word) => Some(Targets::read(std::slice::from_ref(word), args, Whole::Asked)?),
        None if !keys.is_empty() => {
            let message =
                "when specifying --keys, a configmap or secret must be provided with --from";
            return Err(CommandError::new(args.place("keys"), message));
        }
        None => None,
    };
    if set.is_empty() && removed.is_empty() && from.is_none() {
        let message = "at least one environment variable must be provided";
        return Err(CommandError::new(args.end.clone(), message).hint("for example MODE=fast"));
    }
    let env = Env {
        containers: args.text("containers").unwrap_or("*").to_owned(),
        set,
        removed,
        from,
        keys,
        prefix: args.text("prefix").unwrap_or_default().to_owned(),
        overwrites: args.switch("overwrite")?.unwrap_or(true),
    };
    Ok((Set::Env(env), targets))
}

fn check_env_name(name: &str, word: &Word) -> Result<()> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || "-._".contains(c);
    let begins = name.chars().next().is_some_and(is_letter);
    let fault = if !begins || !name.chars().all(|c| is_letter(c) || c.is_ascii_digit()) {
        "a valid environment variable name must consist of alphabetic characters, digits, '_', \
         '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or \
         'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')"
    } else if name == "." {
        "must not be '.'"
    } else if name == ".." {
        "must not be '..'"
    } else if name.starts_with("..") {
        "must not start with '..'"
    } else {
        return Ok(());
    };
    let message = format!("{name:?} is not a valid key name: {fault}");
    Err(CommandError::new(word.at.clone(), message))
}

fn resources(args: &Args) -> Result<(Set, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked)?;
    let (limits, requests) = (amounts(args, "limits")?, amounts(args, "requests")?);
    if limits.is_empty() && requests.is_empty() {
        let message = "you must specify an update to requests or limits (in the form of \
                       --requests/--limits)";
        return Err(CommandError::new(args.end.clone(), message));
    }
    let containers = args.text("containers").unwrap_or("*").to_owned();
    Ok((Set::Resources { containers, limits, requests }, targets))
}

/// Amounts by name, canonical as the API server stores them.
fn amounts(args: &Args, flag: &str) -> Result<Vec<(String, String)>> {
    let Some(word) = args.get(flag).filter(|word| !word.text.is_empty()) else {
        return Ok(Vec::new());
    };
    let error = |message: String| CommandError::new(word.at.clone(), message);
    let amount = |statement: &str| {
        let parts: Vec<&str> = statement.split('=').collect();
        let [name, amount] = parts[..] else {
            let message =
                format!("Invalid argument syntax {statement}, expected <resource>=<value>");
            return Err(error(message));
        };
        let amount = Quantity::parse(amount).map_err(|e| error(e.to_string()))?;
        Ok((name.to_owned(), amount.canonical()))
    };
    word.text.split(',').map(amount).collect()
}

fn service_account(args: &Args) -> Result<(Set, Targets)> {
    let Some((name, targets)) = args.words.split_last() else {
        return Err(CommandError::new(args.end.clone(), "serviceaccount is required"));
    };
    let targets = Targets::read(targets, args, Whole::Asked)?;
    Ok((Set::ServiceAccount(name.text.clone()), targets))
}

fn selector(args: &Args) -> Result<(Set, Targets)> {
    let Some((selector, targets)) = args.words.split_last() else {
        return Err(CommandError::new(args.end.clone(), "one selector is required"));
    };
    let targets = Targets::read(targets, args, Whole::Asked)?;
    let label = |part: &str| {
        let (key, value) = part.split_once('=').ok_or_else(|| {
            let message = "match expressions are not supported on this object";
            CommandError::new(selector.at.clone(), message)
        })?;
        Ok((key.trim().to_owned(), value.trim_start_matches('=').trim().to_owned()))
    };
    let labels: Result<Vec<_>> = selector.text.split(',').map(label).collect();
    Ok((Set::Selector(labels?), targets))
}

/// Carries it out.
pub(super) fn run(set: &Set, targets: &Targets, session: &mut Session<'_>) -> Done {
    let env = match set {
        Set::Env(env) => Some(variables(env, session)?),
        _ => None,
    };
    let infos = session.find_all(targets)?;
    let (mut troubles, mut patches) = (Vec::new(), Vec::new());
    for info in &infos {
        let mut object = info.object.clone();
        let patch = match set {
            Set::Image(images) => change_images(&mut object, images, &mut troubles),
            Set::Env(of) => {
                let env = env.as_deref().unwrap_or_default();
                change_env(&mut object, of, env, info, &mut session.err)
            }
            Set::Resources { containers, limits, requests } => {
                let amounts = (limits.as_slice(), requests.as_slice());
                change_resources(&mut object, containers, amounts, &mut troubles)
            }
            Set::ServiceAccount(name) => pod_spec(&mut object).map(|spec| {
                spec.insert("serviceAccountName".to_owned(), name.as_str().into());
            }),
            Set::Selector(labels) => change_selector(&mut object, info, labels),
        };
        let patch = patch.and_then(|()| made(info, &object));
        patches.push((info, patch));
    }
    for (info, patch) in patches {
        if let Err(trouble) = send(set, info, patch, session) {
            troubles.push(trouble);
        }
    }
    all_of(troubles)
}

/// The patch that makes the object.
fn made(info: &Info, object: &Value) -> std::result::Result<Value, String> {
    let kind = info.resource.kind.ok_or("no such kind")?;
    two_way(kind, &info.object, object)
}

fn send(
    set: &Set,
    info: &Info,
    patch: std::result::Result<Value, String>,
    session: &mut Session<'_>,
) -> Done {
    let is_selector = matches!(set, Set::Selector(_));
    let patch = match patch {
        Ok(patch) => patch,
        Err(error) if is_selector => return Err(error.into()),
        Err(error) => return Err(format!("error: {} {error}\n", info.text()).into()),
    };
    let (done, failed) = match set {
        Set::Image(_) => ("image updated", "failed to patch image update to pod template: "),
        Set::Env(_) => ("env updated", "failed to patch env update to pod template: "),
        Set::Resources { .. } => {
            ("resource requirements updated", "failed to patch resources update to pod template ")
        }
        Set::ServiceAccount(_) => ("serviceaccount updated", "failed to patch ServiceAccountName "),
        Set::Selector(_) => ("selector updated", ""),
    };
    let sends_nothing = !is_selector && !matches!(set, Set::ServiceAccount(_));
    if sends_nothing && patch.as_object().is_none_or(Map::is_empty) {
        return Ok(());
    }
    if session.writes() {
        let sent = session.api.patch(info.at(), PatchType::Strategic, patch);
        if let Err(status) = sent {
            return Err(match is_selector {
                true => status.into(),
                false => format!("{failed}{}", status.message).into(),
            });
        }
    }
    session.tell(info.resource, &info.name, done);
    Ok(())
}

/// The mapping that holds the containers of a pod or of a pod template.
fn pod_spec(object: &mut Value) -> std::result::Result<&mut Map<String, Value>, String> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let path: &[&str] = match kind.as_str() {
        "Pod" => &["spec"],
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        "Deployment"
        | "ReplicaSet"
        | "StatefulSet"
        | "DaemonSet"
        | "ReplicationController"
        | "Job" => &["spec", "template", "spec"],
        _ => &[],
    };
    let missing = || format!("the object is not a pod or does not have a pod template: *v1.{kind}");
    if path.is_empty() {
        return Err(missing());
    }
    let found = path.iter().try_fold(object, |value, key| value.get_mut(key));
    found.and_then(Value::as_object_mut).ok_or_else(missing)
}

/// The containers whose names fit, those of the initialization too.
fn containers<'v>(
    spec: &'v mut Map<String, Value>,
    pattern: &str,
) -> Vec<&'v mut Map<String, Value>> {
    let mut found = Vec::new();
    for (list, items) in spec.iter_mut() {
        let items =
            items.as_array_mut().filter(|_| list == "containers" || list == "initContainers");
        let maps = items.into_iter().flatten().filter_map(Value::as_object_mut);
        found.extend(maps.filter(|map| {
            map.get("name").and_then(Value::as_str).is_some_and(|name| fits(name, pattern))
        }));
    }
    found
}

/// Whether a name fits a pattern with `*`.
fn fits(name: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return name == pattern };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| fits(rest, tail)))
}

type Changed = std::result::Result<(), String>;

fn change_images(
    object: &mut Value,
    images: &[(String, String)],
    troubles: &mut Vec<Trouble>,
) -> Changed {
    let spec = pod_spec(object)?;
    for (name, image) in images {
        let containers = match name.as_str() {
            "*" => containers(spec, "*"),
            name => {
                let mut all = containers(spec, "*");
                all.retain(|map| map.get("name").is_some_and(|own| own == name));
                all
            }
        };
        if containers.is_empty() {
            troubles.push(format!("error: unable to find container named {name:?}").into());
        }
        for container in containers {
            container.insert("image".to_owned(), image.as_str().into());
        }
    }
    Ok(())
}

/// The variables, those of `--from` last.
fn variables(env: &Env, session: &mut Session<'_>) -> std::result::Result<Vec<Value>, Trouble> {
    let mut all: Vec<Value> = env.set.iter().map(|(name, value)| variable(name, value)).collect();
    let infos = env.from.as_ref().map(|from| session.find_all(from)).transpose()?;
    for info in infos.into_iter().flatten() {
        let of = match info.resource.name {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            _ => return Err("unsupported resource specified in --from".into()),
        };
        let keys = info.object["data"].as_object().into_iter().flatten().map(|(key, _)| key);
        for key in keys.filter(|key| env.keys.is_empty() || env.keys.contains(key)) {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name: String = key.chars().map(|c| if is_letter(c) { c } else { '_' }).collect();
            all.push(json!({
                "name": name.to_uppercase(),
                "valueFrom": { of: { "name": info.name, "key": key } },
            }));
        }
    }
    if !env.prefix.is_empty() {
        for variable in &mut all {
            let name = variable["name"].as_str().unwrap_or_default();
            variable["name"] = format!("{}{name}", env.prefix).into();
        }
    }
    Ok(all)
}

fn variable(name: &str, value: &str) -> Value {
    match value {
        "" => json!({ "name": name }),
        value => json!({ "name": name, "value": value }),
    }
}

fn change_env(
    object: &mut Value,
    env: &Env,
    new: &[Value],
    info: &Info,
    err: &mut String,
) -> Changed {
    let containers = containers(pod_spec(object)?, &env.containers);
    if containers.is_empty() {
        use std::fmt::Write as _;
        let _ = writeln!(
            err,
            "warning: {}/{} does not have any containers matching {:?}",
            info.resource.name, info.name, env.containers
        );
    }
    for container in containers {
        let old = container.remove("env");
        let old = old.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        if !env.overwrites {
            check_overwrites(&old, new)?;
        }
        let merged = merged_env(&old, new, &env.removed);
        if !merged.is_empty() {
            container.insert("env".to_owned(), merged.into());
        }
    }
    Ok(())
}

fn check_overwrites(old: &[Value], new: &[Value]) -> Changed {
    for variable in new {
        let own = old.iter().find(|other| other["name"] == variable["name"]);
        let value = |of: &Value| of["value"].as_str().unwrap_or_default().to_owned();
        if let Some(own) = own.filter(|own| value(own) != value(variable)) {
            let name = own["name"].as_str().unwrap_or_default();
            return Err(format!(
                "'{name}' already has a value ({}), and --overwrite is false",
                value(own)
            ));
        }
    }
    Ok(())
}

/// Variables change in their places, new ones follow.
fn merged_env(old: &[Value], new: &[Value], removed: &[String]) -> Vec<Value> {
    let named = |list: &[Value], name: &Value| list.iter().find(|v| v["name"] == *name).cloned();
    let is_removed = |v: &Value| removed.iter().any(|name| v["name"] == name.as_str());
    let mut all: Vec<Value> = Vec::new();
    for variable in old.iter().filter(|v| !is_removed(v)) {
        all.push(named(new, &variable["name"]).unwrap_or_else(|| variable.clone()));
    }
    for variable in new {
        if named(&all, &variable["name"]).is_none() {
            all.push(variable.clone());
        }
    }
    all
}

type Amounts<'a> = &'a [(String, String)];

fn change_resources(
    object: &mut Value,
    pattern: &str,
    (limits, requests): (Amounts<'_>, Amounts<'_>),
    troubles: &mut Vec<Trouble>,
) -> Changed {
    let containers = containers(pod_spec(object)?, pattern);
    if containers.is_empty() {
        troubles.push(format!("error: unable to find container named {pattern}").into());
    }
    for container in containers {
        let resources = container.entry("resources").or_insert_with(|| json!({}));
        for (part, amounts) in [("limits", limits), ("requests", requests)] {
            for (name, amount) in amounts {
                if !resources[part].is_object() {
                    resources[part] = json!({});
                }
                resources[part][name] = amount.as_str().into();
            }
        }
    }
    Ok(())
}

fn change_selector(object: &mut Value, info: &Info, labels: &[(String, String)]) -> Changed {
    if info.resource.name != "Service" {
        return Err("setting a selector is only supported for Services".to_owned());
    }
    let selector: Map<String, Value> =
        labels.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    object["spec"]["selector"] = selector.into();
    Ok(())
}
