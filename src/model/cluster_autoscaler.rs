//! Cluster Autoscaler as it is declared: the flags of 1.36, by their real names, with their real
//! defaults, and the words that it writes.

use std::collections::BTreeMap;

use crate::base::go_time::parse_go_duration;
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

/// A flag: its name, what it takes, and what it is for, with its default.
#[derive(Clone, Copy, Debug)]
pub struct AutoscalerFlag {
    /// Its name without the dashes.
    pub name: &'static str,
    /// What it is for; last its default.
    pub about: &'static str,
    value: Value,
}

/// Where the value of a flag is.
#[derive(Clone, Copy, Debug)]
enum Value {
    Truth(fn(&mut ClusterAutoscalerFlags) -> &mut bool),
    Count(fn(&mut ClusterAutoscalerFlags) -> &mut usize),
    Real(fn(&mut ClusterAutoscalerFlags) -> &mut f64),
    Span(fn(&mut ClusterAutoscalerFlags) -> &mut Duration),
    Seconds(fn(&mut ClusterAutoscalerFlags) -> &mut Duration),
    Expanders,
    Cutoff,
    Replicas,
    List(fn(&mut ClusterAutoscalerFlags) -> &mut Vec<String>),
    Cores,
    Memory,
    /// It is read nowhere (rule A123).
    Dead,
}

const fn row(name: &'static str, value: Value, about: &'static str) -> AutoscalerFlag {
    AutoscalerFlag { name, about, value }
}

