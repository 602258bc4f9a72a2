//! What the tests share.

pub(crate) mod control;
pub(crate) mod corpus;
pub(crate) mod model;
mod scenarios;
pub(crate) mod scheduler_case;
pub(crate) mod scheduler_driver;
pub(crate) mod servers;

pub(crate) use scenarios::{Page, WEB, gallery, load_memory, model_of};
