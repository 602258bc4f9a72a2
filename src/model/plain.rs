//! The plainest of each thing, to build on: `PodSpec { grace, ..PodSpec::plain(containers) }`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Bytes, Distribution, Duration, Interner, MilliCpu, Money, Symbol};

use super::{
    Behavior, Behaviors, Container, Labels, Latencies, Model, NodeAffinity, NodeOrder, NodeSpec,
    OwnRequests, PodAffinity, PodSpec, PriorityClasses, ProxySpec, PullPolicy, QosClass, Release,
    Resources, RestartPolicy, RunSettings, SchedulerSettings, Shutdown, SpreadConstraint, Storage,
};

impl Container {
    /// A container without ports, requests, probes and hooks.
    #[must_use]
    pub fn plain(name: Symbol, image: Symbol) -> Self {
        Self {
            name,
            image,
            pull_policy: PullPolicy::IfNotPresent,
            ports: Vec::new(),
            requests: Resources::default(),
            asked: OwnRequests::default(),
            cpu_limit: None,
            memory_limit: None,
            resize_policy: Default::default(),
            storage_limit: None,
            restart_always: false,
            restart_policy: None,
            restart_rules: Vec::new(),
            stop_signal: None,
            readiness: None,
            liveness: None,
            startup: None,
            pre_stop: None,
            post_start: None,
            pre_stop_quits: false,
        }
    }
}

impl PodSpec {
    /// A pod of these containers that asks for nothing and goes anywhere. The scheduler's name is
    /// the symbol given.
    #[must_use]
    pub fn plain(containers: Vec<Container>, scheduler_name: Symbol) -> Self {
        Self {
            init_containers: Vec::new(),
            containers,
            restart_policy: RestartPolicy::Always,
            grace: Duration::secs(30),
            active_deadline: None,
            node_name: None,
            scheduler_name,
            priority: 0,
            preempts_never: false,
            scheduling_gates: Vec::new(),
            node_selector: Labels::default(),
            node_affinity: NodeAffinity::default(),
            pod_affinity: PodAffinity::default(),
            spread: Vec::new(),
            tolerations: Vec::new(),
            host_network: false,
            requests: Resources::default(),
            own_requests: OwnRequests::default(),
            own_limits: OwnRequests::default(),
            nonzero_requests: (MilliCpu(100), Bytes::mib(200)),
            scored_requests: Resources {
                cpu: MilliCpu(100),
                memory: Bytes::mib(200),
                ..Resources::default()
            },
            host_ports: Vec::new(),
            qos: QosClass::BestEffort,
            config_refs: Vec::new(),
            readiness_gates: Vec::new(),
            volumes: Vec::new(),
            empty_dirs: Vec::new(),
            image_names: Vec::new(),
            lifetime: None,
        }
    }
}

impl Behavior {
    /// A container that is able at once, serves nobody, runs for ever, exits at once on the signal
    /// and weighs nothing.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            start: Distribution::Constant(0.0),
            shutdown: Shutdown {
                accept: Duration::ZERO,
                drain: Duration::ZERO,
                ignores_signal: false,
            },
            serve: None,
            calls: Vec::new(),
            hang: None,
            run: None,
            cpu_idle: MilliCpu(0),
            cpu: None,
            memory: Bytes(0),
            leak: Bytes(0),
            call_memory: Bytes(0),
            logs: None,
            writes: None,
            gates: None,
            tells_memory: false,
            hook: Duration::ZERO,
            hook_failures: super::behavior::HookFailures::NONE,
            exits: Vec::new(),
            image_size: Bytes(0),
            release: Release::plain(),
        }
    }
}

impl NodeSpec {
    /// A node without labels, taints, images and price that takes 110 pods. Its pool has its name.
    #[must_use]
    pub fn plain(name: Symbol, allocatable: Resources) -> Self {
        Self {
            name,
            pool: name,
            labels: Labels::default(),
            taints: Vec::new(),
            unschedulable: false,
            allocatable,
            pods_max: 110,
            price_per_hour: Money(0),
            images: Arc::from([]),
            zone: None,
            proxy: ProxySpec::DEFAULT,
            kubelet: super::KubeletSpec::DEFAULT,
            keeps: super::NodeKeeps::default(),
        }
    }
}

impl Model {
    /// A model with nothing in it, in ideal latencies, with these names.
    #[must_use]
    pub fn empty(name: &str, names: Interner) -> Self {
        Self {
            name: name.to_owned(),
            about: String::new(),
            names: Arc::new(names),
            nodes: Vec::new(),
            cloud: super::CloudSpec::default(),
            node_order: NodeOrder::ByName,
            default_toleration: None,
            node_monitor: super::NodeMonitor::DEFAULT,
            horizontal: super::HorizontalSettings::DEFAULT,
            deployments: Vec::new(),
            replica_sets: Vec::new(),
            stateful_sets: Vec::new(),
            daemon_sets: Vec::new(),
            jobs: Vec::new(),
            dns: super::Dns::DEFAULT,
            regressions: super::Regressions::DEFAULT,
            balancer: None,
            ingress: super::IngressSpec::ideal(),
            ingresses: Vec::new(),
            mesh: None,
            addresses: super::AddressSpec::DEFAULT,
            outages: Vec::new(),
            customs: Vec::new(),
            later: super::Later::default(),
            cron_jobs: Vec::new(),
            trees: Vec::new(),
            pods: Vec::new(),
            services: Vec::new(),
            hpas: Vec::new(),
            metrics: Vec::new(),
            scaled_objects: Vec::new(),
            paused_scales: Vec::new(),
            scaled_jobs: Vec::new(),
            vpas: Vec::new(),
            config_maps: Vec::new(),
            config_keys: BTreeSet::new(),
            secrets: Vec::new(),
            namespaces: Vec::new(),
            storage: Storage::default(),
            budgets: Vec::new(),
            priorities: PriorityClasses::default(),
            behaviors: Behaviors { standard: Behavior::plain(), rules: Vec::new(), mesh: None },
            traffic: Vec::new(),
            generators: Vec::new(),
            timeline: Vec::new(),
            scripts: Vec::new(),
            latencies: Latencies::ideal(),
            scheduler: SchedulerSettings::default(),
            run: RunSettings::default(),
        }
    }
}

impl SpreadConstraint {
    /// A soft constraint of skew 1 that counts no pods, with the policies of Kubernetes' defaults.
    #[must_use]
    pub const fn plain(topology_key: Symbol) -> Self {
        Self {
            max_skew: 1,
            topology_key,
            is_hard: false,
            selector: None,
            match_label_keys: Vec::new(),
            min_domains: 1,
            honors_affinity: true,
            honors_taints: false,
        }
    }
}
