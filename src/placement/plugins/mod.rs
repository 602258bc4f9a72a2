//! The plugins of the default profile, a file each, and how they are asked.
//!
//! A plugin is a handful of functions, one an extension point that it takes part in: what it finds
//! before the nodes are looked at goes into the [`CycleState`], filters are functions from that,
//! pod and node to a verdict, scores to a number. They know of no cache. To add one: its file, its
//! rows in this file, its entry in [`Plugin`].

pub mod balanced_allocation;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_unschedulable;
pub mod pod_topology_spread;
pub mod resources_fit;
pub mod taint_toleration;
pub mod volumes;

use std::sync::Arc;

use crate::base::Symbol;
use crate::model::NodeId;

use super::nodes::NodeState;
use super::pod_info::{Applicant, PodInfo};
use super::verdict::{Code, Plugin, PluginSet, Reason, Rejection};
use super::world::World;

/// What PreFilter found of a pod: read by filters, kept up when pods are added to a node or taken
/// off it in thought (nominated pods, preemption).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CycleState {
    /// Hard spread constraints; `None`: none, the filter is skipped (rule S111).
    pub spread: Option<pod_topology_spread::FilterState>,
    /// Affinity between pods; `None`: nothing to look at (rule S118).
    pub affinity: Option<inter_pod_affinity::FilterState>,
    /// Volumes.
    pub volumes: volumes::FilterState,
    /// Plugins whose filter is skipped.
    pub skipped: PluginSet,
}

/// A rejection before any node was looked at (rule S17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreFilterRejection {
    /// Code, plugin and reasons.
    pub rejection: Rejection,
    /// Who rejected, for the queue: several if their sets of nodes have nothing in common.
    pub plugins: PluginSet,
}

/// What a PreFilter plugin says (rule S15).
#[derive(Clone, Debug, PartialEq)]
pub enum PreFilterResult {
    /// Nothing against the pod.
    Success,
    /// Only nodes of these names, sorted.
    Names(Vec<Symbol>),
    /// The plugin's filter has nothing to do.
    Skip,
    /// The pod goes nowhere.
    Rejected(Rejection),
}

/// What all PreFilter plugins together say (rules S15 to S18).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreFiltered {
    /// The state for the filters.
    pub state: CycleState,
    /// Names of the only nodes that are looked at, sorted, and who said so.
    pub names: Option<(Vec<Symbol>, PluginSet)>,
    /// The rejection, if the pod goes nowhere.
    pub rejection: Option<PreFilterRejection>,
}

/// Asks all PreFilter plugins in order.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/runtime/framework.go `RunPreFilterPlugins`
/// (rules S15, S16; recorded).
#[must_use]
pub fn pre_filter(of: &Applicant, world: &World<'_>) -> PreFiltered {
    let mut all = PreFiltered::default();
    for plugin in &world.profile.pre_filter {
        match pre_filter_of(*plugin, of, world, &mut all.state) {
            PreFilterResult::Success => {}
            PreFilterResult::Skip => all.state.skipped.insert(*plugin),
            PreFilterResult::Names(names) => {
                let (known, by) = all.names.take().unwrap_or((names.clone(), PluginSet::EMPTY));
                let both = known.into_iter().filter(|name| names.binary_search(name).is_ok());
                let mut by = by;
                by.insert(*plugin);
                let both: Vec<_> = both.collect();
                if both.is_empty() {
                    all.rejection = Some(nothing_in_common(*plugin, by));
                    return all;
                }
                all.names = Some((both, by));
            }
            PreFilterResult::Rejected(rejection) => {
                let is_final = rejection.code == Code::UnschedulableAndUnresolvable;
                let mut plugins = PluginSet::EMPTY;
                plugins.insert(*plugin);
                all.rejection = Some(PreFilterRejection { rejection, plugins });
                if is_final {
                    return all;
                }
            }
        }
    }
    all
}

/// Rule S16.
fn nothing_in_common(last: Plugin, by: PluginSet) -> PreFilterRejection {
    let names = by.names();
    let text = match names.as_slice() {
        [only] => format!("node(s) didn't satisfy plugin {only}"),
        several => {
            format!("node(s) didn't satisfy plugin(s) [{}] simultaneously", several.join(" "))
        }
    };
    let reason = Reason::Text(Arc::from(text));
    PreFilterRejection { rejection: Rejection::unresolvable(last, reason), plugins: by }
}

