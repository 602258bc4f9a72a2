//! What the user wrote is wrong: each folder of `tests/bad/` holds wrong input and, in
//! `expected.txt`, what is said about it. `UPDATE_GOLDEN=1` writes these anew.
//!
//! A folder's `command` holds the arguments (`check scenario.yaml` if absent), `stdin.txt` what is
//! piped in. Input that is too large or too odd to keep in a repository is made here. Everywhere:
//! exit code 2, nothing on stdout, nothing written, no panic, every message with its place.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use seatrial::manifest::Loader;
use seatrial::report::expect::Expect;
use seatrial::scenario::{self, Place};
use seatrial::tree::DrawOptions;

use crate::support::{Noise, ODD, files_in as files, seatrial_fed};

/// The folder with the cases.
fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

/// Runs the command in a folder.
fn seatrial(folder: &Path, arguments: &str, stdin: &[u8]) -> Output {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    seatrial_fed(folder, &arguments, stdin)
}

/// Messages that are about a file as a whole, or about the command line: they have no place.
const WITHOUT_PLACE: [&str; 9] = [
    "cannot read \"",
    "no file or folder \"",
    "no file matches \"",
    "no manifests in \"",
    "no Kubernetes objects there",
    "nothing to read",
    "not UTF-8 text",
    "is longer than",
    "is an instruction for kustomize",
];

/// What is wrong with an answer to wrong input, whatever the input.
fn faults(output: &Output) -> Vec<String> {
    let mut faults = Vec::new();
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(2) {
        faults.push(format!("exit code {:?} instead of 2", output.status.code()));
    }
    if !output.stdout.is_empty() {
        faults.push(format!("on stdout: {}", String::from_utf8_lossy(&output.stdout)));
    }
    if text.contains("panicked") || text.contains("RUST_BACKTRACE") {
        faults.push("a panic".to_owned());
    }
    if !text.contains("error: ") && !text.contains("warning: ") {
        faults.push("no message".to_owned());
    }
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let is_message = line.starts_with("error: ") || line.starts_with("warning: ");
        let is_placed = lines.get(index + 1).is_some_and(|next| next.trim().starts_with("--> "));
        if is_message && !is_placed && !WITHOUT_PLACE.iter().any(|known| line.contains(known)) {
            faults.push(format!("without a place: {line}"));
        }
    }
    faults
}

