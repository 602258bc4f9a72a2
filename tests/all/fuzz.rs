//! The gallery, mutated: whatever a scenario, its manifests, its traces and scripts become, they are
//! refused with words or run to their end or a limit; nothing panics.
//!
//! Mutations know lines and blocks of YAML: values are replaced by odd ones and by those that the
//! same key has elsewhere in the gallery, so that many mutants are accepted and run.
//! `SEATRIAL_FUZZ=FROM..TO` tries other rounds; a failure names its round.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use seatrial::experiment::{self, Options};
use seatrial::manifest::Loader;
use seatrial::report::expect::Expect;
use seatrial::report::{known_paths, text};
use seatrial::scenario::{self, Loaded, Place};
use seatrial::tree::DrawOptions;

use crate::support::{Noise, ODD, gallery_files, gallery_names, rounds};

/// Mutants that are tried.
const ROUNDS: Range<u64> = 0..2_000;

/// Events of one mutant's run: enough for the first minute of most.
const EVENTS: u32 = 1_000;

/// Values by the key that they have somewhere in the gallery.
type Values = BTreeMap<String, Vec<String>>;

/// The files of a scenario.
type Files = BTreeMap<String, Vec<u8>>;

/// Where the values of a text are, and their keys: what stands between `key: ` and a comma, a
/// bracket or the end of the line.
fn values(text: &str) -> Vec<(&str, Range<usize>)> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let one = |(at, sign): (usize, &str)| {
        let before = text[..at].rfind(|c| !is_key(c)).map_or(0, |end| end + 1);
        let start = at + sign.len();
        let rest = &text[start..];
        let end = match rest.chars().next() {
            Some('[' | '{') => closing(rest),
            _ => rest.find([',', ']', '}', '\n']),
        };
        (text.get(before..at).unwrap_or(""), start..start + end.unwrap_or(rest.len()))
    };
    text.match_indices(": ").map(one).collect()
}

/// The end of the bracket that the text begins with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 1 => return Some(at + 1),
            ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The gallery: by name the files, and all values by key.
struct Gallery {
    scenarios: Vec<(String, Files)>,
    values: Values,
}

impl Gallery {
    fn read() -> Self {
        let mut all = Values::new();
        let mut scenarios = Vec::new();
        for name in gallery_names() {
            let files = gallery_files(&name);
            for bytes in files.values() {
                let text = String::from_utf8_lossy(bytes).into_owned();
                for (key, at) in values(&text) {
                    all.entry(key.to_owned()).or_default().push(text[at].to_owned());
                }
            }
            scenarios.push((name, files));
        }
        Self { scenarios, values: all }
    }

    /// The mutant of a round, and the name of what it was.
    fn mutant(&self, round: u64) -> (&str, Files) {
        let mut noise = Noise::of(0x5ea7_71a1 ^ (round << 20));
        let (name, files) = &self.scenarios[noise.below(self.scenarios.len())];
        let mut files = files.clone();
        for _ in 0..[1, 1, 1, 2, 2, 5][noise.below(6)] {
            let at = noise.below(files.len());
            let bytes = files.values_mut().nth(at).unwrap();
            *bytes = match String::from_utf8(std::mem::take(bytes)) {
                Ok(text) => self.mutate(&text, &mut noise),
                Err(error) => error.into_bytes(),
            };
        }
        (name, files)
    }

    fn mutate(&self, text: &str, noise: &mut Noise) -> Vec<u8> {
        match noise.below(12) {
            0 if !text.is_empty() => return noise.mutate(text),
            1 | 2 => return of_lines(text, noise).into_bytes(),
            _ => {}
        }
        let places = values(text);
        if places.is_empty() {
            return of_lines(text, noise).into_bytes();
        }
        let (key, at) = places[noise.below(places.len())].clone();
        let value = match noise.below(8) {
            0 | 1 => noise.one_of(&ODD).to_owned(),
            2 => {
                let keys: Vec<_> = self.values.values().collect();
                let of = keys[noise.below(keys.len())];
                of[noise.below(of.len())].clone()
            }
            3 => format!("{}0000000", &text[at.clone()]),
            _ => match self.values.get(key) {
                Some(known) => known[noise.below(known.len())].clone(),
                None => noise.one_of(&ODD).to_owned(),
            },
        };
        format!("{}{value}{}", &text[..at.start], &text[at.end..]).into_bytes()
    }
}

