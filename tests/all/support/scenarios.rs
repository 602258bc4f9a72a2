//! Scenarios made from a few words, for tests that need a model.

use std::sync::{Arc, Mutex};

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::Cluster;
use seatrial::engine::World;
use seatrial::manifest::Loader;
use seatrial::model::Model;
use seatrial::recorder::{Recorder, Wants};
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

/// A run that the test steps, with all invariants checked.
pub(crate) struct Stepped {
    world: World,
}

impl Stepped {
    /// Of a scenario that applies `web.yaml` with so many replicas of half a core.
    pub(crate) fn of(scenario: &str, replicas: u32) -> Self {
        let web = WEB.replace("REPLICAS", &replicas.to_string());
        let model = load_memory(&[("scenario.yaml", scenario), ("web.yaml", &web)]).model;
        let recorder = Recorder::new(&model, Wants::default());
        let mut world = World::new(&model, 0, recorder).with_checks();
        world.begin();
        Self { world }
    }

    /// The cluster so many seconds after the beginning.
    pub(crate) fn to(&mut self, seconds: u64) -> &Cluster {
        self.world.advance_to(SimTime::at(Duration::secs(seconds)));
        self.world.cluster()
    }
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
