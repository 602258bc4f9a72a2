//! How kube-controller-manager watches over nodes.

use crate::base::Duration;

/// The settings of the node lifecycle controller, and of the Leases that it reads.
///
/// Source: kubernetes v1.36.3 cmd/kube-controller-manager/app/options/nodelifecyclecontroller.go,
/// pkg/controller/nodelifecycle/config/v1alpha1/defaults.go (rules C161, C162, C165 to C167).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMonitor {
    /// From the end of a pass over all nodes to the next (`--node-monitor-period`).
    pub period: Duration,
    /// How long a node is believed without a sign (`--node-monitor-grace-period`).
    pub grace: Duration,
    /// The same for one that has never given any (`--node-startup-grace-period`).
    pub startup_grace: Duration,
    /// How long a kubelet's Lease holds (`nodeLeaseDurationSeconds`); it is renewed four times in
    /// that time.
    pub lease: Duration,
    /// From one node of a zone that gets a NoExecute taint to the next: 1 over
    /// `--node-eviction-rate`. `None`: none ever does.
    pub eviction_gap: Option<Duration>,
    /// The same in a large disrupted zone (`--secondary-node-eviction-rate`).
    pub secondary_gap: Option<Duration>,
    /// A zone of more nodes is large (`--large-cluster-size-threshold`).
    pub large_zone: u32,
}

impl NodeMonitor {
    /// kube-controller-manager's and the kubelet's defaults.
    pub const DEFAULT: Self = Self {
        period: Duration::secs(5),
        grace: Duration::secs(50),
        startup_grace: Duration::secs(60),
        lease: Duration::secs(40),
        eviction_gap: Some(Duration::secs(10)),
        secondary_gap: Some(Duration::secs(100)),
        large_zone: 50,
    };

    /// From one renewal of a Lease to the next (rule C161).
    #[must_use]
    pub fn renewal(&self) -> Duration {
        self.lease.scale(0.25)
    }
}

impl Default for NodeMonitor {
    fn default() -> Self {
        Self::DEFAULT
    }
}
