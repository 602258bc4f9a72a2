//! The faked scheduler and kubelets: pods do what the case says of their image.

use std::collections::{BTreeMap, BTreeSet};

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{
    Change, Cluster, ContainerExit, Disruption, Exits, NewPod, Phase, Plan, Pod, PodStatus, Write,
};
use seatrial::model::{NodeId, OwnerRef, PodRef, RestartPolicy, TaintEffect};
use seatrial::record::PodName;
use serde_json::Value;

use super::Plane;
use super::case::{Case, list, ms, text};
use super::chance::Chance;
use super::names::{Names, position};

/// What is known of the recorded pods by base name and number.
pub(crate) type Uids = BTreeMap<(String, usize), Known>;

/// What is known of a recorded pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its uid, or what stands for its order.
    pub(crate) uid: Option<u64>,
    /// The five characters of its name as a number.
    pub(crate) suffix: Option<u32>,
}

/// What happens to a pod by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Bind,
    Run,
    Ready,
    Crash,
    Fail,
    Exit,
    Unready,
    Gone,
}

/// A pod and its part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) base: String,
    /// Its first owner, by recorded name: a reference outlives the owner.
    pub(crate) owner: Option<String>,
    /// Its place among pods of one instant: base name and number; of a StatefulSet name and ordinal.
    pub(crate) order: (String, usize),
    /// Whether the end of its name is a random one.
    pub(crate) is_generated: bool,
    /// Of pods that are due at one instant those of StatefulSets are bound last (recorded).
    is_bound_late: bool,
    /// Its number within its base name.
    pub(crate) number: usize,
    /// What its image's lists are cycled with.
    index: usize,
    rules: Value,
    crashes: i64,
    /// Runs of a Job's pod that ended and began again.
    reruns: usize,
}

/// A step: by time, bindings first, base name, number.
type Due = (SimTime, bool, String, usize, Step, PodRef);

#[derive(Debug)]
pub(crate) struct Actor {
    behave: Value,
    is_cron: bool,
    pub(crate) has_node_lifecycle: bool,
    uids: Uids,
    made: BTreeMap<String, usize>,
    made_all: usize,
    /// How many pods of each completion index of a Job there were.
    by_index: BTreeMap<(OwnerRef, u32), usize>,
    pub(crate) parts: BTreeMap<PodRef, Part>,
    steps: BTreeSet<Due>,
}

impl Part {
    fn listed(&self, key: &str) -> Option<&Value> {
        let all = list(&self.rules[key]);
        all.get(self.index % all.len().max(1))
    }

    /// A delay; `None`: never.
    fn delay(&self, key: &str) -> Option<Duration> {
        self.listed(key)?.as_u64().map(Duration::ms)
    }

    /// A delay with a default where none is listed.
    fn delay_or(&self, key: &str, default: u64) -> Option<Duration> {
        if list(&self.rules[key]).is_empty() {
            Some(Duration::ms(default))
        } else {
            self.delay(key)
        }
    }
}

