//! How the scheduler is set: profiles with their plugins and the plugins' arguments.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/apis/config/v1 (rules S70 to S72).

use crate::base::{Duration, Symbol};

use super::affinity::SpreadConstraint;
use super::pod::NodeAffinity;

/// The plugins that are known, in the order of the default profile (rule S70).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plugin {
    /// Gates in the pod's specification.
    SchedulingGates,
    /// The order of the queue.
    PrioritySort,
    /// Cordoned nodes.
    NodeUnschedulable,
    /// `spec.nodeName`.
    NodeName,
    /// Taints.
    TaintToleration,
    /// Selector and affinity to nodes.
    NodeAffinity,
    /// Host ports.
    NodePorts,
    /// Requests.
    NodeResourcesFit,
    /// Disks and claims that one pod holds alone.
    VolumeRestrictions,
    /// Volumes a node can attach.
    NodeVolumeLimits,
    /// Claims and the nodes their volumes reach.
    VolumeBinding,
    /// Zones of volumes.
    VolumeZone,
    /// Spreading over domains.
    PodTopologySpread,
    /// Affinity between pods.
    InterPodAffinity,
    /// Resource claims: no more than its words in messages is modelled.
    DynamicResources,
    /// Preemption.
    DefaultPreemption,
    /// Evenness of the resources taken.
    NodeResourcesBalancedAllocation,
    /// Images that are there.
    ImageLocality,
    /// Binding.
    DefaultBinder,
    /// Features that nodes declare.
    NodeDeclaredFeatures,
    /// A policy of the user's own, by its number.
    Custom(u8),
}

/// How many policies of the user's own a profile can have.
pub const CUSTOM_MAX: u8 = 8;

impl Plugin {
    /// All of Kubernetes' own, in the order of the default profile.
    pub const ALL: [Self; 20] = [
        Self::SchedulingGates,
        Self::PrioritySort,
        Self::NodeUnschedulable,
        Self::NodeName,
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::NodePorts,
        Self::NodeResourcesFit,
        Self::VolumeRestrictions,
        Self::NodeVolumeLimits,
        Self::VolumeBinding,
        Self::VolumeZone,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
        Self::DynamicResources,
        Self::DefaultPreemption,
        Self::NodeResourcesBalancedAllocation,
        Self::ImageLocality,
        Self::DefaultBinder,
        Self::NodeDeclaredFeatures,
    ];

    /// Its name in Kubernetes; of a policy of the user's own `Custom0` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SchedulingGates => "SchedulingGates",
            Self::PrioritySort => "PrioritySort",
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::VolumeRestrictions => "VolumeRestrictions",
            Self::NodeVolumeLimits => "NodeVolumeLimits",
            Self::VolumeBinding => "VolumeBinding",
            Self::VolumeZone => "VolumeZone",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::DynamicResources => "DynamicResources",
            Self::DefaultPreemption => "DefaultPreemption",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
            Self::DefaultBinder => "DefaultBinder",
            Self::NodeDeclaredFeatures => "NodeDeclaredFeatures",
            Self::Custom(number) => match number {
                0 => "Custom0",
                1 => "Custom1",
                2 => "Custom2",
                3 => "Custom3",
                4 => "Custom4",
                5 => "Custom5",
                6 => "Custom6",
                _ => "Custom7",
            },
        }
    }

    /// The plugin of a name of Kubernetes.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plugin| plugin.as_str() == name)
    }

    /// Its place: Kubernetes' own first, in the order of [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> u8 {
        match self {
            Self::Custom(number) => 20 + number,
            known => (0..).zip(Self::ALL).find(|(_, p)| *p == known).map_or(0, |(at, _)| at),
        }
    }
}

