//! The printed summary: the headline first, uncertainty beside each number, the cause under the
//! effect, the next step last; under 40 lines.

use crate::base::cast;
use crate::base::text::{counted, thousands};
use crate::model::Workload;
use crate::record::Cause;
use crate::recorder::Facts;

use super::expect::Verdict;
use super::lines::{MARGIN, labelled, more, wrapped};
use super::summary::{Number, Summary, Unit};
use super::table::{Align, text_table};
use super::{
    advice, configs, drains, metrics_jobs, metrics_money, names, namespaces, rollouts, scripts,
    words,
};

/// Rows of one table at most; the rest is counted.
const ROWS_MAX: usize = 8;
/// Causes under one effect at most.
const CAUSES_MAX: usize = 5;

/// The summary as it is printed to stdout, a function of the numbers, of the first replication's
/// facts (what rolled when) and of what was expected.
#[must_use]
pub fn print(summary: &Summary, facts: &Facts, verdicts: &[Verdict]) -> String {
    let page = Page { summary, facts };
    let mut middle = page.scripts();
    middle.extend(page.drains());
    middle.extend(page.namespaces());
    middle.extend(page.configs());
    middle.extend(page.scaling());
    middle.extend(page.calls());
    middle.extend(page.jobs());
    middle.extend(page.pods());
    middle.extend(page.pending());
    middle.extend(page.disks());
    middle.extend(page.pressure());
    middle.extend(page.network());
    middle.extend(page.cost());
    middle.extend(page.pools());
    let blocks = [vec![page.headline()], page.rollouts(), middle, expects(verdicts), page.advice()];
    let blocks: Vec<String> =
        blocks.iter().filter(|b| !b.is_empty()).map(|block| block.join("\n")).collect();
    format!("{}\n", blocks.join("\n\n"))
}

struct Page<'a> {
    summary: &'a Summary,
    facts: &'a Facts,
}

/// A rollout of the first replication with the names that lead to its numbers.
struct Rolled {
    workload: Workload,
    /// As its numbers are called.
    name: String,
    /// With its kind.
    shown: String,
    title: String,
    failed: f64,
}

