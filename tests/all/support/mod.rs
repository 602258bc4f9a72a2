//! What the tests share.

use std::path::{Path, PathBuf};

pub(crate) mod api_server;
pub(crate) mod control;
pub(crate) mod corpus;
pub(crate) mod kubelet;
pub(crate) mod model;
pub(crate) mod plane;
mod scenarios;
pub(crate) mod scheduler_case;
pub(crate) mod scheduler_driver;
pub(crate) mod servers;

pub(crate) use scenarios::{
    Page, Stepped, Told, WEB, gallery, load_bytes, load_memory, model_of, tell,
};

/// A folder of what is shared beside the checkout or one level further up, if it is here.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared", "../../shared"];
    places.iter().map(|place| root.join(place).join(folder)).find(|place| place.is_dir())
}
