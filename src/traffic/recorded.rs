//! CPU that pods spend whatever they are called: series of the scenario.
//!
//! ```text
//! a workload's series ÷ its ready pods, capped by the container's limit ─► a meter ─► pods read it
//! ```
//!
//! A meter sums what one pod of its kind spends, so that many pods cost no more than one. What a
//! limit cuts off is lost: nobody makes up for it later.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime};
use crate::cluster::{Change, Cluster, Phase};
use crate::model::{Behavior, CpuOf, CpuUse, Model, PodId, PodRef, PodSpec, Template, Workload};

/// The meters of all workloads.
#[derive(Debug, Default)]
pub(super) struct RecordedCpu {
    /// Whether any container has a series.
    is_on: bool,
    shares: BTreeMap<Workload, Share>,
    rows: IdVec<PodId, Option<Row>>,
}

/// What the pods of a workload share.
#[derive(Debug, Default)]
struct Share {
    /// Until when its meters have counted.
    at: SimTime,
    ready: u32,
    meters: Vec<Meter>,
}

/// What a pod with this behaviour and limit has spent since the start of the run, in core-seconds.
#[derive(Debug)]
struct Meter {
    behavior: Arc<Behavior>,
    cap: f64,
    total: f64,
}

/// A pod that has a series.
#[derive(Clone, Debug)]
struct Row {
    pod: PodRef,
    workload: Workload,
    is_ready: bool,
    lines: Vec<Line>,
}

/// A container's series: its meter, what it said when the container began to take part, and what
/// was spent before.
#[derive(Clone, Debug)]
struct Line {
    meter: usize,
    since: Option<f64>,
    spent: f64,
}

impl RecordedCpu {
    pub(super) fn new(model: &Model) -> Self {
        let is_on = model.behaviors.rules.iter().any(|rule| rule.change.cpu.is_some());
        Self { is_on, ..Self::default() }
    }

    pub(super) fn observe(&mut self, change: &Change, cluster: &Cluster, now: SimTime) {
        if !self.is_on {
            return;
        }
        match change {
            Change::PodStatus { pod, .. } | Change::PodDeleting { pod, .. } => {
                self.look(*pod, cluster, now);
            }
            Change::PodRemoved { pod, .. } => self.remove(*pod, now),
            Change::PodResized { pod, is_asked: false, .. } => self.resized(*pod, cluster, now),
            _ => {}
        }
    }

    /// What a pod's containers have spent by their series.
    pub(super) fn spent(&mut self, pod: PodRef, now: SimTime) -> Duration {
        let row = self.rows.get(pod.id).and_then(Option::as_ref).filter(|row| row.pod == pod);
        let Some(row) = row else { return Duration::ZERO };
        let share = self.shares.entry(row.workload).or_default();
        share.advance(now);
        let spent = |line: &Line| line.spent_until(share.meters[line.meter].total);
        Duration::from_secs_f64(row.lines.iter().map(spent).sum())
    }

    /// A pod changed: it begins or ends to take part.
    fn look(&mut self, pod: PodRef, cluster: &Cluster, now: SimTime) {
        let Some(look) = cluster.pod(pod) else { return };
        let template = &cluster.template_of(look).template;
        if self.row(pod).is_none() {
            if look.status.phase != Phase::Running || !has_series(template) {
                return;
            }
            self.add(pod, template, cluster.actual(look), now);
        }
        let runs = look.status.phase == Phase::Running;
        self.set(pod, (runs, runs && look.status.ready && look.deletion.is_none()), now);
    }

    fn row(&mut self, pod: PodRef) -> Option<&mut Row> {
        self.rows.get_mut(pod.id)?.as_mut().filter(|row| row.pod == pod)
    }

    /// A pod's containers may have other limits now.
    fn resized(&mut self, pod: PodRef, cluster: &Cluster, now: SimTime) {
        let Some(look) = cluster.pod(pod) else { return };
        let template = &cluster.template_of(look).template;
        let Some(row) = self.rows.get_mut(pod.id).and_then(Option::as_mut) else { return };
        if row.pod != pod {
            return;
        }
        let share = self.shares.entry(row.workload).or_default();
        share.advance(now);
        let meters = meters(share, template, cluster.actual(look));
        for (line, meter) in row.lines.iter_mut().zip(meters) {
            line.spent = line.spent_until(share.meters[line.meter].total);
            line.since = line.since.map(|_| share.meters[meter].total);
            line.meter = meter;
        }
    }

    fn add(&mut self, pod: PodRef, template: &Template, actual: &PodSpec, now: SimTime) {
        let workload = template.workload;
        let share = self.shares.entry(workload).or_default();
        share.advance(now);
        let lines = meters(share, template, actual).into_iter();
        let lines = lines.map(|meter| Line { meter, since: None, spent: 0.0 }).collect();
        let row = Row { pod, workload, is_ready: false, lines };
        *self.rows.grow_to(pod.id) = Some(row);
    }

