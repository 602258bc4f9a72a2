//! From a bound pod to running containers (rules N40 to N69).

use crate::base::{Bytes, Duration, SimTime, dist};
use crate::cluster::{Phase, Serving};
use crate::event::KubeletStep;
use crate::model::{ConfigRef, ContainerPort, Hook, ObjectName, PullPolicy, RestartPolicy};

use super::state::{Container, Process, Stage};
use super::worker::Worker;

/// How much longer a sandbox takes for each other one that its node makes meanwhile (rule N302).
const SANDBOX_CROWDING: f64 = 0.03;

impl Worker<'_, '_> {
    /// The kubelet sees the pod, or its node is up again, and takes it or turns it away.
    pub(super) fn admit(&mut self, rejection: Option<&'static str>) {
        let again = self.state.stage == Stage::Down;
        if self.state.stage != Stage::Bound && !again {
            return;
        }
        if let Some(reason) = rejection {
            self.tell(true, reason, |_| "Pod was rejected by the kubelet".to_owned());
            return self.ended(Phase::Failed, reason);
        }
        let stays_down = self.template.spec.restart_policy == RestartPolicy::Never;
        if again && stays_down && self.state.containers.iter().any(|c| c.runs > 0) {
            return self.ended(Phase::Failed, "");
        }
        self.begin_life();
        self.state.stage = Stage::Volumes;
        self.wait(self.model.latencies.volumes, KubeletStep::VolumesReady);
    }

    fn begin_life(&mut self) {
        let count = self.template.behaviors.len();
        if self.state.containers.is_empty() {
            self.state.containers.resize(count, Container::NEW);
        }
        for container in &mut self.state.containers {
            *container = Container { runs: container.runs, ..Container::NEW };
        }
        self.state.initialised = false;
        self.state.status.ready = false;
        self.state.status.has_ip = false;
        let start = *self.state.status.start_time.get_or_insert(self.now);
        if let Some(deadline) = self.template.spec.active_deadline {
            self.later((start + deadline).max(self.now), KubeletStep::Deadline);
        }
    }

    /// Volumes are there; probe workers begin, and the sandbox is made.
    pub(super) fn volumes_ready(&mut self) {
        self.state.probes_since = self.now;
        self.state.stage = Stage::Sandbox;
        let alone = self.draw(&self.model.latencies.sandbox);
        let delay = alone.scale(1.0 + SANDBOX_CROWDING * f64::from(self.node.sandboxes));
        self.node.sandboxes += 1;
        self.wait(delay, KubeletStep::SandboxReady);
    }

    /// The sandbox and its IP are there.
    pub(super) fn sandbox_ready(&mut self) {
        self.node.sandboxes = self.node.sandboxes.saturating_sub(1);
        self.state.has_sandbox = true;
        self.state.stage = Stage::Running;
        self.state.in_pass = true;
        if let Some(missing) = self.missing_config() {
            self.state.blocked = "CreateContainerConfigError";
            self.tell(true, "Failed", |worker| worker.missing_text(missing));
        }
    }

    /// The first ConfigMap or Secret that is not there (rule N53). Nothing makes one during a
    /// run, so it is not looked for again.
    fn missing_config(&self) -> Option<ConfigRef> {
        let namespace = self.row.namespace;
        let is_missing = |config: &&ConfigRef| {
            let name = ObjectName { namespace, name: config.name };
            let there =
                if config.is_secret { &self.model.secrets } else { &self.model.config_maps };
            let has = |key| self.model.config_keys.contains(&(config.is_secret, name, key));
            !there.contains(&name) || config.key.is_some_and(|key| !has(key))
        };
        self.template.spec.config_refs.iter().find(is_missing).copied()
    }

    fn missing_text(&self, config: ConfigRef) -> String {
        let names = self.cluster.names();
        let name = names.resolve(config.name);
        if let Some(key) = config.key {
            let kind = if config.is_secret { "Secret" } else { "ConfigMap" };
            let (key, namespace) = (names.resolve(key), names.resolve(self.row.namespace));
            return format!("Error: couldn't find key {key} in {kind} {namespace}/{name}");
        }
        let kind = if config.is_secret { "secret" } else { "configmap" };
        format!("Error: {kind} \"{name}\" not found")
    }

