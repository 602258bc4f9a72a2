//! The kubelet's machine against recorded time lines of the real one (rules N1 to N139).
//!
//! Each recorded outcome is replayed with its own draws; the case agrees when one of the outcomes
//! comes out again: runtime calls, writes of the status and events, each at its instant.

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
    judge("probes", 1);
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
    judge("mixed", 5);
}

#[test]
fn k1_dump() {
    let Ok(ids) = std::env::var("K1_CASE") else { return };
    for id in ids.split(',') {
        let file = id.split('-').next().unwrap();
        let cases = crate::support::corpus::recorded("kubelet", file).unwrap();
        let case = cases.iter().find(|c| c["id"] == id).unwrap();
        for (n, o) in case["outcomes"].as_array().unwrap().iter().enumerate() {
            let told = replay(case, o);
            let dump = serde_json::json!({"cri": told.cri, "api": told.api, "events": told.events, "requeue": told.draws});
            std::fs::write(format!("/tmp/k1/{id}.{n}.json"), dump.to_string()).unwrap();
            println!("{id} {n}: {:?}", first_difference(&told, o));
        }
    }
}
