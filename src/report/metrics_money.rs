//! Money: what machines cost, by pool and by workload, and what of it nobody asked for.
//!
//! A workload's share of a node is half its part of the CPU and half its part of the memory, of
//! what it asks for (requested) or of what it uses (used); what is left of a node is idle.

use crate::base::{Symbol, cast};
use crate::model::Model;
use crate::recorder::{Facts, Gauge, MachineTally, PodTally};

use super::summary::{Metrics, Number, Summary, Unit};
use super::words;

/// Pools with a line of their own, at most.
const LINES_MAX: usize = 6;

/// Whether anybody has said what machines cost.
pub(super) fn is_priced(model: &Model) -> bool {
    let of_groups = model.cloud.groups.iter().flat_map(|group| &group.offers);
    let karpenter = model.cloud.karpenter.iter();
    let offers = of_groups.chain(karpenter.flat_map(|karpenter| &karpenter.offers));
    let of_cloud = offers.map(|offer| offer.node.price_per_hour);
    let mut prices = model.nodes.iter().map(|node| node.price_per_hour).chain(of_cloud);
    prices.any(|price| price.0 != 0)
}

/// Node groups and Karpenter's pools, with the profile of their machines' boot times.
fn pools(model: &Model) -> impl Iterator<Item = (Symbol, &str)> {
    let cloud = &model.cloud;
    let groups = cloud.groups.iter().map(|group| (group.name, group.boot.profile));
    let karpenter = cloud.karpenter.iter().flat_map(|karpenter| &karpenter.pools);
    let later = model.later.pools.iter().copied();
    let karpenter = karpenter.map(|pool| pool.name).chain(later);
    groups.chain(karpenter.map(|pool| (pool, cloud.boot.profile)))
}

pub(super) fn put_money(facts: &Facts, out: &mut Metrics) {
    let (samples, machines) = (&facts.samples, &facts.machines.all);
    let is_priced = is_priced(&facts.model);
    let hours = facts.ended.as_secs_f64() / 3600.0;
    let exact = (machines.ran > 0).then(|| machines.cost.as_usd());
    // Without records of machines, what the samples say.
    let total = exact.or_else(|| samples.mean(Gauge::Cost).map(|mean| mean * hours));
    let total = total.filter(|_| is_priced && hours > 0.0);
    let mut put = |last: &str, value: Option<f64>, unit, about| {
        out.put(&["cluster", last], value, unit, about);
    };
    let per_hour = total.map(|total| total / hours);
    put("cost_per_hour", per_hour, Unit::UsdPerHour, "what the nodes cost, mean over time");
    put("cost", total, Unit::Usd, "what the nodes cost in the simulated time");
    if !is_priced {
        return;
    }
    let about = "part of the cost of nodes that no pod asked for";
    let asked = facts.pods.all.cost_requested.as_usd();
    let part = |of: f64| total.filter(|total| *total > 0.0).map(|total| 1.0 - of / total);
    put("cost_idle_share", part(asked), Unit::Share, about);
    if pools(&facts.model).next().is_some() {
        let spot = total.map(|_| machines.spot.as_usd());
        put("cost_spot", spot, Unit::Usd, "what of that spot machines cost");
    }
}

/// The numbers of each pool of machines that come and go.
pub(super) fn put_pools(facts: &Facts, out: &mut Metrics) {
    let none = MachineTally::default();
    let is_priced = is_priced(&facts.model);
    for (pool, _) in pools(&facts.model) {
        let name = facts.model.names.resolve(pool);
        let tally = facts.machines.by_pool.get(&pool).unwrap_or(&none);
        let mut put = |last: &str, value: Option<f64>, unit, about| {
            out.put(&["pools", name, last], value, unit, about);
        };
        let count = |number: u64| Some(cast::f64_of_u64(number));
        if is_priced {
            put("cost", Some(tally.cost.as_usd()), Unit::Usd, "what its machines cost");
        }
        let seconds = facts.ended.as_secs_f64();
        let mean = (seconds > 0.0).then(|| tally.seconds / seconds);
        put("machines", mean, Unit::Nodes, "machines that ran, mean over time");
        let came = tally.ran - tally.from_start;
        put("came", count(came), Unit::Nodes, "machines that came during the run");
        put("went", count(tally.ended), Unit::Nodes, "machines that went during the run");
        let about = "spot machines that got the notice of their interruption";
        put("interrupted", count(tally.interrupted), Unit::Nodes, about);
        put("failed", count(tally.failed), Unit::Nodes, "machines that could not be had");
        let boot = |p: f64| (tally.boot.count() > 0).then(|| tally.boot.quantile(p).as_secs_f64());
        let about = "half of the machines that came were Ready so long after the request";
        put("boot_p50", boot(0.5), Unit::Seconds, about);
        put("boot_p99", boot(0.99), Unit::Seconds, "99 of 100 of them were");
    }
}

/// What the pods of a workload cost.
pub(super) fn put_share(path: &[&str], tally: &PodTally, facts: &Facts, out: &mut Metrics) {
    if !is_priced(&facts.model) {
        return;
    }
    let mut put = |last: &str, value: f64, about| {
        out.put(&[path, &[last]].concat(), value, Unit::Usd, about);
    };
    let about = "part of the cost of its nodes that its pods asked for";
    put("cost_requested", tally.cost_requested.as_usd(), about);
    let about = "part of the cost of its nodes that its pods used";
    put("cost_used", tally.cost_used.as_usd(), about);
}

/// A line a pool that makes and deletes machines; it names the profile of their boot times (rule
/// A245).
pub(super) fn lines(facts: &Facts, summary: &Summary) -> Vec<String> {
    let line = |(name, profile): (&str, &str)| {
        let number = |last: &str| {
            summary.get(&["pools", name, last]).filter(|number: &&Number| number.value.is_some())
        };
        let text = |last: &str| Some(words::value(number(last)?.value?, number(last)?.unit));
        let some = |last: &str, said: &str| {
            number(last)?.value.filter(|value| *value > 0.0)?;
            Some(format!("{} {said}", text(last)?))
        };
        let mut parts = vec![format!("{} on average", text("machines")?)];
        parts.extend(text("cost"));
        parts.extend(some("came", "came"));
        parts.extend(some("went", "went"));
        parts.extend(some("interrupted", "interrupted"));
        parts.extend(some("failed", "could not be had"));
        if let Some(boot) = text("boot_p50") {
            parts.push(format!("Ready in {boot} (p50, {profile})"));
        }
        Some(format!("{name}  {}", parts.join(", ")))
    };
    let names =
        pools(&facts.model).map(|(pool, profile)| (facts.model.names.resolve(pool), profile));
    let lines: Vec<String> = names.filter_map(line).collect();
    let more = lines.len().saturating_sub(LINES_MAX);
    let mut shown: Vec<String> = lines.into_iter().take(LINES_MAX).collect();
    if more > 0 {
        shown.push(format!("{more} more in summary.json"));
    }
    shown
}
