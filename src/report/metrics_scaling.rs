//! The numbers of autoscalers: how far, how often and how soon they stepped.

use crate::base::{SimTime, cast};
use crate::model::{HpaTarget, Load, Model, Rate, Workload, WorkloadKind};
use crate::record::ScaleRecord;
use crate::recorder::{Facts, ReplicaPoint};

use super::names;
use super::summary::{Metrics, Unit};

/// The steps of one autoscaler.
pub(super) fn steps_of(facts: &Facts, hpa: usize) -> Vec<&ScaleRecord> {
    facts.scales.iter().filter(|step| step.hpa.index() == hpa).collect()
}

/// The workload that an autoscaler scales, if it is in the model.
pub(super) fn target_of(model: &Model, hpa: usize) -> Option<Workload> {
    let spec = &model.hpas[hpa];
    let (kind, name) = match spec.target {
        HpaTarget::Deployment(name) => (WorkloadKind::Deployment, name),
        HpaTarget::ReplicaSet(name) => (WorkloadKind::ReplicaSet, name),
        HpaTarget::ReplicationController(name) => (WorkloadKind::ReplicationController, name),
        HpaTarget::StatefulSet(name) => (WorkloadKind::StatefulSet, name),
        HpaTarget::Missing => return None,
    };
    let name = crate::model::ObjectName { namespace: spec.name.namespace, name };
    Some(Workload { kind, name })
}

pub(super) fn put_hpa(name: &str, index: usize, facts: &Facts, out: &mut Metrics) {
    let steps = steps_of(facts, index);
    let ups = steps.iter().filter(|step| step.to > step.from).count();
    let downs = steps.len() - ups;
    let turns =
        steps.windows(2).filter(|pair| (pair[0].to > pair[0].from) != (pair[1].to > pair[1].from));
    let reversals = cast::f64_of_usize(turns.count());
    let target = target_of(&facts.model, index);
    let (least, most, mean) = replicas(facts, target, &steps);
    let mut put = |last: &str, value: Option<f64>, unit, about| {
        out.put(&["hpas", name, last], value, unit, about);
    };
    put("replicas_min", least, Unit::Pods, "fewest pods wanted");
    put("replicas_max", most, Unit::Pods, "most pods wanted");
    put("replicas_mean", mean, Unit::Pods, "mean over time of the pods that were there");
    put("steps_up", Some(cast::f64_of_usize(ups)), Unit::Count, "steps upwards");
    put("steps_down", Some(cast::f64_of_usize(downs)), Unit::Count, "steps downwards");
    put("reversals", Some(reversals), Unit::Count, "steps against the one before");
    let rise = first_rise(&facts.model, target);
    let step = steps.iter().find(|step| step.to > step.from && Some(step.at) >= rise);
    let after = rise.and_then(|rise| step?.at.checked_since(rise));
    let after = after.map(crate::base::Duration::as_secs_f64);
    let about = "from the first rise of the traffic to the first step upwards";
    put("first_step_after", after, Unit::Seconds, about);
}

/// Fewest and most pods wanted, and the mean of those that were there.
fn replicas(
    facts: &Facts,
    target: Option<Workload>,
    steps: &[&ScaleRecord],
) -> (Option<f64>, Option<f64>, Option<f64>) {
    let own = |row: &&ReplicaPoint| Some(row.workload) == target;
    let points = facts.samples.points();
    let sampled = points.clone().flat_map(|p| p.replicas.iter().filter(own).map(|r| r.wanted));
    let stepped = steps.iter().flat_map(|step| [step.from, step.to]).map(f64::from);
    let wanted: Vec<f64> = sampled.chain(stepped).collect();
    let least = wanted.iter().copied().reduce(f64::min);
    let most = wanted.iter().copied().reduce(f64::max);
    let pods = points.map(|point| {
        let own: f64 = point.replicas.iter().filter(own).map(|row| row.pods).sum();
        own * f64::from(point.samples)
    });
    let samples = facts.samples.samples();
    let mean = (samples > 0.0).then(|| pods.sum::<f64>() / samples);
    (least, most, mean)
}

/// When the traffic to the Services of a Deployment rises first.
fn first_rise(model: &Model, target: Option<Workload>) -> Option<SimTime> {
    let services = names::services_of(model, target?);
    let called = |to| services.iter().any(|index| model.services[*index].name == to);
    let sources = model.traffic.iter().filter(|source| called(source.to));
    let rates = sources.filter_map(|source| match &source.load {
        Load::Poisson(rate) => Some(rate),
        Load::Modulated { .. } | Load::Recorded { .. } | Load::Users { .. } => None,
    });
    rates.filter_map(rise_of).min()
}

fn rise_of(rate: &Rate) -> Option<SimTime> {
    let rising = rate.points.windows(2).find(|pair| pair[1].1 > pair[0].1)?;
    Some(if rate.is_linear { rising[0].0 } else { rising[1].0 })
}
