//! A day of a large cluster with autoscalers, without calls.
//!
//! `cargo bench --bench day` prints lines `figure NAME VALUE UNIT`.
//!
//! - `day_500_nodes_s`: 24 hours of 500 nodes and 20 Deployments of 250 pods, each with a
//!   HorizontalPodAutoscaler that looks every 15 s (rule A1) at a pipeline that samples every 15 s
//!   (rule A62). Every hour one Deployment rolls out to an image that needs more CPU, or back, so
//!   that its autoscaler has something to do. The nodes are a group of Cluster Autoscaler, which
//!   looks every 10 s (rule A118). Measured latencies, a sample of the series a minute.
//!   Seconds of the processor where they are known (Linux), for machines that others use too;
//!   `day_500_nodes_wall_s` by the wall clock.
//! - `day_500_nodes_events`, `day_500_nodes_rss_mib`: how many events that were, and the process's
//!   greatest memory (Linux).
//! - `day_500_nodes_scaled`: how often an autoscaler changed a size; `day_500_nodes_group_steps`:
//!   what Cluster Autoscaler did with the group.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "support/watch.rs"]
mod watch;

use std::fmt::Write as _;
use std::sync::Arc;

use seatrial::engine::{Outcome, World};
use seatrial::manifest::Loader;
use seatrial::model::Model;
use seatrial::recorder::{Recorder, Wants};
use seatrial::scenario::{Place, load};

use watch::{Watch, peak_rss_mib};

const DEPLOYMENTS: u32 = 20;
const REPLICAS: u32 = 250;
const NODES: u32 = 500;

fn objects() -> String {
    let mut text = String::new();
    for number in 0..DEPLOYMENTS {
        write!(
            text,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web-{number} }}\n\
             spec:\n  replicas: {REPLICAS}\n  selector: {{ matchLabels: {{ app: web-{number} }} }}\n  \
             template:\n    metadata: {{ labels: {{ app: web-{number} }} }}\n    spec:\n      \
             containers:\n      - name: app\n        image: shop/web:quiet\n        \
             resources: {{ requests: {{ cpu: 500m, memory: 512Mi }} }}\n\
             ---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n\
             metadata: {{ name: web-{number} }}\nspec:\n  \
             scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: web-{number} }}\n  \
             minReplicas: 100\n  maxReplicas: 400\n  metrics:\n  - type: Resource\n    \
             resource: {{ name: cpu, target: {{ type: Utilization, averageUtilization: 50 }} }}\n",
        )
        .expect("a text takes all");
    }
    text
}

fn model() -> Arc<Model> {
    let mut timeline = String::new();
    for hour in 1..24 {
        let (number, image) = (hour / 2, if hour % 2 == 0 { "quiet" } else { "busy" });
        let number = if hour % 2 == 0 { number - 1 } else { number };
        writeln!(
            timeline,
            "  - {{ at: {hour}h, run: kubectl set image deployment/web-{number} app=shop/web:{image} }}"
        )
        .expect("a text takes all");
    }
    let scenario = format!(
        "apiVersion: seatrial/v1\nkind: Scenario\nname: day\ncluster: {{ latencies: measured }}\n\
         cloud:\n  zones: [a, b, c]\n  instanceTypes:\n    \
         - {{ name: eight, cpu: 8, memory: 32Gi, reserved: {{ cpu: 100m, memory: 1Gi }}, price: 0.4/h }}\n  \
         nodeGroups:\n    - {{ name: workers, instanceTypes: [eight], min: 100, max: 600, size: {NODES} }}\n  \
         clusterAutoscaler: {{ scan-interval: 10s }}\napply: [objects.yaml]\nbehaviors:\n  \
         - {{ start: {{ median: 2s, p99: 6s }}, cpuIdle: 250m, memory: 300Mi }}\n  \
         - {{ image: '*:busy', cpuIdle: 350m }}\n\
         timeline:\n{timeline}run: {{ until: 24h, sample: 1m }}\n",
    );
    let files =
        [("scenario.yaml", scenario.into_bytes()), ("objects.yaml", objects().into_bytes())];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    match load(&place, &[]) {
        Ok(loaded) => loaded.model,
        Err(refused) => panic!("{}", refused.found.draw(&refused.sources, &Default::default())),
    }
}

fn main() {
    let model = model();
    let recorder = Recorder::new(&model, Wants::default());
    let world = World::new(&model, 0, recorder);
    let watch = Watch::start();
    let Outcome { recorder, cluster, ended, events } = world.run().expect("no limit is passed");
    let (seconds, wall) = (watch.processor_s(), watch.wall_s());
    let facts = recorder.into_facts(cluster.names(), ended, events).expect("it was kept");
    println!("figure day_500_nodes_s {seconds:.2} s");
    println!("figure day_500_nodes_wall_s {wall:.2} s");
    println!("figure day_500_nodes_events {events} events");
    println!("figure day_500_nodes_scaled {} steps", facts.scales.len());
    println!("figure day_500_nodes_group_steps {} steps", facts.groups.len());
    println!("figure day_500_nodes_pods {} pods", facts.pods.all.created);
    if let Some(mib) = peak_rss_mib() {
        println!("figure day_500_nodes_rss_mib {mib:.1} MiB");
    }
}
