//! What containers do: the part that no manifest tells.

use std::sync::Arc;

use crate::base::{Bytes, Distribution, Duration, Interner, MilliCpu, SimTime, Symbol};

use super::cpu_use::CpuUse;
use super::ids::Workload;
use super::intervals::Intervals;
use super::labels::Labels;
use super::pod::{Container, PodSpec, Template};
use super::serve::{Downstream, Release, Serve};

/// What a container does. All distributions of time are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// From the start of the process until it can serve.
    pub start: Distribution,
    /// What it does on the stop signal.
    pub shutdown: Shutdown,
    /// How it serves calls; `None`: it serves none.
    pub serve: Option<Serve>,
    /// Calls that it makes while it serves one, in order.
    pub calls: Vec<Downstream>,
    /// When it hangs: its process is there and answers nothing. `None`: never.
    pub hang: Option<Hang>,
    /// How long it runs before it exits; `None`: for ever. Init containers: how long they take.
    pub run: Option<Distribution>,
    /// With which code it exits then; the first that applies, else 0. Init containers exit 0 unless
    /// a rule names them.
    pub exits: Vec<Exit>,
    /// CPU that it uses without any call.
    pub cpu_idle: MilliCpu,
    /// CPU that it uses over time besides; `None`: none.
    pub cpu: Option<CpuUse>,
    /// Memory that it uses as it starts.
    pub memory: Bytes,
    /// Memory that it takes more, a second: with a limit it is killed when that is reached (rules
    /// N95, N428).
    pub leak: Bytes,
    /// Memory that each call takes while it is in service or in the backlog.
    pub call_memory: Bytes,
    /// What it writes to the disk of its node; `None`: nothing that counts.
    pub writes: Option<Writes>,
    /// What it logs; `None`: nothing that counts.
    pub logs: Option<Logs>,
    /// Whether the scenario says how much memory it uses. If not, it stays within what it asks for.
    pub tells_memory: bool,
    /// From the instant at which its pod has an address until something outside of the cluster has
    /// opened the pod's readiness gates; `None`: they stay shut (rule N88).
    pub gates: Option<Distribution>,
    /// How long its exec hooks take when their command does not say.
    pub hook: Duration,
    /// How often its hooks fail.
    pub hook_failures: HookFailures,
    /// Compressed size of its image.
    pub image_size: Bytes,
    /// What is particular to its release.
    pub release: Release,
}

/// What a container writes to the disk of its node (rule N102).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writes {
    /// As it starts.
    pub start: Bytes,
    /// More, a second.
    pub rate: Bytes,
    /// More, for each call that it takes.
    pub call: Bytes,
    /// Into which volume of the kind `emptyDir`; `None`: into its own layer, which goes with the
    /// container.
    pub volume: Option<Symbol>,
}

/// What a container writes into its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logs {
    /// A second.
    pub rate: Bytes,
    /// For each call that it takes.
    pub call: Bytes,
}

/// An end of a container with another code than 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The code, 1 to 255.
    pub code: u8,
    /// Of pods with these completion indexes only.
    pub indexes: Option<Intervals>,
    /// In this part of the runs, from 0 to 1, each drawn by itself.
    pub share: f64,
    /// In so many of its first runs only, on each pod; `None`: in all.
    pub runs: Option<u32>,
}

/// Which part of a container's hooks fail, from 0 to 1, each drawn by itself (rules N67, N68).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HookFailures {
    /// Of postStart.
    pub post_start: f64,
    /// Of preStop.
    pub pre_stop: f64,
}

impl HookFailures {
    /// None fails.
    pub const NONE: Self = Self { post_start: 0.0, pre_stop: 0.0 };
}

/// When a process hangs: it accepts connections, which wait, and answers neither calls nor HTTP and
/// gRPC probes. A TCP probe sees the connection, an exec probe is a process of its own: both go
/// well (rule N83).
#[derive(Clone, Debug, PartialEq)]
pub struct Hang {
    /// From when on.
    pub when: HangWhen,
    /// For how long; `None`: until the process ends.
    pub lasts: Option<Duration>,
    /// In this part of the runs, from 0 to 1, each drawn by itself.
    pub share: f64,
}

/// From when on a process hangs.
#[derive(Clone, Debug, PartialEq)]
pub enum HangWhen {
    /// From an instant of the run on, all of them together: what they all need does not answer. A
    /// process that begins later hangs for the rest of that time.
    At(SimTime),
    /// So long after it is able to serve, in seconds.
    After(Distribution),
    /// With the so-manieth call that it takes.
    Calls(u64),
}

