//! Deployment, ReplicaSet and EndpointSlice together, with pods that follow a script.

use std::sync::Arc;

use seatrial::base::{Duration, Id};
use seatrial::cluster::{Phase, PodStatus, ProgressReason, Write};
use seatrial::model::{DeploymentId, ServiceId, Strategy, WorkloadKind};

use crate::support::control::Control;
use crate::support::model::ModelBuilder;

/// A Deployment `web` whose first template is fully available, and templates v2, v3, …
struct Rollout {
    control: Control,
    templates: Vec<Arc<seatrial::model::Template>>,
}

fn rollout(replicas: u32, limits: (&str, &str)) -> Rollout {
    rollout_with(replicas, limits, |_| {})
}

fn rollout_with(
    replicas: u32,
    limits: (&str, &str),
    change: impl FnOnce(&mut seatrial::model::DeploymentSpec),
) -> Rollout {
    let mut builder = ModelBuilder::new();
    let mut spec = builder.deployment("web", replicas, limits);
    change(&mut spec);
    let service = builder.service("web");
    builder.model.deployments.push(spec);
    builder.model.services.push(service);
    let images = ["app:v2", "app:v3", "app:v4"];
    let templates = images.map(|i| builder.template(WorkloadKind::Deployment, "web", i));
    let mut control = Control::new(&builder.build());
    control.settle();
    control.all_ready();
    control.trace.clear();
    Rollout { control, templates: templates.to_vec() }
}

/// Rolls to v2, pod by pod, and gives the sizes "new/old" at each change, with `|` where one more
/// pod became available.
fn golden(replicas: u32, limits: (&str, &str)) -> String {
    let Rollout { mut control, templates } = rollout(replicas, limits);
    control.roll_to(&templates[0]);
    control.settle();
    let mut text = String::new();
    let mut seen = 0;
    loop {
        for sizes in &control.trace[seen..] {
            if let [new, old] = sizes[..] {
                text.push_str(&format!("{new}/{old} "));
            }
        }
        seen = control.trace.len();
        if !control.one_more_ready() {
            return text.trim_end().to_owned();
        }
        text.push_str("| ");
    }
}

/// Rule C42: all five golden traces. The creating look scales the old one down as well, so the
/// first entry, where it is not yet, cannot be seen apart.
#[test]
fn rolling_updates_follow_the_golden_traces() {
    assert_eq!(
        golden(10, ("25%", "25%")),
        "3/8 5/8 | 5/7 6/7 | 6/6 7/6 | 7/5 8/5 | 8/4 9/4 | 9/3 10/3 | 10/2 | 10/1 | 10/0 | |"
    );
    assert_eq!(golden(4, ("25%", "25%")), "1/3 2/3 | 2/2 3/2 | 3/1 4/1 | 4/0 |");
    assert_eq!(golden(3, ("25%", "25%")), "1/3 | 1/2 2/2 | 2/1 3/1 | 3/0");
    assert_eq!(golden(1, ("25%", "25%")), "1/1 | 1/0");
    // 1 % of 10 pods: surge ⌈0.1⌉ = 1, none missing.
    let one = golden(10, ("1%", "1%"));
    assert!(one.starts_with("1/10 | 1/9 2/9 | 2/8 3/8 |"), "{one}");
    // Both limits come to 0: one may be missing.
    let none = golden(10, ("0%", "1%"));
    assert!(none.starts_with("0/9 1/9 | 1/8 2/8 | 2/7 3/7 |"), "{none}");
    assert!(none.ends_with("10/0 |"), "{none}");
}

#[test]
fn a_rollout_ends_complete_with_its_revision() {
    let Rollout { mut control, templates } = rollout(4, ("25%", "25%"));
    let row = |control: &Control| {
        let row = control.cluster.deployment(DeploymentId::from_index(0));
        row.expect("it is there").clone()
    };
    assert_eq!(row(&control).revision, 1);
    let reason = |control: &Control| row(control).status.progressing.map(|p| p.reason);
    let done = Some(ProgressReason::NewReplicaSetAvailable);
    assert_eq!(reason(&control), done);
    control.roll_to(&templates[0]);
    control.settle();
    assert_ne!(reason(&control), done);
    control.all_ready();
    let row = row(&control);
    assert_eq!((row.revision, reason(&control)), (2, done));
    let status = row.status;
    assert_eq!((status.replicas, status.updated, status.available), (4, 4, 4));
    assert_eq!(status.observed_generation, row.generation);
    let revisions: Vec<u32> = control.sets().iter().map(|set| set.revision).collect();
    assert_eq!(revisions, [2, 1]);
}

