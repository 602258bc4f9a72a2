//! What `kubectl drain` is asked for.

use crate::base::{Duration, Symbol};

/// The nodes and flags of `kubectl drain` (rules C157 to C160).
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainOptions {
    /// The nodes that are named, in order.
    pub nodes: Vec<Symbol>,
    /// `--selector`: all nodes with these labels, in order of names, in place of named ones.
    pub selector: Option<String>,
    /// `--pod-selector`: only pods with these labels.
    pub pod_selector: Option<String>,
    /// `--force`: pods without controller too.
    pub force: bool,
    /// `--ignore-daemonsets`: their pods stay, and keep nothing from going.
    pub ignore_daemon_sets: bool,
    /// `--delete-emptydir-data`: pods with local storage too.
    pub delete_empty_dir_data: bool,
    /// `--disable-eviction`: plain deletes, no budget is asked.
    pub disable_eviction: bool,
    /// `--grace-period`; `None` (a negative one): each pod's own.
    pub grace: Option<Duration>,
    /// `--timeout`, a node; zero: for ever.
    pub timeout: Duration,
    /// `--skip-wait-for-delete-timeout` in seconds: pods whose deletion is overdue for longer are
    /// not waited for; 0: all are.
    pub skip_wait: u64,
}
