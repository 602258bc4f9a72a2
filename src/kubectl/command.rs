//! kubectl's words: one line of text to one checked command.
//!
//! Knows which words kubectl takes and what is wrong with others; not whether the object is there.

use std::ops::Range;

use crate::base::go_time::parse_go_duration;
use crate::base::{Duration, Interner, Symbol};
use crate::model::{Command, DrainOptions, ObjectName, Target, TargetKind, WorkloadKind};

use super::command_words::{Words, split};
use super::words::CommandError;

pub(super) type Result<T> = std::result::Result<T, CommandError>;

/// The verbs that are carried out.
const VERBS: [&str; 7] = ["set", "scale", "rollout", "delete", "cordon", "uncordon", "drain"];

/// Reads one line. `namespace` is that of objects without `-n`.
///
/// # Errors
/// On the first word that cannot be taken.
pub fn parse_command(line: &str, namespace: &str, names: &mut Interner) -> Result<Command> {
    let words = split(line)?;
    let mut words = Words::new(line, words);
    let is_kubectl = words.peek() == Some("kubectl");
    if is_kubectl {
        words.next();
    }
    let context = Context { namespace: words.take_namespace()?.unwrap_or(namespace.to_owned()) };
    let (verb, at) = words.want("a verb of kubectl")?;
    let command = match verb.as_str() {
        "set" => set_image(&mut words, &context, names),
        "scale" => scale(&mut words, &context, names),
        "rollout" => rollout(&mut words, &context, names),
        "delete" => delete(&mut words, &context, names),
        "cordon" => node(&mut words, names).map(|node| Command::Cordon { node }),
        "uncordon" => node(&mut words, names).map(|node| Command::Uncordon { node }),
        "drain" => drain(&mut words, names),
        other => return Err(unknown_verb(other, at, is_kubectl)),
    }?;
    words.done()?;
    Ok(command)
}

fn unknown_verb(verb: &str, at: Range<usize>, is_kubectl: bool) -> CommandError {
    let message = match is_kubectl {
        true => format!("kubectl {verb} is not modelled"),
        false => format!("\"{verb}\" is no command of kubectl that is modelled"),
    };
    let error = CommandError::new(at, message);
    match crate::base::text::did_you_mean(verb, VERBS) {
        Some(known) => error.hint(format!("did you mean \"{known}\"?")),
        None => error.hint(format!("modelled are: {}", VERBS.join(", "))),
    }
}

struct Context {
    namespace: String,
}

impl Context {
    fn name(&self, name: &str, names: &mut Interner) -> ObjectName {
        ObjectName { namespace: names.intern(&self.namespace), name: names.intern(name) }
    }
}

fn set_image(words: &mut Words<'_>, context: &Context, names: &mut Interner) -> Result<Command> {
    let (what, at) = words.want("\"image\"")?;
    if what != "image" {
        let error = CommandError::new(at, format!("kubectl set {what} is not modelled"));
        return Err(match crate::base::text::did_you_mean(&what, ["image"]) {
            Some(known) => error.hint(format!("did you mean \"{known}\"?")),
            None => error.hint("modelled is: set image KIND/NAME CONTAINER=IMAGE"),
        });
    }
    let target = target(words, context, names)?;
    only(&target, &[WorkloadKind::Deployment], words)?;
    let mut images = Vec::new();
    while let Some((word, at)) = words.next() {
        let pair = word.split_once('=').filter(|(c, i)| !c.is_empty() && !i.is_empty());
        if word.starts_with('-') {
            return Err(Words::unknown_flag(&word, at, &[]));
        }
        let missing = || {
            let message = format!("expected CONTAINER=IMAGE, found \"{word}\"");
            CommandError::new(at.clone(), message).hint("for example app=shop/checkout:v2")
        };
        let (container, image) = pair.ok_or_else(missing)?;
        images.push((container.to_owned(), image.to_owned()));
    }
    if images.is_empty() {
        let error = CommandError::new(words.end(), "CONTAINER=IMAGE is missing");
        return Err(error.hint("for example app=shop/checkout:v2"));
    }
    Ok(Command::SetImage { target, images })
}

