//! What the machine asks of its host, and what the recording left to chance.

use seatrial::base::{Duration, Symbol};
use seatrial::kubelet::machine::{Call, Host, Outcome, Rejection, Say, Slot, Status, Which, admit};
use serde_json::{Value, json};

use super::super::{ms, render};

use super::{Active, Happening, Runtime, millis};

impl Host for Runtime<'_> {
    fn begin(&mut self, slot: Slot, call: Call) -> Option<Outcome> {
        let pod = self.at(slot);
        let (takes, outcome, record) = self.open(pod, call);
        self.planned += 1;
        let number = self.planned;
        let is_late = matches!(call, Call::Stop { .. }) && takes.is_some();
        let active = Active { pod, call, record, outcome, is_given_up: false, is_late };
        self.active.insert(number, active);
        let waits = matches!(call, Call::Probe { .. }) && outcome != Outcome::NotRunning;
        match takes {
            Some(Duration::ZERO) if !waits => self.done(number).map(|(.., outcome)| outcome),
            Some(takes) => {
                self.plan(self.now.saturating_add(takes), Happening::Done { number });
                None
            }
            None => None,
        }
    }

    fn begin_patch(&mut self, slot: Slot, status: &Status) -> Option<Outcome> {
        let pod = self.at(slot);
        let takes = ms(&self.case["kubelet"], "api_ms");
        let row = &mut self.pods[pod];
        let mut write = json!({
            "t": millis(self.now), "pod": row.name, "verb": "patch", "sub": "status",
        });
        let outcome = if row.is_gone {
            write["error"] = json!(format!("pods \"{}\" not found", row.name));
            Outcome::Failed
        } else {
            let written = render::status(status, &row.manifest);
            row.is_terminal = status.phase.is_terminal();
            row.status["written"] = written.clone();
            write["status"] = written;
            Outcome::Ok
        };
        self.told.api.push(write);
        self.planned += 1;
        let number = self.planned;
        let (call, record) = (Call::Patch, None);
        self.active.insert(
            number,
            Active { pod, call, record, outcome, is_given_up: false, is_late: false },
        );
        if takes.is_zero() {
            return self.done(number).map(|(.., outcome)| outcome);
        }
        self.plan(self.now.saturating_add(takes), Happening::Done { number });
        None
    }

    fn cancel(&mut self, slot: Slot, call: Call) {
        let pod = self.at(slot);
        let is_same = |other: Call| match (other, call) {
            (
                Call::Probe { container: one, which: a, .. },
                Call::Probe { container: other, which: b, .. },
            ) => (one, a) == (other, b),
            _ => other == call,
        };
        let is_it = |active: &Active| active.pod == pod && is_same(active.call);
        let found = self.active.iter().find(|(_, a)| is_it(a) && !a.is_given_up);
        let Some(number) = found.map(|(number, _)| *number) else { return };
        let active = self.active.get_mut(&number).expect("just found");
        active.is_given_up = true;
        if matches!(call, Call::Probe { .. }) {
            active.outcome = Outcome::Cancelled;
            self.done(number);
        }
    }

    fn event(&mut self, slot: Slot, container: Option<u8>, say: Say) {
        let pod = self.at(slot);
        let own = container.map(|container| self.container(pod, container).clone());
        let mut event = render::event(say, own.as_ref(), &self.pods[pod].manifest);
        event["t"] = json!(millis(self.now));
        event["pod"] = json!(self.pods[pod].name);
        if let (Some(own), Some(at)) = (&own, container) {
            let inits = self.pods[pod].spec.init_containers.len();
            let list = if usize::from(at) < inits { "initContainers" } else { "containers" };
            let name = own["name"].as_str().unwrap_or_default();
            event["field"] = json!(format!("spec.{list}{{{name}}}"));
        }
        self.told.events.push(event);
    }

    fn requeue(&mut self, slot: Slot, base: Duration) -> Duration {
        let pod = self.at(slot);
        let (now, most) = (self.now, base + base / 2);
        let draws = self.draws.entry(self.pods[pod].name.clone()).or_default();
        let found = draws
            .iter()
            .position(|(at, after)| millis(*at) == millis(now) && *after >= base && *after <= most);
        let drawn = found.and_then(|found| draws.remove(found));
        let after = drawn.map(|(_, after)| after.whole_millis());
        let name = self.pods[pod].name.clone();
        self.told.draws.push(json!({"t": millis(now), "pod": name, "after_ms": after}));
        drawn.map_or_else(|| base + base / 4, |(_, after)| after)
    }

    fn next_write(&mut self, waiting: &[Slot]) -> usize {
        let due = millis(self.now.saturating_add(ms(&self.case["kubelet"], "api_ms")));
        let next = |slot: &Slot| {
            let pod = self.slots[slot];
            if self.pods[pod].is_gone {
                return u64::MAX;
            }
            let first = self.next_recorded(pod).find(|(at, _)| *at >= due);
            first.map_or(u64::MAX, |(at, _)| at)
        };
        let times: Vec<u64> = waiting.iter().map(next).collect();
        let exact = times.iter().position(|at| *at == due);
        // Who is written at another time was found up to date.
        exact.or_else(|| (0..times.len()).max_by_key(|at| times[*at])).unwrap_or(0)
    }

    fn poke_sees(&mut self, slot: Slot, container: u8) -> bool {
        let pod = self.at(slot);
        let own = self.container(pod, container);
        if own["readinessProbe"]["initialDelaySeconds"].as_u64().unwrap_or(0) > 0 {
            return true;
        }
        let command = &own["readinessProbe"]["exec"]["command"][0];
        let row = &self.pods[pod].containers[usize::from(container)];
        let (now, name, pod) = (millis(self.now), &own["name"], &*self.pods[pod].name);
        !row.is_running
            || self.outcome["cri"].as_array().into_iter().flatten().any(|call| {
                call["t"] == now
                    && call["cmd"] == *command
                    && call["pod"] == *pod
                    && call["container"] == *name
                    && call["attempt"] == row.attempt
            })
    }

    fn comes_apart(&mut self, slot: Slot, ours: bool) -> bool {
        let pod = self.at(slot);
        let phase = self.case["kubelet"]["pleg_phase_ms"].as_u64().unwrap_or(0);
        let now = millis(self.now);
        let relist = now + 1 + (phase + 999 - now % 1000) % 1000;
        let draws = self.draws.get(&self.pods[pod].name);
        let at = |when: u64| draws.is_some_and(|d| d.iter().any(|(at, _)| millis(*at) == when));
        if ours {
            return at(relist) && at(relist + 1000);
        }
        // The first update is worked on now; another one waits for the relist, and what comes
        // before that for one more.
        at(now) && at(relist) && (at(relist + 1000) || !self.hears_more(pod, now, relist))
    }

    fn next_relist(&mut self, asking: &[Slot]) -> usize {
        let now = millis(self.now);
        let draws = |slot: &Slot| {
            let draws = self.draws.get(&self.pods[self.slots[slot]].name);
            draws.is_some_and(|draws| draws.iter().any(|(at, _)| millis(*at) == now))
        };
        asking.iter().position(draws).unwrap_or(0)
    }

    fn unmounts_late(&mut self, slot: Slot) -> bool {
        let pod = self.at(slot);
        let kubelet = &self.case["kubelet"];
        let phase = kubelet["pleg_phase_ms"].as_u64().unwrap_or(0);
        let now = millis(self.now);
        let relist = now + 1 + (phase + 999 - now % 1000) % 1000;
        let gone = self.next_recorded(pod).find(|(_, write)| write["verb"] == "delete");
        gone.is_some_and(|(at, _)| at >= relist + 300)
    }

    fn has_more_now(&mut self) -> bool {
        self.next_at().is_some_and(|next| next <= self.now)
    }

    fn joins_batch(&mut self, slot: Slot, batch: &[Slot]) -> bool {
        let own = self.at(slot);
        let due = millis(self.now) + ms(&self.case["kubelet"], "api_ms").whole_millis();
        let mut seen: Vec<usize> = Vec::new();
        for write in self.outcome["api"].as_array().into_iter().flatten() {
            if write["by"] != "kubelet" || write["t"].as_u64().is_none_or(|t| t < due) {
                continue;
            }
            let pods = batch.iter().map(|slot| self.slots[slot]);
            let pod = pods.rev().find(|pod| write["pod"] == *self.pods[*pod].name);
            match pod {
                Some(pod) if pod == own => return true,
                // The next batch has begun.
                Some(pod) if seen.contains(&pod) && write["verb"] != "delete" => return false,
                None => return false,
                Some(pod) => seen.push(pod),
            }
        }
        true
    }

    fn writes_now(&mut self, slot: Slot, status: &Status, is_last: bool) -> bool {
        let pod = self.at(slot);
        let api = ms(&self.case["kubelet"], "api_ms");
        let due = millis(self.now.saturating_add(api));
        let mut recorded = self.next_recorded(pod).skip_while(|(at, _)| *at < due);
        let Some((at, write)) = recorded.next() else { return false };
        let (api, pods) = (api.whole_millis(), self.slots.len() as u64);
        // What comes of the rest of this instant is written right after.
        let soon =
            |at: u64| if pods == 1 { at == due + 2 * api } else { at <= due + 2 * api * pods };
        let written = render::status(status, &self.pods[pod].manifest);
        if write["verb"] == "delete" {
            // It is up to date as it is, and written again once it is the last one.
            let is_same = self.pods[pod].status["written"] == written;
            return is_same && !is_last && at == due + api;
        }
        if at != due || render::strip_write(write.clone())["status"] != written {
            return false;
        }
        let Some((at, write)) = recorded.next() else { return false };
        if write["verb"] == "delete" && at == due + api {
            return is_last;
        }
        soon(at) && !is_last
    }

    fn has_volumes(&mut self, slot: Slot) -> bool {
        let pod = self.at(slot);
        let volumes = self.pods[pod].manifest["spec"]["volumes"].as_array();
        volumes.is_some_and(|volumes| !volumes.is_empty())
    }

    fn has_image(&mut self, image: Symbol) -> bool {
        self.images.contains(self.names.resolve(image))
    }

    fn probe_heeds_cancel(&mut self, _slot: Slot, _container: u8, _which: Which) -> bool {
        self.case["runtime"]["exec_ignores_cancel"] != true
    }

    fn rejection(&mut self, slot: Slot, others: &[Slot]) -> Option<Rejection> {
        let pod = self.at(slot);
        let others: Vec<_> = others.iter().map(|other| (*other, self.at(*other))).collect();
        let others: Vec<_> =
            others.iter().map(|(slot, at)| (*slot, &*self.pods[*at].spec)).collect();
        admit::rejection(&self.pods[pod].spec, &others, &self.node, false, &self.names)
    }

    fn forgotten(&mut self, slot: Slot) {
        if let Some(at) = self.slots.remove(&slot) {
            self.pods[at].slot = None;
        }
    }
}

