//! Single decisions of the real scheduler: verdicts, scores, the chosen node, the message.

use std::collections::BTreeMap;
use std::sync::Arc;

use seatrial::api::{Lowering, lower_node, lower_pod_spec, pod_amounts, resources};
use seatrial::base::{Id, Interner};
use seatrial::model::{
    Behavior, Behaviors, Labels, NodeId, PodId, PodRef, PodSpec, PriorityClasses, SchedulerSettings,
};
use seatrial::placement::plain::{Attempt, attempt};
use seatrial::placement::{Applicant, Code, Decision, Failure, Placer, PodInfo};
use serde_json::Value;

use crate::support::corpus::{Verdict, int, judge_corpus, same, text};

/// The pod that is asked about.
const ASKED: PodRef = PodRef { id: PodId::new(u32::MAX - 1), life: 0 };

/// Reads objects: names and what lowering wants.
struct Reader {
    names: Interner,
    behaviors: Behaviors,
    classes: PriorityClasses,
}

impl Reader {
    fn new() -> Self {
        Self {
            names: Interner::new(),
            behaviors: Behaviors { standard: Behavior::plain(), rules: Vec::new() },
            classes: PriorityClasses::default(),
        }
    }

    /// What the API server resolved from the class stands in the object here: no class is named.
    fn pod(&mut self, object: &Value) -> Result<Arc<PodSpec>, String> {
        let mut object = object.clone();
        let spec = object["spec"].as_object_mut().ok_or("a pod without spec")?;
        let priority = spec.remove("priority").and_then(|p| p.as_i64()).unwrap_or(0);
        let policy = spec.remove("preemptionPolicy");
        let mut cx =
            Lowering { behaviors: &self.behaviors, classes: &self.classes, names: &mut self.names };
        let lowered = lower_pod_spec(&object, &mut cx);
        let mut spec = lowered.map_err(|p| format!("lowering: {p:?}"))?;
        spec.priority = i32::try_from(priority).map_err(|e| e.to_string())?;
        spec.preempts_never = policy.is_some_and(|p| p == "Never");
        Ok(Arc::new(spec))
    }

    fn info(&mut self, spec: Arc<PodSpec>) -> Arc<PodInfo> {
        Arc::new(PodInfo::plain(self.names.intern("default"), Labels::default(), spec))
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn texts<'a>(of: &'a Value, key: &str) -> Vec<&'a str> {
    list(of, key).iter().filter_map(Value::as_str).collect()
}

fn numbers(of: &Value) -> Vec<i64> {
    of.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// The nodes of a case with the pods that are bound to them, and the search's start.
fn placer(case: &Value, reader: &mut Reader) -> Result<Placer, String> {
    let adaptive = case["config"]["percentageOfNodesToScore"] == 0;
    let settings = SchedulerSettings {
        percentage_of_nodes_to_score: if adaptive { 0 } else { 100 },
        ..SchedulerSettings::default()
    };
    let mut placer = Placer::new(&settings);
    let mut by_name = BTreeMap::new();
    let mut nodes = Vec::new();
    for (id, object) in (0..).map(NodeId::new).zip(list(&case["cluster"], "nodes")) {
        nodes.push((id, lower_node(object, &mut reader.names)));
        by_name.insert(text(&object["metadata"], "name").unwrap_or_default(), id);
    }
    placer.add_nodes(nodes, &reader.names);
    for (number, object) in list(&case["cluster"], "pods").iter().enumerate() {
        let node = text(&object["spec"], "nodeName").and_then(|name| by_name.get(name));
        // What a pod that runs takes depends on its status too (rule S84).
        let amounts = pod_amounts(object);
        let spec = PodSpec {
            requests: resources(&amounts.requests, &mut reader.names),
            nonzero_requests: amounts.nonzero,
            ..(*reader.pod(object)?).clone()
        };
        let info = reader.info(Arc::new(spec));
        let class = placer.class(&info, &reader.names);
        let pod = PodRef { id: PodId::from_index(number), life: 0 };
        placer.add_pod(*node.ok_or("a bound pod without node")?, pod, class);
    }
    let start = int(case, "startIndex").unwrap_or(0);
    placer.set_start(usize::try_from(start).map_err(|e| e.to_string())?);
    Ok(placer)
}

/// The plugins that are not modelled and had a say.
fn not_modelled(case: &Value) -> Option<&'static str> {
    let outcome = &case["outcome"];
    let (filters, scores) = (texts(outcome, "skippedFilters"), texts(outcome, "skippedScores"));
    let spreads = ["PodTopologySpread", "InterPodAffinity"];
    for plugin in spreads {
        let filtered = outcome["preFilter"].is_null() && !filters.contains(&plugin);
        let scored = outcome["scores"][plugin].is_object() && !scores.contains(&plugin);
        if filtered || scored {
            return Some("spread or affinity between pods");
        }
    }
    let images = numbers(&outcome["scores"]["ImageLocality"]["norm"]);
    if images.iter().any(|score| *score != 0) {
        return Some("images");
    }
    if !case["pod"]["spec"]["resources"].is_null() {
        return Some("rule S88: requests of the pod as a whole in the score");
    }
    if outcome["schedulerError"] == true {
        return Some("an attempt that is an error");
    }
    None
}

