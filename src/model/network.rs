//! What stands around the nodes besides the proxies: names, load balancers, registries.

use crate::base::{Cidr, Distribution, Duration, SimTime};

/// The names of the cluster: what its DNS does (rule N182).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dns {
    /// For how long an answer may be kept (the TTL of its records).
    pub ttl: Duration,
    /// For how long the server itself keeps an answer.
    pub cache: Duration,
    /// For how long the server keeps the answer that there is nothing.
    pub negative: Duration,
}

impl Dns {
    /// kubeadm's: `ttl 30`, `cache 30` (rule N182), and the plugin's least time for a denial.
    pub const DEFAULT: Self =
        Self { ttl: Duration::secs(30), cache: Duration::secs(30), negative: Duration::secs(5) };
}

/// Where the addresses of pods come from (rules N57, N128).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressSpec {
    /// The range of all pods (`--cluster-cidr`); `None`: 10.244.0.0/16, and on from there if the
    /// cluster has more nodes than that has ranges.
    pub cluster: Option<Cidr>,
    /// How many bits of it a node's range has in common (`--node-cidr-mask-size`); `None`: 24, or
    /// so many less that the node of most pods has two addresses for each of them.
    pub node_bits: Option<u8>,
    /// For how long an address that a pod gave back is given to no other one.
    pub cool_down: Duration,
}

impl AddressSpec {
    /// The bits of a node's range that kube-controller-manager has by default.
    pub const NODE_BITS: u8 = 24;
    /// The range of a cluster that does not say it.
    pub const ANY: &str = "10.244.0.0/16, and on from there if nodes need more";
    /// A node's range has as many bits at least.
    const NODE_BITS_MIN: u8 = 10;

    /// The bits of a node's range with two addresses for each of that many pods, the usual ones at
    /// most.
    fn bits_for(pods: u32) -> u8 {
        let wanted = u64::from(pods) * 2;
        let fits = |bits: &u8| 1_u64 << (32 - bits) >= wanted;
        let mut all = (Self::NODE_BITS_MIN..=Self::NODE_BITS).rev();
        all.find(fits).unwrap_or(Self::NODE_BITS_MIN)
    }

    /// As kubeadm and the plugin host-local have it.
    pub const DEFAULT: Self = Self { cluster: None, node_bits: None, cool_down: Duration::ZERO };
}

impl super::Model {
    /// How many bits a node's range has in common.
    #[must_use]
    pub fn node_range_bits(&self) -> u8 {
        let AddressSpec { cluster, node_bits, .. } = self.addresses;
        node_bits.unwrap_or_else(|| {
            if cluster.is_some() {
                return AddressSpec::NODE_BITS;
            }
            let offers = self.cloud.groups.iter().flat_map(|group| &group.offers);
            let specs = self.nodes.iter().chain(offers.map(|offer| &offer.node));
            AddressSpec::bits_for(specs.map(|spec| spec.pods_max).max().unwrap_or(0))
        })
    }
}

/// Images that cannot be pulled for a while: a tag that is not there, a registry that is down (rule
/// N63).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// An image as pods name it, or how it begins if `*` follows.
    pub images: String,
    /// From when on pulls fail.
    pub from: SimTime,
    /// From when on they succeed again.
    pub until: SimTime,
}

impl Outage {
    /// Whether an image is never there.
    #[must_use]
    pub fn is_for_good(&self, image: &str) -> bool {
        self.until == SimTime::MAX && self.hits(image, self.from)
    }

    /// Whether the pull of an image that begins at an instant fails.
    #[must_use]
    pub fn hits(&self, image: &str, at: SimTime) -> bool {
        let is_named = match self.images.strip_suffix('*') {
            Some(start) => image.starts_with(start),
            None => image == self.images,
        };
        is_named && self.from <= at && at < self.until
    }
}

/// The load balancer in front of Services of that type (rules N162, N190 to N192).
#[derive(Clone, Debug, PartialEq)]
pub struct BalancerSpec {
    /// From one health check of a node to the next.
    pub interval: Duration,
    /// After so many failed ones in a row a node gets no new connections.
    pub unhealthy: u32,
    /// After so many good ones in a row it gets them again.
    pub healthy: u32,
    /// How long a target that has left still gets new connections, in seconds.
    pub deregister: Distribution,
    /// What it sends to.
    pub targets: Targets,
    /// Pods: how long their registration takes, in seconds.
    pub register: Distribution,
}

/// What a load balancer sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// A port of each node, behind which a kube-proxy chooses.
    Nodes,
    /// The pods themselves.
    Pods,
}

impl BalancerSpec {
    /// How many checks in a row turn a target to healthy, or to unhealthy.
    #[must_use]
    pub const fn wanted(&self, to_healthy: bool) -> u32 {
        if to_healthy { self.healthy } else { self.unhealthy }
    }

    /// 3 checks of 30 s each way (rule N190, a network load balancer of one cloud).
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            interval: Duration::secs(30),
            unhealthy: 3,
            healthy: 3,
            deregister: Distribution::Constant(0.0),
            targets: Targets::Nodes,
            register: Distribution::Constant(0.0),
        }
    }

    /// The same with pods as targets: registered within some seconds (an assumption), deregistered
    /// in half a minute (rule N191, an application load balancer of one cloud).
    #[must_use]
    pub fn pods() -> Self {
        Self {
            deregister: Distribution::log_normal_p99(25.0, 65.0),
            targets: Targets::Pods,
            register: Distribution::log_normal_p99(2.0, 10.0),
            ..Self::plain()
        }
    }
}

/// Known regressions of the version: as it has them unless a scenario says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regressions {
    /// Exec probes end as soon as a pod is told to end (rule N138: 1.35.0 to 1.36.3 at least).
    pub cancelled_exec_probes: bool,
    /// A kubelet that is started anew reports its containers as not ready until they have been
    /// probed (rule N16: up to 1.34).
    pub unready_after_kubelet_restart: bool,
}

impl Regressions {
    /// As 1.36.3 is.
    pub const DEFAULT: Self =
        Self { cancelled_exec_probes: true, unready_after_kubelet_restart: false };
}

#[cfg(test)]
mod tests {
    use super::AddressSpec;

    #[test]
    fn a_node_has_two_addresses_for_each_of_its_pods() {
        let bits = [0, 110, 128, 250, 100_000, u32::MAX].map(AddressSpec::bits_for);
        assert_eq!(bits, [24, 24, 24, 23, 14, 10]);
    }
}
