//! What a sync does to a pod's containers (rules N57, N64, N65, N90, N93, N94).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kuberuntime (`kuberuntime_manager.go`
//! `computePodActions`; `kuberuntime_container.go` `computeInitContainerActions`),
//! pkg/kubelet/container/helpers.go `ShouldContainerBeRestarted`.

use smallvec::SmallVec;

use super::prober::{Probes, Verdict};
use super::runtime::{RunState, Runtime};
use super::types::{Kill, Which};
use crate::model::{AfterExit, Container, PodSpec, RestartPolicy};

/// What is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Actions {
    /// All containers and the sandbox are killed.
    pub kill_pod: bool,
    /// The sandbox to be made.
    pub sandbox: Option<u32>,
    /// Runs that are killed, by number.
    pub kill: SmallVec<[(u32, Kill); 1]>,
    /// Init containers to be started.
    pub start_init: SmallVec<[u8; 2]>,
    /// Containers get other amounts in between.
    pub resize: bool,
    /// Main containers to be started.
    pub start: SmallVec<[u8; 2]>,
}

/// A container by its number: init containers first.
pub(super) fn nth(spec: &PodSpec, container: u8) -> &Container {
    let at = usize::from(container);
    let inits = spec.init_containers.len();
    if at < inits { &spec.init_containers[at] } else { &spec.containers[at - inits] }
}

/// All containers with their numbers.
pub(super) fn all(spec: &PodSpec) -> impl Iterator<Item = (u8, &Container)> {
    (0_u8..).zip(spec.init_containers.iter().chain(&spec.containers))
}

/// The main containers with their numbers.
pub(super) fn mains(spec: &PodSpec) -> impl Iterator<Item = (u8, &Container)> {
    all(spec).skip(spec.init_containers.len())
}

/// Whether it is an init container.
pub(super) fn is_init(spec: &PodSpec, container: u8) -> bool {
    usize::from(container) < spec.init_containers.len()
}

/// Whether it is a sidecar.
pub(super) fn is_sidecar(spec: &PodSpec, container: u8) -> bool {
    is_init(spec, container) && nth(spec, container).restart_always
}

/// Whether a container that is not there or does not run is to be started.
pub(super) fn should_restart(
    spec: &PodSpec,
    seen: &Runtime,
    container: u8,
    is_deleting: bool,
) -> bool {
    if is_deleting {
        return false;
    }
    match seen.newest(container).map(|run| run.state) {
        None | Some(RunState::Created) => true,
        Some(RunState::Running(_)) => false,
        Some(RunState::Exited(exit, ..)) => {
            nth(spec, container).after_exit(exit.code, spec.restart_policy) != AfterExit::Stay
        }
    }
}

fn never(spec: &PodSpec, own: &Container) -> bool {
    own.restart_policy.unwrap_or(spec.restart_policy) == RestartPolicy::Never
}

/// What to do, given what was seen.
pub(super) fn actions(
    spec: &PodSpec,
    seen: &Runtime,
    probes: &Probes,
    is_deleting: bool,
) -> Actions {
    if let Some(attempt) = seen.sandbox_needed() {
        return with_new_sandbox(spec, seen, attempt);
    }
    let mut todo = Actions::default();
    let is_initialized = init_actions(spec, seen, probes, &mut todo);
    if todo.kill_pod || !is_initialized {
        return todo;
    }
    let mut kept = 0;
    for (container, own) in mains(spec) {
        let running = seen.newest(container).filter(|run| run.is_running());
        let Some(run) = running else {
            if should_restart(spec, seen, container, is_deleting) {
                todo.start.push(container);
            }
            continue;
        };
        let Some(which) = probes.condemned(container, run.id) else {
            kept += 1;
            continue;
        };
        let restart = !never(spec, own);
        todo.kill.push((run.id, condemned(which)));
        if restart {
            todo.start.push(container);
        }
    }
    if kept == 0 && todo.start.is_empty() {
        todo.kill_pod = true;
        todo.start_init.clear();
    }
    todo
}

const fn condemned(which: Which) -> Kill {
    match which {
        Which::Startup => Kill::Startup,
        Which::Readiness | Which::Liveness => Kill::Liveness,
    }
}

