//! Names as people say them: alone where that is clear, with the namespace where it is not.

use crate::base::Interner;
use crate::model::{Model, ObjectName, Workload};

/// Names of one kind of object, in the order of the model's table.
pub(super) fn names_of<'a>(
    model: &Model,
    objects: impl Iterator<Item = &'a ObjectName>,
) -> Vec<String> {
    let objects: Vec<&ObjectName> = objects.collect();
    let count = |name| objects.iter().filter(|other| other.name == name).count();
    let text = |object: &&ObjectName| {
        let name = model.names.resolve(object.name);
        match count(object.name) {
            0 | 1 => name.to_owned(),
            _ => format!("{}/{name}", model.names.resolve(object.namespace)),
        }
    };
    objects.iter().map(text).collect()
}

/// Names of the Services.
pub(super) fn services(model: &Model) -> Vec<String> {
    names_of(model, model.services.iter().map(|s| &s.name))
}

/// Names of the Deployments.
pub(super) fn deployments(model: &Model) -> Vec<String> {
    names_of(model, model.deployments.iter().map(|d| &d.name))
}

/// Names of the autoscalers.
pub(super) fn hpas(model: &Model) -> Vec<String> {
    names_of(model, model.hpas.iter().map(|h| &h.name))
}

/// Names of the VerticalPodAutoscalers.
pub(super) fn vpas(model: &Model) -> Vec<String> {
    names_of(model, model.vpas.iter().map(|v| &v.name))
}

/// Workloads: the name alone, else with its kind, else with its namespace too.
pub(super) fn workloads(all: &[Workload], names: &Interner) -> Vec<String> {
    let text = |workload: &Workload| {
        let name = names.resolve(workload.name.name);
        let same = || all.iter().filter(|other| other.name.name == workload.name.name);
        let kind = workload.kind.as_str();
        if same().count() <= 1 {
            return name.to_owned();
        }
        if same().filter(|other| other.kind == workload.kind).count() <= 1 {
            return format!("{kind}/{name}");
        }
        format!("{kind}/{}/{name}", names.resolve(workload.name.namespace))
    };
    all.iter().map(text).collect()
}

/// What rolls out, with the name that its numbers have: those of Deployments as
/// [`deployments`] gives them, of other kinds with the kind where a name is taken.
pub(super) fn rolling(model: &Model) -> Vec<(Workload, String)> {
    let all: Vec<Workload> = model.rolling().collect();
    let own = deployments(model);
    let others: Vec<Workload> = all[own.len()..].to_vec();
    let is_taken = |name: &String| own.contains(name);
    let names = names_of(model, others.iter().map(|workload| &workload.name));
    let others = others.iter().zip(&names).map(|(workload, name)| {
        let is_double = names.iter().filter(|other| *other == name).count() > 1;
        match is_taken(name) || is_double {
            true => format!("{}/{name}", workload.kind.as_str()),
            false => name.clone(),
        }
    });
    let names: Vec<String> = own.iter().cloned().chain(others).collect();
    all.into_iter().zip(names).collect()
}

/// A workload of the model and its name as people say it: `deployment/checkout`.
pub(super) fn with_kind(workload: Workload, name: &str) -> String {
    let kind = workload.kind.as_str();
    if name.starts_with(&format!("{kind}/")) { name.to_owned() } else { format!("{kind}/{name}") }
}

/// Which Services lead to the pods of a workload that rolls out: their selectors match its
/// template.
pub(super) fn services_of(model: &Model, workload: Workload) -> Vec<usize> {
    let mut rolling = model.rolling_templates();
    let Some((_, template)) = rolling.find(|(own, _)| *own == workload) else { return Vec::new() };
    let labels = &template.labels;
    let selects =
        |service: &crate::model::ServiceSpec| service.selects(workload.name.namespace, labels);
    let chosen = model.services.iter().enumerate().filter(|(_, s)| selects(s));
    chosen.map(|(index, _)| index).collect()
}