/// Runs one folder; what is wrong, if anything.
fn run_case(folder: &Path) -> Vec<String> {
    let mut input = files(folder);
    let mut take = |name: &str| input.remove(Path::new(name));
    let expected = take("expected.txt");
    let command = take("command").map(|bytes| String::from_utf8(bytes).unwrap());
    let stdin = take("stdin.txt").unwrap_or_default();
    let work = tempfile::tempdir().unwrap();
    for (path, bytes) in &input {
        let path = work.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let command = command.as_deref().unwrap_or("check scenario.yaml");
    let output = seatrial(work.path(), command, &stdin);
    let mut faults = faults(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_run = !command.contains("manifests") && said.contains("error: ");
    if let Some(rest) = command.strip_prefix("check scenario").filter(|_| is_run) {
        let run = seatrial(work.path(), &format!("run scenario{rest}"), &stdin);
        if run.stderr != output.stderr || run.status != output.status || !run.stdout.is_empty() {
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            faults.push(format!("`run` says otherwise:\n{said}"));
        }
    }
    if files(work.path()) != input {
        faults.push("files were written".to_owned());
    }
    if update() {
        fs::write(folder.join("expected.txt"), said).unwrap();
    } else if expected != Some(output.stderr) {
        let expected = String::from_utf8_lossy(&expected.unwrap_or_default()).into_owned();
        faults.push(format!("said:\n{said}\nexpected:\n{expected}"));
    }
    faults
}

/// Whether the goldens are written anew.
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn every_wrong_folder_is_answered_as_expected() {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 170, "only {} cases", folders.len());
    let mut failed = String::new();
    for folder in &folders {
        for fault in run_case(folder) {
            failed += &format!("{}: {fault}\n", folder.file_name().unwrap().to_string_lossy());
        }
    }
    assert!(failed.is_empty(), "\n{failed}(UPDATE_GOLDEN=1 writes what is said)");
}

/// A scenario that is right, and its manifests.
const SCENARIO: &str = "\
apiVersion: seatrial/v1
kind: Scenario
name: shop
cluster:
  nodes:
    - { pool: workers, count: 3, zones: [a, b], allocatable: { cpu: 4, memory: 16Gi }, price: 0.2/h }
  latencies: { base: measured, watch: { median: 5ms, p99: 50ms } }
apply: [shop.yaml]
behaviors:
  - for: deployment/web
    start: { median: 4s, p99: 9s }
    serve: { hold: { mean: 20ms, cv: 0.5 }, cpu: 12ms, concurrency: 32, errors: 1% }
    shutdown: { drain: 10s }
traffic:
  - { name: shoppers, to: service/web, port: 80, rate: 40/s, timeout: 2s, retries: { attempts: 1 } }
  - { name: bots, to: service/web, steps: [{ at: 0s, rate: 1/s }, { at: 1m, rate: 9/s }] }
workload:
  - name: batch
    arrivals: { rate: 2/min }
    count: 10
    pods: [{ weight: 2, requests: { cpu: 500m, memory: 1Gi } }]
    lifetime: { empirical: [10s, 20s, 30s] }
timeline:
  - at: 60s
    run: kubectl set image deployment/web app=shop/web:v2
  - { at: 2m, fault: { crash: { node: workers-2 } } }
run: { until: 10m, seed: 7, replications: 2, warmup: 30s }
expect:
  - services.web.calls.failed == 0
";

const MANIFESTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  strategy:
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
        - name: app
          image: shop/web:v1
          resources:
            requests: { cpu: 250m, memory: 256Mi }
          readinessProbe:
            httpGet: { path: /ready, port: 8080 }
          lifecycle:
            preStop: { sleep: { seconds: 5 } }
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080 }]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }
  minReplicas: 2
  maxReplicas: 9
  metrics:
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: 60 } }
";

/// The place of a folder with these files, which is held in memory.
fn memory(files: &[(&str, &[u8])]) -> Place {
    let loader = Loader::from_memory(files.iter().map(|(path, bytes)| (*path, *bytes)));
    Place { loader, path: "scenario.yaml".to_owned() }
}

#[test]
fn the_scenario_that_is_mutated_below_is_right() {
    let place =
        memory(&[("scenario.yaml", SCENARIO.as_bytes()), ("shop.yaml", MANIFESTS.as_bytes())]);
    let loaded = scenario::load(&place, &[]);
    if let Err(refused) = loaded {
        panic!("{:?}", refused.found.lines(&refused.sources));
    }
}

/// Checks files that are made here; gives what is said.
fn made(files: &[(&str, &[u8])]) -> String {
    let work = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        fs::write(work.path().join(path), bytes).unwrap();
    }
    let output = seatrial(work.path(), "check --strict scenario.yaml", b"");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let faults = faults(&output);
    assert!(faults.is_empty(), "{faults:?}\n{said}");
    assert!(said.len() < 20_000, "{} bytes are said", said.len());
    said
}

/// The same bytes as a scenario and as its manifests: both must be refused with these words.
#[track_caller]
fn both(bytes: &[u8], words: &[&str]) {
    let as_manifest = made(&[("scenario.yaml", SCENARIO.as_bytes()), ("shop.yaml", bytes)]);
    let as_scenario = made(&[("scenario.yaml", bytes), ("shop.yaml", MANIFESTS.as_bytes())]);
    for said in [as_scenario, as_manifest] {
        for word in words {
            assert!(said.contains(word), "\"{word}\" is not said:\n{said}");
        }
    }
}

