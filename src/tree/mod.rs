//! The room `tree`.
