//! Label selectors: the text form (`app=web,tier in (db,web)`) and the object form.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/labels/selector.go,
//! pkg/apis/meta/v1/helpers.go `LabelSelectorAsSelector` (recorded).

use std::fmt;

use serde_json::Value;
use smallvec::SmallVec;

use super::names;
use super::problem::At;
use super::read::{entries, items, text};
use super::selector_parser;
use crate::base::Interner;
use crate::model::{Operator, Requirement, Selector};

/// A selector with its texts, in the order in which Kubernetes prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextSelector {
    requirements: Vec<TextRequirement>,
}

/// One requirement with its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextRequirement {
    pub(super) key: String,
    pub(super) operator: TextOperator,
    pub(super) values: Vec<String>,
}

/// The operators of the text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextOperator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

impl TextOperator {
    /// The operator of the object forms.
    pub(super) fn of_object(word: &str) -> Option<Self> {
        Some(match word {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            "Gt" => Self::GreaterThan,
            "Lt" => Self::LessThan,
            _ => return None,
        })
    }

    const fn lowered(self) -> Operator {
        match self {
            Self::Equals | Self::DoubleEquals | Self::In => Operator::In,
            Self::NotEquals | Self::NotIn => Operator::NotIn,
            Self::Exists => Operator::Exists,
            Self::DoesNotExist => Operator::DoesNotExist,
            Self::GreaterThan => Operator::Gt,
            Self::LessThan => Operator::Lt,
        }
    }
}

impl TextSelector {
    /// Reads the text form, as `kubectl get -l` takes it.
    ///
    /// # Errors
    /// The first fault, in Kubernetes' words.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::sorted(selector_parser::parse(text)?))
    }

    /// Reads the object form, `matchLabels` and `matchExpressions`; `None` for null, which selects
    /// nothing.
    ///
    /// # Errors
    /// The first fault, in Kubernetes' words.
    pub fn of_object(object: &Value) -> Result<Option<Self>, String> {
        if object.is_null() {
            return Ok(None);
        }
        let mut requirements = Vec::new();
        for (key, value) in entries(&object["matchLabels"]) {
            let values = vec![text(value).to_owned()];
            requirements.push(checked(key, TextOperator::Equals, values)?);
        }
        for expression in items(&object["matchExpressions"]) {
            let word = text(&expression["operator"]);
            let operator = TextOperator::of_object(word)
                .filter(|op| !matches!(op, TextOperator::GreaterThan | TextOperator::LessThan))
                .ok_or_else(|| format!("{word:?} is not a valid label selector operator"))?;
            requirements.push(checked(text(&expression["key"]), operator, texts(expression))?);
        }
        Ok(Some(Self::sorted(requirements)))
    }

    fn sorted(mut requirements: Vec<TextRequirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements }
    }

    /// Whether the labels of an object (a mapping of texts) fit.
    #[must_use]
    pub fn matches(&self, labels: &Value) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(labels[&requirement.key].as_str()))
    }

    /// The selector of the model.
    pub fn lower(&self, names: &mut Interner) -> Selector {
        Selector(self.requirements.iter().map(|r| r.lower(names)).collect())
    }
}

impl TextRequirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let is_listed = || label.is_some_and(|label| self.values.iter().any(|v| v == label));
        let number = |text: &str| text.parse::<i64>().ok();
        let limit = self.values.first().and_then(|value| number(value));
        let compared = label.and_then(number).zip(limit);
        match self.operator {
            TextOperator::Equals | TextOperator::DoubleEquals | TextOperator::In => is_listed(),
            TextOperator::NotEquals | TextOperator::NotIn => !is_listed(),
            TextOperator::Exists => label.is_some(),
            TextOperator::DoesNotExist => label.is_none(),
            TextOperator::GreaterThan => compared.is_some_and(|(label, limit)| label > limit),
            TextOperator::LessThan => compared.is_some_and(|(label, limit)| label < limit),
        }
    }

    pub(super) fn lower(&self, names: &mut Interner) -> Requirement {
        let key = names.intern(&self.key);
        let values: SmallVec<_> = self.values.iter().map(|value| names.intern(value)).collect();
        Requirement { key, operator: self.operator.lowered(), values }
    }
}

