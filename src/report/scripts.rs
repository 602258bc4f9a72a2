//! Commands that failed or wait for ever, and how scripts ended.

use crate::base::{Duration, SimTime, cast};
use crate::model::{Action, Command, Model, Script, ScriptAction};
use crate::record::{CommandRecord, ScriptRecord};
use crate::recorder::Facts;

use super::summary::{Metrics, Summary, Unit};
use super::table::{Align, text_table};
use super::words;

/// Scripts that are shown at most.
const SCRIPTS_MAX: usize = 4;
/// Commands of a script that are shown at most.
const LINES_MAX: usize = 6;

fn ended(facts: &Facts, script: usize) -> Option<&ScriptRecord> {
    facts.scripts.iter().find(|record| cast::usize_of(record.script) == script)
}

/// The script that an entry of the timeline belongs to.
fn script_of(model: &Model, entry: u32) -> Option<usize> {
    let is_own =
        |script: &Script| script.steps.iter().any(|step| step.action == ScriptAction::Entry(entry));
    model.scripts.iter().position(is_own)
}

/// The numbers of each script.
pub(super) fn put_scripts(facts: &Facts, out: &mut Metrics) {
    for (index, script) in facts.model.scripts.iter().enumerate() {
        let done = ended(facts, index);
        let mut put = |last: &str, value: Option<f64>, unit, about| {
            out.put(&["scripts", &script.name, last], value, unit, about);
        };
        let took = done.map(|done| (done.ended - done.began).as_secs_f64());
        put("duration", took, Unit::Seconds, "from its start until it ended");
        let went_well = done.map(|done| f64::from(u8::from(done.status == 0)));
        put("succeeded", went_well.or(Some(0.0)), Unit::YesNo, "whether it ended with status 0");
        let status = done.map(|done| f64::from(done.status));
        put("exit_status", status, Unit::Count, "the status that it ended with");
    }
}

/// The lines of the summary: how each script ended, and where its time went.
pub(super) fn lines(summary: &Summary, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, script) in facts.model.scripts.iter().enumerate().take(SCRIPTS_MAX) {
        lines.push(format!("{}: {}", script.name, outcome(summary, facts, (index, script))));
        lines.extend(waits(facts, index).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn outcome(summary: &Summary, facts: &Facts, (index, script): (usize, &Script)) -> String {
    let number = |last: &str| summary.get(&["scripts", &script.name, last]);
    let share = summary.value(&["scripts", &script.name, "succeeded"]).unwrap_or(0.0);
    let took = number("duration").filter(|number| number.value.is_some());
    let took = took.map(words::with_interval);
    let runs = summary.replications;
    let status = ended(facts, index).map(|record| record.status);
    match (took, status) {
        (Some(took), Some(_)) if share >= 1.0 => format!("done in {took}"),
        (Some(took), Some(status)) if share <= 0.0 => {
            format!("failed after {took} with status {status}")
        }
        (Some(took), _) => {
            let done = (share * cast::f64_of_usize(runs)).round();
            format!("done in {done} of {runs} runs, ended after {took}")
        }
        (None, _) => "not over when the run ended".to_owned(),
    }
}

/// The commands of a script that took time or failed.
fn waits(facts: &Facts, script: usize) -> Vec<String> {
    let own = facts.commands.iter().filter(|c| script_of(&facts.model, c.entry) == Some(script));
    let rows: Vec<Vec<String>> = own.filter_map(|command| row(command, facts.ended)).collect();
    let more = rows.len().saturating_sub(LINES_MAX);
    let shown = &rows[..rows.len() - more];
    let columns = [("", Align::Left), ("", Align::Left), ("", Align::Left)];
    let table = text_table(&columns, shown, 0);
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn row(command: &CommandRecord, end: SimTime) -> Option<Vec<String>> {
    let took = command.ended.unwrap_or(end) - command.at;
    let is_told = command.refused.is_some() || took > Duration::ZERO;
    let what = command.text.strip_prefix("kubectl ").unwrap_or(&command.text);
    // How long it was to wait at most is seen where it did not.
    let what: Vec<&str> =
        what.split_whitespace().filter(|word| !word.starts_with("--timeout=")).collect();
    let what = what.join(" ");
    let text = match (&command.refused, command.ended) {
        (Some(why), _) => {
            let why = why.lines().next().unwrap_or_default();
            format!("{what}: {}", why.strip_prefix("error: ").unwrap_or(why))
        }
        (None, None) => format!("{what}: still waits"),
        (None, Some(_)) => what,
    };
    let at = command.at.floor_secs().to_string();
    is_told.then(|| vec![at, took.to_string(), text])
}

/// What was refused, has failed or has not ended.
pub(super) fn doubts(facts: &Facts) -> Vec<String> {
    let mut all = Vec::new();
    for command in facts.commands.iter().filter(|command| !command.is_asked) {
        let (at, text) = (command.at, &command.text);
        let action = &facts.model.timeline[cast::usize_of(command.entry)].action;
        let is_drain = matches!(action, Action::Command(Command::Drain(_)));
        if is_drain && command.ended != Some(at) {
            continue; // told with the drains
        }
        match (&command.refused, command.ended) {
            (Some(why), Some(ended)) if ended > at => {
                all.push(format!("at {at} \"{text}\" failed after {}: {why}", ended - at));
            }
            (Some(why), _) => all.push(format!("at {at} \"{text}\" was refused: {why}")),
            (None, None) => {
                all.push(format!("\"{text}\" of {at} still waited when the run ended"));
            }
            (None, Some(_)) => {}
        }
    }
    for (index, script) in facts.model.scripts.iter().enumerate() {
        let name = &script.name;
        if let Some(ScriptRecord { ended, status, .. }) = ended(facts, index)
            && *status != 0
        {
            let left = left(facts, index);
            let rest = match left {
                0 => String::new(),
                left => format!(": {left} of its commands did not run"),
            };
            all.push(format!("{name} ended with status {status} at {ended}{rest}"));
        }
    }
    all
}

/// How many commands of a script did not run.
fn left(facts: &Facts, script: usize) -> usize {
    let steps = facts.model.scripts[script].steps.iter();
    let entries = steps.filter_map(|step| match step.action {
        ScriptAction::Entry(entry) => Some(entry),
        ScriptAction::Sleep(_) => None,
    });
    entries.filter(|entry| facts.commands.iter().all(|done| done.entry != *entry)).count()
}