impl Runtime<'_> {
    /// Whether the recording has an update of a pod after `from` until `to`: a container ends, or
    /// what a probe says settles on something.
    fn hears_more(&self, pod: usize, from: u64, to: u64) -> bool {
        let name = &*self.pods[pod].name;
        let calls = self.outcome["cri"].as_array().map_or(&[][..], Vec::as_slice);
        let own: Vec<&Value> = calls.iter().filter(|call| call["pod"] == *name).collect();
        let when = |call: &Value| call["end"].as_u64().or(call["t"].as_u64()).unwrap_or(0);
        own.iter().enumerate().any(|(index, call)| {
            let is_between = when(call) > from && when(call) <= to;
            is_between && (call["call"] == "exit" || self.settles(pod, &own[..=index]))
        })
    }

    /// Whether the last of these calls is a probe that has said the same as often as it must.
    fn settles(&self, pod: usize, calls: &[&Value]) -> bool {
        let Some((last, before)) = calls.split_last() else { return false };
        let probe = match last["cmd"].as_str() {
            Some("ready") => "readinessProbe",
            Some("live") => "livenessProbe",
            Some("startup") => "startupProbe",
            _ => return false,
        };
        let spec = &self.pods[pod].manifest["spec"];
        let lists = ["initContainers", "containers"].iter().filter_map(|k| spec[k].as_array());
        let mut containers = lists.flatten();
        let Some(own) = containers.find(|own| own["name"] == last["container"]) else {
            return false;
        };
        let is_good = |call: &Value| call["exit"] == 0;
        let key = if is_good(last) { "successThreshold" } else { "failureThreshold" };
        let is_same = |call: &&&Value| {
            ["cmd", "container", "attempt"].iter().all(|key| call[*key] == last[*key])
        };
        let alike = before.iter().rev().filter(is_same);
        let alike = alike.take_while(|call| is_good(call) == is_good(last)).count() + 1;
        u64::try_from(alike).ok() == own[probe][key].as_u64()
    }
}
