//! What a rollout or a drill of plain manifests showed: a paragraph a workload, with what would
//! have helped.

use serde_json::{Map, Value, json};

use crate::base::text::counted;
use crate::base::{cast, stats};
use crate::model::{Model, ObjectName, Workload};
use crate::record::Cause;
use crate::recorder::Facts;

use super::summary::{Number, Summary, json_number};
use super::{drains, names, words};

/// Changes without effect that the text names for a subject; the JSON has all.
const SHOWN: usize = 3;
/// Objects that are assumed and that the text names; the JSON has all.
const ASSUMED_SHOWN: usize = 6;

/// What is looked at: the way to its numbers in the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// The rollout of a workload: the calls to its Services while it rolled.
    Rollout(String),
    /// All calls to a Service after the warm-up.
    Service(String),
}

impl Of {
    /// The rollout of a workload that rolls out.
    #[must_use]
    pub fn rollout(model: &Model, workload: Workload) -> Option<Self> {
        let all = names::rolling(model);
        all.into_iter().find(|(own, _)| *own == workload).map(|(_, name)| Self::Rollout(name))
    }

    /// The calls to a Service.
    #[must_use]
    pub fn service(model: &Model, service: ObjectName) -> Option<Self> {
        let index = model.services.iter().position(|own| own.name == service)?;
        names::services(model).into_iter().nth(index).map(Self::Service)
    }

    fn number(&self, summary: &Summary, key: [&str; 2]) -> Option<Number> {
        let [first, second] = key;
        let second = (!second.is_empty()).then_some(second);
        let path: Vec<&str> = match self {
            Self::Rollout(name) => ["rollouts", name, first].into_iter().chain(second).collect(),
            Self::Service(name) => {
                ["services", name, "calls", first].into_iter().chain(second).collect()
            }
        };
        summary.get(&path).filter(|number| number.value.is_some()).cloned()
    }
}

/// The numbers of one trial of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// From the new template until all pods are new.
    pub duration: Option<Number>,
    /// Whether the rollout was complete.
    pub completed: Option<Number>,
    /// Calls.
    pub calls: Option<Number>,
    /// Failed calls.
    pub failed: Option<Number>,
    /// Slow calls.
    pub slow: Option<Number>,
    /// Failed calls by cause, most first; those of no run are left out.
    pub causes: Vec<(Cause, Number)>,
}

impl Numbers {
    /// From the summary of all runs.
    #[must_use]
    pub fn of(summary: &Summary, of: &Of) -> Self {
        let (calls, failed, slow) = match of {
            Of::Rollout(_) => ("calls", "failed_calls", "slow_calls"),
            Of::Service(_) => ("total", "failed", "slow"),
        };
        let one = |key| of.number(summary, [key, ""]);
        let cause = |cause: Cause| {
            let number = of.number(summary, ["by_cause", cause.as_str()])?;
            (number.value? > 0.0).then_some((cause, number))
        };
        let mut causes: Vec<(Cause, Number)> = Cause::ALL.into_iter().filter_map(cause).collect();
        causes.sort_by(|a, b| b.1.value.unwrap_or(0.0).total_cmp(&a.1.value.unwrap_or(0.0)));
        let is_rollout = matches!(of, Of::Rollout(_));
        Self {
            duration: one("duration").filter(|_| is_rollout),
            completed: one("completed").filter(|_| is_rollout),
            calls: one(calls),
            failed: one(failed),
            slow: one(slow),
            causes,
        }
    }

    /// Failed calls of a run on average.
    #[must_use]
    pub fn failed_mean(&self) -> f64 {
        self.failed.as_ref().and_then(|number| number.value).unwrap_or(0.0)
    }

    /// Whether the rollout was complete in every run; a drill has none.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.completed.as_ref().and_then(|number| number.value).is_none_or(|share| share >= 1.0)
    }

    /// Whether no call failed in any run, and every rollout was complete.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failed_mean() <= 0.0 && self.is_complete()
    }

    /// Whether most calls found no pod that was ready.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let value = |number: &Number| number.value.unwrap_or(0.0);
        let calls = self.calls.as_ref().map_or(0.0, value);
        let mut causes = self.causes.iter();
        causes.any(|(cause, number)| *cause == Cause::NoReadyPod && value(number) > 0.5 * calls)
    }

    fn json(&self) -> Value {
        let mut out = Map::new();
        let numbers = [
            ("duration", &self.duration),
            ("completed", &self.completed),
            ("calls", &self.calls),
            ("failed", &self.failed),
            ("slow", &self.slow),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                out.insert(key.to_owned(), number_json(number));
            }
        }
        let causes = self.causes.iter();
        let causes = causes.map(|(cause, number)| (cause.as_str().to_owned(), number_json(number)));
        out.insert("causes".to_owned(), Value::Object(causes.collect()));
        Value::Object(out)
    }
}

