#![expect(clippy::needless_pass_by_value, reason = "cases are written in place")]

use serde_json::json;

use super::*;
use crate::model::{Plugin as P, Resource, Scoring};

fn read(mut config: Value) -> (SchedulerSettings, Vec<String>) {
    config["apiVersion"] = VERSION.into();
    config["kind"] = SCHEDULER_KIND.into();
    let policies = ["green".to_owned()];
    let (settings, problems) = lower_scheduler(&config, &policies, &mut Interner::new());
    let line = |problem: &Problem| {
        let sign = if problem.is_error { "" } else { "warning: " };
        let hint = problem.hint.as_deref().map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{sign}{problem}{hint}")
    };
    (settings, problems.iter().map(line).collect())
}

fn profile(profile: Value) -> Profile {
    let (mut settings, found) = read(json!({ "profiles": [profile] }));
    assert_eq!(found, [""; 0]);
    settings.profiles.remove(0)
}

fn wrong(profile: Value) -> Vec<String> {
    read(json!({ "profiles": [profile] })).1
}

#[test]
fn nothing_written_is_the_default_profile_as_in_s70_to_s72() {
    let (settings, found) = read(json!({}));
    assert_eq!(found, [""; 0]);
    let default = SchedulerSettings { policies: vec!["green".to_owned()], ..Default::default() };
    assert_eq!(settings, default);
    assert_eq!(profile(json!({})), Profile::default());
    assert_eq!(profile(json!({ "plugins": { "multiPoint": {} } })), Profile::default());
}

#[test]
fn a_point_of_its_own_goes_before_multi_point() {
    let score = |plugins: Value| profile(json!({ "plugins": plugins })).score;
    let default = Profile::default().score;
    // In place of the entry of multiPoint: first, in the order written; without weight it is 1.
    let list = score(json!({ "score": { "enabled": [
        { "name": "ImageLocality" },
        { "name": "NodeAffinity", "weight": 7 },
    ] } }));
    assert_eq!(list[..3], [(P::ImageLocality, 1), (P::NodeAffinity, 7), (P::TaintToleration, 3)]);
    assert_eq!(list.len(), default.len());
    // Disabled and enabled again: at the end.
    let list = score(json!({ "score": {
        "disabled": [{ "name": "NodeAffinity" }],
        "enabled": [{ "name": "NodeAffinity", "weight": 20 }],
    } }));
    assert_eq!((list.len(), list[8]), (9, (P::NodeAffinity, 20)));
    // All disabled: only what is written.
    let list = score(json!({ "score": {
        "disabled": [{ "name": "*" }],
        "enabled": [{ "name": "NodeResourcesFit" }],
    } }));
    assert_eq!(list, [(P::NodeResourcesFit, 1)]);
}

#[test]
fn multi_point_is_changed_in_place_and_extended_at_the_end() {
    let changed = profile(json!({ "plugins": { "multiPoint": {
        "enabled": [{ "name": "green", "weight": 4 }, { "name": "TaintToleration", "weight": 9 }],
        "disabled": [{ "name": "NodePorts" }],
    } } }));
    assert_eq!(changed.score[0], (P::TaintToleration, 9));
    assert_eq!(changed.score.last(), Some(&(P::Custom(0), 4)));
    assert_eq!(changed.filter.last(), Some(&P::Custom(0)));
    assert!(!changed.filter.contains(&P::NodePorts) && !changed.pre_filter.contains(&P::NodePorts));
    let bare = profile(json!({ "plugins": { "multiPoint": {
        "enabled": [{ "name": "PrioritySort" }, { "name": "DefaultBinder" }],
        "disabled": [{ "name": "*" }],
    } } }));
    assert!(bare.filter.is_empty() && bare.score.is_empty() && bare.pre_enqueue.is_empty());
}

