//! What may help against failed calls: changes of manifests and programs, each to be tried.

use serde_json::{Value, json};

use crate::base::Duration;
use crate::model::{
    AccessMode, Container, Hook, HpaTarget, Model, PodVolume, Strategy, Template, WorkloadKind,
};
use crate::record::Cause;
use crate::scenario::plain::Fronted;

use super::trial::Kind;

/// How long a server that drains may take for what it has accepted.
const DRAIN: u64 = 30;
/// Sleeps of a preStop hook that are tried, in seconds: rule N461's sweep.
const SLEEPS: [u64; 5] = [2, 5, 10, 15, 30];
/// Longer ones, for callers that hear late: by DNS (rule N183), or by a load balancer's own checks
/// (rules N190, N191).
const LONG_SLEEPS: [u64; 3] = [45, 75, 120];

/// Causes that have to do with how a pod stops.
const STOPS: [Cause; 4] =
    [Cause::StaleProxy, Cause::CutByStop, Cause::CutWaiting, Cause::ConnectionClosed];
/// Causes of pods that are too few, or all gone.
const TOO_FEW: [Cause; 8] = [
    Cause::NoReadyPod,
    Cause::BacklogFull,
    Cause::WaitedTooLong,
    Cause::SlowService,
    Cause::NodeDown,
    Cause::ProcessDown,
    Cause::Hung,
    Cause::KilledByProbe,
];
/// Causes of calls that come by a node without a pod.
const BY_NODE: [Cause; 2] = [Cause::StaleBalancer, Cause::NotOnNode];

/// A change that may help.
#[derive(Clone, Debug, Default)]
pub(super) struct Remedy {
    /// In words.
    pub about: String,
    /// Assignments over objects.
    pub sets: Vec<String>,
    /// Entries of `behaviors`.
    pub behaviors: Vec<Value>,
    /// Objects that are added.
    pub objects: Vec<Value>,
    /// Whether callers try again once.
    pub retries: bool,
}

impl Remedy {
    fn and(mut self, other: &Self) -> Self {
        if !self.about.is_empty() && !other.about.is_empty() {
            self.about.push_str(", ");
        }
        self.about.push_str(&other.about);
        self.sets.extend_from_slice(&other.sets);
        self.behaviors.extend_from_slice(&other.behaviors);
        self.objects.extend_from_slice(&other.objects);
        self.retries |= other.retries;
        self
    }
}

/// What is asked of a workload.
pub(super) struct Patient<'a> {
    pub model: &'a Model,
    pub fronted: &'a Fronted,
    /// Why its calls failed.
    pub causes: &'a [Cause],
    /// What goes: pods alone, or machines.
    pub kind: Kind,
    /// Whether all its rollouts were complete.
    pub is_complete: bool,
}

/// A claim that all pods of a workload use, and that one node can use at a time (rule N56).
pub(super) fn shared_claim<'m>(model: &'m Model, fronted: &Fronted) -> Option<&'m str> {
    let (_, template) = model.rolling_templates().find(|(own, _)| *own == fronted.workload)?;
    let of_many = [AccessMode::ReadWriteMany, AccessMode::ReadOnlyMany];
    let is_shared = |name: crate::base::Symbol| {
        model.storage.claims.iter().any(|claim| {
            claim.name.name == name
                && claim.name.namespace == fronted.workload.name.namespace
                && !claim.modes.iter().any(|mode| of_many.contains(mode))
        })
    };
    template.spec.volumes.iter().find_map(|volume| match volume {
        PodVolume::Claim(name) if is_shared(*name) => Some(model.names.resolve(*name)),
        _ => None,
    })
}

/// What may help a workload, the smallest change first.
pub(super) fn remedies(patient: &Patient<'_>) -> Vec<Remedy> {
    let Some((_, template)) =
        patient.model.rolling_templates().find(|(own, _)| *own == patient.fronted.workload)
    else {
        return Vec::new();
    };
    let has = |wanted: &[Cause]| patient.causes.iter().any(|cause| wanted.contains(cause));
    let mut base: Vec<Remedy> = Vec::new();
    // Two pods of one disk on two nodes wait for each other for ever.
    let shares = shared_claim(patient.model, patient.fronted).is_some();
    if shares && patient.kind == Kind::Rollout && !patient.is_complete {
        base.extend(patient.one_after_the_other());
        if patient.causes.is_empty() {
            return base;
        }
    }
    if has(&[Cause::NotYetServing]) {
        base.extend(patient.readiness(template));
    }
    if has(&[Cause::KilledByProbe]) {
        base.extend(patient.startup(template));
    }
    if has(&BY_NODE) {
        base.extend(patient.taking_calls_anywhere());
    }
    // A hook does nothing for a rollout that takes all pods away at once: that is to end first.
    if !shares && (has(&TOO_FEW) || patient.kind != Kind::Rollout || patient.is_recreate()) {
        base.extend(patient.more_pods(template));
    }
    let is_outage = matches!(patient.kind, Kind::ZoneLoss | Kind::NodeCrash);
    if is_outage {
        base.extend(patient.moves_sooner(template));
    }
    let together = base.iter().fold(Remedy::default(), Remedy::and);
    let mut all = base.clone();
    if base.len() > 1 {
        all.push(together.clone());
    }
    let late = has(&BY_NODE) || has(&[Cause::StaleDns]);
    if !is_outage && (has(&STOPS) || has(&[Cause::NoReadyPod]) || late) {
        let more: &[u64] = if late { &LONG_SLEEPS } else { &[] };
        all.extend(
            patient.stops(template, more).into_iter().map(|stop| together.clone().and(&stop)),
        );
    }
    all.push(Remedy {
        about: "callers try again once".to_owned(),
        retries: true,
        ..Remedy::default()
    });
    all
}