fn number_json(number: &Number) -> Value {
    let mut out = Map::new();
    if let Some(value) = number.value {
        out.insert("value".to_owned(), json_number(value));
    }
    if let Some((low, high)) = number.interval {
        out.insert("low".to_owned(), json_number(low));
        out.insert("high".to_owned(), json_number(high));
    }
    out.insert("n".to_owned(), number.n.into());
    out.insert("unit".to_owned(), number.unit.as_str().into());
    Value::Object(out)
}

/// A change and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// What was changed, in words.
    pub about: String,
    /// The values that were laid over objects, as `--set` takes them.
    pub sets: Vec<String>,
    /// What came.
    pub numbers: Numbers,
}

/// A workload or Service and what it went through.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// As people name it: `deployment/web`.
    pub name: String,
    /// What else there is to say of it.
    pub about: String,
    /// Why some changes cannot help it.
    pub note: Option<String>,
    /// As it is.
    pub now: Numbers,
    /// What was tried, the smallest change first.
    pub tried: Vec<Tried>,
}

/// The result of `seatrial rollout` or `seatrial drill`.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// `ROLLOUT` or what kind of drill.
    pub title: String,
    /// What was run.
    pub about: String,
    /// How many runs.
    pub seeds: u32,
    /// Each workload or Service.
    pub subjects: Vec<Subject>,
    /// Services that were left out, and why.
    pub others: Vec<(String, &'static str)>,
    /// Objects that the manifests name and do not bring, and that are assumed to be there.
    pub assumed: Vec<String>,
    /// The nodes of a drain.
    pub drained: Option<Drained>,
    /// Why workloads do not come to serve.
    pub notes: Vec<String>,
}

/// What became of the nodes that a drill drains.
#[derive(Clone, Debug, PartialEq)]
pub struct Drained {
    /// How many are drained.
    pub nodes: u32,
    /// Those that were not in every run, and what kept them in the first run, if it did there.
    pub stuck: Vec<(String, Option<String>)>,
}

impl Drained {
    /// From the summary of all runs and the facts of the first.
    #[must_use]
    pub fn of(summary: &Summary, facts: &Facts, nodes: u32) -> Self {
        let why = drains::undrained(facts);
        let mut stuck = Vec::new();
        for name in drains::names(facts) {
            let share = summary.value(&["drains", &name, "drained"]);
            if share.is_some_and(|share| share < 1.0) {
                let why = why.iter().find(|(node, _)| *node == name).map(|(_, why)| why.clone());
                stuck.push((name, why));
            }
        }
        Self { nodes, stuck }
    }

    fn line(&self) -> String {
        let nodes = counted(u64::from(self.nodes), "node");
        if self.stuck.is_empty() {
            return format!("{nodes} drained");
        }
        let drained = usize::try_from(self.nodes).unwrap_or(0).saturating_sub(self.stuck.len());
        let mut line = format!("{drained} of {nodes} drained in every run");
        for (name, why) in self.stuck.iter().take(SHOWN) {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            line += &format!("\n  {name} not{why}");
        }
        let more = self.stuck.len().saturating_sub(SHOWN);
        if more > 0 {
            line += &format!("\n  {more} more");
        }
        line
    }
}

impl Report {
    /// Whether no subject has more failed calls on average, all rollouts were complete and all
    /// nodes drained.
    #[must_use]
    pub fn holds(&self, max_failed: f64) -> bool {
        let now = self.subjects.iter().map(|subject| &subject.now);
        now.into_iter().all(|now| now.failed_mean() <= max_failed && now.is_complete())
            && self.drained.as_ref().is_none_or(|drained| drained.stuck.is_empty())
    }

