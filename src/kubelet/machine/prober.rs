//! Probe workers of one pod (rules N80 to N87, N138).
//!
//! What the machine does with them (a sketch; `k`-th worker = container × probe, in spec order):
//! * `add(spec, now)` when a sync has its volumes (rule N51): workers begin, first tick at once;
//! * `view` of each tick is the *stored* status (the status manager's), not the cache;
//! * `results(c)` gives started / ready of a container when the API status is built, and `poke`
//!   asks readiness out of band;
//! * a result that differs from the one before is handed back, and the machine takes it through
//!   the main loop (sync of the pod, or SetContainerReadiness);
//! * `stop_liveness_and_startup` at the start of termination, `remove` at its end.
