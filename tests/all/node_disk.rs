//! The disk of a node in a run: who is evicted when it is full, and which images are removed (rules
//! N44, N99 to N103).

use seatrial::manifest::Loader;
use seatrial::scenario::{Place, load};

use crate::support::{Told, deployment, load_memory, tell};

/// A node with a disk of 10 GiB, and what is on it.
fn node(extra: &str, latencies: &str, manifests: &str, behaviors: &str, timeline: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: disk
cluster:
  nodes:
    - {{ pool: workers, count: 1, allocatable: {{ cpu: 16, memory: 64Gi }}, {extra} }}
  latencies: {latencies}
apply: [all.yaml]
behaviors: [{behaviors}]
timeline: [{timeline}]
run: {{ until: 30m, replications: 1 }}
"
    );
    tell(&[("scenario.yaml", &scenario), ("all.yaml", manifests)])
}

const DISK: &str = "disk: { nodefs: 10Gi }";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as iterators give it")]
fn whole(at: &f64) -> u64 {
    seatrial::base::Duration::from_secs_f64(*at).whole_secs()
}

fn seconds(told: &Told, text: &str) -> Vec<u64> {
    told.times(text).iter().map(whole).collect()
}

/// Rules N99 to N101: images and layers are on the one file system, so its threshold of 15 % is met
/// first. 8.5 GiB are in use when a pod that asks for nothing has written 10 MiB a second for
/// 819.2 s beside one that keeps within its half a GiB. Its layer goes with it; its replacement
/// waits for the end of the condition, five minutes later, as it does not tolerate the taint.
#[test]
fn who_fills_the_disk_is_evicted() {
    let all = deployment("calm", "requests: { ephemeral-storage: 1Gi }", "")
        + &deployment("noisy", "", "");
    let behaviors =
        "{ imageSize: 0, start: 0s }, { for: deployment/calm, writes: { start: 512Mi } },
        { for: deployment/noisy, writes: { rate: 10Mi } }";
    let told = node(DISK, "ideal", &all, behaviors, "");
    let low = "The node was low on resource: ephemeral-storage. Threshold quantity: 1610612800, \
               available: ";
    assert_eq!(seconds(&told, low), [819], "{:#?}", told.events);
    let text = "Container app was using 8388604Ki, request is 0, has larger consumption of \
                ephemeral-storage. ";
    assert_eq!(seconds(&told, text), [819], "{:#?}", told.events);
    assert_eq!(told.times("Evicted pod/default/noisy").len(), 1);
    assert_eq!(seconds(&told, "NodeHasDiskPressure"), [819]);
    assert_eq!(seconds(&told, "NodeHasNoDiskPressure"), [1119]);
    assert_eq!(seconds(&told, "Attempting to reclaim ephemeral-storage"), [819]);
    assert_eq!(seconds(&told, "Started pod/default/noisy"), [0, 1119]);
}

/// Rule N100: who keeps within its request is evicted last, however large it is; a limit of the
/// volume has only its own pod evicted, and the node has enough (rule N102).
#[test]
fn requests_protect_and_limits_help_the_others() {
    let behaviors = "{ imageSize: 0, start: 0s },
        { for: deployment/other, writes: { start: 1Gi } },
        { for: deployment/noisy, writes: { rate: 10Mi, volume: cache } }";
    let run = |requests: &str, volume: &str| {
        let all = deployment("other", "", "") + &deployment("noisy", requests, volume);
        node(DISK, "ideal", &all, behaviors, "")
    };
    // A pod that exits 0 on the signal has Succeeded (rule N133): the Event tells.
    let evicted = |told: &Told| {
        ["other", "noisy"]
            .map(|name| !told.times(&format!("Evicted pod/default/{name}")).is_empty())
    };
    let asks = run("requests: { ephemeral-storage: 8Gi }", "{ name: cache, emptyDir: {} }");
    assert_eq!(evicted(&asks), [true, true], "{:#?}", asks.events);
    let first = asks.events.iter().find(|event| event.contains("Evicted")).expect("one is");
    assert!(first.contains("pod/default/other"), "{first}");
    let limited = run("", "{ name: cache, emptyDir: { sizeLimit: 2Gi } }");
    assert_eq!(evicted(&limited), [false, true], "{:#?}", limited.events);
    assert!(limited.times("NodeHasDiskPressure").is_empty());
}

