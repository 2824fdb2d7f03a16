//! Writes the API crate's generated code from the specification's data.

mod common;
mod definitions;
mod emit;
mod emit_doc;
mod emit_object;
mod emit_operation;
mod emit_server;
mod emit_tagged;
mod emit_type;
mod events;
mod lower;
mod model;
mod names;
mod object;
mod operation;
mod overrides;
mod reach;
mod schema;
mod spec;
mod tagged;
#[cfg(test)]
mod tests;
mod type_names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::common::{COMMON, Lowered};
use self::events::EventType;
use self::lower::Lower;
use self::overrides::{Key, Overrides};
use self::spec::Spec;
use crate::Result;
use crate::workspace::root;

/// An API of the specification.
struct Api {
    /// The module and feature.
    name: &'static str,
    /// The variant of `matricula_core::Api`.
    variant: &'static str,
    /// Where its files are, below `data`.
    dir: &'static str,
    /// What its paths begin with; no two have the same. The first stands for what is left.
    base: &'static str,
    /// Its page on spec.matrix.org.
    page: &'static str,
    /// What people call it.
    title: &'static str,
}

/// The APIs that are generated.
const APIS: [Api; 4] = [
    Api {
        name: "client",
        variant: "Client",
        dir: "api/client-server",
        base: "/",
        page: "client-server-api",
        title: "client-server API",
    },
    Api {
        name: "identity",
        variant: "Identity",
        dir: "api/identity",
        base: "/_matrix/identity",
        page: "identity-service-api",
        title: "identity service API",
    },
    Api {
        name: "appservice",
        variant: "Appservice",
        dir: "api/application-service",
        base: "/_matrix/app/",
        page: "application-service-api",
        title: "application service API",
    },
    Api {
        name: "push",
        variant: "Push",
        dir: "api/push-gateway",
        base: "/_matrix/push/",
        page: "push-gateway-api",
        title: "push gateway API",
    },
];

/// Schemas that the data lacks are written down here.
const OVERRIDES: &str = "overrides.yaml";

/// The feature and module of the contents of events.
const EVENTS: &str = "events";

/// Where the generated code is.
const GENERATED: &str = "crates/matricula-api/src/generated";

/// The page that lists all operations.
const PAGE: &str = "docs/operations.md";

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
    existing(GENERATED, &mut there);
    let page = fs::read_to_string(root().join(PAGE));
    there.extend(page.ok().map(|page| (PAGE.to_owned(), page)));
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
    let list: String = stale.iter().map(|name| format!("  {name}\n")).collect();
    Err(format!(
        "generated files are not what the generator writes:\n{list}\
         Run `cargo xtask generate --spec {}` and commit the result",
        spec.display()
    ))
}

/// The generated files by their path in the workspace, formatted.
fn generate(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut lowered = Vec::new();
    let mut unused = Vec::new();
    for api in &APIS {
        let (found, unused_common) = lower(api, dir)?;
        lowered.push(found);
        unused.push(unused_common);
    }
    let (found, types, unused_common) = lower_events(dir)?;
    lowered.push(found);
    let unused = unused.iter().fold(unused_common, |left, other| {
        left.intersection(other).cloned().collect()
    });
    overrides::all_exist(unused.iter()).map_err(|error| format!("{OVERRIDES}: {error}"))?;
    let common = common::extract(&mut lowered)?;

    let mut files = BTreeMap::new();
    let mut add = |path: &str, code: &str| {
        files.insert(format!("{GENERATED}/{path}.rs"), format_code(code)?);
        Ok::<(), String>(())
    };
    for api in &lowered {
        let variant = APIS.iter().find(|known| known.name == api.name);
        let variant = variant.map_or("", |api| api.variant);
        for module in api.modules.values() {
            let path = format!("{}/{}", api.name, module.name);
            add(&path, &emit::module(module, variant))?;
        }
    }
    for (api, found) in APIS.iter().zip(&lowered) {
        let about = format!("The [{}]({}).", api.title, emit_doc::page_of(api));
        let modules: Vec<_> = found.modules.values().collect();
        add(&format!("{}/mod", api.name), &emit::index(&modules, &about))?;
    }
    let modules: Vec<_> = lowered[APIS.len()].modules.values().collect();
    add(
        &format!("{EVENTS}/mod"),
        &emit_tagged::index(&modules, &types),
    )?;
    add(COMMON, &emit::module(&common.module, ""))?;
    let names: Vec<&str> = APIS.iter().map(|api| api.name).collect();
    let events = format!("#[cfg(feature = \"{EVENTS}\")]\npub(crate) mod {EVENTS};\n");
    add(
        "mod",
        &(emit::apis(&names) + &emit::common(&common.users) + &events),
    )?;
    files.insert(PAGE.to_owned(), emit_doc::page(&APIS, &lowered));
    Ok(files)
}

/// Lowers an API. The keys are those of the overrides for all APIs that it had no use for.
fn lower(api: &Api, dir: &Path) -> Result<(Lowered, BTreeSet<Key>)> {
    let (spec, overrides, sources) = load(dir, api.name, api.dir)?;
    let mut lower = Lower::new(&spec, &overrides, api.dir);
    tagged::lower_definitions(&mut lower, |_| false)?;
    for source in &sources {
        lower.lower_file(source)?;
    }
    definitions::document(&mut lower);
    overrides
        .all_used()
        .map_err(|error| format!("{}: {error}", api.name))?;
    Ok((lower.into_lowered(api.name), overrides.unused_common()))
}

/// Lowers the contents of events.
fn lower_events(dir: &Path) -> Result<(Lowered, Vec<EventType>, BTreeSet<Key>)> {
    let (spec, overrides, sources) = load(dir, EVENTS, events::DIR)?;
    let mut lower = Lower::new(&spec, &overrides, events::DIR);
    let types = events::lower(&mut lower, &sources)?;
    overrides
        .all_used()
        .map_err(|error| format!("{EVENTS}: {error}"))?;
    Ok((lower.into_lowered(EVENTS), types, overrides.unused_common()))
}

/// Reads the files of an API below `sources`, and its overrides.
fn load(dir: &Path, api: &str, sources: &str) -> Result<(Spec, Overrides, Vec<String>)> {
    let mut spec = Spec::open(dir)?;
    let overrides = Overrides::read(include_str!("../../overrides.yaml"), api)
        .map_err(|error| format!("{OVERRIDES}: {error}"))?;
    let sources = definitions::load(&mut spec, &overrides, sources)?;
    Ok((spec, overrides, sources))
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

/// Collects the files below `dir`, by their path in the workspace.
fn existing(dir: &str, files: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(root().join(dir));
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
        let path = root().join(name);
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
        println!("{name}");
    }
    println!("{} files, {} of them changed", files.len(), stale.len());
    Ok(())
}
