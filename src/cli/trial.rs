//! `seatrial rollout` and `seatrial drill`: manifests without a scenario.

use clap::{Args, ValueEnum};

use super::Exit;
use super::output::{Progress, note, say, show};
use super::run::jobs;
use crate::experiment::trial::{How, Kind, TrialError, conduct, scenario};
use crate::manifest::Loader;
use crate::scenario::plain::Plain;

/// Arguments of `rollout`.
#[derive(Debug, Args)]
pub(super) struct Rollout {
    #[command(flatten)]
    common: Common,
    /// One workload after another, in place of all at once
    #[arg(long)]
    one_by_one: bool,
}

/// Arguments of `drill`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(super) struct Drill {
    /// Each node in turn is drained and comes back
    #[arg(long, group = "what")]
    drain: bool,
    /// One of three zones loses power for some minutes
    #[arg(long, group = "what")]
    zone_loss: bool,
    /// One node loses power for some minutes
    #[arg(long, group = "what")]
    node_crash: bool,
    /// Which node (workers-0 …) or zone (a, b, c); else the one with most pods behind services, and
    /// each node in turn for --drain
    #[arg(long, value_name = "NODE|ZONE")]
    at: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What both take.
#[derive(Debug, Args)]
struct Common {
    /// Kubernetes manifests: files, folders, globs, or - for a pipe (helm template … | seatrial …)
    #[arg(required = true, value_name = "MANIFESTS")]
    manifests: Vec<String>,
    /// Calls a second to each Service
    #[arg(long, value_name = "PER_SECOND", default_value_t = 100.0, value_parser = rate)]
    rate: f64,
    /// How many runs, each with another seed
    #[arg(long, visible_alias = "replications", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seeds: u32,
    /// Seed of the experiment
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many runs at once; results are the same for any number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Exit with 1 if more calls fail in a run on average, a rollout is not complete or a node is
    /// not drained
    #[arg(long, value_name = "CALLS", value_parser = calls)]
    max_failed: Option<f64>,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Print as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Only what is: do not try what would help
    #[arg(long)]
    no_advice: bool,
    /// Call Services that are behind an Ingress without it; else calls go through ingress-nginx as
    /// it is installed, two proxies outside the cluster
    #[arg(long)]
    direct: bool,
    /// Workloads call the Services that their environment and arguments name; calls from outside
    /// go to Services that no other workload calls
    #[arg(long)]
    graph: bool,
    /// Print the scenario that is run, and run nothing
    #[arg(long)]
    show_scenario: bool,
    /// Check all invariants after every commit
    #[arg(long)]
    check: bool,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 =
        text.trim_end_matches("/s").parse().map_err(|_| "a number of calls a second")?;
    match rate > 0.0 && rate <= 1e6 {
        true => Ok(rate),
        false => Err("a rate is more than 0, and at most 1000000 calls a second".to_owned()),
    }
}

fn calls(text: &str) -> Result<f64, String> {
    let calls = text.parse().ok().filter(|calls: &f64| calls.is_finite() && *calls >= 0.0);
    calls.ok_or_else(|| "a number of calls, 0 or more".to_owned())
}

pub(super) fn rollout(arguments: &Rollout) -> Exit {
    run(&arguments.common, Kind::Rollout, None, arguments.one_by_one)
}

pub(super) fn drill(arguments: &Drill) -> Exit {
    let kind = match (arguments.drain, arguments.zone_loss) {
        (true, _) => Kind::Drain,
        (false, true) => Kind::ZoneLoss,
        (false, false) => Kind::NodeCrash,
    };
    run(&arguments.common, kind, arguments.at.clone(), false)
}

fn run(common: &Common, kind: Kind, at: Option<String>, one_by_one: bool) -> Exit {
    let plain = match Plain::read(&Loader::disk(""), &common.manifests) {
        Ok(plain) => plain,
        Err(refused) => {
            show(&refused.found, &refused.sources);
            return Exit::BadInput;
        }
    };
    show(&plain.loaded.found, &plain.loaded.sources);
    if plain.fronted.is_empty() {
        note(
            "error: no Service of these manifests leads to a Deployment, StatefulSet or DaemonSet",
        );
        note("help: calls need a Service whose selector matches the labels of a pod template");
        return Exit::BadInput;
    }
    let how = How {
        kind,
        rate: common.rate,
        seeds: common.seeds,
        seed: common.seed,
        jobs: jobs(common.jobs),
        checks: common.check,
        one_by_one,
        tries: !common.no_advice,
        is_direct: common.direct,
        is_graph: common.graph,
        at,
    };
    if common.show_scenario {
        return match scenario(&plain, &how) {
            Ok(text) => say(&text),
            Err(error) => refused(error),
        };
    }
    let progress =
        Progress::new(if kind == Kind::Rollout { "rollout" } else { "drill" }, how.seeds);
    let report = conduct(&plain, &how, &|ended, all| progress.set_of(ended, all));
    progress.clear();
    let report = match report {
        Ok(report) => report,
        Err(error) => return refused(error),
    };
    let text = match common.json || common.format == Format::Json {
        false => report.text(),
        true => format!("{:#}\n", report.json()),
    };
    match say(&text) {
        Exit::Done if common.max_failed.is_some_and(|most| !report.holds(most)) => Exit::NotMet,
        exit => exit,
    }
}

/// Why there is no result.
fn refused(error: TrialError) -> Exit {
    match error {
        TrialError::Refused(refused) => {
            show(&refused.found, &refused.sources);
            note("error: the manifests do not run in a plain cluster");
            Exit::BadInput
        }
        TrialError::Nowhere(message) => {
            note(&format!("error: {message}"));
            Exit::BadInput
        }
        TrialError::Limit(error) => {
            note(&format!("error: {error}"));
            Exit::Limit
        }
    }
}
