//! The loop of the Cluster Autoscaler alone.
//!
//! `cargo bench --bench ca_loop` prints lines `figure NAME VALUE ms`, in the processor's time where
//! it is known (Linux), for machines that others use too.
//!
//! - `ca_loop_ms`: one whole loop of an autoscaler that has never looked: 1,000 nodes of five
//!   groups, 10,000 pods on them, 2,000 pending pods of 20 ReplicaSets, none of which fits on a node
//!   that is there. Snapshot, filters, five estimates, the choice, and planning the way down.
//! - `ca_idle_loop_ms`: a loop in which nothing happens: 500 nodes, 5,000 pods, every twentieth
//!   node half empty but kept by the cooldown of a group at its least size; mean of a simulated day
//!   (8,640 loops). `ca_busy_loop_ms`: the same, with a tenth of the nodes' pods replaced between
//!   two loops.
//! - `…_plain`: the same by an autoscaler that keeps nothing from one search or loop to the next.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "support/watch.rs"]
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use seatrial::autoscalers::cluster_autoscaler::{
    Cloud, ClusterAutoscaler, Controller, ControllerKind, Group, Instance, NodeView, Options,
    PodTraits, PodView, ScaleUpResult, View,
};
use seatrial::base::{Bytes, Duration, Id, Interner, MilliCpu, SimTime, Symbol};
use seatrial::model::{
    Container, Labels, NodeId, NodeSpec, PodId, PodRef, PodSpec, Profile, Resources,
};
use seatrial::placement::{Catalog, PodInfo};
use seatrial::record::PodName;

use watch::Watch;

const GROUPS: usize = 5;
const TEMPLATES: usize = 20;
const PODS_A_NODE: usize = 10;

/// A cloud that does as it is told.
#[derive(Clone)]
struct Fake {
    groups: Vec<Group>,
    instances: Vec<Vec<Instance>>,
    there: BTreeSet<Symbol>,
}

impl Cloud for Fake {
    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn instances(&self, group: usize) -> Vec<Instance> {
        self.instances[group].clone()
    }

    fn has_instance(&self, node: Symbol, _: Option<usize>) -> bool {
        self.there.contains(&node)
    }

    fn increase(&mut self, group: usize, by: u32) -> Result<(), String> {
        self.groups[group].target += by;
        Ok(())
    }

    fn delete(&mut self, _: usize, _: &[Symbol]) -> Result<(), String> {
        Err("nobody asks for it here".to_owned())
    }

    fn decrease_target(&mut self, _: usize, _: u32) -> Result<(), String> {
        Err("nobody asks for it here".to_owned())
    }
}

/// Objects and their names.
struct Stage {
    names: Interner,
    profile: Profile,
    catalog: Catalog,
    cloud: Fake,
    nodes: Vec<NodeView>,
    pods: Vec<PodView>,
}

fn resources(milli: i64, mib: i64) -> Resources {
    Resources { cpu: MilliCpu(milli), memory: Bytes::mib(mib), ..Resources::default() }
}

fn start() -> SimTime {
    SimTime::ZERO + Duration::hours(48)
}

impl Stage {
    fn new(nodes: usize) -> Self {
        let mut names = Interner::new();
        let host = names.intern("kubernetes.io/hostname");
        let zone = names.intern("topology.kubernetes.io/zone");
        let zones = ["a", "b", "c"].map(|name| names.intern(name));
        let spec = |name: &str, group: usize, names: &mut Interner| {
            let name = names.intern(name);
            let cpu = i64::try_from(8 * (group + 1)).expect("small");
            let mut spec = NodeSpec::plain(name, resources(cpu * 1_000, cpu * 4_096));
            spec.pods_max = 110;
            spec.labels.set(host, name);
            spec.labels.set(zone, zones[group % 3]);
            spec
        };
        let a_group = u32::try_from(nodes / GROUPS).expect("small");
        let groups = (0..GROUPS).map(|group| {
            let template = spec(&format!("template-{group}"), group, &mut names);
            let capacity = template.allocatable.clone();
            let id = format!("pool-{group}");
            let (min, max, target, price_per_hour) = (a_group, 2_000, a_group, 0.4);
            Group { id, min, max, target, template, capacity, price_per_hour }
        });
        let groups: Vec<Group> = groups.collect();
        let mut instances = vec![Vec::new(); GROUPS];
        let mut views = Vec::new();
        for at in 0..nodes {
            let group = at * GROUPS / nodes;
            let spec = spec(&format!("node-{at:05}"), group, &mut names);
            let (name, capacity) = (spec.name, spec.allocatable.clone());
            instances[group].push(Instance { name, error: None, is_deleting: false });
            views.push(NodeView {
                node: NodeId::from_index(at),
                spec,
                capacity,
                group: Some(group),
                is_ready: true,
                ready_changed: SimTime::ZERO,
                created: SimTime::ZERO,
                is_kept: false,
                deleting_since: None,
            });
        }
        let there = views.iter().map(|node| node.spec.name).collect();
        let cloud = Fake { groups, instances, there };
        let (profile, catalog, pods) = (Profile::default(), Catalog::default(), Vec::new());
        Self { names, profile, catalog, cloud, nodes: views, pods }
    }

