//! A value of any type with the place it was written at.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::U32Deserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use super::de::Reader;
use super::de_error::Error;
use super::source::Span;

/// A value with its place, for fields that later checks point back at.
///
/// Read by [`super::from_value`] it knows its place; by any other deserializer (and below serde's
/// `flatten` and `untagged`) its span is [`Span::NONE`]. The place plays no part in equality, and
/// the JSON Schema is that of the value.
#[derive(Clone, Copy, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at a place.
    #[must_use]
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// A value that no text says.
    #[must_use]
    pub fn nowhere(value: T) -> Self {
        Self { value, span: Span::NONE }
    }

    /// Another value at the same place.
    #[must_use]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The name by which our deserializer knows that a place is wanted.
pub(super) const SPANNED: &str = "$seatrial::Spanned";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Spanned<T>, D::Error> {
        T::deserialize(inner).map(Spanned::nowhere)
    }

    /// File, start, end, value: as [`SpannedAccess`] gives them.
    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
        let mut raw = Span::NONE.raw();
        for number in &mut raw {
            *number = parts.next_element()?.unwrap_or(*number);
        }
        let missing = || serde::de::Error::custom("a place without a value");
        let value = parts.next_element()?.ok_or_else(missing)?;
        Ok(Spanned { value, span: Span::from_raw(raw) })
    }
}

/// Gives the three numbers of a span, then the value.
pub(super) struct SpannedAccess<'r, 't> {
    raw: [u32; 3],
    given: usize,
    value: Reader<'r, 't>,
}

impl<'r, 't> SpannedAccess<'r, 't> {
    pub(super) fn new(span: Span, value: Reader<'r, 't>) -> Self {
        Self { raw: span.raw(), given: 0, value }
    }
}

impl<'t> SeqAccess<'t> for SpannedAccess<'_, 't> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let given = self.given;
        self.given += 1;
        match self.raw.get(given) {
            Some(&number) => seed.deserialize(U32Deserializer::new(number)).map(Some),
            None => seed.deserialize(self.value).map(Some),
        }
    }
}