impl Actor {
    pub(super) fn new(case: &Case<'_>, uids: Uids) -> Self {
        Self {
            behave: case.value["behave"].clone(),
            is_cron: case.value["topic"] == "cronjob",
            has_node_lifecycle: list(&case.value["controllers"]).contains(&"nodelifecycle".into()),
            uids,
            made: BTreeMap::new(),
            made_all: 0,
            by_index: BTreeMap::new(),
            parts: BTreeMap::new(),
            steps: BTreeSet::new(),
        }
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<SimTime> {
        self.steps.first().map(|step| step.0)
    }

    /// Gives the pods that a plan creates their recorded uids and names.
    pub(super) fn name_pods(
        &self,
        plan: &mut Plan,
        cluster: &mut Cluster,
        names: &Names,
        chance: &mut Chance,
    ) {
        let mut made: BTreeMap<String, usize> = BTreeMap::new();
        let writes: Vec<Write> = plan.take().collect();
        for mut write in writes {
            if let Write::CreatePod(NewPod { name, uid, .. }) = &mut write {
                let base = names.base(*name, cluster);
                let before = self.made.get(&base).copied().unwrap_or(0);
                let number = made.entry(base.clone()).or_default();
                let known = self.uids.get(&(base.clone(), before + *number)).copied();
                let known = known.unwrap_or_default();
                *uid = known.uid.or_else(|| chance.uid());
                *number += 1;
                if let (PodName::Generated { .. }, Some(suffix)) = (*name, known.suffix) {
                    let prefix = cluster.names_mut().intern(&base);
                    *name = PodName::Generated { prefix, suffix };
                }
            }
            plan.push(write);
        }
    }

    fn plan_step(&mut self, pod: PodRef, at: SimTime, step: Step) {
        let part = &self.parts[&pod];
        let (mut base, number) = part.order.clone();
        if part.is_bound_late && step == Step::Bind {
            base.insert(0, '~');
        }
        self.steps.insert((at, step != Step::Bind, base, number, step, pod));
    }
}

impl Plane {
    /// What follows from a change for scheduler and kubelet.
    pub(super) fn follow(&mut self, change: &Change) {
        match change {
            Change::PodAdded { pod, .. } => self.cast(*pod),
            Change::PodDeleting { pod, .. } => self.stop(*pod),
            Change::PodBound { pod, .. } => {
                self.after(*pod, |part| part.delay_or("start_ms", 0), Step::Run);
            }
            _ => {}
        }
    }

    /// Gives a new pod its part.
    fn cast(&mut self, pod: PodRef) {
        let Some(row) = self.cluster.pod(pod) else { return };
        let (node, owner, index, row_name) = (row.pinned, row.owner, row.index, row.name);
        let image = self.cluster.template_of(row).template.spec.containers[0].image;
        let base = self.names.base(row.name, &self.cluster);
        let image = self.cluster.names().resolve(image);
        let actor = &mut self.actor;
        let number = actor.made.entry(base.clone()).or_default();
        let order = match row_name {
            PodName::Numbered { prefix, .. } => {
                let set = self.cluster.names().resolve(prefix).to_owned();
                (set, index.map_or(0, |index| index as usize))
            }
            _ => (base.clone(), *number),
        };
        let owner_name = self.names.owner(row, &self.cluster);
        let mut part = Part {
            owner: owner_name,
            order,
            is_generated: matches!(row_name, PodName::Generated { .. } | PodName::Indexed { .. }),
            is_bound_late: matches!(owner, Some(OwnerRef::StatefulSet(_))),
            base,
            number: *number,
            index: *number,
            rules: actor.behave[image].clone(),
            crashes: 0,
            reruns: 0,
        };
        match owner {
            _ if actor.is_cron => part.index = actor.made_all,
            Some(OwnerRef::DaemonSet(_)) => part.index = node.map_or(0, position),
            Some(OwnerRef::StatefulSet(_) | OwnerRef::Job(_)) => {
                part.index = index.map_or(*number, |index| index as usize);
            }
            _ => {}
        }
        *number += 1;
        actor.made_all += 1;
        if let (Some(owner @ OwnerRef::Job(_)), Some(index)) = (owner, index) {
            // The code of the k-th pod of an index is fixed when it is made.
            let made = actor.by_index.entry((owner, index)).or_default();
            let codes = list(&part.rules["exit_by_index"][index.to_string()]).to_vec();
            let codes = if codes.is_empty() {
                list(
                    &list(&part.rules["exit_by_index"])
                        .get(index as usize)
                        .cloned()
                        .unwrap_or_default(),
                )
                .to_vec()
            } else {
                codes
            };
            if let Some(code) = codes.get(*made % codes.len().max(1)) {
                part.rules["exit"] = Value::Array(vec![code.clone()]);
            }
            *made += 1;
        }
        actor.parts.insert(pod, part);
        if row.node.is_none() {
            self.after(pod, |part| part.delay_or("bind_ms", 0), Step::Bind);
        }
    }

