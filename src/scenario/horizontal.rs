//! `cluster.horizontalPodAutoscaler`: how kube-controller-manager looks at autoscalers.

use crate::base::Duration;
use crate::model::HorizontalSettings;
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::HorizontalFile;
use super::units::Span;

/// The settings, checked.
pub(super) fn lower(file: Option<&HorizontalFile>, found: &mut Diagnostics) -> HorizontalSettings {
    let mut to = HorizontalSettings::DEFAULT;
    let Some(file) = file else { return to };
    let spans: [(&str, &Option<Spanned<Span>>, &mut Duration, Duration); 4] = [
        ("syncPeriod", &file.sync_period, &mut to.period, Duration::secs(1)),
        (
            "downscaleStabilization",
            &file.downscale_stabilization,
            &mut to.stabilization,
            Duration::ZERO,
        ),
        (
            "cpuInitializationPeriod",
            &file.cpu_initialization_period,
            &mut to.initialization,
            Duration::ZERO,
        ),
        (
            "initialReadinessDelay",
            &file.initial_readiness_delay,
            &mut to.initial_delay,
            Duration::ZERO,
        ),
    ];
    for (key, given, to, least) in spans {
        let Some(given) = given else { continue };
        if given.value.0 < least {
            let message = format!("`{key}` is at least {least}, not {}", given.value);
            found.error(given.span, message);
        } else {
            *to = given.value.0;
        }
    }
    if let Some(given) = &file.tolerance {
        if (0.0..1.0).contains(&given.value) {
            to.tolerance = given.value;
        } else {
            let message = format!("`tolerance` is from 0 to less than 1, not {}", given.value);
            let hint = "0.1 lets a tenth more or less than the target be";
            found.push(Diagnostic::error(given.span, message).with_hint(hint));
        }
    }
    to.scales_to_zero = file.scale_to_zero.unwrap_or(false);
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules A5, A17: what is left out is kube-controller-manager's default.
    #[test]
    fn what_is_left_out_is_the_default() {
        let mut found = Diagnostics::default();
        assert_eq!(lower(None, &mut found), HorizontalSettings::DEFAULT);
        let file = HorizontalFile {
            sync_period: Some(Spanned::nowhere(Span(Duration::secs(30)))),
            tolerance: Some(Spanned::nowhere(0.0)),
            ..HorizontalFile::default()
        };
        let to = lower(Some(&file), &mut found);
        assert!(found.is_empty() && !to.scales_to_zero);
        assert_eq!((to.period, to.stabilization), (Duration::secs(30), Duration::mins(5)));
        let file =
            HorizontalFile { tolerance: Some(Spanned::nowhere(1.5)), ..HorizontalFile::default() };
        lower(Some(&file), &mut found);
        assert_eq!(found.error_count(), 1);
    }
}
