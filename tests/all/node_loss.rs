//! How long it takes until a dead node is believed to be dead (rules N400, N401).

use std::fmt::Write;

use crate::support::tell;

const NODES: u64 = 300;

/// Rule N401: between 45 s and 60 s after its end, on average after 52.4 s (± 0.5 s): a lease is
/// renewed each 10 s, looked at each 5 s, and too old after 50 s.
#[test]
fn a_dead_node_is_found_after_fifty_two_seconds() {
    let mut scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: {NODES}, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [none.yaml]
run: {{ until: 8m, seed: 4 }}
timeline:
"
    );
    for node in 0..NODES {
        let at = 60_000 + node * 997;
        writeln!(scenario, "  - {{ at: {at}ms, fault: {{ crash: {{ node: workers-{node} }} }} }}")
            .expect("a string");
    }
    let none = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: none } }";
    let told = tell(&[("scenario.yaml", &scenario), ("none.yaml", none)]);
    let mut took = Vec::new();
    for node in 0..NODES {
        let at = 60.0 + 0.997 * f64::from(u32::try_from(node).expect("small"));
        let found = told.times(&format!("node/workers-{node}: Node workers-{node} status is now"));
        took.push(found.first().expect("it is found") - at);
    }
    took.sort_by(f64::total_cmp);
    let mean = took.iter().sum::<f64>() / f64::from(u32::try_from(NODES).expect("small"));
    assert!((mean - 52.4).abs() < 0.5, "{mean}");
    let (first, last) = (took[0], took[took.len() - 1]);
    assert!(first > 44.5 && last < 60.5, "from {first} to {last}");
}
