//! `cloud.karpenter` becomes pools and what they can buy, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::cron::{Schedule, Zone};
use crate::base::{Duration, Interner, Money, Symbol};
use crate::manifest::Document;
use crate::model::{
    CapacityType, CloudSpec, ConsolidationPolicy, DisruptionQuota, DisruptionReason,
    InstanceTypeId, KarpenterSpec, KubeletSpec, Labels, NodeKeeps, NodeSpec, Offer, Operator,
    PoolSpec, ProxySpec, QuotaNodes, Requirement, Resource,
};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file_karpenter::{
    ConsolidationPolicyFile, KarpenterFile, MinValuesPolicyFile, NodePoolFile, OperatorFile,
    PreferencePolicyFile, QuotaFile, ReasonFile, RequirementFile,
};
use super::{node_pools, nodes, units};

/// Nodes expire after this long unless their pool says otherwise (rule A218).
const EXPIRES: Duration = Duration::hours(720);

/// What `cloud.karpenter` becomes.
pub(super) fn lower(
    file: &Spanned<KarpenterFile>,
    (cloud, documents): (&CloudSpec, &[Document]),
    names: &mut Interner,
    found: &mut Diagnostics,
) -> KarpenterSpec {
    let written: Vec<&Document> = documents.iter().filter(|d| node_pools::is_one(d)).collect();
    if file.value.node_pools.is_empty() && written.is_empty() {
        let error = Diagnostic::error(file.span, "Karpenter without a pool buys nothing");
        found.push(error.with_hint("nodePools: [{ name: default }]"));
    }
    let mut pools: BTreeMap<&str, PoolSpec> = BTreeMap::new();
    let written: Vec<NodePoolFile> =
        written.into_iter().filter_map(|document| node_pools::read(document, found)).collect();
    for entry in file.value.node_pools.iter().map(|entry| &entry.value).chain(&written) {
        let name = &entry.name;
        if !nodes::is_dns_name(&name.value) {
            let message = format!("\"{}\" cannot name a pool", name.value);
            let hint = "lower-case letters, digits and -, as in default";
            found.push(Diagnostic::error(name.span, message).with_hint(hint));
            continue;
        }
        if pools.insert(&name.value, pool(entry, names, found)).is_some() {
            found.error(name.span, format!("a second pool \"{}\"", name.value));
        }
    }
    let offers = offers(cloud, names);
    let pools = pools.into_values().collect();
    let spec = KarpenterSpec::new(pools, offers, names);
    KarpenterSpec {
        ignores_preferences: file.value.preference_policy == PreferencePolicyFile::Ignore,
        relaxes_min_values: file.value.min_values_policy == MinValuesPolicyFile::BestEffort,
        spot_to_spot: file.value.spot_to_spot_consolidation,
        ..spec
    }
}

/// What a pool becomes.
pub(super) fn pool(file: &NodePoolFile, names: &mut Interner, found: &mut Diagnostics) -> PoolSpec {
    nodes::check_labels(&file.name.value, &file.labels, &file.taints, found);
    let labels = file.labels.iter().map(|(k, v)| (names.intern(k), names.intern(v)));
    let labels = Labels::new(labels.collect::<Vec<_>>());
    let asked = file.requirements.iter().map(|asked| requirement(asked, names, found));
    let requirements = asked.collect();
    let limits = [
        file.limits.cpu.map(|cpu| (Resource::Cpu, cpu.0.0)),
        file.limits.memory.map(|memory| (Resource::Memory, memory.0.0)),
        file.limits.nodes.map(|n| (Resource::Scalar(names.intern("nodes")), i64::from(n))),
    ];
    let tenth =
        DisruptionQuota { nodes: QuotaNodes::Percent(10), reasons: Vec::new(), window: None };
    let budgets = file.budgets.as_ref().map_or_else(
        || vec![tenth],
        |budgets| budgets.iter().map(|budget| quota(budget, found)).collect(),
    );
    PoolSpec {
        name: names.intern(&file.name.value),
        weight: file.weight,
        requirements,
        labels,
        taints: file.taints.iter().map(|taint| nodes::taint(&taint.value, names)).collect(),
        limits: limits.into_iter().flatten().collect(),
        policy: match file.consolidation_policy {
            ConsolidationPolicyFile::WhenEmpty => ConsolidationPolicy::WhenEmpty,
            ConsolidationPolicyFile::WhenEmptyOrUnderutilized => {
                ConsolidationPolicy::WhenEmptyOrUnderutilized
            }
            ConsolidationPolicyFile::Balanced => ConsolidationPolicy::Balanced,
        },
        consolidate_after: span(file.consolidate_after.as_ref(), Duration::ZERO, found),
        budgets,
        expire_after: span(file.expire_after.as_ref(), EXPIRES, found),
        termination_grace: file.termination_grace_period.map(|grace| grace.0),
    }
}

/// A span of time, or `None` for `Never`.
fn span(
    file: Option<&Spanned<String>>,
    usual: Duration,
    found: &mut Diagnostics,
) -> Option<Duration> {
    let Some(file) = file else { return Some(usual) };
    if file.value == "Never" {
        return None;
    }
    match units::span(&file.value) {
        Ok(span) => Some(span),
        Err(problem) => {
            let (message, hint) = problem.split_once('\n').unwrap_or((&problem, "as in 30s"));
            let error = Diagnostic::error(file.span, message.to_owned());
            found.push(error.with_hint(format!("{hint}, or Never")));
            None
        }
    }
}

