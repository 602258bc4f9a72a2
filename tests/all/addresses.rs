//! Addresses of pods: where they come from, who has which, and what becomes of those who go on
//! using one that belongs to somebody else by now (rules N57, N58, N59, N128, N140, N488).

use seatrial::experiment::{self, Experiment, Options};
use seatrial::manifest::Loader;
use seatrial::recorder::{RowSinks, Wants};
use seatrial::scenario::{Place, load};

use crate::support::{Page, gallery, load_memory, tell};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: addresses
cluster:
  nodes: [{ pool: node, count: NODES, allocatable: { cpu: 8, memory: 16Gi } }]
  latencies: ideal
  addresses: ADDRESSES
apply: [app.yaml]
timeline: TIMELINE
run: { until: UNTIL }
";

const APP: &str = "
apiVersion: v1
kind: Service
metadata: { name: app }
spec: { clusterIP: None, selector: { app: app } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: app }
spec:
  replicas: PODS
  podManagementPolicy: Parallel
  serviceName: app
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      hostNetwork: HOST
      terminationGracePeriodSeconds: 2
      containers: [{ name: app, image: app:1 }]
";

struct Case<'a> {
    nodes: &'a str,
    pods: &'a str,
    host: &'a str,
    addresses: &'a str,
    timeline: &'a [&'a str],
}

const CASE: Case<'static> =
    Case { nodes: "1", pods: "3", host: "false", addresses: "{}", timeline: &[] };

impl Case<'_> {
    /// The Events with a reason among these: when, about what, text. All commands must go well.
    fn events(&self, reasons: &[&str]) -> Vec<(f64, String, String)> {
        let scenario = SCENARIO
            .replace("NODES", self.nodes)
            .replace("ADDRESSES", self.addresses)
            .replace("TIMELINE", &format!("[{}]", self.timeline.join(", ")))
            .replace("UNTIL", "5m");
        let app = APP.replace("PODS", self.pods).replace("HOST", self.host);
        let model = load_memory(&[("scenario.yaml", &scenario), ("app.yaml", &app)]).model;
        let events = Page::default();
        let wants = Wants { events: true, rows: RowSinks::default().events(events.clone()) };
        let options = Options { replications: 1, wants, checks: true, ..Options::of(&model) };
        let run = experiment::run(&model, options, &|_| {}).expect("within all limits");
        for command in &run.facts.commands {
            let entry = &model.timeline[usize::try_from(command.entry).expect("few lines")];
            assert_eq!(command.refused, None, "{}", entry.text);
        }
        let bytes = events.bytes();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let rows = reader.records().map(|row| row.expect("a row"));
        let wanted = rows.filter(|row| reasons.contains(&&row[2]));
        let event = |row: csv::StringRecord| {
            (row[0].parse().expect("a time"), row[3].to_owned(), row[4].to_owned())
        };
        wanted.map(event).collect()
    }
}

/// A line of a timeline: a path of an object has a value.
macro_rules! has {
    ($at:literal, $object:literal, $path:literal, $value:literal) => {
        concat!(
            "{ at: ",
            $at,
            ", run: \"kubectl wait ",
            $object,
            " --for=jsonpath='{",
            $path,
            "}'=",
            $value,
            " --timeout=0\" }"
        )
    };
}

/// N57: the pods of a node have the first addresses of its range; .0 is the network's, .1 the
/// gateway's. Nodes have ranges one after the other.
#[test]
fn a_pod_has_an_address_of_its_nodes_range() {
    let timeline = [
        has!("1s", "pod/app-0", ".status.podIP", "10.244.0.2"),
        has!("1s", "pod/app-0", ".status.podIPs[0].ip", "10.244.0.2"),
        has!("1s", "pod/app-0", ".status.hostIP", "172.16.0.2"),
        has!("1s", "pod/app-0", ".status.hostIPs[0].ip", "172.16.0.2"),
        has!("1s", "pod/app-1", ".status.podIP", "10.244.1.2"),
        has!("1s", "node/node-0", ".spec.podCIDR", "10.244.0.0/24"),
        has!("1s", "node/node-1", ".spec.podCIDRs[0]", "10.244.1.0/24"),
        has!("1s", "node/node-1", ".status.addresses[0].address", "172.16.0.3"),
    ];
    Case { nodes: "2", pods: "2", timeline: &timeline, ..CASE }.events(&[]);
}

