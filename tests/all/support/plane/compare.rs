//! Ours against the recording: which pod is which, and where they differ first.

use std::collections::{BTreeMap, BTreeSet};

use seatrial::record::ALPHABET;
use serde_json::Value;

use super::Timeline;
use super::actor::{Known, Uids};
use super::case::{Case, list, ms, text};

/// What one object was over time: its record from each time on, `None` for gone.
pub(super) type Life = Vec<(u64, Option<Value>)>;
/// By kind and name.
pub(super) type Lives = BTreeMap<(String, String), Life>;

/// Where ours and theirs differ first.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// Slot, in milliseconds.
    pub(crate) t: u64,
    pub(crate) kind: String,
    /// Our name and theirs.
    pub(crate) name: String,
    pub(crate) field: String,
    pub(crate) ours: Value,
    /// The recorded value, or the list of those that are allowed.
    pub(crate) theirs: Value,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { t, kind, name, field, ours, theirs } = self;
        write!(f, "at {t} ms {kind} {name} {field}: ours {ours}, theirs {theirs}")
    }
}

/// How the run of a case compares.
pub(crate) struct Outcome {
    pub(crate) first: Option<Difference>,
    /// Their name of each of our pods.
    pub(crate) pods: BTreeMap<String, String>,
    /// The uids that our pods should have had.
    pub(crate) uids: Uids,
    ours: Lives,
    theirs: Lives,
}

/// Answers of operations: ours and the recorded ones.
pub(super) type Answers<'a> = [&'a [Value]; 2];

/// Compares a run with one recorded timeline. Answers tell apart pods whose lives agree.
pub(super) fn compare(
    case: &Case<'_>,
    ours: &Timeline,
    recorded: &Value,
    answers: Answers<'_>,
) -> Outcome {
    let (mut ours, theirs) = (our_lives(case, ours), their_lives(recorded));
    rename_revisions(&mut ours, &theirs);
    let pods = match_pods(&answered(&ours, answers[0]), &answered(&theirs, answers[1]));
    super::compare_slices::rename_pods(&mut ours, &pods);
    let mut first: Option<Difference> = None;
    let mut keep = |difference: Option<Difference>| {
        let t = first.as_ref().map_or(u64::MAX, |first| first.t);
        if let Some(difference) = difference.filter(|difference| difference.t < t) {
            first = Some(difference);
        }
    };
    keep(super::compare_slices::compare(case, &ours, &theirs));
    let mut met = BTreeSet::new();
    let is_single = |kind: &str| kind != "EndpointSlice";
    for ((kind, name), life) in ours.iter().filter(|((kind, _), _)| is_single(kind)) {
        let their_name = pods.get(name).filter(|_| kind == "Pod").unwrap_or(name);
        let key = (kind.clone(), their_name.clone());
        let called =
            if their_name == name { name.clone() } else { format!("{name} ({their_name})") };
        keep(difference(kind, &called, life, theirs.get(&key).map_or(&[], Vec::as_slice)));
        met.insert(key);
    }
    for ((kind, name), life) in theirs.iter().filter(|((kind, _), _)| is_single(kind)) {
        if !met.contains(&(kind.clone(), name.clone())) {
            keep(difference(kind, name, &[], life));
        }
    }
    let names_matter = case.ops.iter().any(|(_, op)| op["op"] == "drain");
    let uids = uids_of(&pods, &theirs, names_matter);
    Outcome { first, pods, uids, ours, theirs }
}

impl Outcome {
    /// What of an object's life there is around a time, for whoever looks for a difference.
    pub(super) fn trace(&self, around: u64) -> String {
        let mut lines = Vec::new();
        let mut tell = |title: &str, lives: &Lives| {
            for ((kind, name), life) in lives {
                let before = life.iter().rev().find(|(t, _)| *t < around);
                let now = life.iter().find(|(t, _)| *t == around);
                let show = |record: &Option<Value>| {
                    record.as_ref().map_or("gone".to_owned(), |record| plain(record).to_string())
                };
                if let Some((t, record)) = before.filter(|(_, record)| record.is_some()) {
                    lines.push(format!("  {title} {kind} {name} since {t}: {}", show(record)));
                }
                if let Some((t, record)) = now {
                    lines.push(format!("  {title} {kind} {name} AT {t}: {}", show(record)));
                }
            }
        };
        tell("ours  ", &self.ours);
        tell("theirs", &self.theirs);
        lines.join("\n")
    }
}

