//! The network as callers see it: scenarios of the gallery, cause and mitigation.

use seatrial::experiment::{self, Options};

use crate::support::gallery;

/// Hops cost by distance (N188), so callers of `plain`, two thirds of whose calls cross zones, wait
/// longer than those of `near`, which prefers its own zone (N159). Nothing guards a zone with few
/// pods (N159, N530): the one pod of `lopsided` in zone b bears all the calls of its zone, at
/// 300/s · 2 ms = 60 % use, and calls wait there.
#[test]
fn callers_near_by_are_answered_sooner_and_a_zone_with_one_pod_waits() {
    let loaded = gallery("topology-aware", &["run.until=40s"]);
    let options = Options { replications: 1, checks: true, ..Options::of(&loaded.model) };
    let run = experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed");
    let value = |service: &str, what: &str| {
        let path = ["services", service, "calls", what];
        run.summary.value(&path).unwrap_or_else(|| panic!("{path:?} is in the summary"))
    };
    let (plain, near) = (value("plain", "latency_p50"), value("near", "latency_p50"));
    // Medians: 2 ms and 1 ms on the wire against 2 ms and 0.26 ms.
    assert!(plain > near + 0.4e-3, "{plain} {near}");
    let (lopsided, even) = (value("lopsided", "latency_p99"), value("near", "latency_p99"));
    assert!(lopsided > 1.5 * even, "{lopsided} {even}");
    for service in ["plain", "near", "lopsided"] {
        assert!(value(service, "failed").abs() < 0.5, "{service} lost calls");
    }
}
