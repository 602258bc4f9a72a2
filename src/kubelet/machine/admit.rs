//! Whether a node takes a pod, and which pods a critical one may drive out (rules N40 to N43).
//!
//! Differs: a reason does not name the extended resource that lacks.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/lifecycle/predicate.go `Admit`, `generalFilter`;
//! pkg/kubelet/preemption/preemption.go; pkg/scheduler `AdmissionCheck`.

use super::types::{Rejection, Slot};
use crate::base::{Interner, Symbol};
use crate::model::{HostPort, NodeSpec, PodSpec, QosClass, TaintEffect, matches_node};

/// From this priority on a pod is critical (rule N43).
const CRITICAL: i32 = 2_000_000_000;

/// The reason of a pod that nothing can make room for.
pub const UNEXPECTED: &str = "UnexpectedAdmissionError";

/// A pod that the node has.
pub type Held<'a> = (Slot, &'a PodSpec);

/// An amount that pods ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Amount {
    Pods,
    Cpu,
    Memory,
    Storage,
    Scalar(Symbol),
}

impl Amount {
    fn of(self, spec: &PodSpec) -> i64 {
        match self {
            Self::Pods => 1,
            Self::Cpu => spec.requests.cpu.0,
            Self::Memory => spec.requests.memory.0,
            Self::Storage => spec.requests.ephemeral_storage.0,
            Self::Scalar(name) => spec.requests.scalar(name),
        }
    }

    fn on(self, node: &NodeSpec) -> i64 {
        match self {
            Self::Pods => i64::from(node.pods_max),
            Self::Cpu => node.allocatable.cpu.0,
            Self::Memory => node.allocatable.memory.0,
            Self::Storage => node.allocatable.ephemeral_storage.0,
            Self::Scalar(name) => node.allocatable.scalar(name),
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Pods => "OutOfpods",
            Self::Cpu => "OutOfcpu",
            Self::Memory => "OutOfmemory",
            Self::Storage => "OutOfephemeral-storage",
            Self::Scalar(_) => "OutOfextended-resource",
        }
    }
}

/// What the node lacks of an amount.
#[derive(Clone, Copy)]
struct Lack {
    amount: Amount,
    asked: i64,
    used: i64,
    has: i64,
}

/// Why the node turns a pod away, or whom a critical pod drives out; `None`: it is taken.
#[must_use]
pub fn rejection(
    spec: &PodSpec,
    others: &[Held<'_>],
    node: &NodeSpec,
    is_static: bool,
    names: &Interner,
) -> Option<Rejection> {
    let lacks = lacks(spec, others, node);
    let other = mismatch(spec, others, node, is_static, names);
    let plain = |reason| Rejection { reason, numbers: [0; 3], victims: Vec::new() };
    if !is_critical(spec, is_static) {
        return lacks.first().map_or_else(|| other.map(plain), |lack| Some(told(lack)));
    }
    if let Some(reason) = other {
        return Some(plain(reason));
    }
    let first = lacks.first()?;
    let wants = lacks.iter().map(|lack| (lack.amount, lack.asked - (lack.has - lack.used)));
    let victims = victims(spec, others, &wants.collect::<Vec<_>>(), is_static);
    Some(victims.map_or_else(|| plain(UNEXPECTED), |victims| Rejection { victims, ..told(first) }))
}

const fn told(lack: &Lack) -> Rejection {
    Rejection {
        reason: lack.amount.reason(),
        numbers: [lack.asked, lack.used, lack.has],
        victims: Vec::new(),
    }
}

/// Whether a pod is critical (rule N43).
#[must_use]
pub const fn is_critical(spec: &PodSpec, is_static: bool) -> bool {
    is_static || spec.priority >= CRITICAL
}

/// All that the node lacks for the pod; resources that it does not name are not looked at.
fn lacks(spec: &PodSpec, others: &[Held<'_>], node: &NodeSpec) -> Vec<Lack> {
    let known = |name: &Symbol| node.allocatable.scalars.iter().any(|(n, _)| n == name);
    let scalars = spec.requests.scalars.iter().map(|(name, _)| *name).filter(known);
    let amounts = [Amount::Pods, Amount::Cpu, Amount::Memory, Amount::Storage];
    let amounts = amounts.into_iter().chain(scalars.map(Amount::Scalar));
    let lack = |amount: Amount| {
        let asked = amount.of(spec);
        let used = others.iter().map(|(_, other)| amount.of(other)).sum::<i64>();
        let has = amount.on(node);
        (asked > 0 && asked > has - used).then_some(Lack { amount, asked, used, has })
    };
    amounts.filter_map(lack).collect()
}

/// The first check but for resources that fails.
fn mismatch(
    spec: &PodSpec,
    others: &[Held<'_>],
    node: &NodeSpec,
    is_static: bool,
    names: &Interner,
) -> Option<&'static str> {
    let (selector, affinity) = (&spec.node_selector, &spec.node_affinity);
    if !matches_node(selector, affinity, node.name, &node.labels, names) {
        return Some("NodeAffinity");
    }
    let taken = |port: &HostPort| {
        let theirs = others.iter().flat_map(|(_, other)| &other.host_ports);
        theirs.into_iter().any(|other| clash(*port, *other, names))
    };
    if spec.host_ports.iter().any(taken) {
        return Some("NodePorts");
    }
    let bad = node.taints.iter().any(|taint| {
        taint.effect == TaintEffect::NoExecute
            && !spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))
    });
    (bad && !is_static).then_some("TaintToleration")
}

