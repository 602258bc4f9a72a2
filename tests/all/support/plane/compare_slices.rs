//! EndpointSlices against the recording.
//!
//! Slices have generated names: all slices of a Service are compared at once. Which endpoint goes
//! into which of several slices is left to chance upstream (a Go map); where the runs disagree on
//! that, what stands in all slices together must be one of the things that were recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::case::{list, text};
use super::compare::{Difference, Life, Lives, at, base_of, differs};

/// Our slices of one Service and theirs.
type Sides<'a> = [Vec<&'a Life>; 2];

/// Gives pods in our slices their recorded names.
pub(super) fn rename_pods(ours: &mut Lives, pods: &BTreeMap<String, String>) {
    let slices = ours.iter_mut().filter(|((kind, _), _)| kind == "EndpointSlice");
    let records = slices.flat_map(|(_, life)| life).filter_map(|(_, record)| record.as_mut());
    for record in records {
        let mut rows = list(&record["endpoints"]).to_vec();
        for row in &mut rows {
            if let Some(theirs) = pods.get(text(&row[0])) {
                row[0] = theirs.as_str().into();
            }
        }
        rows.sort_by_cached_key(|row| text(&row[0]).to_owned());
        record["endpoints"] = rows.into();
    }
}

/// Where the slices differ first.
pub(super) fn compare(ours: &Lives, theirs: &Lives) -> Option<Difference> {
    let mut services: BTreeMap<&str, Sides<'_>> = BTreeMap::new();
    for (side, lives) in [ours, theirs].into_iter().enumerate() {
        for ((_, name), life) in lives.iter().filter(|((kind, _), _)| kind == "EndpointSlice") {
            services.entry(base_of(name).unwrap_or(name)).or_default()[side].push(life);
        }
    }
    let firsts = services.into_iter().filter_map(|(name, sides)| first(name, &sides));
    firsts.min_by_key(|difference| difference.t)
}

fn first(name: &str, sides: &Sides<'_>) -> Option<Difference> {
    let lives = sides.iter().flatten();
    let times: BTreeSet<u64> = lives.flat_map(|life| life.iter().map(|(t, _)| *t)).collect();
    times.into_iter().find_map(|t| {
        let [ours, theirs] = sides.each_ref().map(|lives| present(lives, t));
        let (field, ours, theirs) = apart(&ours, &theirs)?;
        let (kind, name) = ("EndpointSlice".to_owned(), name.to_owned());
        Some(Difference { t, kind, name, field, ours, theirs })
    })
}

fn present<'a>(lives: &[&'a Life], t: u64) -> Vec<&'a Value> {
    lives.iter().filter_map(|life| at(life, t)).collect()
}

/// How slices of one instant differ.
fn apart(ours: &[&Value], theirs: &[&Value]) -> Option<(String, Value, Value)> {
    if let ([ours], [theirs]) = (ours, theirs) {
        return differs(Some(ours), Some(theirs));
    }
    if theirs.iter().all(|record| record["alt"].is_null()) {
        let (ours, theirs) = (sorted(ours), sorted(theirs));
        return (ours != theirs).then(|| ("slices".to_owned(), ours.into(), theirs.into()));
    }
    let certain = theirs.iter().filter(|record| record["alt"]["exists"].is_null()).count();
    if ours.len() < certain || ours.len() > theirs.len() {
        return Some(("number".to_owned(), ours.len().into(), theirs.len().into()));
    }
    let allowed: BTreeSet<String> =
        theirs.iter().flat_map(|record| choices(record)).flatten().map(Value::to_string).collect();
    let mut all = ours.iter().flat_map(|record| list(&record["endpoints"]));
    if let Some(stranger) = all.find(|row| !allowed.contains(&row.to_string())) {
        return Some(("endpoints".to_owned(), stranger.clone(), "another".into()));
    }
    let count: usize = ours.iter().map(|record| list(&record["endpoints"]).len()).sum();
    let sum = |of: fn(&[usize]) -> usize| -> usize { theirs.iter().map(|r| of(&sizes(r))).sum() };
    let least = sum(|sizes| sizes.iter().copied().min().unwrap_or(0));
    let most = sum(|sizes| sizes.iter().copied().max().unwrap_or(0));
    let fits = least <= count && count <= most;
    (!fits).then(|| ("count".to_owned(), count.into(), vec![least, most].into()))
}

/// Ports and endpoints of slices, in an order of their own.
fn sorted(slices: &[&Value]) -> Vec<Value> {
    let plain = |record: &&Value| {
        Value::from(vec![list(&record["ports"]).to_vec(), list(&record["endpoints"]).to_vec()])
    };
    let mut all: Vec<Value> = slices.iter().map(plain).collect();
    all.sort_by_cached_key(Value::to_string);
    all
}

/// The recorded lists of endpoints of a slice.
fn choices(record: &Value) -> Vec<&[Value]> {
    match list(&record["alt"]["endpoints"]) {
        [] => vec![list(&record["endpoints"])],
        all => all.iter().map(list).collect(),
    }
}

fn sizes(record: &Value) -> Vec<usize> {
    let may_miss = !record["alt"]["exists"].is_null();
    let sizes = choices(record).into_iter().map(<[Value]>::len);
    sizes.chain(may_miss.then_some(0)).collect()
}
