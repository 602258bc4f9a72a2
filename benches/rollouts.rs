//! Many Deployments roll out to a new revision at once.
//!
//! `cargo bench --bench rollouts` prints lines `figure NAME VALUE UNIT`.
//!
//! - `rollout_s_DxN`: D Deployments of 10 replicas on N nodes (25 % surge and unavailable, pods
//!   ready 2 s after they are bound) are created, become complete, all get another image at one
//!   instant, and become complete again. The time of the loop alone, ideal latencies.
//! - `rollout_events_…`, `rollout_ns_per_event_…`: how many events that were, and their price.
//! - `rollout_rss_mib_…`: the process's greatest memory so far (Linux).
//! - `rollout_growth`: time for each Deployment with 5,000 of them over that with 500.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "support/watch.rs"]
mod watch;

use std::fmt::Write as _;
use std::sync::Arc;

use seatrial::api::{self, Kind, PatchType};
use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Cluster, Plan, Write};
use seatrial::engine::World;
use seatrial::manifest::Loader;
use seatrial::model::{DeploymentId, Model};
use seatrial::recorder::Recorder;
use seatrial::scenario::{Place, load};

use watch::{Watch, peak_rss_mib};

/// Deployments and nodes.
const SIZES: [(u32, u32); 3] = [(500, 100), (1_500, 300), (5_000, 1_000)];
const REPLICAS: u32 = 10;

fn model(deployments: u32, nodes: u32) -> Arc<Model> {
    let mut objects = String::new();
    for number in 0..deployments {
        write!(
            objects,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web-{number} }}\n\
             spec:\n  replicas: {REPLICAS}\n  selector: {{ matchLabels: {{ app: web-{number} }} }}\n  \
             template:\n    metadata: {{ labels: {{ app: web-{number} }} }}\n    spec:\n      \
             containers:\n      - name: app\n        image: shop/web:v1\n        \
             resources: {{ requests: {{ cpu: 100m, memory: 64Mi }} }}\n",
        )
        .expect("a text takes all");
    }
    let scenario = format!(
        "apiVersion: seatrial/v1\nkind: Scenario\nname: rollouts\ncluster:\n  nodes:\n    \
         - {{ pool: workers, count: {nodes}, allocatable: {{ cpu: 16, memory: 64Gi, pods: 110 }} }}\n  \
         latencies: ideal\napply: [objects.yaml]\nbehaviors:\n  - start: 2s\nrun: {{ until: 1h }}\n",
    );
    let files = [("scenario.yaml", scenario.into_bytes()), ("objects.yaml", objects.into_bytes())];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    match load(&place, &[]) {
        Ok(loaded) => loaded.model,
        Err(refused) => panic!("{}", refused.found.draw(&refused.sources, &Default::default())),
    }
}

/// Another image for every Deployment.
fn change_all(cluster: &mut Cluster, plan: &mut Plan) {
    let patch = serde_json::json!({ "spec": { "template": { "spec": {
        "containers": [{ "name": "app", "image": "shop/web:v2" }],
    } } } });
    let count = cluster.model().deployments.len();
    for index in 0..u32::try_from(count).expect("few") {
        let id = DeploymentId::new(index);
        let source = &cluster.deployment(id).expect("it is there").spec.source;
        let patched = api::apply_patch(Kind::Deployment, source, PatchType::Strategic, &patch);
        let patched = Arc::new(patched.expect("the container is there"));
        let lowered = api::lower_deployment(&patched, &mut cluster.lowering());
        let spec = Arc::new(lowered.expect("only the image is another"));
        plan.push(Write::UpdateDeployment { deployment: id, spec });
    }
}

fn complete(cluster: &Cluster, revision: u32) -> bool {
    let count = cluster.model().deployments.len();
    (0..u32::try_from(count).expect("few")).all(|index| {
        let row = cluster.deployment(DeploymentId::new(index)).expect("it is there");
        row.revision == revision
            && row.status.updated == REPLICAS
            && row.status.available == REPLICAS
    })
}

/// Seconds of the loop, and events.
fn rollout(deployments: u32, nodes: u32) -> (f64, u64) {
    let model = model(deployments, nodes);
    let mut world = World::new(&model, 0, Recorder::off());
    let watch = Watch::start();
    world.begin();
    world.step_until(SimTime::ZERO + Duration::secs(60));
    assert!(complete(world.cluster(), 1), "all are there after a minute");
    world.apply(change_all);
    world.step_until(SimTime::ZERO + Duration::secs(600));
    let seconds = watch.wall_s();
    assert!(complete(world.cluster(), 2), "all have rolled out");
    (seconds, world.events())
}

#[expect(clippy::cast_precision_loss, reason = "counts of events are small")]
fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        rollout(20, 4);
        return;
    }
    let mut each = Vec::new();
    for (deployments, nodes) in SIZES {
        let (seconds, events) = rollout(deployments, nodes);
        let name = format!("{deployments}x{nodes}");
        println!("figure rollout_s_{name} {seconds:.3} s");
        println!("figure rollout_events_{name} {events} events");
        println!("figure rollout_ns_per_event_{name} {:.0} ns", seconds * 1e9 / events as f64);
        if let Some(mib) = peak_rss_mib() {
            println!("figure rollout_rss_mib_{name} {mib:.1} MiB");
        }
        each.push(seconds / f64::from(deployments));
    }
    if let [first, .., last] = each[..] {
        println!("figure rollout_growth {:.2} times", last / first);
    }
}
