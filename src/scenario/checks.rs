//! What only the whole shows: a horizon that is missing, services that nobody stands behind, calls
//! that come back, behaviours that nobody has.

use std::collections::BTreeMap;

use crate::base::Interner;
use crate::model::{
    Action, BehaviorRule, Command, GroupSpec, JobSpec, Model, ObjectName, ServiceSpec, Template,
    TrafficSpec, Workload, matches_pattern,
};
use crate::tree::{Diagnostic, Diagnostics, Span, Spanned};

use super::behaviors::split_target;
use super::file::{BehaviorFile, ScenarioFile, TrafficFile};
use super::input::Input;
use super::known::Gaps;
use super::{cycles, object_checks};

/// When the run ends, and what comes after that.
pub(super) fn ends(model: &Model, file: &ScenarioFile, gaps: Gaps, found: &mut Diagnostics) {
    if gaps.run {
        return;
    }
    let endless = !model.traffic.is_empty()
        || !model.hpas.is_empty()
        || !model.vpas.is_empty()
        || !model.cron_jobs.is_empty()
        || model.cloud.karpenter.is_some()
        || model.cloud.cluster_autoscaler.is_some();
    if endless && model.run.until.is_none() {
        let message = "a run with calls, autoscalers or CronJobs never ends by itself: `run.until` is missing";
        let place = if file.run.span.is_none() { file.name.span } else { file.run.span };
        found.push(Diagnostic::error(place, message).with_hint("run: { until: 10m }"));
    }
    let comes_and_goes = |group: &GroupSpec| group.interrupted_after.is_some();
    if !endless && model.cloud.groups.iter().any(comes_and_goes) && model.run.until.is_none() {
        let message = "spot machines come and go for ever: `run.until` is missing";
        let place = file.cloud.as_ref().map_or(file.name.span, |cloud| cloud.span);
        found.push(Diagnostic::error(place, message).with_hint("run: { until: 2h }"));
    }
    let Some(until) = model.run.until else { return };
    for entry in &file.timeline {
        let at = entry.value.at.map_or(crate::base::Duration::ZERO, |at| at.0);
        let at = crate::base::SimTime::ZERO + at;
        if at >= until {
            let message = format!("this is at {at}, when the run has ended (at {until})");
            let warning = Diagnostic::warning(entry.span, message);
            found.push(warning.with_hint("it does not happen: raise run.until"));
        }
    }
}

/// Jobs, and what CronJobs start.
pub(super) fn jobs(model: &Model) -> impl Iterator<Item = (&'static str, &JobSpec)> {
    let crons = model.cron_jobs.iter().map(|cron| ("cronjob", &*cron.job));
    model.jobs.iter().map(|job| ("job", job)).chain(crons)
}

/// Whether nothing says when a pod of a Job ends.
pub(super) fn is_endless(job: &JobSpec) -> bool {
    let template = &job.template;
    let mut containers = 0..template.spec.containers.len();
    template.spec.lifetime.is_none()
        && containers.any(|index| template.behavior(index).run.is_none())
}

/// A Job's pods must end some time.
fn check_job(
    kind: &str,
    job: &JobSpec,
    file: &ScenarioFile,
    names: &Interner,
    found: &mut Diagnostics,
) {
    if is_endless(job) {
        let name = super::behaviors::shown(kind, job.name, names);
        let message = format!("the pods of {name} never end: nothing says how long they run");
        let warning = Diagnostic::warning(file.name.span, message);
        found.push(warning.with_hint(format!("behaviors: [{{ for: {name}, run: 1m }}]")));
    }
}

