//! What the tests share.

use std::path::{Path, PathBuf};

pub(crate) mod api_server;
mod command;
pub(crate) mod control;
pub(crate) mod corpus;
mod folder;
pub(crate) mod kubelet;
pub(crate) mod model;
mod noise;
pub(crate) mod plane;
mod runs;
mod scenarios;
pub(crate) mod scheduler_case;
pub(crate) mod scheduler_driver;
pub(crate) mod servers;

pub(crate) use command::{seatrial, seatrial_fed};
pub(crate) use folder::{files_in, gallery_files, gallery_names};
pub(crate) use noise::{Noise, ODD, rounds};
pub(crate) use runs::{Stepped, begun, ended, ended_with, images, secs};
pub(crate) use scenarios::{
    Page, Told, WEB, deployment, gallery, load_bytes, load_memory, model_of, stateful_set, tell,
};

/// A folder of what is shared beside the checkout or one level further up, if it is here.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared", "../../shared"];
    places.iter().map(|place| root.join(place).join(folder)).find(|place| place.is_dir())
}
