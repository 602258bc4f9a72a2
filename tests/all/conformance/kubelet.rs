//! The kubelet's machine against recorded time lines of the real one (rules N1 to N139).
//!
//! Each recorded outcome is replayed with its own draws; the case agrees when one of the outcomes
//! comes out again: runtime calls, writes of the status and events, each at its instant; what a
//! status shows while a container waits among them (rule N106).

use serde_json::Value;

use crate::support::corpus::{Verdict, judge_share};
use crate::support::kubelet::{first_difference, replay};

/// Judges a file of which so many of a hundred recorded cases differ at most, as long as the
/// machine is not whole.
fn judge(file: &str, differing_max: usize) {
    judge_share("kubelet", file, differing_max, |case| match check(case) {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how),
    });
}

fn check(case: &Value) -> Result<(), String> {
    let mut latest: Option<(u64, String)> = None;
    for outcome in case["outcomes"].as_array().into_iter().flatten() {
        let Some(found) = first_difference(&replay(case, outcome), outcome) else { return Ok(()) };
        if latest.as_ref().is_none_or(|(at, _)| found.0 > *at) {
            latest = Some(found);
        }
    }
    let (at, how) = latest.unwrap_or_default();
    Err(format!("[{}] at {at} ms: {how}", case["shape"].as_str().unwrap_or_default()))
}

#[test]
fn conformance_kubelet_start() {
    judge("start", 0);
}

#[test]
fn conformance_kubelet_probes() {
    judge("probes", 0);
}

#[test]
fn conformance_kubelet_restarts() {
    judge("restarts", 0);
}

#[test]
fn conformance_kubelet_termination() {
    judge("termination", 0);
}

#[test]
fn conformance_kubelet_node() {
    judge("node", 0);
}

#[test]
fn conformance_kubelet_mixed() {
    judge("mixed", 2);
}
