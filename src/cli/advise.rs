//! `seatrial advise`: the settings that give the best of a number while every line holds.

use std::sync::Mutex;

use clap::Args;

use super::Exit;
use super::output::{Progress, note, say};
use super::run::{Outputs, Ready, Settings, cannot_write, ready, ready_with};
use crate::experiment::advise::{self, Candidate, Options};
use crate::report::candidates::{Goal, Search};
use crate::report::expect::{self, Expect};
use crate::report::files::Folder;
use crate::report::known_paths;
use crate::scenario::Knob;
use crate::sim::Streams;

/// Arguments of `advise`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A scenario with open values in `search`, or a folder with its scenario.yaml
    #[arg(value_name = "SCENARIO")]
    file: String,
    /// The number that is to be small: a path of summary.json, or its last part
    #[arg(long, value_name = "PATH", default_value = "cost", conflicts_with = "maximise")]
    minimise: String,
    /// The number that is to be large
    #[arg(long, value_name = "PATH")]
    maximise: Option<String>,
    /// A line that must hold, as in `expect` [default: the lines of `expect`]
    #[arg(long = "subject-to", value_name = "LINE")]
    subject_to: Vec<String>,
    /// How many settings are tried at most; of more, so many are drawn
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    candidates: u32,
    #[command(flatten)]
    outputs: Outputs,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match search(arguments) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn search(arguments: &Arguments) -> Result<Exit, Exit> {
    let base = ready(&arguments.file, &arguments.settings)?;
    let knobs = base.loaded.knobs.clone();
    if knobs.is_empty() {
        note("error: the scenario leaves no value open");
        note("help: search: { cluster.nodes[pool=workers].count: 3..9 }");
        return Err(Exit::BadInput);
    }
    let (goal, lines) = question(arguments, &base)?;
    let candidates = candidates(arguments, &base, &knobs)?;
    let model = &base.loaded.model;
    let options = Options {
        replications: model.run.replications,
        jobs: arguments.settings.jobs(),
        checks: arguments.settings.check,
    };
    let most = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
    let progress = Progress::new(&model.name, most.saturating_mul(options.replications));
    let ended = Mutex::new(0);
    let tell = |more: u32| {
        if let Ok(mut ended) = ended.lock() {
            *ended += more;
            progress.set(*ended);
        }
    };
    let paths = knobs.iter().map(|knob| knob.path.clone()).collect();
    let found = advise::advise(&candidates, paths, goal, &lines, &options, &tell);
    progress.clear();
    let found = found.map_err(|error| {
        note(&format!("error: {error}"));
        Exit::Limit
    })?;
    print(&found, arguments, &model.name, model.run.seed)
}

fn print(found: &Search, arguments: &Arguments, name: &str, seed: u64) -> Result<Exit, Exit> {
    let text = found.text(name, &arguments.file, seed);
    let json = format!("{:#}\n", found.json(name, seed));
    if !arguments.outputs.no_files {
        let target = arguments.outputs.output.join(format!("{name}-advise"));
        let figures = found.figure(name).map(|figure| ("pareto".to_owned(), figure));
        let figures: Vec<_> = figures.into_iter().collect();
        let written = Folder::create(&target)
            .and_then(|folder| folder.finish_pages("advise.json", &json, &text, &figures));
        match written {
            Ok(()) => {
                note(&format!("wrote {}/ (advise.json, summary.txt, charts)", target.display()));
            }
            Err(error) => return Err(cannot_write(&target, &error)),
        }
    }
    match say(if arguments.outputs.json { &json } else { &text }) {
        Exit::Done if found.best().is_none() => Ok(Exit::NotMet),
        exit => Ok(exit),
    }
}

/// What is sought, and the lines that must hold.
fn question(arguments: &Arguments, base: &Ready) -> Result<(Goal, Vec<Expect>), Exit> {
    let known = known_paths(&base.loaded.model);
    let mut is_wrong = false;
    let mut wrong = |what: &str, message: &str, hint: Option<&str>| {
        is_wrong = true;
        note(&format!("error: {what}: {message}"));
        if let Some(hint) = hint {
            note(&format!("help: {hint}"));
        }
    };
    let path = arguments.maximise.as_ref().unwrap_or(&arguments.minimise);
    let goal = expect::known_path(path, &known);
    if let Err(hint) = &goal {
        wrong(path, "the summary has no such path", Some(hint));
    }
    let mut lines = Vec::new();
    for line in &arguments.subject_to {
        match Expect::read_all(line, &known) {
            Ok(read) => lines.extend(read),
            Err(error) => wrong(line, &error.message, error.hint.as_deref()),
        }
    }
    match goal {
        Ok(path) if !is_wrong => {
            let lines = if lines.is_empty() { base.expect.clone() } else { lines };
            Ok((Goal { path, is_more_better: arguments.maximise.is_some() }, lines))
        }
        _ => Err(Exit::BadInput),
    }
}

/// Every setting, or as many as are wanted, each read and checked before anything runs.
fn candidates(arguments: &Arguments, base: &Ready, knobs: &[Knob]) -> Result<Vec<Candidate>, Exit> {
    let all = knobs
        .iter()
        .fold(1_u64, |all, knob| all.saturating_mul(crate::base::cast::u64_of(knob.values.len())));
    let wanted = u64::from(arguments.candidates);
    let numbers: Vec<u64> = match all <= wanted {
        true => (0..all).collect(),
        false => {
            note(&format!("{wanted} of {all} settings are tried; --candidates says how many"));
            drawn(all, wanted, base.loaded.model.run.seed)
        }
    };
    let mut candidates = Vec::new();
    for number in numbers {
        let values = values_of(number, knobs);
        let sets = knobs.iter().zip(&values).map(|(knob, value)| format!("{}={value}", knob.path));
        let Ready { loaded, .. } = ready_with(&arguments.file, &arguments.settings, sets)?;
        candidates.push(Candidate { values, model: loaded.model });
    }
    Ok(candidates)
}

/// The values of one setting: the digits of its number, the last knob's first.
fn values_of(mut number: u64, knobs: &[Knob]) -> Vec<String> {
    let mut values: Vec<String> = knobs
        .iter()
        .rev()
        .map(|knob| {
            let count = crate::base::cast::u64_of(knob.values.len());
            let digit = usize::try_from(number % count).unwrap_or(0);
            number /= count;
            knob.values[digit].clone()
        })
        .collect();
    values.reverse();
    values
}

/// Different numbers below `all`, one from each of `wanted` equal parts, so that no region is left
/// out; in order.
fn drawn(all: u64, wanted: u64, seed: u64) -> Vec<u64> {
    use rand::RngExt;
    let mut rng = Streams { seed, replication: 0 }.open("advise", "candidates");
    let edge = |part: u64| {
        u64::try_from(u128::from(all) * u128::from(part) / u128::from(wanted)).unwrap_or(all)
    };
    (0..wanted).map(|part| rng.random_range(edge(part)..edge(part + 1))).collect()
}