    /// The deletion of a pod on a node was set: its containers stop once.
    fn stop(&mut self, pod: PodRef) {
        let is_stopping = |step: &&Due| step.4 == Step::Gone && step.5 == pod;
        let row = self.cluster.pod(pod);
        if row.is_none_or(|row| row.is_over) || self.actor.steps.iter().any(|s| is_stopping(&s)) {
            return;
        }
        self.after(pod, |part| part.delay_or("term_ms", 0), Step::Gone);
        self.after(pod, |part| part.delay("unready_ms"), Step::Unready);
    }

    /// The containers of a pod that is being deleted begin to stop once more.
    pub(super) fn stop_anew(&mut self, pod: PodRef) {
        self.actor.steps.retain(|step| step.5 != pod);
        self.stop(pod);
    }

    fn after(&mut self, pod: PodRef, delay: impl Fn(&Part) -> Option<Duration>, step: Step) {
        let now = self.now();
        if let Some(delay) = self.actor.parts.get(&pod).and_then(delay) {
            self.actor.plan_step(pod, now + delay, step);
        }
    }

    /// Takes the first step that is due.
    pub(super) fn take_step(&mut self) {
        let (_, _, _, _, step, pod) = self.actor.steps.pop_first().expect("it is there");
        let Some(row) = self.cluster.pod(pod) else { return };
        if row.node.is_some_and(|node| !self.cluster.nodes()[node].is_up) {
            return;
        }
        let (status, terminal, deletion) = (row.status, row.is_terminal(), row.deletion);
        // What is due at the instant of a deletion still happens.
        let deleting = deletion.is_some_and(|deletion| deletion.requested < self.now());
        match step {
            Step::Gone => self.end(pod),
            Step::Unready => self.set_status(pod, PodStatus { ready: false, ..status }),
            Step::Fail if !terminal => self.set_status(pod, failed(status, "Evicted")),
            _ if terminal || deleting => {}
            Step::Bind => self.bind(pod),
            Step::Run => self.run_pod(pod),
            Step::Ready => {
                self.set_status(pod, PodStatus { ready: true, ..status });
                self.run_on(pod);
            }
            Step::Crash => {
                self.actor.parts.get_mut(&pod).expect("it is cast").crashes += 1;
                let restarts = status.restarts + 1;
                self.set_status(pod, PodStatus { ready: false, restarts, ..status });
                self.after(pod, |part| part.delay_or("restart_ms", 0), Step::Ready);
            }
            Step::Exit => self.exit(pod, status),
            Step::Fail => {}
        }
    }

    fn set_status(&mut self, pod: PodRef, status: PodStatus) {
        self.write(Write::PodStatus { pod, status });
    }

    /// The containers of a pod run.
    fn run_pod(&mut self, pod: PodRef) {
        let now = self.now();
        let status = PodStatus {
            phase: Phase::Running,
            ip: Some(seatrial::base::Ip::LOCALHOST),
            start_time: Some(now),
            started: Some(now),
            ..PodStatus::NEW
        };
        self.set_status(pod, status);
        self.after(pod, |part| part.delay_or("ready_ms", 0), Step::Ready);
        self.after(pod, |part| part.delay("fail_ms"), Step::Fail);
        self.after(pod, |part| part.delay("run_ms"), Step::Exit);
    }

    /// A pod that has become ready crashes some time, if it is to.
    fn run_on(&mut self, pod: PodRef) {
        let part = &self.actor.parts[&pod];
        let limit = part.rules["crashes"].as_i64().unwrap_or(0);
        if limit == 0 || part.crashes < limit {
            self.after(pod, |part| part.delay("crash_ms"), Step::Crash);
        }
    }