fn pre_filter_of(
    plugin: Plugin,
    of: &Applicant,
    world: &World<'_>,
    state: &mut CycleState,
) -> PreFilterResult {
    use PreFilterResult::{Skip, Success};
    match plugin {
        Plugin::NodeAffinity => node_affinity::pre_filter(&of.info.spec, of.pinned, world),
        Plugin::NodePorts if of.info.spec.host_ports.is_empty() => Skip,
        Plugin::VolumeRestrictions
        | Plugin::NodeVolumeLimits
        | Plugin::VolumeBinding
        | Plugin::VolumeZone => volumes::pre_filter(plugin, of, world, &mut state.volumes),
        Plugin::PodTopologySpread => {
            state.spread = pod_topology_spread::pre_filter(of, world);
            if state.spread.is_none() { Skip } else { Success }
        }
        Plugin::InterPodAffinity => {
            state.affinity = inter_pod_affinity::pre_filter(of, world);
            if state.affinity.is_none() { Skip } else { Success }
        }
        Plugin::DynamicResources | Plugin::NodeDeclaredFeatures => Skip,
        _ => Success,
    }
}

impl CycleState {
    /// A pod is added to a node in thought; `node` is without it or with it (its labels count).
    pub fn add_pod(
        &mut self,
        of: &Applicant,
        other: &PodInfo,
        node: &NodeState,
        world: &World<'_>,
    ) {
        self.update(of, other, node, world, 1);
    }

    /// A pod is taken off a node in thought.
    pub fn remove_pod(
        &mut self,
        of: &Applicant,
        other: &PodInfo,
        node: &NodeState,
        world: &World<'_>,
    ) {
        self.update(of, other, node, world, -1);
    }

    fn update(
        &mut self,
        of: &Applicant,
        other: &PodInfo,
        node: &NodeState,
        world: &World<'_>,
        by: i32,
    ) {
        if let Some(spread) = &mut self.spread {
            spread.update(of, other, node, world, by);
        }
        if let Some(affinity) = &mut self.affinity {
            affinity.update(of, other, node, world, by);
        }
        self.volumes.update(other, by);
    }
}

/// Asks all filters in the order of the profile; the first that rejects is the answer (rules S30,
/// S71). Nominated pods are not looked at.
///
/// # Errors
/// The verdict of that filter.
pub fn filter(
    state: &CycleState,
    of: &Applicant,
    node: &NodeState,
    world: &World<'_>,
) -> Result<(), Rejection> {
    for plugin in &world.profile.filter {
        if !state.skipped.contains(*plugin) {
            filter_of(*plugin, state, of, node, world)?;
        }
    }
    Ok(())
}

/// Asks one filter.
///
/// # Errors
/// Its verdict, if it rejects.
pub fn filter_of(
    plugin: Plugin,
    state: &CycleState,
    of: &Applicant,
    node: &NodeState,
    world: &World<'_>,
) -> Result<(), Rejection> {
    let (pod, names) = (&*of.info.spec, world.names);
    match plugin {
        Plugin::NodeUnschedulable => node_unschedulable::filter(pod, node, names),
        Plugin::NodeName => node_name::filter(pod, node),
        Plugin::TaintToleration => taint_toleration::filter(pod, node),
        Plugin::NodeAffinity => node_affinity::filter(pod, node, world),
        Plugin::NodePorts => node_ports::filter(pod, node, names),
        Plugin::NodeResourcesFit => resources_fit::filter(pod, node, world),
        Plugin::VolumeRestrictions
        | Plugin::NodeVolumeLimits
        | Plugin::VolumeBinding
        | Plugin::VolumeZone => volumes::filter(plugin, &state.volumes, of, node, world),
        Plugin::PodTopologySpread => {
            state.spread.as_ref().map_or(Ok(()), |spread| pod_topology_spread::filter(spread, node))
        }
        Plugin::InterPodAffinity => state
            .affinity
            .as_ref()
            .map_or(Ok(()), |affinity| inter_pod_affinity::filter(affinity, of, node, world)),
        Plugin::Custom(number) => {
            let policy = world.policies.get(usize::from(number));
            policy
                .map_or(Ok(()), |policy| policy.filter(&of.info, node, world))
                .map_err(|text| Rejection::unschedulable(plugin, Reason::Text(Arc::from(text))))
        }
        _ => Ok(()),
    }
}

/// Filters a node as if the pods of higher or equal priority that are nominated to it were there,
/// and without them: both must let the pod on (rule S31).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/runtime/framework.go
/// `RunFilterPluginsWithNominatedPods` (recorded).
///
/// # Errors
/// The first verdict that rejects.
pub fn filter_with_nominated(
    state: &CycleState,
    of: &Applicant,
    (id, node): (NodeId, &NodeState),
    world: &World<'_>,
) -> Result<(), Rejection> {
    let priority = of.info.spec.priority;
    let mut nominated = world.nominator.counted(id, of.pod, priority).peekable();
    if nominated.peek().is_some() {
        let (mut with, mut state) = (node.clone(), state.clone());
        for other in nominated {
            with.add(super::pod_info::PlacedPod::new(other.pod, Arc::clone(&other.info)));
            state.add_pod(of, &other.info, &with, world);
        }
        filter(&state, of, &with, world)?;
    }
    filter(state, of, node, world)
}

