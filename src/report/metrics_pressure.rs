//! The numbers of nodes that ran out of memory or disk: evictions, conditions, removed images.

use crate::base::cast;
use crate::model::{Behavior, Model, Pressure, Template};
use crate::recorder::Facts;

use super::summary::{Metrics, Summary, Unit};
use super::words;

/// Whether anything is said of what nodes can run out of.
fn is_said(model: &Model) -> bool {
    let groups = model.cloud.groups.iter().flat_map(|group| &group.offers);
    let offered = groups.map(|offer| &offer.node);
    let says = |own: &Behavior| own.tells_memory || own.writes.is_some() || own.logs.is_some();
    let templates = || model.templates().map(|template| -> &Template { template });
    model.nodes.iter().chain(offered).any(|node| node.kubelet.disk.is_some())
        || templates().any(|template| template.behaviors.iter().any(|own| says(own)))
}

pub(super) fn put(facts: &Facts, out: &mut Metrics) {
    if !is_said(&facts.model) {
        return;
    }
    let tally = &facts.pressure;
    let mut put = |last: &str, value: f64, unit, about| {
        out.put(&["pressure", last], Some(value), unit, about);
    };
    let [memory, disk] = tally.evicted.map(cast::f64_of_u64);
    put("evicted_memory", memory, Unit::Pods, "pods evicted from nodes short of memory");
    put("evicted_disk", disk, Unit::Pods, "pods evicted from nodes short of disk");
    let about = "pods that nodes turned away under MemoryPressure or DiskPressure";
    put("turned_away", cast::f64_of_u64(tally.turned_away), Unit::Pods, about);
    let about = "pods evicted for more on the disk than their limits allow";
    put("evicted_limit", cast::f64_of_u64(tally.over_limit), Unit::Pods, about);
    let lasted = |what| tally.lasted(what, facts.ended).as_secs_f64();
    let about = "time under MemoryPressure, of all nodes together";
    put("memory_time", lasted(Pressure::Memory), Unit::Seconds, about);
    let about = "time under DiskPressure, of all nodes together";
    put("disk_time", lasted(Pressure::Disk), Unit::Seconds, about);
    let removed = cast::f64_of_u64(tally.images_removed);
    put("images_removed", removed, Unit::Count, "images removed from nodes that did not use them");
    put("images_removed_bytes", tally.bytes_removed.as_f64(), Unit::Bytes, "their sizes together");
    let about = "pulls of images that had been removed from the node";
    put("images_pulled_again", cast::f64_of_u64(tally.pulled_again), Unit::Count, about);
}

/// What is said of it, if there is something.
pub(super) fn line(summary: &Summary) -> Option<String> {
    let some = |last: &str| {
        let number = summary.get(&["pressure", last])?;
        number.value.filter(|value| *value > 0.0)?;
        Some(words::with_interval(number))
    };
    let mut parts = Vec::new();
    for (last, why) in [
        ("evicted_memory", "evicted for memory"),
        ("evicted_disk", "evicted for disk"),
        ("turned_away", "turned away meanwhile"),
        ("evicted_limit", "evicted over their own limits of disk"),
    ] {
        parts.extend(some(last).map(|pods| format!("{pods} {why}")));
    }
    for (last, condition) in [("memory_time", "MemoryPressure"), ("disk_time", "DiskPressure")] {
        parts.extend(some(last).map(|time| format!("{condition} for {time}")));
    }
    if let (Some(removed), Some(bytes)) = (some("images_removed"), some("images_removed_bytes")) {
        let what = if removed == "1" { "image" } else { "images" };
        parts.push(format!("{removed} {what} removed ({bytes})"));
    }
    parts.extend(some("images_pulled_again").map(|pulls| format!("{pulls} pulled again")));
    (!parts.is_empty()).then(|| parts.join(", "))
}
