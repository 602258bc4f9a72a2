//! Single decisions of the real scheduler: verdicts, scores, the chosen node, the message, and what
//! preemption makes of a refusal. All that the recordings' README lists is compared; what it leaves
//! to chance may come out in any of the ways that it names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use seatrial::base::Interner;
use seatrial::model::{NodeId, PodRef};
use seatrial::placement::plain::{Attempt, attempt};
use seatrial::placement::preemption::{
    Candidate, NotHelpful, PostFilter, Preemption, best, dry_run, post_filter,
};
use seatrial::placement::{
    Applicant, Code, Decision, Failure, Nomination, Plugin, PluginSet, Rejection, World, plugins,
};
use serde_json::Value;

use crate::support::corpus::{Verdict, id, int, judge_corpus, same, text};
use crate::support::scheduler_case::{self, Case, full_name, list};

/// One case: what we made of it and what was recorded.
struct Comparison<'a> {
    world: World<'a>,
    of: &'a Applicant,
    ours: &'a Attempt,
    pods: &'a BTreeMap<PodRef, String>,
    stubs: &'a [PodRef],
    case: &'a Value,
    outcome: &'a Value,
}

fn check(case: &Value) -> Result<(), String> {
    let Case { names, mut placer, pods, stubs, asked, class, profile } =
        scheduler_case::read(case)?;
    let of = placer.applicant(asked, class);
    let world = placer.world(profile, &names);
    let ours = attempt(&of, &world, placer.start());
    let (of_ref, outcome) = (&of, &case["outcome"]);
    let with =
        Comparison { world, of: of_ref, ours: &ours, pods: &pods, stubs: &stubs, case, outcome };
    with.before_nodes()?;
    with.verdicts()?;
    with.scores()?;
    with.choice()?;
    let failure = with.failure()?;
    let start = ours.next_start;
    match placer.decide(asked, class, profile, &names) {
        Decision::Placed { node, feasible } => {
            let plain = (ours.chosen, u32::try_from(ours.feasible.len()).ok());
            same("fast: node", (Some(node), Some(feasible)), plain)?;
        }
        Decision::Failed(fast) => same("fast: failure", Some(fast), failure)?,
    }
    same("fast: next start", placer.start(), start)
}

