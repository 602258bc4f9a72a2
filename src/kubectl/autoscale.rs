//! `kubectl autoscale`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/autoscale/autoscale.go (recorded).

use serde_json::{Value, json};

use crate::api::Kind;
use crate::base::Quantity;

use super::client::{At, Done, Session, Sub, Trouble, all_of};
use super::resources::resource;
use super::targets::{Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, Word, value};

/// An autoscaler in words.
#[derive(Clone, Debug)]
pub struct Autoscale {
    /// `--name`; else that of the object.
    pub name: Option<String>,
    /// `--min`, if above zero.
    pub min: Option<i64>,
    /// `--max`.
    pub max: i64,
    /// Metrics, as the object has them.
    pub metrics: Vec<Value>,
    /// Whether `--cpu-percent` is used, which kubectl remarks upon.
    pub is_deprecated: bool,
}

pub(super) const FLAGS: &[Flag] = &[
    value("min"),
    value("max"),
    value("cpu"),
    value("memory"),
    value("cpu-percent"),
    value("name"),
    value("filename").short('f'),
];

const DEPRECATED: &str = "Flag --cpu-percent has been deprecated, Use --cpu with percentage or \
                          resource quantity format (e.g., '70%' for utilization or '500m' for \
                          milliCPU).\n";

pub(super) fn read(args: &Args) -> Result<(Autoscale, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked)?;
    let missing = || {
        let error = CommandError::new(args.end.clone(), "--max is missing");
        let says = "error: required flag(s) \"max\" not set\n";
        error.hint("for example --max=10").says(says)
    };
    let max = args.number("max", "pods")?.ok_or_else(missing)?;
    let min = args.number("min", "pods")?.unwrap_or(-1);
    if max < 1 {
        let message = format!("--max=MAXPODS is required and must be at least 1, max: {max}");
        return Err(CommandError::new(args.place("max"), message));
    }
    if max < min {
        let message = format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"
        );
        return Err(CommandError::new(args.place("max"), message));
    }
    let percent = args.number("cpu-percent", "percent")?.filter(|percent| *percent >= 0);
    let mut metrics = Vec::new();
    if let Some(word) = args.get("cpu") {
        if percent.is_some() {
            let message = "--cpu-percent and --cpu are mutually exclusive";
            return Err(CommandError::new(word.at.clone(), message));
        }
        metrics.push(metric("cpu", word)?);
    }
    metrics.extend(percent.map(|percent| utilization("cpu", percent)));
    if let Some(word) = args.get("memory") {
        metrics.push(metric("memory", word)?);
    }
    let name = args.text("name").filter(|name| !name.is_empty()).map(str::to_owned);
    let autoscale = Autoscale {
        name,
        min: (min > 0).then_some(min),
        max,
        metrics,
        is_deprecated: args.get("cpu-percent").is_some(),
    };
    Ok((autoscale, targets))
}

fn utilization(name: &str, percent: i64) -> Value {
    json!({ "type": "Resource", "resource": {
        "name": name,
        "target": { "type": "Utilization", "averageUtilization": percent },
    } })
}

/// `70%` or `500m`.
fn metric(name: &str, word: &Word) -> Result<Value> {
    let error = |message: String| CommandError::new(word.at.clone(), message);
    if let Some(percent) = word.text.strip_suffix('%') {
        let percent: i32 = percent
            .parse()
            .map_err(|_| error(format!("invalid percentage value: {:?}", word.text)))?;
        return Ok(utilization(name, percent.into()));
    }
    let amount = Quantity::parse(&word.text)
        .map_err(|_| error(format!("invalid resource {name} value: {}", word.text)))?;
    Ok(json!({ "type": "Resource", "resource": {
        "name": name,
        "target": { "type": "AverageValue", "averageValue": amount.canonical() },
    } }))
}

pub(super) fn run(of: &Autoscale, targets: &Targets, session: &mut Session<'_>) -> Done {
    if of.is_deprecated {
        session.out.push_str(DEPRECATED);
    }
    let mut troubles: Vec<Trouble> = Vec::new();
    let mut count = 0;
    for found in session.find(targets) {
        let done = found.and_then(|info| {
            count += 1;
            if !info.resource.has_scale {
                let (version, plural) = (info.resource.api_version(), info.resource.plural);
                return Err(Trouble::Text(format!(
                    "cannot autoscale a {}: could not find scale subresource for {version}, \
                     Resource={plural} in discovery information",
                    info.resource.name
                )));
            }
            create(of, &info, session)
        });
        troubles.extend(done.err());
    }
    if count == 0 && troubles.is_empty() {
        return Err("no objects passed to autoscale".into());
    }
    all_of(troubles)
}

fn create(of: &Autoscale, info: &super::targets::Info, session: &mut Session<'_>) -> Done {
    let hpa = resource(Kind::HorizontalPodAutoscaler);
    let name = of.name.clone().unwrap_or_else(|| info.name.clone());
    let mut object = json!({
        "apiVersion": hpa.api_version(), "kind": hpa.name,
        "metadata": { "name": name, "namespace": session.namespace },
        "spec": {
            "maxReplicas": of.max,
            "scaleTargetRef": {
                "apiVersion": info.resource.api_version(), "kind": info.resource.name,
                "name": info.name,
            },
        },
        "status": { "currentMetrics": null, "desiredReplicas": 0 },
    });
    if let Some(min) = of.min {
        object["spec"]["minReplicas"] = min.into();
    }
    if !of.metrics.is_empty() {
        object["spec"]["metrics"] = of.metrics.clone().into();
    }
    if !session.writes() {
        session.tell(hpa, &name, "created");
        return Ok(());
    }
    let namespace = session.namespace;
    let at = At { resource: hpa, namespace, name: "", sub: Sub::Object };
    session.api.create(at, object, super::create::PROTOBUF)?;
    session.tell(hpa, &name, "autoscaled");
    Ok(())
}
