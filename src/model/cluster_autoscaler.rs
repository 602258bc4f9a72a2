//! Cluster Autoscaler as it is declared: its flags with their real defaults, and the words that it
//! writes.

use std::collections::BTreeMap;

use crate::base::{Duration, Interner, Symbol};

use super::cloud::GroupSpec;

/// How an option is chosen among those that survive the expanders before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expander {
    /// The least share of the new nodes left unused (rule A148).
    LeastWaste,
    /// The most pods (rule A149).
    MostPods,
    /// The fewest nodes (rule A149).
    LeastNodes,
    /// The lowest price for what is asked (rules A150, A151).
    Price,
    /// The groups of the highest priority (rule A152).
    Priority,
    /// Any.
    Random,
}

impl Expander {
    /// All, with the names that the flag takes.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::LeastWaste, "least-waste"),
        (Self::MostPods, "most-pods"),
        (Self::LeastNodes, "least-nodes"),
        (Self::Price, "price"),
        (Self::Priority, "priority"),
        (Self::Random, "random"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(other, _)| *other == self).map_or("", |(_, name)| name)
    }
}

/// The flags (rules A121 to A123).
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterAutoscalerFlags {
    /// `expander`: one after another.
    pub expanders: Vec<Expander>,
    /// Patterns of the priority expander by priority.
    pub priorities: BTreeMap<i64, Vec<String>>,
    /// `max-nodes-total`; 0: no limit.
    pub nodes_max: usize,
    /// `max-nodes-per-scaleup`; 0: no limit.
    pub nodes_per_scale_up: usize,
    /// `cores-total`: at least so many cores.
    pub cores_min: i64,
    /// `cores-total`: at most so many cores.
    pub cores_max: i64,
    /// `memory-total`: at least so many bytes.
    pub memory_min: i64,
    /// `memory-total`: at most so many bytes.
    pub memory_max: i64,
    /// `new-pod-scale-up-delay`.
    pub new_pod_delay: Duration,
    /// `expendable-pods-priority-cutoff`.
    pub priority_cutoff: i32,
    /// `balance-similar-node-groups`.
    pub balances: bool,
    /// `balancing-ignore-label`: labels that similar groups may differ in.
    pub ignored_labels: Vec<String>,
    /// `force-ds`: templates made of real nodes get the DaemonSets' pods that they lack.
    pub forces_daemons: bool,
    /// `fastpath-binpacking-enabled`.
    pub is_fast: bool,
    /// `max-node-provision-time`.
    pub provision_time: Duration,
    /// `max-node-startup-time`: how long a node may take to become ready.
    pub startup_time: Duration,
    /// `initial-node-group-backoff-duration`.
    pub backoff_first: Duration,
    /// `max-node-group-backoff-duration`.
    pub backoff_max: Duration,
    /// `node-group-backoff-reset-timeout`.
    pub backoff_reset: Duration,
    /// `max-total-unready-percentage`.
    pub unready_percentage: f64,
    /// `ok-total-unready-count`.
    pub unready_count: usize,
    /// `enforce-node-group-min-size`.
    pub enforces_min: bool,
    /// `scan-interval`.
    pub scan_interval: Duration,
    /// `frequent-loops-enabled` (rule A118).
    pub is_frequent: bool,
    /// `scale-down-enabled`.
    pub scales_down: bool,
    /// `scale-down-utilization-threshold`.
    pub utilization_max: f64,
    /// `scale-down-unneeded-time`.
    pub unneeded_time: Duration,
    /// `scale-down-delay-after-add`.
    pub delay_after_add: Duration,
    /// `scale-down-unready-enabled`.
    pub scales_down_unready: bool,
    /// `scale-down-unready-time`.
    pub unready_time: Duration,
    /// `scale-down-delay-after-delete`.
    pub delay_after_delete: Duration,
    /// `scale-down-delay-after-failure`.
    pub delay_after_failure: Duration,
    /// `scale-down-delay-type-local`: each group has delays of its own.
    pub delays_locally: bool,
    /// `unremovable-node-recheck-timeout`.
    pub recheck: Duration,
    /// `max-scale-down-parallelism`.
    pub parallelism: usize,
    /// `max-drain-parallelism`.
    pub drain_parallelism: usize,
    /// `node-delete-delay-after-taint`.
    pub delay_after_taint: Duration,
    /// `max-pod-eviction-time`.
    pub eviction_time: Duration,
    /// `max-graceful-termination-sec`.
    pub grace_max: Duration,
    /// `daemonset-eviction-for-empty-nodes`.
    pub evicts_daemons_empty: bool,
    /// `daemonset-eviction-for-occupied-nodes`.
    pub evicts_daemons_occupied: bool,
    /// `cordon-node-before-terminating`.
    pub cordons: bool,
    /// `max-bulk-soft-taint-count`.
    pub soft_taints: usize,
    /// `ignore-daemonsets-utilization`.
    pub ignores_daemons: bool,
    /// `ignore-mirror-pods-utilization`.
    pub ignores_mirrors: bool,
    /// `skip-nodes-with-system-pods`.
    pub skips_system: bool,
    /// `skip-nodes-with-local-storage`.
    pub skips_local_storage: bool,
    /// `skip-nodes-with-custom-controller-pods`.
    pub skips_custom: bool,
    /// `blocking-system-pod-distruption-timeout` (its real spelling): how old a pod of the system
    /// without a budget must be to block no more (rule A174).
    pub system_blocks: Duration,
    /// `min-replica-count`.
    pub replicas_min: i64,
    /// `startup-taint`: with one of these a node is not ready yet (rule A126).
    pub startup_taints: Vec<String>,
    /// `status-taint`: new nodes do not have them (rule A137).
    pub status_taints: Vec<String>,
}

