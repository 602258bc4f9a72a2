//! One seed, one result: the gallery on one thread and on several, its manifests as they are
//! written and in another order, gives the same bytes.

use std::collections::BTreeMap;

use seatrial::experiment::{self, Options};
use seatrial::manifest::Loader;
use seatrial::recorder::{RowSinks, Wants};
use seatrial::report::text;
use seatrial::scenario::{Place, load};

use crate::support::{Page, gallery_files, gallery_names};

type Files = BTreeMap<String, Vec<u8>>;

/// The first minutes of a scenario's two first runs: what is printed, and the rows.
fn told(files: Files, jobs: usize) -> [String; 4] {
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let sets = ["run.until=4m", "run.warmup=0s", "run.replications=2"].map(str::to_owned);
    let loaded = load(&place, &sets).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let pages = [(); 3].map(|()| Page::default());
    let [pods, events, failures] = pages.clone();
    let rows = RowSinks::default().pods(pods).events(events).failures(failures);
    let wants = Wants { events: true, rows };
    let options = Options { jobs, wants, ..Options::of(&loaded.model) };
    let found = experiment::run(&loaded.model, options, &|_| {}).expect("within all limits");
    let [pods, events, failures] =
        pages.map(|page| String::from_utf8(page.bytes()).expect("UTF-8"));
    [text::print(&found.summary, &found.facts, &[]), pods, events, failures]
}

/// The same objects in the opposite order: documents of each file, files of each folder, files in
/// `apply`.
fn turned(files: &Files) -> Files {
    let mut turned = Files::new();
    for (number, (path, bytes)) in files.iter().enumerate() {
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        if !path.ends_with(".yaml") {
            turned.insert(path.clone(), bytes.clone());
        } else if text.contains("kind: Scenario") {
            turned.insert(path.clone(), turned_apply(&text).into_bytes());
        } else {
            let mut documents: Vec<&str> = text.split("\n---\n").collect();
            documents.reverse();
            let path = match path.rsplit_once('/') {
                Some((folder, file)) => format!("{folder}/{:02}-{file}", 99 - number),
                None => path.clone(),
            };
            turned.insert(path, documents.join("\n---\n").into_bytes());
        }
    }
    turned
}

fn turned_apply(scenario: &str) -> String {
    let turn = |line: &str| match line.strip_prefix("apply: [").and_then(|l| l.strip_suffix(']')) {
        Some(list) => {
            let list: Vec<&str> = list.split(", ").collect();
            format!("apply: [{}]", list.into_iter().rev().collect::<Vec<_>>().join(", "))
        }
        None => line.to_owned(),
    };
    scenario.lines().map(|line| turn(line) + "\n").collect()
}

#[test]
fn neither_threads_nor_the_order_of_manifests_change_a_byte() {
    let mut differing = Vec::new();
    let mut moved = 0;
    for name in gallery_names() {
        let files = gallery_files(&name);
        let other = turned(&files);
        moved += u32::from(other != files);
        let (one, several) = (told(files, 1), told(other, 2));
        for (what, (one, several)) in
            ["summary", "pods", "events", "failures"].iter().zip(one.iter().zip(&several))
        {
            let mut lines = one.lines().zip(several.lines());
            if one != several {
                let first = lines.find(|(one, several)| one != several);
                differing.push(format!("{name}: {what}: {first:?}"));
            }
        }
    }
    assert!(moved > 30, "only {moved} scenarios have an order");
    assert!(differing.is_empty(), "{differing:#?}");
}