/// Checks of what refers to what; only where all manifests could be read.
pub(super) fn whole(
    model: &Model,
    file: &ScenarioFile,
    selectors: &BTreeMap<ObjectName, Span>,
    names: &Interner,
    input: &mut Input,
) {
    let templates: Vec<&Template> = model.templates().map(|template| &**template).collect();
    let behind = cycles::behind(&model.services, &templates);
    let found = &mut input.found;
    for entry in &file.traffic {
        let Some(index) = target(entry, model, names) else {
            continue;
        };
        let service = &model.services[index];
        let name = names.resolve(service.name.name);
        if behind[index].is_empty() {
            let message = format!("no workload stands behind service \"{name}\"");
            let hint = object_checks::idle_hint(service, &templates, names);
            let error = Diagnostic::error(entry.value.to.span, message).with_hint(hint);
            found.push(match selectors.get(&service.name) {
                Some(place) => error.with_related(*place, "its selector"),
                None => error,
            });
        }
        check_port(entry, service, name, found);
    }
    if let Some(cycle) = cycles::first_cycle(model, &behind, names) {
        let message = format!("calls go round in a circle: {}", cycle.join(" → "));
        let hint = "a call must end somewhere: take one of them out";
        let place = call_in(&cycle, file).unwrap_or(file.name.span);
        found.push(Diagnostic::error(place, message).with_hint(hint));
    }
    for (entry, rule) in file.behaviors.iter().zip(&model.behaviors.rules) {
        check_behavior(entry, rule, model, names, found);
    }
    for (kind, job) in jobs(model) {
        check_job(kind, job, file, names, found);
    }
    let called: Vec<usize> = file.traffic.iter().filter_map(|t| target(t, model, names)).collect();
    let is_called = |name| called.iter().any(|index| model.services[*index].name == name);
    let (services, about) = (&model.services, (names, input));
    object_checks::idle_services(services, selectors, &templates, is_called, about);
}

/// The service that a source calls, by its index.
fn target(entry: &Spanned<TrafficFile>, model: &Model, names: &Interner) -> Option<usize> {
    let source = |own: &&TrafficSpec| names.resolve(own.name) == entry.value.name.value;
    let to = model.traffic.iter().find(source)?.to;
    model.services.iter().position(|service| service.name == to)
}

fn check_port(
    entry: &Spanned<TrafficFile>,
    service: &ServiceSpec,
    name: &str,
    found: &mut Diagnostics,
) {
    let Some(port) = &entry.value.port else {
        return;
    };
    if service.ports.iter().any(|p| p.port == port.value) {
        return;
    }
    let have: Vec<String> = service.ports.iter().map(|p| p.port.to_string()).collect();
    let message = format!("service \"{name}\" has no port {}", port.value);
    let hint = format!("it has {}", have.join(", "));
    found.push(Diagnostic::error(port.span, message).with_hint(hint));
}

/// The first call from a service of a circle to the next.
fn call_in(cycle: &[String], file: &ScenarioFile) -> Option<Span> {
    let all = file.behaviors.iter().flat_map(|b| b.value.calls.iter().flatten());
    let is_in = |to: &str| to.rsplit('/').next().is_some_and(|to| cycle.iter().any(|c| c == to));
    let call = all.filter(|call| is_in(&call.value.to.value)).map(|call| call.value.to.span);
    call.into_iter().next()
}

/// Containers that are called must stand in the pods that call them, beside the one that calls.
fn check_callees(
    entry: &Spanned<BehaviorFile>,
    rule: &BehaviorRule,
    model: &Model,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let of = |template: &&Template| rule.workload.is_none_or(|w| w == template.workload);
    for call in entry.value.calls.iter().flatten() {
        let to = &call.value.to;
        let Some(("container", _, wanted)) = split_target(&to.value) else { continue };
        for template in model.templates().map(|template| &**template).filter(of) {
            let spec = &template.spec;
            let server = template.server.and_then(|s| spec.containers.get(usize::from(s)));
            let others: Vec<&str> = (spec.init_containers.iter().filter(|c| c.restart_always))
                .chain(&spec.containers)
                .filter(|c| server.is_none_or(|server| server.name != c.name))
                .map(|c| names.resolve(c.name))
                .collect();
            if others.contains(&wanted) {
                continue;
            }
            let whose = super::behaviors::shown(
                template.workload.kind.as_str(),
                template.workload.name,
                names,
            );
            let message = format!("pods of {whose} have no other container \"{wanted}\"");
            let hint = match others.is_empty() {
                true => "they have one container".to_owned(),
                false => format!("they have {}", others.join(", ")),
            };
            let error = Diagnostic::error(to.span, message).with_hint(hint);
            found.push(error.with_suggestion(wanted, others));
            break;
        }
    }
}

