//! The part of the scenario file about ingress proxies.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::law::Law;
use super::units::Span;

/// The proxies that serve Ingresses; what is left out is as ingress-nginx has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct IngressFile {
    /// Whose pods they are: `deployment/NAME` or `daemonset/NAME`, with `NAMESPACE/` before the name
    /// if it is not `default`; a Service must lead to them. Without it they stand outside the
    /// cluster and never end.
    pub workload: Option<Spanned<String>>,
    /// How many stand outside the cluster; 2 if absent.
    pub proxies: Option<Spanned<u32>>,
    /// Processes of each proxy, each with connections and a turn of its own; 2 if absent.
    pub workers: Option<Spanned<u32>>,
    /// How a proxy finds pods: `dynamic` if absent.
    pub endpoints: Option<FindsFile>,
    /// How a proxy chooses one of the pods: `round-robin` if absent.
    pub balance: Option<Spanned<IngressBalanceFile>>,
    /// From one look at the endpoints to the next at least: 3.33s if absent (0.3 a second).
    pub sync: Option<Spanned<Span>>,
    /// `dynamic`: how often a process takes over what was found; 1s if absent.
    pub poll: Option<Spanned<Span>>,
    /// Until the new processes of a reload have started; about 0.3s if absent. Another
    /// configuration (a host, a path, an annotation) needs one, with `reload` new endpoints too.
    pub reload: Option<Law>,
    /// How long the old processes may finish their calls after a reload; 240s if absent.
    pub drain: Option<Spanned<Span>>,
    /// How long a connection to a pod is waited for; 5s if absent.
    pub connect_timeout: Option<Spanned<Span>>,
    /// How long an answer of a pod is waited for; 60s if absent.
    pub read_timeout: Option<Spanned<Span>>,
    /// Pods that a call is sent to at most, one after another; 3 if absent.
    pub tries: Option<Spanned<u32>>,
    /// Connections to pods that each process keeps without a call; 320 if absent, 0: none.
    pub keep_alive: Option<Spanned<u32>>,
    /// How long it keeps one; 60s if absent.
    pub keep_alive_timeout: Option<Spanned<Span>>,
}

/// How a proxy finds pods.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindsFile {
    /// It follows the endpoints, and its processes take them over while they run.
    Dynamic,
    /// It follows the endpoints, and reloads for new ones: new processes start, the old ones finish
    /// their calls.
    Reload,
    /// It calls the Service, and a kube-proxy chooses (`service-upstream`).
    Service,
}

/// How a proxy chooses one of the pods that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IngressBalanceFile {
    /// In turn.
    RoundRobin,
    /// Of two drawn at random the one whose answers have come sooner of late.
    Ewma,
}