/// What a container does on the stop signal (rule N426). One that first fails its readiness probe and
/// then drains is one that goes on accepting: a pod that is being deleted is no ready endpoint,
/// whatever its probe says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shutdown {
    /// It goes on accepting calls for this long.
    pub accept: Duration,
    /// Then it stops accepting and finishes the accepted ones, for at most this long; zero cuts
    /// them at once.
    pub drain: Duration,
    /// It does not hear the signal at all (rule N127) and lives until the end of the grace.
    pub ignores_signal: bool,
}

/// Which containers a behaviour is for. Later entries win over earlier ones, field by field, which
/// `scenario` has done: here each entry is whole.
#[derive(Clone, Debug, PartialEq)]
pub struct BehaviorRule {
    /// Of this workload only.
    pub workload: Option<Workload>,
    /// Of the container of this name only.
    pub container: Option<Symbol>,
    /// Of images that match this pattern only (`*` stands for any text).
    pub image: Option<String>,
    /// What is changed.
    pub change: BehaviorChange,
}

/// What an entry of `behaviors` changes; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BehaviorChange {
    /// See [`Behavior::start`].
    pub start: Option<Distribution>,
    /// See [`Behavior::shutdown`].
    pub shutdown: Option<Shutdown>,
    /// See [`Behavior::serve`].
    pub serve: Option<Serve>,
    /// See [`Behavior::calls`].
    pub calls: Option<Vec<Downstream>>,
    /// See [`Behavior::hang`].
    pub hang: Option<Hang>,
    /// See [`Behavior::run`].
    pub run: Option<Distribution>,
    /// See [`Behavior::exits`].
    pub exits: Option<Vec<Exit>>,
    /// See [`Behavior::cpu_idle`].
    pub cpu_idle: Option<MilliCpu>,
    /// See [`Behavior::cpu`].
    pub cpu: Option<CpuUse>,
    /// See [`Behavior::memory`].
    pub memory: Option<Bytes>,
    /// See [`Behavior::leak`].
    pub leak: Option<Bytes>,
    /// See [`Behavior::call_memory`].
    pub call_memory: Option<Bytes>,
    /// See [`Behavior::writes`].
    pub writes: Option<Writes>,
    /// See [`Behavior::logs`].
    pub logs: Option<Logs>,
    /// See [`Behavior::gates`].
    pub gates: Option<Distribution>,
    /// See [`Behavior::hook`].
    pub hook: Option<Duration>,
    /// See [`Behavior::hook_failures`].
    pub hook_failures: Option<HookFailures>,
    /// See [`Behavior::image_size`].
    pub image_size: Option<Bytes>,
    /// See [`Behavior::release`].
    pub release: Option<Release>,
}

impl BehaviorChange {
    /// Lays the change over a behaviour.
    pub fn apply(&self, to: &mut Behavior) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(value) = from {
                to.clone_from(value);
            }
        }
        set(&mut to.start, self.start.as_ref());
        set(&mut to.shutdown, self.shutdown.as_ref());
        if self.serve.is_some() {
            to.serve.clone_from(&self.serve);
        }
        set(&mut to.calls, self.calls.as_ref());
        if self.hang.is_some() {
            to.hang.clone_from(&self.hang);
        }
        if self.run.is_some() {
            to.run.clone_from(&self.run);
        }
        set(&mut to.exits, self.exits.as_ref());
        set(&mut to.cpu_idle, self.cpu_idle.as_ref());
        if self.cpu.is_some() {
            to.cpu.clone_from(&self.cpu);
        }
        set(&mut to.memory, self.memory.as_ref());
        set(&mut to.leak, self.leak.as_ref());
        set(&mut to.call_memory, self.call_memory.as_ref());
        let all = [self.memory, self.leak, self.call_memory];
        to.tells_memory |= all.iter().any(Option::is_some);
        if self.writes.is_some() {
            to.writes = self.writes;
        }
        if self.logs.is_some() {
            to.logs = self.logs;
        }
        if self.gates.is_some() {
            to.gates.clone_from(&self.gates);
        }
        set(&mut to.hook, self.hook.as_ref());
        set(&mut to.hook_failures, self.hook_failures.as_ref());
        set(&mut to.image_size, self.image_size.as_ref());
        set(&mut to.release, self.release.as_ref());
    }
}

