//! The specification's data: YAML files with references between them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// A node of a YAML file.
pub(crate) type Node = yaml_serde::Value;

/// The files that one API needs, by their path below `data`.
pub(crate) struct Spec {
    data: PathBuf,
    files: BTreeMap<String, Node>,
}

impl Spec {
    /// The specification in `dir`: the directory that holds `data`, or `data` itself.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let found = [dir.join("data"), dir.to_owned()]
            .into_iter()
            .find(|data| data.join("api/client-server").is_dir());
        let data = found.ok_or_else(|| {
            format!(
                "{} is not the Matrix specification: it has no data/api/client-server; \
                 `cargo xtask spec` fetches one and prints its path",
                dir.display()
            )
        })?;
        let files = BTreeMap::new();
        Ok(Self { data, files })
    }

    /// Reads every file of a directory below `data`, and all files that they refer to.
    pub(crate) fn load_dir(&mut self, dir: &str) -> Result<Vec<String>> {
        let path = self.data.join(dir);
        let entries = fs::read_dir(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let mut files: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".yaml"))
            .map(|name| format!("{dir}/{name}"))
            .collect();
        files.sort();
        for file in &files {
            self.load(file)?;
        }
        Ok(files)
    }

    /// A specification of these files alone.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, String)]) -> Self {
        let files = files
            .iter()
            .map(|(name, yaml)| ((*name).to_owned(), parse(yaml).unwrap()))
            .collect();
        let data = PathBuf::new();
        Self { data, files }
    }

    /// Adds a file that the data lacks.
    pub(crate) fn insert(&mut self, file: &str, node: Node) {
        self.files.insert(file.to_owned(), node);
    }

    fn load(&mut self, file: &str) -> Result<()> {
        if self.files.contains_key(file) {
            return Ok(());
        }
        let path = self.data.join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let node = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut references = Vec::new();
        collect_references(&node, &mut references);
        self.files.insert(file.to_owned(), node);
        references
            .iter()
            .try_for_each(|reference| self.load(&resolve(file, reference).0))
    }

    /// Reads the files that nodes of a file outside the data refer to.
    pub(crate) fn load_references<'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a Node>,
        file: &str,
    ) -> Result<()> {
        let mut references = Vec::new();
        nodes.for_each(|node| collect_references(node, &mut references));
        references
            .iter()
            .try_for_each(|reference| self.load(&resolve(file, reference).0))
    }

    /// Whether a file was read.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// The root of a file.
    pub(crate) fn root(&self, file: &str) -> Result<&Node> {
        let found = self.files.get(file);
        found.ok_or_else(|| format!("the specification's {file} was not read"))
    }

    /// The file, pointer and node that `reference`, used in `file`, points to.
    pub(crate) fn follow(&self, file: &str, reference: &str) -> Result<(String, String, &Node)> {
        let (target, pointer) = resolve(file, reference);
        let mut node = self.root(&target)?;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let inner = node.get(&step);
            node = inner
                .ok_or_else(|| format!("{file} refers to {reference}, which does not exist"))?;
        }
        Ok((target, pointer, node))
    }
}

/// The document of a YAML text.
pub(crate) fn parse(text: &str) -> Result<Node> {
    yaml_serde::from_str(text).map_err(|error| error.to_string())
}

/// The pairs of a mapping, in order. Empty for other nodes.
pub(crate) fn entries(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let pairs = node.as_mapping().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.as_str()?, value)))
}

/// The items of a sequence. Empty for other nodes.
pub(crate) fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_sequence).map_or(&[], Vec::as_slice)
}

/// The strings of a sequence.
pub(crate) fn texts(node: Option<&Node>) -> Vec<&str> {
    items(node).iter().filter_map(Node::as_str).collect()
}

/// The string at a key.
pub(crate) fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.as_str()
}

/// Whether a key holds `true`.
pub(crate) fn flag(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::as_bool) == Some(true)
}

/// Appends a step to a JSON pointer.
pub(crate) fn step(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn collect_references(node: &Node, found: &mut Vec<String>) {
    if let Some(reference) = text(node, "$ref") {
        found.push(reference.to_owned());
    }
    for (key, value) in entries(node) {
        // Examples are not schemas.
        if !matches!(key, "example" | "examples") {
            collect_references(value, found);
        }
    }
    for item in items(Some(node)) {
        collect_references(item, found);
    }
}

/// The file and pointer of `reference`, used in `file`.
fn resolve(file: &str, reference: &str) -> (String, String) {
    let (target, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    if target.is_empty() {
        return (file.to_owned(), pointer.to_owned());
    }
    let mut steps: Vec<&str> = file.split('/').collect();
    steps.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            ".." => drop(steps.pop()),
            part => steps.push(part),
        }
    }
    (steps.join("/"), pointer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_relative_to_their_file() {
        let file = "api/client-server/definitions/wellknown/full.yaml";
        let to = |reference| resolve(file, reference).0;
        assert_eq!(
            to("a.yaml"),
            "api/client-server/definitions/wellknown/a.yaml"
        );
        assert_eq!(to("../b.yaml"), "api/client-server/definitions/b.yaml");
        assert_eq!(to("#/components"), file);
        assert_eq!(resolve(file, "c.yaml#/x/y").1, "/x/y");
    }
}