    /// The container that is started next: init containers one after another, each when those
    /// before it are done (a sidecar: started), then the app containers (rules N64, N65, N67).
    pub(super) fn next_to_start(&self) -> Option<u8> {
        if !self.state.blocked.is_empty() {
            return None;
        }
        for c in 0..self.mains().start {
            let container = self.at(c);
            let is_past = match container.process {
                Process::Due => return Some(c),
                Process::Running => {
                    self.is_sidecar(c) && (container.is_started || self.state.initialised)
                }
                Process::Exited if self.is_sidecar(c) => self.state.initialised,
                Process::Exited => container.seen,
            };
            if !is_past {
                return None;
            }
        }
        self.mains().find(|c| self.at(*c).process == Process::Due)
    }

    /// Takes a container in hand: its image first (rules N60, N61).
    pub(super) fn begin_start(&mut self, c: u8) {
        self.state.at_hand = Some(c);
        let spec = self.spec(c);
        let is_there = self.node.has_image(spec.image, self.now);
        match spec.pull_policy {
            PullPolicy::Never | PullPolicy::IfNotPresent if is_there => {
                self.tell_image(c, "Pulled", "Container image", "already present on machine");
                self.create(c);
            }
            PullPolicy::Never => {
                self.tell_image(c, "ErrImageNeverPull", "Container image", "is not present");
                self.state.blocked = "ErrImageNeverPull";
                self.state.at_hand = None;
            }
            PullPolicy::Always | PullPolicy::IfNotPresent => {
                self.tell_image(c, "Pulling", "Pulling image", "");
                let fixed = self.draw(&self.model.latencies.pull);
                let transfer = self.transfer(self.behavior(c).image_size);
                let done = self.node.pull(spec.image, fixed, transfer, self.now);
                self.wait(done - self.now, KubeletStep::Pulled(c));
            }
        }
    }

    fn tell_image(&mut self, c: u8, reason: &'static str, before: &'static str, after: &str) {
        self.tell(reason == "ErrImageNeverPull", reason, |worker| {
            let image = worker.cluster.names().resolve(worker.spec(c).image);
            format!("{before} \"{image}\" {after}").trim_end().to_owned()
        });
    }

    fn transfer(&self, size: Bytes) -> Duration {
        Duration::from_secs_f64(size.as_f64() / self.model.latencies.pull_rate)
    }

    /// The image is there.
    pub(super) fn pulled(&mut self, c: u8) {
        self.tell_image(c, "Pulled", "Successfully pulled image", "");
        self.create(c);
    }

    fn create(&mut self, c: u8) {
        let delay = self.draw(&self.model.latencies.container_start);
        self.wait(delay, KubeletStep::Started(c));
    }

    /// A container's process runs.
    pub(super) fn started(&mut self, c: u8) {
        self.tell(false, "Created", |worker| format!("Created container: {}", worker.name(c)));
        self.tell(false, "Started", |worker| format!("Started container {}", worker.name(c)));
        let (now, is_init) = (self.now, self.is_init(c) && !self.is_sidecar(c));
        let able_at = now + self.time_to_able(c);
        let clash = self.port_taken(c);
        let run = clash.map_or_else(|| self.time_to_exit(c), |_| Some(Duration::ZERO));
        let exit_due = run.map_or(super::state::NEVER, |run| now + run);
        let container = self.at_mut(c);
        let is_again = container.runs > 0 && !is_init;
        *container = Container {
            process: Process::Running,
            fresh: true,
            runs: container.runs + 1,
            started: now,
            finished: container.finished,
            backoff: container.backoff,
            backoff_at: container.backoff_at,
            able_at,
            exit_due,
            ..Container::NEW
        };
        self.state.status.restarts += u32::from(is_again);
        self.later(exit_due, KubeletStep::Exited(c));
        if self.is_server(c) {
            self.serve_from(c, able_at);
        }
        let hook = self.spec(c).post_start.as_ref().map(|hook| self.hook_time(c, hook));
        self.wait(hook.unwrap_or(Duration::ZERO), KubeletStep::PostStarted(c));
    }

