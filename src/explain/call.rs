//! The story of one failed call, from the records of its run: who called whom, what became of the
//! pod that it went to, what was done to the cluster before, and the one cause.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::text::counted;
use crate::base::{Duration, Interner, SimTime};
use crate::engine::{Extras, World};
use crate::model::{Action, Model, ServiceSpec, Workload};
use crate::record::{About, CallRecord, Cause, EventRecord, Fate, PodRecord};
use crate::recorder::{Facts, Recorder, Wants};

use super::ExplainError;

/// Things of the timeline that are told of before a call, at most.
const BEFORE: usize = 3;
/// Events of the pod and its node that are told of, at most.
const TOLD_MAX: usize = 6;
/// Their reasons.
const TOLD: &[&str] = &[
    "Started",
    "Unhealthy",
    "Killing",
    "BackOff",
    "Evicted",
    "Preempting",
    "NodeShutdown",
    "TaintManagerEviction",
    "NodeNotReady",
    "SandboxChanged",
    "FailedCreatePodSandBox",
];

/// A failed call and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Its number, as in `failures.csv`.
    pub number: u64,
    /// `shoppers → service/web`.
    pub title: String,
    /// Why it failed.
    pub cause: Cause,
    /// What happened, in order.
    pub lines: Vec<(SimTime, String)>,
    /// The cause with the times of this call.
    pub because: String,
}

/// Runs the model once and tells the story of the failed call of a number.
///
/// # Errors
/// If a limit is passed, or so many calls do not fail.
///
/// # Panics
/// Only if a run does.
pub fn explain_call(
    model: &Arc<Model>,
    number: u64,
    replication: u32,
) -> Result<Story, ExplainError> {
    let recorder = Recorder::new(model, Wants::default()).keeping_pods().keeping_events(TOLD);
    let mut outcome = World::with_extras(model, replication, recorder, Extras::default()).run()?;
    let events = outcome.recorder.take_events();
    let names = outcome.cluster.names();
    let facts = outcome.recorder.into_facts(names, outcome.ended, outcome.events);
    let facts = facts.expect("the recorder is on");
    let at = number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
    let Some(call) = at.and_then(|at| facts.failures.get(at)) else {
        return Err(unknown(number, &facts));
    };
    Ok(Teller { facts: &facts, events: &events, call, names }.story(number))
}

fn unknown(number: u64, facts: &Facts) -> ExplainError {
    let kept = crate::base::cast::u64_of(facts.failures.len());
    let hint = match kept {
        0 => "no call failed in this run: another --replication, or another --seed".to_owned(),
        1 => "one call failed: call/1".to_owned(),
        _ => format!("{} can be asked about: call/1 to call/{kept}", counted(kept, "failed call")),
    };
    ExplainError::Unknown { message: format!("there is no failed call {number}"), hint: Some(hint) }
}

/// One call in its run.
struct Teller<'a> {
    facts: &'a Facts,
    /// Kubernetes Events of the run.
    events: &'a [EventRecord],
    call: &'a CallRecord,
    names: &'a Interner,
}

