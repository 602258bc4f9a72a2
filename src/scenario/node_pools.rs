//! NodePools of Karpenter among the manifests.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::manifest::Document;
use crate::tree::{Diagnostic, Diagnostics, Spanned, from_value_in_part};

use super::file::TaintFile;
use super::file_karpenter::{
    ConsolidationPolicyFile, LimitsFile, NodePoolFile, QuotaFile, RequirementFile,
};
use super::units::Span;

/// Whether a document is one.
pub(super) fn is_one(document: &Document) -> bool {
    let group = document.api_version.value.split('/').next();
    group == Some("karpenter.sh") && document.kind.value == "NodePool"
}

/// Says of pools that nobody reads.
pub(super) fn warn_unread(documents: &[Document], found: &mut Diagnostics) {
    if let Some(first) = documents.iter().find(|document| is_one(document)) {
        let message = "kind NodePool is left out: Karpenter does not run here";
        let warning = Diagnostic::warning(first.kind.span, message);
        found.push(warning.with_hint("cloud: { karpenter: {} }"));
    }
}

/// `spec` of a NodePool (karpenter.sh/v1).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpecFile {
    template: TemplateFile,
    #[serde(default)]
    disruption: DisruptionFile,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default)]
    weight: i32,
    replicas: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    #[serde(default)]
    metadata: MetadataFile,
    spec: NodeFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetadataFile {
    labels: Spanned<BTreeMap<String, String>>,
    #[serde(rename = "annotations")]
    _annotations: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct NodeFile {
    requirements: Vec<Spanned<RequirementFile>>,
    taints: Vec<Spanned<TaintFile>>,
    startup_taints: Vec<Spanned<TaintFile>>,
    expire_after: Option<Spanned<String>>,
    termination_grace_period: Option<Span>,
    #[serde(rename = "nodeClassRef")]
    _node_class_ref: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct DisruptionFile {
    consolidation_policy: ConsolidationPolicyFile,
    consolidate_after: Option<Spanned<String>>,
    budgets: Option<Vec<Spanned<QuotaFile>>>,
}

/// The pool as the scenario would declare it.
pub(super) fn read(document: &Document, found: &mut Diagnostics) -> Option<NodePoolFile> {
    let Some(spec) = document.root().at(&["spec"]) else {
        let error = Diagnostic::error(document.span(), "a NodePool without `spec`");
        found.push(error.with_hint("spec: { template: { spec: { requirements: [] } } }"));
        return None;
    };
    let SpecFile { template, disruption, limits, weight, replicas } =
        from_value_in_part::<SpecFile>(spec, found)?.value;
    if let Some(replicas) = replicas {
        found.error(replicas.span, "a pool of a fixed size is not modelled");
    }
    let node = template.spec;
    if let Some(taint) = node.startup_taints.first() {
        let message = "startupTaints of a NodePool are left out: nothing here would take them off";
        found.warning(taint.span, message);
    }
    Some(NodePoolFile {
        name: document.name.clone(),
        weight,
        requirements: node.requirements,
        labels: template.metadata.labels,
        taints: node.taints,
        limits,
        consolidation_policy: disruption.consolidation_policy,
        consolidate_after: disruption.consolidate_after,
        budgets: disruption.budgets,
        expire_after: node.expire_after,
        termination_grace_period: node.termination_grace_period,
    })
}
