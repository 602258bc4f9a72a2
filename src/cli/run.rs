//! `seatrial run`: load, lower, run, fold, print.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Exit;
use super::output::{Progress, note, say, show};
use crate::experiment::{self, Experiment, Options};
use crate::model::Model;
use crate::report::expect::{Expect, Verdict};
use crate::report::files::Results;
use crate::report::known_paths;
use crate::scenario::{self, Loaded, Place};
use crate::tree::{Diagnostic, Span, Spanned};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Scenario files, or folders with a scenario.yaml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Where results go: DIR/NAME
    #[arg(short, long, value_name = "DIR", default_value = "results")]
    output: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Print the summary only: write no files
    #[arg(long)]
    no_files: bool,
}

/// What can be changed of a scenario from the command line.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Seed of the experiment
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many replications
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub replications: Option<u32>,
    /// Lay a value over the scenario, as in run.seed=7
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// How many replications at once; results are the same for any number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Check all invariants after every commit
    #[arg(long)]
    pub check: bool,
}

impl Settings {
    /// The assignments that these settings stand for.
    fn assignments(&self) -> Vec<String> {
        let seed = self.seed.map(|seed| format!("run.seed={seed}"));
        let replications = self.replications.map(|count| format!("run.replications={count}"));
        self.sets.iter().cloned().chain(seed).chain(replications).collect()
    }

    /// How many replications at once: all processors unless somebody says otherwise.
    fn jobs(&self) -> usize {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or(all, |jobs| usize::try_from(jobs).unwrap_or(usize::MAX))
    }
}

/// A scenario that was read, with its expectations.
pub(super) struct Ready {
    pub loaded: Loaded,
    pub expect: Vec<Expect>,
}

/// Reads and checks a scenario; what is wrong is shown.
pub(super) fn ready(file: &str, settings: &Settings) -> Result<Ready, Exit> {
    let mut loaded = match scenario::load(&Place::on_disk(file), &settings.assignments()) {
        Ok(loaded) => loaded,
        Err(refused) => {
            show(&refused.found, &refused.sources);
            return Err(Exit::BadInput);
        }
    };
    let expect = expectations(&mut loaded);
    show(&loaded.found, &loaded.sources);
    if loaded.found.has_errors() {
        return Err(Exit::BadInput);
    }
    Ok(Ready { loaded, expect })
}

/// Reads the lines of `expect` against the paths that a run of this model can have.
pub(super) fn expectations(loaded: &mut Loaded) -> Vec<Expect> {
    let known = known_paths(&loaded.model);
    let mut expect = Vec::new();
    for line in &loaded.expect {
        let read = Expect::parse(&line.value).and_then(|expect| {
            expect.check(&known)?;
            Ok(expect)
        });
        match read {
            Ok(read) => expect.push(read),
            Err(error) => {
                let diagnostic = Diagnostic::error(part(line, &error.range), error.message);
                loaded.found.push(match error.hint {
                    Some(hint) => diagnostic.with_hint(hint),
                    None => diagnostic,
                });
            }
        }
    }
    expect
}

fn part(line: &Spanned<String>, range: &std::ops::Range<usize>) -> Span {
    scenario::part(line, range)
}

/// Runs all replications, with progress on a terminal.
pub(super) fn experiment(
    model: &Arc<Model>,
    settings: &Settings,
    wants: crate::recorder::Wants,
) -> Result<Experiment, Exit> {
    let options = Options {
        replications: model.run.replications,
        jobs: settings.jobs(),
        checks: settings.check,
        wants,
    };
    let progress = Progress::new(&model.name, model.run.replications);
    let result = experiment::run(model, options, &|ended| progress.set(ended));
    progress.clear();
    result.map_err(|error| {
        note(&format!("error: {error}"));
        Exit::Limit
    })
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    // Everything is read before anything runs.
    let mut all = Vec::new();
    let mut bad = None;
    for file in &arguments.files {
        match ready(file, &arguments.settings) {
            Ok(ready) => all.push(ready),
            Err(exit) => bad = Some(exit),
        }
    }
    if let Some(exit) = bad {
        return exit;
    }
    let mut worst = Exit::Done;
    for ready in all {
        let exit = run_one(&ready, arguments);
        if exit as u8 > worst as u8 {
            worst = exit;
        }
    }
    worst
}

fn run_one(ready: &Ready, arguments: &Arguments) -> Exit {
    let model = &ready.loaded.model;
    let clock = super::output::Clock::start();
    let folder = arguments.output.join(&model.name);
    let mut results = None;
    let mut wants = crate::recorder::Wants::default();
    if !arguments.no_files {
        match Results::begin(&folder) {
            Ok(begun) => {
                wants = begun.wants();
                results = Some(begun);
            }
            Err(error) => return cannot_write(&folder, &error),
        }
    }
    let experiment = match experiment(model, &arguments.settings, wants) {
        Ok(experiment) => experiment,
        Err(exit) => return exit,
    };
    let verdicts: Vec<Verdict> =
        ready.expect.iter().map(|expect| expect.judge(&experiment.summary)).collect();
    let wall = clock.seconds();
    let json = crate::report::summary_json(&experiment.summary, &experiment.facts, &verdicts);
    if let Some(results) = results {
        let inputs = ready.loaded.sources.files().map(|file| (file.name(), file.text()));
        match results.finish(&experiment.facts, &json, inputs) {
            Ok(written) => note(&timing(&format!("wrote {written}; "), wall, &experiment)),
            Err(error) => return cannot_write(&folder, &error),
        }
    } else {
        note(&timing("", wall, &experiment));
    }
    let printed = match arguments.json {
        true => say(&json),
        false => say(&crate::report::text::print(
            &experiment.summary,
            &experiment.facts,
            &verdicts,
        )),
    };
    match printed {
        Exit::Done if verdicts.iter().any(|verdict| !verdict.held) => Exit::NotMet,
        printed => printed,
    }
}

fn cannot_write(folder: &std::path::Path, error: &std::io::Error) -> Exit {
    note(&format!("error: cannot write {}: {error}", folder.display()));
    Exit::Io
}

/// Wall time and speed: beside the result, since they are no function of the input.
fn timing(before: &str, wall: f64, experiment: &Experiment) -> String {
    let runs = crate::base::cast::f64_of_usize(experiment.runs.len());
    let simulated = experiment.facts.ended.as_secs_f64() * runs;
    let speed = simulated / wall.max(1e-9);
    format!(
        "{before}{} in {wall:.2} s, {}× real time",
        crate::base::text::counted(crate::base::cast::u64_of(experiment.runs.len()), "run"),
        crate::base::text::thousands(crate::base::cast::u64_trunc(speed)),
    )
}