    /// As programs read it.
    #[must_use]
    pub fn json(&self) -> Value {
        let tried = |tried: &Tried| {
            let mut out = json!({ "about": tried.about, "set": tried.sets });
            if let (Some(out), Value::Object(numbers)) = (out.as_object_mut(), tried.numbers.json())
            {
                out.extend(numbers);
            }
            out
        };
        let subject = |subject: &Subject| {
            let helps = subject.best().map(|best| best.about.clone());
            json!({
                "name": subject.name,
                "about": subject.about,
                "now": subject.now.json(),
                "tried": subject.tried.iter().map(tried).collect::<Vec<_>>(),
                "helps": helps,
                "note": subject.note,
            })
        };
        let other = |(name, why): &(String, &str)| json!({ "name": name, "why": why });
        let mut out = json!({
            "what": self.title.to_lowercase(),
            "about": self.about,
            "seeds": self.seeds,
            "subjects": self.subjects.iter().map(subject).collect::<Vec<_>>(),
            "leftOut": self.others.iter().map(other).collect::<Vec<_>>(),
            "assumed": self.assumed,
            "notes": self.notes,
        });
        if let Some(Drained { nodes, stuck }) = &self.drained {
            let one = |(name, why): &(String, Option<String>)| json!({ "name": name, "why": why });
            let stuck: Vec<Value> = stuck.iter().map(one).collect();
            out["drained"] = json!({ "nodes": nodes, "stuck": stuck });
        }
        out
    }

    /// As people read it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![format!("{}  {}", self.title, self.about)];
        if !self.assumed.is_empty() {
            let more = self.assumed.len().saturating_sub(ASSUMED_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let first = &self.assumed[..self.assumed.len().min(ASSUMED_SHOWN)];
            let first = first.join(", ");
            lines.push(format!(
                "named by the manifests and not in them, assumed to be there: {first}{more}"
            ));
        }
        let has_tried = self.subjects.iter().any(|subject| !subject.tried.is_empty());
        for subject in &self.subjects {
            lines.push(String::new());
            lines.extend(subject.lines(self.seeds, has_tried));
        }
        if !self.others.is_empty() {
            lines.push(String::new());
        }
        for (name, why) in &self.others {
            lines.push(format!("{name}  left out: {why}"));
        }
        if !self.notes.is_empty() || self.drained.is_some() {
            lines.push(String::new());
        }
        lines.extend(self.notes.iter().map(|note| format!("WHY      {note}")));
        lines.extend(self.drained.as_ref().map(Drained::line));
        let clean = self.subjects.iter().filter(|subject| subject.now.is_clean()).count();
        lines.push(String::new());
        lines.push(format!(
            "{clean} of {} without a failed call in {}",
            self.subjects.len(),
            counted(u64::from(self.seeds), "run"),
        ));
        lines.join("\n") + "\n"
    }
}

impl Subject {
    /// The smallest change without a failed call in any run; else the one with the fewest, if it
    /// is clearly better than nothing.
    #[must_use]
    pub fn best(&self) -> Option<&Tried> {
        if self.now.is_clean() {
            return None;
        }
        let clean = self.tried.iter().find(|tried| tried.numbers.is_clean());
        clean.or_else(|| {
            let better = self.tried.iter().filter(|tried| self.is_better(tried));
            better.min_by(|a, b| a.numbers.failed_mean().total_cmp(&b.numbers.failed_mean()))
        })
    }

    /// Whether fewer calls failed, run by run over the same seeds: the 95 % interval of the
    /// difference is below zero; or the rollouts are complete that were not.
    fn is_better(&self, tried: &Tried) -> bool {
        let completes = !self.now.is_complete() && tried.numbers.is_complete();
        completes || self.gains(tried).is_some_and(|gains| gains.high < 0.0)
    }

    /// Whether it may be better: calls fail less by a tenth and more, but too few runs show it.
    fn may_be_better(&self, tried: &Tried) -> bool {
        let worth = -0.1 * self.now.failed_mean();
        self.gains(tried).is_some_and(|gains| gains.high >= 0.0 && gains.mean < worth)
    }

    /// How many more calls fail, run by run; `None` if the rollout is not complete with it.
    fn gains(&self, tried: &Tried) -> Option<stats::Summary> {
        let runs = |numbers: &Numbers| -> Vec<f64> {
            let failed = numbers.failed.as_ref();
            let all = failed.map(|number| number.runs.iter().map(|run| run.unwrap_or(0.0)));
            all.map(Iterator::collect).unwrap_or_default()
        };
        let (now, then) = (runs(&self.now), runs(&tried.numbers));
        let gains: Vec<f64> = then.iter().zip(&now).map(|(then, now)| then - now).collect();
        (!gains.is_empty() && tried.numbers.is_complete()).then(|| stats::Summary::of(&gains))
    }