impl Patient<'_> {
    fn server<'t>(&self, template: &'t Template) -> Option<(&'t Container, &str)> {
        let container = template.spec.containers.get(usize::from(template.server?))?;
        Some((container, self.model.names.resolve(container.name)))
    }

    fn set(&self, path: &str, value: &Value) -> String {
        format!("{}:{path}={value}", self.fronted.target)
    }

    /// Longer sleeps before the stop signal, without and with a server that drains.
    fn stops(&self, template: &Template, more: &[u64]) -> Vec<Remedy> {
        let Some((container, name)) = self.server(template) else { return Vec::new() };
        let drain = Remedy {
            about: "the server finishes its calls on SIGTERM".to_owned(),
            behaviors: vec![json!({
                "for": self.fronted.target,
                "container": name,
                "shutdown": { "drain": format!("{DRAIN}s") },
            })],
            ..Remedy::default()
        };
        let slept = match container.pre_stop {
            Some(Hook::Sleep(span)) => Some(span),
            None => Some(Duration::ZERO),
            // A hook of the user's own does what it does.
            Some(Hook::Exec(_) | Hook::Http) => None,
        };
        let mut all = vec![drain.clone()];
        let longer = |secs: &u64| slept.is_some_and(|slept| Duration::secs(*secs) > slept);
        for secs in SLEEPS.iter().chain(more).copied().filter(longer) {
            let grace = template.spec.grace.max(Duration::secs(secs + DRAIN));
            let at = format!("spec.template.spec.containers[name={name}].lifecycle.preStop");
            let sleep = Remedy {
                about: format!("preStop sleep {secs} s"),
                sets: vec![
                    self.set(&at, &json!({ "sleep": { "seconds": secs } })),
                    self.set(
                        "spec.template.spec.terminationGracePeriodSeconds",
                        &grace.whole_secs().into(),
                    ),
                ],
                ..Remedy::default()
            };
            all.push(sleep.clone());
            all.push(sleep.and(&drain));
        }
        all
    }

    /// Whether its rollouts take all pods away before the first new one comes.
    fn is_recreate(&self) -> bool {
        let own = self.fronted.workload;
        let is_it = |spec: &&crate::model::DeploymentSpec| spec.name == own.name;
        own.kind == WorkloadKind::Deployment
            && self
                .model
                .deployments
                .iter()
                .find(is_it)
                .is_some_and(|spec| spec.strategy == Strategy::Recreate)
    }

    /// A Deployment that ends the pod that has the disk before the next one wants it.
    fn one_after_the_other(&self) -> Option<Remedy> {
        let is_deployment = self.fronted.workload.kind == WorkloadKind::Deployment;
        (is_deployment && !self.is_recreate()).then(|| Remedy {
            about: "strategy Recreate".to_owned(),
            sets: vec![
                self.set("spec.strategy", &json!({ "type": "Recreate", "rollingUpdate": null })),
            ],
            ..Remedy::default()
        })
    }

    /// Time to start before a liveness probe counts (rule N481).
    fn startup(&self, template: &Template) -> Option<Remedy> {
        let (container, name) = self.server(template)?;
        if container.startup.is_some() {
            return None;
        }
        let port = container.ports.first().map_or(80, |port| port.port);
        let probe =
            json!({ "tcpSocket": { "port": port }, "periodSeconds": 5, "failureThreshold": 30 });
        let path = format!("spec.template.spec.containers[name={name}].startupProbe");
        Some(Remedy {
            about: "a startupProbe".to_owned(),
            sets: vec![self.set(&path, &probe)],
            ..Remedy::default()
        })
    }

    /// Its Services let calls in by every node (rule N158).
    fn taking_calls_anywhere(&self) -> Option<Remedy> {
        let mut sets = Vec::new();
        for shown in &self.fronted.services {
            let is_it = |own: &&crate::model::ServiceSpec| {
                own.name.of_kind("service", &self.model.names) == *shown
            };
            let Some(service) = self.model.services.iter().find(is_it) else { continue };
            let policies = [
                ("externalTrafficPolicy", service.external_local),
                ("internalTrafficPolicy", service.internal_local),
            ];
            let local = policies.into_iter().filter(|(_, is_local)| *is_local);
            sets.extend(local.map(|(key, _)| format!("{shown}:spec.{key}=Cluster")));
        }
        (!sets.is_empty()).then(|| Remedy {
            about: "traffic policy Cluster".to_owned(),
            sets,
            ..Remedy::default()
        })
    }

    fn readiness(&self, template: &Template) -> Option<Remedy> {
        let (container, name) = self.server(template)?;
        if container.readiness.is_some() {
            return None;
        }
        let port = container.ports.first().map_or(80, |port| port.port);
        let probe = json!({ "tcpSocket": { "port": port }, "periodSeconds": 1 });
        let path = format!("spec.template.spec.containers[name={name}].readinessProbe");
        Some(Remedy {
            about: "a readinessProbe".to_owned(),
            sets: vec![self.set(&path, &probe)],
            ..Remedy::default()
        })
    }

    /// Pods that leave a machine that is gone after seconds, not after five minutes.
    fn moves_sooner(&self, template: &Template) -> Option<Remedy> {
        let declared = template.source["spec"]["tolerations"].as_array();
        if declared.is_some_and(|all| !all.is_empty()) {
            return None;
        }
        let toleration = |condition: &str| {
            json!({
                "key": format!("node.kubernetes.io/{condition}"),
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 10,
            })
        };
        let all = json!([toleration("not-ready"), toleration("unreachable")]);
        Some(Remedy {
            about: "tolerationSeconds 10 of a lost node".to_owned(),
            sets: vec![self.set("spec.template.spec.tolerations", &all)],
            ..Remedy::default()
        })
    }

    /// A rollout that takes no pod away before another is ready, more pods, and pods apart.
    fn more_pods(&self, template: &Template) -> Vec<Remedy> {
        let mut all = Vec::new();
        let is_drill = self.kind != Kind::Rollout;
        let name = self.fronted.workload.name;
        let surge = json!({
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 },
        });
        let about = "maxSurge 1, maxUnavailable 0".to_owned();
        let mut replicas = None;
        match self.fronted.workload.kind {
            WorkloadKind::Deployment => {
                let spec = self.model.deployments.iter().find(|own| own.name == name);
                replicas = spec.map(|spec| spec.replicas);
                let keeps_all = spec.is_some_and(|spec| match &spec.strategy {
                    Strategy::Recreate => false,
                    Strategy::RollingUpdate { max_unavailable, .. } => max_unavailable
                        .scaled_down(i64::from(spec.replicas))
                        .is_ok_and(|down| down == 0),
                });
                if !keeps_all && !is_drill {
                    let sets = vec![self.set("spec.strategy", &surge)];
                    all.push(Remedy { about, sets, ..Remedy::default() });
                }
            }
            WorkloadKind::StatefulSet => {
                let spec = self.model.stateful_sets.iter().find(|own| own.name == name);
                replicas = spec.map(|spec| spec.replicas);
            }
            WorkloadKind::DaemonSet if !is_drill && template.spec.host_ports.is_empty() => {
                let sets = vec![self.set("spec.updateStrategy", &surge)];
                all.push(Remedy { about, sets, ..Remedy::default() });
            }
            _ => {}
        }
        let is_scaled = self.model.hpas.iter().any(|hpa| {
            hpa.name.namespace == name.namespace && hpa.target == HpaTarget::Deployment(name.name)
        });
        let spread = || self.set("spec.template.spec.topologySpreadConstraints", &apart(template));
        if let Some(replicas) = replicas.filter(|_| !is_scaled) {
            let more = (2 * replicas).max(2);
            let mut sets = vec![self.set("spec.replicas", &more.into())];
            let mut about = format!("{more} replicas");
            if is_drill {
                about.push_str(" spread over zones and nodes");
                sets.push(spread());
            }
            all.push(Remedy { about, sets, ..Remedy::default() });
        }
        // How many there are is its autoscaler's, where they are is not.
        if is_scaled && is_drill {
            let about = "pods spread over zones and nodes".to_owned();
            all.push(Remedy { about, sets: vec![spread()], ..Remedy::default() });
        }
        all
    }
}

/// Pods of a template as far from each other as can be.
fn apart(template: &Template) -> Value {
    let labels = &template.source["metadata"]["labels"];
    let over = |key: &str| {
        json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": labels },
        })
    };
    json!([over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")])
}