impl<'a> Comparison<'a> {
    fn names(&self) -> &'a Interner {
        self.world.names
    }

    fn name(&self, node: NodeId) -> String {
        self.names().resolve(self.world.nodes.state(node).spec.name).to_owned()
    }

    fn is_random(&self) -> bool {
        self.outcome["randomOrder"] == true
    }

    /// Node order, start, PreFilter.
    fn before_nodes(&self) -> Result<(), String> {
        let order: Vec<String> = self.world.nodes.order().iter().map(|n| self.name(*n)).collect();
        same("nodeOrder", order, texts(self.case, "nodeOrder"))?;
        let found = plugins::pre_filter(self.of, &self.world);
        let rejected = found.rejection.as_ref().map(|why| self.rejection(&why.rejection));
        let theirs = &self.outcome["preFilter"];
        same("preFilter", rejected, theirs.is_object().then(|| recorded(theirs)))?;
        let mut named: Vec<String> = Vec::new();
        for name in found.names.iter().flat_map(|(list, _)| list) {
            named.push(self.names().resolve(*name).to_owned());
        }
        named.sort();
        same("preFilterNodes", named, texts(self.outcome, "preFilterNodes"))?;
        let skipped = texts(self.outcome, "skippedFilters");
        same("skippedFilters", sorted(found.state.skipped), skipped)
    }

    fn verdicts(&self) -> Result<(), String> {
        let start = int(self.outcome, "nextStartIndex");
        same("nextStartIndex", i64::try_from(self.ours.next_start).ok(), start)?;
        let failed = self.ours.failed.iter();
        let ours: BTreeMap<_, _> =
            failed.map(|(node, why)| (self.name(*node), self.rejection(why))).collect();
        let theirs = list(self.outcome, "failed").iter();
        let theirs = theirs.map(|f| (text(f, "node").unwrap_or_default().to_owned(), recorded(f)));
        same("failed", ours, theirs.collect())?;
        let is_first = self.ours.is_nominated_first.then(|| self.name(self.ours.feasible[0]));
        same("nominatedFirst", is_first.as_deref(), text(self.outcome, "nominatedFirst"))
    }

    /// Code, plugin and the sorted reasons.
    fn rejection(&self, why: &Rejection) -> (String, String, Vec<String>) {
        let mut reasons: Vec<_> = why.reasons.iter().map(|r| r.text(self.names())).collect();
        reasons.sort();
        let code = match why.code {
            Code::Unschedulable => "Unschedulable",
            Code::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
        };
        (code.to_owned(), why.plugin.as_str().to_owned(), reasons)
    }

    /// Places in our list of feasible nodes, in the order of the recording.
    fn feasible(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.ours.feasible.len()).collect();
        if self.is_random() {
            places.sort_by_key(|place| self.world.nodes.position(self.ours.feasible[*place]));
        }
        places
    }

    fn scores(&self) -> Result<(), String> {
        if self.outcome["schedulerError"] == true {
            return Ok(());
        }
        let places = self.feasible();
        let found = places.iter().map(|place| self.name(self.ours.feasible[*place]));
        same("feasible", found.collect(), texts(self.outcome, "feasible"))?;
        let Some(scores) = &self.ours.scores else {
            return same("scored", false, self.outcome["scores"].is_object());
        };
        let arranged = |all: &[i64]| places.iter().map(|place| all[*place]).collect::<Vec<_>>();
        let mut ours = BTreeMap::new();
        for (plugin, weight, of_plugin) in &scores.plugins {
            if let Some(s) = of_plugin {
                let row = (*weight, arranged(&s.raw), arranged(&s.normalized));
                ours.insert(plugin.as_str().to_owned(), row);
            }
        }
        let skipped = sorted(scores.skipped);
        same("skippedScores", skipped, texts(self.outcome, "skippedScores"))?;
        let theirs = self.outcome["scores"].as_object().into_iter().flatten();
        let row =
            |of: &Value| (int(of, "weight").unwrap_or(0), of["raw"].clone(), of["norm"].clone());
        for (plugin, of) in theirs {
            let (weight, raw, norm) = row(of);
            let theirs = (weight, numbers(&raw), numbers(&norm));
            same(&format!("scores.{plugin}"), ours.remove(plugin), Some(theirs))?;
        }
        same("scores besides", ours.into_keys().collect(), Vec::<String>::new())?;
        same("totals", arranged(&scores.totals), numbers(&self.outcome["totals"]))
    }

    fn choice(&self) -> Result<(), String> {
        let chosen = self.ours.chosen.map(|node| self.name(node));
        if chosen.is_some() {
            let places = self.feasible();
            let totals = self.ours.scores.as_ref().map(|scores| &scores.totals);
            let total = |place: &usize| totals.map_or(0, |totals| totals[*place]);
            let most = places.iter().map(total).max();
            let best = places.iter().filter(|place| Some(total(place)) == most);
            let best = best.map(|place| self.name(self.ours.feasible[*place]));
            same("best", best.collect(), texts(self.outcome, "best"))?;
        }
        let best = texts(self.outcome, "best");
        if self.is_random() && text(self.outcome, "chosen").is_none() && best.len() > 1 {
            let is_best = chosen.as_ref().is_some_and(|chosen| best.contains(chosen));
            same("chosen is among the best", is_best, true)?;
        } else {
            same("chosen", chosen.as_deref(), text(self.outcome, "chosen"))?;
        }
        let (feasible, failed) = (self.ours.feasible.len(), self.ours.failed.len());
        let is_placed = chosen.is_some();
        let count = if is_placed { feasible } else { 0 };
        let theirs = int(self.outcome, "feasibleCount").unwrap_or(0);
        same("feasibleCount", i64::try_from(count).ok(), Some(theirs))?;
        let looked_at = match is_placed {
            true if self.ours.is_nominated_first => 1,
            true => feasible + failed,
            false => 0,
        };
        let theirs = int(self.outcome, "evaluated").unwrap_or(0);
        same("evaluated", i64::try_from(looked_at).ok(), Some(theirs))?;
        same("reserve", None, text(&self.outcome["reserve"], "code"))
    }

    /// What a refusal leads to; gives ours.
    fn failure(&self) -> Result<Option<Failure>, String> {
        if self.ours.chosen.is_some() {
            same("message", None, text(self.outcome, "message"))?;
            return Ok(None);
        }
        let failure = Failure::of(self.ours, self.of, &self.world);
        same("rejectors", sorted(failure.plugins), texts(self.outcome, "rejectors"))?;
        let is_error = self.ours.error.is_some();
        same("schedulerError", is_error, self.outcome["schedulerError"] == true)?;
        let message = text(self.outcome, "message").unwrap_or_default();
        same("message", failure.message.as_ref(), message)?;
        if !is_error {
            let after = post_filter(self.ours, self.of, &self.world);
            self.post_filter(&after)?;
        }
        self.nominations(&failure)?;
        Ok(Some(failure))
    }

    fn post_filter(&self, after: &PostFilter) -> Result<(), String> {
        let code = match after.nomination {
            _ if after.is_error => "Error",
            Nomination::Set(_) => "Success",
            Nomination::Keep | Nomination::Clear => "Unschedulable",
        };
        let theirs = &self.outcome["postFilter"];
        same("postFilter", Some(code), text(theirs, "code"))?;
        let reasons = texts(theirs, "reasons").join(", ");
        same("postFilter reasons", after.message.as_str(), &reasons)?;
        self.preemption(after)
    }

    fn pod_names(&self, pods: &[PodRef]) -> Vec<String> {
        pods.iter().map(|pod| self.pods[pod].clone()).collect()
    }

    /// A candidate of ours as it would be recorded.
    fn candidate(&self, of: &Candidate) -> (String, Vec<String>, i64) {
        let victims: Vec<PodRef> = of.victims.iter().map(|victim| victim.pod).collect();
        let violations = i64::try_from(of.violations).expect("a small number");
        (self.name(of.node), self.pod_names(&victims), violations)
    }

    fn preemption(&self, after: &PostFilter) -> Result<(), String> {
        let theirs = &self.outcome["preemption"];
        let Some(ours) = &after.preemption else {
            return same("preemption", false, theirs.is_object());
        };
        let count = |count: usize| i64::try_from(count).ok();
        same("potentialNodes", count(ours.potential.len()), int(theirs, "potentialNodes"))?;
        same("wanted", count(ours.wanted), int(theirs, "wanted"))?;
        let mode = if after.nomination == Nomination::Keep { "noop" } else { "override" };
        same("nominatingMode", Some(mode), text(theirs, "nominatingMode"))?;
        if int(theirs, "offset").is_some_and(|offset| offset >= 0) {
            return self.some_candidates(ours);
        }
        let mut candidates: Vec<_> = ours.candidates.iter().map(|c| self.candidate(c)).collect();
        candidates.sort();
        same("candidates", candidates, recorded_candidates(theirs))?;
        same("dry run", self.rejected(ours), recorded_rejected(theirs))?;
        let mut best: Vec<_> = ours.best.iter().map(|node| self.name(*node)).collect();
        best.sort();
        same("bestSet", best, texts(theirs, "bestSet"))?;
        if theirs["tied"] == true {
            return Ok(());
        }
        let nominated = ours.chosen.map(|node| self.name(node));
        same("nominatedNode", nominated.as_deref(), text(theirs, "nominatedNode"))?;
        same("evicted", self.pod_names(&after.victims), texts(self.outcome, "evicted"))
    }

    /// Nodes without victims too: they have no plugin.
    fn rejected(&self, ours: &Preemption) -> Vec<(String, String, String, Vec<String>)> {
        let one = |(node, why): &(NodeId, NotHelpful)| {
            let (code, plugin, reasons) = match why {
                NotHelpful::NoVictims => {
                    let reason = "No preemption victims found for incoming pod".to_owned();
                    ("UnschedulableAndUnresolvable".to_owned(), String::new(), vec![reason])
                }
                NotHelpful::Rejected(why) => self.rejection(why),
                NotHelpful::NobodyInTheWay => ("Error".to_owned(), String::new(), Vec::new()),
            };
            (self.name(*node), code, plugin, reasons)
        };
        let mut all: Vec<_> = ours.rejected.iter().map(one).collect();
        all.sort();
        all
    }

    /// Where both sides tried other nodes: those that were recorded must come out as recorded.
    fn some_candidates(&self, ours: &Preemption) -> Result<(), String> {
        let theirs = &self.outcome["preemption"];
        let mut again = Vec::new();
        for (node, ..) in recorded_candidates(theirs) {
            let of_that_name = |id: &&NodeId| self.name(**id) == node;
            let node = self.world.nodes.order().iter().find(of_that_name).ok_or("no such node")?;
            let candidate = dry_run(*node, self.ours, self.of, &self.world);
            again.push(candidate.map_err(|why| format!("{node:?} is a candidate, not {why:?}"))?);
        }
        let listed = again.iter().map(|candidate| self.candidate(candidate)).collect();
        same("candidates", listed, recorded_candidates(theirs))?;
        let is_enough =
            |found: usize, tried: usize| found >= ours.wanted || tried >= ours.potential.len();
        let (found, rejected) = (again.len(), list(theirs, "rejected").len());
        same("their search ends", is_enough(found, found + rejected), true)?;
        let (found, rejected) = (ours.candidates.len(), ours.rejected.len());
        same("our search ends", is_enough(found, found + rejected), true)?;
        let mut best: Vec<_> = best(&again).into_iter().map(|node| self.name(node)).collect();
        best.sort();
        same("bestSet", best, texts(theirs, "bestSet"))
    }

    fn nominations(&self, failure: &Failure) -> Result<(), String> {
        let pod = &self.case["pod"];
        let had = text(&pod["status"], "nominatedNodeName").is_some();
        // The real code has no status to clear of a pod that it knows by name alone.
        let cleared = failure.cleared.iter().filter(|pod| !self.stubs.contains(pod)).copied();
        let mut cleared = self.pod_names(&cleared.collect::<Vec<_>>());
        if had && failure.nomination == Nomination::Clear {
            cleared.push(full_name(pod));
        }
        cleared.sort();
        let mut theirs = texts(self.outcome, "nominationsCleared");
        theirs.sort();
        let preemption = &self.outcome["preemption"];
        let is_random = int(preemption, "offset").is_some_and(|offset| offset >= 0);
        if preemption["tied"] == true || is_random {
            return Ok(());
        }
        same("nominationsCleared", cleared, theirs)
    }
}

