//! `nodeSelector` and node affinity of a pod, with what the scheduler cannot read in them.
//!
//! Source: kubernetes v1.36.3
//! staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go (rules S97,
//! S98; recorded).

use serde_json::Value;
use smallvec::SmallVec;

use super::problem::At;
use super::read::{entries, is_set, items, text};
use super::selector::{TextOperator, TextRequirement, aggregate, invalid, listed, texts};
use crate::base::Interner;
use crate::model::{Labels, NodeAffinity, NodeSelectorTerm, Operator, Requirement};

/// Which nodes a pod may and would like to run on.
#[derive(Clone, Debug, Default)]
pub struct NodeRules {
    /// `nodeSelector`.
    pub selector: Labels,
    /// Node affinity; terms that cannot be read are left out (they match nothing).
    pub affinity: NodeAffinity,
    /// What cannot be read in the required terms; it counts only when no other term matches.
    pub required_error: Option<String>,
    /// What cannot be read in the preferred terms: the scheduler fails on it (rule S98a).
    pub preferred_error: Option<String>,
}

impl NodeRules {
    /// Reads `spec.nodeSelector` and `spec.affinity.nodeAffinity`.
    #[must_use]
    pub fn lower(selector: &Value, affinity: &Value, names: &mut Interner) -> Self {
        let selector = lower_labels(selector, names);
        let required = &affinity["requiredDuringSchedulingIgnoredDuringExecution"];
        let preferred = &affinity["preferredDuringSchedulingIgnoredDuringExecution"];
        let (mut faults, mut terms) = (Vec::new(), Vec::new());
        let list = At::ROOT.field("nodeSelectorTerms");
        for (index, term) in items(&required["nodeSelectorTerms"]).iter().enumerate() {
            // An empty term matches nothing, but names no node either (rule S99).
            let before = faults.len();
            let term = lower_term(term, &list.index(index), names, &mut faults);
            if faults.len() == before {
                terms.push(term.unwrap_or_default());
            }
        }
        let required_error = (!faults.is_empty()).then(|| aggregate(&faults));
        let (mut faults, mut wished) = (Vec::new(), Vec::new());
        for (index, wish) in items(preferred).iter().enumerate() {
            let weight = wish["weight"].as_i64().and_then(|w| i32::try_from(w).ok()).unwrap_or(0);
            if weight == 0 {
                // It is not even read.
                wished.push((weight, NodeSelectorTerm::default()));
                continue;
            }
            // An empty one matches nothing, but makes the plugin score (rule S100).
            let (at, before) = (At::ROOT.index(index), faults.len());
            let term = lower_term(&wish["preference"], &at, names, &mut faults);
            if faults.len() == before {
                wished.push((weight, term.unwrap_or_default()));
            }
        }
        let preferred_error = (!faults.is_empty()).then(|| aggregate(&faults));
        let required = is_set(required).then_some(terms);
        let error = preferred_error.as_deref().map(Into::into);
        let affinity = NodeAffinity { required, preferred: wished, preferred_error: error };
        Self { selector, affinity, required_error, preferred_error }
    }
}

/// The terms of a node selector that can be read; none if it is not there.
pub(super) fn lower_terms(selector: &Value, names: &mut Interner) -> Option<Vec<NodeSelectorTerm>> {
    let rules =
        serde_json::json!({ "requiredDuringSchedulingIgnoredDuringExecution": selector.clone() });
    NodeRules::lower(&Value::Null, &rules, names).affinity.required
}

/// What cannot be read in node affinity: paths into it, each with a message.
pub(super) fn faults(affinity: &Value) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let names = &mut Interner::new();
    let required = At::ROOT.field("requiredDuringSchedulingIgnoredDuringExecution");
    let list = required.field("nodeSelectorTerms");
    let terms = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    for (index, term) in items(terms).iter().enumerate() {
        lower_term(term, &list.index(index), names, &mut faults);
    }
    let list = At::ROOT.field("preferredDuringSchedulingIgnoredDuringExecution");
    let wishes = &affinity["preferredDuringSchedulingIgnoredDuringExecution"];
    for (index, wish) in items(wishes).iter().enumerate() {
        let here = list.index(index);
        lower_term(&wish["preference"], &here.field("preference"), names, &mut faults);
    }
    let split = |fault: &String| match fault.split_once(": ") {
        Some((path, message)) => (path.to_owned(), message.to_owned()),
        None => (String::new(), fault.clone()),
    };
    faults.iter().map(split).collect()
}

/// A mapping of texts as labels.
pub(super) fn lower_labels(labels: &Value, names: &mut Interner) -> Labels {
    Labels::new(entries(labels).map(|(key, value)| (names.intern(key), names.intern(text(value)))))
}

/// A term; none when it is empty or cannot be read.
fn lower_term(
    term: &Value,
    at: &At<'_>,
    names: &mut Interner,
    faults: &mut Vec<String>,
) -> Option<NodeSelectorTerm> {
    let (expressions, fields) = (items(&term["matchExpressions"]), items(&term["matchFields"]));
    if expressions.is_empty() && fields.is_empty() {
        return None;
    }
    let before = faults.len();
    let mut lowered = NodeSelectorTerm::default();
    let list = at.field("matchExpressions");
    for (index, expression) in expressions.iter().enumerate() {
        let lower = lower_expression(expression, &list.index(index), names, faults);
        lowered.expressions.extend(lower);
    }
    let list = at.field("matchFields");
    for (index, field) in fields.iter().enumerate() {
        lowered.fields.extend(lower_field(field, &list.index(index), names, faults));
    }
    (faults.len() == before).then_some(lowered)
}

fn lower_expression(
    expression: &Value,
    at: &At<'_>,
    names: &mut Interner,
    faults: &mut Vec<String>,
) -> Option<Requirement> {
    const KNOWN: &str = "\"In\", \"NotIn\", \"Exists\", \"DoesNotExist\", \"Gt\", \"Lt\"";
    let word = text(&expression["operator"]);
    let Some(operator) = TextOperator::of_object(word) else {
        faults.push(unsupported(at, word, KNOWN));
        return None;
    };
    let key = text(&expression["key"]).to_owned();
    let requirement = TextRequirement { key, operator, values: texts(expression) };
    let found = requirement.faults(at);
    let fine = found.is_empty();
    faults.extend(found);
    fine.then(|| requirement.lower(names))
}

/// A requirement on a field. Only `metadata.name` has a value; others are empty texts.
fn lower_field(
    field: &Value,
    at: &At<'_>,
    names: &mut Interner,
    faults: &mut Vec<String>,
) -> Option<Requirement> {
    let word = text(&field["operator"]);
    let operator = match word {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        _ => {
            faults.push(unsupported(at, word, "\"In\", \"NotIn\""));
            return None;
        }
    };
    let values = texts(field);
    let [value] = values.as_slice() else {
        faults.push(invalid(&at.field("values"), &listed(&values), "must have one element"));
        return None;
    };
    let key = names.intern(text(&field["key"]));
    let mut wanted = SmallVec::new();
    if field["key"] == "metadata.name" {
        wanted.push(names.intern(value));
    }
    Some(Requirement { key, operator, values: wanted })
}

fn unsupported(at: &At<'_>, word: &str, known: &str) -> String {
    let at = at.field("operator");
    format!("{at}: Unsupported value: {word:?}: supported values: {known}")
}