impl Default for ClusterAutoscalerFlags {
    fn default() -> Self {
        Self {
            expanders: vec![Expander::LeastWaste],
            priorities: BTreeMap::new(),
            nodes_max: 0,
            nodes_per_scale_up: 1_000,
            cores_min: 0,
            cores_max: 320_000,
            memory_min: 0,
            memory_max: 6_400_000 << 30,
            new_pod_delay: Duration::ZERO,
            priority_cutoff: -10,
            balances: false,
            ignored_labels: Vec::new(),
            forces_daemons: false,
            is_fast: false,
            provision_time: Duration::mins(15),
            startup_time: Duration::mins(15),
            backoff_first: Duration::mins(5),
            backoff_max: Duration::mins(30),
            backoff_reset: Duration::hours(3),
            unready_percentage: 45.0,
            unready_count: 3,
            enforces_min: false,
            scan_interval: Duration::secs(10),
            is_frequent: true,
            scales_down: true,
            utilization_max: 0.5,
            unneeded_time: Duration::mins(10),
            delay_after_add: Duration::mins(10),
            scales_down_unready: true,
            unready_time: Duration::mins(20),
            delay_after_delete: Duration::ZERO,
            delay_after_failure: Duration::mins(3),
            delays_locally: false,
            recheck: Duration::mins(5),
            parallelism: 10,
            drain_parallelism: 1,
            delay_after_taint: Duration::secs(5),
            eviction_time: Duration::mins(2),
            grace_max: Duration::mins(10),
            evicts_daemons_empty: false,
            evicts_daemons_occupied: true,
            cordons: true,
            soft_taints: 10,
            ignores_daemons: false,
            ignores_mirrors: false,
            skips_system: true,
            skips_local_storage: true,
            skips_custom: true,
            system_blocks: Duration::hours(1),
            replicas_min: 0,
            startup_taints: Vec::new(),
            status_taints: Vec::new(),
        }
    }
}

/// How taints begin that make a node count as not ready yet, without a flag.
const STARTUP_TAINTS: [&str; 2] = [
    "startup-taint.cluster-autoscaler.kubernetes.io/",
    "ignore-taint.cluster-autoscaler.kubernetes.io/",
];
/// How taints begin that new nodes do not have, without a flag.
const STATUS_TAINTS: &str = "status-taint.cluster-autoscaler.kubernetes.io/";

impl ClusterAutoscalerFlags {
    /// Whether a node with a taint of this key is not ready yet (rule A126).
    ///
    /// Source: kubernetes/autoscaler cluster-autoscaler 1.36 utils/taints/taints.go
    /// `IsStartupTaint`.
    #[must_use]
    pub fn is_startup_taint(&self, key: &str) -> bool {
        STARTUP_TAINTS.iter().any(|prefix| key.starts_with(prefix))
            || self.startup_taints.iter().any(|known| known == key)
    }

    /// Whether a taint of this key passes: a new node does not have it (rule A137).
    ///
    /// Source: utils/taints/taints.go `SanitizeTaints`.
    #[must_use]
    pub fn is_passing_taint(&self, key: &str) -> bool {
        self.is_startup_taint(key)
            || key.starts_with(STATUS_TAINTS)
            || self.status_taints.iter().any(|known| known == key)
    }
}

/// Cluster Autoscaler in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterAutoscalerSpec {
    /// Its flags.
    pub flags: ClusterAutoscalerFlags,
    /// What it writes and reads by name.
    pub words: ClusterAutoscalerWords,
}

/// Texts that Cluster Autoscaler writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterAutoscalerWords {
    /// The taint of a node that is being deleted.
    pub deleting: Symbol,
    /// The soft taint of a node that is not needed.
    pub candidate: Symbol,
    /// The value of both.
    pub nothing: Symbol,
    /// The namespace of the system.
    pub system: Symbol,
    /// The ConfigMap that its Events are about.
    pub status: Symbol,
}

impl ClusterAutoscalerSpec {
    /// With these flags; names that it gives to nodes that are to come get a symbol, so that they
    /// are the same all the run.
    #[must_use]
    pub fn new<'g>(
        flags: ClusterAutoscalerFlags,
        groups: impl Iterator<Item = &'g GroupSpec>,
        names: &mut Interner,
    ) -> Self {
        let words = ClusterAutoscalerWords {
            deleting: names.intern("ToBeDeletedByClusterAutoscaler"),
            candidate: names.intern("DeletionCandidateOfClusterAutoscaler"),
            nothing: names.intern(""),
            system: names.intern("kube-system"),
            status: names.intern("cluster-autoscaler-status"),
        };
        names.intern("kubernetes.io/hostname");
        for group in groups {
            let template = format!("template-node-for-{}", names.resolve(group.name));
            names.intern(&template);
            for number in 0..group.max {
                names.intern(&format!("{template}-upcoming-{number}"));
            }
        }
        Self { flags, words }
    }
}
