//! Where the number of each named latency comes from, for `check --show`.
//!
//! `[M]` is measured by somebody who published it, `[S]` follows from the source code of the version,
//! `[A]` is an assumption that fits what is measured. The rules are those of the specification of
//! node and network (N300 to N303, N310), of controllers (C…) and of autoscaling (A…).

use crate::model::Latencies;

/// The source of a latency by its name in scenarios.
pub(super) fn source(name: &str, of: &Latencies) -> &'static str {
    if of.own.contains(&name) {
        return "the scenario";
    }
    if of.base == "ideal" {
        return "ideal";
    }
    by_size(name, of.base).or_else(|| of_any_size(name)).unwrap_or("an assumption [A]")
}

/// Of those that depend on the size of the cluster.
fn by_size(name: &str, base: &str) -> Option<&'static str> {
    let source = match (name, base) {
        ("apiWrite", "small") => "N300, N302: 6 ms a request, at most 38 ms of 1000 [M]",
        ("apiWrite", "medium") => "N302: between small and large [A]",
        ("apiWrite", _) => "N302: p99 < 0.4 s at 65,000 nodes, < 0.5 s at 5,000 [M]",
        ("schedule", "small" | "medium") => "N300, N301: 5 ms, at most 45 ms; p99 25 ms [M]",
        ("schedule", _) => "N302: twice that of an idle queue [A]",
        ("scheduleCycle", "small" | "medium") => "N302: 1000 pods/s in production [M]",
        ("scheduleCycle", _) => "N302: 270 pods/s, scheduler_perf's floor at 5,000 nodes [S]",
        ("kubeletSync", "small" | "medium") => "N300: 14 ms, at most 52 ms [M]",
        ("kubeletSync", _) => "N302: small's and the delay of a large cluster's watch [A]",
        ("proxyRun", "small") => "N152: 0.12 s a run in a small cluster (k/k#114230) [M]",
        ("proxyRun", "medium") => "N152: between small and large [A]",
        ("proxyRun", _) => "N152: 2.84 s at 3,595 services (k/k#138073) [M]; median and tail [A]",
        ("endpoints", "small" | "medium") => "N302: without a stall (N143) [A]",
        ("endpoints", _) => "N302: for 5,000 nodes, without a stall (N143) [A]",
        _ => return None,
    };
    Some(source)
}

fn of_any_size(name: &str) -> Option<&'static str> {
    let source = match name {
        "watch" => "N302: bounded by the watch's part of N301 [A]",
        "eviction" => "C154: 100 ms in a quiet namespace [M]",
        "volumes" => "N52: one poll of the volume manager, exactly [S]",
        "provision" => "a cloud's disk is there after some seconds [A]",
        "attach" | "detach" => "N302: 15 to 17 s to mount (k/k#62119), 60 s to move [M]; share [A]",
        "volumePoll" => "S123c [S]",
        "sandbox" => {
            "N302: fitted so that a start takes N300's 1.11 s, 3 % more for each other [A]"
        }
        "containerStart" => "N302: fitted to N300 [A]",
        "pull" => "N302: fixed part of a pull [A]",
        "pullRate" => "N302: 2.7 GB in 55 s, 49 MB/s (Fargate) [M]",
        "pullSlow" => "N302: 3 GB just under 300 s at p95 to p99, 10 MB/s (AKS, EKS) [M]",
        "relist" => "N4: the period of the generic relist [S]",
        "kill" => "N460: a kubelet reacts in 20 to 60 ms [M]",
        "sandboxStop" => "N302: CNI DEL and stop [A]",
        "finalize" => "N130: unmount, cgroup, three calls of the API [A]",
        "proxyPeriod" => "N150: minSyncPeriod [S]",
        "hop" => "N188: half of 0.26 ms (0.20 to 0.56) there and back in one zone (EC2) [M]",
        "hopSameNode" => "unless a scenario says so; N188: half of 40 to 80 µs there and back [A]",
        "hopBetweenZones" => {
            "unless a scenario says so; N188: half of 0.94 to 1.13 ms there and back (EC2) [M]"
        }
        "hopInPod" => "N188: 10 to 20 µs [A]",
        "networkRate" => "not limited unless a scenario says so",
        "metricsPeriod" => "A62: --metric-resolution [S]",
        "kubeletSample" => "A67: 10 s with a back-off to 15 s [S]",
        "scrapeSpread" => "A62: 8 ms a node, 4 s at most [S]",
        "scrapeTimeout" => "A62: --kubelet-request-timeout [S]",
        "probeMiss" => {
            "N85: 268 of 276 first probes in time without contention [M]; more with it [A]"
        }
        "scrapeLoss" => "nothing is lost unless a scenario says so",
        "statusWrite" => "N10, N302: GET (half of a write) and PATCH [A]",
        "resize" => "N300: a resize in place takes 0.164 s [M]",
        "leaseJitter" => "C161, N400: 10 s and up to 4 % more [S]",
        _ => return None,
    };
    Some(source)
}
