//! Several runs of one model side by side, and two models compared.
//!
//! ```text
//! Model ─┬─ replication 0 ─► Facts, Metrics ─┐
//!        ├─ replication 1 ─► Metrics ────────┼─ fold, in order of replications ─► Summary
//!        └─ …            (threads: here only)┘
//! ```
//!
//! The result is the same for any number of threads: a run depends on the model and its number
//! alone, and results are folded in that order.

pub mod advise;
mod remedies;
mod stuck;
pub mod trial;

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::engine::{Extras, SimError, World};
use crate::model::Model;
use crate::placement::Policy;
use crate::recorder::{Facts, Recorder, Wants};
use crate::report::compare::Comparison;
use crate::report::metrics;
use crate::report::summary::{Metrics, Summary};

/// Threads at most, however many are asked for.
const THREADS_MAX: usize = 256;

/// How an experiment is run.
#[derive(Debug)]
pub struct Options {
    /// How many runs; at least one is made.
    pub replications: u32,
    /// How many at once.
    pub jobs: usize,
    /// Whether all invariants are checked after every commit.
    pub checks: bool,
    /// What the first replication writes besides.
    pub wants: Wants,
    /// Policies of the user's own: those that the model names, in its order.
    pub policies: Vec<Arc<dyn Policy>>,
}

impl Options {
    /// As the model says, on one thread, without rows.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        Self {
            replications: model.run.replications,
            jobs: 1,
            checks: false,
            wants: Wants::default(),
            policies: Vec::new(),
        }
    }
}

/// What several runs of one model leave.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The facts of the first replication.
    pub facts: Facts,
    /// The numbers of each replication, in order.
    pub runs: Vec<Metrics>,
    /// Their means.
    pub summary: Summary,
}

/// Runs all replications of a model. `progress` is told how many have ended, from any thread.
///
/// # Errors
/// If a run passes a limit: the error of the first replication that does.
///
/// # Panics
/// Only if a run does.
pub fn run(
    model: &Arc<Model>,
    options: Options,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<Experiment, SimError> {
    let Options { replications, jobs, checks, wants, policies } = options;
    let first_wants = Mutex::new(Some(wants));
    let ended = Mutex::new(0);
    let one = |replication: u32| {
        let wants = match replication {
            0 => first_wants.lock().unwrap_or_else(PoisonError::into_inner).take(),
            _ => None,
        };
        let result = run_once(model, replication, &policies, checks, wants.unwrap_or_default());
        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended += 1;
        progress(*ended);
        result
    };
    let all = in_parallel(replications.max(1), jobs, one);
    let mut runs = Vec::with_capacity(all.len());
    let mut first = None;
    for result in all {
        let (facts, numbers) = result?;
        first = first.or(facts);
        runs.push(numbers);
    }
    let summary = Summary::fold(&runs);
    let facts = first.expect("the first replication keeps its facts");
    Ok(Experiment { facts, runs, summary })
}

/// What one run leaves: its facts if it is the first, and its numbers.
type RunResult = Result<(Option<Facts>, Metrics), SimError>;

fn run_once(
    model: &Arc<Model>,
    replication: u32,
    policies: &[Arc<dyn Policy>],
    checks: bool,
    wants: Wants,
) -> RunResult {
    let extras = Extras { policies: policies.to_vec(), probe: None };
    let world = World::with_extras(model, replication, Recorder::new(model, wants), extras);
    let world = if checks { world.with_checks() } else { world };
    let outcome = world.run()?;
    let names = outcome.cluster.names();
    let facts = outcome.recorder.into_facts(names, outcome.ended, outcome.events);
    let facts = facts.expect("the recorder is on");
    let numbers = metrics(&facts);
    Ok(((replication == 0).then_some(facts), numbers))
}

/// The results of tasks 0 to `count`, in their order.
fn in_parallel<T: Send>(count: u32, jobs: usize, one: impl Fn(u32) -> T + Sync + Send) -> Vec<T> {
    let threads = jobs.min(crate::base::cast::usize_of(count)).clamp(1, THREADS_MAX);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    match pool {
        Ok(pool) if threads > 1 => pool.install(|| (0..count).into_par_iter().map(one).collect()),
        // One thread, or a system that gives none.
        Ok(_) | Err(_) => (0..count).map(one).collect(),
    }
}

/// The difference between two experiments, replication by replication: both are to have the same
/// seed, so that what one run alone adds to both cancels.
#[must_use]
pub fn compare(before: &Experiment, after: &Experiment) -> Comparison {
    Comparison::of(&before.summary, &after.summary)
}
