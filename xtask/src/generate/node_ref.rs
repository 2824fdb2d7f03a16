//! References to nodes of the data, and how they are resolved.

use super::lower::Lower;
use super::names::pascal;
use super::spec::{Node, entries, items, step, text};
use crate::Result;

/// A node of the data, and its location.
#[derive(Clone)]
pub(crate) struct NodeRef<'a> {
    pub(crate) file: String,
    pub(crate) pointer: String,
    pub(crate) node: &'a Node,
    /// Its place as overrides name it.
    pub(crate) site: String,
}

impl<'a> NodeRef<'a> {
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

/// The user of a type: the type is named after it if it has no name of its own.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) module: String,
    /// The type that has the field, or the operation.
    pub(crate) name: String,
    /// The field; empty for the response of an operation.
    pub(crate) field: String,
    /// Whether it is an item of the list or map in the field.
    pub(crate) item: bool,
}

impl Owner {
    /// The top level of an operation or type of this name.
    pub(crate) fn operation(module: &str, name: &str) -> Self {
        Self {
            module: module.to_owned(),
            name: name.to_owned(),
            field: String::new(),
            item: false,
        }
    }

    /// The items of this list or map.
    pub(crate) fn item(&self) -> Self {
        Self {
            item: true,
            ..self.clone()
        }
    }

    /// A name for the type.
    pub(crate) fn type_name(&self, prefix: &str) -> String {
        let singular = self.field.strip_suffix('s').filter(|_| self.item);
        format!("{prefix}{}", pascal(singular.unwrap_or(&self.field)))
    }
}

impl<'a> Lower<'a> {
    /// Follows references and `allOf` with a single schema.
    pub(crate) fn anchor(&self, at: &NodeRef<'a>) -> Result<NodeRef<'a>> {
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

    pub(crate) fn follow(&self, at: &NodeRef<'a>, reference: &str) -> Result<NodeRef<'a>> {
        let (file, pointer, node) = self.spec.follow(&at.file, reference)?;
        let site = file.strip_prefix("api/").unwrap_or(&file).to_owned() + &pointer;
        Ok(NodeRef {
            file,
            pointer,
            node,
            site,
        })
    }

    /// The schemas without references and `allOf` that `sources` consist of.
    pub(crate) fn parts(&self, sources: &[NodeRef<'a>]) -> Result<Vec<NodeRef<'a>>> {
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

/// Whether a schema with a reference or `allOf` also has structure of its own.
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

/// Whether a node only describes a schema that is defined elsewhere.
pub(crate) fn has_no_schema(node: &Node) -> bool {
    const KEYS: [&str; 9] = [
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
    !KEYS.iter().any(|key| node.get(key).is_some())
        && entries_at(node, "properties").all(|(_, inner)| has_no_schema(inner))
}