/// All flags that are known.
pub const AUTOSCALER_FLAGS: [AutoscalerFlag; 54] = [
    row(
        "scan-interval",
        Value::Span(|f| &mut f.scan_interval),
        "from one look at the cluster to the next; 10s",
    ),
    row(
        "frequent-loops-enabled",
        Value::Truth(|f| &mut f.is_frequent),
        "looks at once after a change, and as soon as a pod finds no place; true",
    ),
    row(
        "max-nodes-total",
        Value::Count(|f| &mut f.nodes_max),
        "no more nodes in the cluster; 0: no limit",
    ),
    row(
        "max-nodes-per-scaleup",
        Value::Count(|f| &mut f.nodes_per_scale_up),
        "no more nodes at a time; 1000",
    ),
    row(
        "new-pod-scale-up-delay",
        Value::Span(|f| &mut f.new_pod_delay),
        "pods must be older to get nodes; 0s",
    ),
    row(
        "balance-similar-node-groups",
        Value::Truth(|f| &mut f.balances),
        "groups that are alike grow together; false",
    ),
    row(
        "force-ds",
        Value::Truth(|f| &mut f.forces_daemons),
        "expected nodes have pods of all DaemonSets; false",
    ),
    row(
        "fastpath-binpacking-enabled",
        Value::Truth(|f| &mut f.is_fast),
        "equal pods are counted, not placed one by one; false",
    ),
    row(
        "max-node-provision-time",
        Value::Span(|f| &mut f.provision_time),
        "a node that is asked for must be there by then; 15m",
    ),
    row(
        "max-node-startup-time",
        Value::Span(|f| &mut f.startup_time),
        "a node that is there must be ready by then; 15m",
    ),
    row(
        "initial-node-group-backoff-duration",
        Value::Span(|f| &mut f.backoff_first),
        "a group that failed is left alone so long; 5m",
    ),
    row(
        "max-node-group-backoff-duration",
        Value::Span(|f| &mut f.backoff_max),
        "and no longer than this, after more failures; 30m",
    ),
    row(
        "node-group-backoff-reset-timeout",
        Value::Span(|f| &mut f.backoff_reset),
        "after so long failures are forgotten; 3h",
    ),
    row(
        "max-total-unready-percentage",
        Value::Real(|f| &mut f.unready_percentage),
        "with more nodes unready nothing is done; 45",
    ),
    row(
        "ok-total-unready-count",
        Value::Count(|f| &mut f.unready_count),
        "so many unready nodes are always fine; 3",
    ),
    row(
        "enforce-node-group-min-size",
        Value::Truth(|f| &mut f.enforces_min),
        "groups below their least size grow to it; false",
    ),
    row(
        "scale-down-enabled",
        Value::Truth(|f| &mut f.scales_down),
        "whether nodes are removed at all; true",
    ),
    row(
        "scale-down-utilization-threshold",
        Value::Real(|f| &mut f.utilization_max),
        "a node of which no larger part is asked for may go; 0.5",
    ),
    row(
        "scale-down-unneeded-time",
        Value::Span(|f| &mut f.unneeded_time),
        "a node must not be needed for longer than this; 10m",
    ),
    row(
        "scale-down-delay-after-add",
        Value::Span(|f| &mut f.delay_after_add),
        "no node goes so soon after a scale-up; 10m",
    ),
    row(
        "scale-down-unready-enabled",
        Value::Truth(|f| &mut f.scales_down_unready),
        "nodes that are not ready may go; true",
    ),
    row(
        "scale-down-unready-time",
        Value::Span(|f| &mut f.unready_time),
        "they must not be needed for longer than this; 20m",
    ),
    row(
        "scale-down-delay-after-delete",
        Value::Span(|f| &mut f.delay_after_delete),
        "no node goes so soon after another; 0s",
    ),
    row(
        "scale-down-delay-after-failure",
        Value::Span(|f| &mut f.delay_after_failure),
        "nor so soon after a removal that failed; 3m",
    ),
    row(
        "scale-down-delay-type-local",
        Value::Truth(|f| &mut f.delays_locally),
        "these delays are each group's own; false",
    ),
    row(
        "unremovable-node-recheck-timeout",
        Value::Span(|f| &mut f.recheck),
        "a node that could not be emptied is looked at again after; 5m",
    ),
    row(
        "max-scale-down-parallelism",
        Value::Count(|f| &mut f.parallelism),
        "so many nodes go at a time; 10",
    ),
    row(
        "max-drain-parallelism",
        Value::Count(|f| &mut f.drain_parallelism),
        "so many of them with pods on them; 1",
    ),
    row(
        "node-delete-delay-after-taint",
        Value::Span(|f| &mut f.delay_after_taint),
        "from the taint to the first eviction; 5s",
    ),
    row(
        "max-pod-eviction-time",
        Value::Span(|f| &mut f.eviction_time),
        "evictions that are refused are tried so long; 2m",
    ),
    row(
        "max-graceful-termination-sec",
        Value::Seconds(|f| &mut f.grace_max),
        "no pod has longer to end; 600",
    ),
    row(
        "daemonset-eviction-for-empty-nodes",
        Value::Truth(|f| &mut f.evicts_daemons_empty),
        "pods of DaemonSets are evicted from empty nodes; false",
    ),
    row(
        "daemonset-eviction-for-occupied-nodes",
        Value::Truth(|f| &mut f.evicts_daemons_occupied),
        "and from others; true",
    ),
    row(
        "cordon-node-before-terminating",
        Value::Truth(|f| &mut f.cordons),
        "a node that goes is cordoned; true",
    ),
    row(
        "max-bulk-soft-taint-count",
        Value::Count(|f| &mut f.soft_taints),
        "so many soft taints are set at a time; 10",
    ),
    row(
        "blocking-system-pod-distruption-timeout",
        Value::Span(|f| &mut f.system_blocks),
        "a pod of kube-system without a budget blocks its node so long; 1h",
    ),
    row(
        "ignore-daemonsets-utilization",
        Value::Truth(|f| &mut f.ignores_daemons),
        "pods of DaemonSets do not count as use; false",
    ),
    row(
        "ignore-mirror-pods-utilization",
        Value::Truth(|f| &mut f.ignores_mirrors),
        "nor do static pods; false",
    ),
    row(
        "skip-nodes-with-system-pods",
        Value::Truth(|f| &mut f.skips_system),
        "pods of kube-system without a budget block their node; true",
    ),
    row(
        "skip-nodes-with-local-storage",
        Value::Truth(|f| &mut f.skips_local_storage),
        "pods with hostPath or emptyDir block their node; true",
    ),
    row(
        "skip-nodes-with-custom-controller-pods",
        Value::Truth(|f| &mut f.skips_custom),
        "pods of other controllers block their node; true",
    ),
    row(
        "expander",
        Value::Expanders,
        "which group grows: least-waste, most-pods, least-nodes, price, priority, random, one after another; least-waste",
    ),
    row(
        "expendable-pods-priority-cutoff",
        Value::Cutoff,
        "pods of a lower priority get no nodes and keep none; -10",
    ),
    row("min-replica-count", Value::Replicas, "pods of smaller ReplicaSets block their node; 0"),
    row(
        "balancing-ignore-label",
        Value::List(|f| &mut f.ignored_labels),
        "labels that groups that are alike may differ in; none",
    ),
    row(
        "startup-taint",
        Value::List(|f| &mut f.startup_taints),
        "keys of taints with which a node is not ready yet; none",
    ),
    row(
        "ignore-taint",
        Value::List(|f| &mut f.startup_taints),
        "the old name of startup-taint; none",
    ),
    row(
        "status-taint",
        Value::List(|f| &mut f.status_taints),
        "keys of taints that tell of a node's state and that new nodes do not have; none",
    ),
    row("cores-total", Value::Cores, "least and most cores in the cluster; 0:320000"),
    row("memory-total", Value::Memory, "least and most GiB in the cluster; 0:6400000"),
    row("max-empty-bulk-delete", Value::Dead, "does nothing: gone since 1.33"),
    row("scale-down-non-empty-candidates-count", Value::Dead, "does nothing: read nowhere"),
    row("scale-down-candidates-pool-ratio", Value::Dead, "does nothing: read nowhere"),
    row("scale-down-candidates-pool-min-count", Value::Dead, "does nothing: read nowhere"),
];

