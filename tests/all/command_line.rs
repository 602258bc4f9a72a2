//! The command itself: exit codes, what goes where, the whole help, the same bytes again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{WEB, seatrial};

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A scenario with a rollout, an autoscaler and calls, small enough for a test.
fn scenario(expect: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: small
cluster:
  nodes: [{{ pool: workers, count: 3, zones: [a, b], allocatable: {{ cpu: 4, memory: 8Gi }} }}]
apply: [app/]
behaviors:
  - {{ for: deployment/web, serve: {{ hold: {{ median: 5ms, p99: 40ms }}, concurrency: 8 }} }}
traffic:
  - {{ name: users, to: service/web, rate: 100/s, timeout: 1s }}
timeline:
  - {{ at: 40s, run: kubectl set image deployment/web app=web:v2 }}
  - {{ at: 70s, fault: {{ crash: {{ node: workers-1 }} }} }}
run: {{ until: 2m, seed: 5, replications: 3, warmup: 20s }}
expect: [{expect}]
"
    )
}

/// A folder with the scenario; the manifests are in one file, or in two with other names.
fn folder(expect: &str, split: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = folder.path().join("app");
    fs::create_dir(&app).expect("made");
    fs::write(folder.path().join("scenario.yaml"), scenario(expect)).expect("written");
    let web = WEB.replace("REPLICAS", "3");
    let (deployment, service) = web.split_once("---").expect("two documents");
    if split {
        fs::write(app.join("1.yaml"), service).expect("written");
        fs::write(app.join("2.yaml"), deployment).expect("written");
    } else {
        fs::write(app.join("web.yaml"), &web).expect("written");
    }
    folder
}

/// All files of a result but its copy of the input, by path.
fn files(of: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![of.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of results").flatten() {
            let path = entry.path();
            let inside = path.strip_prefix(of).expect("inside").to_owned();
            if path.is_dir() {
                if inside != Path::new("input") {
                    open.push(path);
                }
            } else {
                all.insert(inside, fs::read(&path).expect("a file of results"));
            }
        }
    }
    all
}

#[test]
fn any_number_of_threads_and_any_order_of_files_give_the_same_bytes() {
    let one = folder("pods.created > 0", false);
    let split = folder("pods.created > 0", true);
    let first = seatrial(one.path(), &["run", ".", "--jobs", "1"]);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    let before = files(&one.path().join("results/small"));
    for name in ["summary.json", "pods.csv", "events.csv", "series.csv", "calls.csv", "scaling.csv"]
    {
        assert!(before.contains_key(Path::new(name)), "{name} is missing");
    }
    let charts = before.keys().filter(|path| path.starts_with("charts")).count();
    assert!(charts >= 4, "{charts} charts");
    for (place, jobs) in [(&one, "2"), (&one, "3"), (&split, "2")] {
        let again = seatrial(place.path(), &["run", ".", "--jobs", jobs]);
        assert_eq!(stdout(&again), stdout(&first));
        let after = files(&place.path().join("results/small"));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (path, bytes) in &before {
            assert!(bytes == &after[path], "{} differs with --jobs {jobs}", path.display());
        }
    }
}

