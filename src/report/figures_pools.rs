//! Panels of machines and money by pool, and of what an autoscaler has to follow.

use crate::base::{SimTime, Symbol};
use crate::model::{CpuOf, HpaMetric, MetricSource, Rate, Workload};
use crate::recorder::{Facts, Gauge, PoolPoint, SamplePoint};

use super::chart::{Axis, Layer, Panel, Role, Shape, Stack, Unit};
use super::figures::{Points, curve, secs};

/// The name of a layer and the pools that it stands for.
type Group<'a> = (&'a str, &'a [(&'a str, Symbol)]);

/// Pools that have a colour of their own; the rest is one more.
const POOLS_MAX: usize = 6;

/// Machines by pool on top of each other, and the nodes that are ready, where that changes.
pub(super) fn machines(facts: &Facts) -> Option<Panel> {
    let ready = curve(facts, |point| point.gauge(Gauge::NodesReady).mean);
    let stacks = stacks(facts, |row| row.nodes);
    if !varies(&ready) && !stacks.iter().any(|stack| !is_level(&stack.values)) {
        return None;
    }
    let panel = Panel::new(Axis::new("nodes by pool", Unit::Count));
    Some(panel.layer(Layer::stacked(instants(facts), stacks)).layer(Layer::step(
        "ready nodes",
        Role::Total,
        ready,
    )))
}

/// What the machines cost an hour by pool, where it changes.
pub(super) fn cost(facts: &Facts) -> Option<Panel> {
    let stacks = stacks(facts, |row| row.cost_usd_per_hour);
    if stacks.iter().all(|stack| is_level(&stack.values)) {
        return None;
    }
    let panel = Panel::new(Axis::new("cost of nodes by pool, USD an hour", Unit::Number));
    Some(panel.layer(Layer::stacked(instants(facts), stacks)))
}

/// What the machines have cost since the start, by pool, where that is more than one straight line.
pub(super) fn cost_so_far(facts: &Facts) -> Option<Panel> {
    let mut stacks = stacks(facts, |row| row.cost_usd_per_hour);
    if stacks.iter().all(|stack| is_level(&stack.values)) {
        return None;
    }
    let x = instants(facts);
    for stack in &mut stacks {
        let mut sum = 0.0;
        let rates = std::mem::take(&mut stack.values);
        let spans = x.iter().scan(0.0, |before, at| Some(at - std::mem::replace(before, *at)));
        stack.values = spans
            .zip(rates)
            .map(|(span, rate)| {
                sum += rate * span / 3600.0;
                sum
            })
            .collect();
    }
    let panel = Panel::new(Axis::new("cost of nodes so far, USD", Unit::Number));
    Some(panel.layer(Layer::Stacked { x, series: stacks, shape: Shape::Lines }))
}

fn varies(points: &Points) -> bool {
    points.windows(2).any(|pair| pair[0].1.total_cmp(&pair[1].1).is_ne())
}

fn is_level(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0].total_cmp(&pair[1]).is_eq())
}

fn instants(facts: &Facts) -> Vec<f64> {
    facts.samples.points().map(|point| secs(point.at)).collect()
}

/// One series a pool, by name; those that hardly count are one.
fn stacks(facts: &Facts, value: impl Fn(&PoolPoint) -> f64) -> Vec<Stack> {
    let points = facts.samples.points();
    let mut pools: Vec<(&str, Symbol)> = Vec::new();
    for row in points.clone().flat_map(|point| point.pools) {
        if pools.iter().all(|(_, known)| *known != row.pool) {
            pools.push((facts.model.names.resolve(row.pool), row.pool));
        }
    }
    pools.sort_unstable();
    let of = |point: &SamplePoint<'_>, pools: &[(&str, Symbol)]| -> f64 {
        let own = |row: &&PoolPoint| pools.iter().any(|(_, pool)| *pool == row.pool);
        point.pools.iter().filter(own).map(&value).sum()
    };
    let (named, rest) = pools.split_at(pools.len().min(POOLS_MAX));
    let mut groups: Vec<Group<'_>> =
        named.iter().map(|pool| (pool.0, std::slice::from_ref(pool))).collect();
    if !rest.is_empty() {
        groups.push(("other pools", rest));
    }
    let stack = |(index, (name, own)): (usize, Group<'_>)| {
        let name = if name.is_empty() { "nodes" } else { name };
        Stack::new(name, Role::Series(index), points.clone().map(|p| of(&p, own)).collect())
    };
    groups.into_iter().enumerate().map(stack).collect()
}

/// What an autoscaler's target has to do besides calls: the CPU that a series says, or a metric.
pub(super) fn demand(facts: &Facts, hpa: usize, target: Workload) -> Option<Panel> {
    let model = &facts.model;
    let rules = model.behaviors.rules.iter();
    let series = rules.filter(|rule| rule.workload == Some(target));
    let mut series = series.filter_map(|rule| rule.change.cpu.as_ref());
    if let Some(cpu) = series.rfind(|cpu| cpu.of == CpuOf::Workload) {
        let axis = Axis::new("CPU that is asked for, cores", Unit::Number);
        let layer = Layer::line("demand", Role::Series(0), over_time(facts, &cpu.cores));
        return Some(Panel::new(axis).layer(layer));
    }
    let named = model.hpas[hpa].metrics.iter().find_map(|metric| match metric {
        HpaMetric::External { name, .. } | HpaMetric::Object { name, .. } => Some(*name),
        HpaMetric::Resource { .. } | HpaMetric::Pods { .. } | HpaMetric::Unmodelled(_) => None,
    })?;
    let metric = model.metrics.iter().find(|metric| metric.name == named)?;
    let MetricSource::Series(values) = &metric.source else { return None };
    // A trigger of KEDA has a metric of its own with the values of the scenario's.
    let first = model.metrics.iter().find(|other| other.source == metric.source)?;
    let axis = Axis::new(format!("metric {}", model.names.resolve(first.name)), Unit::Number);
    let layer = Layer::step("value", Role::Series(0), over_time(facts, values));
    Some(Panel::new(axis).layer(layer))
}

/// A series at the instants of the samples.
fn over_time(facts: &Facts, series: &Rate) -> Points {
    let value = |at: SimTime| (secs(at), series.at(at));
    facts.samples.points().map(|point| value(point.at)).collect()
}
