//! Drains of nodes: their numbers, their lines in the summary, and what keeps one from ending.

use crate::base::text::counted;
use crate::base::{SimTime, cast};
use crate::model::{Action, Command, Model};
use crate::record::{BlockedBy, DrainBlock, DrainOutcome, DrainRecord, DrainedNode};
use crate::recorder::Facts;

use super::advice::Advice;
use super::summary::{Metrics, Summary, Unit};
use super::table::{Align, text_table};
use super::words;

/// Nodes that are shown at most.
const NODES_MAX: usize = 8;
/// Nodes with numbers of their own, at most.
const NUMBERED_MAX: usize = 200;

/// The last drain of each node, in the order of their turns.
fn last_of_each(facts: &Facts) -> Vec<(&DrainRecord, &DrainedNode)> {
    let mut all: Vec<(&DrainRecord, &DrainedNode)> = Vec::new();
    let mut records: Vec<&DrainRecord> = facts.drains.iter().collect();
    records.sort_by_key(|record| record.started);
    for record in records {
        for node in &record.nodes {
            all.retain(|(_, other)| other.name != node.name);
            all.push((record, node));
        }
    }
    all
}

/// The nodes that the commands of a model name.
fn named(model: &Model) -> Vec<&str> {
    let mut nodes = Vec::new();
    for entry in &model.timeline {
        if let Action::Command(Command::Drain(options)) = &entry.action {
            nodes.extend(options.nodes.iter().map(|name| model.names.resolve(*name)));
        }
    }
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// The numbers of each node that was, or is to be, drained.
pub(super) fn put_drains(facts: &Facts, out: &mut Metrics) {
    let drained = last_of_each(facts);
    let mut names: Vec<&str> = named(&facts.model);
    names.extend(drained.iter().map(|(_, node)| node.name.as_str()));
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().take(NUMBERED_MAX) {
        let of = drained.iter().find(|(_, node)| node.name == name).map(|(_, node)| *node);
        let mut put = |last: &str, value: Option<f64>, unit, about| {
            out.put(&["drains", name, last], value, unit, about);
        };
        let is_done = of.map(|node| f64::from(u8::from(node.outcome == DrainOutcome::Drained)));
        put("drained", is_done, Unit::YesNo, "whether all of its pods went");
        let done = of.filter(|node| node.outcome == DrainOutcome::Drained);
        let duration = done.and_then(|node| Some(node.ended? - node.started?));
        let about = "from the node's turn until its pods were gone";
        put("duration", duration.map(crate::base::Duration::as_secs_f64), Unit::Seconds, about);
        let count = |number: fn(&DrainedNode) -> u32| of.map(|node| f64::from(number(node)));
        put("gone", count(|node| node.gone), Unit::Pods, "pods that went");
        put("left", count(|node| node.left), Unit::Pods, "pods that were to go and did not");
        let refused = |node: &DrainedNode| node.blocks.iter().map(|block| block.refusals).sum();
        put("refused", count(refused), Unit::Count, "evictions that budgets refused");
    }
}

/// The lines of the summary: a row a node, and under it who refused.
pub(super) fn lines(summary: &Summary, facts: &Facts) -> (Vec<String>, usize) {
    let all = last_of_each(facts);
    let rows: Vec<Vec<String>> =
        all.iter().take(NODES_MAX).map(|(_, node)| row(node, summary, facts.ended)).collect();
    let table = text_table(&[("", Align::Left), ("", Align::Left)], &rows, 0);
    let mut lines = Vec::new();
    for (line, (_, node)) in table.lines().zip(&all) {
        lines.push(line.to_owned());
        lines.extend(notes(node).into_iter().map(|note| format!("  {note}")));
    }
    (lines, all.len())
}

fn row(node: &DrainedNode, summary: &Summary, ended: SimTime) -> Vec<String> {
    let name = node.name.as_str();
    let number = |last: &str| summary.get(&["drains", name, last]);
    let share = summary.value(&["drains", name, "drained"]).unwrap_or(0.0);
    let runs = summary.replications;
    let took = number("duration").filter(|n| n.value.is_some()).map(words::with_interval);
    let text = match (share, took) {
        (share, Some(took)) if share >= 1.0 => {
            let pods = number("gone").map(words::with_interval).unwrap_or_default();
            let pods = if pods == "1" { "1 pod".to_owned() } else { format!("{pods} pods") };
            format!("drained in {took}, {pods}")
        }
        (share, Some(took)) => {
            let done = (share * cast::f64_of_usize(runs)).round();
            format!("drained in {done} of {runs} runs, then in {took}")
        }
        (_, None) => not_drained(node, ended),
    };
    vec![format!("node/{name}"), text]
}

fn not_drained(node: &DrainedNode, ended: SimTime) -> String {
    let total = node.gone + node.left;
    let left = format!("{} of {} left", node.left, counted(u64::from(total), "pod"));
    match (&node.outcome, node.started) {
        (DrainOutcome::Waits, _) => "not begun: the node before it is not drained".to_owned(),
        (DrainOutcome::Failed(_), _) if total == 0 => "not drained: refused at once".to_owned(),
        (_, Some(started)) => {
            let until = node.ended.unwrap_or(ended);
            format!("not drained after {}, {left}", until - started)
        }
        (_, None) => format!("not drained, {left}"),
    }
}

/// What is told under a node.
fn notes(node: &DrainedNode) -> Vec<String> {
    let is_drained = node.outcome == DrainOutcome::Drained;
    let mut notes: Vec<String> = Vec::new();
    if let DrainOutcome::Failed(why) = &node.outcome {
        notes.push(format!("kubectl: {why}"));
    }
    // Who let all go in the end is told only where nobody else is to blame.
    let is_over = |block: &&DrainBlock| block.let_through >= block.pods;
    let is_told = |block: &&DrainBlock| is_drained || !is_over(block);
    for block in node.blocks.iter().filter(is_told) {
        let refused = format!(
            "{} refused {} of {}",
            budget(block),
            counted(u64::from(block.refusals), "eviction"),
            counted(u64::from(block.pods), "pod"),
        );
        notes.push(match is_drained {
            true => format!("{refused}, until {}", block.last.floor_secs()),
            false => format!("{refused}: it {}", sentence(block)),
        });
    }
    notes
}

/// `budget web (minAvailable 3)`
fn budget(block: &DrainBlock) -> String {
    match &block.budget {
        Some(name) => format!("budget {name} ({})", block.rule),
        None => "the eviction API".to_owned(),
    }
}

/// Why a budget refuses: what follows on its name.
fn sentence(block: &DrainBlock) -> String {
    match &block.why {
        BlockedBy::Never { desired, pods } => {
            format!("wants {desired} healthy of {pods} pods and can never allow an eviction")
        }
        BlockedBy::Unready { healthy, desired, waiting, unready } => {
            let waiting = (*waiting > 0).then(|| {
                let verb = if *waiting == 1 { "has" } else { "have" };
                format!("{} {verb} no node", counted(u64::from(*waiting), "pod"))
            });
            let unready = (*unready > 0).then(|| {
                let verb = if *unready == 1 { "is" } else { "are" };
                format!("{} {verb} not ready", counted(u64::from(*unready), "pod"))
            });
            let who: Vec<String> = [waiting, unready].into_iter().flatten().collect();
            let who = who.join(" and ");
            format!("wants {desired} healthy pods and has {healthy}: {who}")
        }
        BlockedBy::Busy { healthy, desired } => {
            format!("wants {desired} healthy pods and has {healthy}: others are on their way")
        }
        BlockedBy::NotCounted(why) => format!("cannot count its pods: {why}"),
        BlockedBy::NotObserved => "has not been looked at by its controller".to_owned(),
        BlockedBy::SeveralBudgets => "lets no pod go that has more than one budget".to_owned(),
    }
}

/// The names of all nodes that were drained or were to be.
pub(super) fn names(facts: &Facts) -> Vec<String> {
    last_of_each(facts).into_iter().map(|(_, node)| node.name.clone()).collect()
}

/// The nodes that were not drained, and what kept each.
pub(super) fn undrained(facts: &Facts) -> Vec<(String, String)> {
    let stuck = last_of_each(facts).into_iter().filter(|(_, node)| {
        matches!(node.outcome, DrainOutcome::UnderWay | DrainOutcome::Failed(_))
    });
    let why = |node: &DrainedNode| match node.blocks.iter().max_by_key(|block| block.last) {
        Some(block) => format!("{} {}", budget(block), sentence(block)),
        None => not_drained(node, facts.ended),
    };
    stuck.map(|(_, node)| (node.name.clone(), why(node))).collect()
}

/// The first drain that did not end, why, and what may help.
pub(super) fn advice(facts: &Facts) -> Option<Advice> {
    let all = last_of_each(facts);
    let mut stuck = all.iter().filter(|(_, node)| {
        matches!(node.outcome, DrainOutcome::UnderWay | DrainOutcome::Failed(_))
    });
    let (_, node) = stuck.next()?;
    let name = &node.name;
    let Some(block) = node.blocks.iter().max_by_key(|block| block.last) else {
        let DrainOutcome::Failed(why) = &node.outcome else { return None };
        return Some(Advice {
            why: format!("kubectl drains nothing of node {name}: {why}"),
            try_this: flag(why).to_owned(),
        });
    };
    let why = format!("node {name} is not drained: {} {}", budget(block), sentence(block));
    let try_this = match &block.why {
        BlockedBy::Never { desired, .. } => format!(
            "maxUnavailable: 1 in its place, or {} replicas; or kubectl drain --disable-eviction, \
             which asks no budget",
            desired + 1
        ),
        BlockedBy::Unready { waiting: 1.., .. } => {
            "another node for the pods that come in their place, or one drain after another"
                .to_owned()
        }
        BlockedBy::Unready { .. } => {
            "to mend the pods that are not ready; with unhealthyPodEvictionPolicy: AlwaysAllow they \
             at least may go"
                .to_owned()
        }
        BlockedBy::NotCounted(_) => {
            "minAvailable as a number: then nobody asks how many pods there shall be".to_owned()
        }
        BlockedBy::SeveralBudgets => "selectors of which only one selects each pod".to_owned(),
        BlockedBy::Busy { .. } | BlockedBy::NotObserved => {
            "a longer --timeout, or a later run.until".to_owned()
        }
    };
    Some(Advice { why, try_this })
}

/// The flag that lets kubectl go on.
fn flag(error: &str) -> &'static str {
    let flags = ["--ignore-daemonsets", "--delete-emptydir-data", "--force"];
    match flags.into_iter().find(|flag| error.contains(flag)) {
        Some("--ignore-daemonsets") => "kubectl drain --ignore-daemonsets: their pods stay",
        Some("--delete-emptydir-data") => "kubectl drain --delete-emptydir-data, if it can be lost",
        Some(_) => "kubectl drain --force, if pods that nobody makes again may go",
        None => "a longer --timeout",
    }
}

/// Drains that the end of the run cut off.
pub(super) fn doubts(facts: &Facts) -> Vec<String> {
    let cut = facts.drains.iter().filter(|drain| drain.ended.is_none());
    let doubt = |drain: &DrainRecord| {
        format!("\"{}\" of {} was under way when the run ended", drain.text, drain.started)
    };
    cut.map(doubt).collect()
}
