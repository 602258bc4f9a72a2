//! What the API server fills in and what it refuses.

use seatrial::api::{self, Allowed, Kind, KindClass, Problem};
use seatrial::base::Quantity;
use seatrial::tree::{Diagnostics, ParseOptions, Sources, parse};
use serde_json::{Value, json};

use crate::support::corpus::{run_corpus, same, text};

/// The recorder's API server did not allow privileged containers.
const ALLOWED: Allowed = Allowed { privileged: false };

fn kind_of(object: &Value) -> Result<Kind, String> {
    let text = |key| object[key].as_str().unwrap_or_default();
    match api::classify(text("apiVersion"), text("kind")) {
        KindClass::Modelled(kind) => Ok(kind),
        _ => Err(format!("no such kind: {} {}", object["apiVersion"], object["kind"])),
    }
}

/// Rules C22, C80, C97, C114, C135, C183: defaults by kind.
#[test]
fn conformance_defaulting() {
    run_corpus("objects", "defaulting", |case| {
        let kind = kind_of(&case["manifest"])?;
        let mut ours = case["manifest"].clone();
        api::default_object(kind, &mut ours);
        let mut theirs = case["defaulted"].clone();
        same_object(&mut ours, &mut theirs)
    });
}

/// Compares objects. Status counts by what differs from the zeros that Go writes for it.
pub(super) fn same_object(ours: &mut Value, theirs: &mut Value) -> Result<(), String> {
    for value in [&mut *ours, &mut *theirs] {
        let status = value["status"].as_object_mut();
        if let Some(status) = status {
            status.retain(|_, value| *value != 0);
            status.remove("daemonEndpoints");
        }
        prune(value);
    }
    match first_difference(ours, theirs, "") {
        None => Ok(()),
        Some(how) => Err(how),
    }
}

/// Empty mappings, lists and texts, nulls and `false` count as absent: Go leaves them out.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, v| {
                !v.is_null() && *v != json!({}) && *v != json!([]) && *v != "" && *v != json!(false)
            });
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

fn first_difference(ours: &Value, theirs: &Value, path: &str) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|key| {
            let path = format!("{path}.{key}");
            first_difference(&ours[key], &theirs[key], &path)
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(at, (x, y))| first_difference(x, y, &format!("{path}[{at}]")))
        }
        _ if ours == theirs || same_amount(ours, theirs) => None,
        _ => Some(format!("{path}: {ours}, not {theirs}")),
    }
}

/// The same quantity in another text.
fn same_amount(ours: &Value, theirs: &Value) -> bool {
    let read = |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok());
    read(ours).is_some_and(|amount| Some(amount) == read(theirs))
}

/// Rules C4, C22, C80, C97, C114, C135, C183: what is refused, by field and reason.
#[test]
fn conformance_validation() {
    run_corpus("objects", "validation", |case| {
        if let Some(source) = text(case, "text") {
            return written(source, case);
        }
        judge(&case["manifest"], &[], case)
    });
}

/// A text that a JSON tree cannot carry.
fn written(source: &str, case: &Value) -> Result<(), String> {
    let mut sources = Sources::new();
    let suffix = text(case, "format").unwrap_or("yaml");
    let file = sources.add(format!("case.{suffix}"), source.to_owned());
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
    let bad = found.has_errors() || documents.len() != 1;
    if bad {
        return match text(case, "decodeError") {
            Some(_) => Ok(()),
            None => Err(format!("unreadable: {:?}", found.lines(&sources))),
        };
    }
    let twice: Vec<String> = found.lines(&sources);
    judge(&documents[0].tree.root().to_json(), &twice, case)
}

/// `twice` are the keys that are there twice, as our reader tells them.
fn judge(object: &Value, twice: &[String], case: &Value) -> Result<(), String> {
    let kind = match kind_of(object) {
        Ok(kind) => kind,
        Err(_) if text(case, "decodeError").is_some() => return Ok(()),
        Err(how) => return Err(how),
    };
    let decoded = api::decode(kind, object);
    if text(case, "decodeError").is_some() || decoded.error.is_some() {
        return same_decode_error(decoded.error.as_deref(), text(case, "decodeError"));
    }
    let strict: Vec<String> = texts(&case["strictErrors"]);
    let duplicates = strict.iter().filter(|text| !text.starts_with("unknown")).count();
    same("keys twice", twice.len(), duplicates)?;
    let unknown: Vec<String> =
        strict.into_iter().filter(|text| text.starts_with("unknown")).collect();
    same("unknown", &sorted(decoded.strict), &sorted(unknown))?;
    let outcome = match text(case, "op") {
        Some("update") => {
            let mut old = case["old"].clone();
            api::default_object(kind, &mut old);
            let old = stored(kind, old)?;
            let mut new = object.clone();
            api::default_object(kind, &mut new);
            api::before_update(kind, &old, new)
        }
        _ => {
            let mut object = object.clone();
            api::default_object(kind, &mut object);
            api::before_create(kind, object, ALLOWED)
        }
    };
    let problems = outcome.err().unwrap_or_default();
    let theirs = case["errors"].as_array().cloned().unwrap_or_default();
    same_errors(&problems, &theirs)
}

/// The old object as it was stored: a Job's selector is that of its uid.
fn stored(kind: Kind, mut old: Value) -> Result<Value, String> {
    if kind == Kind::Job {
        old["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111".into();
    }
    let stored = api::before_create(kind, old, ALLOWED);
    let mut stored = stored.map_err(|problems| format!("the old object: {problems:?}"))?;
    if let Some(metadata) = stored["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    Ok(stored)
}

/// Type errors word by word; of syntax errors that there is one.
fn same_decode_error(ours: Option<&str>, theirs: Option<&str>) -> Result<(), String> {
    let plain = |text: Option<&str>| text.map(|text| text.replace("1e1", "10.0"));
    same("decode error", plain(ours), plain(theirs))
}

pub(super) fn same_errors(ours: &[Problem], theirs: &[Value]) -> Result<(), String> {
    let of = |problem: &Problem| {
        let message = plain(&problem.api_message());
        (problem.path.clone(), problem.reason.cause().to_owned(), message)
    };
    let field = |error: &Value, key| text(error, key).unwrap_or_default().to_owned();
    let of_theirs = |error: &Value| {
        (field(error, "field"), field(error, "type"), plain(&field(error, "message")))
    };
    let ours = sorted(ours.iter().map(of).collect());
    let theirs = sorted(theirs.iter().map(of_theirs).collect());
    let short = |list: &[(String, String, String)]| -> Vec<String> {
        list.iter().map(|(field, cause, _)| format!("{field} {cause}")).collect()
    };
    same("fields", short(&ours), short(&theirs))?;
    same("messages", &ours, &theirs)
}

/// Without Go's internal form of an object and without differences of texts.
fn plain(message: &str) -> String {
    let head = message.lines().next().unwrap_or_default();
    match head.split_once("value: {").or_else(|| head.split_once("value: [")) {
        Some((start, rest)) => {
            let end =
                rest.rfind("}: ").or_else(|| rest.rfind("]: ")).map_or("", |at| &rest[at + 1..]);
            format!("{start}value{end}")
        }
        None => head.to_owned(),
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