/// Rules C26, C28: going back takes the old ReplicaSet again and lifts its revision.
#[test]
fn an_earlier_template_takes_its_replica_set_again() {
    let Rollout { mut control, templates } = rollout(2, ("1", "0"));
    let first = control.cluster.deployment(DeploymentId::from_index(0));
    let first = Arc::clone(&first.expect("it is there").spec.template);
    control.roll_to(&templates[0]);
    control.settle();
    control.all_ready();
    control.roll_to(&first);
    control.settle();
    control.all_ready();
    let sets: Vec<(u32, u32)> =
        control.sets().iter().map(|set| (set.revision, set.replicas)).collect();
    assert_eq!(sets, [(2, 0), (3, 2)]);
}

/// Rule C40: the half-grown one becomes old, the next begins with nothing, and the broken pods go
/// first.
#[test]
fn a_template_change_in_mid_rollout_starts_again() {
    let Rollout { mut control, templates } = rollout(10, ("25%", "25%"));
    control.roll_to(&templates[0]);
    control.settle();
    assert_eq!(control.sizes(), [5, 8]);
    control.roll_to(&templates[1]);
    control.settle();
    // 13 pods are there, so the third begins with 0; all five unavailable ones go (13 − 8 = 5),
    // then the third takes their place.
    assert_eq!(control.sizes(), [5, 0, 8]);
    control.all_ready();
    assert_eq!(control.sizes(), [10, 0, 0]);
}

/// Rules C47, C51, C69: 10 → 20 in mid-rollout is shared in proportion.
#[test]
fn scaling_in_mid_rollout_is_proportional() {
    let Rollout { mut control, templates } = rollout(10, ("25%", "25%"));
    control.roll_to(&templates[0]);
    control.settle();
    assert_eq!(control.sizes(), [5, 8]);
    control.trace.clear();
    control.scale(20);
    control.settle();
    // 20 + 5 allowed, 13 there: old 8·25/13 = 15.4 → 15, new 5·25/13 = 9.6 → 10; then the
    // rollout goes on within its limits.
    assert!(control.trace.contains(&vec![10, 15]), "{:?}", control.trace);
    control.all_ready();
    assert_eq!(control.sizes(), [20, 0]);
}

/// Rules C43, C44: nothing new before the last old pod is gone.
#[test]
fn recreate_waits_for_the_last_old_pod() {
    let Rollout { mut control, templates } =
        rollout_with(3, ("1", "0"), |spec| spec.strategy = Strategy::Recreate);
    control.gone_after = Duration::secs(10);
    control.roll_to(&templates[0]);
    control.settle();
    assert_eq!(control.sizes(), [0]);
    control.run_to(Duration::ms(9_900));
    assert_eq!(control.sizes(), [0]);
    control.run_to(Duration::secs(10));
    assert_eq!(control.sizes(), [3, 0]);
}

/// Rules C59, C60: the deadline changes the condition and nothing else.
#[test]
fn a_stuck_rollout_is_told_and_left() {
    let Rollout { mut control, templates } = rollout_with(4, ("25%", "25%"), |spec| {
        spec.progress_deadline = Some(Duration::secs(60));
    });
    control.run_to(Duration::ms(2_300));
    control.roll_to(&templates[0]);
    control.settle();
    let stuck = control.sizes();
    let reason = |control: &Control| {
        let row = control.cluster.deployment(DeploymentId::from_index(0));
        row.and_then(|row| row.status.progressing).map(|p| p.reason)
    };
    // The condition is of 2 s; the look is at 2 + 60 + 1 s.
    control.run_to(Duration::ms(62_900));
    let late = Some(ProgressReason::ProgressDeadlineExceeded);
    assert_ne!(reason(&control), late);
    control.run_to(Duration::secs(63));
    assert_eq!(reason(&control), late);
    assert_eq!(control.sizes(), stuck);
    control.all_ready();
    assert_eq!(reason(&control), Some(ProgressReason::NewReplicaSetAvailable));
}