    fn set(&mut self, pod: PodRef, (runs, is_ready): (bool, bool), now: SimTime) {
        let Some(row) = self.rows.get_mut(pod.id).and_then(Option::as_mut) else { return };
        let share = self.shares.entry(row.workload).or_default();
        share.advance(now);
        match (row.is_ready, is_ready) {
            (false, true) => share.ready += 1,
            (true, false) => share.ready -= 1,
            (true, true) | (false, false) => {}
        }
        row.is_ready = is_ready;
        for line in &mut row.lines {
            let meter = &share.meters[line.meter];
            let takes_part = match meter.series().of {
                CpuOf::Workload => is_ready,
                CpuOf::Pod => runs,
            };
            match (line.since, takes_part) {
                (None, true) => line.since = Some(meter.total),
                (Some(_), false) => {
                    line.spent = line.spent_until(meter.total);
                    line.since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
    }

    fn remove(&mut self, pod: PodRef, now: SimTime) {
        if self.row(pod).is_some() {
            self.set(pod, (false, false), now);
            self.rows[pod.id] = None;
        }
    }
}

/// The meters of a pod's containers that have a series.
fn meters(share: &mut Share, template: &Template, actual: &PodSpec) -> Vec<usize> {
    let mut meters = Vec::new();
    let inits = template.spec.init_containers.len();
    for (index, container) in actual.containers.iter().enumerate() {
        let behavior = template.behaviors.get(inits + index);
        let Some(behavior) = behavior.filter(|behavior| behavior.cpu.is_some()) else { continue };
        let cap = container.cpu_limit.map_or(f64::INFINITY, |limit| limit.as_cores());
        meters.push(share.meter(behavior, cap));
    }
    meters
}

fn has_series(template: &Template) -> bool {
    let own = template.behaviors.iter().skip(template.spec.init_containers.len());
    own.into_iter().any(|behavior| behavior.cpu.is_some())
}

impl Line {
    fn spent_until(&self, total: f64) -> f64 {
        self.spent + self.since.map_or(0.0, |since| total - since)
    }
}

impl Meter {
    fn series(&self) -> &CpuUse {
        self.behavior.cpu.as_ref().expect("a meter is made for a series")
    }
}

impl Share {
    fn meter(&mut self, behavior: &Arc<Behavior>, cap: f64) -> usize {
        let is_same = |meter: &Meter| {
            meter.cap.total_cmp(&cap).is_eq()
                && (Arc::ptr_eq(&meter.behavior, behavior) || meter.behavior.cpu == behavior.cpu)
        };
        self.meters.iter().position(is_same).unwrap_or_else(|| {
            self.meters.push(Meter { behavior: Arc::clone(behavior), cap, total: 0.0 });
            self.meters.len() - 1
        })
    }

    fn advance(&mut self, now: SimTime) {
        let from = std::mem::replace(&mut self.at, now);
        if from >= now {
            return;
        }
        for meter in &mut self.meters {
            let series = meter.series();
            let sharers = match series.of {
                CpuOf::Pod => 1.0,
                CpuOf::Workload if self.ready == 0 => continue,
                CpuOf::Workload => f64::from(self.ready),
            };
            let parts = series.cores.parts(from, now);
            let spent: f64 =
                parts.map(|(secs, cores)| secs * (cores / sharers).min(meter.cap)).sum();
            meter.total += spent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rate;

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + Duration::secs(secs)
    }

    fn behavior(of: CpuOf) -> Arc<Behavior> {
        let points = vec![(at(0), 2.0), (at(10), 6.0)];
        let cores = Rate { points: points.into(), is_linear: false, repeat: None };
        Arc::new(Behavior { cpu: Some(CpuUse { cores, of }), ..Behavior::plain() })
    }

    #[test]
    fn ready_pods_share_the_series_of_their_workload_up_to_their_limits() {
        let mut share = Share { ready: 2, ..Share::default() };
        let free = share.meter(&behavior(CpuOf::Workload), f64::INFINITY);
        let limited = share.meter(&behavior(CpuOf::Workload), 1.5);
        assert_eq!(share.meter(&behavior(CpuOf::Workload), 1.5), limited);
        share.advance(at(20));
        assert!((share.meters[free].total - (10.0 + 30.0)).abs() < 1e-9);
        assert!((share.meters[limited].total - (10.0 + 15.0)).abs() < 1e-9);
        share.ready = 0;
        share.advance(at(30));
        assert!((share.meters[free].total - 40.0).abs() < 1e-9, "nobody is there to take it");
    }

    #[test]
    fn a_series_of_each_pod_is_not_shared() {
        let mut share = Share { ready: 2, ..Share::default() };
        let own = share.meter(&behavior(CpuOf::Pod), f64::INFINITY);
        share.advance(at(15));
        assert!((share.meters[own].total - (20.0 + 30.0)).abs() < 1e-9);
    }
}
