//! The key `cpu` of a behaviour as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::file_traffic::SeriesFile;
use super::units::{Cpu, Span};

/// CPU over time whatever is called, besides what calls take: exactly one of series and steps.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct CpuFile {
    /// Whose it is; the workload's if absent, which its ready pods share evenly.
    #[serde(default)]
    pub of: CpuOfFile,
    /// Cores from a CSV file; `scale` makes cores of what the file has (of per cent of 4 cores:
    /// 0.04).
    pub series: Option<Spanned<SeriesFile>>,
    /// One value after another.
    pub steps: Option<Spanned<Vec<Spanned<CpuStepFile>>>>,
    /// After this long it begins anew; the last value stays if absent.
    pub repeat: Option<Spanned<Span>>,
}

/// Whose CPU it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CpuOfFile {
    /// The workload's: its ready pods share it evenly, each up to its limit.
    #[default]
    Workload,
    /// Each pod's.
    Pod,
}

/// CPU from some time on.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CpuStepFile {
    /// From when on; the first at 0s.
    pub at: Span,
    /// How much.
    pub cpu: Cpu,
}
