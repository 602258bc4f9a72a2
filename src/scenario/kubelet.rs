//! `kubelet` of a pool of machines: how their kubelets are set.

use crate::base::{Bytes, Duration};
use crate::model::{DiskSpec, Eviction, KubeletSpec, Limit, LogRoom, Signal};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{DiskFile, KubeletFile, ShutdownGroupFile, SignalsFile};
use super::units::{Room, Span};

/// The settings, checked.
///
/// Source: kubernetes v1.36.3 pkg/kubelet/apis/config/validation/validation.go
/// `ValidateKubeletConfiguration`, pkg/kubelet/eviction/helpers.go `ParseThresholdConfig`.
pub(super) fn lower(file: Option<&Spanned<KubeletFile>>, found: &mut Diagnostics) -> KubeletSpec {
    let mut to = KubeletSpec::DEFAULT;
    let Some(file) = file else { return to };
    let span = |given: &Spanned<Span>| given.value.0;
    for (eviction, signal) in to.eviction.iter_mut().zip(Signal::ALL) {
        lower_eviction(eviction, signal, file, found);
    }
    for given in [&file.eviction_hard, &file.eviction_soft, &file.eviction_minimum_reclaim] {
        warn_of_inodes(given.as_ref(), found);
    }
    to.eviction_transition =
        file.eviction_pressure_transition_period.as_ref().map_or(to.eviction_transition, span);
    to.eviction_grace_max =
        file.eviction_max_pod_grace_period.as_ref().map_or(to.eviction_grace_max, span);
    shutdown(file, &mut to, found);
    images(file, &mut to, found);
    to.logs = logs(file, found);
    by_priority(file, &mut to, found);
    pulls(file, &mut to, found);
    if let Some(crash) = &file.crash_loop_back_off {
        let given = &crash.max_container_restart_period;
        to.backoff_max = given.value.0;
        if !(Duration::secs(1)..=Duration::secs(300)).contains(&to.backoff_max) {
            let message =
                format!("`maxContainerRestartPeriod` is from 1 s to 300 s, not {}", to.backoff_max);
            found.push(
                Diagnostic::error(given.span, message).with_hint("a kubelet does not start so"),
            );
        }
    }
    to
}

fn of<T>(given: Option<&Spanned<SignalsFile<T>>>, signal: Signal) -> Option<&Spanned<T>> {
    let given = &given?.value;
    match signal {
        Signal::Memory => given.memory.as_ref(),
        Signal::NodeFs => given.nodefs.as_ref(),
        Signal::ImageFs => given.imagefs.as_ref(),
    }
}

/// Thresholds of inodes have no effect.
fn warn_of_inodes<T>(given: Option<&Spanned<SignalsFile<T>>>, found: &mut Diagnostics) {
    let Some(SignalsFile { nodefs_inodes, imagefs_inodes, .. }) = given.map(|given| &given.value)
    else {
        return;
    };
    for inodes in [nodefs_inodes, imagefs_inodes].into_iter().flatten() {
        let warning = Diagnostic::warning(inodes.span, "inodes are not modelled");
        found.push(warning.with_hint("it has no effect"));
    }
}

/// Thresholds of a signal. One that `evictionHard` does not name has none, unless defaults are
/// merged.
fn lower_eviction(to: &mut Eviction, signal: Signal, file: &KubeletFile, found: &mut Diagnostics) {
    let mut limit = |given: &Spanned<Room>| {
        let is_share = matches!(given.value.0, Limit::Share(_));
        if signal == Signal::Memory && is_share {
            let error = Diagnostic::error(given.span, "a part of a machine's memory is not known");
            found.push(error.with_hint("write an amount, as in memory.available: 500Mi"));
        }
        given.value.0
    };
    if let Some(hard) = of(file.eviction_hard.as_ref(), signal) {
        to.hard = Some(limit(hard));
    } else if file.eviction_hard.is_some() && file.merge_default_eviction_settings != Some(true) {
        to.hard = None;
    }
    if let Some(reclaim) = of(file.eviction_minimum_reclaim.as_ref(), signal) {
        to.reclaim = limit(reclaim);
    }
    let soft = of(file.eviction_soft.as_ref(), signal).map(|soft| (limit(soft), soft.span));
    let grace = of(file.eviction_soft_grace_period.as_ref(), signal);
    let name = signal.as_str();
    match (soft, grace) {
        (Some((soft, _)), Some(grace)) => to.soft = Some((soft, grace.value.0)),
        (Some((_, place)), None) => {
            let message = "`evictionSoft` needs an `evictionSoftGracePeriod`";
            let hint = format!("evictionSoftGracePeriod: {{ {name}: 30s }}");
            found.push(Diagnostic::error(place, message).with_hint(hint));
        }
        (None, Some(grace)) => {
            let message = "`evictionSoftGracePeriod` is of no use without `evictionSoft`";
            let hint = format!("evictionSoft: {{ {name}: 500Mi }}");
            found.push(Diagnostic::error(grace.span, message).with_hint(hint));
        }
        (None, None) => {}
    }
}

