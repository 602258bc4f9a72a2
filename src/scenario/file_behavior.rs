//! `behaviors` as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file_cpu::*;
use super::file_traffic::*;
use super::law::Law;
use super::units::{Cpu, Share, Size, Span};
use crate::tree::Spanned;

/// What containers do.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct BehaviorFile {
    /// Of this workload only: `deployment/NAME`, `job/NAME`, `cronjob/NAME` …, `workload/NAME`,
    /// with `NAMESPACE/` before the name if it is not `default`.
    #[serde(rename = "for")]
    pub target: Option<Spanned<String>>,
    /// Of the container of this name only.
    pub container: Option<Spanned<String>>,
    /// Of images that match this pattern only; `*` stands for any text.
    pub image: Option<Spanned<String>>,
    /// From the start of the process until it can serve; of an init container or a pod that ends,
    /// see `run`.
    pub start: Option<Law>,
    /// What it does on SIGTERM.
    pub shutdown: Option<ShutdownFile>,
    /// How it serves calls.
    pub serve: Option<Spanned<ServeFile>>,
    /// Calls that it makes while it serves one, in order.
    pub calls: Option<Vec<Spanned<DownstreamFile>>>,
    /// When it hangs: its process is there and answers nothing.
    pub hang: Option<Spanned<HangFile>>,
    /// How long it runs before it exits.
    pub run: Option<Law>,
    /// With which code it exits then: the first entry that applies, else 0. An init container
    /// exits 0 unless an entry names it with `container`.
    pub exit: Option<Vec<Spanned<ExitFile>>>,
    /// CPU without any call.
    pub cpu_idle: Option<Cpu>,
    /// CPU over time whatever is called: a recorded series, or steps.
    pub cpu: Option<Spanned<CpuFile>>,
    /// Memory in use from its start on. A container is killed when it has more than its limit
    /// (`OOMKilled`), and pods are evicted from a node whose memory runs out. One of which nothing
    /// is said here stays within what it asks for.
    pub memory: Option<Size>,
    /// Memory that it takes more, a second.
    pub leak: Option<Size>,
    /// Memory that each call takes while it is served or waits.
    pub memory_per_call: Option<Size>,
    /// What it writes to the disk of its node. A pod that has more there than the limits of its
    /// containers, or a volume than its `sizeLimit`, is evicted.
    pub writes: Option<WritesFile>,
    /// What it logs, to standard output: the kubelet keeps `containerLogMaxFiles` files of
    /// `containerLogMaxSize` of it. It counts as what it writes does.
    pub logs: Option<LogsFile>,
    /// From the instant at which its pod has an address until the pod's readiness gates are open,
    /// as by the controller of a load balancer; without it they never are.
    pub gates: Option<Law>,
    /// How long its exec hooks take when their command does not say.
    pub hook: Option<Span>,
    /// Which part of its hooks fail: a failed postStart kills the container, a failed preStop is an
    /// event.
    pub hook_fails: Option<HookFailsFile>,
    /// Compressed size of its image.
    pub image_size: Option<Size>,
    /// What is particular to this release of it.
    pub release: Option<Spanned<ReleaseFile>>,
}

/// When a process hangs: exactly one of `at`, `after` and `calls`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HangFile {
    /// From this instant of the run on, all of them together.
    pub at: Option<Span>,
    /// So long after it is able to serve.
    pub after: Option<Law>,
    /// With the so-manieth call that it takes.
    pub calls: Option<u64>,
    /// For how long; else until the process ends.
    pub lasts: Option<Span>,
    /// In this part of its runs, each drawn by itself; else in all.
    pub share: Option<Share>,
}

/// An end with another code than 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct ExitFile {
    /// The code, from 1 to 255.
    pub code: u8,
    /// Of pods with these completion indexes only.
    pub indexes: Option<Vec<u32>>,
    /// In this part of the runs, each drawn by itself; else in all.
    pub share: Option<Share>,
    /// In so many of its first runs on each pod only; else in all.
    pub runs: Option<u32>,
}

/// Which part of a container's hooks fail, each drawn by itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default)]
pub struct HookFailsFile {
    /// Of postStart.
    pub post_start: Option<Share>,
    /// Of preStop.
    pub pre_stop: Option<Share>,
}

/// What a container writes to the disk of its node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default)]
pub struct WritesFile {
    /// As it starts.
    pub start: Option<Size>,
    /// More, a second.
    pub rate: Option<Size>,
    /// More, for each call that it takes.
    pub per_call: Option<Size>,
    /// Into which `emptyDir` volume of its pod; without it into its own layer.
    pub volume: Option<Spanned<String>>,
}

/// What a container logs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default)]
pub struct LogsFile {
    /// A second.
    pub rate: Option<Size>,
    /// For each call that it takes.
    pub per_call: Option<Size>,
}

/// What a container does on SIGTERM.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default)]
pub struct ShutdownFile {
    /// It goes on accepting calls for this long.
    pub accept: Option<Span>,
    /// Then it finishes accepted calls for at most this long.
    pub drain: Option<Span>,
    /// It does not hear SIGTERM at all.
    pub ignores_signal: bool,
}
