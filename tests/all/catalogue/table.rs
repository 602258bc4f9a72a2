//! The rows: cause, what ends it, what does not.

/// A row: a server and callers that fail, and what is changed.
pub(super) struct Row {
    pub(super) rule: &'static str,
    /// What is laid over the plain rollout.
    pub(super) cause: &'static [&'static str],
    pub(super) measure: Measure,
    /// Each of these brings it to none.
    pub(super) helps: &'static [&'static [&'static str]],
    /// What looks like help.
    pub(super) wrong: &'static [&'static [&'static str]],
}

/// What is counted.
pub(super) enum Measure {
    /// Failed calls, nine in ten of them for these causes.
    Failed(&'static [&'static str]),
    /// Good calls that took longer than `run.slow`.
    Slow,
}

use Measure::{Failed, Slow};

macro_rules! container {
    ($rest:literal) => {
        concat!("deployment/web:spec.template.spec.containers[name=app].", $rest)
    };
}

pub(super) const SLEEP_5: &str = container!("lifecycle={ preStop: { sleep: { seconds: 5 } } }");
pub(super) const SLEEP_15: &str = container!("lifecycle={ preStop: { sleep: { seconds: 15 } } }");
const SLEEP_25: &str = container!("lifecycle={ preStop: { sleep: { seconds: 25 } } }");
const SLEEP_40: &str = container!("lifecycle={ preStop: { exec: { command: [sleep, '40'] } } }");
pub(super) const NO_PROBE: &str = container!("readinessProbe=null");
const PROBE: &str = container!("readinessProbe={ tcpSocket: { port: 8080 }, periodSeconds: 1 }");
const PROBE_SLOW: &str =
    container!("readinessProbe={ tcpSocket: { port: 8080 }, periodSeconds: 10 }");
const PROBE_LATE: &str = container!(
    "readinessProbe={ tcpSocket: { port: 8080 }, initialDelaySeconds: 45, periodSeconds: 1 }"
);
const LIVENESS: &str = container!("livenessProbe={ tcpSocket: { port: 8080 }, periodSeconds: 10 }");
const STARTUP: &str = container!(
    "startupProbe={ tcpSocket: { port: 8080 }, periodSeconds: 5, failureThreshold: 30 }"
);
const LIMIT: &str = container!("resources.limits={ cpu: 500m }");
const NO_LIMIT: &str = container!("resources.limits=null");
pub(super) const GRACE_60: &str =
    "deployment/web:spec.template.spec.terminationGracePeriodSeconds=60";
const REPLICAS_8: &str = "deployment/web:spec.replicas=8";
const REPLICAS_2: &str = "deployment/web:spec.replicas=2";
pub(super) const KEEPS_ALL: &str =
    "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }";
const MIN_READY: &str = "deployment/web:spec.minReadySeconds=20";
pub(super) const DRAINS: &str = "behaviors[0].shutdown={ drain: 20s }";
const DRAINS_45: &str = "behaviors[0].shutdown={ drain: 45s }";
const ELSEWHERE: &str = "traffic[0].retries={ attempts: 3, elsewhere: true }";
/// The pods of `web` with a mesh proxy as an ordinary container, and as a native sidecar.
pub(super) const MESH_ORDINARY: &str = "deployment/web:spec.template.spec.containers=[{ name: app, image: web:v1, ports: [{ containerPort: 8080 }], readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } }, { name: istio-proxy, image: proxy }]";
const MESH_APP: &str = "deployment/web:spec.template.spec.containers=[{ name: app, image: web:v1, ports: [{ containerPort: 8080 }], readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } }]";
const MESH_NATIVE: &str = "deployment/web:spec.template.spec.initContainers=[{ name: istio-proxy, image: proxy, restartPolicy: Always }]";
/// A native sidecar whose preStop hook stops it.
const MESH_QUITS: &str =
    "cluster.mesh={ injection: { namespaces: [default], preStop: [sh, -c, 'sleep 1; kill 1'] } }";