/// How the scheduler is set.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerSettings {
    /// The profiles; at least one, names differ (rule S4).
    pub profiles: Vec<Profile>,
    /// `percentageOfNodesToScore` of profiles that have none of their own; 0: adaptive (rule S21).
    pub percentage_of_nodes_to_score: u8,
    /// `podInitialBackoffSeconds`: the first back-off (rule S135).
    pub backoff_initial: Duration,
    /// `podMaxBackoffSeconds`: the longest back-off; zero: none.
    pub backoff_max: Duration,
    /// Names of the policies of the user's own: number n is [`Plugin::Custom`] of n.
    pub policies: Vec<String>,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self {
            profiles: vec![Profile::default()],
            percentage_of_nodes_to_score: 0,
            backoff_initial: Duration::secs(1),
            backoff_max: Duration::secs(10),
            policies: Vec::new(),
        }
    }
}

impl SchedulerSettings {
    /// The name of a plugin: Kubernetes', or that of the user's own policy.
    #[must_use]
    pub fn name_of(&self, plugin: Plugin) -> &str {
        match plugin {
            Plugin::Custom(number) => {
                self.policies.get(usize::from(number)).map_or(plugin.as_str(), String::as_str)
            }
            known => known.as_str(),
        }
    }

    /// `percentageOfNodesToScore` of a profile.
    #[must_use]
    pub fn percentage_of(&self, profile: &Profile) -> u8 {
        profile.percentage_of_nodes_to_score.unwrap_or(self.percentage_of_nodes_to_score)
    }
}

/// A profile: which plugins take part where.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The `schedulerName` of the pods it places.
    pub scheduler_name: String,
    /// Its own `percentageOfNodesToScore`.
    pub percentage_of_nodes_to_score: Option<u8>,
    /// PreEnqueue plugins.
    pub pre_enqueue: Vec<Plugin>,
    /// PreFilter plugins, in order.
    pub pre_filter: Vec<Plugin>,
    /// Filter plugins, in order.
    pub filter: Vec<Plugin>,
    /// PostFilter plugins, in order.
    pub post_filter: Vec<Plugin>,
    /// PreScore plugins, in order.
    pub pre_score: Vec<Plugin>,
    /// Score plugins with their weights, in order.
    pub score: Vec<(Plugin, i64)>,
    /// Arguments of the plugins.
    pub args: PluginArgs,
}

impl Default for Profile {
    /// The default profile (rules S70, S71).
    fn default() -> Self {
        use Plugin as P;
        Self {
            scheduler_name: "default-scheduler".to_owned(),
            percentage_of_nodes_to_score: None,
            pre_enqueue: vec![P::SchedulingGates, P::DynamicResources, P::DefaultPreemption],
            pre_filter: vec![
                P::NodeAffinity,
                P::NodePorts,
                P::NodeResourcesFit,
                P::VolumeRestrictions,
                P::NodeVolumeLimits,
                P::VolumeBinding,
                P::VolumeZone,
                P::PodTopologySpread,
                P::InterPodAffinity,
                P::DynamicResources,
                P::NodeDeclaredFeatures,
            ],
            filter: vec![
                P::NodeUnschedulable,
                P::NodeName,
                P::TaintToleration,
                P::NodeAffinity,
                P::NodePorts,
                P::NodeResourcesFit,
                P::VolumeRestrictions,
                P::NodeVolumeLimits,
                P::VolumeBinding,
                P::VolumeZone,
                P::PodTopologySpread,
                P::InterPodAffinity,
                P::DynamicResources,
                P::NodeDeclaredFeatures,
            ],
            post_filter: vec![P::DynamicResources, P::DefaultPreemption],
            pre_score: vec![
                P::TaintToleration,
                P::NodeAffinity,
                P::NodeResourcesFit,
                P::VolumeBinding,
                P::PodTopologySpread,
                P::InterPodAffinity,
                P::NodeResourcesBalancedAllocation,
            ],
            score: vec![
                (P::TaintToleration, 3),
                (P::NodeAffinity, 2),
                (P::NodeResourcesFit, 1),
                (P::VolumeBinding, 1),
                (P::PodTopologySpread, 2),
                (P::InterPodAffinity, 2),
                (P::DynamicResources, 2),
                (P::NodeResourcesBalancedAllocation, 1),
                (P::ImageLocality, 1),
            ],
            args: PluginArgs::default(),
        }
    }
}

