//! `kubectl expose`: a Service for an object.
//!
//! Source: kubectl v0.36.3 pkg/cmd/expose/expose.go (recorded).

use serde_json::{Map, Value, json};

use crate::api::Kind;

use super::client::{At, Done, Session, Sub, Trouble, all_of};
use super::create::{JSON, labels_of};
use super::resources::resource;
use super::targets::{Info, Target, Targets, Whole};
use super::words::{Args, Flag, Result, value};

/// `kubectl expose`.
#[derive(Clone, Debug)]
pub struct Expose {
    /// `--name`; else that of the object.
    pub name: Option<String>,
    /// `--port`, several with commas; else the ports of the object.
    pub port: Option<String>,
    /// `--target-port`.
    pub target_port: Option<String>,
    /// `--protocol`.
    pub protocol: Option<String>,
    /// `--type`.
    pub kind: Option<String>,
    /// `--selector`.
    pub selector: Option<String>,
    /// `--labels`.
    pub labels: Option<String>,
    /// `--cluster-ip`.
    pub cluster_ip: Option<String>,
}

pub(super) const FLAGS: &[Flag] = &[
    value("name"),
    value("port"),
    value("target-port"),
    value("protocol"),
    value("type"),
    value("selector"),
    value("labels").short('l'),
    value("cluster-ip"),
    value("filename").short('f'),
];

pub(super) fn read(args: &Args) -> Result<(Expose, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked);
    // `--selector` is that of the Service, not of the objects.
    let targets = match args.get("selector") {
        None => targets?,
        Some(_) => {
            let mut named = Targets::default();
            let pairs = args.words.split_first();
            if let Some((kind, [name])) = pairs {
                let resource = super::resources::resource_called(&kind.text, &kind.at)?;
                let (name, at) = (name.text.clone(), name.at.clone());
                named.named.push(Target { resource, name, at });
            } else {
                for word in &args.words {
                    let (kind, name) = word.text.split_once('/').unwrap_or((&word.text, ""));
                    let resource = super::resources::resource_called(kind, &word.at)?;
                    let (name, at) = (name.to_owned(), word.at.clone());
                    named.named.push(Target { resource, name, at });
                }
            }
            named
        }
    };
    let text = |flag: &str| args.text(flag).filter(|text| !text.is_empty()).map(str::to_owned);
    let expose = Expose {
        name: text("name"),
        port: text("port"),
        target_port: text("target-port"),
        protocol: text("protocol"),
        kind: text("type"),
        selector: text("selector"),
        labels: text("labels"),
        cluster_ip: text("cluster-ip"),
    };
    Ok((expose, targets))
}

pub(super) fn run(expose: &Expose, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles: Vec<Trouble> = Vec::new();
    for found in session.find(targets) {
        let done = found.and_then(|info| self::expose(expose, &info, session));
        troubles.extend(done.err());
    }
    all_of(troubles)
}

fn expose(expose: &Expose, info: &Info, session: &mut Session<'_>) -> Done {
    let resource = resource(Kind::Service);
    let name = expose.name.clone().unwrap_or_else(|| info.name.chars().take(63).collect());
    let selector = match &expose.selector {
        Some(text) => labels_of(text, 0..0).map_err(|error| error.message)?,
        None => selector_of(info)?,
    };
    let labels = match &expose.labels {
        Some(text) => labels_of(text, 0..0).map_err(|error| error.message)?,
        None => info.object["metadata"]["labels"].as_object().cloned().unwrap_or_default(),
    };
    let mut spec = json!({ "selector": selector });
    let ports = ports_of(expose, info)?;
    if !ports.is_empty() {
        spec["ports"] = ports.into();
    }
    if let Some(kind) = &expose.kind {
        spec["type"] = kind.as_str().into();
    }
    if let Some(address) = &expose.cluster_ip {
        spec["clusterIP"] = address.as_str().into();
    }
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": spec, "status": { "loadBalancer": {} },
    });
    if !labels.is_empty() {
        object["metadata"]["labels"] = labels.into();
    }
    if session.writes() {
        let namespace = session.namespace;
        let at = At { resource, namespace, name: "", sub: Sub::Object };
        session.api.create(at, object, JSON)?;
    }
    session.tell(resource, &name, "exposed");
    Ok(())
}

fn selector_of(info: &Info) -> std::result::Result<Map<String, Value>, Trouble> {
    let spec = &info.object["spec"];
    let found = match info.resource.name {
        "Pod" => &info.object["metadata"]["labels"],
        "Service" | "ReplicationController" => &spec["selector"],
        "Deployment" | "ReplicaSet" => &spec["selector"]["matchLabels"],
        _ => {
            let group = match info.resource.group {
                "" => String::new(),
                group => format!(".{group}"),
            };
            return Err(format!("cannot expose a {}{group}", info.resource.name).into());
        }
    };
    let missing = || {
        let what = info.resource.singular();
        Trouble::Text(format!(
            "couldn't retrieve selectors via --selector flag or introspection: the {what} has no \
             labels and cannot be exposed\nSee 'kubectl expose -h' for help and examples"
        ))
    };
    found.as_object().filter(|map| !map.is_empty()).cloned().ok_or_else(missing)
}

fn ports_of(expose: &Expose, info: &Info) -> std::result::Result<Vec<Value>, Trouble> {
    let own = own_ports(info);
    let ports: Vec<String> = match &expose.port {
        Some(text) => text.split(',').map(str::to_owned).collect(),
        None => own.iter().map(|(port, _)| port.clone()).collect(),
    };
    if ports.is_empty() && expose.cluster_ip.as_deref() != Some("None") {
        return Err(
            "couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' \
                    for help and examples"
                .into(),
        );
    }
    let mut found = Vec::new();
    let is_one = ports.len() == 1;
    for (index, port) in ports.iter().enumerate() {
        let number: u16 =
            port.parse().map_err(|_| Trouble::Text(format!("invalid port: {port:?}")))?;
        let protocol = expose.protocol.clone().or_else(|| {
            own.iter().find(|(own, _)| own == port).map(|(_, protocol)| protocol.clone())
        });
        let target = match expose.target_port.as_deref() {
            None => number.into(),
            Some(text) => text.parse::<u16>().map_or_else(|_| Value::from(text), Value::from),
        };
        let mut tree = json!({
            "port": number, "protocol": protocol.unwrap_or_else(|| "TCP".to_owned()),
            "targetPort": target,
        });
        if !is_one {
            tree["name"] = format!("port-{}", index + 1).into();
        }
        found.push(tree);
    }
    Ok(found)
}

/// The ports of an object with their protocols.
fn own_ports(info: &Info) -> Vec<(String, String)> {
    let spec = &info.object["spec"];
    let (lists, field): (Vec<&Value>, &str) = match info.resource.name {
        "Service" => (vec![&spec["ports"]], "port"),
        of => {
            let pod = if of == "Pod" { spec } else { &spec["template"]["spec"] };
            let containers = pod["containers"].as_array().into_iter().flatten();
            (containers.map(|container| &container["ports"]).collect(), "containerPort")
        }
    };
    let ports = lists.into_iter().filter_map(Value::as_array).flatten();
    ports
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            (port[field].to_string(), protocol.to_owned())
        })
        .collect()
}
