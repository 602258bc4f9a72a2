//! Autoscalers on a cluster whose pods use what the test says.

use std::sync::Arc;

use seatrial::base::{Duration, Id};
use seatrial::model::{DeploymentId, HpaId, HpaTarget};

use crate::support::control::Control;
use crate::support::model::ModelBuilder;

fn secs(count: u64) -> Duration {
    Duration::secs(count)
}

/// A Deployment `web` of 4 pods that ask for 100m each, and an autoscaler that aims at 50 %.
fn world(change: impl FnOnce(&mut ModelBuilder)) -> Control {
    let mut builder = ModelBuilder::new();
    let spec = builder.deployment("web", 4, ("25%", "25%"));
    let hpa = builder.hpa("web", 50, (2, 20));
    builder.model.deployments.push(spec);
    builder.model.hpas.push(hpa);
    change(&mut builder);
    let mut control = Control::new(&builder.build());
    control.ready_after = Some(Duration::ZERO);
    control.settle();
    control
}

fn replicas(control: &Control) -> u32 {
    let row = control.cluster.deployment(DeploymentId::from_index(0));
    row.expect("it is there").replicas
}

/// Publishes a use a second before each look, which the n-th is at 15·n s; gives the sizes after.
fn run(control: &mut Control, uses: &[u64]) -> Vec<u32> {
    let first = control.now().since_start();
    let mut sizes = Vec::new();
    for (n, milli) in (1..).zip(uses) {
        control.run_to(first + secs(15 * n - 1));
        control.publish(*milli);
        control.run_to(first + secs(15 * n));
        sizes.push(replicas(control));
    }
    sizes
}

/// Rules A1, A34, A37, A50: looks at 15 s, 30 s, …; the first sample gives the rate since the
/// pods' start, because they are older than 10 s (rule A64), and counts because they were ready
/// all the time (rule A30).
#[test]
fn it_follows_the_use_of_cpu() {
    let mut control = world(|_| {});
    control.run_to(Duration::ms(14_999));
    assert_eq!(replicas(&control), 4);
    let mut control = world(|_| {});
    // 100m of 100m: 100 %, twice the target: 8. Then on target.
    assert_eq!(run(&mut control, &[100, 50, 50]), [8, 8, 8]);
    let status = control.cluster.hpa(HpaId::from_index(0)).expect("it is there").status;
    assert_eq!((status.current, status.desired, status.active_reason), (8, 8, "ValidMetricFound"));
    assert_eq!(status.last_scale.map(|at| at.since_start()), Some(secs(15)));
    assert_eq!(control.sizes(), [8]);
}

/// Rule A49: down only five minutes after the last high recommendation.
#[test]
fn it_goes_down_after_five_minutes() {
    let mut control = world(|_| {});
    let sizes = run(&mut control, &[50; 2]);
    assert_eq!(sizes, [4, 4]);
    // The last recommendation of 4 is of 30 s; the look at 330 s still sees it.
    let sizes = run(&mut control, &[20; 21]);
    assert_eq!(sizes[..20], [4; 20]);
    assert_eq!(sizes[20], 2); // ⌈0.4 · 4⌉
}

/// Rule A10: two autoscalers of one Deployment stop each other.
#[test]
fn two_of_one_target_block_each_other() {
    let mut control = world(|builder| {
        let mut second = builder.hpa("web", 50, (1, 30));
        second.name = builder.name("web-two");
        builder.model.hpas.push(second);
    });
    // The first looks when the second is not known yet.
    assert_eq!(run(&mut control, &[100, 100]), [8, 8]);
    let reasons: Vec<_> = control
        .cluster
        .hpa_ids()
        .filter_map(|id| control.cluster.hpa(id))
        .map(|hpa| hpa.status.active_reason)
        .collect();
    assert_eq!(reasons, ["AmbiguousSelector"; 2]);
}

#[test]
fn without_its_target_it_does_nothing() {
    let mut control = world(|builder| {
        let hpa = &mut builder.model.hpas[0];
        hpa.target = HpaTarget::Missing;
    });
    assert_eq!(run(&mut control, &[100]), [4]);
    let hpa = control.cluster.hpa(HpaId::from_index(0)).expect("it is there");
    assert_eq!(hpa.status.able_reason, "FailedGetScale");
}

/// Rule A69: a step in mid-rollout is shared among the revisions and the rollout goes on.
#[test]
fn it_scales_in_mid_rollout() {
    let mut templates = Vec::new();
    let mut control = world(|builder| {
        let kind = seatrial::model::WorkloadKind::Deployment;
        templates.push(builder.template(kind, "web", "app:v2"));
    });
    control.run_to(secs(5));
    control.ready_after = None;
    control.roll_to(&Arc::clone(&templates[0]));
    control.settle();
    assert_eq!(control.sizes(), [2, 3]);
    control.run_to(secs(14));
    control.publish(100);
    control.run_to(secs(15));
    assert!(replicas(&control) > 4);
    control.all_ready();
    assert_eq!(control.sizes(), [replicas(&control), 0]);
}
