//! The folder that a run leaves, written beside its place and renamed: a killed run leaves no half
//! result that looks whole.
//!
//! ```text
//! Folder::create ─► rows, inputs while the run goes on ─► finish: the rest, then one rename
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::{SimTime, cast};
use crate::record::{Cause, Fate};
use crate::recorder::{Facts, Gauge, RowSinks, secs};

use super::chart::{Figure, render_png, render_svg};
use super::expect::Verdict;
use super::summary::{Summary, json_number};
use super::{figures, html, names};

/// A result folder in the making. Dropped before it is finished, it is deleted.
#[derive(Debug)]
pub struct Folder {
    target: PathBuf,
    temporary: tempfile::TempDir,
}

/// What a folder is filled with at the end.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// The numbers of all runs.
    pub summary: &'a Summary,
    /// The facts of the first run.
    pub facts: &'a Facts,
    /// What was expected and what came.
    pub verdicts: &'a [Verdict],
    /// The printed summary.
    pub text: &'a str,
}

/// What was written, for the last line on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Tables.
    pub tables: usize,
    /// Charts, each as SVG and PNG.
    pub charts: usize,
}

impl Folder {
    /// Begins a folder that will stand at `target`. Its parents are made; what is there now stays
    /// until the new one is finished.
    ///
    /// # Errors
    /// If there is something at `target` that is no result, or nothing can be written beside it.
    pub fn create(target: &Path) -> io::Result<Self> {
        if !may_be_replaced(target)? {
            let place = target.display();
            let message = format!("{place} is there and is no result of a run: it stays as it is");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let temporary = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(parent)?;
        Ok(Self { target: target.to_owned(), temporary })
    }

    /// The files that rows go to while the run goes on.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn rows(&self) -> io::Result<RowSinks> {
        let open = |name: &str| File::create(self.temporary.path().join(name));
        Ok(RowSinks::default()
            .pods(open("pods.csv")?)
            .events(open("events.csv")?)
            .failures(open("failures.csv")?))
    }

    /// Keeps a file of the input under `input/`; `path` is relative, and stays inside.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn input(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let inside = Path::new(path)
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)));
        let place = self.temporary.path().join("input").join(inside.collect::<PathBuf>());
        fs::create_dir_all(place.parent().unwrap_or(self.temporary.path()))?;
        fs::write(place, bytes)
    }

    /// Writes the rest and puts the folder into its place.
    ///
    /// # Errors
    /// If something cannot be written; then nothing changes at the place.
    pub fn finish(self, results: &Results<'_>) -> io::Result<Written> {
        let root = self.temporary.path();
        fs::write(root.join("summary.json"), summary_json(results))?;
        fs::write(root.join("summary.txt"), results.text)?;
        let tables = write_tables(root, results.facts)? + 3;
        let figures = figures::figures(results.facts);
        write_charts(&root.join("charts"), &figures)?;
        fs::write(root.join("report.html"), html::page(results, &figures))?;
        self.settle()?;
        Ok(Written { tables, charts: figures.len() })
    }

    /// Writes a comparison and puts the folder into its place.
    ///
    /// # Errors
    /// If something cannot be written; then nothing changes at the place.
    pub fn finish_comparison(
        self,
        comparison: &super::compare::Comparison,
        names: [&str; 2],
        seed: u64,
    ) -> io::Result<Written> {
        let root = self.temporary.path();
        let json = format!("{:#}\n", comparison.json(names, seed));
        fs::write(root.join("compare.json"), json)?;
        fs::write(root.join("summary.txt"), comparison.text(names, seed))?;
        let figure = comparison.figure(names);
        let figures: Vec<_> =
            figure.into_iter().map(|figure| ("compare".to_owned(), figure)).collect();
        write_charts(&root.join("charts"), &figures)?;
        self.settle()?;
        Ok(Written { tables: 0, charts: figures.len() })
    }

    /// Writes a result that is one JSON file, its text and charts, and puts the folder into its
    /// place.
    ///
    /// # Errors
    /// If something cannot be written; then nothing changes at the place.
    pub fn finish_pages(
        self,
        name: &str,
        json: &str,
        text: &str,
        figures: &[(String, super::chart::Figure)],
    ) -> io::Result<()> {
        let root = self.temporary.path();
        fs::write(root.join(name), json)?;
        fs::write(root.join("summary.txt"), text)?;
        write_charts(&root.join("charts"), figures)?;
        self.settle()
    }

    /// One rename; what was there before goes away after it.
    fn settle(self) -> io::Result<()> {
        let Self { target, temporary } = self;
        let old = target.exists().then(|| {
            let parent = temporary.path().parent().unwrap_or(Path::new(".")).to_owned();
            tempfile::Builder::new().prefix(".replaced-").tempdir_in(parent)
        });
        let old = old.transpose()?;
        if let Some(old) = &old {
            fs::rename(&target, old.path().join("old"))?;
        }
        share(temporary.path())?;
        if let Err(error) = fs::rename(temporary.path(), &target) {
            if let Some(old) = &old {
                fs::rename(old.path().join("old"), &target)?;
            }
            return Err(error);
        }
        // What was temporary stands in its place now: there is nothing to delete.
        let _gone = temporary.keep();
        Ok(())
    }
}