/// A line, or a line and what is deeper below it, taken out, repeated, moved, or put deeper.
fn of_lines(text: &str, noise: &mut Noise) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if lines.is_empty() {
        return "[".repeat(10_000);
    }
    let depth = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let from = noise.below(lines.len());
    let below = lines[from + 1..].iter().take_while(|line| depth(line) > depth(&lines[from]));
    let to = from + 1 + below.count();
    match noise.below(6) {
        0 => drop(lines.remove(from)),
        1 => drop(lines.drain(from..to)),
        2 => {
            let block = lines[from..to].to_vec();
            let times = [1, 1, 2, 300][noise.below(4)];
            for _ in 0..times {
                drop(lines.splice(to..to, block.clone()));
            }
        }
        3 => {
            let block: Vec<_> = lines.drain(from..to).collect();
            let at = noise.below(lines.len() + 1);
            drop(lines.splice(at..at, block));
        }
        4 => lines[from..to].iter_mut().for_each(|line| line.insert_str(0, "  ")),
        _ => lines.truncate(from),
    }
    lines.concat()
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused,
    Limit,
    Ran,
}

/// Loads and runs a mutant: every other one for few seconds only, so that many come to a report.
fn try_mutant(round: u64, files: Files) -> Fate {
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let mut sets = vec!["run.replications=1".to_owned(), format!("run.eventsMax={EVENTS}")];
    if round.is_multiple_of(2) {
        sets.extend(["run.until=10s".to_owned(), "run.warmup=1s".to_owned()]);
    }
    match scenario::load(&place, &[]) {
        Ok(_) => {}
        Err(refused) => {
            assert!(refused.found.has_errors(), "refused without a word");
            drop(refused.found.draw(&refused.sources, &DrawOptions::default()));
            return Fate::Refused;
        }
    }
    match scenario::load(&place, &sets) {
        Ok(loaded) => run(&loaded),
        Err(refused) => panic!("{:?}", refused.found.lines(&refused.sources)),
    }
}

fn run(loaded: &Loaded) -> Fate {
    drop(scenario::show(loaded));
    let known = known_paths(&loaded.model);
    let expects: Vec<_> =
        loaded.expect.iter().filter_map(|line| Expect::read(&line.value, &known).ok()).collect();
    let Ok(found) = experiment::run(&loaded.model, Options::of(&loaded.model), &|_| {}) else {
        return Fate::Limit;
    };
    let verdicts: Vec<_> = expects.iter().map(|line| line.judge(&found.summary)).collect();
    drop(text::print(&found.summary, &found.facts, &verdicts));
    Fate::Ran
}

#[test]
fn no_mutant_of_the_gallery_panics() {
    let rounds = rounds(ROUNDS);
    let gallery = Gallery::read();
    let mut fates = BTreeMap::new();
    let mut panicked = String::new();
    for round in rounds.clone() {
        let (name, files) = gallery.mutant(round);
        match catch_unwind(AssertUnwindSafe(|| try_mutant(round, files))) {
            Ok(fate) => *fates.entry(format!("{fate:?}")).or_insert(0_u32) += 1,
            Err(_) => panicked += &format!("round {round}, of {name}\n"),
        }
    }
    assert!(panicked.is_empty(), "panicked:\n{panicked}");
    println!("{rounds:?}: {fates:?}");
    let accepted: u32 = ["Limit", "Ran"].iter().filter_map(|fate| fates.get(*fate)).sum();
    assert!(rounds != ROUNDS || accepted > 500, "too few run: {fates:?}");
}
