//! The one integration binary.

mod api;
mod conformance;
mod house;
mod controllers;
mod generators;
mod manifest_files;
mod placement;
mod scheduler;
mod scripted;
mod support;
mod theory;
mod traffic;
