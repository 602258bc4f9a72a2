//! The search for the settings that give the best of a number while every line holds.
//!
//! ```text
//! all candidates ─ few runs each ─► better half ─ twice as many ─► … ─► the last few, all runs
//! ```
//!
//! Successive halving (Jamieson and Talwalkar 2016) over common random numbers: run `n` of every
//! candidate has the same seed, so two candidates differ by their settings, not by their luck, and
//! runs that a candidate has made are kept for the next round.

use std::sync::Arc;

use crate::engine::SimError;
use crate::model::Model;
use crate::recorder::Wants;
use crate::report::candidates::{Goal, Search, Tried};
use crate::report::expect::Expect;
use crate::report::summary::{Metrics, Summary};

/// Candidates that are left for the last round.
const LAST: usize = 6;
/// Runs of the first round, if the last has as many.
const FIRST_RUNS: u32 = 2;

/// One setting of all that is open.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its values, in the order of the knobs.
    pub values: Vec<String>,
    /// The model with these values.
    pub model: Arc<Model>,
}

/// How the search is done.
#[derive(Debug)]
pub struct Options {
    /// Runs of each candidate of the last round.
    pub replications: u32,
    /// How many runs at once.
    pub jobs: usize,
    /// Whether all invariants are checked after every commit.
    pub checks: bool,
}

/// Searches. `progress` is told how many runs have ended, from any thread.
///
/// # Errors
/// If a run passes a limit: the error of the first candidate that does.
pub fn advise(
    candidates: &[Candidate],
    knobs: Vec<String>,
    goal: Goal,
    lines: &[Expect],
    options: &Options,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<Search, SimError> {
    let mut runs: Vec<Vec<Metrics>> = vec![Vec::new(); candidates.len()];
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut rounds = Vec::new();
    for wanted in rounds_of(candidates.len(), options.replications) {
        rounds.push((left.len(), wanted));
        fill(&mut runs, &left, wanted, candidates, options, progress)?;
        let mut tried: Vec<(usize, Tried)> = left
            .iter()
            .map(|at| (*at, judge(&candidates[*at], &runs[*at], &goal, lines)))
            .collect();
        tried.sort_by(|a, b| a.1.compare(&b.1, &goal).then(a.0.cmp(&b.0)));
        if wanted < options.replications {
            let keep = (left.len().div_ceil(2)).max(LAST).min(left.len());
            left = tried.into_iter().take(keep).map(|(at, _)| at).collect();
            left.sort_unstable();
        }
    }
    let mut tried: Vec<Tried> = candidates
        .iter()
        .zip(&runs)
        .map(|(candidate, runs)| judge(candidate, runs, &goal, lines))
        .collect();
    tried.sort_by(|a, b| b.runs.cmp(&a.runs).then(a.compare(b, &goal)));
    let lines = lines.iter().map(|line| (line.text.clone(), line.path().to_owned())).collect();
    Ok(Search { knobs, goal, lines, tried, rounds })
}

/// How many runs a candidate has after each round; the last number is `replications`.
fn rounds_of(candidates: usize, replications: u32) -> Vec<u32> {
    let mut halvings = 0;
    let mut left = candidates;
    while left > LAST {
        left = left.div_ceil(2).max(LAST);
        halvings += 1;
    }
    let runs = |round: u32| (replications >> round).max(FIRST_RUNS.min(replications));
    let mut rounds: Vec<u32> = (0..=halvings).rev().map(|round: u32| runs(round.min(31))).collect();
    // Rounds of equal size would only throw away.
    rounds.dedup();
    rounds
}

/// Makes the runs that the candidates left do not have yet.
fn fill(
    runs: &mut [Vec<Metrics>],
    left: &[usize],
    wanted: u32,
    candidates: &[Candidate],
    options: &Options,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<(), SimError> {
    let has = |at: usize| u32::try_from(runs[at].len()).unwrap_or(u32::MAX);
    let tasks: Vec<(usize, u32)> =
        left.iter().flat_map(|at| (has(*at)..wanted).map(|number| (*at, number))).collect();
    let one = |task: u32| {
        let (at, number) = tasks[crate::base::cast::usize_of(task)];
        let model = &candidates[at].model;
        let result = super::run_once(model, number, &[], options.checks, Wants::default());
        progress(1);
        result.map(|(_, numbers)| numbers)
    };
    let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
    let results = super::in_parallel(count, options.jobs, one);
    for ((at, _), result) in tasks.iter().zip(results) {
        runs[*at].push(result?);
    }
    Ok(())
}

fn judge(candidate: &Candidate, runs: &[Metrics], goal: &Goal, lines: &[Expect]) -> Tried {
    let summary = Summary::fold(runs);
    let number = |path: &str| summary.find(path).map(|(_, number)| number.clone());
    let verdicts: Vec<_> = lines.iter().map(|line| line.judge(&summary)).collect();
    let broken = lines.iter().zip(&verdicts).filter(|(_, verdict)| !verdict.held);
    Tried {
        distance: broken.map(|(line, _)| line.distance(&summary)).sum(),
        values: candidate.values.clone(),
        runs: runs.len(),
        goal: number(&goal.path.to_string()),
        numbers: lines.iter().map(|line| number(line.path())).collect(),
        verdicts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_twice_the_runs_of_the_one_before() {
        assert_eq!(rounds_of(48, 16), [2, 4, 8, 16]);
        assert_eq!(rounds_of(48, 3), [2, 3]);
        assert_eq!(rounds_of(3, 20), [20]);
        assert_eq!(rounds_of(7, 1), [1]);
    }
}
