//! The kubelets of the recordings: pods become ready, end and go after delays that their
//! annotations say, in one write each.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use rand_chacha::ChaCha8Rng;
use seatrial::base::{Distribution, Duration};
use seatrial::cluster::{
    Change, Cluster, Component, KubeletEvent, NodeChange, Phase, Plan, PodStatus, Write,
};
use seatrial::event::{Event, KubeletStep};
use seatrial::model::{NodeId, PodRef};
use seatrial::sim::{Ctx, Streams};
use serde_json::Value;

/// Nodes whose kubelets stand still.
pub(super) type Frozen = Rc<RefCell<BTreeSet<NodeId>>>;

/// A pod, and what is to be done with it. One that runs already ends.
type Late = (PodRef, KubeletStep);

/// The kubelets.
pub(super) struct Kwok {
    frozen: Frozen,
    /// What frozen kubelets would have done.
    late: Vec<Late>,
    /// From when something is due to its write.
    lag: Distribution,
    rng: ChaCha8Rng,
}

impl Kwok {
    pub(super) fn new(frozen: Frozen, streams: &Streams) -> Self {
        let lag = Distribution::log_normal_p99(0.02, 0.12);
        Self { frozen, late: Vec::new(), lag, rng: streams.open("kwok", "") }
    }

    fn after(&mut self, delay: Duration, (pod, step): Late, ctx: &mut Ctx<'_>) {
        let lag = self.lag.sample_duration(&mut self.rng);
        ctx.after(delay + lag, Event::Kubelet { pod, step });
    }
}

impl Kwok {
    /// A kubelet goes on: it does what was due, and its pods are ready again.
    fn thaw(&mut self, node: NodeId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let is_here = |(pod, _): &Late| cluster.pod(*pod).is_some_and(|row| row.node == Some(node));
        let late = std::mem::take(&mut self.late);
        let (here, others) = late.into_iter().partition(is_here);
        self.late = others;
        for (pod, step) in here {
            self.after(delay(pod, step_key(step), cluster), (pod, step), ctx);
        }
    }
}

/// The annotation that says how long a step takes.
fn step_key(step: KubeletStep) -> &'static str {
    if step == KubeletStep::Kill { "sim/delete-after" } else { "sim/ready-after" }
}

/// What an annotation of the pod's template says.
fn annotation<'a>(pod: PodRef, key: &str, cluster: &'a Cluster) -> Option<&'a str> {
    let row = cluster.pod(pod)?;
    let source: &Value = &cluster.template_of(row).template.source;
    source["metadata"]["annotations"][key].as_str()
}

/// A delay; zero without the annotation.
fn delay(pod: PodRef, key: &str, cluster: &Cluster) -> Duration {
    let text = annotation(pod, key, cluster).unwrap_or("0s");
    let number = |text: &str| text.parse::<u64>().expect("a whole number");
    match text.strip_suffix("ms") {
        Some(ms) => Duration::ms(number(ms)),
        None => Duration::secs(number(text.trim_end_matches('s'))),
    }
}

impl seatrial::cluster::KubeletRole for Kwok {}

impl Component<KubeletEvent> for Kwok {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let (pod, key, step) = match change {
            Change::PodBound { pod, .. } => (*pod, "sim/ready-after", KubeletStep::Admit),
            Change::PodDeleting { pod, .. } => (*pod, "sim/delete-after", KubeletStep::Kill),
            Change::Node { node, what: NodeChange::Up } => return self.thaw(*node, cluster, ctx),
            _ => return,
        };
        if step == KubeletStep::Admit && annotation(pod, "sim/ready", cluster) == Some("never") {
            return;
        }
        self.after(delay(pod, key, cluster), (pod, step), ctx);
    }

    fn handle(
        &mut self,
        event: KubeletEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let KubeletEvent::Pod(pod, step) = event else { return };
        let Some(row) = cluster.pod(pod) else { return };
        if row.node.is_some_and(|node| self.frozen.borrow().contains(&node)) {
            return self.late.push((pod, step));
        }
        let now = ctx.now();
        match step {
            KubeletStep::Admit if row.deletion.is_some() => {}
            KubeletStep::Admit if row.status.phase == Phase::Pending => {
                let status = PodStatus {
                    phase: Phase::Running,
                    ready: true,
                    ip: Some(seatrial::base::Ip::LOCALHOST),
                    start_time: Some(now),
                    started: Some(now),
                    ..PodStatus::NEW
                };
                plan.push(Write::PodStatus { pod, status });
                let ends =
                    cluster.template_of(row).template.source["spec"]["restartPolicy"] == "Never";
                if ends && annotation(pod, "sim/result", cluster) != Some("run") {
                    let delay = delay(pod, "sim/complete-after", cluster);
                    self.after(delay, (pod, KubeletStep::Admit), ctx);
                }
            }
            KubeletStep::Admit => {
                let fails = annotation(pod, "sim/result", cluster) == Some("fail");
                let phase = if fails { Phase::Failed } else { Phase::Succeeded };
                let status = PodStatus { phase, ready: false, finished: Some(now), ..row.status };
                plan.push(Write::PodStatus { pod, status });
            }
            KubeletStep::Kill => plan.push(Write::RemovePod { pod }),
            KubeletStep::Resize | KubeletStep::Conditions => {}
        }
    }
}