    fn info(&mut self, label: &str, requests: Resources) -> Arc<PodInfo> {
        let container = Container::plain(self.names.intern("app"), self.names.intern("image"));
        let scheduler = self.names.intern("default-scheduler");
        let spec = PodSpec { requests, ..PodSpec::plain(vec![container], scheduler) };
        let (namespace, app) = (self.names.intern("shop"), self.names.intern("app"));
        let labels = Labels::new([(app, self.names.intern(label))]);
        Arc::new(PodInfo::plain(namespace, labels, Arc::new(spec)))
    }

    fn pod(&mut self, info: &Arc<PodInfo>, of: usize, node: Option<NodeId>) {
        let number = self.pods.len();
        let of = u64::try_from(of).expect("small");
        let kind = ControllerKind::ReplicaSet;
        self.pods.push(PodView {
            pod: PodRef { id: PodId::from_index(number), life: 0 },
            name: PodName::Fixed(self.names.intern(&format!("pod-{number:05}"))),
            info: Arc::clone(info),
            shape: of,
            node,
            nominated: None,
            is_unschedulable: node.is_none(),
            created: start(),
            controller: Some(Controller { kind, uid: of, exists: true, replicas: Some(100) }),
            traits: PodTraits { grace: Duration::secs(30), ..PodTraits::default() },
        });
    }

    /// Ten pods on every node; on every so many only a few.
    fn fill(&mut self, sparse: usize) {
        for at in 0..self.nodes.len() {
            let of = self.nodes[at].spec.allocatable.clone();
            let (cpu, memory) = (of.cpu.0 / 11, (of.memory.0 >> 20) / 11);
            let info = self.info(&format!("base-{}", at % 50), resources(cpu, memory));
            let few = sparse > 0 && at % sparse == 0;
            for _ in 0..if few { PODS_A_NODE / 3 } else { PODS_A_NODE } {
                self.pod(&info, 1_000 + at % 50, Some(self.nodes[at].node));
            }
        }
    }

    fn burst(&mut self, count: usize) {
        for at in 0..count {
            let template = at % TEMPLATES;
            let size = i64::try_from(template).expect("small");
            let asks = resources(3_700 + 200 * size, 6_000 + 500 * (size % 7));
            let info = self.info(&format!("burst-{template}"), asks);
            self.pod(&info, template, None);
        }
    }

    fn view(&self, now: SimTime) -> View<'_> {
        View {
            now,
            profile: &self.profile,
            catalog: &self.catalog,
            nodes: self.nodes.clone(),
            pods: self.pods.clone(),
            budgets: Vec::new(),
            daemon_sets: Vec::new(),
        }
    }
}

/// Milliseconds of one loop over a burst.
fn burst_ms(make: fn(Options) -> ClusterAutoscaler, rounds: usize) -> f64 {
    let mut stage = Stage::new(1_000);
    stage.fill(0);
    stage.burst(2_000);
    let view = stage.view(start() + Duration::secs(30));
    let mut spent = 0.0;
    for _ in 0..rounds {
        let (mut cloud, mut names) = (stage.cloud.clone(), stage.names.clone());
        let mut autoscaler = make(Options::default());
        let watch = Watch::start();
        let iteration = autoscaler.run_once(&view, &mut cloud, &mut names);
        spent += watch.processor_s();
        assert_eq!(iteration.up.result, ScaleUpResult::Successful, "the burst needs nodes");
        assert_eq!(iteration.up.estimates.len(), GROUPS, "all groups are asked");
    }
    spent * 1_000.0 / f64::from(u32::try_from(rounds).expect("few"))
}

/// Milliseconds of a loop, when between two of them so many nodes lose their pods to others.
fn quiet_ms(make: fn(Options) -> ClusterAutoscaler, rounds: u32, moved: usize) -> f64 {
    let mut stage = Stage::new(500);
    stage.fill(20);
    // Nodes may go as far as sizes are concerned, but none is unneeded for long enough.
    stage.cloud.groups.iter_mut().for_each(|group| group.min = 1);
    let mut options = Options::default();
    options.set("scale-down-unneeded-time", "48h").expect("a flag");
    let (mut cloud, mut names) = (stage.cloud.clone(), stage.names.clone());
    let mut autoscaler = make(options);
    let mut view = stage.view(start());
    let mut spent = 0.0;
    for round in 0..rounds {
        view.now = start() + Duration::secs(10) * u64::from(round);
        for pod in view.pods.iter_mut().skip(usize::try_from(round).expect("few") * 7).take(moved) {
            pod.pod.life += 1;
        }
        let watch = Watch::start();
        let iteration = autoscaler.run_once(&view, &mut cloud, &mut names);
        spent += watch.processor_s();
        assert_eq!(iteration.departures.len(), 0, "nothing happens");
    }
    assert!(!autoscaler.unneeded().is_empty(), "some nodes could go");
    spent * 1_000.0 / f64::from(rounds)
}

fn main() {
    println!("figure ca_loop_ms {:.2} ms", burst_ms(ClusterAutoscaler::new, 10));
    println!("figure ca_idle_loop_ms {:.3} ms", quiet_ms(ClusterAutoscaler::new, 8_640, 0));
    println!("figure ca_busy_loop_ms {:.3} ms", quiet_ms(ClusterAutoscaler::new, 500, 500));
    println!("figure ca_loop_plain_ms {:.2} ms", burst_ms(ClusterAutoscaler::plain, 1));
    println!("figure ca_idle_loop_plain_ms {:.3} ms", quiet_ms(ClusterAutoscaler::plain, 20, 0));
}
