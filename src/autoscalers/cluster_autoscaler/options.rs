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

/// The flags that this room knows (rules A121, A122).
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
    /// `cores-total`: at most so many cores.
    pub cores_max: i64,
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
    /// `scale-down-enabled`.
    pub scales_down: bool,
    /// `scale-down-utilization-threshold`.
    pub utilization_max: f64,
    /// `scale-down-unneeded-time`.
    pub unneeded_time: Duration,
    /// `scale-down-delay-after-add`.
    pub delay_after_add: Duration,
    /// `max-scale-down-parallelism`.
    pub parallelism: usize,
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
    /// `min-replica-count`.
    pub replicas_min: i64,
}

/// How long a node that could not be emptied is left alone (rule A162).
pub(super) const RECHECK: Duration = Duration::mins(5);

impl Default for Options {
    fn default() -> Self {
        Self {
            expanders: vec![Expander::LeastWaste],
            priorities: BTreeMap::new(),
            nodes_max: 0,
            nodes_per_scale_up: 1_000,
            cores_max: 320_000,
            memory_max: 6_400_000 << 30,
            new_pod_delay: Duration::ZERO,
            priority_cutoff: -10,
            balances: false,
            ignored_labels: Vec::new(),
            forces_daemons: false,
            is_fast: false,
            provision_time: Duration::mins(15),
            scales_down: true,
            utilization_max: 0.5,
            unneeded_time: Duration::mins(10),
            delay_after_add: Duration::mins(10),
            parallelism: 10,
            ignores_daemons: false,
            ignores_mirrors: false,
            skips_system: true,
            skips_local_storage: true,
            skips_custom: true,
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
        let most = || value.split(':').nth(1).and_then(|t| t.parse::<i64>().ok()).ok_or_else(wrong);
        match flag {
            "expander" => {
                let one = |name: &str| Expander::ALL.iter().find(|(_, n)| *n == name);
                let all = value.split(',').map(|name| one(name).map(|(expander, _)| *expander));
                self.expanders = all.collect::<Option<_>>().ok_or_else(wrong)?;
            }
            "max-nodes-total" => self.nodes_max = count()?,
            "max-nodes-per-scaleup" => self.nodes_per_scale_up = count()?,
            "cores-total" => self.cores_max = most()?,
            "memory-total" => self.memory_max = most()? << 30,
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
            "scale-down-utilization-threshold" => {
                self.utilization_max = value.parse().map_err(|_| wrong())?;
            }
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
