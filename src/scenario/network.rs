//! `cluster.dns` and `cluster.loadBalancer`: what stands between callers and Services.

use crate::base::Duration;
use crate::model::{BalancerSpec, Dns};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{BalancerFile, DnsFile};

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
    let mut to = BalancerSpec::plain();
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
