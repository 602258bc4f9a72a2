//! What an autoscaler's metrics say of the pods of its target.

use crate::base::{Duration, SimTime, Symbol};
use crate::cluster::{Cluster, Pod};
use crate::model::{
    Behavior, Container, HorizontalSettings, HpaAim, HpaGoal, HpaMetric, HpaSpec, OwnRequests,
    PodId, PodSpec, ResourceName, Template,
};

use super::behavior::{Asked, Combined, combine};
use super::replica_calculator::{PodInput, PodMetric, Proposal, Question, Tolerance};

/// What is asked, and of which pods.
pub(super) struct Reading<'a> {
    pub(super) spec: &'a HpaSpec,
    pub(super) pods: &'a [PodId],
    pub(super) current: i64,
    /// `status.replicas` of the target.
    pub(super) counted: i64,
    pub(super) now: SimTime,
    /// What is answered to these names, in place of what the cluster says.
    pub(super) served: &'a [(Symbol, i64)],
    pub(super) cluster: &'a Cluster,
    pub(super) settings: HorizontalSettings,
}

impl Reading<'_> {
    /// All metrics together, and the CPU utilisation if one of them tells it.
    pub(super) fn all(&self) -> (Result<Combined, &'static str>, Option<i32>) {
        let mut utilization = None;
        let asked: Vec<Asked> = self
            .spec
            .metrics
            .iter()
            .map(|metric| {
                let asked = self.one(metric);
                if is_cpu(metric) {
                    utilization = utilization.or(asked.ok().and_then(|(p, _)| p.utilization));
                }
                asked.map(|(proposal, above)| (proposal.replicas, above))
            })
            .collect();
        (combine(asked, self.current), utilization)
    }

    /// Source: kubernetes v1.36.3 pkg/controller/podautoscaler/horizontal.go
    /// `computeStatusForResourceMetric`, `computeStatusForContainerResourceMetric` (rule A28).
    fn one(&self, metric: &HpaMetric) -> Result<(Proposal, &'static str), &'static str> {
        let (resource, container, target) = match metric {
            HpaMetric::Resource { resource, container, target } => (resource, container, target),
            HpaMetric::Pods { name, target } => return self.of_pods(*name, *target),
            HpaMetric::Object { name, target } => {
                let goal = self.goal(*name, *target, true).ok_or("FailedGetObjectMetric")?;
                return Ok((goal, "object metric above target"));
            }
            HpaMetric::External { name, target } => {
                let goal = self.goal(*name, *target, false).ok_or("FailedGetExternalMetric")?;
                return Ok((goal, "external metric above target"));
            }
            HpaMetric::Unmodelled(_) => return Err("InvalidMetricSourceType"),
        };
        let inputs: Option<Vec<PodInput>> =
            self.pods.iter().map(|pod| self.input(*pod, *resource, *container)).collect();
        let failed = match container {
            None => "FailedGetResourceMetric",
            Some(_) => "FailedGetContainerResourceMetric",
        };
        let inputs = inputs.ok_or(failed)?;
        let is_cpu = *resource == ResourceName::Cpu;
        let question = self.question(&inputs, is_cpu, self.current);
        let proposal = match target {
            HpaAim::Utilization(percent) => question.utilization(*percent),
            HpaAim::AverageValue(value) => question.average(*value),
        };
        let name = above(*resource, container.is_some(), *target);
        proposal.map(|proposal| (proposal, name)).map_err(|_| failed)
    }

    fn question<'i>(&self, pods: &'i [PodInput], is_cpu: bool, current: i64) -> Question<'i> {
        Question {
            pods,
            strays: &[],
            is_cpu,
            current,
            tolerance: self.tolerance(),
            now: self.now,
            initialization: self.settings.initialization,
            initial_delay: self.settings.initial_delay,
        }
    }

    /// A number of each pod.
    ///
    /// Source: horizontal.go `computeStatusForPodsMetric` (rules A24, A28, A35).
    fn of_pods(&self, name: Symbol, target: i64) -> Result<(Proposal, &'static str), &'static str> {
        const FAILED: &str = "FailedGetPodsMetric";
        let metric = self.cluster.metric_named(name).ok_or(FAILED)?;
        let values = self.cluster.metric_pods(metric, self.now).ok_or(FAILED)?;
        let input = |id: &PodId| {
            let pod = self.cluster.pods().refer(*id);
            let value = values.iter().find(|(of, _)| *of == pod);
            let window = Duration::mins(1);
            PodInput {
                metric: value.map(|(_, value)| PodMetric { value: *value, at: self.now, window }),
                ..self.plain(*id)
            }
        };
        let inputs: Vec<PodInput> = self.pods.iter().map(input).collect();
        let proposal = self.question(&inputs, false, self.current).average(target);
        proposal.map(|proposal| (proposal, "pods metric above target")).map_err(|_| FAILED)
    }

    /// A number that is not of the pods.
    ///
    /// Source: horizontal.go `computeStatusForObjectMetric`, `computeStatusForExternalMetric`
    /// (rules A25, A27, A43, A44).
    fn goal(&self, name: Symbol, goal: HpaGoal, is_object: bool) -> Option<Proposal> {
        let served = self.served.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
        let usage = match served {
            Some(value) => value,
            None => self.cluster.metric_value(self.cluster.metric_named(name)?, self.now)?,
        };
        let inputs: Vec<PodInput> = self.pods.iter().map(|pod| self.plain(*pod)).collect();
        match goal {
            HpaGoal::Value(target) => {
                self.question(&inputs, false, self.current).value(usage, target).ok()
            }
            HpaGoal::AverageValue(target) => {
                Some(self.question(&inputs, false, self.counted).share(usage, target, is_object))
            }
        }
    }

    /// A pod without any metric.
    fn plain(&self, id: PodId) -> PodInput {
        let pod = &self.cluster.pods()[id];
        let start = pod.status.start_time.map(SimTime::floor_secs);
        PodInput {
            phase: pod.status.phase,
            deleting: pod.deletion.is_some(),
            start,
            ready: start.map(|start| (pod.status.ready, pod.ready_since().max(start))),
            request: None,
            metric: None,
        }
    }

    /// Source: horizontal.go `tolerancesForHpa` (rule A36).
    fn tolerance(&self) -> Tolerance {
        let of_all = self.settings.tolerance;
        let mut tolerance = Tolerance { down: of_all, up: of_all };
        if let Some(behavior) = &self.spec.behavior {
            tolerance.down = behavior.down.tolerance.unwrap_or(tolerance.down);
            tolerance.up = behavior.up.tolerance.unwrap_or(tolerance.up);
        }
        tolerance
    }

    /// `None`: the pod has no such container.
    fn input(
        &self,
        id: PodId,
        resource: ResourceName,
        container: Option<Symbol>,
    ) -> Option<PodInput> {
        let pod = &self.cluster.pods()[id];
        let template = &self.cluster.template_of(pod).template;
        Some(PodInput {
            request: match container {
                None => request(&template.spec, resource),
                Some(name) => asks(named(&template.spec, name)?.asked, resource),
            },
            metric: self.metric(id, pod, template, (resource, container)),
            ..self.plain(id)
        })
    }

    /// What the pipeline says, if the pod was in its last sample (rule A65).
    fn metric(
        &self,
        id: PodId,
        pod: &Pod,
        template: &Template,
        (resource, container): (ResourceName, Option<Symbol>),
    ) -> Option<PodMetric> {
        let metrics = self.cluster.reported(id).filter(|_| !pod.is_terminal())?;
        let cpu = metrics.cpu_milli?;
        let value = match (resource, container) {
            (ResourceName::Cpu, None) => cpu,
            (ResourceName::Cpu, Some(name)) => cpu_of(template, name, cpu),
            (ResourceName::Memory, None) => metrics.memory_bytes.saturating_mul(1000),
            (ResourceName::Memory, Some(name)) => {
                memory_of(template, name, metrics.memory_bytes).saturating_mul(1000)
            }
        };
        Some(PodMetric { value, at: metrics.at, window: metrics.window })
    }
}