#[test]
fn plugins_that_cannot_be_there_are_told_in_kubernetes_words() {
    let plugins = json!({ "plugins": {
        "score": { "enabled": [
            { "name": "NodeName" },
            { "name": "NodeResorcesFit" },
            { "name": "ImageLocality" },
            { "name": "ImageLocality" },
            { "name": "EBSLimits" },
        ], "disabled": [{ "name": "NodeAfinity" }] },
        "multiPoint": { "enabled": [{ "name": "Coscheduling" }, { "name": "GangScheduling" }] },
        "queueSort": { "disabled": [{ "name": "*" }] },
        "bind": { "disabled": [{ "name": "DefaultBinder" }] },
    } });
    assert_eq!(
        wrong(plugins),
        [
            "profiles[0].plugins.multiPoint.enabled[0].name: PreFilterPlugin \"Coscheduling\" does \
             not exist (known are Kubernetes' own plugins and the policies given to the library)",
            "warning: profiles[0].plugins.multiPoint.enabled[1].name: GangScheduling is not \
             modelled: pods are placed without it",
            "warning: profiles[0].plugins.score.disabled[0].name: no plugin \"NodeAfinity\" takes \
             part: disabling it changes nothing (did you mean \"NodeAffinity\"?)",
            "profiles[0].plugins.score.enabled[0].name: plugin \"NodeName\" does not extend \
             ScorePlugin plugin (it has a part in filter)",
            "profiles[0].plugins.score.enabled[1].name: ScorePlugin \"NodeResorcesFit\" does not \
             exist (did you mean \"NodeResourcesFit\"?)",
            "profiles[0].plugins.score.enabled[3].name: plugin \"ImageLocality\" already \
             registered as \"ScorePlugin\"",
            "profiles[0].plugins.score.enabled[4].name: invalid value: \"EBSLimits\": was invalid \
             in version \"v1\" (KubeSchedulerConfiguration is version \
             \"kubescheduler.config.k8s.io/v1\")",
            "profiles[0].plugins.bind: at least one bind plugin is needed for profile with \
             scheduler name \"default-scheduler\"",
            "profiles[0].plugins.queueSort: only one queue sort plugin required for profile with \
             scheduler name \"default-scheduler\", but got 0",
        ]
    );
    let halves = json!({ "plugins": {
        "preFilter": { "disabled": [{ "name": "NodePorts" }] },
        "filter": { "enabled": [{ "name": "NodeName", "weight": 3 }] },
        "score": { "enabled": [{ "name": "green", "weight": -1 }] },
    } });
    assert_eq!(
        wrong(halves),
        [
            "warning: profiles[0].plugins.filter.enabled[0].weight: the weight of NodeName counts \
             nowhere: only score plugins have one",
            "warning: profiles[0].plugins.score.enabled[0].weight: with weight -1 the worst nodes \
             are preferred",
            "warning: profiles[0].plugins.preFilter: NodePorts in filter but not in preFilter is \
             not modelled: it does as if it were in both",
        ]
    );
}

#[test]
fn profiles_have_names_of_their_own_and_one_queue() {
    let two = json!({ "profiles": [
        { "schedulerName": "a", "percentageOfNodesToScore": 30 },
        { "schedulerName": "a", "percentageOfNodesToScore": 101 },
        { "plugins": { "queueSort": { "enabled": [{ "name": "PrioritySort" }] } } },
    ], "percentageOfNodesToScore": -1 });
    let (settings, found) = read(two);
    assert_eq!(settings.percentage_of(&settings.profiles[0]), 30);
    assert_eq!(
        found,
        [
            "percentageOfNodesToScore: invalid value: -1: not in valid range [0-100]",
            "profiles[1].schedulerName: duplicate value: \"a\" (profiles[0] has this name too)",
            "profiles[1].percentageOfNodesToScore: invalid value: 101: not in valid range [0-100]",
            "profiles[2].schedulerName: required value",
            "profiles[2].plugins.queueSort: invalid value: {\"enabled\":[{\"name\":\
             \"PrioritySort\"}]}: must be the same for all profiles",
        ]
    );
}

#[test]
fn numbers_and_what_is_not_modelled() {
    let (settings, found) = read(json!({
        "parallelism": 16,
        "podInitialBackoffSeconds": 2,
        "podMaxBackoffSeconds": 6,
        "leaderElection": { "leaderElect": false },
        "clientConnection": { "kubeconfig": "/etc/kubernetes/scheduler.conf", "qps": 100 },
        "extenders": [{ "urlPrefix": "http://a" }],
    }));
    assert_eq!(settings.backoff_initial, Duration::secs(2));
    assert_eq!(settings.backoff_max, Duration::secs(6));
    assert_eq!(
        found,
        [
            "warning: clientConnection.qps: qps is not modelled: the scheduler's calls are not \
             limited in number",
            "warning: extenders: extenders is not modelled: nobody outside is asked: nodes are \
             filtered and scored by the plugins alone",
            "warning: parallelism: parallelism 16 is not modelled: one worker looks at the nodes, \
             so the search ends exactly where it has found enough",
        ]
    );
    let (_, found) = read(json!({
        "parallelism": 0,
        "podInitialBackoffSeconds": 20,
        "profile": [],
        "percentageOfNodesToScore": "50",
    }));
    assert_eq!(
        found,
        [
            "percentageOfNodesToScore: expected an integer, found the string \"50\" (write it \
             without quotes: 50)",
            "profile: unknown field \"profile\" (did you mean \"profiles\"?)",
            "parallelism: invalid value: 0: should be an integer value greater than zero",
            "podMaxBackoffSeconds: invalid value: 10: must be greater than or equal to \
             PodInitialBackoffSeconds (without podMaxBackoffSeconds it is 10)",
        ]
    );
}

