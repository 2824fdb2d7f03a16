//! The schemas that `overrides.yaml` defines, because the data lacks them.

use std::collections::BTreeMap;

use super::OVERRIDES;
use super::lower::Lower;
use super::model::{DEFINITIONS, Item};
use super::node_ref::Owner;
use super::overrides::Overrides;
use super::spec::{Node, Spec, flag, text};
use crate::Result;

/// The directory of these schemas, as if the data had them.
pub(crate) const DIR: &str = "definitions";

/// Reads the files of the directory `sources`, and adds the definitions to them.
pub(crate) fn load(spec: &mut Spec, overrides: &Overrides, sources: &str) -> Result<Vec<String>> {
    let own: Vec<(String, Node)> = overrides
        .all("definitions")
        .map(|(name, node)| (file(name), node.clone()))
        .collect();
    for (file, node) in &own {
        spec.insert(file, node.clone());
    }
    let sources = spec.load_dir(sources)?;
    for (file, node) in &own {
        spec.load_references([node].into_iter(), file)?;
    }
    spec.load_references(overrides.field_schemas(), OVERRIDES)?;
    Ok(sources)
}

/// The file that a definition is in.
pub(crate) fn file(name: &str) -> String {
    format!("{DIR}/{name}.yaml")
}

/// Lowers the definitions with `x-always`: a type each, even if no schema refers to it.
pub(crate) fn lower_whole(lower: &mut Lower<'_>) -> Result<()> {
    for (name, node) in lower.overrides.all("definitions") {
        if flag(node, "x-always") {
            let at = lower.file(&file(name))?;
            lower.lower(&at, &Owner::operation(DEFINITIONS, name))?;
        }
    }
    Ok(())
}

/// Documents the structs of the definitions with their descriptions.
pub(crate) fn document(lower: &mut Lower<'_>) {
    let definitions = lower.overrides.all("definitions");
    let docs: BTreeMap<&str, &str> = definitions
        .filter_map(|(name, node)| Some((name, text(node, "description")?)))
        .collect();
    let modules = lower.modules.values_mut();
    for item in modules.flat_map(|module| &mut module.items) {
        if let Item::Struct(found) = item
            && let Some(text) = docs.get(found.name.as_str())
        {
            (*text).clone_into(&mut found.doc);
        }
    }
}
