//! Reads recorded cases and compares our outcome with them, case by case.
//!
//! The recordings are not part of the crate. They are looked for where `SEATRIAL_CONFORMANCE`
//! points, else in `shared/conformance` beside the crate or one level further up. A small corpus of
//! our own, `tests/corpus/AREA/FILE.jsonl`, has the same format and always runs too.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;

/// The recordings were written with a long window.
const WINDOW_MAX: u64 = 1 << 27;
const IDS_SHOWN: usize = 40;

/// How one case came out.
#[allow(dead_code, clippy::allow_attributes, reason = "not every area leaves something to chance")]
pub(crate) enum Verdict {
    /// As recorded, or as one of the recorded ways.
    Agreed,
    /// Otherwise; says how.
    Differs(String),
    /// Left to chance or out of scope by the README of the recordings; says why. Counted apart.
    Exempt(String),
}

/// Where the recordings are, if they are here.
pub(crate) fn recordings() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SEATRIAL_CONFORMANCE") {
        return Some(PathBuf::from(named));
    }
    super::shared("conformance")
}

/// All cases of `AREA/FILE` (no extension), or none when the recordings are not here.
pub(crate) fn recorded(area: &str, file: &str) -> Option<Vec<Value>> {
    let place = recordings()?.join(area);
    let packed = place.join(format!("{file}.jsonl.zst"));
    let plain = place.join(format!("{file}.jsonl"));
    if packed.is_file() {
        return Some(lines(&unpacked(&packed), &packed));
    }
    plain.is_file().then(|| lines(&fs::read_to_string(&plain).expect("a readable file"), &plain))
}

/// The text of a recorded file that is no list of cases (`AREA/FILE.zst`), if it is here.
pub(crate) fn recorded_text(area: &str, file: &str) -> Option<String> {
    let packed = recordings()?.join(area).join(format!("{file}.zst"));
    packed.is_file().then(|| unpacked(&packed))
}

/// Our own cases of `AREA/FILE`; none when there is no such file.
pub(crate) fn own(area: &str, file: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let path = root.join(area).join(format!("{file}.jsonl"));
    fs::read_to_string(&path).map_or_else(|_| Vec::new(), |text| lines(&text, &path))
}

fn unpacked(path: &Path) -> String {
    let file = BufReader::new(File::open(path).expect("a readable file"));
    let mut decoder = StreamingDecoder::new_with_max_window_size(file, WINDOW_MAX)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    let read = decoder.read_to_string(&mut text);
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text
}

fn lines(text: &str, path: &Path) -> Vec<Value> {
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{} line {}: {error}", path.display(), number + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

/// Runs every case of `AREA/FILE` and demands that all agree.
///
/// Prints `conformance AREA/FILE: AGREED/TOTAL` and the ids that differ, or `skipped: …` when the
/// recordings are not here and only our own cases ran.
pub(crate) fn run_corpus(area: &str, file: &str, check: impl Fn(&Value) -> Result<(), String>) {
    judge_corpus(area, file, |case| match check(case) {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how),
    });
}

/// Like [`run_corpus`], for files with cases that are left to chance.
pub(crate) fn judge_corpus(area: &str, file: &str, judge: impl Fn(&Value) -> Verdict) {
    judge_share(area, file, 0, judge);
}

/// Like [`judge_corpus`], where so many of a hundred recorded cases are known to differ at most.
pub(crate) fn judge_share(
    area: &str,
    file: &str,
    differing_max: usize,
    judge: impl Fn(&Value) -> Verdict,
) {
    let mut count = 0;
    let own = tally(&format!("own cases {area}/{file}"), &own(area, file), &judge);
    let title = format!("conformance {area}/{file}");
    let recorded = recorded(area, file).map_or_else(
        || {
            tell(&format!(
                "skipped: no recordings of {area}/{file} here (set SEATRIAL_CONFORMANCE)"
            ));
            0
        },
        |cases| {
            count = cases.len();
            tally(&title, &cases, &judge)
        },
    );
    assert_eq!(own, 0, "{area}/{file}: {own} of our own cases differ");
    let allowed = count * differing_max / 100;
    assert!(recorded <= allowed, "{area}/{file}: {recorded} of {count} cases differ");
}

/// Prints the figure and the first ids that differ; gives how many do.
fn tally(title: &str, cases: &[Value], judge: impl Fn(&Value) -> Verdict) -> usize {
    let mut differing = Vec::new();
    let mut exempt = Vec::new();
    for case in cases {
        match judge(case) {
            Verdict::Agreed => {}
            Verdict::Differs(how) => differing.push((id(case), how)),
            Verdict::Exempt(why) => exempt.push((id(case), why)),
        }
    }
    let compared = cases.len() - exempt.len();
    if cases.is_empty() && title.starts_with("own") {
        return 0;
    }
    let mut lines = vec![format!("{title}: {}/{compared}", compared - differing.len())];
    if let Some((id, why)) = exempt.first() {
        lines.push(format!("  exempt: {}, such as {id}: {why}", exempt.len()));
    }
    let shown = differing.iter().take(IDS_SHOWN);
    lines.extend(shown.map(|(id, how)| format!("  differs {id}: {how}")));
    tell(&lines.join("\n"));
    differing.len()
}

/// Prints for the reader of the test's output, on a line of its own: the harness may have begun one.
#[expect(clippy::print_stdout, reason = "the figures are what the test is run for")]
fn tell(lines: &str) {
    println!("\n{lines}");
}

/// The id of a case.
pub(crate) fn id(case: &Value) -> String {
    text(case, "id").unwrap_or("(no id)").to_owned()
}

/// A text of a case.
pub(crate) fn text<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case.get(key).and_then(Value::as_str)
}

/// A whole number of a case.
pub(crate) fn int(case: &Value, key: &str) -> Option<i64> {
    case.get(key).and_then(Value::as_i64)
}

/// Agrees when both are equal, else says `NAME: ours, not theirs`.
#[expect(clippy::needless_pass_by_value, reason = "callers pass numbers and borrowed texts")]
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    name: &str,
    ours: T,
    theirs: T,
) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{name}: {ours:?}, not {theirs:?}")) }
}
