//! The entry for tests: every case of a file, with what may be left to chance.

use std::iter::once;

use serde_json::Value;

use crate::support::corpus::{Verdict, judge_share};

use super::Plane;
use super::actor::Uids;
use super::case::{Case, list, text};
use super::compare::{Difference, Outcome, compare};
use super::turns;

/// How often a case is run again with the uids that the run before has shown.
const ROUNDS: usize = 12;

/// Replays every case of `controllers/FILE`. `exempt` says why a case that differs may do so.
///
/// With `SEATRIAL_CASE=ID` only that case runs, and what was there around the first difference is
/// printed; with `SEATRIAL_LOOKS=1` too each look of a controller, of each round.
pub(crate) fn judge_controllers(
    file: &str,
    exempt: impl Fn(&Value, &Difference) -> Option<String>,
) {
    judge_most_controllers(file, 0, exempt);
}

/// Like [`judge_controllers`], where so many of a hundred cases are known to differ at most.
pub(crate) fn judge_most_controllers(
    file: &str,
    differing_max: usize,
    exempt: impl Fn(&Value, &Difference) -> Option<String>,
) {
    let only = setting("SEATRIAL_CASE");
    judge_share("controllers", file, differing_max, |case| {
        if only.as_deref().is_some_and(|only| case["id"] != only) {
            return Verdict::Agreed;
        }
        let shape = text(&case["shape"]);
        match replay_by_turns(Case::new(case), only.is_some()) {
            Ok(None) => Verdict::Agreed,
            Ok(Some(difference)) => match exempt(case, &difference) {
                Some(why) => Verdict::Exempt(why),
                None => Verdict::Differs(format!("{shape}: {difference}")),
            },
            Err(how) => Verdict::Differs(format!("{shape}: {how}")),
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "what whoever debugs wants to see")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Which of several failing nodes has its turn first is left to chance: a case agrees if it does so
/// with one of the orders.
fn replay_by_turns(mut case: Case<'_>, traces: bool) -> Result<Option<Difference>, String> {
    let first = replay(&case, traces)?;
    if first.is_none() {
        return Ok(None);
    }
    for turns in turns::orders(&case) {
        case.turns = turns;
        if replay(&case, false)?.is_none() {
            return Ok(None);
        }
    }
    Ok(first)
}

/// How many draws a case has whose outcome upstream leaves to chance: the order of nodes in rolling
/// updates of DaemonSets, what happens within one instant (chance.rs). One of them must agree with
/// the recording from its beginning to its end.
fn draws(case: &Case<'_>) -> u32 {
    let controllers = list(&case.value["controllers"]);
    if controllers.contains(&"daemonset".into()) { 100 } else { 60 }
}

/// The first difference of a case from what was recorded, if there is one: of all draws the one
/// that agrees longest.
fn replay(case: &Case<'_>, traces: bool) -> Result<Option<Difference>, String> {
    let mut longest: Option<Difference> = None;
    for draw in 0..draws(case) {
        let Some(difference) = replay_once(case, traces, draw)? else { return Ok(None) };
        if longest.as_ref().is_none_or(|longest| longest.t < difference.t) {
            longest = Some(difference);
        }
    }
    Ok(longest)
}

fn replay_once(case: &Case<'_>, traces: bool, draw: u32) -> Result<Option<Difference>, String> {
    let mut uids = Uids::new();
    let mut tried = Vec::new();
    loop {
        let (plane, ours) = Plane::run(case, uids.clone(), draw)?;
        let told = once(&case.value["op_results"]).chain(list(&case.value["op_results_alt"]));
        let told: Vec<&[Value]> = told.map(list).collect();
        let pairs = case.timelines().into_iter().flat_map(|t| told.iter().map(move |a| (t, *a)));
        let compared = |(theirs, told): (&Value, &[Value])| {
            let mut outcome = compare(case, &ours, theirs, [&plane.answers, told]);
            outcome.first = outcome.first.take().or_else(|| answers(&plane, told, &outcome));
            outcome
        };
        let time = |outcome: &Outcome| outcome.first.as_ref().map_or(u64::MAX, |first| first.t);
        let outcome = pairs.map(compared).max_by_key(time).ok_or("no timeline")?;
        let Some(first) = &outcome.first else { return Ok(None) };
        tried.push(uids);
        if tried.contains(&outcome.uids) || tried.len() > ROUNDS {
            if traces {
                println!("{}", outcome.trace(first.t));
            }
            return Ok(outcome.first);
        }
        uids = outcome.uids;
    }
}

/// The first answer of an operation that is another one.
fn answers(plane: &Plane, theirs: &[Value], outcome: &Outcome) -> Option<Difference> {
    let ours: Vec<Value> = plane.answers.iter().map(|row| called(row, outcome)).collect();
    let at = (0..ours.len().max(theirs.len())).find(|i| !same(ours.get(*i), theirs.get(*i)))?;
    let show = |all: &[Value]| all.get(at).cloned().unwrap_or_default();
    let (ours, theirs) = (show(&ours), show(theirs));
    let t = if ours.is_null() { &theirs["t"] } else { &ours["t"] };
    Some(Difference {
        t: t.as_u64().unwrap_or(0),
        kind: "answer".to_owned(),
        name: String::new(),
        field: "op_results".to_owned(),
        ours,
        theirs,
    })
}

/// Whether two answers are the same; where pods are not recorded they are not named.
fn same(ours: Option<&Value>, theirs: Option<&Value>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
    let names = theirs["pod"].is_null() || ours["pod"] == theirs["pod"];
    names && ["op", "t", "res"].iter().all(|key| ours[key] == theirs[key])
}

/// An answer with the recorded name of its pod.
fn called(answer: &Value, outcome: &Outcome) -> Value {
    let mut answer = answer.clone();
    if let Some(theirs) = outcome.pods.get(text(&answer["pod"])) {
        let res = text(&answer["res"]).replace(text(&answer["pod"]), theirs);
        answer["pod"] = theirs.as_str().into();
        answer["res"] = res.into();
    }
    answer
}

/// Replays every case of `controllers/FILE` in the engine, whose controllers have limited clients.
///
/// Who gets the next token of several that ask at one instant is left to chance, and all that
/// follows with it: the recorded runs of most cases differ from one another in each slot. A case
/// agrees if one of our draws is one of its runs, from beginning to end; or, where its runs differ,
/// if nine of ten recorded numbers are within what our draws span at their slot.
pub(crate) fn judge_limited(file: &str) {
    let only = setting("SEATRIAL_CASE");
    judge_share("controllers", file, 0, |case| {
        if only.as_deref().is_some_and(|only| case["id"] != only) {
            return Verdict::Agreed;
        }
        judge_draws(&Case::new(case)).unwrap_or_else(Verdict::Differs)
    });
}

fn judge_draws(case: &Case<'_>) -> Result<Verdict, String> {
    let runs = case.timelines();
    let are_alike = runs.iter().all(|run| *run == runs[0]);
    let mut all = Vec::new();
    let mut latest: Option<Difference> = None;
    let mut spread = Ok(Verdict::Agreed);
    for draw in 0..draws(case) {
        let ours = super::limited::run(case, draw)?;
        for theirs in &runs {
            let Some(first) = compare(case, &ours, theirs, [&[], &[]]).first else {
                return Ok(Verdict::Agreed);
            };
            if latest.as_ref().is_none_or(|latest| latest.t < first.t) {
                latest = Some(first);
            }
        }
        all.push(ours);
        if all.len() % 30 == 0 && !are_alike {
            spread = judge_spread(&all, &runs);
            if spread.is_ok() {
                return spread;
            }
        }
    }
    if are_alike { Err(latest.map_or_else(String::new, |first| first.to_string())) } else { spread }
}

/// Whether nine of ten numbers of each recorded run are within what our draws span.
fn judge_spread(draws: &[super::Timeline], runs: &[&Value]) -> Result<Verdict, String> {
    for run in runs {
        let (count, beyond) = super::limited::beyond(draws, run);
        if beyond.len() * 10 > count {
            return Err(format!("{} of {count} numbers, such as {}", beyond.len(), beyond[0]));
        }
    }
    Ok(Verdict::Agreed)
}
