//! The cloud as it is declared: types of machines, node groups, how long a machine takes to come.
//!
//! Nothing here is Kubernetes': a cloud's API and its habits are modelled as far as autoscalers,
//! money and the life of nodes need it (rules A126, A156, A157, A237 to A245).

use std::sync::Arc;

use crate::base::{Bytes, Distribution, Duration, IdVec, Money, Ref, Symbol, id_type};

use super::labels::Labels;
use super::node::{NodeSpec, Taint};
use super::resources::Resources;

id_type!(InstanceTypeId, "A type of machine, by its place in the catalogue.");
id_type!(GroupId, "A node group, by its place in order of names.");
id_type!(InstanceId, "A slot in the table of machines of the cloud; used again.");

/// A machine that may be gone.
pub type InstanceRef = Ref<InstanceId>;

/// All of the cloud that is declared.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudSpec {
    /// The catalogue, in order of names.
    pub types: IdVec<InstanceTypeId, InstanceType>,
    /// Node groups, in order of names.
    pub groups: IdVec<GroupId, GroupSpec>,
    /// Zones in which machines can be had, in the order written.
    pub zones: Vec<Symbol>,
    /// How long a machine takes that no group asks for.
    pub boot: BootTimes,
    /// Every machine is paid for at least this long.
    pub billed_min: Duration,
    /// After a launch that failed a group tries again so much later.
    pub retry: Duration,
    /// From the notice of an interruption to the end of a spot machine.
    pub notice: Duration,
    /// Karpenter, if it runs.
    pub karpenter: Option<Arc<super::KarpenterSpec>>,
    /// Cluster Autoscaler, if it runs.
    pub cluster_autoscaler: Option<Arc<super::ClusterAutoscalerSpec>>,
}

impl Default for CloudSpec {
    fn default() -> Self {
        Self {
            types: IdVec::new(),
            groups: IdVec::new(),
            zones: Vec::new(),
            boot: BootTimes::ideal(),
            billed_min: Duration::secs(60),
            retry: Duration::secs(60),
            notice: Duration::secs(120),
            karpenter: None,
            cluster_autoscaler: None,
        }
    }
}

/// A type of machine.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceType {
    /// Its name: label `node.kubernetes.io/instance-type`.
    pub name: Symbol,
    /// Its processor: label `kubernetes.io/arch`.
    pub arch: Symbol,
    /// What the machine has.
    pub capacity: Resources,
    /// What pods can have of it: the capacity without what is kept for the system.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub pods_max: u32,
    /// An hour of it on demand, in USD.
    pub price: Option<Money>,
    /// An hour of it as a spot machine, in USD.
    pub spot_price: Option<Money>,
    /// More labels that its nodes have.
    pub labels: Labels,
}

impl InstanceType {
    /// What an hour of it costs; `None`: nobody has said so.
    #[must_use]
    pub const fn price_of(&self, capacity: CapacityType) -> Option<Money> {
        match capacity {
            CapacityType::OnDemand => self.price,
            CapacityType::Spot => self.spot_price,
        }
    }
}

/// How a machine is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapacityType {
    /// At the list's price, for as long as one wants.
    #[default]
    OnDemand,
    /// Cheaper, and the cloud may want it back.
    Spot,
}

impl CapacityType {
    /// Its name in labels and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

/// A node group: equal machines whose number is wanted to be the target size.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Its name: the pool of its nodes, which are called `<name>-0`, `<name>-1` and so on.
    pub name: Symbol,
    /// An autoscaler goes no lower.
    pub min: u32,
    /// An autoscaler goes no higher.
    pub max: u32,
    /// How many machines there are at the start.
    pub size: u32,
    /// What can be had, zone by zone and in each the types in order of preference; the first one
    /// is what an autoscaler takes for all.
    pub offers: Vec<Arc<Offer>>,
    /// How long its machines take.
    pub boot: BootTimes,
    /// What goes wrong.
    pub failures: Failures,
    /// How long a spot machine lives until the notice of its interruption, in seconds; `None`: it
    /// is not interrupted.
    pub interrupted_after: Option<Distribution>,
    /// What happens on its nodes at the notice.
    pub on_notice: OnNotice,
    /// After this long a machine that is down is replaced; `None`: never.
    pub heal: Option<Duration>,
}

/// A kind of machine that can be had somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its type.
    pub kind: InstanceTypeId,
    /// Where.
    pub zone: Option<Symbol>,
    /// How it is paid for.
    pub capacity: CapacityType,
    /// `status.capacity` of its node.
    pub has: Resources,
    /// Its node but for name and host name, the price among it. The name is the pool's.
    pub node: NodeSpec,
    /// Taints by which it is known that the node is still being set up; they do not go by
    /// themselves.
    pub startup_taints: Vec<Taint>,
}

