//! Installs the pinned Synapse into a virtual environment under `target/`.

use std::path::PathBuf;

use crate::workspace::target;
use crate::{Result, python};

const REQUIREMENTS: &str = include_str!("../../synapse/requirements.txt");

/// The directory for Synapse.
pub(crate) fn synapse_dir() -> PathBuf {
    target().join("synapse")
}

/// Installs Synapse if it is missing. Returns the Python interpreter for it.
pub(crate) fn install() -> Result<PathBuf> {
    python::install("Synapse", &synapse_dir(), REQUIREMENTS)
}