fn scale(words: &mut Words<'_>, context: &Context, names: &mut Interner) -> Result<Command> {
    let replicas = words.take_flag("--replicas")?;
    let current = words.take_flag("--current-replicas")?;
    let target = target(words, context, names)?;
    only(&target, &[WorkloadKind::Deployment, WorkloadKind::ReplicaSet], words)?;
    words.no_other_flag(&["--replicas", "--current-replicas"])?;
    let missing =
        || CommandError::new(words.end(), "--replicas is missing").hint("for example --replicas=3");
    let replicas = count(&replicas.ok_or_else(missing)?)?;
    let current = current.as_ref().map(count).transpose()?;
    Ok(Command::Scale { target, replicas, current })
}

fn count((value, at): &(String, Range<usize>)) -> Result<u32> {
    let error = || CommandError::new(at.clone(), format!("\"{value}\" is not a number of pods"));
    value.parse().map_err(|_| error())
}

fn rollout(words: &mut Words<'_>, context: &Context, names: &mut Interner) -> Result<Command> {
    let (what, at) = words.want("\"restart\"")?;
    if what != "restart" {
        let error = CommandError::new(at, format!("kubectl rollout {what} is not modelled"));
        return Err(error.hint("modelled is: rollout restart KIND/NAME"));
    }
    let target = target(words, context, names)?;
    only(&target, &[WorkloadKind::Deployment], words)?;
    Ok(Command::RolloutRestart { target })
}

fn delete(words: &mut Words<'_>, context: &Context, names: &mut Interner) -> Result<Command> {
    let grace = words.take_flag("--grace-period")?;
    let force = words.take_switch("--force");
    let now = words.take_switch("--now");
    words.no_other_flag(&["--grace-period", "--force", "--now"])?;
    let target = target(words, context, names)?;
    if target.kind == TargetKind::Node {
        let error = CommandError::new(words.last(), "deleting a node is not modelled");
        return Err(error.hint("fault: { crash: { node: NAME } } takes one away"));
    }
    let grace = match grace {
        Some((value, at)) => {
            let error = || CommandError::new(at, format!("\"{value}\" is not a number of seconds"));
            let seconds: i64 = value.parse().map_err(|_| error())?;
            u64::try_from(seconds).ok().map(Duration::secs)
        }
        None if now => Some(Duration::secs(1)),
        None if force => Some(Duration::ZERO),
        None => None,
    };
    Ok(Command::Delete { target, grace })
}

fn node(words: &mut Words<'_>, names: &mut Interner) -> Result<Symbol> {
    let (word, _) = words.want("the name of a node")?;
    let name = word.strip_prefix("node/").or(word.strip_prefix("nodes/")).unwrap_or(&word);
    Ok(names.intern(name))
}

/// Flags of `drain` that take a value, and those that do not.
const DRAIN_FLAGS: [&str; 10] = [
    "--selector",
    "--pod-selector",
    "--grace-period",
    "--timeout",
    "--skip-wait-for-delete-timeout",
    "--force",
    "--ignore-daemonsets",
    "--delete-emptydir-data",
    "--disable-eviction",
    "--chunk-size",
];