/// Lets others read what was private while it was made.
#[cfg(unix)]
fn share(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn share(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a place is free, an empty folder or a result.
fn may_be_replaced(target: &Path) -> io::Result<bool> {
    if !target.exists() {
        return Ok(true);
    }
    if !target.is_dir() {
        return Ok(false);
    }
    let is_result =
        ["summary.json", "compare.json", "advise.json"].iter().any(|f| target.join(f).exists());
    Ok(is_result || fs::read_dir(target)?.next().is_none())
}

/// The whole `summary.json`, indented, with an end of line.
#[must_use]
pub fn summary_json(results: &Results<'_>) -> String {
    let Results { summary, facts, verdicts, .. } = *results;
    let model = &facts.model;
    let mut root = summary.tree();
    let scenario = json!({
        "name": model.name,
        "about": model.about,
        "seed": model.run.seed,
        "replications": summary.replications,
        "latencies": model.latencies.profile,
        "version": env!("CARGO_PKG_VERSION"),
    });
    root.insert("scenario".to_owned(), scenario);
    let verdict = |v: &Verdict| json!({ "text": v.text, "held": v.held, "value": v.value });
    root.insert("expect".to_owned(), verdicts.iter().map(verdict).collect());
    root.insert("warnings".to_owned(), super::warnings(summary, facts).into());
    format!("{:#}\n", Value::Object(root))
}

fn write_charts(folder: &Path, figures: &[(String, Figure)]) -> io::Result<()> {
    if figures.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for (name, figure) in figures {
        fs::write(folder.join(format!("{name}.svg")), render_svg(figure))?;
        fs::write(folder.join(format!("{name}.png")), render_png(figure))?;
    }
    Ok(())
}

type Table = csv::Writer<BufWriter<File>>;
type Write = fn(&Facts, &mut Table) -> csv::Result<()>;

/// How many tables were written.
fn write_tables(root: &Path, facts: &Facts) -> io::Result<usize> {
    let tables: [(&str, Write); 6] = [
        ("series.csv", write_series),
        ("replicas.csv", write_replicas),
        ("calls.csv", write_calls),
        ("scaling.csv", write_scaling),
        ("rollouts.csv", write_rollouts),
        ("commands.csv", write_commands),
    ];
    for (name, write) in &tables {
        let mut table = csv::Writer::from_writer(BufWriter::new(File::create(root.join(name))?));
        write(facts, &mut table)?;
        table.flush()?;
    }
    Ok(tables.len())
}

/// A number as short as it can be read back; a whole one without `.0`.
fn number(value: f64) -> String {
    json_number(value).to_string()
}

fn time(at: Option<SimTime>) -> String {
    at.map(secs).unwrap_or_default()
}

fn write_series(facts: &Facts, table: &mut Table) -> csv::Result<()> {
    let columns = Gauge::ALL.into_iter().map(Gauge::column);
    let heading = ["at_s", "samples"].into_iter().chain(columns);
    table.write_record(heading.chain(["pods_pending_max", "pods_ready_min"]))?;
    for point in facts.samples.points() {
        let mut row = vec![secs(point.at), point.samples.to_string()];
        row.extend(Gauge::ALL.into_iter().map(|gauge| number(point.gauge(gauge).mean)));
        row.push(number(point.gauge(Gauge::PodsPending).max));
        row.push(number(point.gauge(Gauge::PodsReady).min));
        table.write_record(row)?;
    }
    Ok(())
}

fn write_replicas(facts: &Facts, table: &mut Table) -> csv::Result<()> {
    let names = &facts.model.names;
    let heading =
        ["at_s", "namespace", "workload", "revision", "pods", "ready", "terminating", "wanted"];
    table.write_record(heading)?;
    for point in facts.samples.points() {
        for row in point.replicas {
            let name = names.resolve(row.workload.name.name);
            table.write_record([
                secs(point.at).as_str(),
                names.resolve(row.workload.name.namespace),
                &format!("{}/{name}", row.workload.kind.as_str()),
                &row.revision.to_string(),
                &number(row.pods),
                &number(row.ready),
                &number(row.terminating),
                &number(row.wanted),
            ])?;
        }
    }
    Ok(())
}

fn write_calls(facts: &Facts, table: &mut Table) -> csv::Result<()> {
    let causes = || Cause::ALL.into_iter().filter(|cause| *cause != Cause::None);
    let mut heading = vec!["service".to_owned(), "start_s".to_owned(), "width_s".to_owned()];
    heading.extend(Fate::ALL.map(|fate| fate.as_str().to_owned()));
    heading.extend(causes().map(|cause| format!("cause_{}", cause.as_str())));
    heading.extend(["retried", "p50_s", "p90_s", "p99_s", "max_s"].map(str::to_owned));
    table.write_record(heading)?;
    let services = names::services(&facts.model);
    for (name, calls) in services.iter().zip(facts.services.iter()) {
        let width = secs(SimTime::at(calls.width()));
        for (start, interval) in calls.intervals().filter(|(_, row)| row.counts.total() > 0) {
            let counts = &interval.counts;
            let mut row = vec![name.clone(), secs(start), width.clone()];
            row.extend(Fate::ALL.map(|fate| counts.of_fate(fate).to_string()));
            row.extend(causes().map(|cause| counts.of_cause(cause).to_string()));
            row.push(counts.retried.to_string());
            let latency = &interval.latency;
            let quantiles = [0.5, 0.9, 0.99].map(|p| time(latency.quantile(p).map(SimTime::at)));
            row.extend(quantiles);
            row.push(time(latency.max().map(SimTime::at)));
            table.write_record(row)?;
        }
    }
    Ok(())
}

fn write_scaling(facts: &Facts, table: &mut Table) -> csv::Result<()> {
    let names = names::hpas(&facts.model);
    let heading = ["at_s", "hpa", "from", "to", "raw", "utilization_percent", "reason"];
    table.write_record(heading)?;
    for step in &facts.scales {
        table.write_record([
            secs(step.at).as_str(),
            names.get(step.hpa.index()).map_or("", String::as_str),
            &step.from.to_string(),
            &step.to.to_string(),
            &step.raw.to_string(),
            &step.utilization.map(|percent| percent.to_string()).unwrap_or_default(),
            step.reason,
        ])?;
    }
    Ok(())
}

fn write_rollouts(facts: &Facts, table: &mut Table) -> csv::Result<()> {
    let names = names::rolling(&facts.model);
    table.write_record([
        "workload",
        "revision",
        "started_s",
        "completed_s",
        "deadline_exceeded_s",
        "old_pods_gone_s",
    ])?;
    for rollout in &facts.rollouts {
        let name = names.iter().find(|(own, _)| *own == rollout.workload);
        table.write_record([
            &name.map_or_else(String::new, |(own, name)| names::with_kind(*own, name)),
            &rollout.revision.to_string(),
            &secs(rollout.started),
            &time(rollout.completed),
            &time(rollout.deadline_exceeded),
            &time(rollout.old_gone),
        ])?;
    }
    Ok(())
}

fn write_commands(facts: &Facts, table: &mut Table) -> csv::Result<()> {
    table.write_record(["at_s", "command", "refused", "ended_s", "printed"])?;
    for command in &facts.commands {
        let refused = command.refused.as_deref().unwrap_or("");
        let (at, ended) = (secs(command.at), time(command.ended));
        table.write_record([at.as_str(), &command.text, refused, &ended, &command.said])?;
    }
    Ok(())
}

impl Written {
    /// `report.html, summary.json, 9 csv, 5 charts`
    #[must_use]
    pub fn text(self) -> String {
        let charts = crate::base::text::counted(cast::u64_of(self.charts), "chart");
        if self.tables == 0 {
            return format!("compare.json, {charts}");
        }
        format!("report.html, summary.json, {} csv, {charts}", self.tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::testing::model;
    use crate::report::metrics;

    fn finish(target: &Path) -> io::Result<Written> {
        let model = model(&["checkout"]);
        let facts = Facts::empty(&model);
        let summary = Summary::fold(&[metrics(&facts)]);
        let folder = Folder::create(target)?;
        drop(folder.rows()?);
        folder.input("../scenario.yaml", b"kind: Scenario\n")?;
        let results = Results { summary: &summary, facts: &facts, verdicts: &[], text: "done\n" };
        folder.finish(&results)
    }

    fn entries(folder: &Path) -> Vec<String> {
        let all = fs::read_dir(folder).unwrap();
        let name =
            |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut all: Vec<String> = all.map(name).collect();
        all.sort();
        all
    }

    #[test]
    fn a_result_replaces_the_one_before_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let target = temporary.path().join("results/quickstart");
        finish(&target).unwrap();
        fs::write(target.join("summary.txt"), "changed").unwrap();
        finish(&target).unwrap();
        assert_eq!(fs::read_to_string(target.join("summary.txt")).unwrap(), "done\n");
        assert_eq!(fs::read(target.join("input/scenario.yaml")).unwrap(), b"kind: Scenario\n");
        assert_eq!(entries(&temporary.path().join("results")), ["quickstart"]);
        let other = temporary.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("thesis.tex"), "years of work").unwrap();
        let refused = finish(&other).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(entries(&other), ["thesis.tex"]);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(&temporary.path().join("quickstart")).unwrap();
        drop(folder.rows().unwrap());
        drop(folder);
        assert!(entries(temporary.path()).is_empty());
    }

    #[test]
    fn the_summary_is_one_object_in_order() {
        let model = model(&["checkout"]);
        let facts = Facts::empty(&model);
        let summary = Summary::fold(&[metrics(&facts)]);
        let results = Results { summary: &summary, facts: &facts, verdicts: &[], text: "" };
        let text = summary_json(&results);
        let tree: Value = serde_json::from_str(&text).unwrap();
        let failed = &tree["services"]["checkout"]["calls"]["failed"];
        assert_eq!(failed["value"], 0);
        assert_eq!(failed["unit"], "calls");
        assert!(tree["services"]["checkout"]["calls"]["latency_p99"].is_null());
        assert_eq!(text, summary_json(&results));
    }
}
