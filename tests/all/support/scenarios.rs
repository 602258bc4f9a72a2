//! Scenarios made from a few words, for tests that need a model.

use std::sync::{Arc, Mutex};

use seatrial::experiment::{self, Options};
use seatrial::manifest::Loader;
use seatrial::model::Model;
use seatrial::recorder::{RowSinks, Wants};
use seatrial::scenario::{Loaded, Place, load};

/// Loads a scenario whose files are in memory.
///
/// # Panics
/// If it is wrong: with the messages.
pub(crate) fn load_memory(files: &[(&str, &str)]) -> Loaded {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    load_bytes(&files)
}

/// The same with files of any kind.
///
/// # Panics
/// If it is wrong: with the messages.
pub(crate) fn load_bytes(files: &[(&str, &[u8])]) -> Loaded {
    let files = files.iter().map(|(path, bytes)| (*path, bytes.to_vec()));
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    load(&place, &[]).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    })
}

/// A Deployment `web` behind a Service `web` on three nodes. `words` are lines `key: value` of
/// `latencies`, `timeline`, `until`, `replicas`, `traffic`.
pub(crate) fn model_of(words: &str) -> Arc<Model> {
    let value = |key: &str, default: &str| {
        let start = format!("{key}:");
        let line = words.lines().map(str::trim).find(|line| line.starts_with(&start));
        line.map_or(default.to_owned(), |line| line[start.len()..].trim().to_owned())
    };
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: {}
apply: [web.yaml]
traffic: {}
timeline: {}
run: {{ until: {} }}
",
        value("latencies", "ideal"),
        value("traffic", "[]"),
        value("timeline", "[]"),
        value("until", "1m"),
    );
    let manifest = WEB.replace("REPLICAS", &value("replicas", "3"));
    load_memory(&[("scenario.yaml", &scenario), ("web.yaml", &manifest)]).model
}

pub(crate) const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: REPLICAS
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: app
          image: web:v1
          ports: [{ containerPort: 8080 }]
          resources: { requests: { cpu: 500m, memory: 256Mi } }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080 }]
";

/// A StatefulSet whose pods have this spec.
pub(crate) fn stateful_set(name: &str, replicas: u32, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{ name: {name} }}
spec:
  serviceName: {name}
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec: {{ {pod} }}
"
    )
}

/// A page of a file that a test can look into.
#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    /// What was written so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panics here").clone()
    }
}

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A scenario of the gallery, with assignments laid over it.
///
/// # Panics
/// If it is wrong: with the messages.
pub(crate) fn gallery(name: &str, sets: &[&str]) -> Loaded {
    let path = format!("{}/scenarios/{name}", env!("CARGO_MANIFEST_DIR"));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(&Place::on_disk(&path), &sets).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    })
}

/// What a run tells: its events, its pods, its numbers.
pub(crate) struct Told {
    /// `AT REASON OBJECT: MESSAGE`.
    pub(crate) events: Vec<String>,
    times: Vec<f64>,
    pods: Vec<std::collections::BTreeMap<String, String>>,
    found: experiment::Experiment,
}

/// Runs a scenario whose files are in memory, once, with all invariants checked.
pub(crate) fn tell(files: &[(&str, &str)]) -> Told {
    let model = load_memory(files).model;
    let (pods, events) = (Page::default(), Page::default());
    let rows = RowSinks::default().pods(pods.clone()).events(events.clone());
    let wants = Wants { events: true, rows };
    let options = Options { replications: 1, wants, checks: true, ..Options::of(&model) };
    let found = experiment::run(&model, options, &|_| {}).expect("within all limits");
    let rows = table(&events.bytes());
    let line = |row: &std::collections::BTreeMap<String, String>| {
        format!("{} {} {}: {}", row["at_s"], row["reason"], row["object"], row["message"])
    };
    Told {
        events: rows.iter().map(line).collect(),
        times: rows.iter().map(|row| row["at_s"].parse().expect("a number")).collect(),
        pods: table(&pods.bytes()),
        found,
    }
}

fn table(bytes: &[u8]) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let heads = reader.headers().expect("a table has headers").clone();
    let row = |row: csv::StringRecord| {
        heads.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    };
    reader.into_records().map(|found| row(found.expect("a row"))).collect()
}

impl Told {
    /// When events happened whose line has this text, in seconds.
    pub(crate) fn times(&self, text: &str) -> Vec<f64> {
        let all = self.events.iter().zip(&self.times);
        all.filter(|(event, _)| event.contains(text)).map(|(_, at)| *at).collect()
    }

    /// A number of the summary.
    pub(crate) fn number(&self, path: &[&str]) -> f64 {
        self.found.summary.value(path).unwrap_or_else(|| panic!("{path:?} is counted"))
    }

    /// The same, if there is such a number.
    pub(crate) fn value(&self, path: &[&str]) -> Option<f64> {
        self.found.summary.value(path)
    }

    /// All pods, by column.
    pub(crate) fn pods(&self) -> &[std::collections::BTreeMap<String, String>] {
        &self.pods
    }

    /// The names of pods of which a column has this value.
    pub(crate) fn rows(&self, column: &str, value: &str) -> Vec<String> {
        let found = self.pods.iter().filter(|pod| pod[column] == value);
        found.map(|pod| pod["pod"].clone()).collect()
    }

    /// The numbers in a column of the pods, those without one left out.
    pub(crate) fn column(&self, column: &str) -> Vec<f64> {
        self.pods.iter().filter_map(|pod| pod[column].parse().ok()).collect()
    }
}

/// A Deployment of one pod with one container, `app`, of these resources, and these volumes.
pub(crate) fn deployment(name: &str, resources: &str, volumes: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      containers: [{{ name: app, image: '{name}:1', resources: {{ {resources} }} }}]
      volumes: [{volumes}]
"
    )
}
