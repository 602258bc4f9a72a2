//! Jobs, CronJobs and their pods in a run, with the real scheduler and kubelet in ideal latencies.

use std::sync::Arc;

use seatrial::api::Kind;
use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Cluster, Job, Phase, Pod, Write};
use seatrial::engine::World;
use seatrial::model::{Model, PodRef, Propagation};

use crate::support::{begun, load_memory};

/// A model with these manifests and behaviours; the clock begins at midnight, Monday 5 January 2026.
fn model(manifests: &str, behaviors: &str) -> Arc<Model> {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: node, count: 2, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [all.yaml]
behaviors: [{behaviors}]
run: {{ start: \"2026-01-05T00:00:00Z\", until: 24h }}
"
    );
    load_memory(&[("scenario.yaml", scenario.as_str()), ("all.yaml", manifests)]).model
}

fn job_spec(spec: &str, restart: &str) -> String {
    let comma = if spec.is_empty() { "" } else { ", " };
    format!(
        "{{ {spec}{comma}template: {{ spec: {{ restartPolicy: {restart}, \
         terminationGracePeriodSeconds: 5, containers: [{{ name: c, image: c }}] }} }} }}"
    )
}

/// A Job named `own`.
fn job(spec: &str, restart: &str) -> String {
    let spec = job_spec(spec, restart);
    format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: own }}\nspec: {spec}\n")
}

/// A CronJob named `own`.
fn cron_job(spec: &str, job: &str) -> String {
    let job = job_spec(job, "Never");
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{ name: own }}\nspec: {{ {spec}, \
         jobTemplate: {{ spec: {job} }} }}\n"
    )
}

struct Run(World);

impl Run {
    fn new(manifests: &str, behaviors: &str) -> Self {
        Self(begun(&model(manifests, behaviors)))
    }

    /// Until just after that many seconds.
    fn to(&mut self, secs: u64) -> &mut Self {
        self.0.step_until(SimTime::at(Duration::secs(secs) + Duration::ms(1)));
        self
    }

    fn cluster(&self) -> &Cluster {
        self.0.cluster()
    }

    fn job(&self) -> &Job {
        self.cluster().jobs().iter().next().expect("a Job").1
    }

    /// Active, succeeded, failed.
    fn counts(&self) -> (u32, u32, u32) {
        let status = &self.job().status;
        (status.active, status.succeeded, status.failed)
    }

    fn reasons(&self) -> Vec<(&'static str, &'static str)> {
        let conditions = self.job().status.conditions.iter().filter(|c| c.holds);
        conditions.map(|c| (c.kind.as_str(), c.reason)).collect()
    }

    fn pods(&self) -> Vec<&Pod> {
        let mut pods: Vec<&Pod> = self.cluster().pods().iter().map(|(_, pod)| pod).collect();
        pods.sort_by_key(|pod| pod.serial);
        pods
    }

    fn first_active(&self) -> PodRef {
        let pods = self.cluster().pods();
        let active = pods.iter().filter(|(_, pod)| pod.is_active());
        let first = active.min_by_key(|(_, pod)| pod.serial).expect("an active pod");
        pods.refer(first.0)
    }

    fn write(&mut self, write: Write) {
        self.0.apply(|_, plan| plan.push(write));
    }

    fn jobs(&self) -> Vec<String> {
        let names = self.cluster().names();
        let jobs = self.cluster().jobs().iter();
        let mut all: Vec<String> =
            jobs.map(|(_, job)| names.resolve(job.spec.name.name).to_owned()).collect();
        all.sort();
        all
    }

    fn delete(&mut self, propagation: Propagation) {
        let name = self.job().spec.name;
        self.write(Write::Delete { kind: Kind::Job, name, propagation, grace: None });
    }
}

const MINUTE: &str = "{ for: job/own, run: 60s }";

