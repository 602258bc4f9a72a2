//! The VerticalPodAutoscaler as it is declared.

use super::{ObjectName, Workload};
use crate::base::Symbol;

/// Amounts of the two resources that a VerticalPodAutoscaler handles; `None`: none is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPU, in millicores.
    pub cpu: Option<i64>,
    /// Memory, in bytes.
    pub memory: Option<i64>,
}

/// A VerticalPodAutoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct VpaSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// Whose pods it is for; `None`: of a kind that is not there.
    pub target: Option<Workload>,
    /// `updatePolicy.updateMode`.
    pub mode: VpaMode,
    /// `updatePolicy.minReplicas`; `None`: the updater's own (2).
    pub replicas_min: Option<u32>,
    /// `updatePolicy.evictionRequirements`: all must be met (rule A107).
    pub requirements: Vec<VpaRequirement>,
    /// `resourcePolicy.containerPolicies`.
    pub policies: Vec<VpaPolicy>,
    /// Containers whose CPU is rounded up to whole cores, by annotation (rule A99).
    pub whole_cores: Vec<Symbol>,
}

impl VpaSpec {
    /// The policy of a container: its own, else that of `*` (rules A98, A100).
    #[must_use]
    pub fn policy(&self, container: Symbol) -> Option<&VpaPolicy> {
        let own = self.policies.iter().find(|policy| policy.container == Some(container));
        own.or_else(|| self.policies.iter().rfind(|policy| policy.container.is_none()))
    }
}

/// What is done with a recommendation (rule A102).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VpaMode {
    /// Nothing.
    Off,
    /// New pods get it.
    Initial,
    /// And old pods are evicted for it (`Recreate`, `Auto`).
    Recreate,
    /// And old pods are resized, and evicted where that fails (`InPlaceOrRecreate`).
    InPlaceOrRecreate,
}

/// One of `evictionRequirements`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpaRequirement {
    /// It looks at CPU.
    pub cpu: bool,
    /// It looks at memory.
    pub memory: bool,
    /// Whether the target must be higher than the request (else lower).
    pub higher: bool,
}

/// What is allowed for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpaPolicy {
    /// Its name; `None`: all without a policy of their own (`*`).
    pub container: Option<Symbol>,
    /// `mode: Off`.
    pub is_off: bool,
    /// `minAllowed`.
    pub min: Amounts,
    /// `maxAllowed`.
    pub max: Amounts,
    /// `controlledResources` has CPU.
    pub cpu: bool,
    /// `controlledResources` has memory.
    pub memory: bool,
    /// `controlledValues` is `RequestsOnly`.
    pub requests_only: bool,
}