/// Node, victims and violated budgets, by node.
fn recorded_candidates(of: &Value) -> Vec<(String, Vec<String>, i64)> {
    let one = |candidate: &Value| {
        let node = text(candidate, "node").unwrap_or_default().to_owned();
        let violations = int(candidate, "pdbViolations").unwrap_or(0);
        (node, texts(candidate, "victims"), violations)
    };
    let mut all: Vec<_> = list(of, "candidates").iter().map(one).collect();
    all.sort();
    all
}

/// Node, code, plugin and reasons, by node.
fn recorded_rejected(of: &Value) -> Vec<(String, String, String, Vec<String>)> {
    let one = |rejected: &Value| {
        let node = text(rejected, "node").unwrap_or_default().to_owned();
        let (code, plugin, reasons) = recorded(rejected);
        (node, code, plugin, reasons)
    };
    let mut all: Vec<_> = list(of, "rejected").iter().map(one).collect();
    all.sort();
    all
}

fn recorded(of: &Value) -> (String, String, Vec<String>) {
    let field = |key| text(of, key).unwrap_or_default().to_owned();
    let mut reasons = texts(of, "reasons");
    reasons.sort();
    (field("code"), field("plugin"), reasons)
}

fn sorted(plugins: PluginSet) -> Vec<String> {
    let mut names: Vec<_> =
        plugins.iter().map(|plugin: Plugin| plugin.as_str().to_owned()).collect();
    names.sort();
    names
}

