//! `seatrial explain`: why a pod went where it went, or nowhere, and why a call failed.

use std::sync::Arc;

use clap::Args;

use super::Exit;
use super::output::{note, say};
use super::run::{Settings, ready};
use crate::base::{Duration, SimTime};
use crate::explain::call::explain_call;
use crate::explain::{ExplainError, Question, explain};
use crate::model::Model;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A scenario file, or a folder with a scenario.yaml
    #[arg(value_name = "SCENARIO")]
    file: String,
    /// A pod (NAME or NAMESPACE/NAME), or a workload as in deployment/web: its first pod that found
    /// no node; or call/NUMBER: a failed call of failures.csv
    #[arg(value_name = "POD")]
    pod: String,
    /// Only what happened up to this time after the start, as in 5m30s
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<SimTime>,
    /// Seed of the experiment
    #[arg(long)]
    seed: Option<u64>,
    /// Which replication
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    replication: u32,
    /// Lay a value over the scenario, as in run.seed=7
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<SimTime, String> {
    Duration::parse(text).map(|span| SimTime::ZERO + span).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let settings = Settings {
        seed: arguments.seed,
        replications: None,
        sets: arguments.sets.clone(),
        jobs: None,
        check: false,
    };
    let model = match ready(&arguments.file, &settings) {
        Ok(ready) => ready.loaded.model,
        Err(exit) => return exit,
    };
    if let Some(number) = arguments.pod.strip_prefix("call/") {
        return call(&model, number, arguments);
    }
    let question = Question {
        pod: &arguments.pod,
        at: arguments.at,
        replication: arguments.replication,
        policies: Vec::new(),
    };
    match explain(&model, question) {
        Ok(explanation) if arguments.json => say(&format!("{:#}\n", explanation.json())),
        Ok(explanation) => say(&explanation.text()),
        Err(error) => failed(error),
    }
}

/// Tells the story of a failed call.
fn call(model: &Arc<Model>, number: &str, arguments: &Arguments) -> Exit {
    let Ok(number) = number.parse() else {
        note(&format!("error: \"{}\" names no call", arguments.pod));
        note("help: call/1 is the first failed call, as in the column `call` of failures.csv");
        return Exit::BadInput;
    };
    match explain_call(model, number, arguments.replication) {
        Ok(story) if arguments.json => say(&format!("{:#}\n", story.json())),
        Ok(story) => say(&story.text()),
        Err(error) => failed(error),
    }
}

fn failed(error: ExplainError) -> Exit {
    match error {
        error @ ExplainError::Limit(_) => {
            note(&format!("error: {error}"));
            Exit::Limit
        }
        ExplainError::Unknown { message, hint } => {
            note(&format!("error: {message}"));
            if let Some(hint) = hint {
                note(&format!("help: {hint}"));
            }
            Exit::BadInput
        }
    }
}
