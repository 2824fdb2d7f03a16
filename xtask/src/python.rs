//! Virtual environments of Python below `target/`, with pinned packages.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, TryLockError};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::workspace::output_of;

const OLDEST_PYTHON: &str = "3.10";

/// Installs packages below `home` if they are missing. Returns the Python interpreter for them.
pub(crate) fn install(name: &str, home: &Path, requirements: &str) -> Result<PathBuf> {
    let version = check(name)?;
    fs::create_dir_all(home)
        .map_err(|error| format!("{} cannot be created: {error}", home.display()))?;
    let venv = home.join(format!("venv-{}", digest(&(requirements, version))));
    let complete = venv.join("complete");
    let python = venv.join("bin/python");
    if complete.exists() {
        return Ok(python);
    }
    let _lock = lock(name, &home.join("install.lock"))?;
    if !complete.exists() {
        eprintln!(
            "installing {name} into {} (once; about half a minute)",
            venv.display()
        );
        create_venv(&venv)?;
        pip_install(name, &python, home, requirements)?;
        File::create(&complete)
            .map_err(|error| format!("{} cannot be written: {error}", complete.display()))?;
    }
    Ok(python)
}

/// A name for what is installed from this, so that a change of it is installed beside the old one.
pub(crate) fn digest(pinned: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    pinned.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The version and path of the system's Python. The error says what to install.
fn check(name: &str) -> Result<String> {
    let probe = "import sys; print(sys.version_info[:2] >= (3, 10), sys.version, sys.prefix)";
    let version = output_of(Command::new("python3").args(["-c", probe])).map_err(|error| {
        format!(
            "{name} needs python3, which cannot be run: {error}\n\
             Install it: `apt-get install python3 python3-venv` (Debian, Ubuntu) or \
             `dnf install python3` (Fedora)"
        )
    })?;
    if !version.starts_with("True") {
        return Err(format!(
            "{name} needs Python {OLDEST_PYTHON} or newer; this `python3` is older: {}\n\
             Put a newer python3 first in PATH",
            version.trim_start_matches("False").trim()
        ));
    }
    output_of(Command::new("python3").args(["-c", "import venv, ensurepip"])).map_err(|_| {
        format!(
            "{name} is installed with `python3 -m venv`, which is missing.\n\
             Install it: `apt-get install python3-venv` (Debian, Ubuntu) or \
             `dnf install python3 python3-pip` (Fedora)"
        )
    })?;
    Ok(version)
}

/// A lock for one installation at a time. It is released when the file is closed.
pub(crate) fn lock(name: &str, path: &Path) -> Result<File> {
    let fail = |error| format!("{} cannot be locked: {error}", path.display());
    let file = File::create(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another process that installs {name}");
            file.lock().map_err(fail)?;
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    Ok(file)
}

fn create_venv(venv: &Path) -> Result<()> {
    // Remove the files of an interrupted installation.
    let _ = fs::remove_dir_all(venv);
    output_of(Command::new("python3").args(["-m", "venv"]).arg(venv))
        .map(drop)
        .map_err(|error| {
            format!(
                "the virtual environment {} could not be created: {error}",
                venv.display()
            )
        })
}

fn pip_install(name: &str, python: &Path, home: &Path, requirements: &str) -> Result<()> {
    let file = home.join("requirements.txt");
    fs::write(&file, requirements)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    output_of(
        Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--requirement"])
            .arg(&file),
    )
    .map(drop)
    .map_err(|error| {
        format!(
            "{name} could not be installed: {error}\n\
             Check that pip can reach its package index, and try again"
        )
    })
}