/// `pods.csv` has the address that each pod had.
#[test]
fn rows_of_pods_have_addresses() {
    let scenario = SCENARIO
        .replace("NODES", "1")
        .replace("ADDRESSES", "{ clusterCIDR: 10.9.0.0/16 }")
        .replace("TIMELINE", "[]")
        .replace("UNTIL", "1m");
    let app = APP.replace("PODS", "2").replace("HOST", "false");
    let told = tell(&[("scenario.yaml", &scenario), ("app.yaml", &app)]);
    let mut all: Vec<&str> = told.pods().iter().map(|pod| pod["ip"].as_str()).collect();
    all.sort_unstable();
    assert_eq!(all, ["10.9.0.2", "10.9.0.3"]);
}

/// Pods on the host's network have the node's address.
#[test]
fn the_hosts_network_has_the_nodes_address() {
    let timeline = [
        has!("1s", "pod/app-0", ".status.podIP", "172.16.0.2"),
        has!("1s", "pod/app-0", ".status.hostIP", "172.16.0.2"),
    ];
    Case { pods: "1", host: "true", timeline: &timeline, ..CASE }.events(&[]);
}

/// host-local: the next after the last one that was reserved, round and round (N128). Of a range
/// of eight five are for pods.
#[test]
fn addresses_go_round() {
    let addresses = "{ clusterCIDR: 10.9.0.0/24, nodeCIDRMaskSize: 29 }";
    let timeline = [
        has!("1s", "pod/app-0", ".status.podIP", "10.9.0.2"),
        has!("1s", "pod/app-2", ".status.podIP", "10.9.0.4"),
        "{ at: 2s, run: kubectl delete pod app-0 }",
        has!("10s", "pod/app-0", ".status.podIP", "10.9.0.5"),
        "{ at: 11s, run: kubectl delete pod app-0 }",
        has!("20s", "pod/app-0", ".status.podIP", "10.9.0.6"),
        "{ at: 21s, run: kubectl delete pod app-1 }",
        has!("30s", "pod/app-1", ".status.podIP", "10.9.0.2"),
    ];
    Case { addresses, timeline: &timeline, ..CASE }.events(&[]);
}

/// N57: after a reboot a pod has another sandbox, and that another address.
#[test]
fn another_sandbox_has_another_address() {
    let timeline = [
        has!("1s", "pod/app-0", ".status.podIP", "10.244.0.2"),
        "{ at: 10s, fault: { crash: { node: node-0 } } }",
        "{ at: 30s, fault: { recover: { node: node-0 } } }",
        has!("60s", "pod/app-0", ".status.podIP", "10.244.0.3"),
    ];
    Case { pods: "1", timeline: &timeline, ..CASE }.events(&[]);
}

/// N58: a range that is used up; the sixth pod's sandbox fails, and is tried again (N8) until
/// another pod has gone.
#[test]
fn a_range_may_be_used_up() {
    let addresses = "{ clusterCIDR: 10.9.0.0/24, nodeCIDRMaskSize: 29 }";
    let timeline = [
        has!("29s", "pod/app-5", ".status.phase", "Pending"),
        "{ at: 35s, run: kubectl scale statefulset app --replicas=3 }",
        "{ at: 36s, run: kubectl scale statefulset app --replicas=5 }",
        has!("90s", "pod/app-4", ".status.phase", "Running"),
    ];
    let case = Case { pods: "6", addresses, timeline: &timeline, ..CASE };
    let found = case.events(&["FailedCreatePodSandBox"]);
    let times: Vec<f64> = found.iter().map(|(at, ..)| *at).collect();
    assert_eq!(times, [0.0, 10.0, 20.0, 30.0]);
    assert_eq!(found[0].1, "pod/default/app-5");
    let text = "no IP addresses available in range set: 10.9.0.1-10.9.0.6";
    assert!(found.iter().all(|(.., message)| message.ends_with(text)), "{found:?}");
}

