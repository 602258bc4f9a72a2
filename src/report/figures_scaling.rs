//! What an autoscaler did, over one axis of time: demand, pods, utilisation, machines, money.

use crate::base::SimTime;
use crate::model::Workload;
use crate::record::ScaleRecord;
use crate::recorder::{CallCounts, Facts, Gauge, ReplicaPoint, SamplePoint};

use super::chart::{Axis, Figure, Layer, Panel, Role, Stack, Unit};
use super::figures::{
    EACH_MAX, Points, bins, curve, file_part, secs, share_of, subtitle, with_commands,
};
use super::{figures_pools, metrics_scaling, names};

/// A figure for each autoscaler that has scaled something.
pub(super) fn all(facts: &Facts) -> Vec<(String, Figure)> {
    let hpas = names::hpas(&facts.model).into_iter().enumerate();
    let figure = |(index, name): (usize, String)| {
        let figure = scaling(facts, index, &name)?;
        Some((format!("scaling-{}", file_part(&name)), figure))
    };
    hpas.filter_map(figure).take(EACH_MAX).collect()
}

/// Demand first, then what follows from it: pods, how full they and the nodes are, machines, cost.
fn scaling(facts: &Facts, hpa: usize, name: &str) -> Option<Figure> {
    let target = metrics_scaling::target_of(&facts.model, hpa)?;
    let pods = pods(facts, hpa, target)?;
    let end = secs(facts.ended);
    let axis = Axis::clock().range(0.0, end);
    let mut figure = Figure::new(format!("Scaling by hpa/{name}"), axis).subtitle(subtitle(facts));
    figure.panels.extend(offered(facts, target));
    figure.panels.extend(figures_pools::demand(facts, hpa, target));
    figure.panels.push(pods);
    let steps = metrics_scaling::steps_of(facts, hpa);
    figure.panels.extend(seen(&facts.model.hpas[hpa], &steps));
    let machines = figures_pools::machines(facts);
    if machines.is_some() {
        figure.panels.extend(use_of_nodes(facts));
    }
    figure.panels.extend(machines);
    figure.panels.extend(figures_pools::cost(facts));
    figure.panels.extend(figures_pools::cost_so_far(facts));
    let mut figure = with_commands(figure, facts, (0.0, end), &[name]);
    let warmup = facts.model.run.warmup;
    if !warmup.is_zero() {
        figure = figure.span(0.0, warmup.as_secs_f64(), "warm-up");
    }
    Some(figure)
}

/// Pods that are wanted and those that are ready.
fn pods(facts: &Facts, hpa: usize, target: Workload) -> Option<Panel> {
    let own = |row: &&ReplicaPoint| row.workload == target;
    let wanted = curve(facts, |point| {
        point.replicas.iter().filter(own).map(|row| row.wanted).fold(0.0, f64::max)
    });
    let most = wanted.iter().map(|(_, pods)| *pods).fold(0.0, f64::max);
    if wanted.len() < 2 || most <= 0.0 {
        return None;
    }
    let ready = |point: &SamplePoint<'_>| -> f64 {
        point.replicas.iter().filter(own).map(|row| row.ready).sum()
    };
    let points = || facts.samples.points();
    let x = points().map(|point| secs(point.at)).collect();
    let ready = Stack::new("ready", Role::After, points().map(|point| ready(&point)).collect());
    let mut panel = Panel::new(Axis::new("pods", Unit::Count))
        .layer(Layer::stacked(x, vec![ready]))
        .layer(Layer::step("wanted", Role::Total, wanted));
    let limit = f64::from(facts.model.hpas[hpa].replicas_max);
    // A limit that is far away would press all the rest to the ground.
    if limit <= 2.0 * most {
        panel = panel.layer(Layer::level("most allowed", Role::Muted, limit));
    }
    Some(panel)
}

/// What it saw at the looks at which it changed something: between them nothing is known.
fn seen(spec: &crate::model::HpaSpec, steps: &[&ScaleRecord]) -> Option<Panel> {
    let seen = steps.iter().filter_map(|s| Some((secs(s.at), f64::from(s.utilization?) / 100.0)));
    let seen: Points = seen.collect();
    if seen.len() < 2 {
        return None;
    }
    let axis = Axis::new("use of the pods' requests, when it scaled", Unit::Share);
    let panel = Panel::new(axis).layer(Layer::dots("seen", Role::Series(0), seen));
    Some(match aim(spec) {
        Some(target) => panel.layer(Layer::level("aimed at", Role::Reference, target)),
        None => panel,
    })
}

/// How much of the nodes' CPU is asked for and used.
fn use_of_nodes(facts: &Facts) -> Option<Panel> {
    let samples = &facts.samples;
    if samples.area(Gauge::CpuAllocatable) <= 0.0 {
        return None;
    }
    let share = |of: Gauge| curve(facts, |point| share_of(point, of, Gauge::CpuAllocatable));
    let panel = Panel::new(Axis::new("share of the nodes' CPU", Unit::Share)).layer(Layer::line(
        "requested",
        Role::Series(0),
        share(Gauge::CpuRequested),
    ));
    Some(match samples.area(Gauge::CpuUsed) > 0.0 {
        true => panel.layer(Layer::line("used", Role::Series(1), share(Gauge::CpuUsed))),
        false => panel,
    })
}

/// The share of the requests that an autoscaler aims at.
fn aim(spec: &crate::model::HpaSpec) -> Option<f64> {
    use crate::model::{HpaAim, HpaMetric};
    spec.metrics.iter().find_map(|metric| match metric {
        HpaMetric::Resource { target: HpaAim::Utilization(percent), .. } => {
            Some(f64::from(*percent) / 100.0)
        }
        HpaMetric::Resource { .. }
        | HpaMetric::Pods { .. }
        | HpaMetric::Object { .. }
        | HpaMetric::External { .. }
        | HpaMetric::Unmodelled(_) => None,
    })
}

/// Calls a second to the first Service of a workload, and those of them that failed.
fn offered(facts: &Facts, target: Workload) -> Option<Panel> {
    let service = *names::services_of(&facts.model, target).first()?;
    let calls = &facts.services.as_slice()[service];
    // Means of some intervals show the tide and not the ripple.
    let bins = bins(calls, (SimTime::ZERO, SimTime::MAX), 240);
    let curve = |count: fn(&CallCounts) -> u64| {
        bins.iter().map(|bin| (secs(bin.at), bin.rate(count))).collect::<Points>()
    };
    let offered = curve(CallCounts::total);
    if offered.is_empty() {
        return None;
    }
    let mut panel = Panel::new(Axis::new("calls per second", Unit::Number));
    let failed = curve(CallCounts::failed);
    if failed.iter().any(|(_, calls)| *calls > 0.0) {
        let (x, values) = failed.into_iter().unzip();
        let failed = Stack::new("failed", Role::Failure(0), values);
        panel = panel.layer(Layer::stacked(x, vec![failed]));
    }
    Some(panel.layer(Layer::line("calls", Role::Series(0), offered)))
}
