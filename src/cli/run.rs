//! `seatrial run`: load, lower, run, fold, print.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::Exit;
use super::output::{Progress, note, say, show};
use crate::base::cast;
use crate::experiment::{self, Experiment, Options};
use crate::model::Model;
use crate::recorder::Wants;
use crate::report::expect::{Expect, ExpectError, Verdict};
use crate::report::files::{Folder, Results, summary_json};
use crate::report::{self, known_paths};
use crate::scenario::{self, Loaded, Place, Refused};
use crate::tree::{Diagnostic, Span, Spanned};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Scenario files, or folders with a scenario.yaml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    outputs: Outputs,
    #[command(flatten)]
    settings: Settings,
}

/// Where results go.
#[derive(Debug, Args)]
pub(super) struct Outputs {
    /// Where results go: into a folder of their own in DIR, named after the scenario
    #[arg(short, long, value_name = "DIR", default_value = "results")]
    pub output: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
    /// Print only: write no files
    #[arg(long)]
    pub no_files: bool,
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
    /// Lay a value over the scenario (run.seed=7) or an object (hpa/web:spec.maxReplicas=9)
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
    pub(super) fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

/// As many as are wanted, else all processors.
pub(super) fn jobs(wanted: Option<u32>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.map_or_else(all, cast::usize_of)
}

/// A scenario that was read, with its expectations.
pub(super) struct Ready {
    pub loaded: Loaded,
    pub expect: Vec<Expect>,
}

/// Reads and checks a scenario; what is wrong is shown.
pub(super) fn ready(file: &str, settings: &Settings) -> Result<Ready, Exit> {
    let ready = ready_with(file, settings, [])?;
    show(&ready.loaded.found, &ready.loaded.sources);
    Ok(ready)
}

/// As [`ready`] with more values laid over the scenario; warnings are not shown.
pub(super) fn ready_with(
    file: &str,
    settings: &Settings,
    sets: impl IntoIterator<Item = String>,
) -> Result<Ready, Exit> {
    let sets: Vec<String> = settings.assignments().into_iter().chain(sets).collect();
    let mut loaded = match scenario::load(&Place::on_disk(file), &sets) {
        Ok(loaded) => loaded,
        Err(refused) => return Err(refuse(*refused)),
    };
    let expect = expectations(&mut loaded);
    if loaded.found.has_errors() {
        show(&loaded.found, &loaded.sources);
        return Err(Exit::BadInput);
    }
    Ok(Ready { loaded, expect })
}

/// Shows what is wrong with a scenario, malformed lines of `expect` included.
pub(super) fn refuse(mut refused: Refused) -> Exit {
    for line in &refused.expect {
        if let Err(error) = Expect::parse(&line.value) {
            refused.found.push(wrong_line(line, error));
        }
    }
    show(&refused.found, &refused.sources);
    Exit::BadInput
}

fn wrong_line(line: &Spanned<String>, error: ExpectError) -> Diagnostic {
    let diagnostic = Diagnostic::error(part(line, &error.range), error.message);
    match error.hint {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic,
    }
}

/// Reads the lines of `expect` against the paths that a run of this model can have.
pub(super) fn expectations(loaded: &mut Loaded) -> Vec<Expect> {
    let known = known_paths(&loaded.model);
    let mut expect = Vec::new();
    for line in &loaded.expect {
        match Expect::read_all(&line.value, &known) {
            Ok(read) => expect.extend(read),
            Err(error) => loaded.found.push(wrong_line(line, error)),
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
    wants: Wants,
) -> Result<Experiment, Exit> {
    let options = Options {
        replications: model.run.replications,
        jobs: settings.jobs(),
        checks: settings.check,
        wants,
        policies: Vec::new(),
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
    let clock = super::output::Clock::start();
    match results(ready, arguments, &clock) {
        Ok(printed) => match say(&printed.text) {
            Exit::Done if !printed.is_met => Exit::NotMet,
            exit => exit,
        },
        Err(exit) => exit,
    }
}

/// What goes to stdout, and whether all expectations hold.
struct Printed {
    text: String,
    is_met: bool,
}

fn results(
    ready: &Ready,
    arguments: &Arguments,
    clock: &super::output::Clock,
) -> Result<Printed, Exit> {
    let model = &ready.loaded.model;
    let target = arguments.outputs.output.join(&model.name);
    let failed = |error: io::Error| cannot_write(&target, &error);
    let folder = match arguments.outputs.no_files {
        true => None,
        false => Some(Folder::create(&target).map_err(failed)?),
    };
    let rows = folder.as_ref().map(Folder::rows).transpose().map_err(failed)?;
    let wants = Wants { events: folder.is_some(), rows: rows.unwrap_or_default() };
    let experiment = experiment(model, &arguments.settings, wants)?;
    let (summary, facts) = (&experiment.summary, &experiment.facts);
    let verdicts: Vec<Verdict> = ready.expect.iter().map(|expect| expect.judge(summary)).collect();
    let text = report::text::print(summary, facts, &verdicts);
    let results = Results { summary, facts, verdicts: &verdicts, text: &text };
    let json = summary_json(&results);
    let mut written = String::new();
    if let Some(folder) = folder {
        for file in ready.loaded.sources.files() {
            folder.input(file.name(), file.text().as_bytes()).map_err(failed)?;
        }
        let what = folder.finish(&results).map_err(failed)?.text();
        written = format!("wrote {}/ ({what}); ", target.display());
    }
    for doubt in report::warnings(summary, facts).iter().chain(&facts.trouble) {
        note(&format!("warning: {doubt}"));
    }
    note(&timing(&written, clock.seconds(), &experiment));
    let is_met = verdicts.iter().all(|verdict| verdict.held);
    Ok(Printed { text: if arguments.outputs.json { json } else { text }, is_met })
}

/// Says that results cannot be written there.
pub(super) fn cannot_write(target: &Path, error: &io::Error) -> Exit {
    note(&format!("error: cannot write {}: {error}", target.display()));
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
