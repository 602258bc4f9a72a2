use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::*;

#[derive(Debug, Deserialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Plan {
    name: String,
    count: Spanned<u32>,
    rate: Option<f64>,
    #[serde(default)]
    pools: Vec<Pool>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    ports: BTreeMap<u16, String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize, PartialEq, JsonSchema)]
struct Pool {
    zone: String,
    size: u8,
    #[serde(default, alias = "mem")]
    memory: Option<String>,
}

#[derive(Debug, Default, Deserialize, PartialEq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Off,
    KeepAlive,
}

#[derive(Debug, Deserialize, PartialEq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Step {
    Stop,
    Wait(u32),
    Crash { node: String, after: Option<u32> },
}

fn read(text: &str) -> (Option<Plan>, Vec<String>, String) {
    let mut sources = Sources::new();
    let file = sources.add("f", text);
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, &ParseOptions::scenario(), &mut found);
    assert!(found.is_empty(), "{:?}", found.lines(&sources));
    let plan = from_value(documents[0].tree.root(), &mut found);
    let lines = found.lines(&sources);
    assert_eq!(plan.is_none(), found.has_errors());
    (plan, lines, found.draw(&sources, &DrawOptions::default()))
}

fn faults(text: &str) -> Vec<String> {
    read(text).1
}

const HEAD: &str = "name: x\ncount: 1\n";

#[test]
fn a_whole_plan_is_read() {
    let text = "\
name: 1.10
count: 3
rate: 2
pools:
- {zone: a, size: 1, mem: 2Gi}
mode: off
ports: {80: web}
steps:
- stop
- wait: 5
- crash: {node: n1}
- stop:
";
    let (plan, said, _) = read(text);
    assert_eq!(said, [""; 0]);
    let plan = plan.unwrap();
    assert_eq!(plan.name, "1.10");
    assert_eq!((*plan.count, plan.count.span.start), (3, 18));
    assert_eq!(plan.rate, Some(2.0));
    assert_eq!(plan.pools[0].memory.as_deref(), Some("2Gi"));
    assert_eq!(plan.mode, Mode::Off);
    assert_eq!(plan.ports[&80], "web");
    let crash = Step::Crash { node: "n1".to_owned(), after: None };
    assert_eq!(plan.steps, [Step::Stop, Step::Wait(5), crash, Step::Stop]);
}

#[test]
fn all_errors_are_found_at_once() {
    let text = "\
name: [x]
cuont: 1
count: -4
pools:
- {zone: a, size: 300, colour: red}
- {size: x}
mode: keep-alvie
steps:
- wait: soon
- crash: {nod: n1}
- hop
- stop: 3
";
    assert_eq!(
        faults(text),
        [
            "f:1:1: error: expected a string, found a list",
            "f:2:1: error: unknown key \"cuont\"",
            "f:3:8: error: expected a whole number from 0 to 4294967295, found the number -4",
            "f:5:19: error: expected a whole number from 0 to 255, found the number 300",
            "f:5:24: error: unknown key \"colour\"",
            "f:6:3: error: key \"zone\" is missing",
            "f:6:10: error: expected a whole number from 0 to 255, found \"x\"",
            "f:7:7: error: \"keep-alvie\" is not \"off\" or \"keep-alive\"",
            "f:9:9: error: expected a whole number from 0 to 4294967295, found \"soon\"",
            "f:10:3: error: key \"node\" is missing",
            "f:10:11: error: unknown key \"nod\"",
            "f:11:3: error: \"hop\" is not \"stop\", \"wait\" or \"crash\"",
            "f:12:9: error: \"stop\" takes no value",
        ]
    );
}

#[test]
fn suggestions_and_hints() {
    let shown = read("nmae: x\ncount: 1\n").2;
    assert!(shown.contains("did you mean \"name\"?"), "{shown}");
    let shown = read(&format!("{HEAD}zzz: 1\n")).2;
    assert!(shown.contains("known here: name, count, rate"), "{shown}");
    let shown = read("name: yes\ncount: 1\n").2;
    assert!(shown.contains("quote it if the text is meant: \"yes\""), "{shown}");
    let shown = read(&format!("{HEAD}mode: of\n")).2;
    assert!(shown.contains("did you mean \"off\"?"), "{shown}");
}

#[test]
fn absent_null_and_missing() {
    assert_eq!(faults(&format!("{HEAD}pools:\nmode: ~\n")), [""; 0]);
    assert_eq!(faults("name: x\n"), ["f:1:1: error: key \"count\" is missing"]);
    assert_eq!(faults("name: x\ncount:\n"), ["f:2:1: error: key \"count\" has no value"]);
    assert_eq!(faults("[]"), ["f:1:1: error: expected a mapping, found a list"]);
    assert_eq!(
        faults(&format!("{HEAD}pools: [[a, 1]]")),
        ["f:3:9: error: expected a mapping, found a list"]
    );
    assert_eq!(
        faults(&format!("{HEAD}ports: {{x: y}}")),
        ["f:3:9: error: expected a whole number from 0 to 65535, found \"x\""]
    );
    assert_eq!(faults(&format!("{HEAD}steps: [{{stop: 1, wait: 2}}, wait]")).len(), 2);
}

#[test]
fn the_schema_is_that_of_the_value() {
    let schema = serde_json::to_value(schemars::schema_for!(Plan)).unwrap();
    let plain = serde_json::to_value(schemars::schema_for!(u32)).unwrap();
    assert_eq!(schema["properties"]["count"]["format"], plain["format"]);
    let plain: Spanned<u32> = serde_json::from_str("5").unwrap();
    assert!(plain.span.is_none() && *plain == 5);
    assert_eq!(serde_json::to_string(&plain).unwrap(), "5");
}

#[test]
fn hundreds_of_errors_end() {
    let text = format!("{HEAD}pools:\n{}", "- {zone: a, size: x}\n".repeat(500));
    let said = faults(&text);
    assert_eq!(said.len(), 64);
}

#[test]
fn what_is_right_is_read_around_what_is_wrong() {
    let text = "name: a\ncount: 3\npools:\n- {zone: a, size: 1}\n- {zone: b, size: x}\n- {zone: c, size: 1}\nmoed: off\n";
    let mut sources = Sources::new();
    let file = sources.add("f", text);
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, &ParseOptions::scenario(), &mut found);
    let part = from_value_in_part::<Plan>(documents[0].tree.root(), &mut found).unwrap();
    let zones: Vec<&str> = part.value.pools.iter().map(|pool| pool.zone.as_str()).collect();
    assert_eq!(zones, ["a", "c"]);
    let damaged: Vec<&str> = part.damaged.iter().map(String::as_str).collect();
    assert_eq!(damaged, ["mode", "moed", "pools"]);
    assert_eq!(found.error_count(), 2);
}
