//! Calls of the kubelet: how long each takes, how it ends, and its record.

use seatrial::base::{Duration, Symbol};
use seatrial::kubelet::machine::{Call, Exit, Outcome, Which};
use serde_json::{Value, json};

use super::super::ms;

use super::{Happening, Runtime, exit_of, millis, nth};

impl Runtime<'_> {
    /// How long a call takes, how it ends, and its record.
    pub(super) fn open(
        &mut self,
        pod: usize,
        call: Call,
    ) -> (Option<Duration>, Outcome, Option<usize>) {
        let runtime = &self.case["runtime"];
        let failing = |fails: bool| if fails { Outcome::Failed } else { Outcome::Ok };
        match call {
            Call::RunSandbox { attempt } => {
                let record = self.record(pod, "RunPodSandbox", &json!({"attempt": attempt}));
                let row = &mut self.pods[pod];
                let fails = row.sandbox_failures < runtime["sandbox_fail"].as_i64().unwrap_or(0);
                row.sandbox_failures += i64::from(fails);
                (Some(ms(runtime, "sandbox_ms")), failing(fails), Some(record))
            }
            Call::StopSandbox => {
                let record = self.record(pod, "StopPodSandbox", &Value::Null);
                (Some(ms(runtime, "sandbox_stop_ms")), Outcome::Ok, Some(record))
            }
            Call::Create { container, attempt } => {
                self.pods[pod].containers[usize::from(container)].created += 1;
                let record = self.of_container(pod, "CreateContainer", container, attempt);
                let fails = self.behaviour(pod, container)["create_error"] == true;
                (Some(ms(runtime, "create_ms")), failing(fails), Some(record))
            }
            Call::Start { container, attempt } => {
                let record = self.of_container(pod, "StartContainer", container, attempt);
                let fails = self.behaviour(pod, container)["start_error"] == true;
                (Some(ms(runtime, "start_ms")), failing(fails), Some(record))
            }
            // The recorder's runtime notes no stop of what has ended already.
            Call::Stop { container, .. }
                if !self.pods[pod].containers[usize::from(container)].is_running =>
            {
                (Some(Duration::ZERO), Outcome::Ok, None)
            }
            Call::Stop { container, attempt, timeout } => {
                let record = self.of_container(pod, "StopContainer", container, attempt);
                self.told.cri[record]["timeout"] = json!(timeout.whole_secs());
                (self.stop(pod, container, timeout), Outcome::Ok, Some(record))
            }
            Call::Remove { container, attempt } => {
                self.of_container(pod, "RemoveContainer", container, attempt);
                (Some(Duration::ZERO), Outcome::Ok, None)
            }
            Call::Pull { image, .. } => self.pull(pod, image),
            Call::Probe { container, which, attempt, timeout } => {
                let key = match which {
                    Which::Readiness => "readinessProbe",
                    Which::Liveness => "livenessProbe",
                    Which::Startup => "startupProbe",
                };
                let exec = self.container(pod, container)[key].clone();
                self.exec((pod, container), Some(attempt), &exec, Some(timeout))
            }
            Call::Hook { container, is_post_start } => {
                let key = if is_post_start { "postStart" } else { "preStop" };
                let hook = self.container(pod, container)["lifecycle"][key].clone();
                if let Some(secs) = hook["sleep"]["seconds"].as_u64() {
                    return (Some(Duration::secs(secs)), Outcome::Ok, None);
                }
                self.exec((pod, container), None, &hook, None)
            }
            Call::Get => {
                let row = &self.pods[pod];
                let found = match (row.is_gone, self.live_name(&row.name)) {
                    (false, _) => Outcome::Ok,
                    (true, false) => Outcome::Failed,
                    (true, true) => Outcome::Replaced,
                };
                (Some(ms(&self.case["kubelet"], "api_ms")), found, None)
            }
            Call::Patch => panic!("a patch has its status"),
            Call::Resize => (Some(Duration::ZERO), Outcome::Ok, None),
            Call::Delete => (Some(self.delete(pod)), Outcome::Ok, None),
        }
    }

    fn of_container(&mut self, pod: usize, call: &str, container: u8, attempt: u32) -> usize {
        let name = self.name_of(pod, container).to_owned();
        self.record(pod, call, &json!({"container": name, "attempt": attempt}))
    }

    /// Until when the stop lasts; `None`: until the process ends.
    fn stop(&mut self, pod: usize, container: u8, timeout: Duration) -> Option<Duration> {
        let row = &self.pods[pod].containers[usize::from(container)];
        if !row.is_running {
            return Some(Duration::ZERO);
        }
        let run = row.created;
        let does = self.behaviour(pod, container);
        let heeds = if does.is_null() { Some(0) } else { does["term_ms"].as_u64() };
        let heeds = heeds.map(Duration::ms).filter(|after| {
            *after <= timeout && does["term_exit"].as_i64().is_none_or(|code| code >= 0)
        });
        let kill = || timeout + ms(&self.case["runtime"], "kill_ms");
        // Both at once: the recording says which came first.
        let is_late = heeds == Some(timeout) && self.recorded_late(pod, container, kill());
        let exit = match heeds {
            Some(_) => exit_of(does, "term_exit", None),
            None => Exit { code: 137, reason: "Error" },
        };
        let after = heeds.unwrap_or_else(kill);
        self.plan(self.now.saturating_add(after), Happening::Exit { pod, container, run, exit });
        if is_late {
            return Some(kill());
        }
        None
    }

    /// Whether the recording has an exec that began at the instant of the exit, but before it.
    fn recorded_killed(&self, ours: &Value) -> bool {
        self.outcome["cri"].as_array().into_iter().flatten().any(|call| {
            let is_same = |key: &str| call[key] == ours[key];
            ["t", "pod", "container", "attempt", "cmd"].into_iter().all(is_same)
                && call["exit"] == 137
        })
    }

    /// Whether a stop that begins now is recorded to have taken so long.
    fn recorded_late(&self, pod: usize, container: u8, took: Duration) -> bool {
        let (now, end) = (millis(self.now), millis(self.now.saturating_add(took)));
        let (pod, container) = (&*self.pods[pod].name, self.name_of(pod, container));
        self.outcome["cri"].as_array().into_iter().flatten().any(|call| {
            call["call"] == "StopContainer"
                && call["pod"] == *pod
                && call["container"] == *container
                && call["t"] == now
                && call["end"] == end
        })
    }

    fn pull(&mut self, pod: usize, image: Symbol) -> (Option<Duration>, Outcome, Option<usize>) {
        let name = self.names.resolve(image).to_owned();
        let record = self.record(pod, "PullImage", &json!({"image": name}));
        let does = &self.case["images"][&name];
        let attempt = self.pulls.entry(name).or_default();
        let takes = nth(&does["pull_ms"], *attempt).as_u64().unwrap_or(100);
        let fails = nth(&does["fail"], *attempt) == true;
        *attempt += 1;
        let outcome = if fails { Outcome::Failed } else { Outcome::Ok };
        (Some(Duration::ms(takes)), outcome, Some(record))
    }

    fn exec(
        &mut self,
        (pod, container): (usize, u8),
        run: Option<u32>,
        handler: &Value,
        timeout: Option<Duration>,
    ) -> (Option<Duration>, Outcome, Option<usize>) {
        let command = handler["exec"]["command"][0].as_str().unwrap_or_default().to_owned();
        let row = &self.pods[pod].containers[usize::from(container)];
        let attempt = run.unwrap_or(row.attempt);
        let row_ended = row.ended;
        let (started, is_running) = (row.started, row.is_running && row.attempt == attempt);
        let record = self.of_container(pod, "ExecSync", container, attempt);
        self.told.cri[record]["cmd"] = json!(command);
        if let Some(timeout) = timeout {
            self.told.cri[record]["timeout_ms"] = json!(timeout.whole_millis());
        }
        if !is_running {
            let ended_now = row_ended == self.now && self.recorded_killed(&self.told.cri[record]);
            let outcome = if ended_now { Outcome::Exit(137) } else { Outcome::NotRunning };
            return (Some(Duration::ZERO), outcome, Some(record));
        }
        let age = self.now.saturating_since(started).whole_millis();
        let answers = self.behaviour(pod, container)["exec"][&command].as_array();
        let reached = |answer: &&Value| answer["from_ms"].as_u64().unwrap_or(0) <= age;
        let answer = answers.into_iter().flatten().rfind(reached).unwrap_or(&Value::Null);
        let takes = match answer["dur_ms"].as_i64() {
            Some(takes) => u64::try_from(takes).ok().map(Duration::ms),
            None => Some(Duration::ZERO),
        };
        if let Some(timeout) = timeout.filter(|timeout| takes.is_none_or(|takes| takes > *timeout))
        {
            return (Some(timeout), Outcome::TimedOut, Some(record));
        }
        let code = answer["exit"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
        let outcome = match code {
            _ if answer["error"] == true => Outcome::Errored,
            0 => Outcome::Ok,
            code => Outcome::Exit(code),
        };
        (takes, outcome, Some(record))
    }

    fn delete(&mut self, pod: usize) -> Duration {
        let row = &mut self.pods[pod];
        let mut write = json!({"t": millis(self.now), "pod": row.name, "verb": "delete"});
        if row.is_gone {
            write["error"] = json!(format!("pods \"{}\" not found", row.name));
        } else {
            write["removed"] = json!(true);
            row.is_gone = true;
            self.plan(self.now, Happening::Gone { pod });
        }
        self.told.api.push(write);
        ms(&self.case["kubelet"], "api_ms")
    }
}
