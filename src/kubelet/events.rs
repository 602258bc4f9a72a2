//! Kubernetes Events of kubelets, in their words.

use super::host::Port;
use super::machine::{Kill, Outcome, Say, Slot, Which};
use crate::api::Kind;
use crate::base::Symbol;
use crate::model::{ConfigRef, ObjectName, Pressure};
use crate::record::{About, EventRecord};

impl Port<'_, '_> {
    /// Tells an event about a pod.
    pub(super) fn tell(&mut self, slot: Slot, container: Option<u8>, say: Say) {
        let Some(row) = self.state.row(slot) else { return };
        let names = self.cluster.names();
        let (mut own, mut image) = ("", "");
        if let Some(c) = container {
            let spec = row.spec(c);
            (own, image) = (names.resolve(spec.name), names.resolve(spec.image));
        }
        let (is_warning, reason, mut message) = worded(say, own, image);
        if say == Say::StartFailed("CreateContainerConfigError")
            && let Some(config) = self.missing_config(slot, container)
        {
            message = self.missing_text(config, row.name.0);
        }
        if say == Say::MountTimedOut {
            message = self.waits_text(slot);
        }
        if say == Say::MountFailed {
            // A disk that is not there yet is no failure.
            let Some(config) = self.missing_config(slot, None) else { return };
            let text = self.missing_text(config, row.name.0);
            message = text.replacen("Error", "MountVolume.SetUp failed", 1);
        }
        if say == Say::SandboxFailed
            && let Some(text) = self.no_address_text(slot)
        {
            message = text;
        }
        let about = About::Pod(row.name.0, row.name.1);
        self.ctx.recorder.event(EventRecord { at: self.now, is_warning, reason, about, message });
    }

    /// What is not there: the object, or else the key in it.
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/kubelet_pods.go `makeEnvironmentVariables`,
    /// pkg/volume/configmap/configmap.go `MakePayload`.
    fn missing_text(&self, config: ConfigRef, namespace: Symbol) -> String {
        let names = self.cluster.names();
        let name = names.resolve(config.name);
        let object = ObjectName { namespace, name: config.name };
        let (kind, text, lower) = match config.is_secret {
            true => (Kind::Secret, "Secret", "secret"),
            false => (Kind::ConfigMap, "ConfigMap", "configmap"),
        };
        match config.key.filter(|_| self.cluster.tree(kind, object).is_some()) {
            Some(key) => {
                let (key, namespace) = (names.resolve(key), names.resolve(namespace));
                if config.is_mounted() {
                    let what = if config.is_secret { "secret" } else { "config" };
                    return format!("Error: references non-existent {what} key: {key}");
                }
                format!("Error: couldn't find key {key} in {text} {namespace}/{name}")
            }
            None => format!("Error: {lower} \"{name}\" not found"),
        }
    }
}

/// Whether it is a warning, the reason, and the text; of a container of this name and image.
fn worded(say: Say, own: &str, image: &str) -> (bool, &'static str, String) {
    let normal = |reason, text: String| (false, reason, text);
    let warning = |reason, text: String| (true, reason, text);
    match say {
        Say::Pulling => normal("Pulling", format!("Pulling image \"{image}\"")),
        Say::Pulled { .. } => normal("Pulled", format!("Successfully pulled image \"{image}\"")),
        Say::Present => {
            normal("Pulled", format!("Container image \"{image}\" already present on machine"))
        }
        Say::PullFailed => warning("Failed", format!("Failed to pull image \"{image}\"")),
        Say::PullQps => {
            warning("Failed", format!("Failed to pull image \"{image}\": pull QPS exceeded"))
        }
        Say::PullBackOff => normal("BackOff", format!("Back-off pulling image \"{image}\"")),
        Say::NeverPull => {
            warning("ErrImageNeverPull", format!("Container image \"{image}\" is not present"))
        }
        Say::StartFailed(reason) => warning("Failed", format!("Error: {reason}")),
        Say::CreateFailed | Say::RunFailed => {
            warning("Failed", format!("Error: container {own} cannot be started"))
        }
        Say::Created => normal("Created", format!("Created container: {own}")),
        Say::Started => normal("Started", format!("Started container {own}")),
        Say::PostStartFailed => warning("FailedPostStartHook", "PostStartHook failed".to_owned()),
        Say::PreStopFailed => warning("FailedPreStopHook", "PreStopHook failed".to_owned()),
        Say::Killing(kill) => normal("Killing", killing(kill, own)),
        Say::CrashBackOff => {
            warning("BackOff", format!("Back-off restarting failed container {own}"))
        }
        Say::Unhealthy(which, outcome) => {
            let late = if outcome == Outcome::TimedOut { ": no answer in time" } else { "" };
            warning("Unhealthy", format!("{} probe failed{late}", probe(which)))
        }
        Say::SandboxFailed => warning(
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: the network plugin failed".to_owned(),
        ),
        Say::SandboxChanged => normal(
            "SandboxChanged",
            "Pod sandbox changed, it will be killed and re-created.".to_owned(),
        ),
        Say::KillFailed => warning("FailedKillPod", "Error killing pod".to_owned()),
        Say::DeadlineExceeded => normal(
            "DeadlineExceeded",
            "Pod was active on the node longer than the specified deadline".to_owned(),
        ),
        Say::Rejected("Evicted", [conditions, ..]) => {
            let is_on = |of: &Pressure| conditions & 1 << (*of as i64) != 0;
            let all = Pressure::ALL.into_iter().filter(is_on).map(Pressure::as_str);
            let all = all.collect::<Vec<_>>().join(" ");
            warning("Evicted", format!("The node had condition: [{all}]. "))
        }
        Say::Rejected("NodeShutdown", _) => {
            warning("NodeShutdown", "Pod was rejected as the node is shutting down.".to_owned())
        }
        Say::Rejected(reason, numbers) => warning(reason, rejected(reason, numbers)),
        Say::MountFailed | Say::MountTimedOut => {
            warning("FailedMount", "MountVolume.SetUp failed".to_owned())
        }
        Say::Preempting => {
            warning("Preempting", "Preempted in order to admit critical pod".to_owned())
        }
    }
}

/// Source: kubernetes v1.36.3 pkg/kubelet/lifecycle/predicate.go `InsufficientResourceError`,
/// `PredicateFailureError` (rule N42).
fn rejected(reason: &str, [asked, used, has]: [i64; 3]) -> String {
    match (reason, reason.strip_prefix("OutOf")) {
        (_, Some(name)) => format!(
            "Node didn't have enough resource: {name}, requested: {asked}, used: {used}, \
             capacity: {has}"
        ),
        ("NodeAffinity", _) => {
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
                .to_owned()
        }
        ("NodePorts", _) => {
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
                .to_owned()
        }
        ("TaintToleration", _) => {
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
                .to_owned()
        }
        _ => "Pod was rejected by the kubelet".to_owned(),
    }
}

fn killing(kill: Kill, own: &str) -> String {
    match kill {
        Kill::Stopping | Kill::Plain => format!("Stopping container {own}"),
        Kill::Resize => format!("Container {own} resize requires restart"),
        Kill::Liveness => format!("Container {own} failed liveness probe"),
        Kill::Startup => format!("Container {own} failed startup probe"),
        Kill::PostStart => format!("Container {own} failed its postStart hook"),
    }
}

const fn probe(which: Which) -> &'static str {
    match which {
        Which::Readiness => "Readiness",
        Which::Liveness => "Liveness",
        Which::Startup => "Startup",
    }
}