impl Teller<'_> {
    fn story(&self, number: u64) -> Story {
        let Self { facts, call, .. } = *self;
        let model = &facts.model;
        let mut lines = self.of_cluster();
        let pod = call.pod.and_then(|serial| facts.lives.iter().find(|life| life.serial == serial));
        if let Some(pod) = pod {
            lines.extend(self.of_pod(pod));
            lines.extend(self.owner_before(pod).into_iter().flat_map(|old| self.of_pod(old)));
            lines.extend(self.of_events(pod));
        }
        let service = self.service();
        let source = call.source.and_then(|id| model.traffic.get(id.index()));
        let source = source.map_or("a pod", |source| self.names.resolve(source.name));
        let title = format!("{source} → {service}");
        lines.push((call.start, format!("{source} calls {service}")));
        let tries = match call.retries {
            0 => String::new(),
            more => format!(" after {}", counted(u64::from(more) + 1, "attempt")),
        };
        let end = call.start + call.latency;
        lines.push((end, format!("the call ends{tries}: {}", ended(call.fate))));
        lines.sort_by_key(|(at, _)| *at);
        Story { number, title, cause: call.cause, lines, because: self.because(pod) }
    }

    fn service(&self) -> String {
        let spec = self.spec();
        spec.map_or_else(
            || "a service".to_owned(),
            |spec| format!("service/{}", self.names.resolve(spec.name.name)),
        )
    }

    fn spec(&self) -> Option<&ServiceSpec> {
        self.facts.model.services.get(self.call.service.index())
    }

    fn workload(&self, workload: Workload) -> String {
        format!("{}/{}", workload.kind.as_str(), self.names.resolve(workload.name.name))
    }

    /// What was done to the cluster before the call ended, the last few things.
    fn of_cluster(&self) -> Vec<(SimTime, String)> {
        let end = self.call.start + self.call.latency;
        let done = self.facts.commands.iter().filter(|command| command.at <= end);
        let mut lines: Vec<(SimTime, String)> = done
            .map(|command| {
                let entry = &self.facts.model.timeline[crate::base::cast::usize_of(command.entry)];
                let is_fault = matches!(entry.action, Action::Fault(_));
                let what = if is_fault { "fault: " } else { "" };
                let refused = command.ended.filter(|_| command.refused.is_some());
                let refused = match refused {
                    Some(ended) if ended > command.at => " (failed)",
                    Some(_) => " (refused)",
                    None => "",
                };
                (command.at, format!("{what}{}{refused}", entry.text))
            })
            .collect();
        let begun = self.facts.rollouts.iter().filter(|rollout| {
            rollout.revision > 1 && rollout.started <= end && self.leads_to(rollout.workload)
        });
        lines.extend(begun.map(|rollout| {
            let of = self.workload(rollout.workload);
            (rollout.started, format!("{of} begins to roll to revision {}", rollout.revision))
        }));
        lines.sort_by_key(|(at, _)| *at);
        lines.split_off(lines.len().saturating_sub(BEFORE))
    }

    /// Whether the Service that was called leads to a workload's pods.
    fn leads_to(&self, workload: Workload) -> bool {
        let Some(spec) = self.spec() else { return false };
        let mut all = self.facts.model.rolling_templates();
        all.any(|(own, template)| {
            own == workload && spec.selects(workload.name.namespace, &template.labels)
        })
    }

    fn of_pod(&self, pod: &PodRecord) -> Vec<(SimTime, String)> {
        let name = pod.name.text(self.names);
        let node = pod.node.map_or("no node", |node| self.names.resolve(node));
        let of = self.workload(pod.workload);
        let at = pod.ip.map_or_else(String::new, |ip| format!(" at {ip}"));
        let steps = [
            (Some(pod.created), format!("pod {name} of {of} is created")),
            (pod.started, format!("pod {name} runs on {node}{at}")),
            (pod.ready, format!("pod {name} is ready")),
            (pod.deleted, format!("the deletion of pod {name} is asked for")),
            (pod.gone, format!("pod {name} is gone")),
        ];
        steps.into_iter().filter_map(|(at, text)| Some((at?, text))).collect()
    }

    /// The pod of the Service that had the address of another application's pod before, if that is
    /// what the call met.
    fn owner_before(&self, pod: &PodRecord) -> Option<&PodRecord> {
        if self.call.cause != Cause::OtherApplication {
            return None;
        }
        let started = pod.started.unwrap_or(pod.created);
        let had_it = |old: &&PodRecord| {
            old.serial != pod.serial
                && old.ip.is_some()
                && old.ip == pod.ip
                && old.created < started
                && self.leads_to(old.workload)
        };
        self.facts.lives.iter().filter(had_it).max_by_key(|old| old.created)
    }

    /// What Kubernetes said of the pod and its node before the call ended, the last of it.
    fn of_events(&self, pod: &PodRecord) -> Vec<(SimTime, String)> {
        let end = self.call.start + self.call.latency;
        let name = pod.name.text(self.names);
        let about = |event: &EventRecord| match event.about {
            About::Pod(namespace, of) if (namespace, of) == (pod.namespace, pod.name) => {
                Some(format!("pod {name}"))
            }
            About::Node(node) if pod.node == Some(node) => {
                Some(format!("node {}", self.names.resolve(node)))
            }
            _ => None,
        };
        let own = self.events.iter().filter(|event| event.at >= pod.created && event.at <= end);
        let mut lines: Vec<(SimTime, String)> = own
            .filter_map(|event| {
                Some((event.at, format!("{}: {}", about(event)?, event.message.trim_end())))
            })
            .collect();
        lines.split_off(lines.len().saturating_sub(TOLD_MAX))
    }

    /// The cause with the times of this call.
    fn because(&self, pod: Option<&PodRecord>) -> String {
        let call = self.call;
        let mut text = call.cause.sentence().to_owned();
        let end = call.start + call.latency;
        if let Some(deleted) = pod.and_then(|pod| pod.deleted).filter(|at| *at <= end) {
            let (of, word) = match call.start.checked_since(deleted) {
                Some(before) => (before, "before the call began"),
                None => (end.saturating_since(deleted), "before the call ended"),
            };
            let _ = write!(text, "; the pod's deletion was asked for {of} {word}");
        } else if let Some(ready) = pod.and_then(|pod| pod.ready).filter(|at| *at <= end) {
            let age = end.saturating_since(ready);
            let _ = write!(text, "; the pod had been ready for {age}");
        }
        if let Some((pod, ip)) = pod.zip(pod.and_then(|pod| pod.ip))
            && let Some(old) = self.owner_before(pod)
        {
            let (old, new) = (old.name.text(self.names), pod.name.text(self.names));
            let _ = write!(text, "; {ip} was {old}'s and is {new}'s");
        }
        if matches!(call.cause, Cause::NoReadyPod | Cause::Ejected) {
            let _ = write!(text, "; {}", self.pods_at(call.start));
        }
        text
    }

    /// How many pods of the Service there were at an instant, and how many of them were being
    /// deleted.
    fn pods_at(&self, at: SimTime) -> String {
        let own = |pod: &&PodRecord| {
            self.leads_to(pod.workload)
                && pod.created <= at
                && pod.gone.is_none_or(|gone| gone > at)
        };
        let there: Vec<&PodRecord> = self.facts.lives.iter().filter(own).collect();
        let is_going = |pod: &&&PodRecord| pod.deleted.is_some_and(|deleted| deleted <= at);
        let going = there.iter().filter(is_going).count();
        let all = counted(crate::base::cast::u64_of(there.len()), "pod");
        format!("{all} of the service were there, {going} of them being deleted")
    }
}

const fn ended(fate: Fate) -> &'static str {
    match fate {
        Fate::Ok => "answered",
        Fate::Refused => "the connection is refused",
        Fate::Reset => "the connection breaks",
        Fate::TimedOut => "no answer in time",
        Fate::NoEndpoint => "there is no endpoint",
        Fate::ServerError => "the server answers with an error",
    }
}

impl Story {
    /// As people read it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("call {} · {} · failed\n\n", self.number, self.title);
        for (at, line) in &self.lines {
            let since: Duration = at.since_start();
            let _ = writeln!(out, "  {:>12}  {line}", format!("{:.3} s", since.as_secs_f64()));
        }
        let _ = write!(out, "\nCAUSE  {}: {}\n", self.cause.as_str(), self.because);
        out
    }

    /// As programs read it; times in seconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let line = |(at, text): &(SimTime, String)| json!({ "at": at.as_secs_f64(), "what": text });
        json!({
            "call": self.number,
            "title": self.title,
            "cause": self.cause.as_str(),
            "because": self.because,
            "story": self.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}
