//! Where the data's schemas are, and where they lead.

use super::lower::Lower;
use super::names::pascal;
use super::spec::{Node, entries, items, step, text};
use crate::Result;

/// A node of the data, and where it is.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub(crate) file: String,
    pub(crate) pointer: String,
    pub(crate) node: &'a Node,
    /// What overrides call it.
    pub(crate) site: String,
}

impl<'a> At<'a> {
    /// A node below this one.
    pub(crate) fn below(&self, steps: &[&str], node: &'a Node, site: String) -> Self {
        let pointer = steps
            .iter()
            .fold(self.pointer.clone(), |pointer, key| step(&pointer, key));
        Self {
            file: self.file.clone(),
            pointer,
            node,
            site,
        }
    }

    pub(crate) fn key(&self) -> String {
        format!("{}#{}", self.file, self.pointer)
    }
}

/// Where a type is needed: what it is named after if it has no name of its own.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) module: String,
    /// The type that holds the field; alone, that of the operation.
    pub(crate) name: String,
    /// The field; empty for what an operation answers.
    pub(crate) field: String,
    /// Whether it is one of several in the field.
    pub(crate) item: bool,
}

impl Owner {
    /// What stands at the top, in an operation of this name.
    pub(crate) fn operation(module: &str, name: &str) -> Self {
        Self {
            module: module.to_owned(),
            name: name.to_owned(),
            field: String::new(),
            item: false,
        }
    }

    /// One of the several that are here.
    pub(crate) fn item(&self) -> Self {
        Self {
            item: true,
            ..self.clone()
        }
    }

    /// A name for the type of what is here.
    pub(crate) fn type_name(&self, prefix: &str) -> String {
        let singular = self.field.strip_suffix('s').filter(|_| self.item);
        format!("{prefix}{}", pascal(singular.unwrap_or(&self.field)))
    }
}

impl<'a> Lower<'a> {
    /// Where `at` leads through references and wrappers of a single schema.
    pub(crate) fn anchor(&self, at: &At<'a>) -> Result<At<'a>> {
        let alone = !adds_structure(at.node);
        if let Some(reference) = text(at.node, "$ref").filter(|_| alone) {
            return self.anchor(&self.follow(at, reference)?);
        }
        match items(at.node.get("allOf")) {
            [only] if alone => {
                let below = at.below(&["allOf", "0"], only, at.site.clone());
                self.anchor(&below)
            }
            _ => Ok(at.clone()),
        }
    }

    pub(crate) fn follow(&self, at: &At<'a>, reference: &str) -> Result<At<'a>> {
        let (file, pointer, node) = self.spec.follow(&at.file, reference)?;
        let site = file.strip_prefix("api/").unwrap_or(&file).to_owned() + &pointer;
        Ok(At {
            file,
            pointer,
            node,
            site,
        })
    }

    /// The schemas without references and `allOf` that the given ones are made of.
    pub(crate) fn parts(&self, sources: &[At<'a>]) -> Result<Vec<At<'a>>> {
        let mut parts = Vec::new();
        for at in sources {
            if let Some(reference) = text(at.node, "$ref") {
                parts.extend(self.parts(&[self.follow(at, reference)?])?);
            }
            for (index, part) in items(at.node.get("allOf")).iter().enumerate() {
                let below = at.below(&["allOf", &index.to_string()], part, at.site.clone());
                parts.extend(self.parts(&[below])?);
            }
            let wraps = at.node.get("allOf").is_some() || at.node.get("$ref").is_some();
            if !wraps || adds_structure(at.node) {
                parts.push(at.clone());
            }
        }
        Ok(parts)
    }
}

pub(crate) fn entries_at<'a>(
    node: &'a Node,
    key: &str,
) -> impl Iterator<Item = (&'a str, &'a Node)> {
    node.get(key).into_iter().flat_map(entries)
}

/// Whether a schema beside a reference or `allOf` is more than a comment on it.
pub(crate) fn adds_structure(node: &Node) -> bool {
    [
        "properties",
        "additionalProperties",
        "patternProperties",
        "oneOf",
        "enum",
    ]
    .iter()
    .any(|key| node.get(key).is_some())
}

pub(crate) fn is_scalar(node: &Node) -> bool {
    let ty = text(node, "type");
    ty.is_some_and(|ty| ty != "object") || node.get("enum").is_some()
}

/// Whether a schema only describes what another one defines.
pub(crate) fn says_nothing(node: &Node) -> bool {
    const SAYING: [&str; 9] = [
        "$ref",
        "allOf",
        "oneOf",
        "type",
        "enum",
        "items",
        "additionalProperties",
        "patternProperties",
        "format",
    ];
    !SAYING.iter().any(|key| node.get(key).is_some())
        && entries_at(node, "properties").all(|(_, inner)| says_nothing(inner))
}