fn borrowed<'a>(of: &'a Value, key: &str) -> Vec<&'a str> {
    list(of, key).iter().filter_map(Value::as_str).collect()
}

fn texts(of: &Value, key: &str) -> Vec<String> {
    borrowed(of, key).into_iter().map(str::to_owned).collect()
}

fn numbers(of: &Value) -> Vec<i64> {
    of.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// The files of single decisions, and how their recorded cases came out so far.
struct Totals {
    files: u32,
    agreed: u32,
    cases: u32,
}

const FILES: u32 = 17;
static TOTALS: Mutex<Totals> = Mutex::new(Totals { files: 0, agreed: 0, cases: 0 });

/// One file; when it is through, and all others are, the figure of all together is told.
struct Judged;

impl Drop for Judged {
    fn drop(&mut self) {
        let mut totals = TOTALS.lock().unwrap_or_else(PoisonError::into_inner);
        totals.files += 1;
        if totals.files == FILES && totals.cases > 0 {
            println!("\nconformance scheduler/decisions: {}/{}", totals.agreed, totals.cases);
        }
    }
}

fn judge_one(case: &Value) -> Verdict {
    match check(case) {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how.chars().take(700).collect()),
    }
}

fn judge(file: &str) {
    let _judged = Judged;
    judge_corpus("scheduler", file, |case| {
        let verdict = judge_one(case);
        if !id(case).starts_with("own-") {
            let mut totals = TOTALS.lock().unwrap_or_else(PoisonError::into_inner);
            totals.cases += 1;
            totals.agreed += u32::from(matches!(verdict, Verdict::Agreed));
        }
        verdict
    });
}

