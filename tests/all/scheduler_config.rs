//! How the scheduler is set: configuration files, several profiles, policies of the user's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use seatrial::engine::{Extras, World};
use seatrial::manifest::Loader;
use seatrial::placement::{self, NodeState, PodInfo, Policy};
use seatrial::recorder::{Recorder, Wants};
use seatrial::scenario::{self, Loaded, Place};

const CONFIG: &str = "
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
percentageOfNodesToScore: 40
profiles:
  - schedulerName: default-scheduler
  - schedulerName: packing
    pluginConfig:
      - name: NodeResourcesFit
        args: { scoringStrategy: { type: MostAllocated } }
";

fn place(scheduler: &str, pod: &str, apply: &str) -> Place {
    let scenario = format!(
        "apiVersion: seatrial/v1\nkind: Scenario\nname: a\ncluster:\n  nodes: [{{ pool: w, count: \
         4, allocatable: {{ cpu: 4, memory: 16Gi }} }}]\n  latencies: ideal\n  scheduler: \
         {scheduler}\napply: [{apply}]\nworkload:\n  - name: job\n    arrivals: {{ at: 0s }}\n    \
         count: 4\n    pods: [{{ requests: {{ cpu: 1, memory: 1Gi }}{pod} }}]\nrun: {{ until: 1m }}\n"
    );
    let files = [("scenario.yaml", scenario.as_str()), ("m/scheduler.yaml", CONFIG)];
    Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() }
}

fn load(scheduler: &str, pod: &str, apply: &str) -> Loaded {
    match scenario::load(&place(scheduler, pod, apply), &[]) {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{:#?}", refused.found.lines(&refused.sources)),
    }
}

fn warnings(loaded: &Loaded) -> Vec<String> {
    loaded.found.lines(&loaded.sources)
}

#[test]
fn a_configuration_is_read_and_shown() {
    let loaded = load("{ config: m/scheduler.yaml }", "", "");
    assert_eq!(warnings(&loaded), [""; 0]);
    let scheduler = &loaded.model.scheduler;
    let names: Vec<&str> = scheduler.profiles.iter().map(|p| p.scheduler_name.as_str()).collect();
    assert_eq!(names, ["default-scheduler", "packing"]);
    assert_eq!(scheduler.percentage_of_nodes_to_score, 40);
    let shown = scenario::show(&loaded);
    assert!(shown.contains("schedulerName: packing") && shown.contains("MostAllocated"), "{shown}");
}

#[test]
fn among_manifests_it_is_told_where_it_belongs_unless_it_is_named_there() {
    let told = "m/scheduler.yaml:2:13: warning: a scheduler's configuration is no object of a \
                cluster: left out";
    assert_eq!(warnings(&load("{}", "", "m"))[0], told);
    assert_eq!(warnings(&load("{ config: m/scheduler.yaml }", "", "m")), [""; 0]);
}

#[test]
fn pods_of_a_profile_that_is_not_there_are_told() {
    let loaded = load("{ config: m/scheduler.yaml }", ", schedulerName: pakcing", "");
    let told = "scenario.yaml:13:64: warning: no profile of the scheduler is called \"pakcing\": \
                these pods wait for ever";
    assert_eq!(warnings(&loaded), [told]);
    let hint = loaded.found.iter().next().unwrap().hint.clone();
    assert_eq!(hint.as_deref(), Some("did you mean \"packing\"?"));
}

/// Takes pods on nodes with an odd number only, the highest number first.
#[derive(Debug)]
struct Odd;

impl Odd {
    fn number(node: &NodeState, world: &placement::World<'_>) -> i64 {
        world.names.resolve(node.spec.name)[2..].parse().unwrap()
    }
}

impl Policy for Odd {
    fn name(&self) -> &'static str {
        "Odd"
    }

    fn filter(
        &self,
        _pod: &PodInfo,
        node: &NodeState,
        world: &placement::World<'_>,
    ) -> Result<(), String> {
        let is_odd = Self::number(node, world) % 2 == 1;
        is_odd.then_some(()).ok_or_else(|| "node(s) were even".to_owned())
    }

    fn score(&self, _pod: &PodInfo, node: &NodeState, world: &placement::World<'_>) -> i64 {
        Self::number(node, world) * 30
    }
}

fn run(loaded: &Loaded, policies: Vec<Arc<dyn Policy>>) -> (Vec<String>, Vec<String>) {
    let recorder = Recorder::new(&loaded.model, Wants::default());
    let extras = Extras { policies, probe: None };
    let world = World::with_extras(&loaded.model, 0, recorder, extras).with_checks();
    let outcome = world.run().unwrap();
    let names = outcome.cluster.names();
    let mut nodes: Vec<String> = (outcome.cluster.pods().iter())
        .filter_map(|(_, pod)| pod.node)
        .map(|node| names.resolve(outcome.cluster.nodes()[node].spec.name).to_owned())
        .collect();
    nodes.sort();
    let messages = (outcome.cluster.pods().iter())
        .filter_map(|(_, pod)| pod.unschedulable.as_ref().map(ToString::to_string));
    (nodes, messages.collect())
}

#[test]
fn a_policy_of_ones_own_filters_and_scores() {
    let place = place("{ weights: { Odd: 100 } }", "", "");
    let loaded = scenario::load_with(&place, &[], &["Odd"]).unwrap();
    let (nodes, _) = run(&loaded, vec![Arc::new(Odd)]);
    // The 4 CPUs of w-3, by its higher score of 90 to 30.
    assert_eq!(nodes, ["w-3"; 4]);
    let loaded = scenario::load_with(&place, &["workload[0].count=9".to_owned()], &["Odd"]);
    let (nodes, messages) = run(&loaded.unwrap(), vec![Arc::new(Odd)]);
    assert_eq!(nodes.len(), 8);
    let refused = "0/4 nodes are available: 2 Insufficient cpu, 2 node(s) were even.";
    assert!(messages.iter().any(|told| told.starts_with(refused)), "{messages:?}");
}

#[test]
fn a_policy_that_nobody_gave_is_unknown() {
    let place = place("{ weights: { Odd: 100 } }", "", "");
    let refused = scenario::load(&place, &[]).unwrap_err();
    let told = "scenario.yaml:7:32: error: unknown score plugin \"Odd\"";
    assert_eq!(refused.found.lines(&refused.sources), [told]);
}

#[test]
#[should_panic(expected = "the model knows policies [\"Odd\"], the run has []")]
fn a_model_with_policies_does_not_run_without_them() {
    let place = place("{ weights: { Odd: 1 } }", "", "");
    let loaded = scenario::load_with(&place, &[], &["Odd"]).unwrap();
    run(&loaded, Vec::new());
}
