//! `kubectl drain` in a run: rules C157 to C160.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::engine::World;
use seatrial::experiment::{self, Options};
use seatrial::model::Model;
use seatrial::record::{BlockedBy, DrainOutcome, DrainRecord};
use seatrial::recorder::{Facts, Recorder, Wants};
use seatrial::report::text;
use seatrial::scenario::{Place, load};

use crate::support::{begun, ended_with, load_memory};

/// Three pods of a Deployment on two nodes: each takes 8 s to become ready and 5 s to go.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: c
          image: c
          readinessProbe: { initialDelaySeconds: 8, periodSeconds: 1, tcpSocket: { port: 80 } }
          lifecycle: { preStop: { sleep: { seconds: 5 } } }
---
";

fn budget(spec: &str) -> String {
    format!(
        "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{ name: web }}
spec: {{ {spec}, selector: {{ matchLabels: {{ app: web }} }} }}
---
"
    )
}

fn pod(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{ name: {name} }}
spec: {{ nodeName: n-0, containers: [{{ name: c, image: c }}]{spec} }}
---
"
    )
}

fn model(manifests: &str, commands: &[&str]) -> Arc<Model> {
    let entries = commands.iter().map(|run| format!("  - {{ at: 1m, run: '{run}' }}\n"));
    let timeline: String = entries.collect();
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: n, count: 2, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [all.yaml]
timeline:
{timeline}run: {{ until: 5m }}
"
    )
    .replace("pool: n,", "pool: 'n',");
    load_memory(&[("scenario.yaml", scenario.as_str()), ("all.yaml", manifests)]).model
}

fn facts(manifests: &str, commands: &[&str]) -> Facts {
    ended_with(&model(manifests, commands), Wants::default()).1
}

fn drained(manifests: &str, command: &str) -> DrainRecord {
    let mut facts = facts(manifests, &[command]);
    assert_eq!(facts.commands.len(), 1);
    facts.drains.remove(0)
}

fn secs(count: u64) -> SimTime {
    SimTime::ZERO + Duration::secs(count)
}