fn clash(one: HostPort, other: HostPort, names: &Interner) -> bool {
    let is_any = |ip| matches!(names.resolve(ip), "" | "0.0.0.0");
    one.port == other.port
        && one.protocol == other.protocol
        && (one.ip == other.ip || is_any(one.ip) || is_any(other.ip))
}

type Wants = [(Amount, i64)];

/// The pods to drive out: the fewest Guaranteed ones, then Burstable, then BestEffort; `None`: all
/// of them would not do (rule N43).
fn victims(
    spec: &PodSpec,
    others: &[Held<'_>],
    wants: &Wants,
    is_static: bool,
) -> Option<Vec<Slot>> {
    let may = |other: &PodSpec| {
        (is_critical(spec, is_static) && !is_critical(other, false))
            || spec.priority > other.priority
    };
    let of = |class: QosClass| -> Vec<Held<'_>> {
        others.iter().filter(|(_, other)| may(other) && other.qos == class).copied().collect()
    };
    let best_effort = of(QosClass::BestEffort);
    let burstable = of(QosClass::Burstable);
    let lower = [best_effort.clone(), burstable.clone()].concat();
    let guaranteed = nearest(of(QosClass::Guaranteed), less(wants, &lower))?;
    let rest = less(wants, &[best_effort.clone(), guaranteed.clone()].concat());
    let burstable = nearest(burstable, rest)?;
    let rest = less(wants, &[burstable.clone(), guaranteed.clone()].concat());
    let best_effort = nearest(best_effort, rest)?;
    let all = best_effort.into_iter().chain(burstable).chain(guaranteed);
    Some(all.map(|(slot, _)| slot).collect())
}

/// What is still wanted once these are gone.
fn less(wants: &Wants, gone: &[Held<'_>]) -> Vec<(Amount, i64)> {
    let left = |(amount, want): &(Amount, i64)| {
        let given = gone.iter().map(|(_, spec)| amount.of(spec)).sum::<i64>();
        (want - given > 0).then_some((*amount, want - given))
    };
    wants.iter().filter_map(left).collect()
}

/// One after another the pod that comes nearest to what is wanted, the smaller one of equals.
fn nearest<'a>(mut pods: Vec<Held<'a>>, mut wants: Vec<(Amount, i64)>) -> Option<Vec<Held<'a>>> {
    let mut chosen = Vec::new();
    while !wants.is_empty() {
        let mut best: Option<(usize, f64)> = None;
        for (at, (_, spec)) in pods.iter().enumerate() {
            let far = distance(&wants, spec);
            let is_better = best.is_none_or(|(held, least)| {
                far < least || (far.total_cmp(&least).is_eq() && is_no_larger(spec, pods[held].1))
            });
            if is_better {
                best = Some((at, far));
            }
        }
        let (at, _) = best?;
        let pod = pods.swap_remove(at);
        wants = less(&wants, &[pod]);
        chosen.push(pod);
    }
    Some(chosen)
}

fn distance(wants: &Wants, spec: &PodSpec) -> f64 {
    let part = |(amount, want): &(Amount, i64)| {
        let missing = (want - amount.of(spec)).max(0);
        (ratio(missing) / ratio(*want)).powi(2)
    };
    wants.iter().map(part).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a share of an amount, compared with others")]
const fn ratio(amount: i64) -> f64 {
    amount as f64
}

fn is_no_larger(one: &PodSpec, other: &PodSpec) -> bool {
    let size = |spec: &PodSpec| (spec.requests.memory, spec.requests.cpu);
    size(one) <= size(other)
}
