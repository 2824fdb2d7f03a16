//! The names and modules of types.

use super::OVERRIDES;
use super::lower::Lower;
use super::model::DEFINITIONS;
use super::model::Item;
use super::names::{pascal, snake};
use super::node_ref::{NodeRef, Owner};
use super::spec::text;

impl<'a> Lower<'a> {
    pub(crate) fn module_of(&self, at: &NodeRef<'a>, owner: &Owner) -> String {
        if let Some(home) = self.homes.get(&at.file) {
            return home.clone();
        }
        let own = at.file.strip_prefix(self.dir);
        match own.and_then(|file| file.strip_prefix('/')) {
            Some(file) if !file.contains('/') => snake(stem(file)),
            None if at.file == OVERRIDES => owner.module.clone(),
            _ => DEFINITIONS.to_owned(),
        }
    }

    /// A name for a type, unused in its module.
    pub(crate) fn name(&self, at: &NodeRef<'a>, parts: &[NodeRef<'a>], owner: &Owner) -> String {
        if let Some(name) = self.overrides.text("type_names", &at.site) {
            return name.to_owned();
        }
        let whole_file = at.pointer.is_empty();
        let component = at.pointer.strip_prefix("/components/schemas/");
        let module = self.module_of(at, owner);
        // A shared type must not be named after its first user.
        let prefix = if module == owner.module {
            owner.name.clone()
        } else {
            pascal(stem(&at.file))
        };
        let long = owner.type_name(&prefix);
        let candidates = match component.filter(|name| !name.contains('/')) {
            _ if whole_file => vec![pascal(stem(&at.file))],
            Some(component) => vec![pascal(component)],
            None if owner.field.is_empty() => vec![format!("{}Response", owner.name)],
            None => {
                let own = parts.iter().rev().filter(|part| part.file == at.file);
                let nodes = [at].into_iter().chain(own).map(|at| at.node);
                let title = nodes.filter_map(|node| text(node, "title")).next();
                title
                    .map(pascal)
                    .into_iter()
                    .chain([long.clone()])
                    .collect()
            }
        };
        let free =
            |name: &String| !RESERVED.contains(&name.as_str()) && !self.is_taken(&module, name);
        candidates.into_iter().find(free).unwrap_or(long)
    }

    pub(crate) fn is_taken(&self, module: &str, name: &str) -> bool {
        let items = self
            .modules
            .get(module)
            .map_or(&[][..], |module| &module.items);
        let mut names = items.iter().map(Item::name);
        let is_struct = self
            .structs
            .contains_key(&(module.to_owned(), name.to_owned()));
        is_struct || names.any(|known| known == name)
    }
}

/// Names that the generated code uses for something else.
const RESERVED: [&str; 18] = [
    "Body",
    "Content",
    "Default",
    "Endpoint",
    "Job",
    "Map",
    "Method",
    "Operation",
    "Option",
    "Raw",
    "Redirect",
    "Response",
    "Result",
    "Secret",
    "Some",
    "String",
    "Value",
    "Vec",
];

pub(crate) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".yaml").unwrap_or(name)
}
