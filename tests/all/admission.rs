//! Admission in a run: quotas, LimitRanges, overhead.

use seatrial::base::{MilliCpu, SimTime};
use seatrial::cluster::{Cluster, NewPod, Plan, Write};
use seatrial::model::TemplateId;
use seatrial::record::PodName;
use seatrial::recorder::Recorder;
use seatrial::sim::Streams;

use crate::support::load_memory;

const HEAD: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: admission
cluster: { nodes: [ { pool: w, count: 1, allocatable: { cpu: 8, memory: 16Gi, pods: 110 } } ] }
run: { until: 1m }
apply: [objects.yaml]
";

const REPLICA_SET: &str = "
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: web }
spec:
  replicas: 0
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [ { name: app, image: web:1 } ] }
";

fn cluster(objects: &str) -> Cluster {
    let objects = format!("{REPLICA_SET}\n---\n{objects}");
    let loaded = load_memory(&[("scenario.yaml", HEAD), ("objects.yaml", &objects)]);
    Cluster::new(&loaded.model, &Streams { seed: 1, replication: 0 }, &mut Vec::new())
}

fn new_pod(cluster: &mut Cluster, name: &str) -> NewPod {
    let (_, set) = cluster.replica_sets().iter().next().expect("the ReplicaSet");
    let (namespace, template) = (set.name.namespace, set.template);
    let kind = cluster.templates()[template].template.workload.kind;
    let name = PodName::Fixed(cluster.names_mut().intern(name));
    NewPod::new(namespace, name, template, kind)
}

fn commit(cluster: &mut Cluster, plan: &mut Plan) {
    cluster.commit(plan, SimTime::ZERO, &mut Vec::new(), &mut Recorder::off());
    cluster.check_invariants();
}

fn template_of_first(cluster: &Cluster) -> TemplateId {
    cluster.pods().iter().next().expect("a pod").1.template
}

/// Rule C188: a plan's own pods count, pods that end are free again.
#[test]
fn a_quota_counts_the_pods_of_a_plan() {
    let quota = "
apiVersion: v1
kind: ResourceQuota
metadata: { name: few }
spec: { hard: { pods: \"2\" } }
";
    let mut cluster = cluster(quota);
    let mut plan = Plan::default();
    for name in ["a", "b"] {
        let new = new_pod(&mut cluster, name);
        plan.create_pod(new, &cluster).expect("there is room");
    }
    let third = new_pod(&mut cluster, "c");
    let refused = plan.create_pod(third.clone(), &cluster).expect_err("two are there");
    let wanted = "pods \"c\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, \
                  limited: pods=2";
    assert_eq!((refused.code, refused.message.as_str()), (403, wanted));
    commit(&mut cluster, &mut plan);
    assert_eq!(cluster.pods().len(), 2);
    plan.push(Write::CreatePod(third.clone()));
    commit(&mut cluster, &mut plan);
    assert_eq!(cluster.pods().len(), 2, "it is refused when it lands, too");
    let first = cluster.pods().ids().next().expect("a pod");
    plan.push(Write::DeletePod { pod: cluster.pods().refer(first), grace: None });
    commit(&mut cluster, &mut plan);
    plan.create_pod(third, &cluster).expect("one is gone");
}

/// Rule C187: defaults reach the pods and not their owner's template.
#[test]
fn a_limit_range_fills_pods_in() {
    let range = "
apiVersion: v1
kind: LimitRange
metadata: { name: standard }
spec: { limits: [ { type: Container, default: { cpu: 500m }, defaultRequest: { cpu: 200m } } ] }
";
    let mut cluster = cluster(range);
    let mut plan = Plan::default();
    let new = new_pod(&mut cluster, "a");
    let of_set = new.template;
    plan.create_pod(new, &cluster).expect("nothing forbids it");
    commit(&mut cluster, &mut plan);
    let cpu = |cluster: &Cluster, id| cluster.templates()[id].template.spec.requests.cpu;
    assert_eq!(cpu(&cluster, template_of_first(&cluster)), MilliCpu(200));
    assert_eq!(cpu(&cluster, of_set), MilliCpu(0));
}

/// A RuntimeClass adds its overhead (rule C185).
#[test]
fn overhead_comes_with_a_runtime_class() {
    let objects = "
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: { name: gvisor }
handler: runsc
overhead: { podFixed: { cpu: 250m } }
---
apiVersion: v1
kind: Pod
metadata: { name: safe }
spec: { runtimeClassName: gvisor, containers: [ { name: app, image: web:1 } ] }
";
    let cluster = cluster(objects);
    let row = &cluster.templates()[template_of_first(&cluster)];
    assert_eq!(row.template.spec.requests.cpu, MilliCpu(250));
}
