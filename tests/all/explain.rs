//! `explain`: what became of a pod and what would have helped it.

use seatrial::base::{Duration, SimTime};
use seatrial::explain::{ExplainError, Explanation, Question, explain};
use seatrial::manifest::Loader;
use seatrial::scenario::{self, Place};

const NODES: &str = "
    - { pool: small, count: 2, zones: [a, b], allocatable: { cpu: 4, memory: 8Gi } }
    - pool: gpu
      count: 1
      zones: [a]
      allocatable: { cpu: 16, memory: 64Gi, nvidia.com/gpu: 2 }
      taints: [{ key: dedicated, value: gpu, effect: NoSchedule }]
";

fn scenario(pods: &str) -> String {
    format!(
        "apiVersion: seatrial/v1\nkind: Scenario\nname: a\ncluster:\n  nodes:{NODES}  latencies: \
         ideal\n  scheduler: {{ weights: {{ NodeResourcesBalancedAllocation: 0 }} }}\napply: [pods.yaml]\nworkload:\n{pods}run: {{ until: 1m }}\n"
    )
}

fn ask(manifests: &str, pods: &str, pod: &str, at: Option<u64>) -> Result<Explanation, String> {
    let text = scenario(pods);
    let files = [("scenario.yaml", text.as_str()), ("pods.yaml", manifests)];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let loaded = match scenario::load(&place, &[]) {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{:#?}", refused.found.lines(&refused.sources)),
    };
    let at = at.map(|secs| SimTime::ZERO + Duration::secs(secs));
    let question = Question { pod, at, replication: 0, policies: Vec::new() };
    explain(&loaded.model, question).map_err(|error| match error {
        ExplainError::Unknown { message, hint } => {
            format!("{message} ({})", hint.unwrap_or_default())
        }
        limit @ ExplainError::Limit(_) => limit.to_string(),
    })
}

const SERVICE: &str = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: a } }";

fn remedies(explanation: &Explanation) -> Vec<String> {
    let text = |r: &seatrial::placement::what_if::Remedy| {
        format!("{} → {}", r.changes.join(", and "), r.node)
    };
    explanation.remedies.iter().map(text).collect()
}

fn pod(spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: big, labels: {{ app: web }} }}\nspec:\n  \
         containers: [{{ name: main, image: a, resources: {{ requests: {{ cpu: 6, memory: 4Gi }} }} \
         }}]\n{spec}"
    )
}

#[test]
fn an_attempt_is_told_with_verdicts_scores_and_what_would_help() {
    let batch = "  - name: batch\n    arrivals: { at: 5s }\n    count: 1\n    pods: [{ requests: { \
                 cpu: 1, memory: 1Gi } }]\n";
    let big = ask(&pod(""), batch, "big", None).unwrap();
    assert_eq!(
        big.text(),
        "default/big · of pod/big · profile default-scheduler · priority 0 · requests cpu 6, \
         memory 4Gi

ATTEMPT 1 at 0 s: no node
  0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims \
         to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for \
         scheduling.
  plugin             refuses because                    nodes
  TaintToleration    node(s) had untolerated taint(s)       1   gpu-0
  NodeResourcesFit   Insufficient cpu                       2   small-1, small-0

WHAT WOULD HELP (each tried on the cluster of 0 s)
  request 2 less cpu (4 in place of 6)   → small-1
  tolerate dedicated=gpu:NoSchedule      → gpu-0
"
    );
    let small = ask(&pod(""), batch, "workload/batch", None).unwrap();
    assert_eq!(
        small.text(),
        "default/batch-0 · of workload/batch · profile default-scheduler · priority 0 · requests \
         cpu 1, memory 1Gi

ATTEMPT 1 at 5 s: placed on small-1
  plugin            refuses because                    nodes
  TaintToleration   node(s) had untolerated taint(s)       1   gpu-0
  2 of 3 nodes take it
  node      sum   3 × TaintToleration   NodeResourcesFit   2 × DynamicResources   \
         ImageLocality
  small-1   381                   100                 81                      0               0
  small-0   381                   100                 81                      0               0
  nothing to score for NodeAffinity, VolumeBinding, PodTopologySpread, InterPodAffinity
"
    );
    assert_eq!(small.json()["attempts"][0]["scores"]["best"][0]["total"], 381);
    assert_eq!(big.json()["remedies"][1]["node"], "gpu-0");
}

#[test]
fn demands_on_nodes_are_dropped_one_by_one_or_in_pairs() {
    let of = |spec: &str| remedies(&ask(&pod(spec), "", "default/big", None).unwrap());
    // The gpu node would need two changes: a single one goes before.
    assert_eq!(
        of("  nodeSelector: { topology.kubernetes.io/zone: b }\n"),
        ["request 2 less cpu (4 in place of 6) → small-1"]
    );
    let affinity = "  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { \
                    nodeSelectorTerms: [{ matchExpressions: [{ key: disk, operator: In, values: \
                    [ssd] }] }] } } }\n  tolerations: [{ operator: Exists }]\n";
    assert_eq!(of(affinity), ["drop required node affinity disk=ssd → gpu-0"]);
    assert_eq!(
        of("  nodeSelector: { disk: ssd }\n"),
        [
            "tolerate dedicated=gpu:NoSchedule, and drop node selector disk=ssd → gpu-0",
            "drop node selector disk=ssd, and request 2 less cpu (4 in place of 6) → small-1",
        ]
    );
}

