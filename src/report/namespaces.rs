//! Namespaces that were deleted: their numbers and their lines in the summary.

use crate::base::text::counted;
use crate::base::{Duration, cast};
use crate::record::NamespaceRecord;
use crate::recorder::Facts;

use super::summary::{Metrics, Summary, Unit};
use super::words;

/// Namespaces with numbers of their own, at most.
const NUMBERED_MAX: usize = 200;

/// The numbers of each namespace that was deleted.
pub(super) fn put_namespaces(facts: &Facts, out: &mut Metrics) {
    for row in facts.namespaces.iter().take(NUMBERED_MAX) {
        let mut put = |last: &str, value: Option<f64>, unit, about| {
            out.put(&["namespaces", &row.name, last], value, unit, about);
        };
        let took = row.gone.map(|gone| gone - row.deleted).map(Duration::as_secs_f64);
        let is_gone = f64::from(u8::from(took.is_some()));
        put("gone", Some(is_gone), Unit::YesNo, "whether all of it went");
        put("duration", took, Unit::Seconds, "from its deletion until it was gone");
        put("left", Some(f64::from(row.pods_left)), Unit::Pods, "pods that did not go");
    }
}

/// The lines of the summary: one a namespace.
pub(super) fn lines(summary: &Summary, facts: &Facts) -> Vec<String> {
    facts.namespaces.iter().map(|row| line(row, summary, facts)).collect()
}

fn line(row: &NamespaceRecord, summary: &Summary, facts: &Facts) -> String {
    let name = row.name.as_str();
    let share = summary.value(&["namespaces", name, "gone"]).unwrap_or(0.0);
    let number = summary.get(&["namespaces", name, "duration"]);
    let took = number.filter(|number| number.value.is_some()).map(words::with_interval);
    let text = match took {
        Some(took) if share >= 1.0 => format!("gone after {took}"),
        Some(took) => {
            let runs = summary.replications;
            let done = (share * cast::f64_of_usize(runs)).round();
            format!("gone in {done} of {runs} runs, then after {took}")
        }
        None => {
            let left = match row.pods_left {
                0 => "held by its finalizers".to_owned(),
                left => format!("{} left", counted(u64::from(left), "pod")),
            };
            format!("terminating still after {}, {left}", facts.ended - row.deleted)
        }
    };
    format!("namespace/{name}  {text}")
}
