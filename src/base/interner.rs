//! Names met once and then known by number.

use std::sync::Arc;

use super::cast;
use super::id_type;
use super::ids::IdVec;
use super::maps::LookupMap;

id_type!(Symbol, "An interned text; the same text has the same symbol within one interner.");

const _: () = assert!(size_of::<super::ids::Ref<Symbol>>() == 8);

/// Texts by number and numbers by text.
///
/// A run may add names: it lays an interner of its own over the model's, which is shared by all
/// runs and never changes. Symbols below the base's length are the base's.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    base: Option<Arc<Self>>,
    base_len: u32,
    texts: IdVec<Symbol, Arc<str>>,
    symbols: LookupMap<Arc<str>, Symbol>,
}

impl Interner {
    /// No names yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An interner of one's own over a shared one.
    pub fn layered(base: Arc<Self>) -> Self {
        let base_len = cast::u32_of(base.len());
        Self { base: Some(base), base_len, ..Self::default() }
    }

    /// The symbol of a text, new if it is met for the first time.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(known) = self.get(text) {
            return known;
        }
        let symbol = Symbol::new(cast::u32_of(self.len()));
        let text: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&text));
        self.symbols.insert(text, symbol);
        symbol
    }

    /// The symbol of a text that was interned before.
    pub fn get(&self, text: &str) -> Option<Symbol> {
        let below = self.base.as_ref().and_then(|base| base.get(text));
        below.or_else(|| self.symbols.get(text).copied())
    }

    /// The text of a symbol of this interner or its base.
    ///
    /// # Panics
    /// When the symbol is of another interner.
    pub fn resolve(&self, symbol: Symbol) -> &str {
        match &self.base {
            Some(base) if symbol.number() < self.base_len => base.resolve(symbol),
            _ => &self.texts[Symbol::new(symbol.number() - self.base_len)],
        }
    }

    /// How many names there are, those of the base included.
    pub fn len(&self) -> usize {
        cast::usize_of(self.base_len) + self.texts.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_symbol() {
        let mut names = Interner::new();
        let app = names.intern("app");
        assert_eq!(names.intern("tier").number(), 1);
        assert_eq!(names.intern("app"), app);
        assert_eq!((names.resolve(app), names.len()), ("app", 2));
    }

    #[test]
    fn a_layer_adds_without_changing_its_base() {
        let mut base = Interner::new();
        let app = base.intern("app");
        let base = Arc::new(base);
        let mut run = Interner::layered(Arc::clone(&base));
        assert_eq!(run.intern("app"), app);
        let name = run.intern("web-x7k2p");
        assert_eq!(name.number(), 1);
        assert_eq!((run.resolve(app), run.resolve(name)), ("app", "web-x7k2p"));
        assert_eq!((base.len(), base.get("web-x7k2p"), run.len()), (1, None, 2));
    }
}