#[test]
fn one_more_node_helps_where_all_are_full() {
    let many = "  - name: job\n    arrivals: { at: 1s }\n    count: 3\n    pods: [{ requests: { cpu: \
                3, memory: 1Gi } }]\n";
    let third = ask(SERVICE, many, "workload/job", None).unwrap();
    assert_eq!(third.pod, "default/job-2");
    assert_eq!(
        remedies(&third),
        [
            "request 2 less cpu (1 in place of 3) → small-1",
            "one more node in pool small → small-2",
            "tolerate dedicated=gpu:NoSchedule → gpu-0",
        ]
    );
}

#[test]
fn pods_that_were_never_tried_are_told_apart_from_unknown_ones() {
    let bound = pod("  nodeName: small-0\n");
    assert_eq!(
        ask(&bound, "", "big", None),
        Err("nobody tried to place pod default/big (it names its node, has a gate, or asks for \
             another scheduler)"
            .to_owned())
    );
    let text = "no pod \"bog\" was to be placed (did you mean \"big\"?)";
    assert_eq!(ask(&pod(""), "", "bog", None), Err(text.to_owned()));
    let late = "  - name: batch\n    arrivals: { at: 5s }\n    count: 1\n    pods: [{ requests: { \
                cpu: 1, memory: 1Gi } }]\n";
    let text = "no pod \"batch-0\" was to be placed by 4 s (the scheduler had 1 pod to place, the \
                first is big)";
    assert_eq!(ask(&pod(""), late, "batch-0", Some(4)), Err(text.to_owned()));
    assert!(ask(&pod(""), late, "batch-0", Some(5)).is_ok());
}

#[test]
fn who_is_evicted_is_told() {
    let class = "{ apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: { name: high }, \
                 value: 1000 }";
    let pods = "  - name: job\n    arrivals: { at: 1s }\n    count: 2\n    pods: [{ requests: { cpu: \
                3, memory: 1Gi } }]\n  - name: urgent\n    arrivals: { at: 5s }\n    count: 1\n    \
                pods: [{ requests: { cpu: 3, memory: 1Gi }, priorityClass: high }]\n";
    let urgent = ask(class, pods, "urgent-0", None).unwrap();
    let first = urgent.attempts[0].preemption.as_ref().unwrap();
    assert_eq!(first.victims.len(), 1, "{first:?}");
    assert!(first.victims[0].starts_with("default/job-"), "{first:?}");
    let node = first.node.clone().unwrap();
    let text = urgent.text();
    assert!(
        text.contains(&format!("  preemption: nominated to {node}, evicts default/job-")),
        "{text}"
    );
    assert_eq!(urgent.attempts.last().unwrap().node.as_ref(), Some(&node), "{text}");
}

const CALLED: &str = "apiVersion: seatrial/v1
kind: Scenario
name: called
cluster: { nodes: [{ pool: workers, count: 3, allocatable: { cpu: 4, memory: 8Gi } }], latencies: measured }
apply: [web.yaml]
traffic: [{ name: users, to: service/web, rate: 200/s }]
timeline: [{ at: 40s, run: kubectl rollout restart deployment/web }]
run: { until: 70s, seed: 4, warmup: 30s }
";

/// Every failed call has a story that ends with the one cause of its record; the row of
/// failures.csv has the same number.
#[test]
fn a_failed_call_has_a_story_and_one_cause() {
    use seatrial::explain::call::explain_call;
    use seatrial::record::Cause;
    let web = crate::support::WEB.replace("REPLICAS", "3");
    let files = [("scenario.yaml", CALLED), ("web.yaml", web.as_str())];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let model = scenario::load(&place, &[]).expect("a scenario").model;
    let story = |number| explain_call(&model, number, 0);
    let mut causes = Vec::new();
    for number in 1.. {
        let Ok(story) = story(number) else { break };
        assert_ne!(story.cause, Cause::None);
        let times: Vec<SimTime> = story.lines.iter().map(|(at, _)| *at).collect();
        assert!(times.is_sorted());
        let text = story.text();
        assert!(text.contains("users → service/web"), "{text}");
        if story.cause == Cause::StaleProxy {
            assert!(text.contains("the deletion of pod web-"), "{text}");
            assert!(text.contains("kubectl rollout restart"), "{text}");
        }
        causes.push(story.cause);
        if number == 6 {
            break;
        }
    }
    assert!(!causes.is_empty(), "no call failed");
    match story(0) {
        Err(ExplainError::Unknown { hint: Some(hint), .. }) => assert!(hint.contains("call/1")),
        other => panic!("{other:?}"),
    }
}
