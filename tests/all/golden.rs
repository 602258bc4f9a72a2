//! The gallery's results as they were: the printed summary of one run of each scenario, and four
//! fingerprints. The one that moved tells what kind of change it was. `UPDATE_GOLDEN=1` rewrites.

use std::fs;
use std::path::PathBuf;

use seatrial::experiment::{self, Options};
use seatrial::recorder::{RowSinks, Wants};
use seatrial::report::text;

use crate::support::{Page, gallery};

/// FNV-1a: short, and the same everywhere.
fn fingerprint(texts: impl Iterator<Item = String>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{:08x}", hash >> 32)
}

/// Some columns of the rows of a table, in the order of the rows.
fn columns<'t>(table: &'t [u8], wanted: &'t [&str]) -> impl Iterator<Item = String> + 't {
    let mut reader = csv::Reader::from_reader(table);
    let headers = reader.headers().expect("a table has headers").clone();
    let at: Vec<usize> = wanted
        .iter()
        .map(|name| headers.iter().position(|h| h == *name).expect("the column is there"))
        .collect();
    reader.into_records().map(move |row| {
        let row = row.expect("a row of a table");
        at.iter().map(|index| row[*index].to_owned()).collect::<Vec<_>>().join(" ")
    })
}

fn result_of(name: &str, sets: &[&str]) -> String {
    let loaded = gallery(name, sets);
    let (pods, events) = (Page::default(), Page::default());
    let rows = RowSinks::default().pods(pods.clone()).events(events.clone());
    let wants = Wants { events: true, rows };
    let options = Options { replications: 1, wants, checks: true, ..Options::of(&loaded.model) };
    let experiment = experiment::run(&loaded.model, options, &|_| {}).expect("within all limits");
    let (pods, events) = (pods.bytes(), events.bytes());
    let totals = format!("{:?}", experiment.summary);
    format!(
        "{}\norder      {}\ntimes      {}\ndecisions  {}\ntotals     {}\n",
        text::print(&experiment.summary, &experiment.facts, &[]),
        fingerprint(columns(&events, &["reason", "object"])),
        fingerprint(columns(&pods, &["created_s", "scheduled_s", "ready_s", "gone_s"])),
        fingerprint(columns(&pods, &["pod", "node"])),
        fingerprint([totals].into_iter()),
    )
}

fn check(name: &str, sets: &[&str]) {
    let result = result_of(name, sets);
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &result).expect("written");
    }
    let before = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(before, result, "{name} has changed: CHANGELOG, then UPDATE_GOLDEN=1");
}

#[test]
fn quickstart_is_what_it_was() {
    check("quickstart", &[]);
}

#[test]
fn scale_up_is_what_it_was() {
    check("scale-up", &["run.until=40m"]);
}

#[test]
fn busy_cluster_is_what_it_was() {
    check("busy-cluster", &["run.until=20m"]);
}

#[test]
fn policy_compare_is_what_it_was() {
    check("policy-compare", &["run.until=20m"]);
}

#[test]
fn zonal_volumes_is_what_it_was() {
    check("zonal-volumes", &[]);
}

#[test]
fn two_profiles_is_what_it_was() {
    check("two-profiles", &["run.until=15m"]);
}

#[test]
fn job_failing_indexes_is_what_it_was() {
    check("job-failing-indexes", &[]);
}

#[test]
fn cronjob_dst_is_what_it_was() {
    check("cronjob-dst", &["run.until=16h"]);
}
