//! Rows that are written while the run goes on: `pods.csv`, `events.csv`, `failures.csv`.
//!
//! Trouble with a file ends its rows, not the run: it is remembered and told at the end.

use std::fmt;
use std::io::Write;

use crate::base::{Interner, SimTime};
use crate::model::Model;
use crate::record::{About, CallRecord, EventRecord, PodRecord};

type Sink = Box<dyn Write + Send>;

/// Where rows go; a file that is not wanted is absent. Rows of pods and events wait until
/// `Recorder::write_rows` brings the names.
#[derive(Default)]
pub struct RowSinks {
    pods: Option<csv::Writer<Sink>>,
    events: Option<csv::Writer<Sink>>,
    failures: Option<csv::Writer<Sink>>,
    waiting_pods: Vec<PodRecord>,
    waiting_events: Vec<EventRecord>,
    trouble: Vec<String>,
}

impl fmt::Debug for RowSinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = [&self.pods, &self.events, &self.failures];
        write!(f, "RowSinks({} open)", open.iter().filter(|sink| sink.is_some()).count())
    }
}

const PODS: [&str; 17] = [
    "pod",
    "namespace",
    "workload",
    "revision",
    "node",
    "created_s",
    "scheduled_s",
    "started_s",
    "ready_s",
    "deleted_s",
    "finished_s",
    "gone_s",
    "restarts",
    "reason",
    "message",
    "serial",
    "ip",
];
const EVENTS: [&str; 5] = ["at_s", "type", "reason", "object", "message"];
const FAILURES: [&str; 9] =
    ["call", "start_s", "service", "source", "latency_s", "fate", "cause", "retries", "pod_serial"];

impl RowSinks {
    /// A row a pod goes here.
    #[must_use]
    pub fn pods(mut self, sink: impl Write + Send + 'static) -> Self {
        self.pods = self.open(Box::new(sink), &PODS);
        self
    }

    /// A row a Kubernetes Event goes here.
    #[must_use]
    pub fn events(mut self, sink: impl Write + Send + 'static) -> Self {
        self.events = self.open(Box::new(sink), &EVENTS);
        self
    }

    /// A row a failed call goes here.
    #[must_use]
    pub fn failures(mut self, sink: impl Write + Send + 'static) -> Self {
        self.failures = self.open(Box::new(sink), &FAILURES);
        self
    }

    fn open(&mut self, sink: Sink, heading: &[&str]) -> Option<csv::Writer<Sink>> {
        let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(sink);
        match writer.write_record(heading) {
            Ok(()) => Some(writer),
            Err(error) => {
                self.trouble.push(error.to_string());
                None
            }
        }
    }

    pub(super) fn pod(&mut self, row: &PodRecord) {
        if self.pods.is_some() {
            self.waiting_pods.push(row.clone());
        }
    }

    pub(super) fn event(&mut self, row: EventRecord) {
        if self.events.is_some() {
            self.waiting_events.push(row);
        }
    }

    pub(super) fn failure(&mut self, number: u64, row: &CallRecord, model: &Model) {
        if let Some(writer) = &mut self.failures {
            let result = write_failure(writer, number, row, model);
            close_on_error(&mut self.failures, result, ("failures.csv", &mut self.trouble));
        }
    }

    pub(super) fn write(&mut self, names: &Interner) {
        for row in std::mem::take(&mut self.waiting_pods) {
            if let Some(writer) = &mut self.pods {
                let result = write_pod(writer, &row, names);
                close_on_error(&mut self.pods, result, ("pods.csv", &mut self.trouble));
            }
        }
        for row in std::mem::take(&mut self.waiting_events) {
            if let Some(writer) = &mut self.events {
                let result = write_event(writer, &row, names);
                close_on_error(&mut self.events, result, ("events.csv", &mut self.trouble));
            }
        }
    }

    /// Writes what is buffered; the troubles of all files.
    pub(super) fn finish(mut self) -> Vec<String> {
        let files = [
            ("pods.csv", &mut self.pods),
            ("events.csv", &mut self.events),
            ("failures.csv", &mut self.failures),
        ];
        for (name, writer) in files {
            if let Some(Err(error)) = writer.as_mut().map(csv::Writer::flush) {
                self.trouble.push(format!("{name}: {error}"));
            }
        }
        self.trouble
    }
}

fn close_on_error(
    writer: &mut Option<csv::Writer<Sink>>,
    result: csv::Result<()>,
    (name, trouble): (&str, &mut Vec<String>),
) {
    if let Err(error) = result {
        trouble.push(format!("{name}: {error}"));
        *writer = None;
    }
}

fn write_pod(writer: &mut csv::Writer<Sink>, row: &PodRecord, names: &Interner) -> csv::Result<()> {
    let time = |at: Option<SimTime>| at.map(secs).unwrap_or_default();
    let workload = names.resolve(row.workload.name.name);
    writer.write_record([
        row.name.text(names).as_str(),
        names.resolve(row.namespace),
        &format!("{}/{workload}", row.workload.kind.as_str()),
        &row.revision.to_string(),
        row.node.map_or("", |node| names.resolve(node)),
        &secs(row.created),
        &time(row.scheduled),
        &time(row.started),
        &time(row.ready),
        &time(row.deleted),
        &time(row.finished),
        &time(row.gone),
        &row.restarts.to_string(),
        row.reason,
        row.message.as_deref().unwrap_or(""),
        &row.serial.to_string(),
        &row.ip.map_or_else(String::new, |ip| ip.to_string()),
    ])
}

fn write_event(
    writer: &mut csv::Writer<Sink>,
    row: &EventRecord,
    names: &Interner,
) -> csv::Result<()> {
    let about = match row.about {
        About::Pod(namespace, name) => {
            format!("pod/{}/{}", names.resolve(namespace), name.text(names))
        }
        About::Node(name) => format!("node/{}", names.resolve(name)),
        About::Object(kind, name) => {
            let (namespace, name) = (names.resolve(name.namespace), names.resolve(name.name));
            format!("{}/{namespace}/{name}", kind.to_lowercase())
        }
        About::Cluster => "cluster".to_owned(),
    };
    let kind = if row.is_warning { "Warning" } else { "Normal" };
    writer.write_record([secs(row.at).as_str(), kind, row.reason, &about, &row.message])
}

fn write_failure(
    writer: &mut csv::Writer<Sink>,
    number: u64,
    row: &CallRecord,
    model: &Model,
) -> csv::Result<()> {
    let names = &model.names;
    let service = model.services.get(row.service.index());
    let source = row.source.and_then(|id| model.traffic.get(id.index()));
    writer.write_record([
        number.to_string().as_str(),
        &secs(row.start),
        service.map_or("", |service| names.resolve(service.name.name)),
        source.map_or("", |source| names.resolve(source.name)),
        &secs(SimTime::at(row.latency)),
        row.fate.as_str(),
        row.cause.as_str(),
        &row.retries.to_string(),
        &row.pod.map(|serial| serial.to_string()).unwrap_or_default(),
    ])
}

/// An instant in seconds as files have it: exact, without zeros at the end (`61.25`).
#[must_use]
pub fn secs(at: SimTime) -> String {
    let (whole, nanos) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
    if nanos == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{nanos:09}");
    text.trim_end_matches('0').to_owned()
}
