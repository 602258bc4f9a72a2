//! The plain evaluation: one attempt, rule by rule, without any cache.
//!
//! It is the oracle of the property test: what `columns` decides must be this, bit for bit. It
//! keeps all that an attempt computed, for tests, recordings and explanations.

use crate::model::NodeId;

use super::nodes::NodeState;
use super::plugins::{self, CycleState, PluginScores, PreFilterRejection};
use super::pod_info::Applicant;
use super::select::{feasible_max, heap_root, next_start};
use super::verdict::{Plugin, PluginSet, Rejection};
use super::world::World;

/// All of one attempt to place a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    /// What PreFilter found.
    pub state: CycleState,
    /// The nodes that were looked at in place of all, if a plugin names them, and which plugins do
    /// (rule S18). Names of nodes that are not there are left out.
    pub narrowed: Option<(Vec<NodeId>, PluginSet)>,
    /// Why no node was looked at.
    pub pre_filter: Option<PreFilterRejection>,
    /// Whether the nominated node took it, and no other was looked at (rule S19).
    pub is_nominated_first: bool,
    /// The nodes that let it on, in the order found.
    pub feasible: Vec<NodeId>,
    /// Those that did not, each once.
    pub failed: Vec<(NodeId, Rejection)>,
    /// Scores, if there was a choice.
    pub scores: Option<Scores>,
    /// What made the attempt an error.
    pub error: Option<String>,
    /// The node that takes it.
    pub chosen: Option<NodeId>,
    /// Where the next search starts.
    pub next_start: usize,
}

/// The scores of the feasible nodes, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// By plugin: weight and scores; `None` of one that was skipped.
    pub plugins: Vec<(Plugin, i64, Option<PluginScores>)>,
    /// Plugins whose PreScore had nothing to say, those too that do not score (rule S37).
    pub skipped: PluginSet,
    /// The weighted sums.
    pub totals: Vec<i64>,
}

impl Attempt {
    /// How many nodes were looked at, as the scheduler reports it of a pod that it places.
    #[must_use]
    pub fn evaluated(&self) -> usize {
        self.feasible.len() + self.failed.len()
    }
}

/// The text of an attempt without nodes (rule S14).
pub(super) const NO_NODES: &str = "no nodes available to schedule pods";

/// One attempt with the search starting at `start`.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/schedule_one.go `schedulePod`,
/// `findNodesThatFitPod` (rules S14 to S50; recorded). Differs: one worker (rule S26); a search
/// narrowed to several nodes walks them in the order of all nodes (rule S18 leaves it to chance).
#[must_use]
pub fn attempt(of: &Applicant, world: &World<'_>, start: usize) -> Attempt {
    let mut attempt = Attempt { next_start: start, ..Attempt::default() };
    if world.nodes.is_empty() {
        attempt.error = Some(NO_NODES.to_owned());
        return attempt;
    }
    let found = plugins::pre_filter(of, world);
    attempt.state = found.state;
    attempt.pre_filter = found.rejection;
    if attempt.pre_filter.is_some() {
        return attempt;
    }
    attempt.narrowed = found.names.map(|(names, by)| {
        let mut known: Vec<_> = names.iter().filter_map(|n| world.nodes.named(*n)).collect();
        known.sort_unstable_by_key(|node| world.nodes.position(*node));
        (known, by)
    });
    try_nominated(&mut attempt, of, world);
    if !attempt.is_nominated_first {
        search(&mut attempt, of, world);
    }
    choose(&mut attempt, of, world);
    attempt
}

/// The nominated node alone (rules S19, S20).
fn try_nominated(attempt: &mut Attempt, of: &Applicant, world: &World<'_>) {
    let Some((id, node)) = of.nominated.and_then(|id| Some((id, world.nodes.get(id)?))) else {
        return;
    };
    if world.nodes.position(id).is_none() {
        return;
    }
    match plugins::filter_with_nominated(&attempt.state, of, (id, node), world) {
        Ok(()) => {
            attempt.is_nominated_first = true;
            attempt.feasible.push(id);
        }
        Err(rejection) => attempt.failed.push((id, rejection)),
    }
}

/// Filters node by node until enough are found (rules S21 to S28).
fn search(attempt: &mut Attempt, of: &Applicant, world: &World<'_>) {
    let all = world.nodes.order();
    let walk = attempt.narrowed.as_ref().map_or(all, |(known, _)| known.as_slice());
    let start = attempt.next_start;
    let enough = match world.profile.score.is_empty() {
        true => 1,
        false => feasible_max(walk.len(), world.percentage),
    };
    let is_known = attempt.failed.first().map(|(id, _)| *id);
    for step in 0..walk.len() {
        let id = walk[(start + step) % walk.len()];
        let node = (id, world.nodes.state(id));
        match plugins::filter_with_nominated(&attempt.state, of, node, world) {
            Ok(()) if attempt.feasible.len() == enough => break,
            Ok(()) => attempt.feasible.push(id),
            // The nominated node was looked at before: it stands once.
            Err(rejection) if is_known == Some(id) => attempt.failed[0].1 = rejection,
            Err(rejection) => attempt.failed.push((id, rejection)),
        }
    }
    attempt.next_start = next_start(start, attempt.evaluated(), all.len());
}

/// Scores and takes the best (rules S36 to S50).
fn choose(attempt: &mut Attempt, of: &Applicant, world: &World<'_>) {
    let found = attempt.feasible.as_slice();
    if found.len() < 2 {
        attempt.chosen = found.first().copied();
        return;
    }
    let nodes: Vec<_> = found.iter().map(|id| (*id, world.nodes.state(*id))).collect();
    match scores(of, &nodes, world) {
        Ok(scores) => {
            attempt.chosen = Some(found[heap_root(&scores.totals)]);
            attempt.scores = Some(scores);
        }
        Err(error) => attempt.error = Some(error),
    }
}

/// Scores the feasible nodes (rules S37, S38, S40, S70).
///
/// # Errors
/// What makes the attempt an error.
pub fn scores(
    of: &Applicant,
    nodes: &[(NodeId, &NodeState)],
    world: &World<'_>,
) -> Result<Scores, String> {
    let mut all = Scores { totals: vec![0; nodes.len()], ..Scores::default() };
    if world.profile.score.is_empty() {
        all.totals.fill(1);
        return Ok(all);
    }
    let state = plugins::pre_score(of, nodes, world)?;
    all.skipped = state.skipped;
    for (plugin, weight) in &world.profile.score {
        let is_asked = !state.skipped.contains(*plugin);
        let scores = is_asked.then(|| plugins::score_of(*plugin, &state, of, nodes, world));
        if let Some(scores) = &scores {
            for (total, score) in all.totals.iter_mut().zip(&scores.normalized) {
                *total += weight * score;
            }
        }
        all.plugins.push((*plugin, *weight, scores));
    }
    Ok(all)
}
