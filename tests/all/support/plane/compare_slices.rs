//! EndpointSlices against the recording.
//!
//! Slices have generated names: all slices of a Service are compared at once. Which endpoint goes
//! into which of several slices is left to chance upstream (a Go map), and with it how many slices
//! there are later: once the runs disagree on that, what stands in all slices together is compared.
//! Where pods are not recorded, endpoints are told apart by their conditions alone: which of equal
//! pods a scale-down takes is not known then.
//!
//! A sync that sees a stale slice fails and comes again 1 s later, which is left to chance too: what
//! is recorded may be late by that, or early by less than the batch period where such a second
//! sync finds what a batch still waits for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::case::{Case, list, ms, text};
use super::compare::{Difference, Life, Lives, at, base_of, differs};

/// How long after a failed sync the next one is, in milliseconds.
const RETRY: u64 = 1000;

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
pub(super) fn compare(case: &Case<'_>, ours: &Lives, theirs: &Lives) -> Option<Difference> {
    let batch = ms(&case.value["endpoint_updates_batch_ms"]);
    let mut services: BTreeMap<&str, Sides<'_>> = BTreeMap::new();
    for (side, lives) in [ours, theirs].into_iter().enumerate() {
        for ((_, name), life) in lives.iter().filter(|((kind, _), _)| kind == "EndpointSlice") {
            services.entry(base_of(name).unwrap_or(name)).or_default()[side].push(life);
        }
    }
    let has_pods = theirs.keys().any(|(kind, _)| kind == "Pod");
    let firsts =
        services.into_iter().filter_map(|(name, sides)| first(name, &sides, has_pods, batch));
    firsts.min_by_key(|difference| difference.t)
}

fn first(name: &str, sides: &Sides<'_>, has_pods: bool, batch: u64) -> Option<Difference> {
    let lives = sides.iter().flatten();
    let times: BTreeSet<u64> = lives.flat_map(|life| life.iter().map(|(t, _)| *t)).collect();
    let ours_at = |t: u64| present(&sides[0], t, has_pods);
    let theirs_at = |t: u64| present(&sides[1], t, has_pods);
    let mut is_mixed = false;
    times.iter().find_map(|t| {
        let (ours, theirs) = (ours_at(*t), theirs_at(*t));
        is_mixed |= theirs.len() > 1 && theirs.iter().any(|record| !record["alt"].is_null());
        let found = match (&ours[..], &theirs[..]) {
            _ if is_mixed && batch == 0 => {
                let late = theirs_at(*t + RETRY);
                apart_in_all(&ours, &[&theirs[..], &late[..]])
            }
            _ if is_mixed => apart_in_all(&ours, &[&theirs[..]]),
            ([ours], [theirs]) => differs(Some(ours), Some(theirs)),
            _ => apart(&ours, &theirs),
        };
        let (field, our, their) = found?;
        let changed = |at: &u64| sides[1].iter().any(|life| life.iter().any(|(t, _)| t == at));
        let is_retry = t.checked_sub(RETRY).is_some_and(|before| changed(&before)) && changed(t);
        let mut soon = times.range(*t..=*t + batch);
        if is_retry && soon.any(|later| apart(&ours_at(*later), &theirs).is_none()) {
            return None;
        }
        let (kind, name) = ("EndpointSlice".to_owned(), name.to_owned());
        Some(Difference { t: *t, kind, name, field, ours: our, theirs: their })
    })
}

/// The slices of an instant; without the names of pods where pods are not recorded.
fn present(lives: &[&Life], t: u64, has_pods: bool) -> Vec<Value> {
    let mut slices: Vec<Value> = lives.iter().filter_map(|life| at(life, t)).cloned().collect();
    if !has_pods {
        for slice in &mut slices {
            slice["endpoints"] = nameless(list(&slice["endpoints"]));
            if let Some(all) = slice["alt"]["endpoints"].as_array() {
                slice["alt"]["endpoints"] = all.iter().map(|of| nameless(list(of))).collect();
            }
        }
    }
    slices
}

/// The conditions of endpoints alone, in an order of their own.
fn nameless(rows: &[Value]) -> Value {
    let mut rows: Vec<Value> = rows.iter().map(|row| list(row)[1..4].to_vec().into()).collect();
    rows.sort_by_cached_key(Value::to_string);
    rows.into()
}

/// How slices of one instant differ.
fn apart(ours: &[Value], theirs: &[Value]) -> Option<(String, Value, Value)> {
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    (ours != theirs).then(|| ("slices".to_owned(), ours.into(), theirs.into()))
}

/// How what stands in all slices differs: each of our endpoints must be in one of theirs, and
/// there must be as many as in one of the runs, at one of some times.
fn apart_in_all(ours: &[Value], theirs: &[&[Value]]) -> Option<(String, Value, Value)> {
    let allowed: BTreeSet<String> = theirs
        .iter()
        .copied()
        .flatten()
        .flat_map(choices)
        .flatten()
        .map(Value::to_string)
        .collect();
    let mut all = ours.iter().flat_map(|record| list(&record["endpoints"]));
    if let Some(stranger) = all.find(|row| !allowed.contains(&row.to_string())) {
        return Some(("endpoints".to_owned(), stranger.clone(), "another".into()));
    }
    let count: usize = ours.iter().map(|record| list(&record["endpoints"]).len()).sum();
    let sum = |at: &[Value], of: fn(&[usize]) -> usize| -> usize {
        at.iter().map(|record| of(&sizes(record))).sum()
    };
    let least = theirs.iter().map(|at| sum(at, |all| all.iter().copied().min().unwrap_or(0)));
    let most = theirs.iter().map(|at| sum(at, |all| all.iter().copied().max().unwrap_or(0)));
    let (least, most) = (least.min().unwrap_or(0), most.max().unwrap_or(0));
    let fits = least <= count && count <= most;
    (!fits).then(|| ("count".to_owned(), count.into(), vec![least, most].into()))
}

/// Ports and endpoints of slices, in an order of their own.
fn sorted(slices: &[Value]) -> Vec<Value> {
    let plain = |record: &Value| {
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
