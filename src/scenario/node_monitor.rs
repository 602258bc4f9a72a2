//! `cluster.nodeMonitor`: how kube-controller-manager watches over nodes.

use crate::base::Duration;
use crate::model::NodeMonitor;
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::NodeMonitorFile;
use super::units::Span;

/// The settings, checked.
pub(super) fn lower(file: Option<&NodeMonitorFile>, found: &mut Diagnostics) -> NodeMonitor {
    let mut to = NodeMonitor::DEFAULT;
    let Some(file) = file else { return to };
    let spans: [(&str, &Option<Spanned<Span>>, &mut Duration); 4] = [
        ("period", &file.period, &mut to.period),
        ("grace", &file.grace, &mut to.grace),
        ("startupGrace", &file.startup_grace, &mut to.startup_grace),
        ("lease", &file.lease, &mut to.lease),
    ];
    for (key, given, to) in spans {
        let Some(given) = given else { continue };
        if given.value.0 < Duration::secs(1) {
            let message = format!("`{key}` is at least 1s, not {}", given.value);
            found.error(given.span, message);
        } else {
            *to = given.value.0;
        }
    }
    let rates = [
        ("evictionRate", &file.eviction_rate, &mut to.eviction_gap),
        ("secondaryEvictionRate", &file.secondary_eviction_rate, &mut to.secondary_gap),
    ];
    for (key, given, to) in rates {
        let Some(given) = given else { continue };
        if (0.0..=1000.0).contains(&given.value) {
            *to = (given.value > 0.0).then(|| Duration::from_secs_f64(1.0 / given.value));
        } else {
            let message = format!("`{key}` is from 0 to 1000 nodes a second, not {}", given.value);
            found.error(given.span, message);
        }
    }
    if let Some(size) = &file.large_zone {
        to.large_zone = size.value;
    }
    if let Some(grace) = file.grace.as_ref().filter(|grace| grace.value.0 <= to.renewal()) {
        let (given, renewal) = (grace.value, to.renewal());
        let message = format!("the grace, {given}, is not longer than the {renewal} between signs");
        let hint =
            "healthy nodes would be taken for lost: a Lease is renewed every quarter of `lease`";
        found.push(Diagnostic::error(grace.span, message).with_hint(hint));
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules C161, C162, C165: what is left out is kube-controller-manager's default, and a Lease
    /// is renewed four times while it holds.
    #[test]
    fn what_is_left_out_is_the_default() {
        let file = NodeMonitorFile {
            lease: Some(Spanned::nowhere(Span(Duration::secs(8)))),
            eviction_rate: Some(Spanned::nowhere(0.0)),
            ..NodeMonitorFile::default()
        };
        let mut found = Diagnostics::default();
        let monitor = lower(Some(&file), &mut found);
        assert!(found.is_empty());
        assert_eq!(monitor.renewal(), Duration::secs(2));
        assert_eq!((monitor.eviction_gap, monitor.period), (None, Duration::secs(5)));
        assert_eq!(lower(None, &mut found), NodeMonitor::DEFAULT);
    }
}