#[test]
fn another_version_or_kind_is_no_configuration() {
    let lines = |config: Value| {
        let problems = lower_scheduler(&config, &[], &mut Interner::new()).1;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let old =
        json!({ "apiVersion": "kubescheduler.config.k8s.io/v1beta3", "kind": SCHEDULER_KIND });
    assert_eq!(
        lines(old),
        ["apiVersion: no kind \"KubeSchedulerConfiguration\" is registered for version \
             \"kubescheduler.config.k8s.io/v1beta3\""]
    );
    assert_eq!(lines(json!({})), ["kind: Object 'Kind' is missing"]);
    assert_eq!(lines(json!([])), ["kind: expected a KubeSchedulerConfiguration"]);
}

fn args(name: &str, args: Value) -> (PluginArgs, Vec<String>) {
    let config = json!({ "profiles": [{ "pluginConfig": [{ "name": name, "args": args }] }] });
    let (mut settings, found) = read(config);
    (settings.profiles.remove(0).args, found)
}

#[test]
fn arguments_have_kubernetes_defaults() {
    let strategy = json!({ "scoringStrategy": {
        "type": "RequestedToCapacityRatio",
        "resources": [{ "name": "memory", "weight": 5 }, { "name": "example.com/gpu" }],
        "requestedToCapacityRatio": { "shape": [
            { "utilization": 0, "score": 10 }, { "utilization": 100 },
        ] },
    } });
    let (read, found) = args("NodeResourcesFit", strategy);
    assert_eq!(found, [""; 0]);
    assert_eq!(read.scoring, Scoring::RequestedToCapacityRatio(vec![(0, 10), (100, 0)]));
    assert_eq!(read.fit_resources[0], (Resource::Memory, 5));
    assert!(matches!(read.fit_resources[1], (Resource::Scalar(_), 1)));
    let (read, _) =
        args("NodeResourcesFit", json!({ "scoringStrategy": { "type": "MostAllocated" } }));
    assert_eq!(read.fit_resources, PluginArgs::default().fit_resources);
    let (read, _) = args("InterPodAffinity", json!({ "ignorePreferredTermsOfExistingPods": true }));
    assert_eq!((read.hard_pod_affinity_weight, read.ignores_preferred_of_existing), (1, true));
    let (read, _) = args("DefaultPreemption", json!({ "minCandidateNodesAbsolute": 3 }));
    assert_eq!((read.candidates_percentage, read.candidates_absolute), (10, 3));
    let (read, _) = args("PodTopologySpread", json!({ "defaultingType": "List" }));
    assert_eq!(read.default_spread, crate::model::DefaultSpread::List(Vec::new()));
    for plugin in Plugin::ALL {
        let (read, _) = args(plugin.as_str(), json!({}));
        if plugin != Plugin::NodeResourcesFit {
            assert_eq!(read, PluginArgs::default(), "{plugin:?}");
        }
    }
}

#[test]
fn wrong_arguments_are_told_in_kubernetes_words() {
    let lines = |name: &str, given: Value| -> Vec<String> {
        let (_, found) = args(name, given);
        found.iter().map(|l| l.replace("profiles[0].pluginConfig[0].args", "args")).collect()
    };
    let fit = json!({
        "ignoredResources": ["example.com/a/b"],
        "ignoredResourceGroups": ["example.com/"],
        "scoringStrategy": {
            "type": "LeastAlocated",
            "resources": [{ "name": "cpu", "weight": 101 }],
            "requestedToCapacityRatio": { "shape": [] },
        },
    });
    let found = lines("NodeResourcesFit", fit);
    assert!(
        found[0].starts_with("args.ignoredResources[0]: invalid value: \"example.com/a/b\": a")
    );
    assert_eq!(
        found[1..],
        [
            "args.ignoredResourceGroups[0]: invalid value: \"example.com/\": resource group name \
             can't contain '/'",
            "args.scoringStrategy.type: unsupported value: \"LeastAlocated\": supported values: \
             \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\" (did you mean \
             \"LeastAllocated\"?)",
            "args.scoringStrategy.resources[0].weight: invalid value: 101: resource weight of cpu \
             not in valid range (0, 100]",
            "args.scoringStrategy.requestedToCapacityRatio: forbidden: must be nil when type is \
             not RequestedToCapacityRatio",
        ]
    );
    let shape = json!({ "scoringStrategy": { "type": "RequestedToCapacityRatio",
        "requestedToCapacityRatio": { "shape": [
            { "utilization": 50, "score": 11 }, { "utilization": 50, "score": 1 },
        ] } } });
    assert_eq!(
        lines("NodeResourcesFit", shape),
        [
            "args.scoringStrategy.requestedToCapacityRatio.shape[1].utilization: invalid value: \
             50: values must be sorted in increasing order",
            "args.scoringStrategy.requestedToCapacityRatio.shape[0].score: invalid value: 11: not \
             in valid range [0, 10]",
        ]
    );
    let spread = json!({ "defaultConstraints": [
        { "maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "Never",
          "labelSelector": {} },
    ] });
    assert_eq!(
        lines("PodTopologySpread", spread),
        [
            "args.defaultingType: invalid value: \"System\": when .defaultConstraints are not \
             empty (write defaultingType: List)",
            "args.defaultConstraints[0].maxSkew: invalid value: 0: not in valid range (0, inf)",
            "args.defaultConstraints[0].whenUnsatisfiable: unsupported value: \"Never\": supported \
             values: \"DoNotSchedule\", \"ScheduleAnyway\"",
            "args.defaultConstraints[0].labelSelector: forbidden: constraint must not define a \
             selector, as they deduced for each pod",
        ]
    );
    let none = json!({ "minCandidateNodesPercentage": 0, "minCandidateNodesAbsolute": 0 });
    assert_eq!(
        lines("DefaultPreemption", none),
        [
            "args.minCandidateNodesPercentage: invalid value: 0: cannot be zero at the same time \
             as minCandidateNodesAbsolute",
            "args.minCandidateNodesAbsolute: invalid value: 0: cannot be zero at the same time as \
             minCandidateNodesPercentage",
        ]
    );
    let balanced = json!({ "resources": [{ "name": "cpu", "weight": 2 }, { "name": "cpu" }] });
    assert_eq!(
        lines("NodeResourcesBalancedAllocation", balanced),
        [
            "args.resources[0].weight: invalid value: 2: must be 1",
            "args.resources[1].name: duplicate value: \"cpu\"",
        ]
    );
    let affinity = json!({ "addedAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "a", "operator": "Is" }] }] } } });
    assert_eq!(
        lines("NodeAffinity", affinity),
        ["args.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.\
             nodeSelectorTerms[0].matchExpressions[0].operator: unsupported value: \"Is\": \
             supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\", \"Gt\", \"Lt\""]
    );
    assert_eq!(
        lines("InterPodAffinity", json!({ "hardPodAffinityWeight": 101 })),
        ["args.hardPodAffinityWeight: invalid value: 101: not in valid range [0, 100]"]
    );
    assert_eq!(
        lines("VolumeBinding", json!({ "bindTimeoutSeconds": -1 })),
        ["args.bindTimeoutSeconds: invalid value: -1: invalid BindTimeoutSeconds, should not be \
             a negative value"]
    );
    assert_eq!(
        lines("NodeAffinity", json!({ "kind": "NodeResourcesFitArgs" })),
        ["args.kind: args for plugin NodeAffinity were not of type \
             NodeAffinityArgs.kubescheduler.config.k8s.io, got \
             NodeResourcesFitArgs.kubescheduler.config.k8s.io (write apiVersion: \
             kubescheduler.config.k8s.io/v1, kind: NodeAffinityArgs)"]
    );
    let twice = json!({ "profiles": [{ "pluginConfig": [
        { "name": "NodeAffinity" }, { "name": "NodeAffinity" }, { "name": "NodeAfinity" },
    ] }] });
    assert_eq!(
        read(twice).1,
        [
            "profiles[0].pluginConfig[1]: duplicate value: \"NodeAffinity\" (pluginConfig[0] is \
             about this plugin too)",
            "warning: profiles[0].pluginConfig[2].name: arguments of an unknown plugin \
             \"NodeAfinity\": nobody reads them (did you mean \"NodeAffinity\"?)",
        ]
    );
}
