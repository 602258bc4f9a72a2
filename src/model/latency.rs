//! The named latencies of a cluster: how long the machinery takes.

use crate::base::{Distribution, Duration};

/// Every modelled lag by name; distributions are in seconds. In `ideal` all are zero and what
/// follows from an instant happens at that instant; `measured` has the defaults of rules N300
/// to N303 and N310 by the size of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    /// `ideal`, `measured` or `custom`, for the report.
    pub profile: &'static str,
    /// The profile beneath: `ideal`, `small`, `medium` or `large`.
    pub base: &'static str,
    /// The names of those that the scenario sets itself.
    pub own: Vec<&'static str>,
    /// Whether the controllers' clients are limited in writes a second (rule C12).
    pub limited_clients: bool,
    /// Delivery of a change to one watcher.
    pub watch: Distribution,
    /// One mutating call to the API server.
    pub api_write: Distribution,
    /// One call of the eviction API (rule C154).
    pub eviction: Distribution,
    /// From the start of a scheduling cycle to the binding in the API.
    pub schedule: Distribution,
    /// What one scheduling cycle occupies the scheduler's loop.
    pub schedule_cycle: Duration,
    /// From binding to the kubelet's first sync of the pod.
    pub kubelet_sync: Distribution,
    /// Wait for local volumes (rule N52).
    pub volumes: Duration,
    /// What a provisioner takes to make a volume for a claim.
    pub provision: Distribution,
    /// What a cloud takes to attach a disk to a node, until it can be mounted there (rule N55).
    pub attach: Distribution,
    /// What a cloud takes to detach a disk from a node (rule N56).
    pub detach: Distribution,
    /// How often the scheduler looks whether the volumes of a pod are bound (rule S123c); zero: at
    /// once.
    pub volume_poll: Duration,
    /// Sandbox and network of a pod.
    pub sandbox: Distribution,
    /// Create and start one container.
    pub container_start: Distribution,
    /// Fixed part of an image pull.
    pub pull: Distribution,
    /// Bytes a second of an image pull, in the median; infinite in `ideal`.
    pub pull_rate: f64,
    /// Bytes a second that one pull in a hundred is slower than; as [`Self::pull_rate`]: all are
    /// equally fast.
    pub pull_slow: f64,
    /// The period of the kubelet's relist: how late it notices an exit that it did not cause
    /// (rule N4); zero: at once.
    pub relist: Duration,
    /// From the deletion in the API to the kubelet's kill.
    pub kill: Distribution,
    /// Stop of the sandbox after the last container.
    pub sandbox_stop: Distribution,
    /// From there to the final delete in the API (rule N130).
    pub finalize: Distribution,
    /// Work of the EndpointSlice controller for one change.
    pub endpoints: Distribution,
    /// Minimum time between two runs of one node's proxy (rule N150).
    pub proxy_period: Duration,
    /// How long one run of a proxy takes (rule N152).
    pub proxy_run: Distribution,
    /// One way between two pods or a caller and a pod; if the next two are given, between two
    /// nodes of one zone.
    pub hop: Distribution,
    /// One way between two pods on one node (rule N188); `None`: as [`Self::hop`].
    pub hop_same_node: Option<Distribution>,
    /// One way between two zones (rule N188); `None`: as [`Self::hop`].
    pub hop_between_zones: Option<Distribution>,
    /// One way between two containers of a pod, by localhost (rule N188).
    pub hop_in_pod: Duration,
    /// Bytes a second between two machines; infinite: the size of a call does not count.
    pub network_rate: f64,
    /// Period of the metrics pipeline: metrics-server's `--metric-resolution` (rule A62).
    pub metrics_period: Duration,
    /// From one sample of a node's pods to the next, in seconds (rule A67); zero: they are taken
    /// when metrics-server asks, which is at the tick then.
    pub kubelet_sample: Distribution,
    /// So much for each node of the cluster, 4 s at most, are the requests of one scrape spread
    /// over (rule A62).
    pub scrape_spread: Duration,
    /// How long metrics-server waits for a node that does not answer.
    pub scrape_timeout: Duration,
    /// Part of the nodes that do not answer a scrape, from 0 to 1: their pods are missing until
    /// they do (rule A65).
    pub scrape_loss: f64,
    /// How often the kubelet asks a container that has just started whether it is ready before it
    /// knows of its start, so that the next question is a period later (rule N85).
    pub probe_miss: f64,
    /// From a kubelet's promise of other amounts until running containers have them and the API
    /// shows it (rule N104).
    pub resize: Distribution,
    /// Kubelet's status writes: GET and PATCH (rule N10).
    pub status_write: Distribution,
    /// What is added to the 10 s between two renewals of a node's Lease (rule C161). Without any,
    /// a node renews 10 s, 20 s … after its creation; with some, at phases of chance.
    pub lease_jitter: Distribution,
}

impl Latencies {
    /// No latency at all: what follows from an instant happens at that instant.
    #[must_use]
    pub fn ideal() -> Self {
        let zero = Distribution::Constant(0.0);
        Self {
            profile: "ideal",
            base: "ideal",
            own: Vec::new(),
            limited_clients: false,
            watch: zero.clone(),
            api_write: zero.clone(),
            eviction: zero.clone(),
            schedule: zero.clone(),
            schedule_cycle: Duration::ZERO,
            kubelet_sync: zero.clone(),
            volumes: Duration::ZERO,
            provision: zero.clone(),
            attach: zero.clone(),
            detach: zero.clone(),
            volume_poll: Duration::ZERO,
            sandbox: zero.clone(),
            container_start: zero.clone(),
            pull: zero.clone(),
            pull_rate: f64::INFINITY,
            pull_slow: f64::INFINITY,
            relist: Duration::ZERO,
            kill: zero.clone(),
            sandbox_stop: zero.clone(),
            finalize: zero.clone(),
            endpoints: zero.clone(),
            proxy_period: Duration::ZERO,
            proxy_run: zero.clone(),
            hop: zero.clone(),
            hop_same_node: None,
            hop_between_zones: None,
            hop_in_pod: Duration::ZERO,
            network_rate: f64::INFINITY,
            metrics_period: Duration::secs(15),
            kubelet_sample: zero.clone(),
            scrape_spread: Duration::ZERO,
            scrape_timeout: Duration::ZERO,
            scrape_loss: 0.0,
            probe_miss: 0.0,
            resize: zero.clone(),
            status_write: zero.clone(),
            lease_jitter: zero.clone(),
        }
    }
}