/// When images are removed.
fn images(file: &KubeletFile, to: &mut KubeletSpec, found: &mut Diagnostics) {
    let mut percent = |key: &str, given: &Option<Spanned<u8>>, default: u8| {
        let Some(given) = given else { return default };
        if given.value > 100 {
            found.error(given.span, format!("`{key}` is from 0 to 100, not {}", given.value));
        }
        given.value
    };
    let high = percent("imageGCHighThresholdPercent", &file.image_high, to.images.high);
    let low = percent("imageGCLowThresholdPercent", &file.image_low, to.images.low);
    if low >= high {
        let place = file.image_low.as_ref().or(file.image_high.as_ref());
        if let Some(place) = place {
            let message = format!(
                "`imageGCLowThresholdPercent`, {low}, is not below `imageGCHighThresholdPercent`, \
                 {high}"
            );
            let error = Diagnostic::error(place.span, message);
            found.push(error.with_hint("images are removed from the higher down to the lower"));
        }
    }
    (to.images.high, to.images.low) = (high, low);
    if let Some(age) = &file.image_age_min {
        to.images.age_min = age.value.0;
    }
}

/// How much of a container's logs is kept.
fn logs(file: &KubeletFile, found: &mut Diagnostics) -> LogRoom {
    let mut to = KubeletSpec::DEFAULT.logs;
    if let Some(files) = &file.container_log_max_files {
        if files.value < 2 {
            let message = format!("`containerLogMaxFiles` is at least 2, not {}", files.value);
            let error = Diagnostic::error(files.span, message);
            found.push(error.with_hint("the file that is written, and one that was rotated"));
        }
        to.files_max = files.value;
    }
    if let Some(size) = &file.container_log_max_size {
        if size.value.0.0 <= 0 {
            found.error(size.span, "`containerLogMaxSize` is more than 0".to_owned());
        }
        to.size_max = size.value.0;
    }
    to
}

/// The disk of a machine; without one what pods can have of it says how large it is.
pub(super) fn disk(
    file: Option<&Spanned<DiskFile>>,
    (kubelet, allocatable): (&KubeletSpec, &mut Bytes),
    found: &mut Diagnostics,
) -> Option<DiskSpec> {
    let Some(file) = file else { return kubelet.disk_of(*allocatable) };
    let DiskFile { nodefs, imagefs, system } = &file.value;
    for size in [Some(nodefs), imagefs.as_ref()].into_iter().flatten() {
        if size.value.0.0 <= 0 {
            let error = Diagnostic::error(size.span, "a file system has a size");
            found.push(error.with_hint("nodefs: 100Gi"));
        }
    }
    let disk = DiskSpec {
        nodefs: nodefs.value.0,
        imagefs: imagefs.as_ref().map(|size| size.value.0),
        system: system.as_ref().map_or(Bytes(0), |size| size.value.0),
    };
    if let Some(system) = system
        && disk.system > disk.nodefs
    {
        let message = format!("{} do not fit on a disk of {}", disk.system, disk.nodefs);
        found.error(system.span, message);
    }
    if allocatable.0 == 0 {
        *allocatable = kubelet.allocatable_of(&disk);
    } else if *allocatable > disk.nodefs {
        let message = format!("pods can have {allocatable} of a disk that has {}", disk.nodefs);
        let error = Diagnostic::error(nodefs.span, message);
        found.push(error.with_hint("leave ephemeral-storage out of allocatable: it follows"));
    }
    Some(disk)
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

/// Rules N60, N62.
fn pulls(file: &KubeletFile, to: &mut KubeletSpec, found: &mut Diagnostics) {
    let most = file.max_parallel_image_pulls.as_ref();
    let is_parallel = most.is_some_and(|most| most.value >= 2);
    to.serialize_pulls = file.serialize_image_pulls.unwrap_or(!is_parallel);
    to.parallel_pulls_max = most.map(|most| most.value);
    to.pulls_per_second = file.registry_pull_qps.unwrap_or(to.pulls_per_second);
    to.pulls_burst = file.registry_burst.unwrap_or(to.pulls_burst);
    let Some(most) = most else { return };
    if most.value == 0 {
        let error = Diagnostic::error(most.span, "`maxParallelImagePulls` is at least 1");
        found.push(error.with_hint("a kubelet does not start so"));
    } else if to.serialize_pulls && is_parallel {
        let message = "more than one image is pulled at a time, and `serializeImagePulls` is true";
        let error = Diagnostic::error(most.span, message);
        found.push(error.with_hint("leave serializeImagePulls out, or set it to false"));
    }
}

/// Rule N132.
fn by_priority(file: &KubeletFile, to: &mut KubeletSpec, found: &mut Diagnostics) {
    let Some(groups) = &file.shutdown_grace_period_by_pod_priority else { return };
    if !to.shutdown_grace.is_zero() || !to.shutdown_grace_critical.is_zero() {
        let message =
            "`shutdownGracePeriodByPodPriority` and `shutdownGracePeriod` exclude each other";
        let error = Diagnostic::error(groups.span, message);
        found.push(error.with_hint("a kubelet does not start so"));
    }
    let of = |group: &ShutdownGroupFile| {
        (group.priority, Duration::secs(group.shutdown_grace_period_seconds.into()))
    };
    to.shutdown_by_priority = groups.value.iter().map(of).collect();
    to.shutdown_by_priority.sort_by_key(|(priority, _)| *priority);
}