/// A record without what says nothing.
fn plain(record: &Value) -> Value {
    let fields = record.as_object().into_iter().flatten();
    let told =
        fields.filter(|(key, value)| !is_nothing(value) && !matches!(key.as_str(), "k" | "n"));
    told.map(|(key, value)| (key.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// Zero, false and empty values are left out of the recordings.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

fn our_lives(case: &Case<'_>, timeline: &Timeline) -> Lives {
    let mut lives = Lives::new();
    let mut before = &super::Records::new();
    for (t, records) in timeline {
        for ((kind, name), record) in records {
            if (*kind == "Pod" && !case.has_pods())
                || before.get(&(*kind, name.clone())) == Some(record)
            {
                continue;
            }
            let life = lives.entry(((*kind).to_owned(), name.clone())).or_default();
            life.push((*t, Some(record.clone())));
        }
        for (kind, name) in before.keys() {
            if !records.contains_key(&(*kind, name.clone()))
                && let Some(life) = lives.get_mut(&((*kind).to_owned(), name.clone()))
            {
                life.push((*t, None));
            }
        }
        before = records;
    }
    lives
}

fn their_lives(timeline: &Value) -> Lives {
    let mut lives = Lives::new();
    for slot in list(timeline) {
        for record in list(&slot["ch"]) {
            let key = (text(&record["k"]).to_owned(), text(&record["n"]).to_owned());
            let record = (record["gone"] != true).then(|| record.clone());
            lives.entry(key).or_default().push((ms(&slot["t"]), record));
        }
    }
    lives
}

/// Generated names of revisions, ours to theirs by the order of their first appearance.
fn rename_revisions(ours: &mut Lives, theirs: &Lives) {
    const FIELDS: [&str; 3] = ["currentRevision", "updateRevision", "rev"];
    let appear = |lives: &Lives, kind: &str, field: &str| {
        let of_kind = lives.iter().filter(|((k, _), _)| k == kind);
        let mut all: Vec<(u64, String)> = of_kind
            .flat_map(|(_, life)| life)
            .filter_map(|(t, record)| Some((*t, text(&record.as_ref()?[field]).to_owned())))
            .collect();
        all.sort_by_key(|(t, _)| *t);
        let mut names: Vec<String> = Vec::new();
        for (_, name) in all {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    let mut mapped: BTreeMap<String, String> = BTreeMap::new();
    for kind in ["StatefulSet", "Pod"] {
        for field in FIELDS {
            let (our_names, their_names) = (appear(ours, kind, field), appear(theirs, kind, field));
            let known: BTreeSet<&String> = mapped.values().collect();
            let new_ours =
                our_names.into_iter().filter(|n| n.starts_with('~') && !mapped.contains_key(n));
            let new_theirs = their_names.into_iter().filter(|n| !known.contains(n));
            let pairs: Vec<_> = new_ours.zip(new_theirs).collect();
            mapped.extend(pairs);
        }
    }
    for record in ours.values_mut().flatten().filter_map(|(_, record)| record.as_mut()) {
        for field in FIELDS {
            if let Some(theirs) = mapped.get(text(&record[field])) {
                record[field] = theirs.as_str().into();
            }
        }
    }
}

pub(super) fn at(life: &[(u64, Option<Value>)], t: u64) -> Option<&Value> {
    life.iter().rev().find(|(from, _)| *from <= t)?.1.as_ref()
}

/// Where two lives differ first.
fn difference(
    kind: &str,
    name: &str,
    ours: &[(u64, Option<Value>)],
    theirs: &[(u64, Option<Value>)],
) -> Option<Difference> {
    let times: BTreeSet<u64> = ours.iter().chain(theirs).map(|(t, _)| *t).collect();
    times.into_iter().find_map(|t| {
        let (field, ours, theirs) = differs(at(ours, t), at(theirs, t))?;
        Some(Difference { t, kind: kind.to_owned(), name: name.to_owned(), field, ours, theirs })
    })
}

/// The field in which two records differ, with both values.
pub(super) fn differs(
    ours: Option<&Value>,
    theirs: Option<&Value>,
) -> Option<(String, Value, Value)> {
    let exists = |record: Option<&Value>| Value::Bool(record.is_some());
    let (Some(our), Some(their)) = (ours, theirs) else {
        let may_miss =
            theirs.is_some_and(|theirs| list(&theirs["alt"]["exists"]).contains(&false.into()));
        let agree = ours.is_some() == theirs.is_some() || (ours.is_none() && may_miss);
        let shown = |record: Option<&Value>| record.map_or_else(|| exists(record), plain);
        return (!agree).then(|| ("exists".to_owned(), shown(ours), shown(theirs)));
    };
    let alternatives = &their["alt"];
    let keys = [our, their, alternatives]
        .into_iter()
        .flat_map(|record| record.as_object().into_iter().flatten().map(|(key, _)| key.as_str()));
    let keys: BTreeSet<&str> = keys.collect();
    let skipped = ["k", "n", "uid", "alt", "exists"];
    keys.into_iter().filter(|key| !skipped.contains(key)).find_map(|key| {
        let (ours, theirs) = (&our[key], &their[key]);
        let listed = list(&alternatives[key]);
        let same = |theirs: &Value| ours == theirs || (is_nothing(ours) && is_nothing(theirs));
        let fits = if listed.is_empty() { same(theirs) } else { listed.iter().any(same) };
        let shown = if listed.is_empty() { theirs } else { &alternatives[key] };
        (!fits).then(|| (key.to_owned(), ours.clone(), shown.clone()))
    })
}

/// The base of a pod's generated name; `None` for a name that was given.
pub(super) fn base_of(name: &str) -> Option<&str> {
    if let Some((base, _)) = name.split_once('#') {
        return Some(base);
    }
    let (base, end) = name.rsplit_once('-')?;
    let is_generated = end.len() == 5 && end.bytes().all(|c| ALPHABET.contains(&c));
    is_generated.then_some(base)
}

/// Which recorded pod each of ours is: of one base name those whose lives agree, or agree longest.
fn match_pods(ours: &Lives, theirs: &Lives) -> BTreeMap<String, String> {
    let mut bases: BTreeMap<&str, [Vec<(&str, &Life)>; 2]> = BTreeMap::new();
    for (side, lives) in [ours, theirs].into_iter().enumerate() {
        for ((kind, name), life) in lives {
            if let Some(base) = base_of(name).filter(|_| kind == "Pod") {
                bases.entry(base).or_default()[side].push((name, life));
            }
        }
    }
    let mut pods = BTreeMap::new();
    for [mut ours, theirs] in bases.into_values() {
        ours.sort_by_key(|(name, _)| number_of(name));
        let until: Vec<Vec<u64>> = ours
            .iter()
            .map(|(_, our)| {
                let apart =
                    |their: &Life| difference("Pod", "", our, their).map_or(u64::MAX, |d| d.t);
                theirs.iter().map(|(_, their)| apart(their)).collect()
            })
            .collect();
        let must = theirs.iter().map(|(_, their)| difference("Pod", "", &[], their).is_some());
        for (our, their) in assign(&until, &must.collect::<Vec<_>>()) {
            pods.insert(ours[our].0.to_owned(), theirs[their].0.to_owned());
        }
    }
    pods
}

fn number_of(name: &str) -> usize {
    name.split_once('#').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// Pairs rows with columns: those columns that must have a row, then as many rows as can be, with
/// lives that agree to the end; the others by how long they agree.
fn assign(until: &[Vec<u64>], must: &[bool]) -> Vec<(usize, usize)> {
    let columns = must.len();
    let agree = |row: usize, column: usize| until[row][column] == u64::MAX;
    let mut column_of: Vec<Option<usize>> = vec![None; until.len()];
    for column in (0..columns).filter(|column| must[*column]) {
        let met = &mut vec![false; until.len()];
        augment(column, &|column, row| agree(row, column), &mut column_of, met);
    }
    let mut row_of: Vec<Option<usize>> = vec![None; columns];
    for (row, column) in column_of.iter().enumerate() {
        if let Some(column) = column {
            row_of[*column] = Some(row);
        }
    }
    for row in (0..until.len()).filter(|row| column_of[*row].is_none()) {
        augment(row, &agree, &mut row_of, &mut vec![false; columns]);
    }
    let mut has_column = vec![false; until.len()];
    row_of.iter().flatten().for_each(|row| has_column[*row] = true);
    let mut rest: Vec<(u64, usize, usize)> = Vec::new();
    for (row, times) in until.iter().enumerate().filter(|(row, _)| !has_column[*row]) {
        let free = times.iter().enumerate().filter(|(column, _)| row_of[*column].is_none());
        rest.extend(free.map(|(column, t)| (*t, row, column)));
    }
    rest.sort_by_key(|(t, row, column)| (std::cmp::Reverse(*t), *row, *column));
    for (_, row, column) in rest {
        if !has_column[row] && row_of[column].is_none() {
            (has_column[row], row_of[column]) = (true, Some(row));
        }
    }
    let pairs = row_of.into_iter().enumerate();
    pairs.filter_map(|(column, row)| Some((row?, column))).collect()
}

/// Finds a partner for a row among columns, moving others if need be.
fn augment(
    row: usize,
    agree: &dyn Fn(usize, usize) -> bool,
    row_of: &mut [Option<usize>],
    met: &mut [bool],
) -> bool {
    for column in 0..row_of.len() {
        if !agree(row, column) || met[column] {
            continue;
        }
        met[column] = true;
        let taken = row_of[column];
        if taken.is_none_or(|other| augment(other, agree, row_of, met)) {
            row_of[column] = Some(row);
            return true;
        }
    }
    false
}

/// The lives of pods with the answers about them.
fn answered(lives: &Lives, answers: &[Value]) -> Lives {
    let mut lives = lives.clone();
    for answer in answers.iter().filter(|answer| answer["pod"].is_string()) {
        let Some(life) = lives.get_mut(&("Pod".to_owned(), text(&answer["pod"]).to_owned())) else {
            continue;
        };
        let told = format!("{} {}", answer["op"], answer["res"]);
        let field = format!("answer at {}", answer["t"]);
        for (_, record) in life.iter_mut().filter(|(t, _)| *t >= ms(&answer["t"])) {
            if let Some(record) = record {
                record[&field] = told.clone().into();
            }
        }
        let t = ms(&answer["t"]);
        if let Some(record) = at(life, t).cloned()
            && !life.iter().any(|(from, _)| *from == t)
        {
            let mut record = record;
            record[&field] = told.into();
            life.push((t, Some(record)));
            life.sort_by_key(|(t, _)| *t);
        }
    }
    lives
}

/// When a pod was to go, in order of uids: where they are not recorded the smaller one goes first.
fn fate(life: &Life) -> Option<u64> {
    let goes = |record: &Option<Value>| record.as_ref().is_none_or(|r| r["deleting"] == true);
    let t = life.iter().find(|(_, record)| goes(record)).map_or(u64::MAX >> 1, |(t, _)| *t);
    Some(t)
}

/// The five characters of a generated name as a number.
fn suffix_of(name: &str) -> Option<u32> {
    let end = name.rsplit_once('-')?.1;
    let digit = |c: u8| ALPHABET.iter().position(|other| *other == c);
    end.bytes().rev().try_fold(0, |sum, c| Some(sum * 27 + u32::try_from(digit(c)?).ok()?))
}

/// The recorded uids of our pods by base and number, and their names where these matter.
fn uids_of(pods: &BTreeMap<String, String>, theirs: &Lives, names_matter: bool) -> Uids {
    let mut uids = Uids::new();
    let mut pods_lives = theirs.iter().filter(|((kind, _), _)| kind == "Pod");
    let has_uids =
        pods_lives.any(|(_, life)| life.iter().any(|(_, r)| r.as_ref().and_then(uid_of).is_some()));
    for ((kind, name), life) in theirs {
        if kind == "Pod" && base_of(name).is_none() {
            let mut all: Vec<u64> = Vec::new();
            for uid in life.iter().filter_map(|(_, record)| uid_of(record.as_ref()?)) {
                if !all.contains(&uid) {
                    all.push(uid);
                }
            }
            let known = |uid| Known { uid: Some(uid), suffix: None };
            uids.extend(
                all.into_iter().enumerate().map(|(n, uid)| ((name.clone(), n), known(uid))),
            );
        }
    }
    for (our, their) in pods {
        let Some(life) = theirs.get(&("Pod".to_owned(), their.clone())) else { continue };
        let uid = life.iter().filter_map(|(_, record)| uid_of(record.as_ref()?)).next();
        let base = base_of(our).expect("it has a generated name");
        let uid = if has_uids { uid } else { fate(life) };
        let suffix = suffix_of(their).filter(|_| names_matter);
        uids.insert((base.to_owned(), number_of(our)), Known { uid, suffix });
    }
    uids
}

/// The first 64 bits of a uid: enough for its order.
fn uid_of(record: &Value) -> Option<u64> {
    let digits: String = text(&record["uid"]).chars().filter(|c| *c != '-').take(16).collect();
    u64::from_str_radix(&digits, 16).ok()
}
