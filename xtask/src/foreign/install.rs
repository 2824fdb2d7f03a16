//! Installs the pinned clients below `target/foreign`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{home, sources};
use crate::workspace::output_of;
use crate::{Result, python};

const REQUIREMENTS: &str = include_str!("../../foreign/requirements.txt");
const PACKAGE: &str = include_str!("../../foreign/package.json");
const LOCK: &str = include_str!("../../foreign/package-lock.json");
const OLDEST_NODE: u32 = 20;

/// The programs that run the scripts of one language, and the directory of these scripts.
pub(super) struct Runtime {
    pub(super) program: PathBuf,
    pub(super) scripts: PathBuf,
}

/// Installs the Python clients if they are missing.
pub(super) fn python() -> Result<Runtime> {
    Ok(Runtime {
        program: python::install("the Python clients", &home(), REQUIREMENTS)?,
        scripts: scripts(),
    })
}

/// Installs the JavaScript clients if they are missing. The error says why they cannot be run.
pub(super) fn node() -> Result<Runtime> {
    let version = check_node()?;
    let directory = home().join(format!(
        "node-{}",
        python::digest(&(PACKAGE, LOCK, version))
    ));
    let complete = directory.join("complete");
    fs::create_dir_all(&directory).map_err(|error| unwritable(&directory, &error))?;
    let _lock = python::lock("the JavaScript clients", &home().join("node.lock"))?;
    if !complete.exists() {
        eprintln!(
            "installing the JavaScript clients into {} (once; about half a minute)",
            directory.display()
        );
        for file in ["package.json", "package-lock.json"] {
            copy(&sources().join(file), &directory.join(file))?;
        }
        copy_files(
            &sources().join("crypto-stub"),
            &directory.join("crypto-stub"),
        )?;
        // Without scripts: that of a native library would download it.
        let mut npm = Command::new("npm");
        npm.current_dir(&directory)
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        output_of(&mut npm).map_err(|error| {
            format!(
                "the JavaScript clients could not be installed: {error}\n\
                 Check that npm can reach its registry, and try again"
            )
        })?;
        File::create(&complete).map_err(|error| unwritable(&complete, &error))?;
    }
    // Node looks for packages in the directories above a script.
    let copied = directory.join("clients");
    copy_files(&scripts(), &copied)?;
    Ok(Runtime {
        program: "node".into(),
        scripts: copied,
    })
}

fn scripts() -> PathBuf {
    sources().join("clients")
}

fn check_node() -> Result<String> {
    let version = output_of(Command::new("node").arg("--version"))?;
    let version = version.trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next();
    let is_new = major.and_then(|major| major.parse::<u32>().ok()) >= Some(OLDEST_NODE);
    if !is_new {
        return Err(format!(
            "node {OLDEST_NODE} or newer is needed, this is {version}"
        ));
    }
    output_of(Command::new("npm").arg("--version"))?;
    Ok(version)
}

/// Copies the files of a directory, without directories in it.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| unwritable(to, &error))?;
    let entries = fs::read_dir(from)
        .map_err(|error| format!("{} cannot be read: {error}", from.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| unwritable(to, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}