/// Rules C114, C115, C116, C121: one completion by default; the end of a pod is seen a second later;
/// a pod that is counted has lost its finalizer.
#[test]
fn a_job_is_complete_when_its_pod_has_succeeded() {
    let mut run = Run::new(&job("", "Never"), MINUTE);
    assert_eq!(run.to(1).counts(), (1, 0, 0));
    assert!(run.pods()[0].is_tracked);
    assert_eq!(run.to(60).counts(), (1, 0, 0));
    assert_eq!(run.to(61).counts(), (0, 1, 0));
    let expected =
        [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")];
    assert_eq!(run.reasons(), expected);
    let pod = run.pods()[0];
    assert!(!pod.is_tracked && pod.status.phase == Phase::Succeeded);
}

/// Rules C114, C121, C123: with parallelism alone it is a work queue; once one pod has succeeded no
/// other is made, and it is complete when none runs.
#[test]
fn a_work_queue_is_done_when_one_has_succeeded_and_none_runs() {
    let mut run = Run::new(&job("parallelism: 3", "Never"), MINUTE);
    assert_eq!(run.to(1).counts(), (3, 0, 0));
    assert_eq!(run.to(61).counts(), (0, 3, 0));
    assert!(run.job().status.finished().is_some());
}

/// Rules C119, C125: each failed pod doubles the wait, 10 s first; more than `backoffLimit`
/// failures end the Job.
#[test]
fn failed_pods_are_replaced_later_and_later() {
    let behaviors = "{ for: job/own, run: 2s, exit: [{ code: 1 }] }";
    let mut run = Run::new(&job("backoffLimit: 2", "Never"), behaviors);
    // It ends at 2 s; 10 s later the next one starts and ends at 14 s; 20 s later, at 34 s, the
    // third, which ends at 36 s.
    assert_eq!(run.to(11).counts(), (0, 0, 1));
    assert_eq!(run.to(12).counts(), (1, 0, 1));
    assert_eq!(run.to(33).counts(), (0, 0, 2));
    assert_eq!(run.to(34).counts(), (1, 0, 2));
    assert_eq!(run.to(37).counts(), (0, 0, 3));
    assert_eq!(run.reasons()[0], ("FailureTarget", "BackoffLimitExceeded"));
}

/// Rule C119: a pod with OnFailure is started again in place; its restarts count.
#[test]
fn restarts_count_where_pods_are_not_replaced() {
    let behaviors = "{ for: job/own, run: 2s, exit: [{ code: 1 }] }";
    let mut run = Run::new(&job("backoffLimit: 2", "OnFailure"), behaviors);
    assert_eq!(run.to(10).pods().len(), 1);
    run.to(200);
    assert!(run.pods().iter().all(|pod| pod.status.restarts == 2));
    assert_eq!(run.reasons()[0], ("FailureTarget", "BackoffLimitExceeded"));
}

/// Rules C118, C120, C122: the deadline ends it; Failed comes when the last pod is gone.
#[test]
fn a_deadline_ends_a_job_and_its_pods() {
    let behaviors = "{ for: job/own, run: 60s, shutdown: { ignoresSignal: true } }";
    let mut run = Run::new(&job("activeDeadlineSeconds: 20", "Never"), behaviors);
    assert_eq!(run.to(19).counts(), (1, 0, 0));
    assert_eq!(run.to(20).counts(), (0, 0, 1));
    assert_eq!(run.reasons(), [("FailureTarget", "DeadlineExceeded")]);
    assert_eq!(run.job().status.terminating, 1);
    run.to(27);
    assert_eq!(run.reasons()[1], ("Failed", "DeadlineExceeded"));
    assert!(run.pods().is_empty());
}

/// Rules C124, C131, C132: a suspended Job has no pods, and they do not count as failed; resumed it
/// begins anew.
#[test]
fn a_suspended_job_has_no_pods() {
    let mut run = Run::new(&job("parallelism: 2, completions: 4", "Never"), MINUTE);
    run.to(10);
    patch(&mut run, "suspend", true.into());
    assert_eq!(run.to(10).counts(), (0, 0, 0));
    assert_eq!(run.job().status.start_time, None);
    assert_eq!(run.reasons(), [("Suspended", "JobSuspended")]);
    run.to(30);
    patch(&mut run, "suspend", false.into());
    assert_eq!(run.to(30).counts(), (2, 0, 0));
    assert_eq!(run.job().status.start_time, Some(SimTime::at(Duration::secs(30))));
}

/// Puts another value of a field of the Job's `spec` in place.
fn patch(run: &mut Run, field: &str, value: serde_json::Value) {
    let name = run.job().spec.name;
    let mut tree = (**run.cluster().tree(Kind::Job, name).expect("its tree")).clone();
    tree["spec"][field] = value;
    let model = Arc::clone(run.cluster().model());
    let mut names = seatrial::base::Interner::layered(Arc::clone(&model.names));
    let (behaviors, classes) = (&model.behaviors, &model.priorities);
    let mut cx = seatrial::api::Lowering { behaviors, classes, names: &mut names };
    let object = seatrial::api::lower_object(Kind::Job, &Arc::new(tree), &mut cx);
    run.write(Write::Replace(Box::new(object.expect("it can be lowered"))));
}

/// Rules C127, C128, C129: each index has its own limit of failures; indexes without pods are filled
/// from the lowest on; names carry the index.
#[test]
fn indexes_fail_one_by_one() {
    let behaviors = "{ for: job/own, run: 2s, exit: [{ code: 3, indexes: [1] }] }";
    let spec = "completions: 4, parallelism: 2, completionMode: Indexed, backoffLimitPerIndex: 1";
    let mut run = Run::new(&job(spec, "Never"), behaviors);
    let names = |run: &Run| -> Vec<String> {
        let texts = run.cluster().names();
        run.pods().iter().map(|pod| pod.name.text(texts)).collect()
    };
    let first = names(run.to(1));
    assert!(first[0].starts_with("own-0-") && first[1].starts_with("own-1-"), "{first:?}");
    // Index 1 fails at 2 s and is tried again after 10 s; 2 and 3 go on meanwhile.
    run.to(60);
    let status = &run.job().status;
    assert_eq!(status.completed_indexes.to_string(), "0,2,3");
    assert_eq!(status.failed_indexes.as_ref().expect("judged").to_string(), "1");
    assert_eq!((status.succeeded, status.failed), (3, 2));
    assert_eq!(run.reasons()[0], ("FailureTarget", "FailedIndexes"));
    let again: Vec<u32> = run.pods().iter().map(|pod| pod.index_failures.counted).collect();
    assert_eq!(again.iter().sum::<u32>(), 1);
}

/// Rule C129: exit codes that the policy names end the Job at once; those that it ignores do not
/// count.
#[test]
fn a_failure_policy_looks_at_exit_codes() {
    let policy = |action: &str| {
        let rule = format!("{{ action: {action}, onExitCodes: {{ operator: In, values: [42] }} }}");
        job(&format!("backoffLimit: 3, podFailurePolicy: {{ rules: [{rule}] }}"), "Never")
    };
    let behaviors = "{ for: job/own, run: 2s, exit: [{ code: 42 }] }";
    let mut run = Run::new(&policy("FailJob"), behaviors);
    assert_eq!(run.to(3).counts(), (0, 0, 1));
    assert_eq!(run.reasons()[0], ("FailureTarget", "PodFailurePolicy"));
    let message = &run.job().status.conditions[0].message;
    assert!(message.contains("failed with exit code 42 matching FailJob rule at index 0"));
    let mut run = Run::new(&policy("Ignore"), behaviors);
    assert_eq!(run.to(600).job().status.failed, 0);
    assert!(run.job().status.finished().is_none());
}

/// Rule C130: the rest is deleted when the policy is met.
#[test]
fn a_success_policy_ends_a_job_early() {
    let spec = "completions: 4, parallelism: 4, completionMode: Indexed, \
                successPolicy: { rules: [{ succeededIndexes: \"0\" }] }";
    let behaviors = "{ for: job/own, run: 9s }";
    let mut run = Run::new(&job(spec, "Never"), behaviors);
    run.to(11);
    assert_eq!(run.reasons()[0], ("SuccessCriteriaMet", "SuccessPolicy"));
}

/// Rules C117, C123: a pod that somebody deletes counts as failed and is replaced; with
/// `podReplacementPolicy: Failed` only when it has ended.
#[test]
fn deleted_pods_are_replaced_by_policy() {
    let behaviors = "{ for: job/own, run: 60s, shutdown: { ignoresSignal: true } }";
    for (policy, early) in [("TerminatingOrFailed", 1), ("Failed", 0)] {
        let spec = format!("podReplacementPolicy: {policy}");
        let mut run = Run::new(&job(&spec, "Never"), behaviors);
        run.to(10);
        let pod = run.first_active();
        run.write(Write::DeletePod { pod, grace: None });
        assert_eq!(run.to(12).job().status.failed, early, "{policy}");
        run.to(40);
        assert_eq!(run.counts(), (1, 0, 1), "{policy}");
    }
}

/// Rules C133, C191, C194: what becomes of the pods of a Job that is deleted.
#[test]
fn pods_of_a_deleted_job_go_or_stay() {
    let mut run = Run::new(&job("", "Never"), MINUTE);
    run.to(10).delete(Propagation::Background);
    run.to(20);
    assert!(run.pods().is_empty());
    let mut run = Run::new(&job("", "Never"), MINUTE);
    run.to(10).delete(Propagation::Orphan);
    run.to(20);
    let pod = run.pods()[0];
    assert!(pod.owner.is_none() && !pod.is_tracked && pod.is_active());
}

/// Rule C134.
#[test]
fn an_ended_job_goes_after_its_time_to_live() {
    let mut run = Run::new(&job("ttlSecondsAfterFinished: 30", "Never"), MINUTE);
    assert_eq!(run.to(90).jobs().len(), 1);
    assert_eq!(run.to(91).jobs().len(), 0);
    assert!(run.pods().is_empty());
}

/// Rules C135, C136, C141, C142, C143: a Job a point, called after its minute; three succeeded ones
/// are kept.
#[test]
fn a_cron_job_starts_a_job_at_each_point() {
    let behaviors = "{ for: cronjob/own, run: 10s }";
    let mut run = Run::new(&cron_job("schedule: \"*/5 * * * *\"", ""), behaviors);
    // Unix minute 29459520 is 2026-01-05 00:00.
    assert_eq!(run.to(301).jobs(), ["own-29459525"]);
    assert_eq!(
        run.to(1801).jobs(),
        ["own-29459535", "own-29459540", "own-29459545", "own-29459550",]
    );
    assert_eq!(run.to(1815).jobs().len(), 3);
}

/// Rules C139 and C140: Forbid starts the blocked point late, when the earlier Job has ended;
/// Replace deletes the earlier one.
#[test]
fn a_cron_job_whose_jobs_overlap() {
    let behaviors = "{ for: cronjob/own, run: 90s }";
    let of = |policy: &str, more: &str| {
        let spec = format!("schedule: \"* * * * *\", concurrencyPolicy: {policy}{more}");
        Run::new(&cron_job(&spec, ""), behaviors)
    };
    let ended = |run: &Run| {
        run.cluster().jobs().iter().filter(|(_, job)| job.status.finished().is_some()).count()
    };
    let mut run = of("Forbid", "");
    assert_eq!(run.to(130).jobs().len(), 1);
    // Started at 60.1 s, it ends at 150.1 s; 2:00 is made up for a second later.
    assert_eq!(run.to(152).jobs().len(), 2);
    assert_eq!(ended(&run), 1);
    // Rule C138: not if that is too late.
    let mut run = of("Forbid", ", startingDeadlineSeconds: 20");
    assert_eq!(run.to(152).jobs().len(), 1);
    assert_eq!(run.to(181).jobs().len(), 2);
    let mut run = of("Replace", "");
    assert_eq!(run.to(600).jobs().len(), 1);
    assert_eq!(ended(&run), 0);
    let mut run = of("Allow", "");
    assert_eq!(run.to(125).jobs().len(), 2);
}

/// Rule C137: of many missed points the latest is started.
#[test]
fn a_cron_job_that_was_suspended_makes_up_for_the_latest_point() {
    let spec = "schedule: \"* * * * *\", suspend: true";
    let mut run = Run::new(&cron_job(spec, ""), "{ for: cronjob/own, run: 10s }");
    run.to(3 * 3600 + 30);
    assert!(run.jobs().is_empty());
    let row = run.cluster().cron_jobs().iter().next().expect("a CronJob").1;
    let name = row.spec.name;
    let tree = row.spec.source.to_string().replace("\"suspend\":true", "\"suspend\":false");
    let tree = serde_json::from_str(&tree).expect("a tree");
    let model = Arc::clone(run.cluster().model());
    let mut names = seatrial::base::Interner::layered(Arc::clone(&model.names));
    let (behaviors, classes) = (&model.behaviors, &model.priorities);
    let mut cx = seatrial::api::Lowering { behaviors, classes, names: &mut names };
    let object = seatrial::api::lower_object(Kind::CronJob, &Arc::new(tree), &mut cx);
    run.write(Write::Replace(Box::new(object.expect("it can be lowered"))));
    assert_eq!(run.to(3 * 3600 + 31).jobs(), ["own-29459700"], "{name:?}");
}

/// Rule C126 as recorded: pods that run stay counted while others wait for their back-off.
#[test]
fn active_pods_are_told_while_new_ones_wait() {
    let spec = "completions: 2, parallelism: 2, completionMode: Indexed";
    let behaviors = "{ for: job/own, run: 5s, exit: [{ code: 1, indexes: [0] }] }, \
                     { for: job/own, run: 5s }";
    let mut run = Run::new(&job(spec, "Never"), behaviors);
    run.to(3);
    let pod = run.first_active();
    run.write(Write::DeletePod { pod, grace: None });
    assert_eq!(run.to(5).job().status.active, 1);
}

/// Rule C127: a Service can select one index.
#[test]
fn a_service_finds_the_pod_of_an_index() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: { name: first }\nspec: { ports: \
                   [{ port: 80 }], selector: { job-name: own, \
                   batch.kubernetes.io/job-completion-index: \"0\" } }\n";
    let spec = "completions: 3, parallelism: 3, completionMode: Indexed";
    let manifests = format!("{}{service}", job(spec, "Never"));
    let mut run = Run::new(&manifests, MINUTE);
    run.to(2);
    let id = run.cluster().service_ids().next().expect("a Service");
    let pods = &run.cluster().service(id).expect("it is there").pods;
    let indexes: Vec<_> = pods.iter().map(|pod| run.cluster().pods()[*pod].index).collect();
    assert_eq!(indexes, [Some(0)]);
}

/// Looks at a Job are linear in its pods, and at most one a second.
#[test]
fn a_job_of_many_pods() {
    let behaviors = "{ for: job/own, run: 5s }";
    let spec = "completions: 1500, parallelism: 32, completionMode: Indexed";
    let mut run = Run::new(&job(spec, "Never"), behaviors);
    run.to(600);
    assert_eq!(run.job().status.completed_indexes.to_string(), "0-1499");
    assert!(run.job().status.finished().is_some());
}
