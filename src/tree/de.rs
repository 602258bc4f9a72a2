//! From a tree to types that derive `serde::Deserialize`, with all errors at once.
//!
//! Serde stops at the first wrong value. Here the wrong value is remembered, and reading is tried
//! again as if its key were not there, until nothing new is found.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::arena::NodeId;
use super::de_error::{Error, Problem};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::Span;
use super::spanned::{SPANNED, SpannedAccess};
use super::value::{Entry, Kind, Value};

/// Wrong values that are searched for before giving up.
const ROUNDS_MAX: usize = 128;

/// Reads a type from a value; `None` after at least one error.
///
/// - Every unknown key is an error with a suggestion, without `deny_unknown_fields`. (Serde hides
///   keys below `flatten`, `untagged` and tagged enums from us: there it is needed.)
/// - All wrong values are reported, not only the first.
/// - A key without a value counts as absent in structs.
/// - A number where text is asked for is taken as it was written (`kubernetes: 1.30`).
/// - [`super::Spanned`] fields know their place.
pub fn from_value<T: DeserializeOwned>(value: Value<'_>, found: &mut Diagnostics) -> Option<T> {
    let before = found.error_count();
    let read = read(value, &mut Run::default(), found);
    read.filter(|_| found.error_count() == before)
}

/// What could be read of a value that may be wrong in parts.
#[derive(Debug)]
pub struct InPart<T> {
    /// The rest.
    pub value: T,
    /// Keys of the outermost mapping below which something was wrong or unknown, and keys that
    /// unknown ones were probably meant to be.
    pub damaged: BTreeSet<String>,
}

/// Like [`from_value`], but gives what is right where only parts are wrong, so that later checks
/// find more errors in one go: an item of a list with anything wrong in it is left out as a whole
/// (the outermost one), and so is any other wrong value.
///
/// `None` where what is left cannot be read.
pub fn from_value_in_part<T: DeserializeOwned>(
    value: Value<'_>,
    found: &mut Diagnostics,
) -> Option<InPart<T>> {
    let mut run = Run::default();
    let whole: T = read(value, &mut run, found)?;
    let mut damaged = run.misspelt.take();
    let mut wrong = std::mem::take(&mut run.wrong);
    wrong.extend(run.unknown_values.take());
    if wrong.is_empty() {
        return Some(InPart { value: whole, damaged });
    }
    for entry in value.entries() {
        let mut outermost = BTreeSet::new();
        if outermost_items(entry.value, None, &wrong, &mut outermost) {
            damaged.insert(entry.key.to_owned());
        }
        run.wrong.append(&mut outermost);
    }
    run.wrong.append(&mut wrong);
    let rest = read(value, &mut run, &mut Diagnostics::new())?;
    Some(InPart { value: rest, damaged })
}

/// Collects the outermost list items around wrong values; whether there is a wrong value at all.
///
/// Recursion is bounded by the depth limit of reading.
fn outermost_items(
    value: Value<'_>,
    item: Option<NodeId>,
    wrong: &BTreeSet<NodeId>,
    items: &mut BTreeSet<NodeId>,
) -> bool {
    let mut any = wrong.contains(&value.id());
    if any {
        items.extend(item);
    }
    for entry in value.entries() {
        any |= outermost_items(entry.value, item, wrong, items);
    }
    for child in value.items() {
        any |= outermost_items(child, item.or(Some(child.id())), wrong, items);
    }
    any
}