    fn lines(&self, seeds: u32, has_tried: bool) -> Vec<String> {
        let now = &self.now;
        let text = |number: &Option<Number>| {
            number.as_ref().map_or_else(|| "–".to_owned(), words::with_interval)
        };
        let mut head = vec![self.name.clone()];
        if !self.about.is_empty() {
            head.push(self.about.clone());
        }
        let mut row = Vec::new();
        if now.completed.is_some() {
            row.push(match &now.duration {
                Some(duration) => format!("rolled in {}", words::with_interval(duration)),
                None => "never complete".to_owned(),
            });
        }
        if !now.is_complete() && now.duration.is_some() {
            let share = now.completed.as_ref().and_then(|number| number.value).unwrap_or(0.0);
            let runs = cast::u64_trunc((share * f64::from(seeds)).round());
            row.push(format!("complete in {runs} of {}", counted(u64::from(seeds), "run")));
        }
        row.push(format!("failed {}", text(&now.failed)));
        row.push(format!("slow {}", text(&now.slow)));
        let total = now.calls.as_ref().and_then(|number| number.value).unwrap_or(0.0);
        let calls = words::value(total, super::summary::Unit::Calls);
        row.push(format!("of {calls} calls"));
        let mut lines = vec![head.join("  "), format!("  {}", row.join(" · "))];
        for (cause, number) in now.causes.iter().take(4) {
            lines.push(format!(
                "    {}  {}  ({})",
                words::with_interval(number),
                cause.sentence(),
                cause.as_str()
            ));
        }
        if has_tried && (now.failed_mean() > 0.0 || !self.tried.is_empty()) {
            lines.extend(self.advice(seeds));
        }
        if let Some(note) = self.note.as_ref().filter(|_| !now.is_clean()) {
            lines.push(format!("  note    {note}"));
        }
        lines
    }

    fn advice(&self, seeds: u32) -> Vec<String> {
        let outcome = |tried: &Tried| {
            let runs = counted(u64::from(seeds), "run");
            let numbers = &tried.numbers;
            match (numbers.failed_mean() <= 0.0, numbers.is_complete()) {
                (true, true) => format!("0 failed in {runs}"),
                (_, false) => "the rollout was not complete in time".to_owned(),
                (false, true) => {
                    let failed = numbers.failed.as_ref().map(words::with_interval);
                    format!("{} failed", failed.unwrap_or_default())
                }
            }
        };
        let failed = self.now.failed.as_ref().map(words::with_interval).unwrap_or_default();
        let now = if self.now.is_complete() { failed } else { "not complete".to_owned() };
        let mut lines = Vec::new();
        let best = self.best();
        if let Some(best) = best {
            lines.push(format!("  helps   {}: {}; now {now}", best.about, outcome(best)));
        }
        let is_shown = |tried: &&Tried| best.is_none_or(|best| best.about != tried.about);
        let partly = self
            .tried
            .iter()
            .filter(is_shown)
            .filter(|tried| !tried.numbers.is_clean() && self.is_better(tried));
        for tried in partly.take(2) {
            lines.push(format!("  partly  {}: {}", tried.about, outcome(tried)));
        }
        let unclear = self.tried.iter().filter(is_shown);
        let unclear =
            unclear.filter(|tried| !tried.numbers.is_clean() && self.may_be_better(tried));
        for tried in unclear.take(2) {
            let (about, outcome) = (&tried.about, outcome(tried));
            lines.push(format!("  unclear {about}: {outcome}; more seeds would tell"));
        }
        let is_useless = |tried: &&Tried| {
            !tried.numbers.is_clean() && !self.is_better(tried) && !self.may_be_better(tried)
        };
        let useless: Vec<String> = (self.tried.iter().filter(is_shown))
            .filter(is_useless)
            .map(|tried| format!("{} ({})", tried.about, outcome(tried)))
            .collect();
        if !useless.is_empty() {
            let more = useless.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!("; {more} more") } else { String::new() };
            let first = &useless[..useless.len().min(SHOWN)];
            lines.push(format!("  no help {}{more}", first.join("; ")));
        }
        if lines.is_empty() {
            lines.push("  nothing was found to try".to_owned());
        }
        lines
    }
}