/// What containers do: the standard, and what the scenario says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviors {
    /// What a container does when no rule says otherwise.
    pub standard: Behavior,
    /// What the scenario says; later ones win over earlier ones, field by field.
    pub rules: Vec<BehaviorRule>,
    /// The proxy of a mesh, if there is one.
    pub mesh: Option<super::Proxied>,
}

/// A pod template as `api` lowers it from its tree: a [`Template`] without what the scenario adds.
#[derive(Clone, Debug)]
pub struct PodTemplate {
    /// The labels of its pods.
    pub labels: Labels,
    /// `controller.kubernetes.io/pod-deletion-cost`; 0 if absent or invalid (rule C74).
    pub deletion_cost: i32,
    /// The specification.
    pub spec: Arc<PodSpec>,
    /// The whole template as a value tree with defaults, without the hash label.
    pub source: Arc<serde_json::Value>,
}

impl Behaviors {
    /// What a container of this name and image in this workload does, and whether a rule says how
    /// it serves.
    #[must_use]
    pub fn resolve(&self, workload: Workload, container: Symbol, image: &str) -> (Behavior, bool) {
        let mut behavior = self.standard.clone();
        let mut serves = false;
        let is_proxy = self.mesh.as_ref().is_some_and(|mesh| mesh.container == container);
        let applies = |rule: &&BehaviorRule| {
            !(is_proxy && rule.container.is_none() && rule.image.is_none())
                && rule.workload.is_none_or(|w| w == workload)
                && rule.container.is_none_or(|c| c == container)
                && rule.image.as_deref().is_none_or(|pattern| matches_pattern(pattern, image))
        };
        for rule in self.rules.iter().filter(applies) {
            serves |= rule.change.serve.is_some();
            rule.change.apply(&mut behavior);
        }
        (behavior, serves)
    }

    /// How an init container ends: as rules say that name it.
    fn exits_of(&self, workload: Workload, container: Symbol) -> Vec<Exit> {
        let names_it = |rule: &&BehaviorRule| {
            rule.workload.is_none_or(|w| w == workload) && rule.container == Some(container)
        };
        let mut own =
            self.rules.iter().filter(names_it).filter_map(|rule| rule.change.exits.as_ref());
        own.next_back().cloned().unwrap_or_default()
    }

    /// The template with what its containers do.
    ///
    /// The container that serves calls is the first for which a rule says how it serves, else the
    /// first that declares a port, else the first.
    #[must_use]
    pub fn template(&self, workload: Workload, pod: PodTemplate, names: &Interner) -> Template {
        let spec = &pod.spec;
        let resolve = |c: &Container| self.resolve(workload, c.name, names.resolve(c.image));
        let init = |c: &Container| {
            let (mut behavior, serves) = resolve(c);
            behavior.exits = self.exits_of(workload, c.name);
            (behavior, serves)
        };
        let all: Vec<(Behavior, bool)> = (spec.init_containers.iter().map(init))
            .chain(spec.containers.iter().map(resolve))
            .collect();
        let own = &all[spec.init_containers.len()..];
        let is_app = |c: &Container| self.mesh.as_ref().is_none_or(|mesh| mesh.container != c.name);
        let server = (own.iter().position(|(_, serves)| *serves))
            .or_else(|| spec.containers.iter().position(|c| !c.ports.is_empty() && is_app(c)))
            .or_else(|| spec.containers.iter().position(is_app))
            .unwrap_or(0);
        let server = own.get(server).filter(|(b, _)| b.serve.is_some()).map(|_| server);
        let PodTemplate { labels, deletion_cost, spec, source } = pod;
        Template {
            workload,
            labels,
            deletion_cost,
            spec,
            source,
            behaviors: all.into_iter().map(|(behavior, _)| Arc::new(behavior)).collect(),
            server: server.and_then(|index| u8::try_from(index).ok()),
        }
    }
}

/// Whether text matches a pattern in which `*` stands for any text.
#[must_use]
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches_pattern("*:v2", "shop/checkout:v2"));
        assert!(!matches_pattern("*:v2", "shop/checkout:v21"));
        assert!(matches_pattern("shop/*:v*", "shop/checkout:v2"));
        assert!(matches_pattern("shop/checkout:v2", "shop/checkout:v2"));
        assert!(!matches_pattern("ab*ba", "aba"));
    }
}
