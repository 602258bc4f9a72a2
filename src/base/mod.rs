//! The room `base`.
