//! The part of the scenario file about a service mesh.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::file_traffic::{BackOffFile, BudgetFile, EjectionFile};
use super::law::Law;
use super::units::{Amount, Share, Span};

/// A service mesh: pods that have a container of this name, by their manifests or by `injection`,
/// send and get all their calls through it, as a native sidecar (an init container with
/// `restartPolicy: Always`) or as an ordinary container. What is left out is as Istio has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MeshFile {
    /// The proxy's container: `istio-proxy` if absent.
    pub container: Option<Spanned<String>>,
    /// What puts the proxy into pods as they are made; without it their manifests have it.
    pub injection: Option<Spanned<InjectionFile>>,
    /// What a pair of proxies adds to a call there and back; about 1 ms, 2.7 ms at p99, if absent.
    pub latency: Option<Law>,
    /// From the start of a proxy until it takes calls; about 1s if absent.
    pub start: Option<Law>,
    /// How long a proxy still takes calls after SIGTERM: 5s if absent
    /// (`terminationDrainDuration`, `MINIMUM_DRAIN_DURATION`).
    pub drain: Option<Spanned<Span>>,
    /// Whether it then waits for the calls of its pod (`EXIT_ON_ZERO_ACTIVE_CONNECTIONS`); `false`
    /// if absent.
    pub exit_when_idle: Option<bool>,
    /// How proxies are told of endpoints.
    pub push: Option<Spanned<PushFile>>,
    /// How the proxy of a pod that calls chooses a pod: `least-request` if absent.
    pub balance: Option<BalanceFile>,
    /// For how long a pod that comes new gets fewer calls: a tenth of its share at first, then as
    /// its age grows (`warmup.duration`); not at all if absent.
    pub warmup: Option<Spanned<Span>>,
    /// What follows when the pod fails: two more tries at others if absent.
    pub retries: Option<Spanned<MeshRetriesFile>>,
    /// When a proxy leaves pods alone that fail (`outlierDetection`); never if absent.
    pub ejection: Option<Spanned<EjectionFile>>,
    /// Below this part of pods that are not left alone all are used; 0% if absent
    /// (`minHealthPercent`).
    pub panic: Option<Share>,
    /// Calls of a proxy to a Service that may be under way; more get 503 (`http2MaxRequests`).
    /// Without it any number may.
    pub calls_max: Option<Spanned<u32>>,
    /// How long a connection to a pod is waited for; 10s if absent.
    pub connect_timeout: Option<Spanned<Span>>,
    /// Whether proxies speak TLS with each other: one round trip more for a new connection; `true`
    /// if absent.
    pub mtls: Option<bool>,
}

/// What puts the proxy's container into pods as they are made: those of the namespaces, less those
/// with the label `sidecar.istio.io/inject: "false"`, and those with `"true"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InjectionFile {
    /// Namespaces whose pods get it; if absent those whose Namespace among the manifests has the
    /// label `istio-injection: enabled`.
    pub namespaces: Option<Vec<String>>,
    /// What it is: `native-sidecar` if absent.
    pub kind: Option<Spanned<InjectedFile>>,
    /// `container`: whether the other containers wait for it (`holdApplicationUntilProxyStarts`);
    /// `false` if absent.
    pub hold_application: Option<Spanned<bool>>,
    /// The command of its preStop hook. `sleep` is understood, and so is what stops the proxy:
    /// `kill`, `pkill`, `quitquitquit`.
    pub pre_stop: Option<Vec<String>>,
    /// The CPU that it asks for: 100m if absent.
    pub cpu: Option<Amount>,
    /// The memory that it asks for: 128Mi if absent.
    pub memory: Option<Amount>,
}

/// What an injected proxy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InjectedFile {
    /// An init container with `restartPolicy: Always`: it starts before the others and ends after
    /// them.
    NativeSidecar,
    /// A container beside the others: all get SIGTERM together.
    Container,
}

/// How the control plane tells proxies of endpoints.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PushFile {
    /// It waits until nothing has changed for so long: 100ms if absent (`PILOT_DEBOUNCE_AFTER`).
    pub debounce: Option<Spanned<Span>>,
    /// But not longer than this after the first change: 10s if absent (`PILOT_DEBOUNCE_MAX`).
    pub debounce_max: Option<Spanned<Span>>,
    /// From then on until a proxy uses what it is told; about 20 ms, 200 ms at p99, if absent.
    pub takes: Option<Law>,
}

/// How a proxy chooses a pod.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BalanceFile {
    /// Of two at random the one with fewer calls of this proxy.
    LeastRequest,
    /// One after another.
    RoundRobin,
    /// Any.
    Random,
}

/// What a proxy does when the pod that it has called fails.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MeshRetriesFile {
    /// More tries after the first, each at another pod if there is one; 2 if absent, 0: none.
    pub attempts: Option<Spanned<u32>>,
    /// How long each try is waited for; as long as the app waits if absent.
    pub per_try_timeout: Option<Spanned<Span>>,
    /// After what, in Envoy's words: connect-failure, refused-stream, unavailable, cancelled and 503
    /// if absent; reset, gateway-error and 5xx are known besides.
    pub on: Option<Vec<Spanned<String>>>,
    /// Whether calls that are not idempotent (`method: POST`) are sent again after they were sent;
    /// `false` if absent.
    pub resend: Option<bool>,
    /// How long before each: Envoy's 25 ms to 250 ms if absent.
    pub back_off: Option<Spanned<BackOffFile>>,
    /// What bounds the tries of all calls of a proxy to a Service together; nothing if absent.
    pub budget: Option<Spanned<BudgetFile>>,
}
