//! The room `report`: what a person reads. Plain data in, bytes out; knows no cluster types.

pub mod chart;
mod chart_layers;
mod chart_layout;
mod chart_markers;
mod chart_math;
mod chart_paint;
mod chart_scale;
mod font;
pub mod table;
