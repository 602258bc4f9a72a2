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
    coming: [Symbol; 3],
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
        Self::of(extra, |name| names.intern(name))
    }

    /// Those of a model that declares Karpenter: it knows all of them.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn known(names: &Interner) -> Self {
        Self::of(&[], |name| names.get(name).expect("a model with Karpenter knows its words"))
    }

    /// Instance types bring this label too.
    pub fn learn(&mut self, key: Symbol) {
        self.well_known.insert(key);
    }

    fn of(extra: &[&str], mut symbol: impl FnMut(&str) -> Symbol) -> Self {
        let zone = symbol("topology.kubernetes.io/zone");
        let region = symbol("topology.kubernetes.io/region");
        let instance_type = symbol("node.kubernetes.io/instance-type");
        let (arch, os) = (symbol("kubernetes.io/arch"), symbol("kubernetes.io/os"));
        let capacity_type = symbol("karpenter.sh/capacity-type");
        let node_pool = symbol("karpenter.sh/nodepool");
        let build = symbol("node.kubernetes.io/windows-build");
        let old = [
            ("failure-domain.beta.kubernetes.io/zone", zone),
            ("failure-domain.beta.kubernetes.io/region", region),
            ("beta.kubernetes.io/arch", arch),
            ("beta.kubernetes.io/os", os),
            ("beta.kubernetes.io/instance-type", instance_type),
        ];
        let known = [zone, region, instance_type, arch, os, capacity_type, node_pool, build];
        Self {
            hostname: symbol("kubernetes.io/hostname"),
            zone,
            capacity_type,
            instance_type,
            node_pool,
            reserved: symbol("reserved"),
            spot: symbol("spot"),
            on_demand: symbol("on-demand"),
            disrupted: symbol("karpenter.sh/disrupted"),
            nothing: symbol(""),
            pods: symbol("pods"),
            nodes: symbol("nodes"),
            coming: [
                symbol("node.kubernetes.io/not-ready"),
                symbol("node.kubernetes.io/unreachable"),
                symbol("node.cloudprovider.kubernetes.io/uninitialized"),
            ],
            old: old.map(|(name, now)| (symbol(name), now)).to_vec(),
            well_known: known.into_iter().chain(extra.iter().map(|n| symbol(n))).collect(),
        }
    }

    /// Whether instance types bring the label.
    #[must_use]
    pub fn is_well_known(&self, key: Symbol) -> bool {
        self.well_known.contains(&key)
    }

    /// Whether the taint goes by itself once a new node is up.
    #[must_use]
    pub fn is_of_coming(&self, key: Symbol) -> bool {
        self.coming.contains(&key)
    }

    /// The label under its present name.
    #[must_use]
    pub fn normal(&self, key: Symbol) -> Symbol {
        self.old.iter().find(|(old, _)| *old == key).map_or(key, |(_, now)| *now)
    }
}