fn drain(words: &mut Words<'_>, names: &mut Interner) -> Result<Command> {
    let selector = words.take_flag("--selector")?.or(words.take_flag("-l")?);
    let pod_selector = words.take_flag("--pod-selector")?;
    let grace = words.take_flag("--grace-period")?;
    let timeout = words.take_flag("--timeout")?;
    let skip_wait = words.take_flag("--skip-wait-for-delete-timeout")?;
    words.take_flag("--chunk-size")?;
    let number = |(value, at): (String, Range<usize>)| {
        let error = || CommandError::new(at, format!("\"{value}\" is not a number of seconds"));
        value.parse::<i64>().map_err(|_| error())
    };
    let span = |(value, at): (String, Range<usize>)| {
        let error = || CommandError::new(at, format!("\"{value}\" is not a length of time"));
        let nanos = parse_go_duration(&value).ok().and_then(|nanos| u64::try_from(nanos).ok());
        nanos.map(Duration::ns).ok_or_else(|| error().hint("for example --timeout=5m"))
    };
    let mut options = DrainOptions {
        nodes: Vec::new(),
        selector: selector.map(|(text, _)| text),
        pod_selector: pod_selector.map(|(text, _)| text),
        force: words.take_switch("--force"),
        ignore_daemon_sets: words.take_switch("--ignore-daemonsets"),
        delete_empty_dir_data: words.take_switch("--delete-emptydir-data")
            | words.take_switch("--delete-local-data"),
        disable_eviction: words.take_switch("--disable-eviction"),
        grace: None,
        timeout: timeout.map(span).transpose()?.unwrap_or(Duration::ZERO),
        skip_wait: 0,
    };
    let grace = grace.map(number).transpose()?;
    options.grace = grace.and_then(|secs| u64::try_from(secs).ok()).map(Duration::secs);
    let skip_wait = skip_wait.map(number).transpose()?;
    options.skip_wait = skip_wait.and_then(|secs| u64::try_from(secs).ok()).unwrap_or(0);
    words.no_other_flag(&DRAIN_FLAGS)?;
    match (&options.selector, words.is_empty()) {
        (None, _) => options.nodes.push(node(words, names)?),
        (Some(_), true) => {}
        (Some(_), false) => {
            let message = "a node and --selector exclude each other";
            return Err(CommandError::new(words.end(), message));
        }
    }
    while !words.is_empty() {
        options.nodes.push(node(words, names)?);
    }
    Ok(Command::Drain(Box::new(options)))
}

/// Kinds by all the words that kubectl takes for them.
const KINDS: [(&str, TargetKind); 20] = [
    ("deployment", TargetKind::Workload(WorkloadKind::Deployment)),
    ("deployments", TargetKind::Workload(WorkloadKind::Deployment)),
    ("deployment.apps", TargetKind::Workload(WorkloadKind::Deployment)),
    ("deployments.apps", TargetKind::Workload(WorkloadKind::Deployment)),
    ("deploy", TargetKind::Workload(WorkloadKind::Deployment)),
    ("replicaset", TargetKind::Workload(WorkloadKind::ReplicaSet)),
    ("replicasets", TargetKind::Workload(WorkloadKind::ReplicaSet)),
    ("rs", TargetKind::Workload(WorkloadKind::ReplicaSet)),
    ("pod", TargetKind::Workload(WorkloadKind::Pod)),
    ("pods", TargetKind::Workload(WorkloadKind::Pod)),
    ("po", TargetKind::Workload(WorkloadKind::Pod)),
    ("service", TargetKind::Service),
    ("services", TargetKind::Service),
    ("svc", TargetKind::Service),
    ("hpa", TargetKind::Hpa),
    ("horizontalpodautoscaler", TargetKind::Hpa),
    ("horizontalpodautoscalers", TargetKind::Hpa),
    ("node", TargetKind::Node),
    ("nodes", TargetKind::Node),
    ("no", TargetKind::Node),
];

/// The kind that a word stands for.
///
/// # Errors
/// If it stands for none that is modelled.
pub fn kind(word: &str, at: &Range<usize>) -> Result<TargetKind> {
    let lower = word.to_lowercase();
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == lower) {
        return Ok(*kind);
    }
    let error = CommandError::new(at.clone(), format!("kind \"{word}\" is not modelled"));
    Err(match crate::base::text::did_you_mean(&lower, KINDS.map(|(known, _)| known)) {
        Some(known) => error.hint(format!("did you mean \"{known}\"?")),
        None => error.hint("modelled are deployment, replicaset, pod, service, hpa and node"),
    })
}

