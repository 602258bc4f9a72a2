//! Many pods through the whole loop in virtual time: queue, cycle, binding, preemption.

use crate::support::corpus::run_corpus;

#[test]
fn conformance_sequences() {
    run_corpus("scheduler", "sequences", super::scheduler_queue::check);
}