/// Rule N99: with a file system of its own for images and layers, volumes and logs do not fill it,
/// and layers do not fill the other.
#[test]
fn images_may_have_a_file_system_of_their_own() {
    let disk = "disk: { nodefs: 10Gi, imagefs: 20Gi, system: 2Gi }";
    let all =
        deployment("layer", "", "") + &deployment("volume", "", "{ name: cache, emptyDir: {} }");
    let behaviors = "{ imageSize: 1Gi, start: 0s },
        { for: deployment/layer, writes: { rate: 20Mi } },
        { for: deployment/volume, writes: { rate: 4Mi, volume: cache } }";
    let told = node(disk, "ideal", &all, behaviors, "");
    // 17 GiB less two images: 15 GiB at 20 MiB a second. 9 GiB less the system's 2.
    assert_eq!(
        seconds(&told, "Evicted pod/default/layer").first(),
        Some(&767),
        "{:#?}",
        told.events
    );
    let of = |from: f64| {
        told.times("Evicted pod/default/volume").iter().any(|at| (at - from).abs() < 1.0)
    };
    assert!(of(1792.0), "{:#?}", told.events);
}

/// Rule N44: under DiskPressure every pod is turned away, whatever it tolerates.
#[test]
fn a_node_under_pressure_takes_no_pod() {
    let late = "apiVersion: v1
kind: Pod
metadata: { name: late }
spec:
  nodeName: workers-0
  tolerations: [{ operator: Exists }]
  containers: [{ name: app, image: 'late:1', resources: { requests: { cpu: 1 } } }]
";
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: disk
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 16, memory: 64Gi }}, {DISK} }}]
  latencies: ideal
apply: [all.yaml]
behaviors: [{{ imageSize: 0, start: 0s }}, {{ for: deployment/noisy, writes: {{ start: 9Gi }} }}]
timeline: [{{ at: 1m, run: kubectl apply -f late.yaml }}]
run: {{ until: 2m, replications: 1 }}
"
    );
    let all = deployment("noisy", "", "");
    let told = tell(&[("scenario.yaml", &scenario), ("all.yaml", &all), ("late.yaml", late)]);
    let text = "Evicted pod/default/late: The node had condition: [DiskPressure]. ";
    assert_eq!(seconds(&told, text), [60], "{:#?}", told.events);
}

/// Rules N60, N61 and N103: three releases of 3 GiB are 90 % of the disk. The image that was used
/// longest ago is removed, and an undo has to pull it again; the one between stays.
#[test]
fn images_that_nobody_uses_are_removed() {
    let kubelet = "kubelet: { evictionHard: { memory.available: 100Mi, nodefs.available: 5% } }";
    let all = deployment("web", "", "");
    let behaviors = "{ imageSize: 3Gi, start: 0s }";
    let timeline = "{ at: 5m, run: kubectl set image deployment/web app=web:2 },
        { at: 10m, run: kubectl set image deployment/web app=web:3 },
        { at: 15m, run: kubectl set image deployment/web app=web:2 },
        { at: 20m, run: kubectl set image deployment/web app=web:1 }";
    let told = node(&format!("{DISK}, {kubelet}"), "ideal", &all, behaviors, timeline);
    assert_eq!(seconds(&told, "Pulling image \"web:1\""), [0, 1200], "{:#?}", told.events);
    assert_eq!(seconds(&told, "Pulling image \"web:2\""), [300]);
    assert_eq!(seconds(&told, "Container image \"web:2\" already present on machine"), [900]);
    assert!(told.times("FreeDiskSpaceFailed").is_empty() && told.times("Evicted").is_empty());
    // Younger images than that stay, and it is told that nothing can be done.
    let young = timeline.replace("5m", "30s").replace("10m", "60s").replace("15m", "50s");
    let told = node(&format!("{DISK}, {kubelet}"), "ideal", &all, behaviors, &young);
    let text = "Failed to garbage collect required amount of images. Attempted to free 1073741824 \
                bytes, but only found 0 bytes eligible to free.";
    assert_eq!(seconds(&told, text).first(), Some(&60), "{:#?}", told.events);
}

