//! `kubelet` of a pool of machines: how their kubelets are set.

use crate::base::Duration;
use crate::model::KubeletSpec;
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{KubeletFile, SignalsFile};
use super::units::{Size, Span};

/// The settings, checked.
///
/// Source: kubernetes v1.36.3 pkg/kubelet/apis/config/validation/validation.go
/// `ValidateKubeletConfiguration`, pkg/kubelet/eviction/helpers.go `ParseThresholdConfig`.
pub(super) fn lower(file: Option<&Spanned<KubeletFile>>, found: &mut Diagnostics) -> KubeletSpec {
    let mut to = KubeletSpec::DEFAULT;
    let Some(file) = file else { return to };
    let size = |given: &Spanned<SignalsFile<Size>>| given.memory.value.0;
    let span = |given: &Spanned<Span>| given.value.0;
    to.eviction_hard = file.eviction_hard.as_ref().map_or(to.eviction_hard, size);
    to.eviction_reclaim = file.eviction_minimum_reclaim.as_ref().map_or(to.eviction_reclaim, size);
    to.eviction_transition =
        file.eviction_pressure_transition_period.as_ref().map_or(to.eviction_transition, span);
    to.eviction_grace_max =
        file.eviction_max_pod_grace_period.as_ref().map_or(to.eviction_grace_max, span);
    to.eviction_soft = soft(file, found);
    shutdown(file, &mut to, found);
    to
}

fn soft(file: &KubeletFile, found: &mut Diagnostics) -> Option<(crate::base::Bytes, Duration)> {
    match (&file.eviction_soft, &file.eviction_soft_grace_period) {
        (Some(soft), Some(grace)) => Some((soft.memory.value.0, grace.memory.value.0)),
        (Some(soft), None) => {
            let message = "`evictionSoft` needs an `evictionSoftGracePeriod`";
            let error = Diagnostic::error(soft.span, message);
            found.push(error.with_hint("evictionSoftGracePeriod: { memory.available: 30s }"));
            None
        }
        (None, Some(grace)) => {
            let message = "`evictionSoftGracePeriod` is of no use without `evictionSoft`";
            let error = Diagnostic::error(grace.span, message);
            found.push(error.with_hint("evictionSoft: { memory.available: 500Mi }"));
            None
        }
        (None, None) => None,
    }
}

fn shutdown(file: &KubeletFile, to: &mut KubeletSpec, found: &mut Diagnostics) {
    let KubeletFile { shutdown_grace_period, shutdown_grace_period_critical_pods, .. } = file;
    for (key, given) in [
        ("shutdownGracePeriod", shutdown_grace_period),
        ("shutdownGracePeriodCriticalPods", shutdown_grace_period_critical_pods),
    ] {
        let Some(given) = given else { continue };
        let span = given.value.0;
        if !span.is_zero() && span < Duration::secs(1) {
            let message = format!("`{key}` is 0 or at least 1 s, not {span}");
            let error = Diagnostic::error(given.span, message);
            found.push(error.with_hint("a kubelet does not start so"));
        }
    }
    let all = shutdown_grace_period.as_ref().map_or(Duration::ZERO, |given| given.value.0);
    let Some(critical) = shutdown_grace_period_critical_pods else {
        to.shutdown_grace = all;
        return;
    };
    if critical.value.0 > all {
        let message = format!(
            "`shutdownGracePeriodCriticalPods`, {}, is longer than `shutdownGracePeriod`, {all}",
            critical.value.0
        );
        let error = Diagnostic::error(critical.span, message);
        found.push(error.with_hint("it is the last part of it"));
    }
    (to.shutdown_grace, to.shutdown_grace_critical) = (all, critical.value.0);
}