/// The words of the error of the first node.
fn failure(record: &DrainRecord) -> &str {
    match &record.nodes[0].outcome {
        DrainOutcome::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

/// Rule C159: without a budget all pods of a node go at once; it is looked each second.
#[test]
fn without_a_budget_a_drain_takes_as_long_as_its_pods() {
    let record = drained(WEB, "kubectl drain n-0");
    let node = &record.nodes[0];
    assert_eq!((node.outcome.clone(), node.left), (DrainOutcome::Drained, 0));
    assert!(node.gone > 0 && node.blocks.is_empty());
    assert_eq!((record.started, record.ended), (secs(60), Some(secs(65))));
}

/// Rules C154 and C159: one after another, a retry each 5 s.
#[test]
fn a_budget_lets_pods_go_one_after_another() {
    let all = WEB.to_owned() + &budget("maxUnavailable: 1");
    let record = drained(&all, "kubectl drain n-0");
    let node = &record.nodes[0];
    assert_eq!((node.outcome.clone(), node.gone), (DrainOutcome::Drained, 2));
    // The first goes at 1:00, and its replacement is ready at 1:08; then the second may go.
    assert_eq!(record.ended, Some(secs(75)));
    let block = &node.blocks[0];
    assert_eq!((block.budget.as_deref(), block.rule.as_str()), (Some("web"), "maxUnavailable 1"));
    assert_eq!((block.since, block.last, block.refusals), (secs(60), secs(65), 2));
    assert_eq!((block.pods, block.let_through), (1, 1));
    assert!(matches!(block.why, BlockedBy::Unready { healthy: 2, desired: 2, unready: 1, .. }));
    // Two nodes at once leave no place for the replacements.
    let record = drained(&all, "kubectl drain n-0 n-1");
    let block = &record.nodes[0].blocks[0];
    assert!(matches!(block.why, BlockedBy::Unready { waiting: 1, unready: 0, .. }));
    assert_eq!(record.nodes[1].outcome, DrainOutcome::Waits);
}

/// What can never be: the budget wants all pods that there shall be.
#[test]
fn a_budget_that_can_never_be_met_is_told() {
    for rule in ["minAvailable: 3", "maxUnavailable: 0", "minAvailable: 100%"] {
        let record = drained(&(WEB.to_owned() + &budget(rule)), "kubectl drain n-0");
        let node = &record.nodes[0];
        assert_eq!((record.ended, node.gone), (None, 0), "{rule}");
        assert_eq!(node.outcome, DrainOutcome::UnderWay);
        let block = &node.blocks[0];
        assert_eq!(block.why, BlockedBy::Never { desired: 3, pods: 3 }, "{rule}");
        assert_eq!((block.since, block.last), (secs(60), secs(295)));
        assert_eq!(block.refusals, 48 * node.left);
        assert_eq!((block.pods, block.let_through), (node.left, 0));
    }
}

/// Rule C159: the time-out is noticed at the next try, and told in kubectl's words.
#[test]
fn a_timeout_ends_a_drain() {
    let all = WEB.to_owned() + &budget("maxUnavailable: 0");
    let record = drained(&all, "kubectl drain n-0 --timeout=32s");
    assert_eq!(record.ended, Some(secs(95)));
    assert!(failure(&record).contains("global timeout reached: 32s"), "{record:?}");
    // Without eviction no budget is asked.
    let record = drained(&all, "kubectl drain n-0 --disable-eviction");
    assert_eq!(record.nodes[0].outcome, DrainOutcome::Drained);
    // The wait for the end of a pod is cut off too.
    let record = drained(WEB, "kubectl drain n-0 --timeout=2s");
    assert_eq!(record.ended, Some(secs(62)));
    assert!(failure(&record).contains("terminating: global timeout reached: 2s"), "{record:?}");
}

/// Rule C158: one fatal pod, and nothing on that node is evicted; the flags let each go.
#[test]
fn one_fatal_pod_stops_the_whole_node() {
    let bare = pod("lone", "");
    let record = drained(&(WEB.to_owned() + &bare), "kubectl drain n-0");
    assert_eq!(
        failure(&record),
        "cannot delete Pods that declare no controller (use --force to override): default/lone"
    );
    assert_eq!((record.nodes[0].gone, record.ended), (0, Some(secs(60))));
    let record = drained(&(WEB.to_owned() + &bare), "kubectl drain n-0 --force");
    assert_eq!(record.nodes[0].outcome, DrainOutcome::Drained);
    let local = pod("local", ", volumes: [{ name: v, emptyDir: {} }]");
    let record = drained(&local, "kubectl drain n-0 --force");
    assert_eq!(
        failure(&record),
        "cannot delete Pods with local storage (use --delete-emptydir-data to override): \
         default/local"
    );
    let record = drained(&local, "kubectl drain n-0 --force --delete-emptydir-data");
    assert_eq!(record.nodes[0].gone, 1);
    let record = drained(&bare, "kubectl drain n-0 --pod-selector=app=web");
    assert_eq!((record.nodes[0].gone, record.nodes[0].left), (0, 0));
    // An error on one node does not stop the others (rule C157).
    let record = drained(&(WEB.to_owned() + &bare), "kubectl drain n-0 n-1");
    assert_eq!(record.nodes[1].outcome, DrainOutcome::Drained);
}

/// Rule C157: all nodes are cordoned first; one that is not there and nothing happens.
#[test]
fn all_nodes_are_cordoned_first() {
    let all = WEB.to_owned() + &budget("maxUnavailable: 0");
    let model = model(&all, &["kubectl drain n-0 n-1"]);
    let mut world = begun(&model);
    world.step_until(secs(100));
    let nodes = world.cluster().nodes();
    assert!(nodes.iter().all(|node| node.spec.unschedulable));
    let refused = facts(WEB, &["kubectl delete pod x", "kubectl drain -l pool=none"]);
    assert_eq!(refused.drains[0].nodes.len(), 0);
}

/// Rule C160: kubectl's client sends ten requests at once and then five a second, so that a drain
/// of many pods takes its time.
#[test]
fn the_clients_limit_bounds_a_drain_of_many_pods() {
    let many = WEB.replace("replicas: 3", "replicas: 60");
    let ideal = model(&many, &["kubectl drain n-0"]);
    let mut limited = Model::clone(&ideal);
    limited.latencies.limited_clients = true;
    let going = |model: &Arc<Model>, at: Duration| {
        let mut world = World::new(model, 0, Recorder::off());
        world.begin();
        world.step_until(SimTime::ZERO + at);
        let pods = world.cluster().pods();
        pods.iter().filter(|(_, row)| row.deletion.is_some()).count()
    };
    assert_eq!(going(&ideal, Duration::ms(60_100)), 30);
    let limited = Arc::new(limited);
    let counts = [100, 1_100, 2_100].map(|ms| going(&limited, Duration::ms(60_000 + ms)));
    assert_eq!(counts[0], 10);
    assert!(counts[1] <= 15 && counts[2] <= 20 && counts[2] > counts[0], "{counts:?}");
}

/// The gallery's scenario: the summary says which node is not drained, which budget keeps it, that
/// it can never let go, and what would help.
#[test]
fn the_summary_says_what_blocks_a_drain() {
    let printed = |path: &str| {
        let path = format!("{}/scenarios/drain-blocked/{path}", env!("CARGO_MANIFEST_DIR"));
        let sets = ["run.until=5m", "run.replications=1", "traffic=[]", "expect=[]"];
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let loaded = load(&Place::on_disk(&path), &sets).unwrap_or_else(|refused| {
            panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
        });
        let options = Options { checks: true, ..Options::of(&loaded.model) };
        let run = experiment::run(&loaded.model, options, &|_| {}).expect("within all limits");
        let text = text::print(&run.summary, &run.facts, &[]);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let blocked = printed("scenario.yaml");
    for said in [
        "node/workers-0 not drained after 3 min",
        "budget checkout (minAvailable 3) refused",
        "it wants 3 healthy of 3 pods and can never allow an eviction",
        "WHY node workers-0 is not drained: budget checkout (minAvailable 3) wants 3 healthy",
        "TRY maxUnavailable: 1 in its place, or 4 replicas; or kubectl drain --disable-eviction",
    ] {
        assert!(blocked.contains(said), "no \"{said}\" in {blocked}");
    }
    let mended = printed("mended.yaml");
    assert!(mended.contains("node/workers-0 drained in"), "{mended}");
    assert!(mended.contains("node/workers-1 drained in"), "{mended}");
}