impl Page<'_> {
    fn headline(&self) -> String {
        let model = &self.facts.model;
        let workloads = model.deployments.len()
            + model.replica_sets.len()
            + model.stateful_sets.len()
            + model.daemon_sets.len()
            + model.jobs.len()
            + model.cron_jobs.len()
            + model.pods.len()
            + model.generators.len();
        let runs = counted(cast::u64_of(self.summary.replications), "run");
        format!(
            "{} · {runs}, seed {} · {}, {} · {} simulated",
            model.name,
            model.run.seed,
            counted(cast::u64_of(model.nodes.len()), "node"),
            counted(cast::u64_of(workloads), "workload"),
            self.facts.ended.since_start(),
        )
    }

    fn number(&self, path: &[&str]) -> Option<&Number> {
        self.summary.get(path).filter(|number| number.value.is_some())
    }

    fn value(&self, path: &[&str]) -> f64 {
        self.summary.value(path).unwrap_or(0.0)
    }

    /// The last rollout of each workload, those with most failed calls first.
    fn rolled(&self) -> Vec<Rolled> {
        let all = names::rolling(&self.facts.model);
        let last = |(workload, name): (Workload, String)| {
            let last = *rollouts::of_workload(self.facts, workload).last()?;
            let title = rollouts::title(self.facts, last);
            let at = crate::base::SimTime::at(crate::base::Duration::secs(
                last.started.since_start().whole_secs(),
            ));
            let failed = self.value(&["rollouts", &name, "failed_calls"]);
            let shown = names::with_kind(workload, &name);
            Some(Rolled { title: format!("{title} at {at}"), failed, name, shown, workload })
        };
        let mut rolled: Vec<Rolled> = all.into_iter().filter_map(last).collect();
        rolled.sort_by(|a, b| b.failed.total_cmp(&a.failed));
        rolled
    }

    fn rollouts(&self) -> Vec<String> {
        match self.rolled().as_slice() {
            [] => Vec::new(),
            [one] => self.one_rollout(one),
            [one, other] => self.two_rollouts([one, other]),
            many => self.many_rollouts(many),
        }
    }

    fn one_rollout(&self, rolled: &Rolled) -> Vec<String> {
        let Rolled { name, title, shown, .. } = rolled;
        let mut rows = vec![self.duration_row(name)];
        if let Some(failed) = self.number(&["rollouts", name, "failed_calls"])
            && self.value(&["rollouts", name, "calls"]) > 0.0
        {
            let value = words::value(failed.value.unwrap_or(0.0), failed.unit);
            let row =
                ["failed calls".to_owned(), value, words::interval(failed), self.of_all(name)];
            rows.push(row.to_vec());
        }
        let mut lines = vec![format!("ROLLOUT  {shown}  {title}")];
        lines.extend(rollouts::given_up(self.facts, rolled.workload));
        let columns = [("", Align::Left); 4];
        let mut p99 = Vec::new();
        if let Some(text) = self.p99(name) {
            let note = "while it rolled".to_owned();
            p99.push(vec!["p99 latency".to_owned(), text, String::new(), note]);
        }
        rows.extend(p99);
        let table = text_table(&columns, &rows, 2);
        for line in table.lines() {
            lines.push(line.to_owned());
            if line.starts_with("  failed calls") {
                lines.extend(self.causes(&["rollouts", name, "by_cause"]));
            }
        }
        lines
    }

    fn duration_row(&self, name: &str) -> Vec<String> {
        let runs = self.summary.replications;
        let mut notes = Vec::new();
        let duration = self.number(&["rollouts", name, "duration"]);
        if let Some(number) = duration
            && number.n < runs
        {
            notes.push(format!("complete in {} of {runs} runs", number.n));
        }
        if self.value(&["rollouts", name, "deadline_exceeded"]) > 0.0 {
            notes.push("progress deadline passed".to_owned());
        }
        let value = duration.and_then(|number| Some((number.value?, number)));
        let (value, interval) = value.map_or_else(
            || ("not complete".to_owned(), String::new()),
            |(value, number)| (words::value(value, number.unit), words::interval(number)),
        );
        vec!["duration".to_owned(), value, interval, notes.join(", ")]
    }

    /// `of 240,117 (0.015 %)`
    fn of_all(&self, name: &str) -> String {
        let total = words::value(self.value(&["rollouts", name, "calls"]), Unit::Calls);
        let share = self.value(&["rollouts", name, "failed_share"]);
        if share > 0.0 {
            return format!("of {total} ({})", words::value(share, Unit::Share));
        }
        format!("of {total}")
    }

    fn p99(&self, name: &str) -> Option<String> {
        let during = self.number(&["rollouts", name, "latency_p99_during"])?;
        let text = |number: &Number| words::value(number.value.unwrap_or(0.0), number.unit);
        match self.number(&["rollouts", name, "latency_p99_before"]) {
            Some(before) => Some(format!("{} → {}", text(before), text(during))),
            None => Some(text(during)),
        }
    }

    /// Causes with their counts, most first.
    fn causes(&self, path: &[&str]) -> Vec<String> {
        let of = |cause: Cause| (self.value(&[path, &[cause.as_str()]].concat()), cause);
        let causes = Cause::ALL.into_iter().filter(|cause| *cause != Cause::None).map(of);
        let mut causes: Vec<(f64, Cause)> = causes.filter(|(failed, _)| *failed > 0.0).collect();
        causes.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (failed, cause) in causes.iter().take(CAUSES_MAX) {
            rows.push(vec![words::value(*failed, Unit::Calls), cause.sentence().to_owned()]);
        }
        let rest: f64 = causes.iter().skip(CAUSES_MAX).map(|(failed, _)| failed).sum();
        if rest > 0.0 {
            rows.push(vec![words::value(rest, Unit::Calls), "for other causes".to_owned()]);
        }
        let table = text_table(&[("", Align::Right), ("", Align::Left)], &rows, 4);
        table.lines().map(str::to_owned).collect()
    }

    /// Two rollouts side by side: twins that differ in one setting are read at a glance.
    fn two_rollouts(&self, both: [&Rolled; 2]) -> Vec<String> {
        let heads = both.map(|rolled| rolled.shown.clone());
        let row = |label: &str, of: &dyn Fn(&Rolled) -> String| {
            vec![label.to_owned(), of(both[0]), of(both[1])]
        };
        let shown = |path: &'static str| {
            move |rolled: &Rolled| {
                let number = self.summary.get(&["rollouts", &rolled.name, path]);
                number.map_or_else(String::new, words::with_interval)
            }
        };
        let mut rows = vec![
            row("  change", &|rolled| rolled.title.clone()),
            row("  duration", &shown("duration")),
            row("  failed calls", &shown("failed_calls")),
            row("  of", &shown("calls")),
        ];
        for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::None) {
            let path = |rolled: &Rolled| {
                self.value(&["rollouts", &rolled.name, "by_cause", cause.as_str()])
            };
            if both.iter().any(|rolled| path(rolled) > 0.0) {
                let of = |rolled: &Rolled| words::value(path(rolled), Unit::Calls);
                rows.push(row(&format!("    {}", cause.sentence()), &of));
            }
        }
        rows.push(row("  p99 latency", &|rolled| {
            self.p99(&rolled.name).unwrap_or_else(|| "–".to_owned())
        }));
        let columns =
            [("ROLLOUT", Align::Left), (heads[0].as_str(), Align::Left), (&heads[1], Align::Left)];
        text_table(&columns, &rows, 0).lines().map(str::to_owned).collect()
    }

    fn many_rollouts(&self, many: &[Rolled]) -> Vec<String> {
        let mut rows = Vec::new();
        for rolled in many.iter().take(ROWS_MAX) {
            let failed = self.summary.get(&["rollouts", &rolled.name, "failed_calls"]);
            rows.push(vec![
                rolled.shown.clone(),
                rolled.title.clone(),
                self.duration_row(&rolled.name)[1].clone(),
                failed.map_or_else(String::new, words::with_interval),
                self.of_all(&rolled.name),
                self.p99(&rolled.name).unwrap_or_default(),
            ]);
        }
        let columns = [
            ("ROLLOUT", Align::Left),
            ("change", Align::Left),
            ("duration", Align::Right),
            ("failed calls", Align::Right),
            ("", Align::Left),
            ("p99 latency", Align::Left),
        ];
        let mut lines: Vec<String> =
            text_table(&columns, &rows, 0).lines().map(str::to_owned).collect();
        lines.extend(more(many.len(), ROWS_MAX, "rollout"));
        if let Some(worst) = many.first().filter(|worst| worst.failed > 0.0) {
            lines.push(format!("  failed calls of {}:", worst.name));
            lines.extend(self.causes(&["rollouts", &worst.name, "by_cause"]));
        }
        lines
    }

    fn scaling(&self) -> Vec<String> {
        let all = names::hpas(&self.facts.model);
        let line = |name: &String| {
            let whole = |last: &str| {
                let number = self.summary.get(&["hpas", name, last]);
                number.and_then(|n| Some(words::value(n.value?, n.unit)))
            };
            let steps =
                self.value(&["hpas", name, "steps_up"]) + self.value(&["hpas", name, "steps_down"]);
            let (low, high) = (whole("replicas_min")?, whole("replicas_max")?);
            let mut text = format!("hpa/{name}  {low} → {high} pods");
            if low == high {
                let plural = if low == "1" { "" } else { "s" };
                text = format!("hpa/{name}  {low} pod{plural}");
            }
            let steps = words::value(steps, Unit::Count);
            text += &format!(", {steps} step{}", if steps == "1" { "" } else { "s" });
            if let Some(after) = self.number(&["hpas", name, "first_step_after"]) {
                text += &format!(", first {} after the rise", words::with_interval(after));
            }
            let reversals = whole("reversals").unwrap_or_default();
            let plural = if reversals == "1" { "" } else { "s" };
            Some(text + &format!("; {reversals} reversal{plural}"))
        };
        let mut lines: Vec<String> = all.iter().filter_map(line).take(ROWS_MAX).collect();
        lines.extend(super::metrics_vertical::lines(self.facts, self.summary));
        lines.extend(super::metrics_groups::lines(self.facts, self.summary));
        labelled("SCALING", lines, more(all.len(), ROWS_MAX, "autoscaler"))
    }

    /// Services whose calls no rollout above has told wholly.
    fn calls(&self) -> Vec<String> {
        let services = names::services(&self.facts.model);
        let mut rows: Vec<(f64, f64, usize)> = Vec::new();
        for (index, name) in services.iter().enumerate() {
            let of = |last: &str| self.value(&["services", name, "calls", last]);
            let (total, failed) = (of("total"), of("failed"));
            if total > 0.0 && !self.is_told(index, failed) {
                rows.push((failed, total, index));
            }
        }
        rows.sort_by(|a, b| (b.0, b.1).partial_cmp(&(a.0, a.1)).unwrap_or(a.2.cmp(&b.2)));
        let cells = rows.iter().take(ROWS_MAX).map(|(.., index)| self.call_row(&services[*index]));
        let cells: Vec<Vec<String>> = cells.collect();
        let columns = [
            ("", Align::Left),
            ("", Align::Right),
            ("", Align::Left),
            ("", Align::Left),
            ("", Align::Left),
        ];
        let mut lines: Vec<String> =
            text_table(&columns, &cells, 0).lines().map(str::to_owned).collect();
        if let Some((failed, _, index)) = rows.first()
            && *failed > 0.0
        {
            let path = ["services", &services[*index], "calls", "by_cause"];
            let causes = self.causes(&path);
            let trimmed = causes.iter().map(|line| line[2..].to_owned());
            lines.splice(1..1, trimmed);
        }
        labelled("CALLS", lines, more(rows.len(), ROWS_MAX, "service"))
    }

    fn is_told(&self, service: usize, failed: f64) -> bool {
        let model = &self.facts.model;
        let own = self.rolled();
        let leads_there =
            |rolled: &&Rolled| names::services_of(model, rolled.workload).contains(&service);
        let of = |name: &str| self.value(&["rollouts", name, "failed_calls"]);
        let told: Vec<f64> =
            own.iter().filter(leads_there).map(|rolled| of(&rolled.name)).collect();
        !told.is_empty() && told.iter().sum::<f64>() >= failed
    }

    fn call_row(&self, name: &str) -> Vec<String> {
        let number = |last: &str| self.summary.get(&["services", name, "calls", last]);
        let shown = |last: &str| number(last).map(words::with_interval).unwrap_or_default();
        let latency = |label: &str, last: &str| {
            let there = number(last).filter(|number| number.value.is_some());
            there.map_or_else(String::new, |n| format!("{label} {}", words::with_interval(n)))
        };
        let share = self.value(&["services", name, "calls", "failed_share"]);
        let share = match share > 0.0 {
            true => format!(" ({})", words::value(share, Unit::Share)),
            false => String::new(),
        };
        let total = self.value(&["services", name, "calls", "total"]);
        vec![
            name.to_owned(),
            format!("{} calls", words::value(total, Unit::Calls)),
            format!("{} failed{share}", shown("failed")),
            latency("p50", "latency_p50"),
            latency("p99", "latency_p99"),
        ]
    }

    /// A line a Job or CronJob, those with most failures first.
    fn jobs(&self) -> Vec<String> {
        let mut all = metrics_jobs::jobs(&self.facts.model);
        let failed = |name: &str| self.value(&["jobs", name, "failed"]);
        all.sort_by(|(_, a), (_, b)| failed(b).total_cmp(&failed(a)));
        let line = |(workload, name): &(Workload, String)| {
            let shown = |last: &str| self.number(&["jobs", name, last]).map(words::with_interval);
            let some = |last: &str, said: &str| {
                let there = self.value(&["jobs", name, last]) > 0.0;
                shown(last).filter(|_| there).map(|number| format!("{number} {said}"))
            };
            let ends = [("complete", "complete"), ("failed", "failed"), ("replaced", "replaced")];
            let points = [("blocked", "blocked"), ("missed", "missed")];
            let started = format!("{} started", shown("started").unwrap_or_default());
            let more = ends.iter().chain(&points).filter_map(|(last, said)| some(last, said));
            let mut text: Vec<String> = [started].into_iter().chain(more).collect();
            text.extend(shown("duration_max").map(|longest| format!("longest {longest}")));
            let pods = [("pods_failed", "pods failed"), ("indexes_failed", "indexes failed")];
            text.extend(pods.iter().filter_map(|(last, said)| some(last, said)));
            let name = name.rsplit('/').next().unwrap_or(name);
            format!("{}/{name}  {}", workload.kind.as_str(), text.join(", "))
        };
        let lines: Vec<String> = all.iter().take(ROWS_MAX).map(line).collect();
        let model = &self.facts.model;
        let count = model.jobs.len() + model.cron_jobs.len();
        labelled("JOBS", lines, more(count, ROWS_MAX, "job"))
    }

    /// How scripts ended, and their commands that took time.
    fn scripts(&self) -> Vec<String> {
        let lines = scripts::lines(self.summary, self.facts);
        let wrap = |line: String| match line.strip_prefix("  ") {
            Some(note) => wrapped(note).into_iter().map(|part| format!("  {part}")).collect(),
            None => vec![line],
        };
        labelled("SCRIPT", lines.into_iter().flat_map(wrap).collect(), None)
    }

    /// Nodes that were drained, or could not be.
    fn drains(&self) -> Vec<String> {
        let (lines, count) = drains::lines(self.summary, self.facts);
        let wrap = |line: String| match line.strip_prefix("  ") {
            Some(note) => wrapped(note).into_iter().map(|part| format!("  {part}")).collect(),
            None => vec![line],
        };
        let lines = lines.into_iter().flat_map(wrap).collect();
        labelled("DRAIN", lines, more(count, ROWS_MAX, "node"))
    }

    /// Namespaces that were deleted.
    fn namespaces(&self) -> Vec<String> {
        let lines = namespaces::lines(self.summary, self.facts);
        let count = lines.len();
        let shown = lines.into_iter().take(ROWS_MAX).collect();
        labelled("DELETED", shown, more(count, ROWS_MAX, "namespace"))
    }

    /// ConfigMaps and Secrets that changed under pods that mount them.
    fn configs(&self) -> Vec<String> {
        let lines = configs::lines(self.summary, self.facts);
        let count = lines.len();
        let shown = lines.into_iter().take(ROWS_MAX).collect();
        labelled("CONFIG", shown, more(count, ROWS_MAX, "object"))
    }

    /// For runs of pods that come without a controller.
    fn pods(&self) -> Vec<String> {
        if self.facts.model.generators.is_empty() {
            return Vec::new();
        }
        let shown = |last: &str| {
            let number = self.summary.get(&["pods", last]);
            number.map_or_else(String::new, words::with_interval)
        };
        let placed = self.summary.get(&["scheduler", "placed"]).map(words::with_interval);
        let created = format!(
            "{} created, {} placed, {} finished, {} never placed",
            shown("created"),
            placed.unwrap_or_default(),
            shown("finished"),
            shown("never_scheduled")
        );
        let pending = format!(
            "pending p50 {}, p99 {}, longest {}",
            shown("pending_p50"),
            shown("pending_p99"),
            shown("pending_max")
        );
        labelled("PODS", vec![created, pending], None)
    }

    fn pending(&self) -> Vec<String> {
        let waited = self.value(&["pods", "waited"]);
        if waited <= 0.0 {
            return Vec::new();
        }
        let number = self.summary.get(&["pods", "waited"]);
        let waited = number.map(words::with_interval).unwrap_or_default();
        let plural = if waited == "1" { "pod" } else { "pods" };
        let mut text = format!("{waited} {plural} waited for a node");
        if let Some(p99) = self.number(&["pods", "waited_p99"]) {
            text += &format!(", p99 {}", words::with_interval(p99));
        }
        let never = self.value(&["pods", "never_scheduled"]);
        if never > 0.0 {
            text += &format!(", {} never got one", words::value(never, Unit::Pods));
        }
        let mut reasons: Vec<(f64, &str)> = Vec::new();
        for (path, number) in self.summary.iter() {
            if let [first, second, reason] = path.segments()
                && (first.as_str(), second.as_str()) == ("pods", "waited_for")
            {
                reasons.push((number.value.unwrap_or(0.0), reason));
            }
        }
        reasons.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let reason =
            |(pods, reason): &(f64, &str)| format!("{} {reason}", words::value(*pods, Unit::Pods));
        let reasons: Vec<String> = reasons.iter().take(3).map(reason).collect();
        if !reasons.is_empty() {
            text += &format!(": {}", reasons.join(", "));
        }
        labelled("PENDING", vec![text], None)
    }

    /// Waits for disks.
    fn disks(&self) -> Vec<String> {
        let number = |last: &str| self.number(&["disks", last]).map(words::with_interval);
        let Some(attached) = number("attached") else { return Vec::new() };
        let mut text = format!("{attached} attached");
        if let (Some(p50), Some(max)) = (number("wait_p50"), number("wait_max")) {
            text += &format!(" after p50 {p50}, max {max}");
        }
        if self.value(&["disks", "held"]) > 0.0
            && let (Some(held), Some(max)) = (number("held"), number("held_max"))
        {
            text += &format!(", {held} still attached to another node (max {max})");
        }
        labelled("DISKS", vec![text], None)
    }

    /// What nodes ran out of.
    fn pressure(&self) -> Vec<String> {
        let line = super::metrics_pressure::line(self.summary);
        line.map_or_else(Vec::new, |line| labelled("PRESSURE", vec![line], None))
    }

    /// What calls took over the network, the farthest first.
    fn network(&self) -> Vec<String> {
        let far = [
            ("between_zones", "between zones"),
            ("same_zone", "in a zone"),
            ("same_node", "on a node"),
            ("in_pod", "in pods"),
        ];
        let part = |(path, said): (&str, &str)| {
            let number = self.number(&["network", path])?;
            Some(format!("{} {said}", words::value(number.value?, number.unit)))
        };
        let parts: Vec<String> = far.into_iter().filter_map(part).collect();
        if parts.is_empty() {
            return Vec::new();
        }
        labelled("NETWORK", vec![parts.join(", ")], None)
    }

    fn cost(&self) -> Vec<String> {
        let share = |last: &str, said: &str| {
            let number = self.number(&["cluster", last])?;
            Some(format!("{} {said}", words::value(number.value?, number.unit)))
        };
        let idle = share("cpu_requested_idle_share", "of requested cpu idle");
        let requested = share("cpu_requested_share", "of cpu requested");
        let used = share("cpu_used_share", "used");
        if let Some(cost) = self.number(&["cluster", "cost_per_hour"]) {
            let parts = [Some(words::with_interval(cost)), idle.or(requested)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            return labelled("COST", vec![parts.join(", ")], None);
        }
        let parts: Vec<String> = [requested, used].into_iter().flatten().collect();
        if parts.is_empty() {
            return Vec::new();
        }
        labelled("CLUSTER", vec![parts.join(", ")], None)
    }

    fn pools(&self) -> Vec<String> {
        labelled("MACHINES", metrics_money::lines(self.facts, self.summary), None)
    }

    fn advice(&self) -> Vec<String> {
        let all = advice::advice(self.summary, self.facts);
        let mut lines = Vec::new();
        for one in &all {
            let try_this = format!("{} (not simulated yet)", one.try_this);
            lines.extend(labelled("WHY", wrapped(&one.why), None));
            lines.extend(labelled("TRY", wrapped(&try_this), None));
        }
        if !all.is_empty() {
            lines.push(format!("{:MARGIN$}then: seatrial compare BEFORE AFTER", ""));
        }
        lines
    }
}

fn expects(verdicts: &[Verdict]) -> Vec<String> {
    // What failed is worth a line each, what held is counted when there is much of it.
    let mut sorted: Vec<&Verdict> = verdicts.iter().collect();
    let max = 2 * ROWS_MAX;
    if sorted.len() > max {
        sorted.sort_by_key(|verdict| verdict.held);
    }
    let row = |verdict: &&Verdict| {
        let sign = if verdict.held { "✓" } else { "✗" };
        vec![format!("{sign} {}", verdict.text), verdict.value.clone()]
    };
    let rows: Vec<Vec<String>> = sorted.iter().take(max).map(row).collect();
    let table = text_table(&[("", Align::Left), ("", Align::Left)], &rows, 0);
    let rest = sorted.iter().skip(max).filter(|verdict| !verdict.held).count();
    let note = (sorted.len() > max).then(|| {
        format!("and {} more, {} not met", thousands(cast::u64_of(sorted.len() - max)), rest)
    });
    labelled("EXPECT", table.lines().map(str::to_owned).collect(), note)
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