/// What happens on a node whose machine is about to be interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNotice {
    /// It is cordoned and drained, as a termination handler does.
    #[default]
    Drain,
    /// Nothing: its pods die with it.
    Nothing,
}

/// What goes wrong with a machine, each a part of the launches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Failures {
    /// The cloud has none left.
    pub out_of_resources: f64,
    /// Another error of the cloud.
    pub other: f64,
    /// The machine runs and is paid for, its node never appears.
    pub never_registers: f64,
}

/// How long the steps of a machine's life take, in seconds. One draw a machine decides all steps
/// of its coming: a machine that is slow in one is slow in all.
#[derive(Clone, Debug, PartialEq)]
pub struct BootTimes {
    /// The name of the profile, for the report; `custom` if a law was given.
    pub profile: &'static str,
    /// From the request until the machine runs: from here on it is paid for.
    pub create: Distribution,
    /// From there until its Node is registered.
    pub register: Distribution,
    /// From there until the Node is Ready.
    pub ready: Distribution,
    /// From the request to delete it until the machine is off: up to here it is paid for.
    pub delete: Distribution,
}

impl BootTimes {
    /// Nothing takes time.
    #[must_use]
    pub fn ideal() -> Self {
        let zero = Distribution::Constant(0.0);
        let (create, register, ready) = (zero.clone(), zero.clone(), zero.clone());
        Self { profile: "ideal", create, register, ready, delete: zero }
    }

    /// A profile by name: a log-normal total from request to Ready (rule A241), a fifth of it
    /// until the machine runs, a quarter of it registered but not Ready (rule A242).
    #[must_use]
    pub fn profile(name: &str) -> Option<Self> {
        if name == "ideal" {
            return Some(Self::ideal());
        }
        let (profile, median, sigma) =
            Self::PROFILES.into_iter().find(|(profile, ..)| *profile == name)?;
        let total = Distribution::LogNormal { median, sigma };
        Some(Self {
            profile,
            create: total.scaled(0.2),
            register: total.scaled(0.55),
            ready: total.scaled(0.25),
            delete: Distribution::log_normal_p99(30.0, 90.0),
        })
    }

    /// The profiles besides `ideal`: name, median in seconds, and σ of the total (rule A241).
    pub const PROFILES: [(&'static str, f64, f64); 6] = [
        ("eks-karpenter", 50.0, 0.390),
        ("eks-asg", 110.0, 0.474),
        ("gke", 90.0, 0.515),
        ("aks-vmss", 210.0, 0.421),
        ("aks-nap", 80.0, 0.421),
        ("gpu", 480.0, 0.340),
    ];
}

/// What a node keeps for the system when nobody says it: CPU by its cores, memory by its pods.
///
/// CPU: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the others;
/// memory: 255 Mi and 11 Mi a pod, and 100 Mi below which pods are evicted. These are the published
/// formulas of EKS' and GKE's images.
#[must_use]
pub fn kept_for_the_system(capacity: &Resources, pods_max: u32) -> Resources {
    let cpu = capacity.cpu.0;
    let part = |from: i64, to: i64, hundredths_of_percent: i64| {
        (cpu.min(to) - from).max(0) * hundredths_of_percent / 10_000
    };
    let cpu = part(0, 1000, 600)
        + part(1000, 2000, 100)
        + part(2000, 4000, 50)
        + part(4000, i64::MAX, 25);
    let mut kept = Resources::default();
    kept.cpu.0 = cpu;
    kept.memory = Bytes::mib(255 + 11 * i64::from(pods_max) + 100);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_a241_profiles_have_their_medians() {
        // A241: medians of 50 to 480 s and 95th percentiles of 95 to 840 s
        let p95 = [95.0, 240.0, 210.0, 420.0, 160.0, 840.0];
        for ((name, median, _), p95) in BootTimes::PROFILES.into_iter().zip(p95) {
            let boot = BootTimes::profile(name).unwrap();
            let steps = [&boot.create, &boot.register, &boot.ready];
            let total = |p: f64| steps.iter().map(|law| law.quantile(p)).sum::<f64>();
            assert!((total(0.5) / median - 1.0).abs() < 1e-9, "{name}");
            assert!((total(0.95) / p95 - 1.0).abs() < 0.02, "{name}: {}", total(0.95));
        }
    }

    #[test]
    fn a_node_keeps_something_for_itself() {
        let mut capacity = Resources::default();
        (capacity.cpu.0, capacity.memory) = (4_000, Bytes::gib(16));
        let kept = kept_for_the_system(&capacity, 58);
        // 60 + 10 + 10 millicores; 255 + 638 + 100 Mi
        assert_eq!((kept.cpu.0, kept.memory), (80, Bytes::mib(993)));
    }
}