fn requirement(
    file: &Spanned<RequirementFile>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> (Requirement, Option<usize>) {
    let asked = &file.value;
    let wrong = match asked.operator {
        OperatorFile::In | OperatorFile::NotIn => asked.values.is_empty(),
        OperatorFile::Exists | OperatorFile::DoesNotExist => !asked.values.is_empty(),
        OperatorFile::Gt | OperatorFile::Lt => {
            asked.values.len() != 1 || asked.values[0].parse::<u32>().is_err()
        }
    };
    if wrong {
        let message = format!("{:?} of \"{}\" does not fit its values", asked.operator, asked.key);
        let hint = "In and NotIn have values, Gt and Lt one number, Exists and DoesNotExist none";
        found.push(Diagnostic::error(file.span, message).with_hint(hint));
    }
    let operator = match asked.operator {
        OperatorFile::In => Operator::In,
        OperatorFile::NotIn => Operator::NotIn,
        OperatorFile::Exists => Operator::Exists,
        OperatorFile::DoesNotExist => Operator::DoesNotExist,
        OperatorFile::Gt => Operator::Gt,
        OperatorFile::Lt => Operator::Lt,
    };
    let values = asked.values.iter().map(|value| names.intern(value)).collect();
    let key = names.intern(&asked.key);
    let min_values = asked.min_values.and_then(|count| usize::try_from(count).ok());
    (Requirement { key, operator, values }, min_values)
}

fn quota(file: &Spanned<QuotaFile>, found: &mut Diagnostics) -> DisruptionQuota {
    let quota = &file.value;
    let reason = |reason: &ReasonFile| match reason {
        ReasonFile::Empty => DisruptionReason::Empty,
        ReasonFile::Drifted => DisruptionReason::Drifted,
        ReasonFile::Underutilized => DisruptionReason::Underutilized,
    };
    let window = match (&quota.schedule, quota.duration) {
        (None, None) => None,
        (Some(schedule), Some(length)) => match Schedule::parse(&schedule.value, &Zone::UTC) {
            Ok(parsed) => Some((parsed, length.0)),
            Err(problem) => {
                found.error(schedule.span, problem.to_string());
                None
            }
        },
        _ => {
            found.error(file.span, "a window has both `schedule` and `duration`");
            None
        }
    };
    let reasons = quota.reasons.iter().map(reason).collect();
    DisruptionQuota { nodes: quota.nodes.0, reasons, window }
}

/// Each type in each zone in each way that has a price, or on demand if none has one.
fn offers(cloud: &CloudSpec, names: &mut Interner) -> Vec<Arc<Offer>> {
    let zones: Vec<Option<Symbol>> = match cloud.zones.is_empty() {
        true => vec![None],
        false => cloud.zones.iter().copied().map(Some).collect(),
    };
    let kinds: Vec<InstanceTypeId> = cloud.types.ids().collect();
    let is_priced = kinds.iter().any(|kind| cloud.types[*kind].price.is_some());
    let mut all = Vec::new();
    for kind in kinds {
        for zone in &zones {
            for capacity in [CapacityType::OnDemand, CapacityType::Spot] {
                let price = cloud.types[kind].price_of(capacity);
                if price.is_some() || (!is_priced && capacity == CapacityType::OnDemand) {
                    let price = price.unwrap_or(Money(0));
                    all.push(Arc::new(offer(kind, (*zone, capacity, price), cloud, names)));
                }
            }
        }
    }
    all
}

fn offer(
    kind: InstanceTypeId,
    (zone, capacity, price): (Option<Symbol>, CapacityType, Money),
    cloud: &CloudSpec,
    names: &mut Interner,
) -> Offer {
    let of = &cloud.types[kind];
    let mut labels: BTreeMap<Symbol, Symbol> = of.labels.iter().collect();
    let way = names.intern(capacity.as_str());
    let own = [
        ("kubernetes.io/os", names.intern("linux")),
        ("kubernetes.io/arch", of.arch),
        ("node.kubernetes.io/instance-type", of.name),
        ("karpenter.sh/capacity-type", way),
        ("seatrial/capacity", way),
    ];
    labels.extend(own.map(|(key, value)| (names.intern(key), value)));
    labels.extend(zone.map(|zone| (names.intern("topology.kubernetes.io/zone"), zone)));
    let node = NodeSpec {
        name: of.name,
        pool: of.name,
        labels: Labels::new(labels),
        taints: Vec::new(),
        unschedulable: false,
        allocatable: of.allocatable.clone(),
        pods_max: of.pods_max,
        price_per_hour: price,
        images: Arc::default(),
        zone,
        proxy: ProxySpec::DEFAULT,
        kubelet: KubeletSpec {
            disk: super::cloud::whole_disk(of.capacity.ephemeral_storage),
            ..KubeletSpec::DEFAULT
        },
        keeps: NodeKeeps::default(),
    };
    let has = of.capacity.clone();
    Offer { kind, zone, capacity, has, node, startup_taints: Vec::new() }
}