fn is_cpu(metric: &HpaMetric) -> bool {
    matches!(metric, HpaMetric::Resource { resource: ResourceName::Cpu, .. })
}

/// The name of a metric as the event has it.
fn above(resource: ResourceName, of_container: bool, target: HpaAim) -> &'static str {
    let percent = matches!(target, HpaAim::Utilization(_));
    match (resource, of_container, percent) {
        (ResourceName::Cpu, false, true) => {
            "cpu resource utilization (percentage of request) above target"
        }
        (ResourceName::Cpu, false, false) => "cpu resource above target",
        (ResourceName::Cpu, true, true) => {
            "cpu container resource utilization (percentage of request) above target"
        }
        (ResourceName::Cpu, true, false) => "cpu container resource above target",
        (ResourceName::Memory, false, true) => {
            "memory resource utilization (percentage of request) above target"
        }
        (ResourceName::Memory, false, false) => "memory resource above target",
        (ResourceName::Memory, true, true) => {
            "memory container resource utilization (percentage of request) above target"
        }
        (ResourceName::Memory, true, false) => "memory container resource above target",
    }
}

/// Containers and sidecars.
fn running(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    let sidecars = spec.init_containers.iter().filter(|c| c.restart_always);
    spec.containers.iter().chain(sidecars)
}

