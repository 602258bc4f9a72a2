//! Runs of scenarios whose files are in memory, stepped or to their end, with all invariants
//! checked.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::Cluster;
use seatrial::engine::{Outcome, World};
use seatrial::kubectl::{Files, Output};
use seatrial::model::{Model, Template, WorkloadKind};
use seatrial::recorder::{Facts, Recorder, Wants};
use serde_json::Value;

use super::scenarios::{WEB, load_memory};

/// So many seconds after the beginning.
pub(crate) fn secs(seconds: u64) -> SimTime {
    SimTime::at(Duration::secs(seconds))
}

/// A world at its beginning.
pub(crate) fn begun(model: &Arc<Model>) -> World {
    let recorder = Recorder::new(model, Wants::default());
    let mut world = World::new(model, 0, recorder).with_checks();
    world.begin();
    world
}

/// A run that the test steps.
pub(crate) struct Stepped {
    pub(crate) world: World,
    files: Files,
}

impl Stepped {
    /// Of a model.
    pub(crate) fn new(model: &Arc<Model>) -> Self {
        Self { world: begun(model), files: Files::new() }
    }

    /// Of a scenario and what belongs to it.
    pub(crate) fn read(files: &[(&str, &str)]) -> Self {
        Self::new(&load_memory(files).model)
    }

    /// Of a scenario that applies `web.yaml` with so many replicas of half a core.
    pub(crate) fn of(scenario: &str, replicas: u32) -> Self {
        Self::with(scenario, replicas, "")
    }

    /// The same; the scenario applies `more.yaml` too.
    pub(crate) fn with(scenario: &str, replicas: u32, more: &str) -> Self {
        let web = WEB.replace("REPLICAS", &replicas.to_string());
        Self::read(&[("scenario.yaml", scenario), ("web.yaml", &web), ("more.yaml", more)])
    }

    /// With a file of one object that kubectl finds.
    pub(crate) fn with_file(mut self, path: &str, object: Value) -> Self {
        self.files.insert(path.to_owned(), vec![object]);
        self
    }

    /// The cluster as it is.
    pub(crate) fn cluster(&self) -> &Cluster {
        self.world.cluster()
    }

    /// The cluster so many seconds after the beginning.
    pub(crate) fn to(&mut self, seconds: u64) -> &Cluster {
        self.world.advance_to(secs(seconds));
        self.cluster()
    }

    /// What a line of kubectl says, which is right but may be refused.
    pub(crate) fn kubectl(&mut self, seconds: u64, line: &str) -> Output {
        self.try_kubectl(seconds, line).expect("a right line")
    }

    /// The same of any line; otherwise why it cannot be taken.
    pub(crate) fn try_kubectl(&mut self, seconds: u64, line: &str) -> Result<Output, String> {
        self.world.kubectl(secs(seconds), line, &self.files)
    }

    /// Pods that are not going.
    pub(crate) fn pods(&self) -> usize {
        self.cluster().pods().iter().filter(|(_, pod)| pod.deletion.is_none()).count()
    }
}

/// The cluster at the end of a run, and what it left.
pub(crate) fn ended(files: &[(&str, &str)]) -> (Cluster, Facts) {
    let model = load_memory(files).model;
    ended_with(&model, Wants::default())
}

/// The same of a model, and with rows.
pub(crate) fn ended_with(model: &Arc<Model>, wants: Wants) -> (Cluster, Facts) {
    let world = World::new(model, 0, Recorder::new(model, wants)).with_checks();
    let Outcome { recorder, cluster, ended, events } = world.run().expect("within all limits");
    let facts = recorder.into_facts(cluster.names(), ended, events).expect("facts are kept");
    (cluster, facts)
}

/// Images of the pods of a kind of owner that are there and not going, in order.
pub(crate) fn images(cluster: &Cluster, kind: WorkloadKind) -> Vec<String> {
    let pods = cluster.pods().iter().filter(|(_, pod)| pod.deletion.is_none());
    let templates = pods.map(|(_, pod)| &cluster.templates()[pod.template].template);
    let own = templates.filter(|template| template.workload.kind == kind);
    let image = |template: &Arc<Template>| template.spec.containers[0].image;
    let mut images: Vec<String> =
        own.map(|template| cluster.names().resolve(image(template)).to_owned()).collect();
    images.sort();
    images
}
