//! The probe: repeats the attempts at one pod and keeps what they found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::Explanation;
use crate::base::{Interner, SimTime};
use crate::model::{Model, NodeId, PodSpec, Profile, SchedulerSettings, Template};
use crate::placement::plain::{self, attempt};
use crate::placement::{
    Applicant, Catalog, Failure, Nodes, Nomination, Nominator, Plugin, Policy, World, what_if,
};
use crate::scheduler::{Look, Probe};

/// Rows of the table of scores.
const BEST: usize = 5;

/// One attempt to place the pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: usize,
    /// When.
    pub at: SimTime,
    /// The node that took it.
    pub node: Option<String>,
    /// How many nodes there were.
    pub nodes: usize,
    /// How many took it.
    pub feasible: usize,
    /// Whether the search ended before it had seen all nodes.
    pub is_sampled: bool,
    /// What the others said, by plugin and reason; a node may give several.
    pub verdicts: Vec<Verdict>,
    /// The scores of the best nodes, if there was a choice.
    pub scores: Option<Scores>,
    /// The message, where it found no node.
    pub message: Option<String>,
    /// Who makes room, and where.
    pub preemption: Option<Preemption>,
}

/// What some nodes said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The plugin.
    pub plugin: String,
    /// The reason.
    pub reason: String,
    /// The nodes, in the order in which they were asked; all of them if no node was asked.
    pub nodes: Vec<String>,
    /// How many they are.
    pub count: usize,
}

/// Scores of the best nodes, after normalisation and before weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    /// The plugins that scored, with their weights.
    pub plugins: Vec<(String, i64)>,
    /// Plugins that had nothing to say.
    pub skipped: Vec<String>,
    /// Nodes with a score a plugin and the weighted sum, the best first.
    pub best: Vec<(String, Vec<i64>, i64)>,
}

/// What preemption did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preemption {
    /// The node to which the pod is nominated.
    pub node: Option<String>,
    /// Who is evicted, as `namespace/name`.
    pub victims: Vec<String>,
}

/// What the probe leaves.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// The pod that is explained.
    pub(super) followed: Option<Followed>,
    /// All pods that were tried, as `namespace/name`.
    pub(super) seen: BTreeSet<String>,
}

/// A pod, its attempts, and the world at the last of them.
#[derive(Debug)]
pub(super) struct Followed {
    serial: u64,
    explanation: Explanation,
    has_failed: bool,
    last: Option<Snapshot>,
}

/// All that an attempt read, kept.
#[derive(Debug)]
struct Snapshot {
    of: Applicant,
    nodes: Nodes,
    catalog: Catalog,
    nominator: Nominator,
    profile: Profile,
    percentage: u8,
    policies: Vec<Arc<dyn Policy>>,
    names: Interner,
    start: usize,
}

impl Snapshot {
    fn of(look: &Look<'_>) -> Self {
        let world = &look.world;
        Self {
            of: look.of.clone(),
            nodes: world.nodes.clone(),
            catalog: world.catalog.clone(),
            nominator: world.nominator.clone(),
            profile: world.profile.clone(),
            percentage: world.percentage,
            policies: world.policies.to_vec(),
            names: world.names.clone(),
            start: look.start,
        }
    }

    fn remedies(&self) -> Vec<what_if::Remedy> {
        let world = World {
            nodes: &self.nodes,
            catalog: &self.catalog,
            nominator: &self.nominator,
            profile: &self.profile,
            percentage: self.percentage,
            policies: &self.policies,
            names: &self.names,
        };
        what_if::remedies(&self.of, &world, self.start)
    }
}

impl Followed {
    /// The explanation, with what would have helped in the end.
    pub(super) fn explained(self) -> Explanation {
        let remedies = self.last.map_or_else(Vec::new, |last| last.remedies());
        Explanation { remedies, ..self.explanation }
    }
}

/// Looks for one pod among all that are tried.
#[derive(Debug)]
pub(super) struct Watcher {
    wanted: String,
    until: Option<SimTime>,
    settings: SchedulerSettings,
    /// By serial: whether a pod is asked about.
    wanted_of: BTreeMap<u64, bool>,
    trace: Arc<Mutex<Trace>>,
}

impl Watcher {
    pub(super) fn new(
        pod: &str,
        until: Option<SimTime>,
        model: &Model,
        trace: Arc<Mutex<Trace>>,
    ) -> Self {
        let settings = model.scheduler.clone();
        Self { wanted: pod.to_owned(), until, settings, wanted_of: BTreeMap::new(), trace }
    }
}

/// A workload as people name it: `deployment/web`.
fn workload_text(template: &Template, names: &Interner) -> String {
    let workload = template.workload;
    format!("{}/{}", workload.kind.as_str(), names.resolve(workload.name.name))
}