#[test]
fn bytes_that_are_no_text() {
    both(b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe\xfd", &[":1:8", "a NUL byte", "binary"]);
    both(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &["binary"]);
    both(b"apiVersion: v1\nkind: \0\n", &[":2:7", "a NUL byte"]);
    both(b"apiVersion: v1\nkind: Caf\xe9\n", &[":2:10", "not UTF-8 text", "another encoding"]);
    both(b"apiVersion: \x1b[31mv1\n", &[":1:13", "control character U+001B"]);
    let utf16: Vec<u8> = SCENARIO.encode_utf16().flat_map(u16::to_le_bytes).collect();
    both(&utf16, &["UTF-16, not UTF-8 text", "save it as UTF-8"]);
    let marked: Vec<u8> = [b"\xff\xfe".to_vec(), utf16].concat();
    both(&marked, &["UTF-16, not UTF-8 text"]);
    both(b"\x1f\x8b\x08\0\0\0\0\0broken", &["cannot read"]);
}

#[test]
fn a_line_of_ten_megabytes() {
    let long = "x".repeat(10 << 20);
    both(format!("kind: Scenario\nname: {long}: {long}\n").as_bytes(), &[":2:"]);
    let scenario = SCENARIO.replace("name: shop", &format!("name: {long}"));
    let said = made(&[("scenario.yaml", scenario.as_bytes()), ("shop.yaml", MANIFESTS.as_bytes())]);
    assert!(said.contains("cannot name a scenario") && said.contains(":3:7"), "{said}");
    let manifests = MANIFESTS.replace("replicas: 3", &format!("replicas: {long}"));
    let said = made(&[("scenario.yaml", SCENARIO.as_bytes()), ("shop.yaml", manifests.as_bytes())]);
    assert!(said.contains(":6:13"), "{said}");
}

#[test]
fn nesting_without_end() {
    let deep = 200_000;
    both(format!("a: {}", "[".repeat(deep)).as_bytes(), &["nest"]);
    both("{\"a\":".repeat(deep).as_bytes(), &["nest"]);
    both(format!("{}{}", "[".repeat(deep), "]".repeat(deep)).as_bytes(), &["nest"]);
    both("- ".repeat(deep).as_bytes(), &["nest"]);
    let stairs: String = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    both(stairs.as_bytes(), &["nest"]);
}

#[test]
fn aliases_that_multiply() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let of = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{of}]\n");
    }
    both(bomb.as_bytes(), &["alias"]);
    let cycle = "apiVersion: v1\nkind: Pod\nmetadata: &m\n  name: web\n  labels: *m\n";
    both(cycle.as_bytes(), &[":5:11"]);
}

#[test]
fn very_many_errors_are_counted_rather_than_shown() {
    let many: String = (0..100_000).map(|n| format!("key{n}: 1\n")).collect();
    let said = made(&[
        ("scenario.yaml", format!("{SCENARIO}{many}").as_bytes()),
        ("shop.yaml", MANIFESTS.as_bytes()),
    ]);
    assert!(said.contains("more"), "{said}");
}

#[test]
fn numbers_beyond_every_type() {
    let digits = "9".repeat(400);
    for (from, to) in [
        ("replicas: 3", format!("replicas: {digits}")),
        ("seconds: 5", format!("seconds: {digits}")),
        ("port: 80,", format!("port: -{digits},")),
        ("cpu: 250m", format!("cpu: {digits}")),
        ("maxSurge: 1", format!("maxSurge: {digits}%")),
        ("maxReplicas: 9", "maxReplicas: 1e999".to_owned()),
    ] {
        let manifests = MANIFESTS.replace(from, &to);
        assert_ne!(manifests, MANIFESTS);
        let place =
            memory(&[("scenario.yaml", SCENARIO.as_bytes()), ("shop.yaml", manifests.as_bytes())]);
        drop(scenario::load(&place, &[])); // it does not panic
    }
    for from in ["count: 3", "seed: 7", "attempts: 1", "weight: 2", "replications: 2", "port: 80"] {
        let key = from.split(':').next().unwrap();
        let scenario = SCENARIO.replace(from, &format!("{key}: {digits}"));
        assert_ne!(scenario, SCENARIO);
        let said =
            made(&[("scenario.yaml", scenario.as_bytes()), ("shop.yaml", MANIFESTS.as_bytes())]);
        assert!(said.contains("scenario.yaml:"), "{said}");
    }
}

