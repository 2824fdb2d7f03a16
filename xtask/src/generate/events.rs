//! Lowers the schemas of events: a type for the content of each event type.

use std::collections::BTreeMap;

use super::OVERRIDES;
use super::definitions;
use super::lower::Lower;
use super::model::Path;
use super::names::{pascal, variant};
use super::node_ref::{NodeRef, entries_at};
use super::spec::{Node, items, text};
use super::tagged::{self, VariantSource, definition_variants, last_word, object, tagged_type};
use super::type_names::stem;
use crate::Result;

/// The directory of the schemas, below `data`.
pub(crate) const DIR: &str = "event-schemas/schema";

/// The kind of an event: how it is sent and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    State,
    Message,
    Ephemeral,
    AccountData,
    ToDevice,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::State,
        Self::Message,
        Self::Ephemeral,
        Self::AccountData,
        Self::ToDevice,
    ];

    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "state" => Self::State,
            "message" => Self::Message,
            "ephemeral" => Self::Ephemeral,
            "account_data" => Self::AccountData,
            "to_device" => Self::ToDevice,
            _ => return None,
        })
    }

    fn module(self) -> &'static str {
        match self {
            Self::State => "room",
            Self::Message => "message",
            Self::Ephemeral => "ephemeral",
            Self::AccountData => "account_data",
            Self::ToDevice => "to_device",
        }
    }
}

/// An event type, and the Rust type of its content.
pub(crate) struct EventType {
    /// Such as `m.room.member`. If it ends in a dot, a suffix follows.
    pub(crate) name: String,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) content: Path,
}

/// The schema of a content, before it is lowered.
struct Content<'a> {
    /// The type of the event.
    name: String,
    kinds: Vec<Kind>,
    module: String,
    at: NodeRef<'a>,
    /// The schemas of its variants, by the value of the tag.
    variants: Vec<(String, NodeRef<'a>)>,
}

/// Lowers every event type.
pub(crate) fn lower<'a>(lower: &mut Lower<'a>, sources: &[String]) -> Result<Vec<EventType>> {
    let contents = contents(lower, sources)?;
    for content in &contents {
        let files = content.variants.iter().map(|(_, at)| &at.file);
        for file in files.chain([&content.at.file]) {
            lower.homes.insert(file.clone(), content.module.clone());
        }
        let path = content_path(content);
        lower.reserve(&path);
    }
    let is_content = |site: &str| contents.iter().any(|content| content.name == site);
    tagged::lower_definitions(lower, is_content)?;
    let mut types = Vec::new();
    for content in &contents {
        let module = lower.module(&content.module);
        module.about = about(&content.module);
        let path = content_path(content);
        content_type(lower, content, &path)
            .map_err(|error| format!("{}: {error}", content.name))?;
        types.push(EventType {
            name: content.name.clone(),
            kinds: content.kinds.clone(),
            content: path,
        });
    }
    definitions::lower_whole(lower)?;
    definitions::document(lower);
    types.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(types)
}

/// The contents that the schemas and the section `event_types` describe.
fn contents<'a>(lower: &Lower<'a>, sources: &[String]) -> Result<Vec<Content<'a>>> {
    let mut found: BTreeMap<String, Content<'a>> = BTreeMap::new();
    let mut variants = Vec::new();
    for file in sources {
        let stem = stem(file);
        let Some(at) = content_of(lower, file, stem)? else {
            continue;
        };
        if let Some((name, value)) = stem.split_once('$') {
            variants.push((name, value, at));
            continue;
        }
        let kinds = kinds(lower, file, stem)?;
        found.insert(stem.to_owned(), content(stem, kinds, at));
    }
    for (name, node) in lower.overrides.all("event_types") {
        let kinds = kinds_in(name, text(node, "kind").unwrap_or_default())?;
        let schema = node.get("content");
        let at = NodeRef {
            file: OVERRIDES.to_owned(),
            pointer: format!("/{name}"),
            node: schema.ok_or_else(|| format!("{name} in `event_types` has no content"))?,
            site: name.to_owned(),
        };
        found.insert(name.to_owned(), content(name, kinds, at));
    }
    for (name, value, at) in variants {
        let base = found.get_mut(name);
        let base = base.ok_or_else(|| format!("{name} has variants, but no schema"))?;
        base.variants.push((value.to_owned(), at));
    }
    Ok(found.into_values().collect())
}

fn content<'a>(name: &str, kinds: Vec<Kind>, at: NodeRef<'a>) -> Content<'a> {
    Content {
        name: name.to_owned(),
        module: module(name, &kinds),
        kinds,
        at,
        variants: Vec::new(),
    }
}