impl Probe for Watcher {
    fn attempt(&mut self, look: Look<'_>) {
        let is_late = self.until.is_some_and(|until| look.at > until);
        if is_late || !self.is_wanted(&look) {
            return;
        }
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = look.pod.serial;
        let known = trace.followed.as_ref().map(|known| (known.serial, known.has_failed));
        let is_it = known.is_some_and(|(known, _)| known == serial);
        if !is_it && known.is_some_and(|(_, has_failed)| has_failed) {
            return; // the first of the workload that found no node is the one
        }
        let made = self.made(&look);
        let has_failed = made.node.is_none();
        if known.is_none() || !is_it && has_failed {
            trace.followed = Some(Followed::new(&look));
        }
        if let Some(followed) = trace.followed.as_mut().filter(|f| f.serial == serial) {
            let attempts = &mut followed.explanation.attempts;
            attempts.push(Attempt { number: attempts.len() + 1, ..made });
            followed.has_failed |= has_failed;
            followed.last = has_failed.then(|| Snapshot::of(&look));
        }
    }
}

impl Followed {
    /// A pod that is met for the first time.
    fn new(look: &Look<'_>) -> Self {
        let names = look.cluster.names();
        let template = &look.cluster.template_of(look.pod).template;
        let explanation = Explanation {
            pod: full_name(look),
            workload: workload_text(template, names),
            scheduler: look.world.profile.scheduler_name.clone(),
            priority: template.spec.priority,
            requests: requests_text(&template.spec, names),
            attempts: Vec::new(),
            remedies: Vec::new(),
            scale_ups: Vec::new(),
            volumes: Vec::new(),
            sandboxes: Vec::new(),
            resizes: Vec::new(),
            evictions: Vec::new(),
        };
        Self { serial: look.pod.serial, explanation, has_failed: false, last: None }
    }
}

fn full_name(look: &Look<'_>) -> String {
    let names = look.cluster.names();
    format!("{}/{}", names.resolve(look.pod.namespace), look.pod.name.text(names))
}

impl Watcher {
    /// Whether it is the pod, or one of the workload, that is asked about. Names are made once a
    /// pod.
    fn is_wanted(&mut self, look: &Look<'_>) -> bool {
        let serial = look.pod.serial;
        if let Some(known) = self.wanted_of.get(&serial) {
            return *known;
        }
        let full = full_name(look);
        let template = &look.cluster.template_of(look.pod).template;
        let is_wanted = full == self.wanted
            || full.split_once('/').is_some_and(|(_, name)| name == self.wanted)
            || workload_text(template, look.cluster.names()) == self.wanted;
        self.wanted_of.insert(serial, is_wanted);
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).seen.insert(full);
        is_wanted
    }
}

impl Watcher {
    /// The attempt as it is made, by the plain evaluation.
    fn made(&self, look: &Look<'_>) -> Attempt {
        let (world, names) = (&look.world, look.world.names);
        let made = attempt(look.of, world, look.start);
        let failure = made.chosen.is_none().then(|| Failure::of(&made, look.of, world));
        let looked_at = made.feasible.len() + made.failed.len();
        let walked = made.narrowed.as_ref().map_or(world.nodes.len(), |(nodes, _)| nodes.len());
        Attempt {
            number: 0,
            at: look.at,
            node: made.chosen.map(|node| node_name(node, world)),
            nodes: world.nodes.len(),
            feasible: made.feasible.len(),
            is_sampled: made.chosen.is_some() && looked_at < walked,
            verdicts: self.verdicts(&made, world),
            scores: made.scores.as_ref().map(|scores| self.scores(scores, &made, world)),
            message: failure.as_ref().map(|failure| failure.message.to_string()),
            preemption: failure.and_then(|failure| {
                let victim = |pod: &crate::model::PodRef| {
                    look.cluster.pod(*pod).map(|row| {
                        format!("{}/{}", names.resolve(row.namespace), row.name.text(names))
                    })
                };
                let victims: Vec<String> = failure.victims.iter().filter_map(victim).collect();
                let node = match failure.nomination {
                    Nomination::Set(node) => Some(node_name(node, world)),
                    Nomination::Keep | Nomination::Clear => None,
                };
                (node.is_some() || !victims.is_empty()).then_some(Preemption { node, victims })
            }),
        }
    }