#[test]
fn what_is_there_but_no_file() {
    let work = tempfile::tempdir().unwrap();
    fs::create_dir_all(work.path().join("scenario.yaml")).unwrap();
    let output = seatrial(work.path(), "check scenario.yaml/", b"");
    assert_eq!(faults(&output), [""; 0]);
    let output = seatrial(work.path(), "check .", b"");
    assert_eq!(faults(&output), [""; 0]);
    let scenario = SCENARIO.replace("[shop.yaml]", "[shop.yaml, locked.yaml]");
    fs::remove_dir(work.path().join("scenario.yaml")).unwrap();
    fs::write(work.path().join("scenario.yaml"), scenario).unwrap();
    fs::write(work.path().join("shop.yaml"), MANIFESTS).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("locked.yaml", work.path().join("locked.yaml")).unwrap();
    let output = seatrial(work.path(), "check scenario.yaml", b"");
    assert_eq!(faults(&output), [""; 0]);
}

/// Loads a scenario and draws what is said; whether it is refused.
fn is_refused(scenario: &[u8], manifests: &[u8]) -> bool {
    let place = memory(&[("scenario.yaml", scenario), ("shop.yaml", manifests)]);
    let loaded = std::panic::catch_unwind(|| {
        let loaded = scenario::load(&place, &[]);
        let lines = loaded.as_ref().map_or_else(|r| &r.expect, |l| &l.expect);
        for line in lines {
            drop(Expect::parse(&line.value));
        }
        let told = loaded.err()?;
        drop(told.found.draw(&told.sources, &DrawOptions::default()));
        Some(told.found.has_errors())
    });
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match loaded {
        Ok(None) => false,
        Ok(Some(true)) => true,
        Ok(Some(false)) => panic!("refused without a word:\n{}", text(scenario)),
        Err(_) => panic!("a panic:\n{}\n{}", text(scenario), text(manifests)),
    }
}

#[test]
fn no_mutation_of_good_input_panics() {
    let mut noise = Noise::of(0x5ea7_71a1);
    let mut refused = 0;
    for round in 0..600 {
        let (mut scenario, mut manifests) = (SCENARIO.into(), MANIFESTS.into());
        match round % 3 {
            0 => scenario = noise.mutate(SCENARIO),
            1 => manifests = noise.mutate(MANIFESTS),
            _ => (scenario, manifests) = (noise.mutate(SCENARIO), noise.mutate(MANIFESTS)),
        }
        refused += u32::from(is_refused(&scenario, &manifests));
    }
    assert!(refused > 200, "only {refused} of 600 are refused");
}

/// The text with each of its values (what stands between `: ` and a comma, bracket or line end)
/// replaced, one at a time.
fn with_values_replaced<'t>(text: &'t str, by: &'t str) -> impl Iterator<Item = String> {
    let starts = text.match_indices(": ").map(|(at, sign)| at + sign.len());
    starts.map(move |start| {
        let end = text[start..].find([',', ']', '}', '\n']).unwrap_or(0);
        format!("{}{by}{}", &text[..start], &text[start + end..])
    })
}

#[test]
fn no_odd_value_panics() {
    for odd in ODD {
        for scenario in with_values_replaced(SCENARIO, odd) {
            is_refused(scenario.as_bytes(), MANIFESTS.as_bytes());
        }
        for manifests in with_values_replaced(MANIFESTS, odd) {
            is_refused(SCENARIO.as_bytes(), manifests.as_bytes());
        }
    }
}