/// Whether what preemption found shows in the message: there is somebody to evict.
fn is_preempting(outcome: &Value) -> bool {
    let expected = "No preemption victims found for incoming pod";
    let rejected = list(&outcome["preemption"], "rejected");
    let other = |status: &Value| texts(status, "reasons").iter().any(|r| *r != expected);
    outcome["postFilter"]["code"] == "Success"
        || outcome["preemption"]["candidates"].is_array()
        || rejected.iter().any(other)
}

fn check(case: &Value) -> Result<(), String> {
    let mut reader = Reader::new();
    let mut placer = placer(case, &mut reader)?;
    let pod = reader.pod(&case["pod"])?;
    let info = reader.info(Arc::clone(&pod));
    let names = &reader.names;
    let class = placer.class(&info, names);
    let name = |node: &NodeId| names.resolve(placer.nodes().state(*node).spec.name).to_owned();
    let order: Vec<String> = placer.nodes().order().iter().map(&name).collect();
    same("node order", order.clone(), owned(&texts(case, "nodeOrder")))?;
    let outcome = &case["outcome"];
    let of = placer.applicant(ASKED, class);
    let ours = attempt(&of, &placer.world(0, names), placer.start());
    let next = int(outcome, "nextStartIndex");
    same("next start", i64::try_from(ours.next_start).ok(), next)?;
    same_verdicts(&ours, outcome, &order, &name, names)?;
    same_scores(&ours, outcome)?;
    let chosen = ours.chosen.as_ref().map(&name);
    if outcome["randomOrder"] == true && text(outcome, "chosen").is_none() {
        let best = owned(&texts(outcome, "best"));
        let is_best = chosen.as_ref().is_none_or(|chosen| best.contains(chosen));
        same("one of the best", is_best, true)?;
    } else {
        same("chosen", chosen.as_deref(), text(outcome, "chosen"))?;
    }
    if ours.chosen.is_none() {
        same_failure((&ours, &of), (&pod, outcome), &placer, names)?;
    }
    let decision = placer.decide(ASKED, class, 0, names);
    let same_node = match decision {
        Decision::Placed { node, .. } => ours.chosen == Some(node),
        Decision::Failed(_) => ours.chosen.is_none(),
    };
    same("columns agree", (same_node, placer.start()), (true, ours.next_start))
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn same_verdicts(
    ours: &Attempt,
    outcome: &Value,
    order: &[String],
    name: &dyn Fn(&NodeId) -> String,
    names: &Interner,
) -> Result<(), String> {
    let mut found: Vec<String> = ours.feasible.iter().map(name).collect();
    if outcome["randomOrder"] == true {
        found.sort_by_key(|node| order.iter().position(|n| n == node));
    }
    same("feasible", found, owned(&texts(outcome, "feasible")))?;
    let rejection = |(node, rejection): &(NodeId, seatrial::placement::Rejection)| {
        let mut reasons: Vec<_> = rejection.reasons.iter().map(|r| r.text(names)).collect();
        reasons.sort();
        let code = match rejection.code {
            Code::Unschedulable => "Unschedulable",
            Code::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
        };
        (name(node), format!("{code} {} {reasons:?}", rejection.plugin.as_str()))
    };
    let ours: BTreeMap<_, _> = ours.failed.iter().map(rejection).collect();
    let theirs = list(outcome, "failed").iter().map(|failed| {
        let field = |key| text(failed, key).unwrap_or_default();
        let reasons = texts(failed, "reasons");
        let verdict = format!("{} {} {reasons:?}", field("code"), field("plugin"));
        (field("node").to_owned(), verdict)
    });
    same("failed", ours, theirs.collect())
}

fn same_scores(ours: &Attempt, outcome: &Value) -> Result<(), String> {
    let Some(scores) = &ours.scores else {
        return same("scored", outcome["scores"].is_object(), false);
    };
    let skipped = texts(outcome, "skippedScores");
    for (plugin, _, ours) in &scores.plugins {
        let plugin = plugin.as_str();
        let theirs = &outcome["scores"][plugin];
        if skipped.contains(&plugin) || theirs.is_null() {
            let is_zero = ours.as_ref().is_none_or(|o| o.normalized.iter().all(|s| *s == 0));
            same(plugin, is_zero, true)?;
            continue;
        }
        let ours = ours.clone().unwrap_or_default();
        if plugin == "ImageLocality" || plugin == "PodTopologySpread" {
            continue;
        }
        same(plugin, ours.raw, numbers(&theirs["raw"]))?;
        same(plugin, ours.normalized, numbers(&theirs["norm"]))?;
    }
    same("totals", scores.totals.clone(), numbers(&outcome["totals"]))
}

fn same_failure(
    (ours, of): (&Attempt, &Applicant),
    (pod, outcome): (&PodSpec, &Value),
    placer: &Placer,
    names: &Interner,
) -> Result<(), String> {
    let _ = pod;
    let failure = Failure::of(ours, of, &placer.world(0, names));
    let mut plugins: Vec<_> = failure.plugins.iter().map(|plugin| plugin.as_str()).collect();
    plugins.sort_unstable();
    same("rejectors", plugins, texts(outcome, "rejectors"))?;
    let message = failure.message.as_ref();
    let recorded = text(outcome, "message").unwrap_or_default();
    if is_preempting(outcome) {
        let first = |text: &str| {
            let end = text.find(" no new claims").unwrap_or(text.len());
            text[..end].to_owned()
        };
        return same("message", first(message), first(recorded));
    }
    same("message", message, recorded)
}

fn judge(file: &str) {
    judge_corpus("scheduler", file, |case| match not_modelled(case) {
        Some(why) => Verdict::Exempt(format!("{why} (not modelled)")),
        None => match check(case) {
            Ok(()) => Verdict::Agreed,
            Err(how) => Verdict::Differs(how.chars().take(700).collect()),
        },
    });
}

#[test]
fn conformance_decisions_fit() {
    judge("decisions-fit");
}

#[test]
fn conformance_decisions_taints() {
    judge("decisions-taints");
}

#[test]
fn conformance_decisions_nodeaffinity() {
    judge("decisions-nodeaffinity");
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
fn conformance_decisions_ties() {
    judge("decisions-ties");
}

#[test]
fn conformance_decisions_pinned() {
    judge("decisions-pinned");
}

#[test]
fn conformance_decisions_message() {
    judge("decisions-message");
}