/// What is written to must be a volume of the pods that is on the disk of their node.
fn check_volume(
    entry: &Spanned<BehaviorFile>,
    rule: &BehaviorRule,
    model: &Model,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let Some(volume) = entry.value.writes.as_ref().and_then(|writes| writes.volume.as_ref()) else {
        return;
    };
    let of = |template: &&Template| rule.workload.is_none_or(|w| w == template.workload);
    let has = |template: &&Template| {
        let spec = &template.spec;
        let mut all = spec.init_containers.iter().chain(&spec.containers);
        let image = |image| match &rule.image {
            Some(pattern) => matches_pattern(pattern, names.resolve(image)),
            None => true,
        };
        all.any(|c| rule.container.is_none_or(|name| name == c.name) && image(c.image))
    };
    for template in model.templates().map(|template| &**template).filter(of).filter(has) {
        let volumes = template.spec.empty_dirs.iter().map(|(name, _)| names.resolve(*name));
        let volumes: Vec<&str> = volumes.collect();
        if volumes.contains(&volume.value.as_str()) {
            continue;
        }
        let Workload { kind, name } = template.workload;
        let whose = super::behaviors::shown(kind.as_str(), name, names);
        let message = format!("pods of {whose} have no emptyDir volume \"{}\"", volume.value);
        let hint = match volumes.is_empty() {
            true => "what is written to other volumes is not on the disk of the node".to_owned(),
            false => format!("they have {}", volumes.join(", ")),
        };
        let error = Diagnostic::error(volume.span, message).with_suggestion(&volume.value, volumes);
        found.push(error.with_hint(hint));
        return;
    }
}

/// A behaviour that no container has is hardly meant.
fn check_behavior(
    entry: &Spanned<BehaviorFile>,
    rule: &BehaviorRule,
    model: &Model,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let BehaviorFile { target, container, image, .. } = &entry.value;
    if target.is_some() && rule.workload.is_none() {
        return; // told already
    }
    let of = |template: &&Template| rule.workload.is_none_or(|w| w == template.workload);
    let containers: Vec<_> = (model.templates().map(|template| &**template).filter(of))
        .flat_map(|template| template.spec.init_containers.iter().chain(&template.spec.containers))
        .collect();
    check_callees(entry, rule, model, names, found);
    check_volume(entry, rule, model, names, found);
    if let (Some(wanted), Some(name)) = (container, rule.container)
        && !containers.iter().any(|c| c.name == name)
    {
        let whose = target.as_ref().map_or(String::new(), |target| format!(" in {}", target.value));
        let message = format!("there is no container \"{}\"{whose}", wanted.value);
        let all = containers.iter().map(|c| names.resolve(c.name));
        let warning = Diagnostic::warning(wanted.span, message).with_hint("it has no effect");
        found.push(warning.with_suggestion(&wanted.value, all));
        return;
    }
    let Some(image) = image else { return };
    let matches = |text: &str| matches_pattern(&image.value, text);
    let later = model.timeline.iter().any(|entry| match &entry.action {
        Action::Command(Command::Kubectl(command)) => {
            let images = command.revisions.iter().flat_map(|revision| &revision.images);
            images.map(|(_, image)| image).any(|image| matches(image))
        }
        _ => false,
    });
    if !later && !containers.iter().any(|c| matches(names.resolve(c.image))) {
        let message = format!("no container has an image that matches \"{}\"", image.value);
        let warning = Diagnostic::warning(image.span, message);
        found.push(warning.with_hint("it has no effect; `*` stands for any text"));
    }
}
