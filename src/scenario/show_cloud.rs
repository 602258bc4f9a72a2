//! Node groups after defaults: a part of `check --show`.

use serde_json::{Value, json};

use crate::base::Interner;
use crate::model::{
    AUTOSCALER_FLAGS, BootTimes, CloudSpec, ClusterAutoscalerFlags, GroupSpec, KarpenterSpec,
};

use super::show::{show_law, show_node};

/// The node groups; null without any.
pub(super) fn show(cloud: &CloudSpec, names: &Interner) -> Value {
    if cloud.groups.is_empty() && cloud.karpenter.is_none() {
        return Value::Null;
    }
    let groups: Vec<Value> =
        cloud.groups.iter().map(|group| show_group(group, cloud, names)).collect();
    json!({
        "minimumBilling": cloud.billed_min.go_text(),
        "retry": cloud.retry.go_text(),
        "notice": cloud.notice.go_text(),
        "nodeGroups": groups,
        "karpenter": cloud.karpenter.as_ref().map(|own| show_karpenter(own, names)),
        "clusterAutoscaler": cloud.cluster_autoscaler.as_ref().map(|own| show_flags(&own.flags)),
    })
}

fn show_flags(flags: &ClusterAutoscalerFlags) -> Value {
    let known = AUTOSCALER_FLAGS.iter().filter(|flag| !flag.is_dead());
    let mut all: serde_json::Map<String, Value> =
        known.map(|flag| (flag.name.to_owned(), flags.text(flag).into())).collect();
    if !flags.priorities.is_empty() {
        all.insert("priorities".to_owned(), json!(flags.priorities));
    }
    all.into()
}

fn show_karpenter(own: &KarpenterSpec, names: &Interner) -> Value {
    let pools = own.pools.iter().map(|pool| {
        json!({
            "name": names.resolve(pool.name),
            "weight": pool.weight,
            "requirements": pool.requirements.iter().map(|(asked, least)| json!({
                "key": names.resolve(asked.key),
                "operator": format!("{:?}", asked.operator),
                "values": asked.values.iter().map(|v| names.resolve(*v)).collect::<Vec<_>>(),
                "minValues": least,
            })).collect::<Value>(),
            "consolidationPolicy": format!("{:?}", pool.policy),
            "consolidateAfter": pool.consolidate_after.map(crate::base::Duration::go_text),
            "expireAfter": pool.expire_after.map(crate::base::Duration::go_text),
            "terminationGracePeriod":
                pool.termination_grace.map(crate::base::Duration::go_text),
        })
    });
    json!({ "nodePools": pools.collect::<Value>(), "offers": own.offers.len() })
}

fn show_group(group: &GroupSpec, cloud: &CloudSpec, names: &Interner) -> Value {
    let mut zones: Vec<&str> = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    for offer in &group.offers {
        let kind = names.resolve(cloud.types[offer.kind].name);
        zones.extend(offer.zone.map(|zone| names.resolve(zone)));
        kinds.push(kind);
    }
    for list in [&mut zones, &mut kinds] {
        let mut seen = std::collections::BTreeSet::new();
        list.retain(|name| seen.insert(*name));
    }
    let first = group.offers.first();
    json!({
        "name": names.resolve(group.name),
        "instanceTypes": kinds,
        "min": group.min,
        "max": group.max,
        "size": group.size,
        "zones": zones,
        "capacity": first.map(|offer| offer.capacity.as_str()),
        "node": first.map(|offer| show_node(&offer.node, names)),
        "boot": show_boot(&group.boot),
        "failures": {
            "outOfResources": group.failures.out_of_resources,
            "other": group.failures.other,
            "neverRegisters": group.failures.never_registers,
        },
        "interruptedAfter": group.interrupted_after.as_ref().map(show_law),
        "onNotice": match group.on_notice {
            crate::model::OnNotice::Drain => "drain",
            crate::model::OnNotice::Nothing => "nothing",
        },
        "replaceAfter": group.heal.map(crate::base::Duration::go_text),
    })
}

fn show_boot(boot: &BootTimes) -> Value {
    json!({
        "profile": boot.profile,
        "create": show_law(&boot.create),
        "register": show_law(&boot.register),
        "ready": show_law(&boot.ready),
        "delete": show_law(&boot.delete),
    })
}
