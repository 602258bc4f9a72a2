//! Preemption: whom to evict so that a pod fits.
//!
//! ```text
//! eligible? ─► potential nodes ─► dry run on each: victims ─► pick one ─► nominate, evict, withdraw
//!  (S171)        (S172)             (victims.rs, S177–S181)    (pick.rs, S183)    (S185, S186)
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/preemption/preemption.go,
//! plugins/defaultpreemption (rules S170 to S189; recorded). Differs: potential nodes are tried in
//! the order of the walk and the first of equally good ones is taken, where the original leaves both
//! to the order of a map (S175, S183); the place to begin with, among more than 100 of them, follows
//! from the pod in place of a draw (S176). No extenders (S182).

mod pick;
#[cfg(test)]
mod tests;
mod victims;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{cast, dist};
use crate::model::{NodeId, PodRef};

use super::failure::{FitError, histogram};
use super::plain::Attempt;
use super::pod_info::Applicant;
use super::verdict::{Code, Plugin, Reason, Rejection};
use super::world::World;
pub use pick::best;
pub use victims::Victim;

/// What becomes of a pod's nomination (rule S35).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nomination {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is this node from now on.
    Set(NodeId),
    /// There is none any more.
    Clear,
}

/// What the PostFilter plugins did (rule S33).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostFilter {
    /// The message's second part; empty after a preemption.
    pub message: String,
    /// Whether a plugin failed in place of finding nothing (rule X31).
    pub is_error: bool,
    /// What becomes of the nomination.
    pub nomination: Nomination,
    /// Whom to evict, in order: the victims whose deletion has not begun (rule S186).
    pub victims: Vec<PodRef>,
    /// Lower-priority pods whose nomination to the node is withdrawn (rule S186).
    pub cleared: Vec<PodRef>,
    /// How preemption came to that; `None` if it did not look at nodes.
    pub preemption: Option<Preemption>,
}

impl PostFilter {
    fn error(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_error: true, ..Self::default() }
    }
}

/// What a search for victims saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preemption {
    /// The nodes where evictions might help, in the order of the walk (rule S172).
    pub potential: Vec<NodeId>,
    /// How many candidates end the search (rule S176).
    pub wanted: usize,
    /// The place among the potential nodes where it began.
    pub offset: usize,
    /// Nodes that take the pod after evictions: those that violate no budget first.
    pub candidates: Vec<Candidate>,
    /// Nodes that do not, and why.
    pub rejected: Vec<(NodeId, NotHelpful)>,
    /// The candidates that are equally good (rule S183).
    pub best: Vec<NodeId>,
    /// The one that is taken.
    pub chosen: Option<NodeId>,
}

/// A node that takes the pod once its victims are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Whom to evict, the most important first; those that are terminating too.
    pub victims: Vec<Victim>,
    /// How many of them a PodDisruptionBudget protects.
    pub violations: usize,
}

/// Why evictions on a node do not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotHelpful {
    /// No pod there has a lower priority (rule S177).
    NoVictims,
    /// A filter rejects the pod even without all of them.
    Rejected(Rejection),
    /// It takes the pod as it is: nobody is to be evicted there.
    NobodyInTheWay,
}

impl NotHelpful {
    fn reasons(&self) -> Vec<Reason> {
        match self {
            Self::NoVictims => vec![Reason::Fixed(NO_VICTIMS)],
            Self::Rejected(rejection) => rejection.reasons.to_vec(),
            Self::NobodyInTheWay => Vec::new(),
        }
    }
}

const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NEVER: &str = "not eligible due to preemptionPolicy=Never.";
const UNDER_WAY: &str = "not eligible due to a terminating pod on the nominated node.";
const NO_CLAIMS: &str = "no new claims to deallocate";
const NO_STATE: &str = "not found";

/// Runs the PostFilter plugins of the profile after an attempt that found no node.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/runtime/framework.go `RunPostFilterPlugins`
/// (rules S33, S35, S126, X30, X31; recorded).
#[must_use]
pub fn post_filter(attempt: &Attempt, of: &Applicant, world: &World<'_>) -> PostFilter {
    let mut all = PostFilter::default();
    let mut said: Vec<String> = Vec::new();
    for plugin in &world.profile.post_filter {
        match plugin {
            // It looks at claims only, of which no pod here has any, but misses what its own
            // PreFilter would have left.
            Plugin::DynamicResources if !has_claims_state(attempt, world) => {
                return PostFilter::error(NO_STATE);
            }
            Plugin::DynamicResources => said.push(NO_CLAIMS.to_owned()),
            Plugin::DefaultPreemption => {
                let found = preempt(attempt, of, world);
                if found.is_error || matches!(found.nomination, Nomination::Set(_)) {
                    return found;
                }
                said.push(found.message.clone());
                all = found;
            }
            _ => {}
        }
    }
    PostFilter { message: said.join(", "), ..all }
}