/// The values of an expression.
pub(super) fn texts(expression: &Value) -> Vec<String> {
    items(&expression["values"]).iter().map(|value| text(value).to_owned()).collect()
}

/// A requirement, or the faults of it as one text.
pub(super) fn checked(
    key: &str,
    operator: TextOperator,
    values: Vec<String>,
) -> Result<TextRequirement, String> {
    let requirement = TextRequirement { key: key.to_owned(), operator, values };
    let against = requirement.faults(&At::ROOT);
    if against.is_empty() { Ok(requirement) } else { Err(aggregate(&against)) }
}

/// Several faults as Kubernetes prints them together: each once, in brackets when more than one.
pub(super) fn aggregate(faults: &[String]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for fault in faults {
        if !once.contains(&fault.as_str()) {
            once.push(fault);
        }
    }
    match once.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("[{}]", many.join(", ")),
    }
}

impl TextRequirement {
    /// What is wrong with it, with the place in front.
    ///
    /// Source: kubernetes v1.36.3 labels/selector.go `NewRequirement`.
    pub(super) fn faults(&self, at: &At<'_>) -> Vec<String> {
        let mut faults = Vec::new();
        let key_faults = names::qualified_name(&self.key);
        if !key_faults.is_empty() {
            faults.push(invalid(&at.field("key"), &quoted(&self.key), &key_faults.join("; ")));
        }
        let place = at.field("values");
        if let Some(why) = self.wrong_number_of_values() {
            faults.push(invalid(&place, &listed(&self.values), why));
        }
        if matches!(self.operator, TextOperator::GreaterThan | TextOperator::LessThan) {
            for (index, value) in self.values.iter().enumerate() {
                if value.parse::<i64>().is_err() {
                    let why = "for 'Gt', 'Lt' operators, the value must be an integer";
                    faults.push(invalid(&place.index(index), &quoted(value), why));
                }
            }
        }
        for (index, value) in self.values.iter().enumerate() {
            let why = names::label_value(value);
            if !why.is_empty() {
                let place = place.index(index);
                faults.push(invalid(&place.key(&self.key), &quoted(value), &why.join("; ")));
            }
        }
        faults
    }

    fn wrong_number_of_values(&self) -> Option<&'static str> {
        let count = self.values.len();
        let (is_wrong, why) = match self.operator {
            TextOperator::In | TextOperator::NotIn => {
                (count == 0, "for 'in', 'notin' operators, values set can't be empty")
            }
            TextOperator::Equals | TextOperator::DoubleEquals | TextOperator::NotEquals => {
                (count != 1, "exact-match compatibility requires one single value")
            }
            TextOperator::Exists | TextOperator::DoesNotExist => {
                (count != 0, "values set must be empty for exists and does not exist")
            }
            TextOperator::GreaterThan | TextOperator::LessThan => {
                (count != 1, "for 'Gt', 'Lt' operators, exactly one value is required")
            }
        };
        is_wrong.then_some(why)
    }
}

/// `path: Invalid value: …: why`.
pub(super) fn invalid(at: &At<'_>, value: &str, why: &str) -> String {
    format!("{at}: Invalid value: {value}: {why}")
}

pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// A list of texts as Kubernetes prints it in an error; null for an empty one.
pub(super) fn listed(texts: &[String]) -> String {
    if texts.is_empty() {
        return "null".to_owned();
    }
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(","))
}

/// As Kubernetes prints a selector.
impl fmt::Display for TextSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TextRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        match operator {
            TextOperator::Exists => write!(f, "{key}"),
            TextOperator::DoesNotExist => write!(f, "!{key}"),
            TextOperator::Equals => write!(f, "{key}={values}"),
            TextOperator::DoubleEquals => write!(f, "{key}=={values}"),
            TextOperator::NotEquals => write!(f, "{key}!={values}"),
            TextOperator::In => write!(f, "{key} in ({values})"),
            TextOperator::NotIn => write!(f, "{key} notin ({values})"),
            TextOperator::GreaterThan => write!(f, "{key}>{values}"),
            TextOperator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}
