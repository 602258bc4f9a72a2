//! What a pod asks of its fellows: spreading over domains and affinity between pods.

use crate::base::Symbol;

use super::labels::Selector;

/// A topology spread constraint, defaults filled (rules S103 to S109).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpreadConstraint {
    /// How much fuller the domain may become than the emptiest.
    pub max_skew: i32,
    /// The label whose values are the domains.
    pub topology_key: Symbol,
    /// `DoNotSchedule` (else `ScheduleAnyway`).
    pub is_hard: bool,
    /// Which pods are counted; `None` (a null selector) counts none. The keys of `matchLabelKeys`
    /// that the pod has are merged in (rule S106).
    pub selector: Option<Selector>,
    /// `minDomains`; 1 if absent.
    pub min_domains: i32,
    /// `nodeAffinityPolicy: Honor`, the default (rule S107).
    pub honors_affinity: bool,
    /// `nodeTaintsPolicy: Honor`; the default is to ignore them (rule S107).
    pub honors_taints: bool,
}

/// Affinity and anti-affinity between pods, each list in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodAffinity {
    /// Required: all must hold.
    pub required: Vec<PodAffinityTerm>,
    /// Preferred, with weights.
    pub preferred: Vec<(i32, PodAffinityTerm)>,
    /// Required anti-affinity.
    pub anti_required: Vec<PodAffinityTerm>,
    /// Preferred anti-affinity, with weights.
    pub anti_preferred: Vec<(i32, PodAffinityTerm)>,
}

impl PodAffinity {
    /// Whether nothing is asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.required.is_empty()
            && self.preferred.is_empty()
            && self.anti_required.is_empty()
            && self.anti_preferred.is_empty()
    }
}

/// One term: pods of some namespaces with some labels, in one domain (rule S116).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodAffinityTerm {
    /// Namespaces, sorted by symbol, as listed; with no list and no selector the pod's own stands
    /// here.
    pub namespaces: Vec<Symbol>,
    /// Namespaces by their labels: `None` selects none, an empty one all.
    pub namespace_selector: Option<Selector>,
    /// Which pods; `None` matches none. `matchLabelKeys` and `mismatchLabelKeys` are merged in.
    pub selector: Option<Selector>,
    /// The label whose values are the domains.
    pub topology_key: Symbol,
}