/// Reads again and again, leaving out what was found wrong, until the rest is right.
fn read<T: DeserializeOwned>(
    value: Value<'_>,
    run: &mut Run,
    found: &mut Diagnostics,
) -> Option<T> {
    for _ in 0..ROUNDS_MAX {
        let result = T::deserialize(Reader { value, run });
        found.extend(run.unknown.take());
        let error = match result {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let node = error.node.unwrap_or_else(|| value.id());
        let at = value.tree().value(node);
        // A key that is not there at all is no consequence of values left out.
        let absent = error.missing_field().is_some_and(|field| at.entry(field).is_none());
        if absent || !has_wrong_child(at, &run.wrong) {
            found.push(error.diagnostic(at));
        }
        if node == value.id() || !run.wrong.insert(node) {
            return None;
        }
    }
    None
}

fn has_wrong_child(value: Value<'_>, wrong: &BTreeSet<NodeId>) -> bool {
    let children = value.items().chain(value.entries().map(|entry| entry.value));
    children.into_iter().any(|child| wrong.contains(&child.id()))
}

/// What is known while reading.
#[derive(Default)]
pub(super) struct Run {
    /// Values found wrong in earlier rounds: left out.
    wrong: BTreeSet<NodeId>,
    /// Unknown keys of this round.
    unknown: RefCell<Vec<Diagnostic>>,
    /// Keys reported already.
    reported: RefCell<BTreeSet<Span>>,
    /// The values of unknown keys.
    unknown_values: RefCell<BTreeSet<NodeId>>,
    /// What unknown keys were probably meant to be.
    misspelt: RefCell<BTreeSet<String>>,
}

impl Run {
    fn unknown_key(&self, entry: &Entry<'_>, known: &'static [&'static str]) {
        // A key that `--set` put there is written nowhere, but its value is.
        let own = !entry.key_span.is_none();
        let place = if own { entry.key_span } else { entry.value.span() };
        if !self.reported.borrow_mut().insert(place) {
            return;
        }
        self.unknown_values.borrow_mut().insert(entry.value.id());
        let meant = super::suggest::closest(entry.key, known.iter().copied());
        self.misspelt.borrow_mut().extend(meant.map(str::to_owned));
        let diagnostic = unknown_key(entry.key, place, known);
        self.unknown.borrow_mut().push(diagnostic);
    }
}

/// The message about a key that is none of the known ones.
pub(super) fn unknown_key(key: &str, place: Span, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::error(place, format!("unknown key \"{key}\""))
        .with_suggestion(key, known.iter().copied());
    if diagnostic.hint.is_some() || known.is_empty() {
        return diagnostic;
    }
    diagnostic.with_hint(format!("known here: {}", known.join(", ")))
}

/// The deserializer of a value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r, 't> {
    value: Value<'t>,
    run: &'r Run,
}

impl<'t> Reader<'_, 't> {
    fn located<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at(self.value))
    }

    fn any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(value),
            Kind::Int(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(value),
            },
            Kind::Float(value) => match self.value.written().parse() {
                Ok(whole) => visitor.visit_u64(whole), // beyond 63 bits: a seed, perhaps
                Err(_) => visitor.visit_f64(value),
            },
            Kind::Str(text) => visitor.visit_borrowed_str(text),
            Kind::Sequence => self.sequence(visitor),
            Kind::Mapping => self.mapping(visitor, None),
        }
    }

    fn sequence<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        let run = self.run;
        let items = self.value.items().filter(|item| !run.wrong.contains(&item.id()));
        visitor.visit_seq(Items { items, run })
    }

    fn mapping<V: Visitor<'t>>(
        self,
        visitor: V,
        fields: Option<&'static [&'static str]>,
    ) -> Result<V::Value, Error> {
        let run = self.run;
        let entries = self.value.entries().filter(|entry| {
            let Some(fields) = fields else {
                return !run.wrong.contains(&entry.value.id());
            };
            if !fields.contains(&entry.key) {
                run.unknown_key(entry, fields);
                return false;
            }
            !entry.value.is_null() && !run.wrong.contains(&entry.value.id())
        });
        visitor.visit_map(Entries { entries, run, value: None })
    }

    fn text<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.kind() {
            Kind::Int(_) | Kind::Float(_) => visitor.visit_str(&self.value.written()),
            _ => self.any(visitor),
        }
    }

    fn variant<V: Visitor<'t>>(
        self,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let run = self.run;
        match self.value.kind() {
            Kind::Mapping if self.value.len() == 1 => {
                let entry = self.value.entries().next().expect("one entry");
                let name = entry.key.to_owned();
                if run.wrong.contains(&entry.value.id()) {
                    return Err(Error::new(Problem::NoContent(name))); // a consequence, not shown
                }
                visitor.visit_enum(Variant { name, content: Some(entry.value), run })
            }
            Kind::Str(_) | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
                let name = self.value.written().into_owned();
                visitor.visit_enum(Variant { name, content: None, run })
            }
            Kind::Null | Kind::Sequence | Kind::Mapping => {
                Err(Error::new(Problem::NoVariant(variants)))
            }
        }
    }
}

macro_rules! located_any {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            self.located(self.any(visitor))
        })*
    };
}

