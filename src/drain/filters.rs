//! Which pods of a node `kubectl drain` takes, and which keep it from beginning.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/kubectl/pkg/drain/filters.go `makeFilters`
//! (rule C158).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::{Cluster, Pod};
use crate::model::{DrainOptions, OwnerRef, PodId, Selector};

/// What the filters say of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes.
    Goes,
    /// It stays, and the drain goes on.
    Stays,
    /// It keeps all pods of its node from going; with the reason.
    Fatal(String),
}

const DAEMON_SET: &str = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)";
const LOCAL_STORAGE: &str = "Pods with local storage (use --delete-emptydir-data to override)";
const UNMANAGED: &str = "cannot delete Pods that declare no controller (use --force to override)";

/// The first filter that does not let a pod go decides: overdue deletion, DaemonSet, mirror pod,
/// local storage, no controller.
pub(super) fn judge(pod: &Pod, options: &DrainOptions, cluster: &Cluster) -> Verdict {
    let source = &cluster.template_of(pod).template.source;
    if is_overdue(pod, options, cluster) {
        return Verdict::Stays;
    }
    if let Some(OwnerRef::DaemonSet(set)) = pod.owner.filter(|_| !pod.is_terminal()) {
        match (cluster.daemon_sets().get(set), options) {
            (None, DrainOptions { force: false, .. }) => {
                let workload = cluster.template_of(pod).template.workload.name.name;
                let name = cluster.names().resolve(workload);
                return Verdict::Fatal(format!("daemonsets.apps {name:?} not found"));
            }
            (None, _) => {}
            (Some(_), DrainOptions { ignore_daemon_sets: false, .. }) => {
                return Verdict::Fatal(DAEMON_SET.to_owned());
            }
            (Some(_), _) => return Verdict::Stays,
        }
    }
    if source["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        return Verdict::Stays;
    }
    if pod.is_terminal() {
        return Verdict::Goes;
    }
    if has_local_storage(source) && !options.delete_empty_dir_data {
        return Verdict::Fatal(LOCAL_STORAGE.to_owned());
    }
    if pod.owner.is_none() && !options.force {
        return Verdict::Fatal(UNMANAGED.to_owned());
    }
    Verdict::Goes
}

/// Whether a pod's deletion has been overdue for so long that nobody waits for it.
pub(super) fn is_overdue(pod: &Pod, options: &DrainOptions, cluster: &Cluster) -> bool {
    let deadline = pod.deletion.map(|deletion| deletion.requested + deletion.grace);
    options.skip_wait > 0
        && deadline.is_some_and(|deadline| {
            cluster.now().saturating_since(deadline).whole_secs() > options.skip_wait
        })
}

fn has_local_storage(source: &Value) -> bool {
    let volumes = source["spec"]["volumes"].as_array();
    volumes.into_iter().flatten().any(|volume| volume["emptyDir"].is_object())
}

/// The pods of a node that go, in order of namespace and name as the API server lists them.
///
/// # Errors
/// In kubectl's words, if one of them must not go: then none does.
pub(super) fn victims<'c>(
    pods: impl Iterator<Item = (PodId, &'c Pod)>,
    selector: Option<&Selector>,
    options: &DrainOptions,
    cluster: &'c Cluster,
) -> Result<Vec<(PodId, &'c Pod)>, String> {
    let names = cluster.names();
    let is_asked_for = |(_, pod): &(PodId, &Pod)| {
        selector.is_none_or(|selector| selector.matches(&cluster.template_of(pod).labels, names))
    };
    let mut listed: Vec<(&str, String, (PodId, &Pod))> = pods
        .filter(is_asked_for)
        .map(|(id, pod)| (names.resolve(pod.namespace), pod.name.text(names), (id, pod)))
        .collect();
    listed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut going = Vec::new();
    let mut fatal: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (namespace, name, (id, pod)) in listed {
        match judge(pod, options, cluster) {
            Verdict::Goes => going.push((id, pod)),
            Verdict::Stays => {}
            Verdict::Fatal(why) => {
                fatal.entry(why).or_default().push(format!("{namespace}/{name}"));
            }
        }
    }
    if fatal.is_empty() {
        return Ok(going);
    }
    let error = |(why, pods): (&String, &Vec<String>)| {
        let pods = pods.join(", ");
        if why.starts_with("cannot delete") {
            return format!("{why}: {pods}");
        }
        format!("cannot delete {why}: {pods}")
    };
    Err(aggregate(&fatal.iter().map(error).collect::<Vec<_>>()))
}

/// Several errors as one.
///
/// Source: kubernetes v1.36.3 apimachinery/pkg/util/errors/errors.go `aggregate.Error`.
pub(super) fn aggregate(errors: &[String]) -> String {
    let mut each: Vec<&str> = Vec::new();
    for error in errors {
        if !each.contains(&error.as_str()) {
            each.push(error);
        }
    }
    match each.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("[{}]", many.join(", ")),
    }
}
