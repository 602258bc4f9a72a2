use std::sync::{Mutex, PoisonError};

use super::testing::model;
use super::*;
use crate::base::{Duration, Symbol};
use crate::model::Workload;
use crate::record::{Cause, PodName};

/// A file that a test can look into.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }
}

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A full disk.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("no space left"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn at(ms: u64) -> SimTime {
    SimTime::at(Duration::ms(ms))
}

fn call(start: u64, fate: Fate, cause: Cause) -> CallRecord {
    CallRecord {
        source: None,
        service: ServiceId::new(0),
        start: at(start),
        latency: Duration::ms(20),
        fate,
        cause,
        retries: u32::from(fate != Fate::Ok),
        pod: Some(3),
    }
}

fn pod(serial: u64, prefix: Symbol, workload: Workload) -> PodRecord {
    PodRecord {
        ip: None,
        serial,
        namespace: workload.name.namespace,
        name: PodName::Generated { prefix, suffix: 0 },
        workload,
        revision: 1,
        node: None,
        created: at(1_500),
        scheduled: Some(at(1_750)),
        started: None,
        ready: Some(at(4_000)),
        deleted: Some(at(60_000)),
        finished: None,
        gone: Some(at(61_000)),
        price_requested: 0,
        cost_used: 0,
        restarts: 0,
        reason: "Deleted",
        message: None,
    }
}

#[test]
fn calls_before_the_warmup_are_in_the_series_only() {
    let model = model(&["checkout"]);
    let mut recorder = Recorder::new(&model, Wants::default());
    recorder.call(&call(500, Fate::Ok, Cause::None));
    recorder.call(&call(30_000, Fate::Ok, Cause::None));
    recorder.call(&call(31_000, Fate::Reset, Cause::CutByStop));
    recorder.call(&call(30_999, Fate::Ok, Cause::None));
    let facts = recorder.into_facts(&model.names, at(60_000), 9).unwrap();
    let calls = &facts.services[ServiceId::new(0)];
    assert_eq!((calls.counts.total(), calls.counts.failed(), calls.counts.retried), (3, 1, 1));
    assert_eq!(calls.counts.of_cause(Cause::CutByStop), 1);
    let series: Vec<u64> = calls.intervals().map(|(_, row)| row.counts.total()).collect();
    assert_eq!((series[0], series[30], series[31]), (1, 2, 1));
    assert_eq!(calls.between(at(30_000), at(40_000)).counts.total(), 3);
    assert_eq!(facts.failures.len(), 1);
}

#[test]
fn a_long_run_has_wider_intervals() {
    let model = model(&["checkout"]);
    let mut recorder = Recorder::new(&model, Wants::default());
    let hours = 3_600_000 * 5;
    (0..hours).step_by(500).for_each(|ms| recorder.call(&call(ms, Fate::Ok, Cause::None)));
    recorder.call(&call(1_000, Fate::Ok, Cause::None));
    let facts = recorder.into_facts(&model.names, at(hours), 9).unwrap();
    let calls = &facts.services[ServiceId::new(0)];
    assert_eq!(calls.width(), Duration::secs(8));
    assert!(calls.intervals().len() <= 4096);
    let total: u64 = calls.intervals().map(|(_, row)| row.counts.total()).sum();
    assert_eq!(total, hours / 500 + 1);
}

#[test]
fn rows_get_the_names_of_the_run() {
    let model = model(&["checkout"]);
    let mut names = crate::base::Interner::layered(Arc::clone(&model.names));
    let replica_set = names.intern("checkout-6d4cf56db6");
    let workload = model.deployments[0].template.workload;
    let (pods, failures) = (Page::default(), Page::default());
    let rows = RowSinks::default().pods(pods.clone()).failures(failures.clone());
    let mut recorder = Recorder::new(&model, Wants { events: true, rows });
    assert!(recorder.wants_events());
    recorder.pod(&pod(3, replica_set, workload));
    recorder.call(&call(60_250, Fate::Refused, Cause::StaleProxy));
    let facts = recorder.into_facts(&names, at(70_000), 9).unwrap();
    let text = pods.text();
    let row = text.lines().nth(1).unwrap();
    let wanted = "checkout-6d4cf56db6-bbbbb,default,deployment/checkout,1,,1.5,1.75,,4,60,,61,0,";
    assert!(row.starts_with(wanted), "{row}");
    let failed = failures.text();
    assert!(failed.ends_with("60.25,checkout,,0.02,refused,stale_proxy,1,3\n"), "{failed}");
    // the call ended 270 ms after the deletion of its pod
    assert_eq!(facts.after_deletion(&facts.failures[0]), Some(Duration::ms(270)));
    assert_eq!((facts.pods.all.placed, facts.pods.all.pending.max()), (1, Duration::ms(250)));
    assert!(facts.trouble.is_empty());
}

#[test]
fn a_full_disk_is_told_and_does_not_end_the_run() {
    let model = model(&["checkout"]);
    let rows = RowSinks::default().pods(Full);
    let mut recorder = Recorder::new(&model, Wants { events: false, rows });
    let workload = model.deployments[0].template.workload;
    let name = model.deployments[0].name.name;
    (0..2_000).for_each(|serial| recorder.pod(&pod(serial, name, workload)));
    let facts = recorder.into_facts(&model.names, at(70_000), 9).unwrap();
    assert_eq!(facts.trouble, ["pods.csv: no space left"]);
    assert_eq!(facts.pods.all.created, 2_000);
}

#[test]
fn a_rollout_lasts_until_the_last_old_pod_is_gone() {
    let model = model(&["checkout"]);
    let mut recorder = Recorder::new(&model, Wants::default());
    let workload = model.deployments[0].template.workload;
    let step = |ms, step| RolloutRecord { at: at(ms), workload, revision: 2, step };
    recorder.rollout(step(50_000, RolloutStep::Started));
    recorder.rollout(step(58_000, RolloutStep::Completed));
    recorder.pod(&pod(3, model.deployments[0].name.name, workload));
    let facts = recorder.into_facts(&model.names, at(90_000), 9).unwrap();
    let rollout = &facts.rollouts[0];
    assert_eq!(rollout.duration(), Some(Duration::secs(8)));
    assert_eq!(rollout.settled(), Some(at(66_000)));
}

#[test]
fn a_recorder_that_is_off_keeps_nothing() {
    let mut recorder = Recorder::off();
    recorder.call(&call(0, Fate::Ok, Cause::None));
    assert!(recorder.into_facts(&Interner::new(), at(1), 1).is_none());
}
