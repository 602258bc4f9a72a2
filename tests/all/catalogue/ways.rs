//! How calls find pods: by names, by a cloud's load balancer, by an address that sticks, by slices
//! that are late (rules N466, N469, N470, N483, N487, N488).

use super::table::Measure::Failed;
use super::table::{DRAINS, GRACE_60, KEEPS_ALL, Row, SLEEP_5, SLEEP_15};
use super::{calls, experiment};

macro_rules! container {
    ($rest:literal) => {
        concat!("deployment/web:spec.template.spec.containers[name=app].", $rest)
    };
}

const SLEEP_25: &str = container!("lifecycle={ preStop: { sleep: { seconds: 25 } } }");
const SLEEP_40: &str = container!("lifecycle={ preStop: { sleep: { seconds: 40 } } }");
const SLEEP_75: &str = container!("lifecycle={ preStop: { sleep: { seconds: 75 } } }");
const GRACE_120: &str = "deployment/web:spec.template.spec.terminationGracePeriodSeconds=120";
const REPLICAS_8: &str = "deployment/web:spec.replicas=8";
pub(super) const HEADLESS: &str = "service/web:spec.clusterIP=None";
const VIRTUAL: &str = "service/web:spec.clusterIP=10.96.0.77";
const ALL_AT_ONCE: &str =
    "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 100%, maxUnavailable: 0 } }";
/// Nodes with five addresses for pods each.
pub(super) const FIVE_ADDRESSES: &str =
    "cluster.addresses={ clusterCIDR: 10.9.0.0/24, nodeCIDRMaskSize: 29 }";
/// Another application rolls after the one that is called, whose callers have asked DNS just
/// before.
pub(super) const WEB_THEN_FRONT: &str = "timeline=[\
    { at: 70s, run: kubectl rollout restart deployment/web }, \
    { at: 90s, run: kubectl rollout restart deployment/front }]";
const SHORT_DNS: &str = "cluster.dns={ ttl: 5s, cache: 5s }";
const SHORT_TIME: &str = "traffic[0].timeout=1s";
/// A node a pod, and some more.
pub(super) const NINE_NODES: &str =
    "cluster.nodes=[{ pool: workers, count: 9, allocatable: { cpu: 16, memory: 64Gi } }]";
pub(super) const APART: &str = "deployment/web:spec.template.spec.affinity={ podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: kubernetes.io/hostname, labelSelector: { matchLabels: { app: web } } }] } }";
pub(super) const BALANCED: &str = "service/web:spec.type=LoadBalancer";
pub(super) const LOCAL: &str = "service/web:spec.externalTrafficPolicy=Local";
const EVERYWHERE: &str = "service/web:spec.externalTrafficPolicy=Cluster";
/// N190: the checks of one cloud, three of eight seconds.
pub(super) const CHECKS: &str = "cluster.loadBalancer={ interval: 8s, unhealthy: 3, healthy: 3 }";
/// The rollout goes on when the balancer knows the new pod: a readiness gate in time.
const GATE: &str = "deployment/web:spec.minReadySeconds=40";
const PODS: &str = "cluster.loadBalancer={ targets: pods, interval: 10s, healthy: 2, deregister: { median: 20s, p99: 40s } }";
const TARGET_GATE: &str = "deployment/web:spec.template.spec.readinessGates=[{ conditionType: target-health.elbv2.k8s.aws/web }]";
const LONG: &str = "run.until=7m";

