//! `cluster.mesh`: a service mesh whose proxies stand in the pods' manifests.

use crate::base::{Distribution, Duration, Interner};
use crate::model::{BehaviorChange, BehaviorRule, MeshSpec, Shutdown, Template};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::MeshFile;

/// What Istio calls its proxy's container, and how long that drains.
const CONTAINER: &str = "istio-proxy";
const DRAIN: Duration = Duration::secs(5);

/// The mesh, and how its proxies start and stop when no other rule says so.
pub(super) fn lower(
    file: Option<&Spanned<MeshFile>>,
    names: &mut Interner,
) -> Option<(MeshSpec, BehaviorRule)> {
    let file = &file?.value;
    let name = file.container.as_ref().map_or(CONTAINER, |name| name.value.as_str());
    let container = names.intern(name);
    let latency = file.latency.as_ref().map_or_else(MeshSpec::latency, |law| law.0.clone());
    let start = file.start.as_ref().map(|law| law.0.clone());
    let accept = file.drain.as_ref().map_or(DRAIN, |drain| drain.value.0);
    let change = BehaviorChange {
        start: Some(start.unwrap_or_else(|| Distribution::log_normal_p99(1.0, 3.0))),
        shutdown: Some(Shutdown { accept, drain: Duration::ZERO, ignores_signal: false }),
        ..BehaviorChange::default()
    };
    let rule = BehaviorRule { workload: None, container: Some(container), image: None, change };
    Some((MeshSpec { container, latency }, rule))
}

/// A mesh that no pod is part of is hardly meant.
pub(super) fn check(
    file: Option<&Spanned<MeshFile>>,
    mesh: Option<&MeshSpec>,
    templates: &[&Template],
    names: &Interner,
    found: &mut Diagnostics,
) {
    let (Some(file), Some(mesh)) = (file, mesh) else { return };
    if templates.iter().any(|template| template.is_meshed(Some(mesh))) {
        return;
    }
    let name = names.resolve(mesh.container);
    let place = file.value.container.as_ref().map_or(file.span, |name| name.span);
    let all = templates
        .iter()
        .flat_map(|template| template.spec.init_containers.iter().chain(&template.spec.containers));
    let error = Diagnostic::error(place, format!("no pod has a container \"{name}\""));
    let error = error.with_hint("the manifests are those with the proxy: istioctl kube-inject");
    found.push(error.with_suggestion(name, all.map(|container| names.resolve(container.name))));
}