fn named(spec: &PodSpec, name: Symbol) -> Option<&Container> {
    running(spec).find(|container| container.name == name)
}

/// What is asked for, in thousandths; `None`: nothing is.
fn asks(asked: OwnRequests, resource: ResourceName) -> Option<i64> {
    match resource {
        ResourceName::Cpu => asked.cpu.map(|cpu| cpu.0),
        ResourceName::Memory => asked.memory.map(|memory| memory.0.saturating_mul(1000)),
    }
}

/// What a pod asks for; `None` if one of its containers asks for nothing. Where the pod as a whole
/// asks for something, that counts, and what it does not say is the sum of what its containers do.
///
/// Source: kubernetes v1.36.3 pkg/controller/podautoscaler/replica_calculator.go
/// `calculateRequests`, `calculatePodRequestsFromContainers` (rule A33; recorded).
fn request(spec: &PodSpec, resource: ResourceName) -> Option<i64> {
    let all = || running(spec).map(|container| asks(container.asked, resource));
    if spec.own_requests == OwnRequests::default() {
        return all().sum();
    }
    let of_pod = asks(spec.own_requests, resource);
    of_pod.or_else(|| all().flatten().reduce(i64::saturating_add))
}

/// What one container uses of its pod's CPU, in millicores.
pub(super) fn cpu_of(template: &Template, name: Symbol, pod: i64) -> i64 {
    share_of(template, name, pod, |behavior| behavior.cpu_idle.0)
}

/// What one container uses of its pod's memory, in bytes.
pub(super) fn memory_of(template: &Template, name: Symbol, pod: i64) -> i64 {
    share_of(template, name, pod, |behavior| behavior.memory.0)
}

/// Each container has what its behaviour says; what the pod has beyond that is of the one that
/// serves calls.
fn share_of(
    template: &Template,
    name: Symbol,
    pod: i64,
    standing: impl Fn(&Behavior) -> i64,
) -> i64 {
    let server = &template.spec.containers[template.server.map_or(0, usize::from)];
    let own = |(container, behavior): (&Container, &Behavior)| {
        (container.name == name).then(|| standing(behavior))
    };
    if server.name != name {
        return template.running().find_map(own).unwrap_or(0);
    }
    let others = template.running().filter(|(container, _)| container.name != name);
    let others: i64 = others.map(|(_, behavior)| standing(behavior)).sum();
    (pod - others).max(0)
}