/// Rules C54, C55: a paused one makes no ReplicaSet, but scales.
#[test]
fn a_paused_deployment_scales_and_does_not_roll() {
    let Rollout { mut control, templates } = rollout(4, ("25%", "25%"));
    let next = Arc::clone(&templates[0]);
    control.update(|spec| {
        spec.paused = true;
        spec.template = next;
    });
    control.settle();
    assert_eq!(control.sizes(), [4]);
    control.scale(6);
    control.settle();
    assert_eq!(control.sizes(), [6]);
    control.update(|spec| spec.paused = false);
    control.settle();
    control.all_ready();
    assert_eq!(control.sizes(), [6, 0]);
}

/// Rule C62: of the oldest revisions only those beyond the limit go.
#[test]
fn the_history_is_cut_when_a_rollout_is_complete() {
    let Rollout { mut control, templates } =
        rollout_with(2, ("1", "0"), |spec| spec.history_limit = 1);
    for template in &templates {
        control.roll_to(template);
        control.settle();
        control.all_ready();
    }
    let revisions: Vec<u32> = control.sets().iter().map(|set| set.revision).collect();
    assert_eq!(revisions, [4, 3]);
}

/// Rules C2, C9, C77: times are whole seconds, so ready at 3.7 s counts as ready since 3 s; available 5 s later.
#[test]
fn availability_is_counted_from_the_whole_second() {
    let Rollout { mut control, templates } =
        rollout_with(1, ("1", "0"), |spec| spec.min_ready = Duration::secs(5));
    control.run_to(Duration::secs(20));
    control.roll_to(&templates[0]);
    control.run_to(Duration::ms(23_700));
    control.one_more_ready();
    control.run_to(Duration::ms(27_999));
    assert_eq!(control.sizes(), [1, 1]);
    control.run_to(Duration::secs(28));
    assert_eq!(control.sizes(), [1, 0]);
}

/// Rules C67, C68: a pod that failed is replaced and stays; one that is deleted is replaced while
/// it ends.
#[test]
fn lost_pods_are_replaced_at_once() {
    let Rollout { mut control, .. } = rollout(3, ("1", "0"));
    control.gone_after = Duration::secs(30);
    let (failed, row) = control.pods()[0];
    let status = PodStatus { phase: Phase::Failed, ready: false, ..row.status };
    let deleted = control.pods()[1].0;
    control.write(Write::PodStatus { pod: failed, status });
    control.write(Write::DeletePod { pod: deleted, grace: None });
    control.settle();
    assert_eq!(control.pods().len(), 3);
    assert_eq!(control.cluster.pods().len(), 5);
    let status = control.sets()[0].status;
    assert_eq!((status.replicas, status.ready, status.terminating), (3, 1, 1));
    control.run_to(Duration::secs(30));
    assert_eq!(control.cluster.pods().len(), 4);
}

/// Rules C176, C177, C184: terminating pods stay listed while they serve; the slice follows from the
/// DELETE, at the side of the pod's end and not after it.
#[test]
fn endpoints_follow_readiness_and_deletion() {
    let Rollout { mut control, .. } = rollout(3, ("1", "0"));
    control.gone_after = Duration::secs(30);
    let listed = |control: &Control| {
        let service = control.cluster.service(ServiceId::from_index(0));
        let endpoints = &service.expect("it is there").endpoints.endpoints;
        endpoints.iter().map(|e| (e.ready, e.serving, e.terminating)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&control), [(true, true, false); 3]);
    let pods: Vec<_> = control.pods().iter().map(|(pod, _)| *pod).collect();
    control.set_ready(pods[0], false);
    control.write(Write::DeletePod { pod: pods[1], grace: None });
    control.settle();
    assert_eq!(
        listed(&control),
        [(false, false, false), (false, true, true), (true, true, false), (false, false, false),]
    );
    control.run_to(Duration::secs(30));
    assert_eq!(listed(&control).len(), 3);
}

/// Rule C69: 500 a look, and as many looks as it takes.
#[test]
fn many_pods_are_made_in_several_looks() {
    let Rollout { mut control, .. } = rollout(1, ("1", "0"));
    control.scale(1200);
    control.settle();
    assert_eq!(control.pods().len(), 1200);
    control.scale(0);
    control.settle();
    assert_eq!(control.cluster.pods().len(), 0);
}