fn with_new_sandbox(spec: &PodSpec, seen: &Runtime, attempt: u32) -> Actions {
    let mut todo = Actions { kill_pod: true, sandbox: Some(attempt), ..Actions::default() };
    let none_again = all(spec).all(|(_, own)| never(spec, own));
    if none_again && attempt != 0 && !seen.runs.is_empty() {
        todo.sandbox = None;
        return todo;
    }
    let succeeded = |container: u8| {
        seen.newest(container).and_then(super::runtime::Run::exit).is_some_and(|(e, _)| e.code == 0)
    };
    let is_wanted =
        |container: &u8| spec.restart_policy != RestartPolicy::OnFailure || !succeeded(*container);
    todo.start = mains(spec).map(|(container, _)| container).filter(is_wanted).collect();
    let has_run = || mains(spec).any(|(container, _)| seen.newest(container).is_some());
    if todo.start.is_empty() && has_run() {
        todo.sandbox = None;
        return todo;
    }
    if !spec.init_containers.is_empty() {
        todo.start.clear();
        todo.start_init.push(0);
    }
    todo
}

/// Gives whether the main containers may start.
fn init_actions(spec: &PodSpec, seen: &Runtime, probes: &Probes, todo: &mut Actions) -> bool {
    let count = u8::try_from(spec.init_containers.len()).expect("few init containers");
    if count == 0 {
        return true;
    }
    let mut is_initialized = mains(spec).any(|(container, _)| {
        let state = seen.newest(container).map(|run| run.state);
        matches!(state, Some(RunState::Created | RunState::Running(_)))
    });
    let mut was_initialized = is_initialized;
    for container in (0..count).rev() {
        let own = nth(spec, container);
        let Some(run) = seen.newest(container) else {
            if was_initialized && own.restart_always {
                todo.start_init.push(container);
            }
            continue;
        };
        if was_initialized && !own.restart_always {
            continue;
        }
        let is_last = container + 1 == count;
        match run.state {
            RunState::Created => todo.start_init.push(container),
            RunState::Running(_) if !own.restart_always => {}
            RunState::Running(_) => {
                let verdict = |which| probes.verdict(container, which, run.id);
                let startup = own.startup.map(|_| verdict(Which::Startup));
                match startup {
                    Some(Some(Verdict::Failure)) => {
                        todo.kill.push((run.id, Kill::Startup));
                        todo.start_init.push(container);
                    }
                    Some(None | Some(Verdict::Unknown)) => {}
                    None | Some(Some(Verdict::Success)) => {
                        if is_last {
                            is_initialized = true;
                        } else if !was_initialized {
                            todo.start_init.push(container + 1);
                        }
                        if verdict(Which::Liveness) == Some(Verdict::Failure) {
                            todo.kill.push((run.id, Kill::Liveness));
                            todo.start_init.push(container);
                        }
                    }
                }
            }
            RunState::Exited(..) if own.restart_always => todo.start_init.push(container),
            RunState::Exited(exit, ..) => {
                if exit.code != 0 {
                    if own.after_exit(exit.code, spec.restart_policy) == AfterExit::Stay {
                        todo.kill_pod = true;
                        todo.start_init.clear();
                        return false;
                    }
                    todo.start_init.push(container);
                } else if is_last {
                    is_initialized = true;
                } else {
                    todo.start_init.push(container + 1);
                }
            }
        }
        was_initialized = true;
    }
    if !was_initialized {
        todo.start_init.push(0);
    }
    todo.start_init.reverse();
    is_initialized
}

/// Containers of a pod that is resized are restarted if their policy asks for it (rule N104).
pub(super) fn resize(spec: &PodSpec, seen: &Runtime, restarts: u64, todo: &mut Actions) {
    if todo.kill_pod || seen.sandbox_needed().is_some() {
        return;
    }
    todo.resize = true;
    for (container, _) in all(spec).filter(|(container, _)| restarts >> container & 1 == 1) {
        let Some(run) = seen.newest(container).filter(|run| run.is_running()) else { continue };
        if todo.kill.iter().any(|(id, _)| *id == run.id) {
            continue;
        }
        todo.kill.push((run.id, Kill::Resize));
        let starts = if is_init(spec, container) { &mut todo.start_init } else { &mut todo.start };
        starts.push(container);
        starts.sort_unstable();
    }
}