/// Whether the PreFilter of DynamicResources was reached (rule X31): a final rejection ends the row.
fn has_claims_state(attempt: &Attempt, world: &World<'_>) -> bool {
    let row = &world.profile.pre_filter;
    let place = |plugin| row.iter().position(|known| *known == plugin);
    let Some(own) = place(Plugin::DynamicResources) else {
        return false;
    };
    let ended = attempt.pre_filter.as_ref().map(|rejected| &rejected.rejection);
    let ended = ended.filter(|why| why.code == Code::UnschedulableAndUnresolvable);
    ended.is_none_or(|why| place(why.plugin).is_some_and(|end| end > own))
}

/// DefaultPreemption.
fn preempt(attempt: &Attempt, of: &Applicant, world: &World<'_>) -> PostFilter {
    let say = |text: &str| format!("preemption: {text}");
    if let Some(why_not) = ineligible(attempt, of, world) {
        return PostFilter { message: say(why_not), ..PostFilter::default() };
    }
    let found = search(attempt, of, world);
    if found.chosen.is_some() {
        return carried_out(found, of, world);
    }
    let in_the_way = |(node, why): &(NodeId, NotHelpful)| {
        let name = world.names.resolve(world.nodes.state(*node).spec.name);
        let text = format!("expected at least one victim pod on node \"{name}\"");
        (*why == NotHelpful::NobodyInTheWay).then_some(text)
    };
    let errors: Vec<String> = found.rejected.iter().filter_map(in_the_way).collect();
    match errors.as_slice() {
        [] => {
            let message = say(&nested(&found, world));
            let (nomination, preemption) = (Nomination::Clear, Some(found));
            PostFilter { message, nomination, preemption, ..PostFilter::default() }
        }
        [only] => PostFilter::error(say(only)),
        several => PostFilter::error(say(&format!("[{}]", several.join(", ")))),
    }
}