/// A cluster of two ranges and three nodes: one is without, and its pods have no network.
#[test]
fn a_cluster_may_have_too_few_ranges() {
    let addresses = "{ clusterCIDR: 10.9.0.0/27, nodeCIDRMaskSize: 28 }";
    let timeline = [
        has!("20s", "pod/app-2", ".status.phase", "Pending"),
        "{ at: 25s, run: kubectl delete node node-0 }",
        has!("60s", "node/node-2", ".spec.podCIDR", "10.9.0.0/28"),
        has!("60s", "pod/app-2", ".status.phase", "Running"),
    ];
    let case = Case { nodes: "3", addresses, timeline: &timeline, ..CASE };
    let found = case.events(&["FailedCreatePodSandBox", "CIDRNotAvailable"]);
    let first = &found[0];
    assert_eq!(first.1, "node/node-2");
    assert_eq!(first.2, "Node node-2 status is now: CIDRNotAvailable");
    assert!(found[1].2.ends_with("no podCIDR has been assigned to the node"), "{found:?}");
}

/// The gallery's scenario with assignments laid over it.
fn reuse(sets: &[&str]) -> Experiment {
    let loaded = gallery("address-reuse", sets);
    let options = Options { replications: 2, checks: true, ..Options::of(&loaded.model) };
    experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed")
}

fn failed(run: &Experiment, cause: &str) -> f64 {
    let path = ["services", "web-names", "calls", "by_cause", cause];
    run.summary.value(&path).expect("it is in the summary")
}

/// N128, N488: what callers with old answers of DNS meet depends on how soon addresses are given
/// again. A shorter cache ends it; with more addresses nobody is there to answer.
#[test]
fn an_address_may_be_another_applications_by_now() {
    let small = reuse(&[]);
    assert!(
        failed(&small, "other_application") > 100.0,
        "{:?}",
        failed(&small, "other_application")
    );
    let large = reuse(&["cluster.addresses={ clusterCIDR: 10.244.0.0/16 }"]);
    assert!(failed(&large, "other_application") < 0.5);
    assert!(failed(&large, "stale_dns") > failed(&small, "stale_dns"));
    let rested = reuse(&[
        "cluster.addresses={ clusterCIDR: 10.244.0.0/16, nodeCIDRMaskSize: 28, coolDown: 120s }",
    ]);
    assert!(failed(&rested, "other_application") < 0.5);
    let often = reuse(&["traffic[0].dnsCache=1s", "cluster.dns={ ttl: 1s, cache: 1s }"]);
    assert!(failed(&often, "other_application") < 0.5);
    assert!(failed(&often, "stale_dns") < 0.5);
}

/// Another application that does not listen on the port refuses as a pod that is gone does.
#[test]
fn another_port_refuses() {
    let port =
        "deployment/reports:spec.template.spec.containers[0].ports=[{ containerPort: 9090 }]";
    let probe = "deployment/reports:spec.template.spec.containers[0].readinessProbe=\
                 { httpGet: { path: /ready, port: 9090 }, periodSeconds: 1 }";
    let run = reuse(&[port, probe]);
    assert!(failed(&run, "other_application") < 0.5);
    assert!(failed(&run, "stale_dns") > 100.0);
}

/// A node whose pods come and go, that crashes, and whose place another node takes: at no instant
/// do two sandboxes have one address. The cluster asserts it with each address that is given (N57).
#[test]
fn no_two_pods_have_one_address() {
    const LINES: [&str; 7] = [
        "run: kubectl rollout restart deployment/web",
        "run: kubectl rollout restart deployment/reports",
        "run: kubectl scale deployment/web --replicas=8",
        "run: kubectl scale deployment/web --replicas=2",
        "fault: { crash: { node: workers-0 } }",
        "fault: { recover: { node: workers-0 } }",
        "run: kubectl delete node workers-1",
    ];
    for seed in 0..6_u64 {
        let mut word = seed;
        let mut lines: Vec<String> = Vec::new();
        for second in (5..140).step_by(9) {
            word = seatrial::base::dist::mix(word ^ second);
            let line = LINES[usize::try_from(word % 7).unwrap()];
            lines.push(format!("{{ at: {second}s, {line} }}"));
        }
        let timeline = format!("timeline=[{}]", lines.join(", "));
        let nodes =
            "cluster.nodes=[{ pool: workers, count: 3, allocatable: { cpu: 8, memory: 16Gi } }]";
        let ranges = "cluster.addresses={ clusterCIDR: 10.244.0.0/28, nodeCIDRMaskSize: 29 }";
        let loaded = gallery("address-reuse", &[&timeline, nodes, ranges]);
        let options = Options { replications: 1, checks: true, ..Options::of(&loaded.model) };
        experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed");
    }
}

