//! The flags of Cluster Autoscaler 1.36, by their real names, with their real defaults.

use std::collections::BTreeMap;

use crate::base::Duration;
use crate::base::go_time::parse_go_duration;

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

/// The flags that this room knows (rules A121 to A123).
#[derive(Clone, Debug)]
pub struct Options {
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
}

impl Default for Options {
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
        }
    }
}

impl Options {
    /// Sets a flag by its real name.
    ///
    /// # Errors
    /// If there is none of this name here, or it takes no such value.
    pub fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("flag {flag} takes no value `{value}`");
        let number = || value.parse::<i64>().map_err(|_| wrong());
        let count = || value.parse::<usize>().map_err(|_| wrong());
        let span = || {
            let nanos = parse_go_duration(value).map_err(|_| wrong())?;
            u64::try_from(nanos).map(Duration::ns).map_err(|_| wrong())
        };
        let truth = || value.parse::<bool>().map_err(|_| wrong());
        let real = || value.parse::<f64>().map_err(|_| wrong());
        let bounds = || {
            let (least, most) = value.split_once(':').ok_or_else(wrong)?;
            let bound = |text: &str| text.parse::<i64>().map_err(|_| wrong());
            Ok::<_, String>((bound(least)?, bound(most)?))
        };
        match flag {
            "max-empty-bulk-delete"
            | "scale-down-non-empty-candidates-count"
            | "scale-down-candidates-pool-ratio"
            | "scale-down-candidates-pool-min-count" => {}
            "expander" => {
                let one = |name: &str| Expander::ALL.iter().find(|(_, n)| *n == name);
                let all = value.split(',').map(|name| one(name).map(|(expander, _)| *expander));
                self.expanders = all.collect::<Option<_>>().ok_or_else(wrong)?;
            }
            "max-nodes-total" => self.nodes_max = count()?,
            "max-nodes-per-scaleup" => self.nodes_per_scale_up = count()?,
            "cores-total" => (self.cores_min, self.cores_max) = bounds()?,
            "memory-total" => {
                let (least, most) = bounds()?;
                (self.memory_min, self.memory_max) = (least << 30, most << 30);
            }
            "new-pod-scale-up-delay" => self.new_pod_delay = span()?,
            "expendable-pods-priority-cutoff" => {
                self.priority_cutoff = i32::try_from(number()?).map_err(|_| wrong())?;
            }
            "balance-similar-node-groups" => self.balances = truth()?,
            "balancing-ignore-label" => self.ignored_labels.push(value.to_owned()),
            "force-ds" => self.forces_daemons = truth()?,
            "fastpath-binpacking-enabled" => self.is_fast = truth()?,
            "max-node-provision-time" => self.provision_time = span()?,
            "scale-down-enabled" => self.scales_down = truth()?,
            "scale-down-utilization-threshold" => self.utilization_max = real()?,
            "max-node-startup-time" => self.startup_time = span()?,
            "initial-node-group-backoff-duration" => self.backoff_first = span()?,
            "max-node-group-backoff-duration" => self.backoff_max = span()?,
            "node-group-backoff-reset-timeout" => self.backoff_reset = span()?,
            "max-total-unready-percentage" => self.unready_percentage = real()?,
            "ok-total-unready-count" => self.unready_count = count()?,
            "enforce-node-group-min-size" => self.enforces_min = truth()?,
            "scan-interval" => self.scan_interval = span()?,
            _ => return self.set_down(flag, value),
        }
        Ok(())
    }

    /// The flags of scaling down.
    fn set_down(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("flag {flag} takes no value `{value}`");
        let number = || value.parse::<i64>().map_err(|_| wrong());
        let count = || value.parse::<usize>().map_err(|_| wrong());
        let span = || {
            let nanos = parse_go_duration(value).map_err(|_| wrong())?;
            u64::try_from(nanos).map(Duration::ns).map_err(|_| wrong())
        };
        let truth = || value.parse::<bool>().map_err(|_| wrong());
        match flag {
            "scale-down-unready-enabled" => self.scales_down_unready = truth()?,
            "scale-down-unready-time" => self.unready_time = span()?,
            "scale-down-delay-after-delete" => self.delay_after_delete = span()?,
            "scale-down-delay-after-failure" => self.delay_after_failure = span()?,
            "scale-down-delay-type-local" => self.delays_locally = truth()?,
            "unremovable-node-recheck-timeout" => self.recheck = span()?,
            "max-drain-parallelism" => self.drain_parallelism = count()?,
            "node-delete-delay-after-taint" => self.delay_after_taint = span()?,
            "max-pod-eviction-time" => self.eviction_time = span()?,
            "max-graceful-termination-sec" => {
                self.grace_max = Duration::secs(value.parse().map_err(|_| wrong())?);
            }
            "daemonset-eviction-for-empty-nodes" => self.evicts_daemons_empty = truth()?,
            "daemonset-eviction-for-occupied-nodes" => self.evicts_daemons_occupied = truth()?,
            "cordon-node-before-terminating" => self.cordons = truth()?,
            "max-bulk-soft-taint-count" => self.soft_taints = count()?,
            "blocking-system-pod-distruption-timeout" => self.system_blocks = span()?,
            "scale-down-unneeded-time" => self.unneeded_time = span()?,
            "scale-down-delay-after-add" => self.delay_after_add = span()?,
            "max-scale-down-parallelism" => self.parallelism = count()?,
            "ignore-daemonsets-utilization" => self.ignores_daemons = truth()?,
            "ignore-mirror-pods-utilization" => self.ignores_mirrors = truth()?,
            "skip-nodes-with-system-pods" => self.skips_system = truth()?,
            "skip-nodes-with-local-storage" => self.skips_local_storage = truth()?,
            "skip-nodes-with-custom-controller-pods" => self.skips_custom = truth()?,
            "min-replica-count" => self.replicas_min = number()?,
            _ => return Err(format!("flag {flag} is not known")),
        }
        Ok(())
    }
}
