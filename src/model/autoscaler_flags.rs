//! The flags of Cluster Autoscaler 1.36 by their real names: what each takes, sets and tells.

use crate::base::Duration;
use crate::base::go_time::parse_go_duration;

use super::{ClusterAutoscalerFlags, Expander};

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

impl ClusterAutoscalerFlags {
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
