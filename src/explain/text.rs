//! An explanation as people read it.

use std::fmt::Write as _;

use super::Explanation;
use super::trace::{Attempt, Scores};
use crate::base::SimTime;
use crate::base::text::counted;
use crate::report::table::{Align, text_table};

/// Names of nodes in a row at most.
const NODES: usize = 4;
/// Different attempts shown at the beginning and at the end.
const SHOWN: usize = 4;

pub(super) fn print(explanation: &Explanation) -> String {
    let Explanation {
        pod,
        workload,
        scheduler,
        priority,
        requests,
        attempts,
        remedies,
        scale_ups,
        volumes,
        sandboxes,
        resizes,
        evictions,
        ..
    } = explanation;
    let mut out = format!(
        "{pod} · of {workload} · profile {scheduler} · priority {priority} · requests {requests}\n"
    );
    let groups = grouped(attempts);
    let left_out = groups.len().saturating_sub(2 * SHOWN);
    for (index, group) in groups.iter().enumerate() {
        if left_out > 0 && index == SHOWN {
            out += &format!("\n… {} left out (--json has all)\n", counted_attempts(left_out));
        }
        if left_out == 0 || !(SHOWN..SHOWN + left_out).contains(&index) {
            out.push('\n');
            print_group(group, &mut out);
        }
    }
    print_said("VOLUMES", volumes, &mut out);
    print_said("SANDBOX", sandboxes, &mut out);
    print_said("RESIZES", resizes, &mut out);
    print_said("EVICTED", evictions, &mut out);
    print_said("CLUSTER AUTOSCALER", scale_ups, &mut out);
    let Some(last) = attempts.last().filter(|last| last.node.is_none()) else { return out };
    let when = time(last.at);
    if remedies.is_empty() {
        out += "\nWHAT WOULD HELP\n  no change that was tried, nor two of them, makes it fit\n";
        return out;
    }
    out += &format!("\nWHAT WOULD HELP (each tried on the cluster of {when})\n");
    let rows: Vec<Vec<String>> = (remedies.iter())
        .map(|remedy| vec![remedy.changes.join(", and "), format!("→ {}", remedy.node)])
        .collect();
    out += &text_table(&[("", Align::Left), ("", Align::Left)], &rows, 2);
    out
}

/// What somebody said, and when: the first and the last.
fn print_said(title: &str, all: &[(SimTime, String)], out: &mut String) {
    if all.is_empty() {
        return;
    }
    *out += &format!("\n{title}\n");
    let left_out = all.len().saturating_sub(2 * SHOWN);
    let shown = all.iter().enumerate();
    let shown = shown.filter(|(at, _)| !(SHOWN..SHOWN + left_out).contains(at));
    let rows: Vec<Vec<String>> =
        shown.map(|(_, (at, said))| vec![time(*at), said.clone()]).collect();
    *out += &text_table(&[("", Align::Left), ("", Align::Left)], &rows, 2);
}

fn counted_attempts(count: usize) -> String {
    counted(crate::base::cast::u64_of(count), "other result")
}

/// Runs of attempts that found the same.
fn grouped(attempts: &[Attempt]) -> Vec<&[Attempt]> {
    attempts.chunk_by(|a, b| a.is_like(b)).collect()
}

fn time(at: SimTime) -> String {
    at.since_start().to_string()
}

fn print_group(group: &[Attempt], out: &mut String) {
    let [first, rest @ ..] = group else { return };
    let what = first.node.as_ref().map_or("no node".to_owned(), |node| format!("placed on {node}"));
    let _infallible = match rest.last() {
        None => writeln!(out, "ATTEMPT {} at {}: {what}", first.number, time(first.at)),
        Some(last) => writeln!(
            out,
            "ATTEMPTS {} to {} from {} to {}: {what}",
            first.number,
            last.number,
            time(first.at),
            time(last.at)
        ),
    };
    if let Some(message) = &first.message {
        *out += &format!("  {message}\n");
    }
    if !first.verdicts.is_empty() {
        let rows: Vec<Vec<String>> = (first.verdicts.iter())
            .map(|verdict| {
                let mut nodes: Vec<&str> =
                    verdict.nodes.iter().take(NODES).map(String::as_str).collect();
                if verdict.nodes.len() > NODES {
                    nodes.push("…");
                }
                vec![
                    verdict.plugin.clone(),
                    verdict.reason.clone(),
                    verdict.count.to_string(),
                    nodes.join(", "),
                ]
            })
            .collect();
        let columns = [
            ("plugin", Align::Left),
            ("refuses because", Align::Left),
            ("nodes", Align::Right),
            ("", Align::Left),
        ];
        *out += &text_table(&columns, &rows, 2);
    }
    if let Some(node) = &first.node {
        let rest = if first.is_sampled { ", the search ended there" } else { "" };
        match (&first.scores, first.feasible) {
            (None, 1) => *out += &format!("  only {node} takes it: nothing to score{rest}\n"),
            (scores, feasible) => {
                *out += &format!("  {feasible} of {} nodes take it{rest}\n", first.nodes);
                scores.iter().for_each(|scores| print_scores(scores, feasible, out));
            }
        }
    }
    if let Some(preemption) = &first.preemption {
        let node = preemption.node.as_deref().unwrap_or("no node");
        let victims = preemption.victims.join(", ");
        *out += &format!("  preemption: nominated to {node}, evicts {victims}\n");
    }
}

fn print_scores(scores: &Scores, feasible: usize, out: &mut String) {
    let headings: Vec<String> = scores
        .plugins
        .iter()
        .map(
            |(name, weight)| {
                if *weight == 1 { name.clone() } else { format!("{weight} × {name}") }
            },
        )
        .collect();
    let mut columns = vec![("node", Align::Left), ("sum", Align::Right)];
    columns.extend(headings.iter().map(|heading| (heading.as_str(), Align::Right)));
    let row = |(node, by, total): &(String, Vec<i64>, i64)| {
        let by = by.iter().map(ToString::to_string);
        [node.clone(), total.to_string()].into_iter().chain(by).collect()
    };
    let rows: Vec<Vec<String>> = scores.best.iter().map(row).collect();
    *out += &text_table(&columns, &rows, 2);
    if feasible > scores.best.len() {
        *out += &format!("  … {} more with lower or equal sums\n", feasible - scores.best.len());
    }
    if !scores.skipped.is_empty() {
        *out += &format!("  nothing to score for {}\n", scores.skipped.join(", "));
    }
}