/// Rule N103: a real kubelet looks at images every five minutes.
#[test]
fn images_are_looked_at_every_five_minutes() {
    let kubelet = "kubelet: { evictionHard: { memory.available: 100Mi }, imageMinimumGCAge: 1h }";
    let all = deployment("web", "", "");
    let told =
        node(&format!("{DISK}, {kubelet}"), "measured-small", &all, "{ imageSize: 9Gi }", "");
    let at = told.times("FreeDiskSpaceFailed");
    assert!(at.len() >= 4, "{:#?}", told.events);
    assert!(at.windows(2).all(|two| (two[1] - two[0] - 300.0).abs() < 1e-6), "{at:?}");
}

/// Rule N99: room is made at the node first: what ended pods have left, and images.
#[test]
fn ended_containers_go_before_pods() {
    let job = |name: &str| {
        format!(
            "---
apiVersion: batch/v1
kind: Job
metadata: {{ name: {name} }}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{{ name: app, image: 'job:1' }}]
"
        )
    };
    let all = job("first") + &job("second") + &deployment("web", "", "");
    let behaviors = "{ imageSize: 0, start: 0s },
        { for: job/first, run: 1m, writes: { start: 4Gi } },
        { for: job/second, run: 10m, writes: { rate: 10Mi } },
        { for: deployment/web, writes: { start: 1Gi } }";
    let told = node(DISK, "ideal", &all, behaviors, "");
    // 8.5 GiB less 5 at 10 MiB a second.
    assert_eq!(seconds(&told, "EvictionThresholdMet"), [358], "{:#?}", told.events);
    assert!(told.times("Evicted").is_empty());
    assert_eq!(seconds(&told, "NodeHasNoDiskPressure"), [658]);
}

/// What a container logs for each call counts (rule N102), and is rotated: five files of 10 MiB.
#[test]
fn logs_grow_with_calls_and_are_rotated() {
    let web = |limit: &str, logs: &str, kubelet: &str| {
        let scenario = format!(
            "apiVersion: seatrial/v1
kind: Scenario
name: logs
cluster:
  nodes:
    - {{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }}, {DISK},
        kubelet: {{ {kubelet} }} }}
  latencies: ideal
apply: [web.yaml]
behaviors: [{{ for: deployment/web, start: 0s, {logs} }}]
traffic: [{{ name: users, to: service/web, rate: 100/s }}]
run: {{ until: 5m, replications: 1 }}
"
        );
        let service = "
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
---
";
        let limit = format!(
            "requests: {{ ephemeral-storage: 0 }}, limits: {{ ephemeral-storage: {limit} }}"
        );
        let web = service.to_owned() + &deployment("web", &limit, "");
        tell(&[("scenario.yaml", &scenario), ("web.yaml", &web)])
    };
    // 100 calls a second of 10 KiB: 20 MiB after 20.5 s, or so; it is told in pieces of 1 MiB.
    let told = web("20Mi", "logs: { perCall: 10Ki }, serve: { hold: 1ms }", "");
    let at = told.times("Pod ephemeral local storage usage exceeds");
    assert!(at.len() > 5 && (19.0..25.0).contains(&at[0]), "{at:?}");
    let told = web("20Mi", "writes: { perCall: 10Ki }, serve: { hold: 1ms }", "");
    assert!(told.times("Pod ephemeral local storage usage exceeds").len() > 5);
    // 1 MiB a second: a file has 10 MiB at each look.
    let steady = "logs: { rate: 1Mi }, serve: { hold: 1ms }";
    assert!(web("55Mi", steady, "").times("Evicted").is_empty());
    let more = web("55Mi", steady, "containerLogMaxFiles: 10");
    assert_eq!(seconds(&more, "exceeds the total limit").first(), Some(&55), "{:#?}", more.events);
}

