//! Which rules of the specifications are cited, in code and in tests.
//!
//! `cargo test rules -- --nocapture` prints the rules that the code cites and no test does, and
//! those that nobody cites.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A rule: its letter and number, as in C85.
type Rule = (char, u32);

/// The rules that a text cites: `C85`, `C85 to C88`, `C85–C88`.
fn cited(text: &str) -> BTreeSet<Rule> {
    let mut rules = BTreeSet::new();
    let mut last: Option<(Rule, usize)> = None;
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices(['C', 'A', 'N', 'S']) {
        if at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') {
            continue;
        }
        let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = at + 1 + digits;
        let Ok(number) = text[at + 1..end].parse::<u32>() else { continue };
        if bytes.get(end).is_some_and(|b| b.is_ascii_uppercase() || *b == b'_') {
            continue;
        }
        let letter = char::from(bytes[at]);
        if let Some(((same, first), from)) = last
            && same == letter
            && matches!(text[from..at].trim(), "to" | "–" | "to\n///" | "to\n//!")
        {
            rules.extend((first..number).map(|between| (letter, between)));
        }
        rules.insert((letter, number));
        last = Some(((letter, number), end));
    }
    rules
}

fn visit(place: &Path, file: &mut impl FnMut(&Path, &str)) {
    let mut entries: Vec<_> = fs::read_dir(place)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, file);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            file(&path, &fs::read_to_string(&path).expect("a text"));
        }
    }
}

fn list(rules: impl Iterator<Item = Rule>) -> String {
    let names: Vec<String> = rules.map(|(letter, number)| format!("{letter}{number}")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

#[test]
fn rules_of_controllers_are_cited_by_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut by_code, mut by_tests) = (BTreeSet::new(), BTreeSet::new());
    visit(&root.join("src"), &mut |path, text| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "tests.rs" || name.ends_with("_tests.rs") {
            return by_tests.extend(cited(text));
        }
        let split = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        by_code.extend(cited(&text[..split]));
        by_tests.extend(cited(&text[split..]));
    });
    visit(&root.join("tests"), &mut |path, text| {
        if !path.ends_with("rules.rs") {
            by_tests.extend(cited(text));
        }
    });
    let untested: BTreeSet<Rule> = by_code.difference(&by_tests).copied().collect();
    println!("rules that code cites and no test: {}", list(untested.iter().copied()));
    if let Some(spec) = crate::support::shared("spec") {
        let text = fs::read_to_string(spec.join("controllers.md")).expect("the rules");
        let all = text.lines().filter_map(|line| {
            let number = line.strip_prefix("- **C")?.split_once("**")?.0;
            Some(('C', number.parse().ok()?))
        });
        let nobody = all.filter(|rule| !by_code.contains(rule) && !by_tests.contains(rule));
        println!("rules of controllers that nobody cites: {}", list(nobody));
    }
    let of_controllers = untested.iter().filter(|(letter, _)| *letter == 'C');
    println!("of controllers: {}", of_controllers.count());
}

#[test]
fn citations_are_read() {
    let rules = cited("(rules C1, C3 to C5; S12a, N7–N8) and XC9, C10_A, C");
    let wanted = [('C', 1), ('C', 3), ('C', 4), ('C', 5), ('N', 7), ('N', 8), ('S', 12)];
    assert_eq!(rules, BTreeSet::from(wanted));
}