macro_rules! located_text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            self.located(self.text(visitor))
        })*
    };
}

impl<'t> de::Deserializer<'t> for Reader<'_, 't> {
    type Error = Error;

    located_any! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_seq deserialize_map
    }

    located_text! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() {
            return self.located(visitor.visit_none());
        }
        self.located(visitor.visit_some(self))
    }

    fn deserialize_unit_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.located(self.any(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == SPANNED {
            let access = SpannedAccess::new(self.value.span(), self);
            return self.located(visitor.visit_seq(access));
        }
        self.located(visitor.visit_newtype_struct(self))
    }

    /// Serde would not ask for items beyond the last one that it needs.
    fn deserialize_tuple<V: Visitor<'t>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_sequence() && self.value.len() > len {
            return self.located(Err(de::Error::invalid_length(self.value.len(), &visitor)));
        }
        self.located(self.any(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.located(self.any(visitor))
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.value.is_mapping() {
            return self.located(self.mapping(visitor, Some(fields)));
        }
        // A list must not be taken for the fields in their order.
        self.located(Err(Error::new(Problem::NotAMapping(self.value.kind_name()))))
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.located(self.variant(variants, visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Items<'r, I> {
    items: I,
    run: &'r Run,
}

impl<'t, I: Iterator<Item = Value<'t>>> SeqAccess<'t> for Items<'_, I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let run = self.run;
        let read = |value| {
            let result = seed.deserialize(Reader { value, run });
            result.map_err(|error| error.at(value))
        };
        self.items.next().map(read).transpose()
    }
}

struct Entries<'r, 't, I> {
    entries: I,
    run: &'r Run,
    value: Option<Value<'t>>,
}

impl<'t, I: Iterator<Item = Entry<'t>>> MapAccess<'t> for Entries<'_, 't, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(entry.value);
        let key = seed.deserialize(KeyReader { key: entry.key });
        key.map(Some).map_err(|error| error.at_key(entry.value, entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().expect("a value is asked for after its key");
        let run = self.run;
        // What a type itself finds wrong is wrong with this value.
        seed.deserialize(Reader { value, run }).map_err(|error| error.at(value))
    }
}

/// The deserializer of a key.
struct KeyReader<'t> {
    key: &'t str,
}

macro_rules! number_keys {
    ($($method:ident $visit:ident $number:ty;)*) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.key.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_borrowed_str(self.key),
            }
        })*
    };
}

impl<'t> de::Deserializer<'t> for KeyReader<'t> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.key)
    }

    number_keys! {
        deserialize_i8 visit_i64 i64;
        deserialize_i16 visit_i64 i64;
        deserialize_i32 visit_i64 i64;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u64 u64;
        deserialize_u16 visit_u64 u64;
        deserialize_u32 visit_u64 u64;
        deserialize_u64 visit_u64 u64;
        deserialize_f32 visit_f64 f64;
        deserialize_f64 visit_f64 f64;
        deserialize_bool visit_bool bool;
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let run = Run::default();
        visitor.visit_enum(Variant { name: self.key.to_owned(), content: None, run: &run })
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'t>>
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

/// A variant of an enum: a word, or a mapping of one key.
struct Variant<'r, 't> {
    name: String,
    content: Option<Value<'t>>,
    run: &'r Run,
}

impl<'t> EnumAccess<'t> for Variant<'_, 't> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: de::value::StrDeserializer<'_, Error> =
            de::IntoDeserializer::into_deserializer(self.name.as_str());
        let variant = seed.deserialize(name)?;
        Ok((variant, self))
    }
}

impl<'t> Variant<'_, 't> {
    fn content(&self) -> Result<Reader<'_, 't>, Error> {
        let missing = || Error::new(Problem::NoContent(self.name.clone()));
        let value = self.content.ok_or_else(missing)?;
        Ok(Reader { value, run: self.run })
    }
}

impl<'t> VariantAccess<'t> for Variant<'_, 't> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some(value) if !(value.is_null() || value.is_mapping() && value.is_empty()) => {
                Err(Error::new(Problem::SurplusContent(self.name)).at(value))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'t>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_tuple(self.content()?, len, visitor)
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_struct(self.content()?, "", fields, visitor)
    }
}

#[cfg(test)]
#[path = "de_tests.rs"]
mod tests;
