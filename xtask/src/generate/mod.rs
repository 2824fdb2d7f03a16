//! Generates the code of the API crate from the specification's OpenAPI data.

mod common;
mod definitions;
mod direction;
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
mod node_ref;
mod object;
mod operation;
mod overrides;
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

use self::common::Lowered;
use self::events::EventType;
use self::lower::Lower;
use self::model::COMMON;
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
    /// The directory of its files, below `data`.
    dir: &'static str,
    /// The prefix of its paths. The first API has all other paths.
    base: &'static str,
    /// Its page on spec.matrix.org.
    page: &'static str,
    /// Its title in the specification.
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

/// The file of overrides.
const OVERRIDES: &str = "overrides.yaml";

/// The feature and module of event contents.
const EVENTS: &str = "events";

/// The directory of the generated code.
const GENERATED: &str = "crates/matricula-api/src/generated";

/// The page that lists all operations.
const PAGE: &str = "docs/operations.md";

/// Generates all files, and writes them, or compares them with the checked-in files.
pub(crate) fn run(spec: Option<PathBuf>, check: bool) -> Result<()> {
    let spec = match spec {
        Some(dir) => dir,
        None => crate::spec::find()?.ok_or(
            "the Matrix specification was not found: pass `--spec DIR` or set MATRIX_SPEC; \
             `cargo xtask spec` downloads it and prints its path",
        )?,
    };
    let files = generate(&spec)?;
    let mut existing_files = BTreeMap::new();
    existing(GENERATED, &mut existing_files);
    let page = fs::read_to_string(root().join(PAGE));
    existing_files.extend(page.ok().map(|page| (PAGE.to_owned(), page)));
    let stale: Vec<&String> = files
        .iter()
        .filter(|(name, text)| existing_files.get(*name) != Some(text))
        .map(|(name, _)| name)
        .chain(
            existing_files
                .keys()
                .filter(|name| !files.contains_key(*name)),
        )
        .collect();
    if !check {
        return write(&files, &stale);
    }
    if stale.is_empty() {
        return Ok(());
    }
    let list: String = stale.iter().map(|name| format!("  {name}\n")).collect();
    Err(format!(
        "these generated files are out of date:\n{list}\
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
    let mut common = common::extract(&mut lowered)?;
    direction::apply(&mut lowered, &mut common.module);

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

/// Lowers an API. The keys are the overrides of all APIs that this one did not use.
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
    let failed = |error| {
        format!("rustfmt cannot be run: {error}; install it with `rustup component add rustfmt`")
    };
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
        return Err(format!("rustfmt rejects the generated code:\n{code}"));
    }
    String::from_utf8(output.stdout)
        .map(|code| inline(&code))
        .map_err(|error| error.to_string())
}

/// Marks every function as inline that is not generic. Then it is compiled by the crates that call it,
/// and most programs call few of them.
fn inline(code: &str) -> String {
    let mut marked = String::with_capacity(code.len());
    for line in code.lines() {
        let signature = line.trim_start();
        let signature = signature.strip_prefix("pub ").unwrap_or(signature);
        if let Some((name, _)) = signature
            .strip_prefix("fn ")
            .and_then(|rest| rest.split_once('('))
            && !name.contains('<')
            && !signature.contains("impl ")
        {
            let indent = line.len() - line.trim_start().len();
            marked.push_str(&line[..indent]);
            marked.push_str("#[inline]\n");
        }
        marked.push_str(line);
        marked.push('\n');
    }
    marked
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
