//! `cluster.dns`, `cluster.loadBalancer` and `cluster.registry`: what stands around the nodes.

use crate::base::{Duration, SimTime};
use crate::model::{BalancerSpec, Dns, Outage, Regressions};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::TargetsFile;
use super::file::{BalancerFile, DnsFile, OutageFile, RegistryFile, RegressionsFile};

/// Checks in a row that say the other thing, at most.
const CHECKS_MAX: u32 = 100;

/// The settings of the cluster's DNS.
pub(super) fn dns(file: Option<&DnsFile>, found: &mut Diagnostics) -> Dns {
    let mut to = Dns::DEFAULT;
    let Some(file) = file else { return to };
    let spans = [
        (&file.ttl, &mut to.ttl),
        (&file.cache, &mut to.cache),
        (&file.negative, &mut to.negative),
    ];
    for (given, to) in spans {
        if let Some(given) = given {
            *to = given.value.0;
        }
    }
    if let Some(ttl) = file.ttl.as_ref().filter(|ttl| ttl.value.0 > Duration::hours(1)) {
        let message = format!("`ttl` is at most an hour, not {}", ttl.value);
        let hint = "CoreDNS' kubernetes plugin takes 0 to 3600 seconds";
        found.push(Diagnostic::error(ttl.span, message).with_hint(hint));
    }
    to
}

/// The load balancer, checked; `None`: one that knows all at once.
pub(super) fn balancer(
    file: Option<&Spanned<BalancerFile>>,
    found: &mut Diagnostics,
) -> Option<BalancerSpec> {
    let file = &file?.value;
    let is_pods = matches!(file.targets, Some(TargetsFile::Pods));
    let mut to = if is_pods { BalancerSpec::pods() } else { BalancerSpec::plain() };
    if let Some(law) = &file.register {
        if !is_pods {
            let warning = Diagnostic::warning(law.span, "`register` is for pods as targets");
            found.push(warning.with_hint("loadBalancer: { targets: pods }"));
        }
        to.register = law.value.0.clone();
    }
    if let Some(interval) = &file.interval {
        to.interval = interval.value.0;
        if to.interval < Duration::ms(100) {
            let message = format!("`interval` is at least 100 ms, not {}", interval.value);
            found.error(interval.span, message);
            to.interval = Duration::secs(1);
        }
    }
    let counts = [
        ("unhealthy", &file.unhealthy, &mut to.unhealthy),
        ("healthy", &file.healthy, &mut to.healthy),
    ];
    for (key, given, to) in counts {
        let Some(given) = given else { continue };
        if given.value == 0 || given.value > CHECKS_MAX {
            let message = format!("`{key}` is from 1 to {CHECKS_MAX} checks, not {}", given.value);
            found.error(given.span, message);
        }
        *to = given.value;
    }
    if let Some(law) = &file.deregister {
        to.deregister = law.0.clone();
    }
    Some(to)
}

/// When which images cannot be pulled.
pub(super) fn outages(file: &RegistryFile, found: &mut Diagnostics) -> Vec<Outage> {
    file.outages.iter().map(|file| outage(file, found)).collect()
}

fn outage(file: &OutageFile, found: &mut Diagnostics) -> Outage {
    let images = &file.images;
    let name = images.value.strip_suffix('*').unwrap_or(&images.value);
    if images.value.is_empty() || name.contains(['*', ' ']) {
        let message = format!("\"{}\" names no image", images.value);
        let hint = "an image as pods name it, shop/web:v2, or how it begins: shop/*";
        found.push(Diagnostic::error(images.span, message).with_hint(hint));
    }
    let from = file.from.as_ref().map_or(Duration::ZERO, |from| from.value.0);
    if let Some(until) = file.until.as_ref().filter(|until| until.value.0 <= from) {
        let message = format!("the outage ends at {}, before it begins", until.value);
        found.error(until.span, message);
    }
    Outage {
        images: images.value.clone(),
        from: SimTime::at(from),
        until: file.until.as_ref().map_or(SimTime::MAX, |until| SimTime::at(until.value.0)),
    }
}

/// Known regressions of the version.
pub(super) fn regressions(file: Option<&RegressionsFile>) -> Regressions {
    let mut to = Regressions::DEFAULT;
    if let Some(is_on) = file.and_then(|file| file.cancelled_exec_probes) {
        to.cancelled_exec_probes = is_on;
    }
    if let Some(is_on) = file.and_then(|file| file.unready_after_kubelet_restart) {
        to.unready_after_kubelet_restart = is_on;
    }
    to
}
