//! Finds or downloads the Matrix specification's data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, path};

use crate::Result;
use crate::workspace::{output_of, target};

/// The release of the specification that the project is generated from.
pub(crate) const TAG: &str = "v1.19";
const REPOSITORY: &str = "https://github.com/matrix-org/matrix-spec";
/// The variable with the directory that contains `data`.
pub(crate) const VARIABLE: &str = "MATRIX_SPEC";

/// The directory that contains the specification's `data`: from `MATRIX_SPEC` (that directory or
/// `data` itself), otherwise the one that `cargo xtask spec` downloaded.
pub(crate) fn find() -> Result<Option<PathBuf>> {
    match env::var_os(VARIABLE) {
        Some(named) => {
            let named = path::absolute(&named).map_err(|error| {
                format!("{VARIABLE}={} is not a path: {error}", named.display())
            })?;
            root_of(&named).map(Some).ok_or_else(|| {
                format!(
                    "{VARIABLE}={} does not contain `data/api`: set it to the directory that contains the \
                     specification's `data`, or unset it and run `cargo xtask spec`",
                    named.display()
                )
            })
        }
        None => Ok(root_of(&default_dir())),
    }
}

/// Clones the specification at the pinned tag, if it is missing, and prints its path.
pub(crate) fn fetch(dir: Option<PathBuf>) -> Result<()> {
    let dir = dir.unwrap_or_else(default_dir);
    let dir = path::absolute(&dir)
        .map_err(|error| format!("{} cannot be a directory: {error}", dir.display()))?;
    if root_of(&dir).is_none() {
        clone(&dir)?;
    }
    println!("{}", dir.display());
    Ok(())
}

fn clone(dir: &Path) -> Result<()> {
    if dir.exists() {
        return Err(format!(
            "{} exists, but does not contain the specification: remove it, or choose another --dir",
            dir.display()
        ));
    }
    eprintln!("cloning {REPOSITORY} at {TAG} into {}", dir.display());
    // Cloned to a temporary directory and renamed, so that an interrupted clone is not used.
    let partial = dir.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    output_of(
        Command::new("git")
            .args(["clone", "--quiet", "--depth", "1", "--branch", TAG])
            .args(["--config", "advice.detachedHead=false", REPOSITORY])
            .arg(&partial)
            .env("GIT_TERMINAL_PROMPT", "0"),
    )
    .map_err(|error| {
        format!(
            "the specification could not be downloaded: {error}\nCheck the network and try again, \
             or clone {REPOSITORY} at {TAG} yourself and set {VARIABLE} to its directory"
        )
    })?;
    if root_of(&partial).is_none() {
        return Err(format!("{REPOSITORY} at {TAG} does not contain `data/api`"));
    }
    fs::rename(&partial, dir)
        .map_err(|error| format!("{} could not be renamed: {error}", dir.display()))
}

fn default_dir() -> PathBuf {
    target().join("matrix-spec")
}

fn root_of(dir: &Path) -> Option<PathBuf> {
    if dir.join("data/api").is_dir() {
        Some(dir.to_owned())
    } else if dir.ends_with("data") && dir.join("api").is_dir() {
        dir.parent().map(Path::to_owned)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specification_path_may_end_in_data() {
        let dir = env::temp_dir().join(format!("xtask-spec-{}", std::process::id()));
        fs::create_dir_all(dir.join("data/api")).unwrap();
        assert_eq!(root_of(&dir), Some(dir.clone()));
        assert_eq!(root_of(&dir.join("data")), Some(dir.clone()));
        assert_eq!(root_of(&dir.join("data/api")), None);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(root_of(&dir), None);
    }
}
