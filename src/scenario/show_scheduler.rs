//! The scheduler's settings after defaults, in Kubernetes' words, for `check --show`.

use serde_json::{Map, Value, json};

use crate::base::Interner;
use crate::model::{
    DefaultSpread, Plugin, PluginArgs, Profile, Resource, SchedulerSettings, Scoring,
};

/// What `check --show` prints below `scheduler`.
pub(super) fn show(settings: &SchedulerSettings, names: &Interner) -> Value {
    let profiles = settings.profiles.iter().map(|profile| show_profile(profile, settings, names));
    json!({
        "percentageOfNodesToScore": settings.percentage_of_nodes_to_score,
        "podInitialBackoff": settings.backoff_initial.go_text(),
        "podMaxBackoff": settings.backoff_max.go_text(),
        "profiles": profiles.collect::<Vec<_>>(),
    })
}

fn show_profile(profile: &Profile, settings: &SchedulerSettings, names: &Interner) -> Value {
    let list = |plugins: &[Plugin]| -> Vec<&str> {
        plugins.iter().map(|plugin| settings.name_of(*plugin)).collect()
    };
    let weights = profile
        .score
        .iter()
        .map(|(plugin, weight)| json!({ "name": settings.name_of(*plugin), "weight": weight }));
    json!({
        "schedulerName": profile.scheduler_name,
        "percentageOfNodesToScore": settings.percentage_of(profile),
        "preEnqueue": list(&profile.pre_enqueue),
        "preFilter": list(&profile.pre_filter),
        "filter": list(&profile.filter),
        "postFilter": list(&profile.post_filter),
        "preScore": list(&profile.pre_score),
        "score": weights.collect::<Vec<_>>(),
        "args": show_args(&profile.args, names),
    })
}

/// The arguments, all of them, by plugin.
fn show_args(args: &PluginArgs, names: &Interner) -> Value {
    let resource = |resource: &Resource| match resource {
        Resource::Cpu => "cpu",
        Resource::Memory => "memory",
        Resource::EphemeralStorage => "ephemeral-storage",
        Resource::Scalar(name) => names.resolve(*name),
    };
    let weights: Map<String, Value> =
        args.fit_resources.iter().map(|(r, w)| (resource(r).to_owned(), json!(w))).collect();
    let ignored = args.ignored_resources.iter().map(|name| names.resolve(*name));
    let scoring = match &args.scoring {
        Scoring::LeastAllocated => json!("LeastAllocated"),
        Scoring::MostAllocated => json!("MostAllocated"),
        Scoring::RequestedToCapacityRatio(points) => json!({ "RequestedToCapacityRatio": points }),
    };
    let spread = match &args.default_spread {
        DefaultSpread::System => json!("System"),
        DefaultSpread::List(list) => {
            let one = |c: &crate::model::SpreadConstraint| {
                json!({
                    "maxSkew": c.max_skew,
                    "topologyKey": names.resolve(c.topology_key),
                    "whenUnsatisfiable":
                        if c.is_hard { "DoNotSchedule" } else { "ScheduleAnyway" },
                })
            };
            list.iter().map(one).collect()
        }
    };
    json!({
        "NodeResourcesFit": {
            "scoringStrategy": scoring,
            "resources": weights,
            "ignoredResources": ignored.collect::<Vec<_>>(),
            "ignoredResourceGroups": args.ignored_groups,
        },
        "NodeResourcesBalancedAllocation": {
            "resources": args.balanced_resources.iter().map(resource).collect::<Vec<_>>(),
        },
        "NodeAffinity": {
            "addedAffinity": args.added_affinity.as_ref().map(|affinity| {
                let required = affinity.required.as_ref().map_or(0, Vec::len);
                format!("{required} required, {} preferred terms", affinity.preferred.len())
            }),
        },
        "InterPodAffinity": {
            "hardPodAffinityWeight": args.hard_pod_affinity_weight,
            "ignorePreferredTermsOfExistingPods": args.ignores_preferred_of_existing,
        },
        "PodTopologySpread": { "defaultConstraints": spread },
        "DefaultPreemption": {
            "minCandidateNodesPercentage": args.candidates_percentage,
            "minCandidateNodesAbsolute": args.candidates_absolute,
        },
        "VolumeBinding": { "bindTimeout": args.volume_bind_timeout.go_text() },
    })
}