pub(super) const NO_ROLLOUT: &str = "timeline=[]";
/// Two nodes of which pods want the first.
const ONE_NODE_FIRST: &str = "cluster.nodes=[{ pool: workers, allocatable: { cpu: 16, memory: 64Gi } }, { pool: spare, allocatable: { cpu: 16, memory: 64Gi }, taints: [{ key: spare, effect: PreferNoSchedule }] }]";
const DRAIN_IT: &str = "timeline=[{ at: 60s, run: kubectl drain workers-0 --timeout=150s }]";
const BUDGET: &str = "apply=[web.yaml, budget.yaml]";
const THREE_ZONES: &str = "cluster.nodes=[{ pool: workers, count: 6, zones: [a, b, c], allocatable: { cpu: 16, memory: 64Gi } }]";
const CRASH: &str = "timeline=[{ at: 60s, run: kubectl rollout restart deployment/web }, { at: 64s, fault: { crash: { zone: a } } }]";

pub(super) const TABLE: &[Row] = &[
    Row {
        rule: "N460",
        cause: &[],
        measure: Failed(&["stale_proxy", "cut_by_stop"]),
        helps: &[&[SLEEP_5]],
        // Neither finishing calls nor more patience tells proxies anything sooner.
        wrong: &[&[DRAINS], &[GRACE_60]],
    },
    // The hook eats the whole grace: the server has two seconds for calls of five.
    Row {
        rule: "N462",
        cause: &[
            SLEEP_40,
            DRAINS,
            "behaviors[0].serve.hold=5s",
            "traffic[0].connections={ kind: http2, count: 40 }",
            "traffic[0].timeout=30s",
            "traffic[0].rate=20/s",
        ],
        measure: Failed(&["cut_by_stop"]),
        helps: &[&[GRACE_60], &[SLEEP_15]],
        wrong: &[&[DRAINS_45], &[REPLICAS_8]],
    },
    Row {
        rule: "N463",
        cause: &[
            SLEEP_5,
            "behaviors[0].serve.hold=12s",
            "traffic[0].timeout=60s",
            "traffic[0].rate=20/s",
        ],
        measure: Failed(&["cut_by_stop"]),
        helps: &[&[DRAINS, GRACE_60]],
        wrong: &[&[GRACE_60], &[REPLICAS_8]],
    },
    Row {
        rule: "N464",
        cause: &[
            "behaviors[0].shutdown={ ignoresSignal: true }",
            "behaviors[0].serve.hold=40s",
            "traffic[0].timeout=100s",
            // 120 calls in service, of the 256 that four pods can hold.
            "traffic[0].rate=3/s",
        ],
        measure: Failed(&["cut_by_stop"]),
        helps: &[&[DRAINS_45, SLEEP_5, GRACE_60]],
        wrong: &[&[SLEEP_5], &[REPLICAS_8]],
    },
    Row {
        rule: "N465",
        cause: &[
            SLEEP_15,
            "traffic[0].connections=keep-alive",
            "behaviors[0].serve={ hold: 20ms, saysClose: false }",
        ],
        measure: Failed(&["connection_closed", "cut_by_stop", "stale_proxy"]),
        helps: &[&["behaviors[0].serve={ hold: 20ms, saysClose: true }", DRAINS]],
        // The sleep ends before the server says anything: kept connections go on to the old pod.
        wrong: &[&[GRACE_60], &[SLEEP_25, GRACE_60]],
    },
    // Two connections reach two pods at most, of however many.
    Row {
        rule: "N465, two connections for all calls (N156, N526)",
        cause: &[
            SLEEP_15,
            DRAINS,
            "behaviors[0].serve={ hold: 20ms, concurrency: 2, backlog: 20 }",
            "traffic[0].connections={ kind: http2, count: 2 }",
        ],
        measure: Failed(&["backlog_full"]),
        helps: &[&["traffic[0].connections=new"]],
        wrong: &[&[REPLICAS_8], &["traffic[0].timeout=30s"]],
    },
    Row {
        rule: "N467",
        cause: &[SLEEP_5, NO_PROBE, "behaviors[0].start=5s"],
        measure: Failed(&["not_yet_serving"]),
        helps: &[&[PROBE]],
        wrong: &[&[SLEEP_15, GRACE_60], &[DRAINS]],
    },
    // A call of 20 ms takes up to 600 ms in a server that has just started.
    Row {
        rule: "N468",
        cause: &[
            SLEEP_5,
            "behaviors[0].serve={ hold: 20ms, warmUp: { factor: 30, age: 8s } }",
            "run.slow=150ms",
            "run.until=7m",
            "deployment/web:spec.template.spec.terminationGracePeriodSeconds=20",
            "run.warmup=110s",
            "timeline[0].at=2m",
        ],
        measure: Slow,
        helps: &[&[PROBE_LATE]],
        // It waits before the next pod is replaced, with the new one in rotation.
        wrong: &[&[MIN_READY], &[SLEEP_15, DRAINS]],
    },
    Row {
        rule: "N471",
        cause: &[
            "cluster.mesh={ drain: 5s }",
            MESH_ORDINARY,
            SLEEP_5,
            "behaviors[0].container=app",
            "behaviors[0].serve={ hold: 8s, concurrency: 5000 }",
            DRAINS,
            "traffic[0].timeout=20s",
        ],
        measure: Failed(&["cut_by_mesh_proxy", "no_mesh_proxy"]),
        helps: &[&[MESH_NATIVE, MESH_APP, SLEEP_5], &["cluster.mesh={ drain: 30s, start: 100ms }"]],
        wrong: &[&[SLEEP_15]],
    },
    // The control case of N124: the hook of a native sidecar runs with the others, at the beginning.
    Row {
        rule: "N472",
        cause: &[
            MESH_QUITS,
            SLEEP_5,
            "behaviors[0].serve={ hold: 8s, concurrency: 5000 }",
            DRAINS,
            "traffic[0].timeout=20s",
        ],
        measure: Failed(&["cut_by_mesh_proxy", "no_mesh_proxy"]),
        helps: &[&["cluster.mesh={ injection: { namespaces: [default] } }"]],
        wrong: &[&[SLEEP_15], &[GRACE_60, SLEEP_15]],
    },
    Row {
        rule: "N473",
        cause: &[
            "apply=[web.yaml, ingress.yaml]",
            "traffic[0].to=ingress/web",
            "traffic[0].method=POST",
        ],
        measure: Failed(&["stale_ingress", "cut_by_stop"]),
        helps: &[&[SLEEP_15, DRAINS]],
        wrong: &[&["cluster.ingress={ keepAlive: 0 }"]],
    },
    Row {
        rule: "N474",
        cause: &[
            SLEEP_5,
            "behaviors[0].serve={ hold: 100ms, concurrency: 2, backlog: 10 }",
            "behaviors[0].start=20s",
            "traffic[0].rate=66/s",
            "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 0, maxUnavailable: 50% } }",
        ],
        measure: Failed(&["backlog_full", "waited_too_long"]),
        helps: &[&[KEEPS_ALL, REPLICAS_8]],
        wrong: &[&[SLEEP_15], &[GRACE_60]],
    },
    // Each pod is killed after half a minute, for ever: nobody serves.
    Row {
        rule: "N481",
        cause: &[LIVENESS, "behaviors[0].start=40s", NO_ROLLOUT],
        measure: Failed(&["no_ready_pod"]),
        helps: &[&[STARTUP]],
        wrong: &[&[GRACE_60], &[REPLICAS_8]],
    },
    Row {
        rule: "N482",
        cause: &[SLEEP_5, "deployment/web:spec.strategy={ type: Recreate, rollingUpdate: null }"],
        measure: Failed(&["no_ready_pod", "stale_proxy"]),
        helps: &[&["deployment/web:spec.strategy={ type: RollingUpdate }"]],
        wrong: &[&[REPLICAS_8], &[DRAINS]],
    },
    // The eviction API is the same path as a deletion.
    Row {
        rule: "N484",
        cause: &[DRAIN_IT],
        measure: Failed(&["stale_proxy", "cut_by_stop"]),
        helps: &[&[SLEEP_5]],
        wrong: &[&[BUDGET], &[DRAINS]],
    },
    Row {
        rule: "N484, all pods on one node",
        cause: &[ONE_NODE_FIRST, DRAIN_IT, SLEEP_5, "behaviors[0].start=10s"],
        measure: Failed(&["no_ready_pod", "stale_proxy"]),
        helps: &[&[BUDGET]],
        wrong: &[&[REPLICAS_8], &[DRAINS], &[GRACE_60]],
    },
    // Up to 1.34: nobody is ready until probed again, within ten seconds.
    Row {
        rule: "N485",
        cause: &[
            ONE_NODE_FIRST,
            "timeline=[{ at: 60s, run: kubectl rollout restart deployment/web }, { at: 100s, fault: { kubeletRestart: { node: workers-0 } } }]",
            "cluster.regressions={ unreadyAfterKubeletRestart: true }",
            SLEEP_5,
            PROBE_SLOW,
        ],
        measure: Failed(&["no_ready_pod"]),
        // As from 1.35 on; or pods on other nodes.
        helps: &[
            &["cluster.regressions={ unreadyAfterKubeletRestart: false }"],
            &[
                "cluster.nodes=[{ pool: workers, count: 4, allocatable: { cpu: 16, memory: 64Gi } }]",
            ],
        ],
        wrong: &[&[SLEEP_15], &[GRACE_60], &[DRAINS]],
    },
    Row {
        rule: "N486",
        cause: &[KEEPS_ALL],
        measure: Failed(&["stale_proxy", "cut_by_stop"]),
        helps: &[&[ELSEWHERE]],
        wrong: &[&["traffic[0].hedge=1s"], &["traffic[0].timeout=30s"]],
    },
    // Pods of a zone without power stay in rotation for most of a minute.
    Row {
        rule: "N489",
        cause: &[THREE_ZONES, CRASH, SLEEP_5, "traffic[0].timeout=1s", "traffic[0].rate=50/s"],
        measure: Failed(&["node_down"]),
        helps: &[&["traffic[0].retries={ attempts: 6, elsewhere: true }"]],
        wrong: &[&[SLEEP_15], &[REPLICAS_8], &["traffic[0].timeout=5s"]],
    },
    // A call of 100 ms of CPU at half a core is frozen for half of each period.
    Row {
        rule: "N97, N448",
        cause: &[
            SLEEP_5,
            LIMIT,
            "behaviors[0].serve={ hold: 100ms, cpu: 100ms, sharing: cpu }",
            "traffic[0].rate=5/s",
            "run.slow=130ms",
        ],
        measure: Slow,
        helps: &[&[NO_LIMIT]],
        wrong: &[&[REPLICAS_8], &[DRAINS]],
    },
    Row {
        rule: "N425",
        cause: &[
            SLEEP_5,
            NO_ROLLOUT,
            "behaviors[0].serve={ hold: 20ms, idleMax: 5s }",
            "traffic[0].rate=1/s",
            "traffic[0].connections={ kind: keep-alive, noticesClose: false, idleMax: 90s }",
        ],
        measure: Failed(&["idle_closed"]),
        helps: &[
            &["traffic[0].connections={ kind: keep-alive, noticesClose: false, idleMax: 4s }"],
            &["behaviors[0].serve={ hold: 20ms, idleMax: 100s }"],
        ],
        wrong: &[&[REPLICAS_8], &["traffic[0].timeout=30s"]],
    },
    // Twenty seconds of too many calls; all share the server, so that none is done in time, and
    // three more attempts each keep it so for ever.
    Row {
        rule: "N446",
        cause: &[
            NO_ROLLOUT,
            REPLICAS_2,
            "behaviors[0].serve={ hold: 20ms, sharing: even, concurrency: 500, backlog: 0 }",
            "traffic[0].rate=null",
            "traffic[0].steps=[{ at: 0s, rate: 60/s }, { at: 20s, rate: 200/s }, { at: 40s, rate: 60/s }]",
            "traffic[0].timeout=1s",
            "traffic[0].retries={ attempts: 3 }",
            "run.warmup=2m",
        ],
        measure: Failed(&["slow_service", "backlog_full"]),
        helps: &[
            &["traffic[0].retries={ attempts: 3, budget: { share: 10%, min: 0 } }"],
            &["traffic[0].retries={ attempts: 0 }"],
            &["traffic[0].callsMax=40"],
        ],
        wrong: &[
            &["traffic[0].retries={ attempts: 3, elsewhere: true }"],
            &["traffic[0].retries={ attempts: 2 }"],
        ],
    },
];
