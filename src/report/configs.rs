//! ConfigMaps and Secrets that changed: their numbers and their lines in the summary.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Duration, Symbol, cast};
use crate::record::PodName;
use crate::recorder::Facts;

use super::summary::{Metrics, Summary, Unit};
use super::words;

#[derive(Default)]
struct Tally {
    delays: Vec<Duration>,
    refreshed: BTreeSet<(Symbol, PodName)>,
    stale: BTreeSet<(Symbol, PodName)>,
}

fn tallies(facts: &Facts) -> BTreeMap<String, Tally> {
    let mut all: BTreeMap<String, Tally> = BTreeMap::new();
    for row in &facts.configs {
        let tally = all.entry(row.object.clone()).or_default();
        if let Some(at) = row.refreshed {
            tally.delays.push(at - row.changed);
            tally.refreshed.insert(row.pod);
        } else {
            tally.stale.insert(row.pod);
        }
    }
    all.values_mut().for_each(|tally| tally.delays.sort_unstable());
    all
}

/// The numbers of each ConfigMap and Secret that changed (rule N54).
pub(super) fn put_configs(facts: &Facts, out: &mut Metrics) {
    for (object, tally) in tallies(facts) {
        let mut put = |last: &str, value: Option<f64>, unit, about| {
            out.put(&["configs", &object, last], value, unit, about);
        };
        let count = |pods: &BTreeSet<_>| Some(cast::f64_of_usize(pods.len()));
        let secs = |delay: Option<&Duration>| delay.copied().map(Duration::as_secs_f64);
        let middle = tally.delays.len().div_ceil(2).saturating_sub(1);
        let (p50, max) = (secs(tally.delays.get(middle)), secs(tally.delays.last()));
        put("refreshed", count(&tally.refreshed), Unit::Pods, "pods whose files changed");
        put("delay_p50", p50, Unit::Seconds, "median time from the change to a pod's files");
        put("delay_max", max, Unit::Seconds, "longest time from the change to a pod's files");
        let about = "pods that ran on with the old value in environment or subPath";
        put("stale", count(&tally.stale), Unit::Pods, about);
    }
}

/// The lines of the summary: one for each that reached files.
pub(super) fn lines(summary: &Summary, facts: &Facts) -> Vec<String> {
    let all = tallies(facts).into_iter().filter(|(_, tally)| !tally.refreshed.is_empty());
    let line = |(object, _): (String, Tally)| {
        let number = |last: &str| {
            summary.get(&["configs", &object, last]).map(words::with_interval).unwrap_or_default()
        };
        let stale = summary.value(&["configs", &object, "stale"]).filter(|stale| *stale > 0.0);
        let stale = stale.map_or_else(String::new, |_| {
            format!("; old values in env or subPath of {}", number("stale"))
        });
        let (pods, p50, max) = (number("refreshed"), number("delay_p50"), number("delay_max"));
        format!("{object}  pods with new files: {pods}, after p50 {p50}, max {max}{stale}")
    };
    all.map(line).collect()
}