/// The schema of the content. `None` if the file does not describe an event.
fn content_of<'a>(lower: &Lower<'a>, file: &str, site: &str) -> Result<Option<NodeRef<'a>>> {
    let top = lower.file(file)?;
    // The last part that has a content is the most specific.
    let parts = lower.parts(&[top])?;
    let found = parts.iter().rev().find_map(|part| {
        let node = entries_at(part.node, "properties")
            .find(|(name, _)| *name == "content")?
            .1;
        Some(part.below(&["properties", "content"], node, site.to_owned()))
    });
    Ok(found)
}

/// The kinds of an event type: from its schema, or from the section `event_kinds`.
fn kinds(lower: &Lower<'_>, file: &str, name: &str) -> Result<Vec<Kind>> {
    if let Some(kinds) = lower.overrides.text("event_kinds", name) {
        return kinds_in(name, kinds);
    }
    let root = lower.spec.root(file)?;
    let references = items(root.get("allOf"))
        .iter()
        .filter_map(|part| text(part, "$ref"));
    for reference in references {
        if reference.ends_with("state_event.yaml") {
            return Ok(vec![Kind::State]);
        }
        if reference.ends_with("room_event.yaml") {
            return Ok(vec![Kind::Message]);
        }
    }
    Err(format!(
        "the schema of {name} does not say its kind; add an entry to `event_kinds`"
    ))
}

fn kinds_in(name: &str, words: &str) -> Result<Vec<Kind>> {
    let kinds: Option<Vec<Kind>> = words.split_whitespace().map(Kind::of).collect();
    kinds
        .filter(|kinds| !kinds.is_empty())
        .ok_or_else(|| format!("{name} has an unknown kind: {words:?}"))
}

/// The module of an event type: its first word if many types share it, otherwise its kind.
fn module(name: &str, kinds: &[Kind]) -> String {
    let mut words = name.trim_start_matches("m.").split('.');
    match words.next() {
        Some(word @ ("call" | "policy" | "space")) => word.to_owned(),
        Some("key") if words.next() == Some("verification") => "verification".to_owned(),
        _ => kinds[0].module().to_owned(),
    }
}

fn about(module: &str) -> String {
    let what = match module {
        "call" => "calls",
        "policy" => "moderation policy rules",
        "space" => "spaces",
        "verification" => "verification of devices and users",
        "room" => "the state of a room",
        "message" => "messages in rooms",
        "ephemeral" => "ephemeral events",
        "account_data" => "account data",
        _ => "to-device messages",
    };
    format!("Event contents: {what}.")
}

/// A content is named after its event type without the prefix.
fn content_path(content: &Content<'_>) -> Path {
    Path {
        module: content.module.clone(),
        name: pascal(content.name.trim_start_matches("m.")),
    }
}

fn content_type<'a>(lower: &mut Lower<'a>, content: &Content<'a>, path: &Path) -> Result<()> {
    let doc = format!("Content of `{}`.", content.name);
    let doc = match lower.overrides.text("docs", &content.name) {
        Some(docs) => format!("{doc} {docs}"),
        None => doc,
    };
    let Some(node) = lower.overrides.get("tagged", &content.name) else {
        let parts = lower.parts(std::slice::from_ref(&content.at))?;
        let reference = section(&content.name);
        return object(lower, &parts, path, format!("{doc}\n\n{reference}"), None);
    };
    let found = if content.variants.is_empty() {
        definition_variants(lower, node)?
    } else {
        file_variants(lower, content, node)?
    };
    tagged_type(lower, path, node, found)
}

/// A link to the section about an event type.
fn section(name: &str) -> String {
    let anchor: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    let version = crate::spec::TAG;
    format!("[Specification](https://spec.matrix.org/{version}/client-server-api/#{anchor})")
}

/// The variants that have a file each.
fn file_variants<'a>(
    lower: &mut Lower<'a>,
    content: &Content<'a>,
    node: &'a Node,
) -> Result<Vec<VariantSource<'a>>> {
    let path = content_path(content);
    let short = last_word(&path.name);
    let mut found = Vec::new();
    let bases = content.variants.iter().map(|(value, at)| (Some(value), at));
    for (value, at) in bases.chain([(None, &content.at)]) {
        let mut parts = lower.parts(std::slice::from_ref(at))?;
        if let Some(file) = text(node, "all") {
            let shared = lower.file(&definitions::file(file))?;
            parts.extend(lower.parts(&[shared])?);
        }
        let word = value.map_or_else(|| "Other".to_owned(), |value| variant(value));
        let (value, key) = (value.cloned(), None);
        found.push(VariantSource {
            value,
            key,
            name: format!("{word}{short}"),
            parts,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