/// Why the pod must not preempt now (rule S171).
fn ineligible(attempt: &Attempt, of: &Applicant, world: &World<'_>) -> Option<&'static str> {
    let spec = &of.info.spec;
    if spec.preempts_never {
        return Some(NEVER);
    }
    let nominated = of.nominated.filter(|node| world.nodes.position(*node).is_some())?;
    if code_of(nominated, attempt) == Code::UnschedulableAndUnresolvable {
        return None;
    }
    let mut pods = world.nodes.state(nominated).pods.iter();
    let is_on_its_way = pods.any(|pod| {
        pod.info.spec.priority < spec.priority && pod.is_terminating && pod.is_preempted
    });
    is_on_its_way.then_some(UNDER_WAY)
}

/// The code of nodes that were not looked at.
fn code_of_absent(attempt: &Attempt) -> Code {
    let rejected = attempt.pre_filter.as_ref();
    rejected.map_or(Code::UnschedulableAndUnresolvable, |why| why.rejection.code)
}

fn code_of(node: NodeId, attempt: &Attempt) -> Code {
    let explicit = attempt.failed.iter().find(|(known, _)| *known == node);
    explicit.map_or_else(|| code_of_absent(attempt), |(_, why)| why.code)
}

/// The nodes where evictions might help, in the order of the walk (rules S172, S175).
fn potential_nodes(attempt: &Attempt, world: &World<'_>) -> Vec<NodeId> {
    let is_final = |why: &Rejection| why.code == Code::UnschedulableAndUnresolvable;
    if code_of_absent(attempt) == Code::Unschedulable {
        let explicit: BTreeMap<NodeId, bool> =
            attempt.failed.iter().map(|(node, why)| (*node, is_final(why))).collect();
        let helps = |node: &&NodeId| explicit.get(*node) != Some(&true);
        return world.nodes.order().iter().filter(helps).copied().collect();
    }
    let failed = attempt.failed.iter().filter(|(_, why)| !is_final(why));
    let mut nodes: Vec<NodeId> = failed.map(|(node, _)| *node).collect();
    nodes.sort_unstable_by_key(|node| world.nodes.position(*node));
    nodes
}

/// How many candidates end the search, of `potential` nodes (rule S176).
fn wanted(potential: usize, world: &World<'_>) -> usize {
    let args = &world.profile.args;
    let share = cast::i64_of(potential) * args.candidates_percentage / 100;
    let least = share.max(args.candidates_absolute).max(0);
    usize::try_from(least).map_or(potential, |least| least.min(potential))
}

/// Where the search begins: a place that follows from the pod, evenly spread over pods.
fn offset(potential: usize, wanted: usize, of: &Applicant) -> usize {
    if wanted >= potential {
        return 0;
    }
    let seed = cast::u64_of(of.pod.id.index()) << 32 | u64::from(of.pod.life);
    let place = dist::mix(seed) % cast::u64_of(potential);
    u32::try_from(place).map_or(0, cast::usize_of)
}

/// Tries the potential nodes and picks the best candidate.
///
/// Source: preemption.go `findCandidates`, `DryRunPreemption` (rules S172 to S183; recorded).
fn search(attempt: &Attempt, of: &Applicant, world: &World<'_>) -> Preemption {
    let potential = potential_nodes(attempt, world);
    let wanted = wanted(potential.len(), world);
    let offset = offset(potential.len(), wanted, of);
    let (mut sparing, mut violating, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..potential.len() {
        let node = potential[(offset + step) % potential.len()];
        match dry_run(node, attempt, of, world) {
            Ok(candidate) if candidate.violations == 0 => sparing.push(candidate),
            Ok(candidate) => violating.push(candidate),
            Err(why) => {
                rejected.push((node, why));
                continue;
            }
        }
        if !sparing.is_empty() && sparing.len() + violating.len() >= wanted {
            break;
        }
    }
    sparing.append(&mut violating);
    let best = best(&sparing);
    let chosen = best.first().copied();
    Preemption { potential, wanted, offset, candidates: sparing, rejected, best, chosen }
}

/// What one node would have to give up for the pod (rules S177 to S181).
///
/// # Errors
/// Why evictions there do not help.
pub fn dry_run(
    node: NodeId,
    attempt: &Attempt,
    of: &Applicant,
    world: &World<'_>,
) -> Result<Candidate, NotHelpful> {
    victims::on(node, &attempt.state, of, world)
}

/// What is done for the candidate that is taken (rules S185, S186).
fn carried_out(found: Preemption, of: &Applicant, world: &World<'_>) -> PostFilter {
    let mut candidates = found.candidates.iter();
    let chosen = candidates.find(|candidate| Some(candidate.node) == found.chosen);
    let chosen = chosen.expect("the one that is taken is a candidate");
    let living = chosen.victims.iter().filter(|victim| !victim.is_terminating);
    let victims: Vec<PodRef> = living.map(|victim| victim.pod).collect();
    let nominated = world.nominator.on(chosen.node).iter();
    let lower = nominated.filter(|other| other.info.spec.priority < of.info.spec.priority);
    let cleared = if victims.is_empty() { Vec::new() } else { lower.map(|o| o.pod).collect() };
    let nomination = Nomination::Set(chosen.node);
    PostFilter { nomination, victims, cleared, preemption: Some(found), ..PostFilter::default() }
}

/// The nested message: why no node became a candidate (rule S126).
fn nested(found: &Preemption, world: &World<'_>) -> String {
    let mut counts: BTreeMap<Reason, u32> = BTreeMap::new();
    for (_, why) in &found.rejected {
        for reason in why.reasons() {
            *counts.entry(reason).or_insert(0) += 1;
        }
    }
    let others = world.nodes.len() - found.rejected.len();
    if others > 0 {
        *counts.entry(Reason::Text(Arc::from(NOT_HELPFUL))).or_insert(0) += cast::u32_of(others);
    }
    let counts: Vec<_> = counts.iter().map(|(reason, n)| (*n, reason.text(world.names))).collect();
    histogram(cast::u32_of(world.nodes.len()), &counts)
}

/// What the default PostFilter plugins say where no pod has a lower priority.
pub(super) fn nobody_to_evict(error: &FitError, preempts_never: bool) -> String {
    let preemption = if preempts_never {
        NEVER.to_owned()
    } else {
        let candidates = error.unschedulable;
        let counts = [(candidates, NO_VICTIMS), (error.nodes - candidates, NOT_HELPFUL)];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, text)| (count, text.to_owned())).collect();
        histogram(error.nodes, &counts)
    };
    format!("{NO_CLAIMS}, preemption: {preemption}")
}
