//! Experiments: the same bytes on any number of threads; the files of a result.

use std::sync::Mutex;

use seatrial::experiment::{self, Experiment, Options};
use seatrial::recorder::{RowSinks, Wants};
use seatrial::report::expect::Expect;
use seatrial::report::{known_paths, text};
use seatrial::scenario::Loaded;

use crate::support::{Page, gallery};

fn short() -> Loaded {
    gallery("quickstart", &["run.until=100s", "run.replications=4"])
}

fn run(loaded: &Loaded, jobs: usize, wants: Wants) -> Experiment {
    let options = Options { jobs, wants, ..Options::of(&loaded.model) };
    experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed")
}

fn printed(experiment: &Experiment) -> String {
    text::print(&experiment.summary, &experiment.facts, &[])
}

#[test]
fn the_same_bytes_on_one_thread_and_on_several() {
    let loaded = short();
    let bytes = |jobs| {
        let (pods, events, failures) = (Page::default(), Page::default(), Page::default());
        let rows = RowSinks::default();
        let rows = rows.pods(pods.clone()).events(events.clone()).failures(failures.clone());
        let experiment = run(&loaded, jobs, Wants { events: true, rows });
        let pages = [pods, events, failures].map(|page| page.bytes());
        (format!("{:#?}", experiment.summary), printed(&experiment), pages)
    };
    let (one, several) = (bytes(1), bytes(3));
    assert_eq!(one.1, several.1);
    assert!(one == several, "summaries or rows differ");
    assert!(one.2.iter().take(2).all(|page| page.len() > 200), "rows were written");
}

#[test]
fn progress_counts_to_the_last_replication() {
    let loaded = gallery("quickstart", &["run.until=5s", "run.replications=5"]);
    let seen = Mutex::new(Vec::new());
    let options = Options { jobs: 2, ..Options::of(&loaded.model) };
    let told = |ended| seen.lock().unwrap().push(ended);
    experiment::run(&loaded.model, options, &told).expect("no limit is passed");
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 4, 5]);
}

#[test]
fn nothing_differs_from_itself() {
    let loaded = short();
    let experiment = run(&loaded, 1, Wants::default());
    let compared = experiment::compare(&experiment, &experiment);
    assert!(!compared.rows.is_empty());
    assert!(compared.rows.iter().all(|row| row.difference.mean.abs() <= 0.0));
}

#[test]
fn expectations_of_the_gallery_name_paths_that_are_there() {
    for name in ["quickstart", "busy-cluster", "scale-up", "drain-blocked"] {
        let loaded = gallery(name, &[]);
        let known = known_paths(&loaded.model);
        for line in &loaded.expect {
            let checked = Expect::parse(&line.value).and_then(|expect| expect.check(&known));
            assert_eq!(checked, Ok(()), "{name}: {}", line.value);
        }
    }
}
