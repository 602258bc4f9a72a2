//! `cloud.karpenter` of the scenario file as written: pools and flags.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::QuotaNodes;
use crate::tree::Spanned;

use super::file::TaintFile;
use super::units::{Cpu, Size};

/// Karpenter: it buys machines for pods that wait, and removes or replaces nodes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct KarpenterFile {
    /// Its NodePools; those of the manifests (`karpenter.sh/v1`) come to them.
    pub node_pools: Vec<Spanned<NodePoolFile>>,
    /// What becomes of preferences of pods; respected if absent.
    pub preference_policy: PreferencePolicyFile,
    /// What becomes of `minValues` that cannot be met; strict if absent.
    pub min_values_policy: MinValuesPolicyFile,
    /// Feature gate `SpotToSpotConsolidation`; off if absent.
    pub spot_to_spot_consolidation: bool,
}

/// `--preference-policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PreferencePolicyFile {
    /// They count as demands until they cannot be met.
    #[default]
    Respect,
    /// They are not looked at.
    Ignore,
}

/// `--min-values-policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum MinValuesPolicyFile {
    /// A machine without the choice is not bought.
    #[default]
    Strict,
    /// The choice is made as large as it can be.
    BestEffort,
}

/// A NodePool.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePoolFile {
    /// Its name: its nodes are called by it and a number.
    pub name: Spanned<String>,
    /// The heavier of two pools that suit is taken; 0 if absent.
    #[serde(default)]
    pub weight: i32,
    /// What its nodes must be, as in `spec.template.spec.requirements`.
    #[serde(default)]
    pub requirements: Vec<Spanned<RequirementFile>>,
    /// Labels of its nodes.
    #[serde(default)]
    pub labels: Spanned<BTreeMap<String, String>>,
    /// Taints of its nodes.
    #[serde(default)]
    pub taints: Vec<Spanned<TaintFile>>,
    /// How much its nodes may have together.
    #[serde(default)]
    pub limits: LimitsFile,
    /// When nodes are consolidated; WhenEmptyOrUnderutilized if absent.
    #[serde(default)]
    pub consolidation_policy: ConsolidationPolicyFile,
    /// A node is left alone for so long after a pod came or went, or `Never` consolidated; 0s if
    /// absent.
    pub consolidate_after: Option<Spanned<String>>,
    /// How many nodes may be disturbed at a time; one of `nodes: 10%` if absent.
    pub budgets: Option<Vec<Spanned<QuotaFile>>>,
    /// A node goes when it is so old, or `Never`; 720h if absent.
    pub expire_after: Option<Spanned<String>>,
    /// A node that is to go is gone after so long, whatever budgets and grace periods its pods
    /// have; it waits for them if absent.
    pub termination_grace_period: Option<super::units::Span>,
}

/// What is asked of a label.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequirementFile {
    /// The label.
    pub key: String,
    /// How its value is compared.
    pub operator: OperatorFile,
    /// With what.
    #[serde(default)]
    pub values: Vec<String>,
    /// So many values must be on offer.
    pub min_values: Option<u32>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OperatorFile {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// Any value.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// A number above the value.
    Gt,
    /// A number below the value.
    Lt,
}

/// Limits of a pool.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsFile {
    /// Cores.
    pub cpu: Option<Cpu>,
    /// Memory.
    pub memory: Option<Size>,
    /// Nodes.
    pub nodes: Option<u32>,
}

/// When nodes of a pool are consolidated.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub enum ConsolidationPolicyFile {
    /// Only empty ones.
    WhenEmpty,
    /// Those whose pods fit elsewhere, or on something cheaper.
    #[default]
    WhenEmptyOrUnderutilized,
    /// Likewise, when the saving is worth it.
    Balanced,
}

/// How many nodes may be disturbed at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct QuotaFile {
    /// A number, or a percentage of the pool's nodes.
    pub nodes: QuotaNodesFile,
    /// For which reasons it counts; for all if absent.
    #[serde(default)]
    pub reasons: Vec<ReasonFile>,
    /// When its window opens: cron, in UTC.
    pub schedule: Option<Spanned<String>>,
    /// How long the window is open.
    pub duration: Option<super::units::Span>,
}

/// Why a node is disturbed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum ReasonFile {
    /// It is empty.
    Empty,
    /// It is not what its pool asks for.
    Drifted,
    /// Its pods fit elsewhere, or on something cheaper.
    Underutilized,
}

/// A number of nodes or a percentage of them.
#[derive(Clone, Copy, Debug)]
pub struct QuotaNodesFile(pub QuotaNodes);

impl<'de> Deserialize<'de> for QuotaNodesFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodesVisitor)
    }
}

struct NodesVisitor;

impl Visitor<'_> for NodesVisitor {
    type Value = QuotaNodesFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of nodes such as 2, or a part of them such as 10%")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<QuotaNodesFile, E> {
        let wrong = |_| E::invalid_value(de::Unexpected::Str(text), &self);
        let nodes = match text.strip_suffix('%') {
            Some(part) => QuotaNodes::Percent(part.parse().map_err(wrong)?),
            None => QuotaNodes::Count(text.parse().map_err(wrong)?),
        };
        Ok(QuotaNodesFile(nodes))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<QuotaNodesFile, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<QuotaNodesFile, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for QuotaNodesFile {
    fn schema_name() -> Cow<'static, str> {
        "QuotaNodes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a number of nodes, or a percentage of them",
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9]+%?$",
        })
    }
}