impl Profile {
    /// The weight of a score plugin; 0 if it does not score.
    #[must_use]
    pub fn weight(&self, plugin: Plugin) -> i64 {
        self.score.iter().find(|(p, _)| *p == plugin).map_or(0, |(_, weight)| *weight)
    }

    /// Sets the weight of a score plugin; 0 takes it out.
    pub fn set_weight(&mut self, plugin: Plugin, weight: i64) {
        match self.score.iter_mut().find(|(p, _)| *p == plugin) {
            Some(entry) => entry.1 = weight,
            None => self.score.push((plugin, weight)),
        }
        self.score.retain(|(_, weight)| *weight != 0);
    }
}

/// Arguments of the plugins (`pluginConfig`); the defaults are Kubernetes' (rule S72).
#[derive(Clone, Debug, PartialEq)]
pub struct PluginArgs {
    /// NodeResourcesFit: how nodes are scored.
    pub scoring: Scoring,
    /// NodeResourcesFit: which resources are scored, with weights, in order.
    pub fit_resources: Vec<(Resource, i64)>,
    /// NodeResourcesFit: extended resources that the filter does not look at.
    pub ignored_resources: Vec<Symbol>,
    /// NodeResourcesFit: groups (the part before `/`) of such resources.
    pub ignored_groups: Vec<String>,
    /// NodeResourcesBalancedAllocation: which resources are compared, in order.
    pub balanced_resources: Vec<Resource>,
    /// NodeAffinity: affinity that every pod of the profile has besides its own.
    pub added_affinity: Option<NodeAffinity>,
    /// InterPodAffinity: `hardPodAffinityWeight`.
    pub hard_pod_affinity_weight: i32,
    /// InterPodAffinity: `ignorePreferredTermsOfExistingPods`.
    pub ignores_preferred_of_existing: bool,
    /// PodTopologySpread: constraints of pods without own ones.
    pub default_spread: DefaultSpread,
    /// DefaultPreemption: `minCandidateNodesPercentage`.
    pub candidates_percentage: i64,
    /// DefaultPreemption: `minCandidateNodesAbsolute`.
    pub candidates_absolute: i64,
    /// VolumeBinding: `bindTimeoutSeconds`.
    pub volume_bind_timeout: Duration,
}

impl Default for PluginArgs {
    fn default() -> Self {
        let standard = [Resource::Cpu, Resource::Memory];
        Self {
            scoring: Scoring::LeastAllocated,
            fit_resources: standard.map(|resource| (resource, 1)).to_vec(),
            ignored_resources: Vec::new(),
            ignored_groups: Vec::new(),
            balanced_resources: standard.to_vec(),
            added_affinity: None,
            hard_pod_affinity_weight: 1,
            ignores_preferred_of_existing: false,
            default_spread: DefaultSpread::System,
            candidates_percentage: 10,
            candidates_absolute: 100,
            volume_bind_timeout: Duration::secs(600),
        }
    }
}

/// A resource by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `cpu`.
    Cpu,
    /// `memory`.
    Memory,
    /// `ephemeral-storage`.
    EphemeralStorage,
    /// Any other.
    Scalar(Symbol),
}

/// The strategy of NodeResourcesFit (rule S89).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Emptier nodes first.
    LeastAllocated,
    /// Fuller nodes first.
    MostAllocated,
    /// By a curve: points of utilisation (0 to 100) and score (0 to 10), by utilisation.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// Spread constraints of pods without own ones (rule S104).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultSpread {
    /// Host names with skew 3, zones with skew 5, both soft.
    System,
    /// These; their selectors are made of Services and owners.
    List(Vec<SpreadConstraint>),
}
