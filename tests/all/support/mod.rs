//! What the tests share.

pub(crate) mod corpus;
pub(crate) mod servers;
pub(crate) mod control;
pub(crate) mod model;
