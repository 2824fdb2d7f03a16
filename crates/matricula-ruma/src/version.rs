//! Selects a path of ruma's endpoints.

use std::{borrow::Cow, collections::BTreeSet};

use ruma_common::api::{
    MatrixVersion, SupportedVersions,
    path_builder::{PathBuilder, SinglePath, VersionHistory},
};

/// Selects the path of the specification version that matricula uses. If there is none, the latest
/// unstable path.
pub trait Newest: PathBuilder {
    /// The input of ruma's path selection.
    fn newest() -> Self::Input<'static>;
}

impl Newest for VersionHistory {
    fn newest() -> Cow<'static, SupportedVersions> {
        Cow::Owned(SupportedVersions {
            versions: BTreeSet::from([MatrixVersion::V1_19]),
            features: BTreeSet::new(),
        })
    }
}

impl Newest for SinglePath {
    fn newest() {}
}