#[test]
fn conformance_decisions_config() {
    judge("decisions-config");
}

#[test]
fn conformance_decisions_defaultspread() {
    judge("decisions-defaultspread");
}

#[test]
fn conformance_decisions_disks() {
    judge("decisions-disks");
}

#[test]
fn conformance_decisions_fit() {
    judge("decisions-fit");
}

#[test]
fn conformance_decisions_images() {
    judge("decisions-images");
}

#[test]
fn conformance_decisions_interpod() {
    judge("decisions-interpod");
}

#[test]
fn conformance_decisions_message() {
    judge("decisions-message");
}

#[test]
fn conformance_decisions_mix() {
    judge("decisions-mix");
}

#[test]
fn conformance_decisions_nodeaffinity() {
    judge("decisions-nodeaffinity");
}

#[test]
fn conformance_decisions_nominated() {
    judge("decisions-nominated");
}

#[test]
fn conformance_decisions_pinned() {
    judge("decisions-pinned");
}

#[test]
fn conformance_decisions_ports() {
    judge("decisions-ports");
}

#[test]
fn conformance_decisions_sampling() {
    judge("decisions-sampling");
}

#[test]
fn conformance_decisions_spread() {
    judge("decisions-spread");
}

#[test]
fn conformance_decisions_taints() {
    judge("decisions-taints");
}

#[test]
fn conformance_decisions_ties() {
    judge("decisions-ties");
}

#[test]
fn conformance_decisions_volumes() {
    judge("decisions-volumes");
}

#[test]
fn conformance_preemption() {
    judge_corpus("scheduler", "preemption", judge_one);
}
