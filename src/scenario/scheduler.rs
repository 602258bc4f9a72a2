//! `cluster.scheduler`: a few words, or a whole `KubeSchedulerConfiguration`.

use crate::api;
use crate::base::{Duration, Interner};
use crate::manifest::{self, Document};
use crate::model::{Plugin, Profile, SchedulerSettings, Scoring};
use crate::tree::{self, Diagnostic, FileId, ParseOptions, Spanned};

use super::file::{ProfileFile, SchedulerFile, WorkloadFile};
use super::input::Input;
use super::units::Span;

/// The settings, and the file of a configuration if one is named.
pub(super) fn lower(
    file: Option<&SchedulerFile>,
    names: &mut Interner,
    input: &mut Input,
) -> SchedulerSettings {
    let usual = SchedulerSettings { policies: input.policies.clone(), ..Default::default() };
    let Some(file) = file else { return usual };
    let Some(config) = &file.config else { return short(file, usual, input) };
    let others = [
        ("profile", file.profile.is_some()),
        ("percentageOfNodesToScore", file.percentage_of_nodes_to_score.is_some()),
        ("weights", !file.weights.is_empty()),
        ("backoffInitial", file.backoff_initial.is_some()),
        ("backoffMax", file.backoff_max.is_some()),
    ];
    for (key, _) in others.into_iter().filter(|(_, is_set)| *is_set) {
        let message = format!("`{key}` cannot stand beside `config`, which says all of it");
        let hint = format!("write it into {}, in Kubernetes' words", config.value);
        input.found.push(Diagnostic::error(config.span, message).with_hint(hint));
    }
    read(config, names, input).unwrap_or(usual)
}

/// Reads a configuration file.
fn read(
    config: &Spanned<String>,
    names: &mut Interner,
    input: &mut Input,
) -> Option<SchedulerSettings> {
    let Input { loader, sources, found, policies, .. } = input;
    let options = ParseOptions::manifest();
    let full = loader.full(&config.value);
    let id = manifest::load(loader, &full, config.span, &options.limits, sources, found)?;
    let before = found.error_count();
    let documents = tree::parse(sources, id, &options, found);
    if found.error_count() > before {
        return None;
    }
    let is_config = |kind: Option<&str>| kind == Some(api::SCHEDULER_KIND);
    let kind = |document: &tree::Parsed| {
        is_config(document.tree.root().field("kind").and_then(|kind| kind.as_str()))
    };
    let several = documents.len() > 1;
    let mut ours = documents.iter().filter(|document| !several || kind(document));
    let Some(first) = ours.next() else {
        let message = format!("\"{}\" holds no {}", config.value, api::SCHEDULER_KIND);
        found.error(config.span, message);
        return None;
    };
    if let Some(second) = ours.next() {
        let message = format!("a second {} in one file", api::SCHEDULER_KIND);
        let related = first.tree.root().span();
        let error = Diagnostic::error(second.tree.root().span(), message);
        found.push(error.with_related(related, "the first"));
    }
    let root = first.tree.root();
    let (settings, problems) = api::lower_scheduler(&root.to_json(), policies, names);
    api::report(&problems, root, found);
    forgive(id, input);
    Some(settings)
}

/// The file may lie among the manifests: then nobody says that it belongs elsewhere.
fn forgive(config: FileId, input: &mut Input) {
    let Input { sources, found, .. } = input;
    let name = sources.file(config).name().to_owned();
    let is_told = |diagnostic: &Diagnostic| {
        let file = sources.file_of(diagnostic.span).map(|file| file.name());
        diagnostic.message == manifest::SCHEDULER_CONFIG && file == Some(name.as_str())
    };
    found.retain(|diagnostic| !is_told(diagnostic));
}

/// The short form: the default profile with a few changes.
fn short(
    file: &SchedulerFile,
    mut settings: SchedulerSettings,
    input: &mut Input,
) -> SchedulerSettings {
    let found = &mut input.found;
    let mut profile = Profile::default();
    profile.args.scoring = match file.profile {
        Some(ProfileFile::MostAllocated) => Scoring::MostAllocated,
        Some(ProfileFile::Default) | None => Scoring::LeastAllocated,
    };
    if let Some(percentage) = &file.percentage_of_nodes_to_score {
        if percentage.value > 100 {
            found.error(percentage.span, "a percentage is at most 100");
        }
        settings.percentage_of_nodes_to_score = percentage.value.min(100);
    }
    let span = |span: &Option<Spanned<Span>>, usual| span.as_ref().map_or(usual, |s| s.value.0);
    settings.backoff_initial = span(&file.backoff_initial, Duration::secs(1));
    settings.backoff_max = span(&file.backoff_max, Duration::secs(10));
    let place = file.backoff_max.as_ref().or(file.backoff_initial.as_ref());
    if let Some(place) = place.filter(|_| settings.backoff_max < settings.backoff_initial) {
        let (first, longest) = (settings.backoff_initial, settings.backoff_max);
        let message = format!("the longest back-off, {longest}, is below the first, {first}");
        found.error(place.span, message);
    }
    for (name, weight) in &file.weights {
        if !(0..=100).contains(&weight.value) {
            found.error(weight.span, format!("a weight is from 0 to 100, not {}", weight.value));
        }
        let scores = |plugin: &Plugin| Profile::default().weight(*plugin) > 0;
        let own = || (0..).zip(&settings.policies).find(|(_, policy)| *policy == name);
        let own = own().map(|(number, _)| Plugin::Custom(number));
        match Plugin::named(name).filter(scores).or(own) {
            Some(plugin) => {
                profile.set_weight(plugin, weight.value);
                profile.filter.extend(own.filter(|_| weight.value != 0));
            }
            None => {
                let known = Profile::default().score;
                let known = known.iter().map(|(plugin, _)| plugin.as_str());
                let known = known.chain(settings.policies.iter().map(String::as_str));
                let known: Vec<&str> = known.collect();
                let message = format!("unknown score plugin \"{name}\"");
                found.push(Diagnostic::error(weight.span, message).with_suggestion(name, known));
            }
        }
    }
    settings.profiles = vec![profile];
    settings
}

/// Pods of a scheduler that is not there wait for ever.
pub(super) fn check_names(
    settings: &SchedulerSettings,
    documents: &[Document],
    generators: &[Spanned<WorkloadFile>],
    input: &mut Input,
) {
    let profiles = || settings.profiles.iter().map(|profile| profile.scheduler_name.as_str());
    let mut check = |name: &str, place| {
        if name.is_empty() || profiles().any(|known| known == name) {
            return;
        }
        let message =
            format!("no profile of the scheduler is called \"{name}\": these pods wait for ever");
        let warning = Diagnostic::warning(place, message);
        let warning = match settings.profiles.as_slice() {
            [only] => warning.with_hint(format!("the only one is {}", only.scheduler_name)),
            _ => warning,
        };
        input.found.push(warning.with_suggestion(name, profiles()));
    };
    for document in documents {
        let spec: &[&str] = match document.kind.value.as_str() {
            "Pod" => &["spec", "schedulerName"],
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
                &["spec", "template", "spec", "schedulerName"]
            }
            _ => continue,
        };
        if let Some(name) = document.root().at(spec) {
            check(name.as_str().unwrap_or_default(), name.span());
        }
    }
    for kind in generators.iter().flat_map(|workload| &workload.value.pods) {
        if let Some(name) = &kind.value.scheduler_name {
            check(&name.value, name.span);
        }
    }
}
