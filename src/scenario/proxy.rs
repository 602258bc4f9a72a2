//! `cluster.nodes[].proxy`: how the kube-proxy of a pool's machines is set.

use crate::base::Duration;
use crate::model::{ProxyMode, ProxySpec};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{ProxyFile, ProxyModeFile};

/// What kube-proxy makes of a `minSyncPeriod` of 0 (rule N150).
const MIN_SYNC: Duration = Duration::secs(1);

/// The settings, checked.
///
/// Source: kubernetes v1.36.3 pkg/proxy/apis/config/validation/validation.go
/// `validateKubeProxyIPTablesConfiguration`, pkg/proxy/iptables/proxier.go `NewProxier`.
pub(super) fn lower(file: Option<&Spanned<ProxyFile>>, found: &mut Diagnostics) -> ProxySpec {
    let mut to = ProxySpec::DEFAULT;
    let Some(file) = file else { return to };
    to.mode = match file.mode {
        Some(ProxyModeFile::Nftables) => ProxyMode::Nftables,
        Some(ProxyModeFile::Iptables) | None => ProxyMode::Iptables,
    };
    let span_of = |given: &Spanned<super::units::Span>| given.value.0;
    to.min_sync = file.min_sync_period.as_ref().map(span_of);
    to.min_sync = to.min_sync.map(|min| if min.is_zero() { MIN_SYNC } else { min });
    if let Some(sync) = &file.sync_period {
        to.sync = sync.value.0;
        if to.sync.is_zero() {
            found.error(sync.span, "`syncPeriod` is more than 0 s");
        }
    }
    if let Some(min) = to.min_sync.filter(|min| *min > to.sync) {
        let place = file.min_sync_period.as_ref().map_or(file.span, |given| given.span);
        let message = format!("`minSyncPeriod`, {min}, is longer than `syncPeriod`, {}", to.sync);
        let hint = "kube-proxy does not start so; give a longer syncPeriod (30s if absent)";
        found.push(Diagnostic::error(place, message).with_hint(hint));
    }
    to
}
