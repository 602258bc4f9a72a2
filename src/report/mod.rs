//! The room `report`: what a person reads. Plain data in, bytes out; knows no cluster types.

#![deny(clippy::wildcard_enum_match_arm)]

mod advice;
pub mod candidates;
pub mod chart;
mod chart_layers;
mod chart_layout;
mod chart_markers;
mod chart_math;
mod chart_paint;
mod chart_palette;
mod chart_plan;
mod chart_png;
mod chart_scale;
mod chart_stack;
mod chart_text;
pub mod compare;
mod configs;
mod doubts;
mod drains;
pub mod expect;
pub mod figures;
mod figures_pools;
mod figures_scaling;
pub mod files;
mod font;
mod html;
mod lines;
mod metrics;
mod metrics_groups;
mod metrics_jobs;
mod metrics_money;
mod metrics_pressure;
mod metrics_scaling;
mod metrics_vertical;
mod names;
mod namespaces;
pub mod rollouts;
mod scripts;
pub mod summary;
pub mod table;
pub mod text;
pub mod trial;
pub mod words;

pub use doubts::warnings;
pub use metrics::{known_paths, metrics};
