//! The specification's OpenAPI data, read with another YAML library than the generator's and in a
//! simpler way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
};

use matricula_core::Api;
use serde_json::{Map, Value};

use super::schema::properties;

/// An operation as the data describe it.
pub(crate) struct Described {
    pub(crate) api: Api,
    pub(crate) id: String,
    pub(crate) method: String,
    /// With the base path, trimmed.
    pub(crate) path: String,
    pub(crate) node: Node,
}

impl Described {
    /// The name of the operation.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.api.as_str(), self.id)
    }
}

/// A part of the data and the file that it is written in, which its references start from.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) file: PathBuf,
}

impl Node {
    /// The value at `key`, after following references; null if it is missing.
    pub(crate) fn get(&self, key: &str) -> Self {
        self.with(self.value[key].clone()).followed()
    }

    /// Each entry, after following references.
    pub(crate) fn entries(&self) -> Vec<(String, Self)> {
        let entries = self.value.as_object().into_iter().flatten();
        entries
            .map(|(key, value)| (key.clone(), self.with(value.clone()).followed()))
            .collect()
    }

    /// Each item, after following references.
    pub(crate) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten();
        items
            .map(|value| self.with(value.clone()).followed())
            .collect()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    pub(crate) fn is_there(&self) -> bool {
        !self.value.is_null()
    }

    fn with(&self, value: Value) -> Self {
        let file = self.file.clone();
        Self { value, file }
    }

    fn followed(self) -> Self {
        let Some(reference) = self.value["$ref"].as_str() else {
            return self;
        };
        let (value, file) = referred(reference, &self.file);
        Self { value, file }.followed()
    }

    /// An example with all references resolved. Keys beside a reference take precedence.
    pub(crate) fn example(&self) -> Value {
        let mut value = self.value.clone();
        inline(&mut value, &self.file);
        value
    }
}

fn inline(value: &mut Value, file: &Path) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| inline(inner, file)),
        Value::Object(map) => {
            let reference = map.remove("$ref");
            map.values_mut().for_each(|inner| inline(inner, file));
            if let Some(Value::String(reference)) = reference {
                let (mut target, target_file) = referred(&reference, file);
                inline(&mut target, &target_file);
                for (key, inner) in target.as_object().unwrap() {
                    map.entry(key).or_insert_with(|| inner.clone());
                }
            }
        }
        _ => {}
    }
}

/// The target of a reference in `file`, and its file.
fn referred(reference: &str, file: &Path) -> (Value, PathBuf) {
    let (target, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    let target = match target {
        "" => file.to_owned(),
        target => plain(&file.parent().unwrap().join(target)),
    };
    let root = parse(&target);
    let value = root
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{reference} in {} leads nowhere", file.display()));
    (value.clone(), target)
}

/// The path without steps back.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

fn parse(path: &Path) -> Arc<Value> {
    static READ: LazyLock<Mutex<BTreeMap<PathBuf, Arc<Value>>>> = LazyLock::new(Mutex::default);
    if let Some(known) = READ.lock().unwrap().get(path) {
        return known.clone();
    }
    let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", path.display()) };
    let text = fs::read_to_string(path).unwrap_or_else(|error| fail(&error));
    let value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| fail(&error));
    let value = Arc::new(value);
    READ.lock().unwrap().insert(path.to_owned(), value.clone());
    value
}

/// The directory that holds the APIs.
pub(crate) fn apis() -> PathBuf {
    let spec = std::env::var_os("MATRIX_SPEC").expect("MATRIX_SPEC names the specification");
    let spec = PathBuf::from(spec);
    let inside = spec.join("data/api");
    if inside.is_dir() {
        inside
    } else {
        spec.join("api")
    }
}

pub(crate) const DIRECTORIES: [(Api, &str); 4] = [
    (Api::Client, "client-server"),
    (Api::Identity, "identity"),
    (Api::Appservice, "application-service"),
    (Api::Push, "push-gateway"),
];

/// Every operation of the data.
pub(crate) fn operations() -> Vec<Described> {
    let mut found = Vec::new();
    for (api, directory) in DIRECTORIES {
        let directory = apis().join(directory);
        let entries = fs::read_dir(&directory).unwrap_or_else(|error| {
            panic!("{}: {error}", directory.display());
        });
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
        files.sort();
        found.extend(files.into_iter().flat_map(|file| operations_of(api, file)));
    }
    found
}

fn operations_of(api: Api, file: PathBuf) -> Vec<Described> {
    let value = Value::clone(&parse(&file));
    let root = Node { value, file };
    let base = &root.value["servers"][0]["variables"]["basePath"]["default"];
    let base = base.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (path, methods) in root.get("paths").entries() {
        for (method, node) in methods.entries() {
            let Some(id) = node.value["operationId"].as_str() else {
                continue;
            };
            found.push(Described {
                api,
                id: id.to_owned(),
                method: method.to_uppercase(),
                path: format!("{base}{}", path.trim()),
                node,
            });
        }
    }
    found
}

/// The body of a request or response in the data.
pub(crate) struct Media {
    /// Its name in messages.
    pub(crate) name: String,
    pub(crate) status: u16,
    pub(crate) content_type: String,
    node: Node,
}

impl Media {
    pub(crate) fn schema(&self) -> Node {
        self.node.get("schema")
    }

    /// The examples of the whole body: named, of the media type, and of the schema.
    pub(crate) fn examples(&self) -> Vec<Value> {
        let named = self.node.get("examples").entries();
        let named = named.into_iter().map(|(_, example)| example.get("value"));
        let mut found: Vec<Node> = named.collect();
        found.push(self.node.get("example"));
        found.push(self.schema().get("example"));
        found.retain(Node::is_there);
        found.iter().map(Node::example).collect()
    }

    /// The examples of the whole body or, where there is none, one that is put together from the
    /// examples of its fields.
    pub(crate) fn any_examples(&self) -> Vec<Value> {
        match self.examples() {
            whole if !whole.is_empty() => whole,
            _ => composed(&self.schema()).into_iter().collect(),
        }
    }
}

/// An example of what has this schema, from the examples of its parts.
fn composed(schema: &Node) -> Option<Value> {
    let whole = schema.get("example");
    if whole.is_there() {
        return Some(whole.example());
    }
    let items = schema.get("items");
    if items.is_there() {
        return composed(&items).map(|item| Value::Array(vec![item]));
    }
    let fields = properties(schema).into_iter();
    let fields = fields.filter_map(|(key, node, _)| Some((key, composed(&node)?)));
    let fields: Map<String, Value> = fields.collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// The body of every response.
pub(crate) fn answers(operation: &Described) -> Vec<Media> {
    let mut found = Vec::new();
    for (status, answer) in operation.node.get("responses").entries() {
        for (content_type, node) in answer.get("content").entries() {
            found.push(Media {
                name: format!("{} {status}", operation.name()),
                status: status.parse().unwrap(),
                content_type,
                node,
            });
        }
    }
    found
}

/// The request's bodies.
pub(crate) fn requests(operation: &Described) -> Vec<Media> {
    let content = operation.node.get("requestBody").get("content").entries();
    let media = content.into_iter().map(|(content_type, node)| Media {
        name: operation.name(),
        status: 0,
        content_type,
        node,
    });
    media.collect()
}