#[test]
fn exit_codes_say_what_happened() {
    let met = folder("pods.created > 0", false);
    assert_eq!(code(&seatrial(met.path(), &["run", ".", "--no-files"])), 0);
    let unmet = folder("pods.created == 0", false);
    let output = seatrial(unmet.path(), &["run", ".", "--no-files"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("✗ pods.created == 0"), "{}", stdout(&output));
    let output = seatrial(met.path(), &["run", ".", "--set", "run.untli=3m"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("until"), "{}", stderr(&output));
    assert!(!met.path().join("results").exists(), "bad input leaves nothing");
    let output = seatrial(met.path(), &["run", ".", "--set", "run.eventsMax=1000"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("more than 1000 events"), "{}", stderr(&output));
    assert!(!met.path().join("results/small").exists(), "a run that failed leaves nothing");
    fs::write(met.path().join("taken"), "a file").expect("written");
    assert_eq!(code(&seatrial(met.path(), &["run", ".", "-o", "taken"])), 4);
    assert_eq!(code(&seatrial(met.path(), &["run"])), 2);
    assert_eq!(code(&seatrial(met.path(), &["fly"])), 2);
}

/// Files of manifests need no flag to be checked, and `run` says what takes them.
#[test]
fn manifests_are_known_by_their_looks() {
    let here = tempfile::tempdir().expect("a temporary folder");
    fs::write(here.path().join("web.yaml"), crate::support::WEB.replace("REPLICAS", "1"))
        .expect("written");
    let output = seatrial(here.path(), &["check", "web.yaml"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("1 Deployment"), "{}", stdout(&output));
    assert_eq!(code(&seatrial(here.path(), &["check", "w*.yaml"])), 0);
    let output = seatrial(here.path(), &["run", "web.yaml"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("seatrial rollout web.yaml"), "{}", stderr(&output));
    let output = seatrial(here.path(), &["run", "."]);
    assert!(stderr(&output).contains("seatrial rollout ."), "{}", stderr(&output));
}

#[test]
fn an_expectation_that_cannot_be_is_pointed_at() {
    let wrong = folder("service.web.calls.failed == 0", false);
    let output = seatrial(wrong.path(), &["run", "."]);
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains("services.web.calls.failed"), "{text}");
    assert!(text.contains("scenario.yaml:"), "{text}");
}

#[test]
fn json_goes_to_stdout_and_every_number_has_a_unit() {
    let place = folder("pods.created > 0", false);
    let output = seatrial(place.path(), &["run", ".", "--no-files", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let failed = &json["services"]["web"]["calls"]["failed"];
    assert!(failed["value"].is_number(), "{failed}");
    assert!(failed["unit"].is_string() && failed["about"].is_string(), "{failed}");
    assert_eq!(failed["n"], 3);
    let again = seatrial(place.path(), &["run", ".", "--no-files", "--json", "--seed", "6"]);
    assert_ne!(again.stdout, output.stdout, "another seed gives other numbers");
}

#[test]
fn compare_pairs_the_seeds() {
    let place = folder("pods.created > 0", false);
    let text = scenario("pods.created > 0").replace("name: small", "name: large");
    let text = text.replace("concurrency: 8", "concurrency: 1");
    fs::write(place.path().join("large.yaml"), text).expect("written");
    let output = seatrial(place.path(), &["compare", ".", "large.yaml"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("3 paired runs"), "{}", stdout(&output));
    assert!(place.path().join("results/small-vs-large/compare.json").exists());
    // A scenario does not differ from itself.
    let same = seatrial(place.path(), &["compare", ".", ".", "--no-files", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&same.stdout).expect("JSON");
    assert!(json.is_object());
}

#[test]
fn explain_says_where_a_pod_went_and_what_it_does_not_know() {
    let place = folder("pods.created > 0", false);
    let output = seatrial(place.path(), &["explain", ".", "deployment/web"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("of deployment/web · profile default-scheduler"));
    let json = seatrial(place.path(), &["explain", ".", "deployment/web", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let name = json["pod"].as_str().expect("a name").to_owned();
    assert!(json["attempts"][0]["node"].is_string(), "{json}");
    let by_name = seatrial(place.path(), &["explain", ".", &name, "--at", "30s"]);
    assert!(stdout(&by_name).starts_with(&name), "{}", stdout(&by_name));
    let unknown = seatrial(place.path(), &["explain", ".", "wbe"]);
    assert_eq!((code(&unknown), stdout(&unknown).as_str()), (2, ""));
    let told = stderr(&unknown);
    assert!(told.starts_with("error: no pod \"wbe\" was to be placed\nhelp: "), "{told}");
    let part = seatrial(place.path(), &["explain", ".", "web-"]);
    assert!(stderr(&part).contains("help: did you mean \"web-"), "{}", stderr(&part));
    assert_eq!(code(&seatrial(place.path(), &["explain", ".", "web", "--at", "soon"])), 2);
    let limit = ["explain", ".", "web", "--set", "run.eventsMax=1000"];
    assert_eq!(code(&seatrial(place.path(), &limit)), 3);
}

#[test]
fn schema_and_completions_are_printed() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let schema = seatrial(here.path(), &["schema"]);
    let json: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    assert!(json["properties"]["cluster"].is_object());
    assert_eq!(json["additionalProperties"], false, "editors mark unknown keys");
    let amount = &json["$defs"]["Amount"]["type"];
    assert_eq!(*amount, serde_json::json!(["string", "number"]), "cpu: 4 is right");
    let bash = seatrial(here.path(), &["completions", "bash"]);
    assert!(stdout(&bash).contains("_seatrial"));
}

#[test]
fn show_prints_the_model_after_defaults() {
    let place = folder("pods.created > 0", false);
    let output = seatrial(place.path(), &["check", ".", "--show"]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0);
    for word in
        ["maxSurge: 25%", "terminationGracePeriodSeconds: 30", "deployment/web container app"]
    {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

/// The whole help as one golden file.
#[test]
fn the_help_is_what_it_was() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let mut text = String::new();
    for command in
        ["", "run", "rollout", "drill", "check", "compare", "explain", "schema", "completions"]
    {
        let arguments: Vec<&str> =
            [command, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        text.push_str(&format!("$ seatrial {}\n", arguments.join(" ")));
        text.push_str(&stdout(&seatrial(here.path(), &arguments)));
        text.push('\n');
    }
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(golden.parent().expect("a folder")).expect("made");
        fs::write(&golden, &text).expect("written");
    }
    assert_eq!(fs::read_to_string(&golden).unwrap_or_default(), text);
}