    /// A Job's pod ends: for good, or it runs again.
    fn exit(&mut self, pod: PodRef, status: PodStatus) {
        let part = self.actor.parts.get_mut(&pod).expect("it is cast");
        let codes = list(&part.rules["exit"]);
        let code = codes.get((part.index + part.reruns) % codes.len().max(1));
        let code = code.and_then(Value::as_i64).unwrap_or(0);
        let row = self.cluster.pod(pod).expect("it is there");
        let policy = self.cluster.template_of(row).template.spec.restart_policy;
        if code != 0 && policy == RestartPolicy::OnFailure {
            part.reruns += 1;
            let restarts = status.restarts + 1;
            self.set_status(pod, PodStatus { ready: false, restarts, ..status });
            self.after(pod, |part| part.delay_or("restart_ms", 1000), Step::Ready);
            self.after(
                pod,
                |part| Some(part.delay_or("restart_ms", 1000)? + part.delay("run_ms")?),
                Step::Exit,
            );
            return;
        }
        let is_disrupted = part.listed("disrupt").is_some_and(|d| *d == 1);
        self.finish(pod, code, is_disrupted);
    }

    /// Sets the terminal status that goes with an exit code.
    fn finish(&mut self, pod: PodRef, code: i64, is_disrupted: bool) {
        if code != 0 && is_disrupted {
            let reason = Disruption::EvictionByEvictionApi;
            self.plan.push(Write::Disruption { pod, reason: Some(reason) });
        }
        let Some(row) = self.cluster.pod(pod) else { return };
        self.set_status(pod, ended(row.status, code, self.now()));
    }

    /// The containers of a pod that is being deleted are gone.
    fn end(&mut self, pod: PodRef) {
        let Some(row) = self.cluster.pod(pod) else { return };
        if !row.is_terminal() {
            let part = self.actor.parts.get(&pod);
            let code = part.and_then(|part| part.listed("term_exit")).and_then(Value::as_i64);
            let code = code.unwrap_or(143);
            let status = ended(row.status, code, self.now());
            self.plan.push(Write::PodStatus { pod, status });
        }
        self.write(Write::RemovePod { pod });
    }

    /// Binds a pod to the node with the fewest pods, or tries again a second later.
    fn bind(&mut self, pod: PodRef) {
        match self.choose_node(pod) {
            Some(node) => self.write(Write::BindPod { pod, node }),
            None => self.after(pod, |_| Some(Duration::secs(1)), Step::Bind),
        }
    }

    fn choose_node(&self, pod: PodRef) -> Option<NodeId> {
        let cluster = &self.cluster;
        let row = cluster.pod(pod)?;
        if row.pinned.is_some() {
            return row.pinned;
        }
        if let Some(fixed) = self.actor.parts[&pod].listed("node") {
            let named = |id: &NodeId| {
                cluster.names().resolve(cluster.nodes()[*id].spec.name) == text(fixed)
            };
            let by_name = cluster.nodes().ids().find(named);
            let nth = usize::try_from(ms(fixed)).expect("a node's number");
            return by_name.or_else(|| cluster.nodes().ids().nth(nth));
        }
        let nodes = cluster.nodes().ids().filter(|node| self.fits(row, *node));
        let count = |node: &NodeId| {
            cluster.pods().iter().filter(|(_, other)| other.node == Some(*node)).count()
        };
        nodes.min_by_key(count)
    }

    /// Whether a node may take a pod: not cordoned, selected, its taints tolerated.
    fn fits(&self, pod: &Pod, node: NodeId) -> bool {
        let node = &self.cluster.nodes()[node];
        let spec = &self.cluster.template_of(pod).template.spec;
        let mut taints = node.spec.taints.iter();
        !node.is_gone
            && !node.spec.unschedulable
            && node.spec.labels.has_all(&spec.node_selector)
            && taints.all(|taint| {
                taint.effect == TaintEffect::PreferNoSchedule
                    || spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))
            })
    }
}

/// The status of a pod whose container has ended.
fn ended(before: PodStatus, code: i64, now: SimTime) -> PodStatus {
    let phase = if code == 0 { Phase::Succeeded } else { Phase::Failed };
    let code = i32::try_from(code).expect("an exit code");
    let exits = Exits::of([ContainerExit { container: 0, code }]);
    PodStatus { phase, ready: false, finished: Some(now), exits, ..before }
}

/// The status of a pod that a kubelet has evicted.
pub(super) fn failed(before: PodStatus, reason: &'static str) -> PodStatus {
    PodStatus { phase: Phase::Failed, ready: false, reason, ..before }
}
