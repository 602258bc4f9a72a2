//! Labels that Karpenter knows by name.

use std::collections::BTreeSet;

use crate::base::{Interner, Symbol};

/// Symbols of the labels and values that decisions read.
#[derive(Clone, Debug)]
pub struct Words {
    /// `kubernetes.io/hostname`.
    pub hostname: Symbol,
    /// `topology.kubernetes.io/zone`.
    pub zone: Symbol,
    /// `karpenter.sh/capacity-type`.
    pub capacity_type: Symbol,
    /// `node.kubernetes.io/instance-type`.
    pub instance_type: Symbol,
    /// `karpenter.sh/nodepool`.
    pub node_pool: Symbol,
    /// `reserved`.
    pub reserved: Symbol,
    /// `spot`.
    pub spot: Symbol,
    /// `on-demand`.
    pub on_demand: Symbol,
    /// The taint `karpenter.sh/disrupted`.
    pub disrupted: Symbol,
    /// The empty text.
    pub nothing: Symbol,
    /// The resource `pods`.
    pub pods: Symbol,
    /// The resource `nodes`, which only limits name.
    pub nodes: Symbol,
    well_known: BTreeSet<Symbol>,
    old: Vec<(Symbol, Symbol)>,
}

impl Words {
    /// All of them; `extra` are labels that the cloud's instance types bring besides Kubernetes'.
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1 pkg/apis/v1/labels.go `WellKnownLabels`,
    /// `NormalizedLabels`.
    #[must_use]
    pub fn new(extra: &[&str], names: &mut Interner) -> Self {
        let zone = names.intern("topology.kubernetes.io/zone");
        let region = names.intern("topology.kubernetes.io/region");
        let instance_type = names.intern("node.kubernetes.io/instance-type");
        let (arch, os) = (names.intern("kubernetes.io/arch"), names.intern("kubernetes.io/os"));
        let capacity_type = names.intern("karpenter.sh/capacity-type");
        let node_pool = names.intern("karpenter.sh/nodepool");
        let build = names.intern("node.kubernetes.io/windows-build");
        let old = [
            ("failure-domain.beta.kubernetes.io/zone", zone),
            ("failure-domain.beta.kubernetes.io/region", region),
            ("beta.kubernetes.io/arch", arch),
            ("beta.kubernetes.io/os", os),
            ("beta.kubernetes.io/instance-type", instance_type),
        ];
        let known = [zone, region, instance_type, arch, os, capacity_type, node_pool, build];
        Self {
            hostname: names.intern("kubernetes.io/hostname"),
            zone,
            capacity_type,
            instance_type,
            node_pool,
            reserved: names.intern("reserved"),
            spot: names.intern("spot"),
            on_demand: names.intern("on-demand"),
            disrupted: names.intern("karpenter.sh/disrupted"),
            nothing: names.intern(""),
            pods: names.intern("pods"),
            nodes: names.intern("nodes"),
            old: old.map(|(name, now)| (names.intern(name), now)).to_vec(),
            well_known: known.into_iter().chain(extra.iter().map(|n| names.intern(n))).collect(),
        }
    }

    /// Whether instance types bring the label.
    #[must_use]
    pub fn is_well_known(&self, key: Symbol) -> bool {
        self.well_known.contains(&key)
    }

    /// The label under its present name.
    #[must_use]
    pub fn normal(&self, key: Symbol) -> Symbol {
        self.old.iter().find(|(old, _)| *old == key).map_or(key, |(_, now)| *now)
    }
}
