//! `cloud.clusterAutoscaler` becomes flags, checked.

use crate::base::{Interner, Pattern};
use crate::model::{
    AUTOSCALER_FLAGS, AutoscalerFlag, ClusterAutoscalerFlags, ClusterAutoscalerSpec, Expander,
    GroupSpec,
};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file_cluster_autoscaler::{ClusterAutoscalerFile, FlagFile};

/// What `cloud.clusterAutoscaler` becomes; `is_priced`: whether machines have prices.
pub(super) fn lower(
    file: &Spanned<ClusterAutoscalerFile>,
    (groups, is_priced): (&[GroupSpec], bool),
    names: &mut Interner,
    found: &mut Diagnostics,
) -> ClusterAutoscalerSpec {
    if groups.is_empty() {
        let error = Diagnostic::error(file.span, "Cluster Autoscaler has no group of nodes");
        let hint = "nodeGroups: [{ name: workers, instanceTypes: [m.xlarge], min: 1, max: 10 }]";
        found.push(error.with_hint(hint));
    }
    let mut flags = ClusterAutoscalerFlags::default();
    for flag in &AUTOSCALER_FLAGS {
        if let Some(value) = file.value.flags.get(flag.name) {
            set(flag, value, &mut flags, found);
        }
    }
    priorities(&file.value, &mut flags, found);
    check(&file.value, &flags, is_priced, found);
    ClusterAutoscalerSpec::new(flags, groups.iter(), names)
}

fn set(
    flag: &AutoscalerFlag,
    value: &Spanned<FlagFile>,
    flags: &mut ClusterAutoscalerFlags,
    found: &mut Diagnostics,
) {
    if flag.is_dead() {
        let message = format!("flag {} {}", flag.name, flag.about);
        let hint = "max-scale-down-parallelism says how many nodes go at a time";
        found.push(Diagnostic::warning(value.span, message).with_hint(hint));
        return;
    }
    let all: Vec<String> = match &value.value {
        FlagFile::One(one) => vec![one.clone()],
        FlagFile::List(list) if flag.kind() == "array" => list.clone(),
        FlagFile::List(list) => vec![list.join(",")],
    };
    for one in all {
        if let Err(problem) = flags.set(flag.name, &one) {
            let error = Diagnostic::error(value.span, problem);
            found.push(error.with_hint(format!("{}: {}", flag.name, flag.about)));
        }
    }
}

fn priorities(
    file: &ClusterAutoscalerFile,
    flags: &mut ClusterAutoscalerFlags,
    found: &mut Diagnostics,
) {
    let is_asked = flags.expanders.contains(&Expander::Priority);
    let Some(all) = &file.priorities else {
        if is_asked {
            let place = file.flags.get("expander").map_or(crate::tree::Span::NONE, |f| f.span);
            let message = "without `priorities` the expander priority keeps all groups";
            let warning = Diagnostic::warning(place, message);
            found.push(warning.with_hint("priorities: { 10: ['.*spot.*'], 1: ['.*'] }"));
        }
        return;
    };
    if !is_asked {
        let warning = Diagnostic::warning(all.span, "no expander reads `priorities`");
        found.push(warning.with_hint("expander: priority"));
    }
    for (priority, patterns) in &all.value {
        match priority.parse() {
            Ok(priority) => {
                flags.priorities.insert(priority, patterns.clone());
            }
            Err(_) => found.error(all.span, format!("\"{priority}\" is no priority: a number is")),
        }
        for pattern in patterns {
            if let Err(why) = Pattern::parse(pattern) {
                let message = format!("\"{pattern}\" is no regular expression: {why}");
                let hint =
                    "one pattern that cannot be read makes the real expander ignore them all";
                found.push(Diagnostic::error(all.span, message).with_hint(hint));
            }
        }
    }
}

/// Values that go together badly.
fn check(
    file: &ClusterAutoscalerFile,
    flags: &ClusterAutoscalerFlags,
    is_priced: bool,
    found: &mut Diagnostics,
) {
    let place = |name: &str| file.flags.get(name).map(|value| value.span);
    let mut refuse = |name: &str, is_wrong: bool, message: &str, hint: &str| {
        if let Some(place) = place(name).filter(|_| is_wrong) {
            found.push(Diagnostic::error(place, message.to_owned()).with_hint(hint.to_owned()));
        }
    };
    let is_never = flags.scan_interval.is_zero();
    refuse(
        "scan-interval",
        is_never,
        "a look that follows at once never ends",
        "scan-interval: 10s",
    );
    let used = flags.utilization_max;
    let is_no_part = !(0.0..=1.0).contains(&used);
    let threshold = "scale-down-utilization-threshold";
    refuse(
        threshold,
        is_no_part,
        "a part of a node is from 0 to 1",
        "scale-down-utilization-threshold: 0.5",
    );
    let is_no_part = !(0.0..=100.0).contains(&flags.unready_percentage);
    refuse(
        "max-total-unready-percentage",
        is_no_part,
        "a percentage is from 0 to 100",
        "max-total-unready-percentage: 45",
    );
    let is_blind = flags.expanders.contains(&Expander::Price) && !is_priced;
    let hint = "price: 0.2/h of each type in instanceTypes";
    refuse("expander", is_blind, "expander price needs prices of the instance types", hint);
    let is_upside_down = flags.backoff_first > flags.backoff_max;
    let message = "the first back-off is longer than the longest";
    let hint = "max-node-group-backoff-duration: 30m";
    refuse("initial-node-group-backoff-duration", is_upside_down, message, hint);
    refuse("max-node-group-backoff-duration", is_upside_down, message, hint);
    let is_none = flags.parallelism == 0 && flags.scales_down;
    let hint = "scale-down-enabled: false";
    refuse("max-scale-down-parallelism", is_none, "no node could ever go", hint);
}
