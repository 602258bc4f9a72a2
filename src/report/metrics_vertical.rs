//! The numbers of VerticalPodAutoscalers: what they ask for, and whom they evicted for it.

use crate::base::cast;
use crate::recorder::Facts;

use super::summary::{Metrics, Summary, Unit};
use super::{names, words};

/// VerticalPodAutoscalers with a line of their own, at most.
const LINES_MAX: usize = 6;

pub(super) fn put_vpas(facts: &Facts, out: &mut Metrics) {
    for (index, name) in names::vpas(&facts.model).iter().enumerate() {
        let own = || facts.verticals.iter().filter(|row| row.vpa == index);
        let sum = |get: fn(&crate::record::VerticalRecord) -> u32| {
            Some(own().map(get).map(f64::from).sum::<f64>())
        };
        let target = own().next_back().map(|row| row.target).unwrap_or_default();
        let mut put = |last: &str, value: Option<f64>, unit, about| {
            out.put(&["vpas", name, last], value, unit, about);
        };
        let milli = target.cpu.map(cast::f64_of_i64);
        let about = "millicores that all containers of a pod should ask for in the end";
        put("target_cpu_milli", milli, Unit::Count, about);
        let mib = target.memory.map(|bytes| cast::f64_of_i64(bytes / (1024 * 1024)));
        let about = "whole MiB that all containers of a pod should ask for in the end";
        put("target_memory_mib", mib, Unit::Count, about);
        put("evicted", sum(|row| row.evicted), Unit::Pods, "pods that the updater evicted");
        let about = "pods that the updater resized in place";
        put("resized", sum(|row| row.resized), Unit::Pods, about);
        let about = "evictions that the updater asked for and a budget refused";
        put("refused", sum(|row| row.refused), Unit::Count, about);
    }
}

/// A line each.
pub(super) fn lines(facts: &Facts, summary: &Summary) -> Vec<String> {
    let line = |name: &String| {
        let text = |last: &str| {
            let number = summary.get(&["vpas", name, last])?;
            Some(words::value(number.value?, number.unit))
        };
        let with_unit = |(last, unit): (&str, &str)| Some(format!("{}{unit}", text(last)?));
        let both = [("target_cpu_milli", "m CPU"), ("target_memory_mib", " MiB")];
        let targets: Vec<String> = both.into_iter().filter_map(with_unit).collect();
        let targets = if targets.is_empty() { "no target".to_owned() } else { targets.join(", ") };
        let (evicted, refused) = (text("evicted")?, text("refused")?);
        let resized = text("resized").filter(|number| number != "0");
        let resized = resized.map_or_else(String::new, |resized| format!(", resized {resized}"));
        Some(format!("vpa/{name}  {targets}; evicted {evicted}, refused {refused}{resized}"))
    };
    names::vpas(&facts.model).iter().filter_map(line).take(LINES_MAX).collect()
}