/// Raw and normalised scores of one plugin, in the order of the nodes scored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginScores {
    /// Before normalisation.
    pub raw: Vec<i64>,
    /// After it, without the weight.
    pub normalized: Vec<i64>,
}

/// What PreScore found of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreState {
    /// Soft spread constraints.
    spread: Option<pod_topology_spread::ScoreState>,
    /// Affinity between pods.
    affinity: Option<inter_pod_affinity::ScoreState>,
    /// Plugins whose score is skipped (rule S37).
    pub skipped: PluginSet,
}

/// Asks all PreScore plugins in order, those too that do not score afterwards (rule S37).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/runtime/framework.go `RunPreScorePlugins`
/// (recorded).
///
/// # Errors
/// What makes the attempt an error (rule S98a).
pub fn pre_score(
    of: &Applicant,
    nodes: &[(NodeId, &NodeState)],
    world: &World<'_>,
) -> Result<ScoreState, String> {
    let mut state = ScoreState::default();
    for plugin in &world.profile.pre_score {
        let has_a_say = match plugin {
            Plugin::NodeAffinity => node_affinity::pre_score(&of.info.spec, world)
                .map_err(|error| format!("running PreScore plugin \"NodeAffinity\": {error}"))?,
            Plugin::PodTopologySpread => {
                state.spread = pod_topology_spread::pre_score(of, nodes, world);
                state.spread.is_some()
            }
            Plugin::InterPodAffinity => {
                state.affinity = inter_pod_affinity::pre_score(of, world);
                state.affinity.is_some()
            }
            Plugin::NodeResourcesBalancedAllocation => {
                !balanced_allocation::skips(&of.info.spec, world)
            }
            Plugin::VolumeBinding => false,
            _ => true,
        };
        if !has_a_say {
            state.skipped.insert(*plugin);
        }
    }
    Ok(state)
}

/// What a score plugin says of the feasible nodes.
#[must_use]
pub fn score_of(
    plugin: Plugin,
    state: &ScoreState,
    of: &Applicant,
    nodes: &[(NodeId, &NodeState)],
    world: &World<'_>,
) -> PluginScores {
    use super::select::{normalized, normalized_reverse};
    let pod = &*of.info.spec;
    let each = |score: &dyn Fn(&NodeState) -> i64| -> Vec<i64> {
        nodes.iter().map(|(_, node)| score(node)).collect()
    };
    let same = |raw: Vec<i64>| PluginScores { normalized: raw.clone(), raw };
    let by_max = |raw: Vec<i64>, of: fn(i64, i64) -> i64| {
        let max = raw.iter().copied().max().unwrap_or(0);
        PluginScores { normalized: raw.iter().map(|r| of(*r, max)).collect(), raw }
    };
    let nothing = || same(vec![0; nodes.len()]);
    match plugin {
        Plugin::TaintToleration => {
            by_max(each(&|n| taint_toleration::raw_score(pod, n)), normalized_reverse)
        }
        Plugin::NodeAffinity => {
            by_max(each(&|n| node_affinity::raw_score(pod, n, world)), normalized)
        }
        Plugin::NodeResourcesFit => same(each(&|n| resources_fit::score(pod, n, world))),
        Plugin::NodeResourcesBalancedAllocation => {
            same(each(&|n| balanced_allocation::score(pod, n, world)))
        }
        Plugin::PodTopologySpread => state
            .spread
            .as_ref()
            .map_or_else(nothing, |s| pod_topology_spread::scores(s, of, nodes, world)),
        Plugin::InterPodAffinity => {
            state.affinity.as_ref().map_or_else(nothing, |s| inter_pod_affinity::scores(s, nodes))
        }
        Plugin::ImageLocality => same(image_locality::scores(of, nodes, world)),
        Plugin::Custom(number) => match world.policies.get(usize::from(number)) {
            Some(policy) => of_policy(&**policy, of, nodes, world),
            None => nothing(),
        },
        _ => nothing(),
    }
}

fn of_policy(
    policy: &dyn super::world::Policy,
    of: &Applicant,
    nodes: &[(NodeId, &NodeState)],
    world: &World<'_>,
) -> PluginScores {
    let raw: Vec<i64> = nodes.iter().map(|(_, n)| policy.score(&of.info, n, world)).collect();
    let mut normalized = raw.clone();
    policy.normalize(&mut normalized);
    normalized.iter_mut().for_each(|score| *score = (*score).clamp(0, 100));
    PluginScores { raw, normalized }
}
