//! Writes the API crate's generated code from the specification's data.

mod emit;
mod emit_doc;
mod emit_operation;
mod emit_type;
mod model;
mod names;
mod object;
mod operation;
mod overrides;
mod reach;
mod schema;
mod spec;
#[cfg(test)]
mod tests;
mod type_names;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::overrides::Overrides;
use self::schema::Lower;
use self::spec::Spec;
use crate::Result;
use crate::workspace::root;

/// An API of the specification.
struct Api {
    /// The module and feature.
    name: &'static str,
    /// The variant of `matricula_job::Api`.
    variant: &'static str,
    /// Where its files are, below `data`.
    dir: &'static str,
    about: &'static str,
}

/// The APIs that are generated.
const APIS: [Api; 1] = [Api {
    name: "client",
    variant: "Client",
    dir: "api/client-server",
    about: "The [client-server API](https://spec.matrix.org/v1.19/client-server-api/).",
}];

/// Schemas that the data lacks are written down here.
const OVERRIDES: &str = "overrides.yaml";

/// The crate that the generated code is part of.
const CRATE: &str = "crates/matricula-api";

/// Where the generated code is, below the crate.
const GENERATED: [&str; 2] = ["src/generated", "tests/it/generated"];

/// Generates all, and writes it or compares it with what is checked in.
pub(crate) fn run(spec: Option<PathBuf>, check: bool) -> Result<()> {
    let spec = match spec {
        Some(dir) => dir,
        None => crate::spec::find()?.ok_or(
            "where is the Matrix specification? Give `--spec DIR` or set MATRIX_SPEC; \
             `cargo xtask spec` fetches one and prints its path",
        )?,
    };
    let files = generate(&spec)?;
    let mut there = BTreeMap::new();
    for dir in GENERATED {
        existing(dir, &mut there);
    }
    let stale: Vec<&String> = files
        .iter()
        .filter(|(name, text)| there.get(*name) != Some(text))
        .map(|(name, _)| name)
        .chain(there.keys().filter(|name| !files.contains_key(*name)))
        .collect();
    if !check {
        return write(&files, &stale);
    }
    if stale.is_empty() {
        return Ok(());
    }
    let list: String = stale
        .iter()
        .map(|name| format!("  {CRATE}/{name}\n"))
        .collect();
    Err(format!(
        "generated files are not what the generator writes:\n{list}\
         Run `cargo xtask generate --spec {}` and commit the result",
        spec.display()
    ))
}

/// The generated files by their path, formatted.
fn generate(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for api in &APIS {
        let mut spec = Spec::open(dir)?;
        let sources = spec.load_dir(api.dir)?;
        let overrides = Overrides::read(include_str!("../../overrides.yaml"), api.name)
            .map_err(|error| format!("{OVERRIDES}: {error}"))?;
        spec.load_references(overrides.added(), OVERRIDES)?;
        let mut lower = Lower::new(&spec, &overrides, api.dir);
        for source in &sources {
            lower.lower_file(source)?;
        }
        overrides.all_used()?;
        let modules: Vec<_> = lower.modules.values().collect();
        let mut add = |path: String, code: String| -> Result<()> {
            files.insert(path, format_code(&code)?);
            Ok(())
        };
        let [src, tests] = GENERATED;
        for module in &modules {
            let path = format!("{src}/{}/{}.rs", api.name, module.name);
            add(path, emit::module(module, api.variant))?;
        }
        let path = format!("{src}/{}/mod.rs", api.name);
        add(path, emit::index(&modules, api.about))?;
        let path = format!("{tests}/{}.rs", api.name);
        add(path, emit::readers(&modules, api.name))?;
    }
    let apis: Vec<&str> = APIS.iter().map(|api| api.name).collect();
    for (dir, code) in GENERATED.iter().zip(emit::apis(&apis)) {
        files.insert(format!("{dir}/mod.rs"), format_code(&code)?);
    }
    Ok(files)
}

fn format_code(code: &str) -> Result<String> {
    let failed =
        |error| format!("rustfmt could not be run: {error}; `rustup component add rustfmt`");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = rustfmt.stdin.take() {
        input.write_all(code.as_bytes()).map_err(failed)?;
    }
    let output = rustfmt.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!(
            "rustfmt does not understand the generated code:\n{code}"
        ));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

/// Collects the files below `dir`, by their path in the crate.
fn existing(dir: &str, files: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(root().join(CRATE).join(dir));
    for entry in entries.into_iter().flatten().flatten() {
        let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            existing(&path, files);
        } else {
            files.insert(path, fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
}

fn write(files: &BTreeMap<String, String>, stale: &[&String]) -> Result<()> {
    for name in stale {
        let path = root().join(CRATE).join(name);
        let failed = |error| format!("{} could not be written: {error}", path.display());
        match files.get(*name) {
            Some(text) => {
                if let Some(dir) = path.parent() {
                    fs::create_dir_all(dir).map_err(failed)?;
                }
                fs::write(&path, text).map_err(failed)?;
            }
            None => fs::remove_file(&path).map_err(failed)?,
        }
        println!("{CRATE}/{name}");
    }
    println!("{} files, {} of them changed", files.len(), stale.len());
    Ok(())
}
