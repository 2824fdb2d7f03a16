//! Which of the paths that ruma knows for a request is taken.

use std::{borrow::Cow, collections::BTreeSet};

use ruma_common::api::{
    MatrixVersion, SupportedVersions,
    path_builder::{PathBuilder, SinglePath, VersionHistory},
};

/// How ruma finds the path that the version of the specification has which matricula speaks. Where
/// that has none, it is the latest unstable one.
pub trait Newest: PathBuilder {
    /// What to ask ruma with.
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