    /// A port that a container wants and another one that runs has: the containers of a pod share
    /// one network, so the process cannot bind it and ends at once (rule N57).
    pub(super) fn port_taken(&self, c: u8) -> Option<u16> {
        let runs = |other: &u8| *other != c && self.at(*other).process == Process::Running;
        let taken = |port: &ContainerPort| {
            let mut others = self.all().filter(runs).flat_map(|other| &self.spec(other).ports);
            others.any(|other| (other.port, other.protocol) == (port.port, port.protocol))
        };
        self.spec(c).ports.iter().find(|port| taken(port)).map(|port| port.port)
    }

    fn serve_from(&mut self, c: u8, able_at: SimTime) {
        if able_at == self.now {
            self.set_serving(Serving::Accepting);
        } else {
            self.set_serving(Serving::Starting);
            self.later(able_at, KubeletStep::Able(c));
        }
    }

    /// How long the process takes until it can serve; asked only if something depends on it.
    fn time_to_able(&mut self, c: u8) -> Duration {
        let spec = self.spec(c);
        let is_probed =
            spec.readiness.is_some() || spec.liveness.is_some() || spec.startup.is_some();
        if !is_probed && !self.is_server(c) {
            return Duration::ZERO;
        }
        self.behavior(c).start.sample_duration(&mut self.node.apps)
    }

    /// How long the process runs before it exits 0 by itself.
    fn time_to_exit(&mut self, c: u8) -> Option<Duration> {
        let run = &self.behavior(c).run;
        if self.is_init(c) {
            let drawn = run.as_ref().map(|run| run.sample_duration(&mut self.node.apps));
            return drawn.or((!self.is_sidecar(c)).then_some(Duration::ZERO));
        }
        let drawn = |rng: &mut _| run.as_ref().map(|run| run.sample_duration(rng));
        self.lifetime().or_else(|| drawn(&mut self.node.apps))
    }

    /// How long the pod runs, if that is said of the pod itself.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.row.lifetime.or(self.template.spec.lifetime)
    }

    /// How long a hook takes (rule N68).
    pub(super) fn hook_time(&self, c: u8, hook: &Hook) -> Duration {
        match hook {
            Hook::Sleep(time) | Hook::Exec(Some(time)) => *time,
            Hook::Exec(None) | Hook::Http => self.behavior(c).hook,
        }
    }

    /// The container at hand is under way.
    pub(super) fn post_started(&mut self) {
        self.state.at_hand = None;
    }

    /// A container's process can serve from now on.
    pub(super) fn able(&mut self, c: u8) {
        if self.at(c).process == Process::Running && self.at(c).stop == super::state::Stop::No {
            self.set_serving(Serving::Accepting);
        }
    }

    /// A pass of the worker is over: the status is built, and probes begin (rules N5, N59, N85).
    pub(super) fn close_pass(&mut self) {
        self.state.in_pass = false;
        self.state.status.has_ip = true;
        if !self.state.initialised && self.mains().all(|c| self.at(c).process != Process::Due) {
            self.state.initialised = true;
            let first = self.mains().map(|c| self.at(c).started).min();
            self.state.status.started = self.state.status.started.or(first);
            self.state.status.phase = Phase::Running;
        }
        for c in self.all() {
            if self.at(c).fresh {
                self.first_contact(c);
            } else {
                self.poke(c, self.now);
            }
        }
        self.build_status();
    }

    /// The kubelet's caches have a newly started container.
    fn first_contact(&mut self, c: u8) {
        let container = self.at_mut(c);
        container.fresh = false;
        if container.process != Process::Running {
            return;
        }
        let Some(probe) = &self.spec(c).readiness else {
            return self.contact(c, self.now);
        };
        // The first poke may come before the caches know the container: then the next tick of the
        // probe is the first that sees it (rule N85).
        let is_seen = self.is_ideal() || dist::open01(&mut self.node.machinery) < FIRST_POKE_SEES;
        let from = if is_seen { self.now } else { self.now + probe.period };
        self.contact(c, from);
    }

    fn contact(&mut self, c: u8, readiness_from: SimTime) {
        if self.spec(c).startup.is_some() {
            self.arm_startup(c);
        } else {
            self.at_mut(c).is_started = true;
            self.arm_liveness(c);
            self.poke(c, readiness_from);
        }
    }
}

/// How often the first poke of a readiness probe sees its container (rule N85: 268 of 276
/// recorded ones, less on a loaded node).
const FIRST_POKE_SEES: f64 = 0.95;