    fn verdicts(&self, made: &plain::Attempt, world: &World<'_>) -> Vec<Verdict> {
        let mut all: BTreeMap<(Plugin, String), Vec<String>> = BTreeMap::new();
        for (node, rejection) in &made.failed {
            for reason in &rejection.reasons {
                let key = (rejection.plugin, reason.text(world.names));
                all.entry(key).or_default().push(node_name(*node, world));
            }
        }
        let mut verdicts: Vec<Verdict> = Vec::new();
        if let Some(rejected) = &made.pre_filter {
            for reason in &rejected.rejection.reasons {
                verdicts.push(Verdict {
                    plugin: self.settings.name_of(rejected.rejection.plugin).to_owned(),
                    reason: reason.text(world.names),
                    nodes: Vec::new(),
                    count: world.nodes.len(),
                });
            }
        }
        if let Some((known, by)) = &made.narrowed {
            let names: Vec<&str> = by.iter().map(|plugin| self.settings.name_of(plugin)).collect();
            let count = world.nodes.len() - known.len();
            if count > 0 {
                let reason = "not among the nodes that the pod names".to_owned();
                let plugin = names.join(", ");
                verdicts.push(Verdict { plugin, reason, nodes: Vec::new(), count });
            }
        }
        verdicts.extend(all.into_iter().map(|((plugin, reason), nodes)| Verdict {
            plugin: self.settings.name_of(plugin).to_owned(),
            reason,
            count: nodes.len(),
            nodes,
        }));
        verdicts
    }

    fn scores(&self, scores: &plain::Scores, made: &plain::Attempt, world: &World<'_>) -> Scores {
        let name = |plugin: &Plugin| self.settings.name_of(*plugin).to_owned();
        let spoke = || scores.plugins.iter().filter_map(|(p, w, s)| Some((p, w, s.as_ref()?)));
        let mut order: Vec<usize> = (0..made.feasible.len()).collect();
        // The chosen node first among equals.
        let is_other = |at: usize| Some(made.feasible[at]) != made.chosen;
        order.sort_by_key(|at| (std::cmp::Reverse(scores.totals[*at]), is_other(*at)));
        let row = |at: &usize| {
            let by_plugin = spoke().map(|(_, _, scores)| scores.normalized[*at]).collect();
            (node_name(made.feasible[*at], world), by_plugin, scores.totals[*at])
        };
        let skipped = scores.plugins.iter().filter(|(_, _, scores)| scores.is_none());
        Scores {
            plugins: spoke().map(|(plugin, weight, _)| (name(plugin), *weight)).collect(),
            skipped: skipped.map(|(plugin, _, _)| name(plugin)).collect(),
            best: order.iter().take(BEST).map(row).collect(),
        }
    }
}

fn node_name(node: NodeId, world: &World<'_>) -> String {
    world.names.resolve(world.nodes.state(node).spec.name).to_owned()
}

fn requests_text(spec: &PodSpec, names: &Interner) -> String {
    let requests = &spec.requests;
    let mut all = Vec::new();
    if requests.cpu.0 > 0 {
        all.push(format!("cpu {}", requests.cpu));
    }
    if requests.memory.0 > 0 {
        all.push(format!("memory {}", requests.memory));
    }
    if requests.ephemeral_storage.0 > 0 {
        all.push(format!("ephemeral-storage {}", requests.ephemeral_storage));
    }
    let others = requests.scalars.iter().filter(|(_, amount)| *amount > 0);
    all.extend(others.map(|(name, amount)| format!("{} {amount}", names.resolve(*name))));
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

impl Attempt {
    /// Whether two attempts found the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        *self == Self { number: self.number, at: self.at, ..other.clone() }
    }

    pub(super) fn json(&self) -> Value {
        let verdict = |v: &Verdict| json!({ "plugin": v.plugin, "reason": v.reason, "count": v.count, "nodes": v.nodes });
        let scores = self.scores.as_ref().map(|scores| {
            let weights: Vec<Value> = (scores.plugins.iter())
                .map(|(name, weight)| json!({ "name": name, "weight": weight }))
                .collect();
            let row = |(node, by, total): &(String, Vec<i64>, i64)| {
                json!({ "node": node, "scores": by, "total": total })
            };
            let best: Vec<Value> = scores.best.iter().map(row).collect();
            json!({ "plugins": weights, "skipped": scores.skipped, "best": best })
        });
        let preemption = self.preemption.as_ref();
        json!({
            "number": self.number,
            "at_s": self.at.since_start().as_secs_f64(),
            "node": self.node,
            "nodes": self.nodes,
            "feasible": self.feasible,
            "sampled": self.is_sampled,
            "verdicts": self.verdicts.iter().map(verdict).collect::<Vec<_>>(),
            "scores": scores,
            "message": self.message,
            "preemption": preemption.map(|p| json!({ "node": p.node, "victims": p.victims })),
        })
    }
}
