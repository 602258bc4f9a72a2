//! kubectl's commands against recordings of the real ones (rules C63, C65, C157): requests, what
//! they change in the cluster, and what is printed.

use std::collections::BTreeMap;

use seatrial::kubectl::{self, Files, Output};
use serde_json::{Value, json};

use crate::support::api_server::ApiServer;
use crate::support::corpus::{run_corpus, text};

const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

#[test]
fn commands() {
    run_corpus("kubectl", "commands", check);
}

/// Carries out the steps of a case, one after another.
fn check(case: &Value) -> Result<(), String> {
    let mut server = ApiServer::with(items(&case["before"]));
    for step in items(&case["steps"]) {
        let before = server.objects.clone();
        server.requests.clear();
        let words: Vec<String> =
            items(&step["command"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let output = carry_out(&words, &step["files"], &mut server);
        let changed: Vec<Value> = server
            .objects
            .iter()
            .filter(|(key, object)| before.get(*key) != Some(*object))
            .map(|(_, object)| stripped(object))
            .collect();
        let deleted: Vec<String> = before
            .keys()
            .filter(|key| !server.objects.contains_key(*key))
            .map(|(plural, namespace, name)| format!("{plural}/{namespace}/{name}"))
            .collect();
        let ours = json!({
            "requests": masked(&Value::from(server.requests.clone())),
            "changed": by_name(&masked(&Value::from(changed))),
            "deleted": deleted,
            "stdout": output.stdout, "stderr": output.stderr, "exitCode": output.exit_code,
        });
        let wanted = json!({
            "requests": masked(&list(&step["requests"])),
            "changed": by_name(&masked(&list(&step["changed"]))),
            "deleted": list(&step["deleted"]),
            "stdout": text(step, "stdout").unwrap_or_default(),
            "stderr": text(step, "stderr").unwrap_or_default(),
            "exitCode": step["exitCode"],
        });
        compare(&words.join(" "), &ours, &wanted)?;
    }
    Ok(())
}

fn carry_out(words: &[String], files: &Value, server: &mut ApiServer) -> Output {
    let invocation = match kubectl::parse_words(words, "default") {
        Ok(invocation) => invocation,
        Err(error) => {
            return Output {
                stdout: String::new(),
                stderr: error.stderr,
                exit_code: 1,
                ..Output::default()
            };
        }
    };
    let files: Files = files
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, text)| {
            let object = serde_json::from_str(text.as_str().unwrap_or_default());
            (name.clone(), vec![object.expect("a document")])
        })
        .collect();
    let now = seatrial::base::Timestamp::parse("2026-01-05T00:00:00Z").expect("a time");
    kubectl::run(&invocation, &files, now, server)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn list(value: &Value) -> Value {
    items(value).to_vec().into()
}

/// An object without what the recordings leave out.
fn stripped(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
            metadata.remove(field);
        }
    }
    object
}

/// The time of a restart is another one every time.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match key.as_str() {
                RESTARTED_AT => (key.clone(), "<time>".into()),
                _ => (key.clone(), masked(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(masked).collect(),
        scalar => scalar.clone(),
    }
}

fn by_name(objects: &Value) -> Value {
    let key = |object: &Value| (object["kind"].to_string(), object["metadata"]["name"].to_string());
    let sorted: BTreeMap<_, Value> =
        items(objects).iter().map(|object| (key(object), object.clone())).collect();
    sorted.into_values().collect()
}

fn compare(command: &str, ours: &Value, wanted: &Value) -> Result<(), String> {
    for (part, wanted) in wanted.as_object().into_iter().flatten() {
        if let Some(how) = difference(&ours[part], wanted, part) {
            return Err(format!("{command}: {how}"));
        }
    }
    Ok(())
}

/// The first place where two trees differ.
fn difference(ours: &Value, wanted: &Value, at: &str) -> Option<String> {
    match (ours, wanted) {
        (Value::Object(ours), Value::Object(wanted)) => {
            let keys = ours.keys().chain(wanted.keys());
            keys.map(|key| {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned();
                match (of(ours), of(wanted)) {
                    (Some(ours), Some(wanted)) => {
                        difference(&ours, &wanted, &format!("{at}.{key}"))
                    }
                    (ours, wanted) => Some(format!(
                        "{at}.{key}: ours {}, recorded {}",
                        ours.as_ref().map_or("nothing".to_owned(), Value::to_string),
                        wanted.as_ref().map_or("nothing".to_owned(), Value::to_string),
                    )),
                }
            })
            .find_map(|found| found)
        }
        (Value::Array(ours), Value::Array(wanted)) if ours.len() == wanted.len() => {
            let pairs = ours.iter().zip(wanted).enumerate();
            pairs
                .map(|(i, (ours, wanted))| difference(ours, wanted, &format!("{at}[{i}]")))
                .find_map(|found| found)
        }
        (ours, wanted) if ours == wanted => None,
        (ours, wanted) => Some(format!("{at}: ours {ours}, recorded {wanted}")),
    }
}