/// Rules N44 and C164: the kubelet turns pods away from the moment on at which it knows, and the
/// scheduler hears of it with the next report of the node, up to 10 s later: until then it places
/// one replacement after another there. The numbers tell.
#[test]
fn pods_are_turned_away_until_the_taint_is_there() {
    let all = deployment("noisy", "requests: { cpu: 1 }", "");
    let behaviors =
        "{ imageSize: 0, start: 0s }, { for: deployment/noisy, writes: { rate: 60Mi } }";
    let told = node(DISK, "measured-small", &all, behaviors, "");
    let number = |last: &str| told.number(&["pressure", last]);
    assert!(number("evicted_disk") >= 2.0 && number("turned_away") >= 2.0, "{:#?}", told.events);
    let first = told.times("The node had condition: [DiskPressure]. ")[0];
    let taint = told.times("NodeHasDiskPressure")[0];
    assert!(taint - first < 11.0, "{first} {taint}");
    assert!(number("disk_time") >= 600.0 && number("memory_time") < 1.0);
}

/// A disk that is full takes no image (rule N63).
#[test]
fn a_pull_needs_room() {
    let all = deployment("web", "", "");
    let told = node(DISK, "ideal", &all, "{ imageSize: 11Gi, start: 0s }", "");
    assert!(told.times("Failed to pull image \"web:1\"").len() > 3, "{:#?}", told.events);
    assert!(told.times("Started container app").is_empty());
}

fn refused(files: &[(&str, &str)]) -> String {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let Err(refused) = load(&place, &[]) else { panic!("it is wrong") };
    refused.found.draw(&refused.sources, &Default::default())
}

/// Rule N103: what a completed pod has left in its layer stays with it; once it is deleted, the next
/// look at ended containers removes it, a minute later at most. Without latencies that is at once.
#[test]
fn ended_containers_of_deleted_pods_are_removed() {
    let job = "apiVersion: batch/v1
kind: Job
metadata: { name: fill }
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: app, image: 'fill:1' }]
";
    let behaviors =
        "{ imageSize: 0, start: 0s }, { for: job/fill, run: 1m, writes: { start: 8Gi } },
        { for: deployment/web, writes: { start: 1Mi, rate: 1Mi } }";
    let all = format!("{job}{}", deployment("web", "", ""));
    let pressure = |timeline: &str| {
        let told = node(DISK, "ideal", &all, behaviors, timeline);
        seconds(&told, "EvictionThresholdMet")
    };
    // 8.5 GiB less 8 GiB and 1 MiB at 1 MiB a second: just before 511 s.
    assert_eq!(pressure(""), [510]);
    assert!(pressure("{ at: 5m, run: kubectl delete job fill }").is_empty());
}

/// Rule N105: a pod that is ending keeps its room until its containers have stopped.
#[test]
fn an_ending_pod_keeps_its_room() {
    let all = deployment("web", "requests: { cpu: 10 }", "");
    let behaviors = "{ imageSize: 0, start: 0s, shutdown: { ignoresSignal: true } }";
    let timeline = "{ at: 2m, run: kubectl delete pods --all --wait=false }";
    let told = node(DISK, "ideal", &all, behaviors, timeline);
    // The replacement is there at once, and waits for the grace of 30 s.
    assert_eq!(seconds(&told, "Started container app"), [0, 150], "{:#?}", told.events);
}

/// What is written to must be a volume of the pods.
#[test]
fn a_volume_that_is_written_to_is_there() {
    let scenario = "apiVersion: seatrial/v1
kind: Scenario
name: disk
cluster:
  nodes: [{ pool: workers, count: 1, allocatable: { cpu: 4, memory: 4Gi } }]
apply: [all.yaml]
behaviors: [{ for: deployment/web, writes: { rate: 1Mi, volume: cachee } }]
run: { until: 1m }
";
    let all = deployment("web", "", "{ name: cache, emptyDir: {} }");
    let files = [("scenario.yaml", scenario), ("all.yaml", all.as_str())];
    let refused = refused(&files);
    let text = "pods of deployment/web have no emptyDir volume \"cachee\"";
    assert!(refused.contains(text) && refused.contains("they have cache"), "{refused}");
    let right = scenario.replace("cachee", "cache");
    load_memory(&[("scenario.yaml", &right), ("all.yaml", &all)]);
}