impl AutoscalerFlag {
    /// Whether it is read nowhere (rule A123).
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.value, Value::Dead)
    }

    /// What it takes: `boolean`, `number`, `string` or `array`, as in a JSON schema.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Truth(_) => "boolean",
            Value::Count(_) | Value::Seconds(_) | Value::Cutoff | Value::Replicas => "integer",
            Value::Real(_) => "number",
            Value::List(_) => "array",
            Value::Span(_) | Value::Expanders | Value::Cores | Value::Memory | Value::Dead => {
                "string"
            }
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

    /// Sets a flag by its real name; one that takes a list gets one more.
    ///
    /// # Errors
    /// If there is none of this name here, or it takes no such value.
    pub fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("flag {flag} takes no value `{value}`");
        let known = AUTOSCALER_FLAGS.iter().find(|known| known.name == flag);
        let known = known.ok_or_else(|| format!("flag {flag} is not known"))?;
        match known.value {
            Value::Truth(at) => *at(self) = value.parse().map_err(|_| wrong())?,
            Value::Count(at) => *at(self) = value.parse().map_err(|_| wrong())?,
            Value::Real(at) => *at(self) = value.parse().map_err(|_| wrong())?,
            Value::Span(at) => {
                let nanos = parse_go_duration(value).map_err(|_| wrong())?;
                *at(self) = u64::try_from(nanos).map(Duration::ns).map_err(|_| wrong())?;
            }
            Value::Seconds(at) => *at(self) = Duration::secs(value.parse().map_err(|_| wrong())?),
            Value::Expanders => {
                let one = |name: &str| Expander::ALL.iter().find(|(_, n)| *n == name.trim());
                let all = value.split(',').map(|name| one(name).map(|(expander, _)| *expander));
                self.expanders = all.collect::<Option<_>>().ok_or_else(wrong)?;
            }
            Value::Cutoff => self.priority_cutoff = value.parse().map_err(|_| wrong())?,
            Value::Replicas => self.replicas_min = value.parse().map_err(|_| wrong())?,
            Value::List(at) => at(self).push(value.to_owned()),
            Value::Cores => (self.cores_min, self.cores_max) = bounds(value).ok_or_else(wrong)?,
            Value::Memory => {
                let (least, most) = bounds(value).ok_or_else(wrong)?;
                (self.memory_min, self.memory_max) = (least << 30, most << 30);
            }
            Value::Dead => {}
        }
        Ok(())
    }

    /// The value of a flag as it would be written; empty for one that is read nowhere.
    #[must_use]
    pub fn text(&self, flag: &AutoscalerFlag) -> String {
        let mut own = self.clone();
        match flag.value {
            Value::Truth(at) => at(&mut own).to_string(),
            Value::Count(at) => at(&mut own).to_string(),
            Value::Real(at) => at(&mut own).to_string(),
            Value::Span(at) => at(&mut own).go_text(),
            Value::Seconds(at) => at(&mut own).whole_secs().to_string(),
            Value::Expanders => {
                self.expanders.iter().map(|e| e.name()).collect::<Vec<_>>().join(",")
            }
            Value::Cutoff => self.priority_cutoff.to_string(),
            Value::Replicas => self.replicas_min.to_string(),
            Value::List(at) => at(&mut own).join(","),
            Value::Cores => format!("{}:{}", self.cores_min, self.cores_max),
            Value::Memory => format!("{}:{}", self.memory_min >> 30, self.memory_max >> 30),
            Value::Dead => String::new(),
        }
    }
}

/// `least:most`, neither below 0 and the first not above the second.
fn bounds(text: &str) -> Option<(i64, i64)> {
    let (least, most) = text.split_once(':')?;
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (0 <= least && least <= most && most < 1 << 32).then_some((least, most))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_a121_a122_flags_are_told_as_they_are_set() {
        let (mut flags, usual) =
            (ClusterAutoscalerFlags::default(), ClusterAutoscalerFlags::default());
        for flag in AUTOSCALER_FLAGS.iter().filter(|flag| !flag.is_dead()) {
            let text = flags.text(flag);
            if flag.kind() != "array" {
                flags.set(flag.name, &text).unwrap();
            }
            let about =
                flag.about.rsplit("; ").next().unwrap_or_default().replace("0: no limit", "0");
            let is_said = |text: &str| text == about || (text.is_empty() && about == "none");
            let short = text.replace("0m0s", "0m").replace("m0s", "m").replace("h0m", "h");
            assert!(is_said(&text) || is_said(&short), "{}: {text}", flag.name);
        }
        assert_eq!(flags, usual);
    }

    #[test]
    fn rule_a123_flags_that_do_nothing_are_taken() {
        let mut flags = ClusterAutoscalerFlags::default();
        flags.set("max-empty-bulk-delete", "10").unwrap();
        assert_eq!(flags, ClusterAutoscalerFlags::default());
        assert!(flags.set("cores-total", "9:3").is_err());
        assert!(flags.set("expander", "cheapest").is_err());
    }
}