pub(super) const WAYS: &[Row] = &[
    // N183: callers ask again every 30 s at most, and connect by what they know then.
    Row {
        rule: "N466",
        cause: &[
            HEADLESS,
            SHORT_DNS,
            ALL_AT_ONCE,
            SHORT_TIME,
            "traffic[0].connections={ kind: http2, count: 20, ageMax: 10s }",
            "traffic[0].dnsCache=30s",
        ],
        measure: Failed(&["stale_dns", "cut_by_stop", "connection_closed"]),
        helps: &[&[SLEEP_40, GRACE_60, DRAINS]],
        wrong: &[&[GRACE_60, DRAINS], &[REPLICAS_8]],
    },
    // N192: the balancer takes new nodes after three good checks, and by then the old pods are gone.
    Row {
        rule: "N469",
        cause: &[NINE_NODES, APART, BALANCED, LOCAL, CHECKS, KEEPS_ALL, SHORT_TIME, SLEEP_5, LONG],
        measure: Failed(&["stale_balancer", "not_on_node"]),
        helps: &[&[GATE, SLEEP_40, GRACE_60], &[EVERYWHERE]],
        wrong: &[&[DRAINS], &[GRACE_60], &[GATE]],
    },
    // The same with pods as targets: 20 s until a new one is healthy, and half a minute until an old
    // one gets no more (N191). The controller's readiness gate and a preStop sleep help together.
    Row {
        rule: "N469, pods as targets",
        cause: &[BALANCED, PODS, KEEPS_ALL, SHORT_TIME, SLEEP_5, LONG],
        measure: Failed(&["stale_balancer"]),
        helps: &[&[TARGET_GATE, SLEEP_75, GRACE_120]],
        wrong: &[&[DRAINS], &[GRACE_60], &[TARGET_GATE]],
    },
    // The gate alone: nothing is lost for new nodes, but for those that the pods have left.
    Row {
        rule: "N470",
        cause: &[NINE_NODES, APART, BALANCED, LOCAL, CHECKS, KEEPS_ALL, GATE, SHORT_TIME, LONG],
        measure: Failed(&["stale_balancer", "not_on_node", "stale_proxy"]),
        // The pod serves while it ends, and its node's proxy falls back on it (N157).
        helps: &[&[SLEEP_40, GRACE_60], &[EVERYWHERE, SLEEP_5]],
        wrong: &[&[DRAINS], &[SLEEP_5], &[GRACE_60]],
    },
    // Each node remembers for itself; what it remembers goes with the endpoint (N161).
    Row {
        rule: "N487",
        cause: &[
            "service/web:spec.sessionAffinity=ClientIP",
            "traffic[0].clients=40",
            "traffic[0].rate=400/s",
        ],
        measure: Failed(&["stale_proxy", "cut_by_stop"]),
        helps: &[&[SLEEP_5]],
        wrong: &[&[DRAINS], &[GRACE_60], &[REPLICAS_8]],
    },
    // One pod, found by its name, which callers keep for a minute.
    Row {
        rule: "N488",
        cause: &[
            "deployment/web:spec.replicas=1",
            HEADLESS,
            KEEPS_ALL,
            SLEEP_5,
            SHORT_TIME,
            "traffic[0].dnsCache=60s",
        ],
        measure: Failed(&["stale_dns"]),
        helps: &[&[VIRTUAL], &[SLEEP_75, GRACE_120, SHORT_DNS]],
        wrong: &[&[SLEEP_15], &[DRAINS], &[GRACE_60], &[REPLICAS_8]],
    },
    // Five addresses a node: those of pods that have gone are soon another application's. More
    // addresses let the same calls fail for another cause.
    Row {
        rule: "N128",
        cause: &[
            "apply=[web.yaml, front.yaml]",
            HEADLESS,
            KEEPS_ALL,
            SLEEP_5,
            SHORT_TIME,
            "traffic[0].dnsCache=60s",
            FIVE_ADDRESSES,
            REPLICAS_8,
            WEB_THEN_FRONT,
        ],
        measure: Failed(&["other_application", "stale_dns"]),
        helps: &[&[VIRTUAL], &["traffic[0].dnsCache=5s", SHORT_DNS, SLEEP_15]],
        wrong: &[&["cluster.addresses={}"], &[DRAINS], &[GRACE_60]],
    },
];

/// N483: in a cluster of a hundred nodes a sleep of 5 s is enough for a rollout that is alone. Among
/// fifty it is not: slices wait for the controller's 20 writes a second (N12) and for its own cache
/// (N143, N527). Each of the others is behind two Services, as a StatefulSet's or a metrics port's are:
/// the rollouts themselves wait for the 20 writes a second of their controllers, so that with one
/// Service each slices fall behind less.
#[test]
fn fifty_services_at_once() {
    let rolls: Vec<String> = (0..49)
        .map(|n| format!("{{ at: 60s, run: kubectl rollout restart deployment/other-{n} }}"))
        .collect();
    let web = "{ at: 61s, run: kubectl rollout restart deployment/web }";
    let together = format!("timeline=[{}, {web}]", rolls.join(", "));
    let alone = format!("timeline=[{web}]");
    let common = [
        "cluster.nodes=[{ pool: workers, count: 12, allocatable: { cpu: 32, memory: 64Gi } }]",
        "cluster.latencies=measured-medium",
        "apply=[web.yaml, others.yaml]",
        "run.until=3m",
    ];
    let failed = |sets: &[&str]| calls(&experiment(&[&common[..], sets].concat(), 5), "failed");
    let (_, quiet) = failed(&[&alone, SLEEP_5]);
    let (leaks, _) = failed(&[&together, SLEEP_5]);
    let (_, patient) = failed(&[&together, SLEEP_25]);
    println!("alone {quiet}, among fifty {leaks}, with 25 s {patient}");
    assert!(quiet <= 0.0 && patient <= 0.0, "{quiet} {patient}");
    assert!(leaks > 0.0, "{leaks}");
}