/// What cannot be is said where it stands.
#[test]
fn ranges_are_checked() {
    let cases = [
        ("{ clusterCIDR: 10.9.0 }", "\"10.9.0\" is no range of addresses"),
        ("{ clusterCIDR: 10.9.0.0/26 }", "no range of a node, /24, fits into 10.9.0.0/26"),
        ("{ clusterCIDR: 10.0.0.0/6 }", "are too small a part of 8.0.0.0/6"),
        ("{ nodeCIDRMaskSize: 31 }", "`nodeCIDRMaskSize` is from 10 to 30, not 31"),
        ("{ nodeCIDRMaskSize: 28 }", "node node-0 takes 110 pods and has 13 addresses for them"),
        ("{ clusterCIDR: 10.9.0.0/24 }", "10.9.0.0/24 has 1 range of /24 for 3 nodes"),
        ("{ clusterCidr: 10.9.0.0/24 }", "unknown key \"clusterCidr\""),
    ];
    for (addresses, message) in cases {
        let scenario = SCENARIO
            .replace("NODES", "3")
            .replace("ADDRESSES", addresses)
            .replace("TIMELINE", "[]")
            .replace("UNTIL", "1m");
        let app = APP.replace("PODS", "1").replace("HOST", "false");
        let files = [("scenario.yaml", scenario.as_str()), ("app.yaml", app.as_str())];
        let told = told_of(&files);
        assert!(told.contains(message), "{addresses}: {told}");
    }
}

/// All errors and warnings of a scenario.
fn told_of(files: &[(&str, &str)]) -> String {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let loader = Loader::from_memory(files);
    let place = Place { loader, path: "scenario.yaml".to_owned() };
    match load(&place, &[]) {
        Ok(loaded) => loaded.found.draw(&loaded.sources, &Default::default()),
        Err(refused) => refused.found.draw(&refused.sources, &Default::default()),
    }
}

/// Nodes whose manifests claim what another node has: no two pods have one address, whatever the
/// sizes of the ranges.
#[test]
fn ranges_of_nodes_that_overlap() {
    let node = |name: &str, range: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{ name: {name} }}\nspec: {range}\nstatus: {{ \
             allocatable: {{ cpu: 4, memory: 8Gi, pods: 110 }}, conditions: [{{ type: Ready, status: \
             \"True\" }}] }}\n"
        )
    };
    let scenario = "apiVersion: seatrial/v1
kind: Scenario
name: overlaps
cluster: { latencies: ideal }
apply: [web.yaml, nodes.yaml]
traffic: [{ name: users, to: service/web, rate: 10/s }]
run: { until: 30s, warmup: 10s }
";
    let web = crate::support::WEB.replace("REPLICAS", "4");
    for [one, other] in [
        ["{ podCIDR: 10.0.0.0/24 }", "{ podCIDR: 10.0.0.0/24 }"],
        ["{ podCIDR: 10.244.0.0/16 }", "{}"],
        ["{ podCIDR: 10.244.0.0/25 }", "{ podCIDR: 10.244.0.0/24 }"],
        ["{}", "{ podCIDR: 10.244.0.0/16 }"],
    ] {
        let nodes = [node("a", one), node("b", other)].concat();
        let told = tell(&[("scenario.yaml", scenario), ("web.yaml", &web), ("nodes.yaml", &nodes)]);
        let failed = told.number(&["services", "web", "calls", "failed"]);
        assert!(failed < 0.5, "{one} {other}: {failed}");
    }
}
