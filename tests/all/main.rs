//! The one integration binary.

mod conformance;
mod manifest_files;
mod support;
