//! Why a pod went where it went, or nowhere: one run with a look over the scheduler's shoulder.
//!
//! ```text
//! Model ─ run, with a probe ─► each attempt at the pod ─► verdicts, scores, message
//!                                       └─ the last one ─► what would have helped
//! ```
//!
//! The probe repeats each attempt by the plain evaluation, which keeps all that it computed, and
//! changes nothing: the run is the run that it would have been. Without a probe it costs nothing.

pub mod call;
mod text;
mod trace;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::base::text::counted;
use crate::base::{Duration, Interner, SimTime};
use crate::engine::{Extras, SimError, World};
use crate::model::Model;
use crate::placement::Policy;
use crate::placement::what_if::Remedy;
use crate::record::{About, DiskRecord};
use crate::recorder::{Recorder, Wants};
use crate::tree::closest;

pub use trace::{Attempt, Preemption, Scores, Verdict};
use trace::{Trace, Watcher};

/// What is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// The pod: `name`, `namespace/name`, or a workload as in `deployment/web`, which stands for
    /// its first pod that found no node, else its first.
    pub pod: &'a str,
    /// Only attempts up to this instant count.
    pub at: Option<SimTime>,
    /// The number of the replication.
    pub replication: u32,
    /// Policies of the user's own: those that the model names, in its order.
    pub policies: Vec<Arc<dyn Policy>>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The pod, as `namespace/name`.
    pub pod: String,
    /// The workload that it is of, as `deployment/web`.
    pub workload: String,
    /// The profile that places it.
    pub scheduler: String,
    /// Its priority.
    pub priority: i32,
    /// What it asks for, in words.
    pub requests: String,
    /// Every attempt to place it, in order.
    pub attempts: Vec<Attempt>,
    /// What would have made the last attempt a success, if it was none: single changes, or pairs if
    /// no single one helps. Each was tried.
    pub remedies: Vec<Remedy>,
    /// What Cluster Autoscaler said of it, and when: that it asks for nodes, or why no node group
    /// helps.
    pub scale_ups: Vec<(SimTime, String)>,
    /// Why its node ended it or turned it away, and when.
    pub evictions: Vec<(SimTime, String)>,
    /// What it waited for of its volumes, and when.
    pub volumes: Vec<(SimTime, String)>,
    /// What its kubelet said of its sandbox, and when: that it could not be made, or is a new one.
    pub sandboxes: Vec<(SimTime, String)>,
    /// What its kubelet said of other amounts for its containers, and when.
    pub resizes: Vec<(SimTime, String)>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExplainError {
    /// A limit was passed.
    #[error("{0}")]
    Limit(#[from] SimError),
    /// No such pod was to be placed.
    #[error("{message}")]
    Unknown {
        /// What is wrong.
        message: String,
        /// What may have been meant.
        hint: Option<String>,
    },
}

/// Runs the model once and explains what became of a pod.
///
/// # Errors
/// If a limit is passed, or no such pod was to be placed.
///
/// # Panics
/// Only if a run does.
pub fn explain(model: &Arc<Model>, question: Question<'_>) -> Result<Explanation, ExplainError> {
    let Question { pod, at, replication, policies } = question;
    let trace = Arc::new(Mutex::new(Trace::default()));
    let watcher = Watcher::new(pod, at, model, Arc::clone(&trace));
    let extras = Extras { policies, probe: Some(Box::new(watcher)) };
    let recorder = Recorder::new(model, Wants::default()).keeping_events(&[
        "TriggeredScaleUp",
        "NotTriggerScaleUp",
        "FailedAttachVolume",
        "FailedMount",
        "FailedCreatePodSandBox",
        "SandboxChanged",
        "ResizeInfeasible",
        "ResizeDeferred",
        "ResizeStarted",
        "ResizeError",
        "ResizeCompleted",
        "Evicted",
    ]);
    let model = &cut(model, at);
    let mut outcome = World::with_extras(model, replication, recorder, extras).run()?;
    let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(followed) = trace.followed.take() {
        let mut explanation = followed.explained();
        let names = outcome.cluster.names();
        for event in outcome.recorder.take_events() {
            if let About::Pod(namespace, name) = event.about
                && explanation.pod == format!("{}/{}", names.resolve(namespace), name.text(names))
            {
                let to = &mut explanation;
                let list = match event.reason {
                    "FailedCreatePodSandBox" | "SandboxChanged" => &mut to.sandboxes,
                    "Evicted" => &mut to.evictions,
                    reason if reason.starts_with("Failed") => &mut to.volumes,
                    reason if reason.starts_with("Resize") => &mut to.resizes,
                    _ => &mut to.scale_ups,
                };
                list.push((event.at, event.message.trim_end().to_owned()));
            }
        }
        for row in outcome.recorder.disks() {
            let (namespace, name) = row.pod;
            if explanation.pod == format!("{}/{}", names.resolve(namespace), name.text(names)) {
                explanation.volumes.push((row.at, waited_text(row, names)));
            }
        }
        for row in outcome.recorder.configs() {
            let (namespace, name) = row.pod;
            if explanation.pod == format!("{}/{}", names.resolve(namespace), name.text(names)) {
                explanation.volumes.push((row.refreshed.unwrap_or(row.changed), row.text()));
            }
        }
        explanation.volumes.sort_by_key(|(at, _)| *at);
        return Ok(explanation);
    }
    let names = outcome.cluster.names();
    let unseen = outcome
        .cluster
        .pods()
        .iter()
        .map(|(_, row)| format!("{}/{}", names.resolve(row.namespace), row.name.text(names)));
    Err(unknown(pod, at, &trace.seen, &unseen.collect()))
}

/// How long a pod waited for a disk, and why.
fn waited_text(row: &DiskRecord, names: &Interner) -> String {
    let (disk, node) = (names.resolve(row.disk), names.resolve(row.node));
    let held = row.held.map_or_else(String::new, |(other, time)| {
        format!(", {time} of it as it was still attached to {}", names.resolve(other))
    });
    format!("waited {} for volume {disk}: attached to {node}{held}", row.waited)
}

/// The model with a run that is not longer than what is asked about.
fn cut(model: &Arc<Model>, at: Option<SimTime>) -> Arc<Model> {
    let Some(at) = at else { return Arc::clone(model) };
    let end = at + Duration::ns(1);
    let mut model = Model::clone(model);
    model.run.until = Some(model.run.until.map_or(end, |until| until.min(end)));
    Arc::new(model)
}

/// No attempt was made: why, and what may have been meant.
fn unknown(
    pod: &str,
    at: Option<SimTime>,
    seen: &BTreeSet<String>,
    there: &BTreeSet<String>,
) -> ExplainError {
    let by = at.map_or_else(String::new, |at| format!(" by {}", at.since_start()));
    let short = |name: &str| name.split_once('/').map_or(name, |(_, name)| name).to_owned();
    let is_it = |name: &&String| name.as_str() == pod || short(name) == pod;
    if let Some(name) = there.iter().find(is_it).filter(|name| !seen.contains(*name)) {
        return ExplainError::Unknown {
            message: format!("nobody tried to place pod {name}{by}"),
            hint: Some("it names its node, has a gate, or asks for another scheduler".to_owned()),
        };
    }
    let near: Vec<&str> = seen.iter().map(String::as_str).collect();
    let names: Vec<String> = seen.iter().map(|name| short(name)).collect();
    let close = closest(pod, names.iter().map(String::as_str).chain(near));
    let begun = names.iter().find(|name| name.starts_with(pod));
    let hint = match (close, begun, names.first()) {
        (_, Some(begun), _) => Some(format!("did you mean \"{begun}\"?")),
        (Some(close), _, _) => Some(format!("did you mean \"{close}\"?")),
        (None, None, Some(first)) => {
            let tried = counted(crate::base::cast::u64_of(names.len()), "pod");
            Some(format!("the scheduler had {tried} to place, the first is {first}"))
        }
        (None, None, None) => Some("no pod was to be placed at all".to_owned()),
    };
    ExplainError::Unknown { message: format!("no pod \"{pod}\" was to be placed{by}"), hint }
}

impl Explanation {
    /// As people read it.
    #[must_use]
    pub fn text(&self) -> String {
        text::print(self)
    }

    /// As programs read it; times in seconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let remedy = |r: &Remedy| json!({ "changes": r.changes, "node": r.node });
        let said = |(at, text): &(SimTime, String)| json!({ "at": at.since_start().as_secs_f64(), "message": text });
        let mut all = json!({
            "pod": self.pod,
            "workload": self.workload,
            "schedulerName": self.scheduler,
            "priority": self.priority,
            "requests": self.requests,
            "attempts": self.attempts.iter().map(Attempt::json).collect::<Vec<_>>(),
            "remedies": self.remedies.iter().map(remedy).collect::<Vec<_>>(),
        });
        if !self.scale_ups.is_empty() {
            all["scaleUps"] = self.scale_ups.iter().map(said).collect();
        }
        if !self.evictions.is_empty() {
            all["evictions"] = self.evictions.iter().map(said).collect();
        }
        if !self.volumes.is_empty() {
            all["volumes"] = self.volumes.iter().map(said).collect();
        }
        if !self.resizes.is_empty() {
            all["resizes"] = self.resizes.iter().map(said).collect();
        }
        if !self.sandboxes.is_empty() {
            all["sandboxes"] = self.sandboxes.iter().map(said).collect();
        }
        all
    }
}
