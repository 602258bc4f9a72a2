//! Which nodes a load balancer has: those that the cloud's service controller gives it, and of them
//! those whose checks go well (rules N162, N163, N166).

use seatrial::experiment::{Options, run};

use crate::support::{WEB, load_memory};

/// Calls that are lost because they come in by `workers-0`, which nobody outside reaches from 60 s
/// to 90 s; no check notices that.
fn lost(timeline: &str, policy: &str, interval: &str) -> f64 {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: balanced
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: measured-small
  loadBalancer: {{ interval: {interval}, healthy: 1, unhealthy: 2 }}
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, start: 1s, serve: {{ hold: 20ms }} }}
traffic:
  - {{ name: users, to: service/web, rate: 100/s, timeout: 900ms }}
timeline:
{timeline}
  - {{ at: 60s, fault: {{ partition: {{ node: workers-0, from: outside }} }} }}
run: {{ until: 70s, seed: 11, warmup: 25s }}
"
    );
    let web = WEB.replace("REPLICAS", "6").replace(
        "spec:\n  selector: { app: web }\n  ports",
        &format!("spec:\n  type: LoadBalancer\n  externalTrafficPolicy: {policy}\n  selector: {{ app: web }}\n  ports"),
    );
    let model = load_memory(&[("scenario.yaml", &scenario), ("web.yaml", &web)]).model;
    let done = run(&model, Options { replications: 1, ..Options::of(&model) }, &|_| {});
    let summary = done.expect("within all limits").summary;
    let value = |what: &[&str]| {
        summary.value(&[&["services", "web", "calls"], what].concat()).unwrap_or(0.0)
    };
    let (failed, cut) = (value(&["failed"]), value(&["by_cause", "partitioned"]));
    assert!(failed - cut < 1.0, "{failed} {cut}");
    cut
}

/// A node that is excluded by its label gets no calls, once the label is there; without it a third
/// of 1000 calls is lost.
#[test]
fn an_excluded_node() {
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    assert!((lost("", "Cluster", "1h") / 333.0 - 1.0).abs() < 0.2);
    let excluded = format!("  - {{ at: 30s, run: kubectl label node workers-0 {label}= }}");
    assert!(lost(&excluded, "Cluster", "1h") < 0.5);
    let again =
        format!("{excluded}\n  - {{ at: 40s, run: kubectl label node workers-0 {label}- }}");
    assert!((lost(&again, "Cluster", "1h") / 333.0 - 1.0).abs() < 0.2);
}

/// The Cluster Autoscaler's taint takes a node out of the set at the controller's next look, for
/// which it is no reason itself; under the policy Cluster the node's own health check fails before.
#[test]
fn a_node_that_is_to_be_deleted() {
    let taint = "ToBeDeletedByClusterAutoscaler=1:PreferNoSchedule";
    let tainted = format!("  - {{ at: 30s, run: kubectl taint node workers-0 {taint} }}");
    assert!((lost(&tainted, "Cluster", "1h") / 333.0 - 1.0).abs() < 0.2, "nobody looks");
    let other = format!(
        "{tainted}\n  - {{ at: 40s, run: kubectl label node workers-1 node.kubernetes.io/exclude-from-external-load-balancers= }}"
    );
    assert!(lost(&other, "Cluster", "1h") < 0.5);
    // Two checks 5 s apart; the health check of the policy Local knows of no taint.
    assert!(lost(&tainted, "Cluster", "5s") < 0.5);
    assert!(lost(&tainted, "Local", "5s") > 100.0);
}
