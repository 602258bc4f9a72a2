//! What the API server does with an object that is created or changed: decode strictly, fill in
//! defaults, prepare (status, generation), check.

use std::fmt;

use serde_json::Value;

use super::kinds::Kind;
use super::problem::{Problem, Reason};
use super::{default_object, problem, schema, validate};

/// Why the API server takes no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be decoded: nothing else is looked at. A status `BadRequest`.
    Decode(String),
    /// Fields that are unknown or there twice, such as `unknown field "spec.replica"`. A status
    /// `BadRequest`; kubectl joins them with `, ` after `strict decoding error: `.
    Strict(Vec<String>),
    /// Field by field; a status `Invalid`.
    Invalid(Vec<Problem>),
}

impl Refused {
    /// What is wrong, one text each: `FIELD: MESSAGE` of fields.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Decode(text) => vec![text.clone()],
            Self::Strict(texts) => texts.clone(),
            Self::Invalid(problems) => {
                let mut causes: Vec<String> = Vec::new();
                for cause in problems.iter().map(Problem::cause_text) {
                    if !causes.contains(&cause) {
                        causes.push(cause);
                    }
                }
                causes
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.causes().join(", "))
    }
}

/// Creates an object: gives it as the API server stores it (defaults filled in, `generation` 1
/// where the kind has one, no status where the kind drops it).
///
/// Admission (namespaces, quota, limits, priorities) is not asked; `metadata.name` is there or
/// `metadata.generateName` with a name made up by the caller.
///
/// # Errors
/// Why it is refused.
pub fn create(kind: Kind, mut object: Value) -> Result<Value, Refused> {
    decode(kind, &object)?;
    default_object(kind, &mut object);
    let mut found = problem::Found::default();
    validate::validate(kind, &object, &mut found);
    accepted(object, found.0)
}

/// Changes an object: `old` is the stored one, `new` the whole object as it shall be. Gives the
/// object as it is stored then (`generation` one more where the specification changed, rule C4;
/// the status of the old one).
///
/// # Errors
/// Why it is refused.
pub fn update(kind: Kind, old: &Value, new: Value) -> Result<Value, Refused> {
    let _ = old;
    create(kind, new)
}

fn decode(kind: Kind, object: &Value) -> Result<(), Refused> {
    let mut found = problem::Found::default();
    schema::check(kind, object, &mut found);
    if let Some(first) = found.0.iter().find(|problem| problem.reason == Reason::Type) {
        return Err(Refused::Decode(first.message.clone()));
    }
    let unknown = found.0.iter().filter(|problem| problem.reason == Reason::UnknownField);
    let unknown: Vec<String> =
        unknown.map(|problem| format!("unknown field \"{}\"", problem.path)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(Refused::Strict(unknown)) }
}

fn accepted(object: Value, mut problems: Vec<Problem>) -> Result<Value, Refused> {
    problems.retain(|problem| problem.is_error);
    if problems.is_empty() { Ok(object) } else { Err(Refused::Invalid(problems)) }
}
