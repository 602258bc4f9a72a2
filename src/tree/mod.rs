//! YAML and JSON as trees of values that know where they were written, and messages about them.
//!
//! ```text
//! bytes ─ add_bytes ─► Sources ─ parse ─► Tree ─ root ─► Value ─► lowering code, serde
//!                          ▲                              │ span
//!                          └── draw ◄── Diagnostics ◄─────┘
//! ```
//!
//! For those who lower values into types of their own:
//!
//! - read with [`Value`] (`get`, `field`, `items`, `entries`, `as_str`; `want_str` and its
//!   like report what is of the wrong type);
//! - report with `found.push(Diagnostic::error(value.span(), "…").with_hint("…"))` and go on:
//!   all errors are shown at once, in the order of the text;
//! - keep a [`Span`] (12 bytes) where a later check may have to point back.
//!
//! Knows nothing of Kubernetes' objects; only how Kubernetes reads scalars.

mod arena;
mod build;
mod convert;
mod de;
mod de_error;
mod diagnostic;
mod draw;
mod emit;
mod json;
mod parse;
mod path;
mod scalar;
mod source;
mod spanned;
mod suggest;
mod value;
mod want;
mod yaml;

pub use arena::{NodeId, Tree};
pub use de::{InPart, from_value, from_value_in_part};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use draw::DrawOptions;
pub use emit::{json_to_yaml, to_yaml};
pub use parse::{Limits, ParseOptions, Parsed, add_bytes, parse};
pub use path::{Assignment, PathError};
pub use source::{FileId, LineColumn, SourceFile, Sources, Span};
pub use spanned::Spanned;
pub use suggest::closest;
pub use value::{Entry, Kind, Value};