fn target(words: &mut Words<'_>, context: &Context, names: &mut Interner) -> Result<Target> {
    let (word, at) = words.want("KIND/NAME")?;
    let (kind_word, name) = match word.split_once('/') {
        Some((kind, name)) => (kind.to_owned(), name.to_owned()),
        None => {
            let kind = kind(&word, &at); // `restart web` is no kind without a name
            let missing = CommandError::new(at.clone(), format!("\"{word}\" is not KIND/NAME"));
            let example = match kind {
                Ok(_) => format!("for example {word}/checkout"),
                Err(_) => format!("for example deployment/{word}"),
            };
            let name = words.want("a name").map_err(|error| match words.is_empty() {
                true => missing.hint(example),
                false => error,
            })?;
            (word, name.0)
        }
    };
    let kind = kind(&kind_word, &at)?;
    if name.is_empty() {
        return Err(CommandError::new(at, "the name is empty"));
    }
    Ok(Target { kind, name: context.name(&name, names) })
}

fn only(target: &Target, kinds: &[WorkloadKind], words: &Words<'_>) -> Result<()> {
    if kinds.iter().any(|kind| target.kind == TargetKind::Workload(*kind)) {
        return Ok(());
    }
    let list: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let message = format!("this command is modelled for {} only", list.join(" and "));
    Err(CommandError::new(words.last(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Command> {
        parse_command(line, "default", &mut Interner::new())
    }

    #[test]
    fn words_of_kubectl_become_commands() {
        let set = check("kubectl set image deployment/checkout app=shop/checkout:v2 -n shop");
        let Ok(Command::SetImage { images, .. }) = set else { panic!("{set:?}") };
        assert_eq!(images, [("app".to_owned(), "shop/checkout:v2".to_owned())]);
        let scale = check("scale --replicas=5 deploy web");
        assert!(matches!(scale, Ok(Command::Scale { replicas: 5, current: None, .. })));
        assert!(check("kubectl rollout restart deployment web").is_ok());
        let delete = check("kubectl delete pod web-1 --grace-period 0 --force");
        assert!(matches!(delete, Ok(Command::Delete { grace: Some(Duration::ZERO), .. })));
        assert!(check("kubectl cordon node/workers-1").is_ok());
        let drain = "kubectl drain n1 node/n2 --ignore-daemonsets --timeout=5m --grace-period=-1";
        let Ok(Command::Drain(options)) = check(drain) else { panic!("no drain") };
        assert_eq!((options.nodes.len(), options.grace), (2, None));
        assert_eq!(options.timeout, Duration::secs(300));
        assert!(options.ignore_daemon_sets && !options.force);
        assert!(check("kubectl drain -l pool=old --force").is_ok());
    }

    #[test]
    fn other_words_are_pointed_at() {
        let error = check("kubectl scael deployment/web --replicas=1").expect_err("no verb");
        assert_eq!((error.at, error.hint.as_deref()), (8..13, Some("did you mean \"scale\"?")));
        let error = check("kubectl scale deployment/web").expect_err("no number");
        assert_eq!(error.message, "--replicas is missing");
        let error = check("kubectl scale deployment/web --replicas=-1").expect_err("negative");
        assert_eq!(error.message, "\"-1\" is not a number of pods");
        let error = check("kubectl set image deployment/web app").expect_err("no image");
        assert_eq!(error.message, "expected CONTAINER=IMAGE, found \"app\"");
        let error = check("kubectl cordon a b").expect_err("one too many");
        assert_eq!(error.message, "unexpected \"b\"");
        let error = check("kubectl drain n1 --ignore-daemonset").expect_err("misspelt");
        assert_eq!(error.hint.as_deref(), Some("did you mean \"--ignore-daemonsets\"?"));
        let error = check("kubectl drain n1 --timeout=5").expect_err("no unit");
        assert_eq!(error.message, "\"5\" is not a length of time");
        let error = check("kubectl delete pod 'x").expect_err("open quote");
        assert_eq!(error.message, "a quote is not closed");
    }
}
