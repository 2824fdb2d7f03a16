//! Lowers the schemas of events: a type for the content of each, and what all of a kind share.

use std::collections::BTreeMap;

use super::OVERRIDES;
use super::lower::{DEFINITIONS, Lower};
use super::model::{Field, Item, Path, Struct, Tagged, Type, Variant, Wrapper};
use super::names::{pascal, variant};
use super::overrides::Overrides;
use super::reach::{At, Owner, entries_at};
use super::spec::{Node, Spec, flag, items, text};
use super::type_names::stem;
use crate::Result;

/// Where the schemas are, below `data`.
pub(crate) const DIR: &str = "event-schemas/schema";

/// Where the schemas of our own are, as if the specification had them.
const OWN: &str = "events";

/// What an event is: how it travels, and what it may be.
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

/// A type of event, and the type of its content.
pub(crate) struct EventType {
    /// Such as `m.room.member`; where it ends in a dot, anything may follow.
    pub(crate) name: String,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) content: Path,
}

/// A schema of a content, before it is lowered.
struct Content<'a> {
    /// The type of the event.
    name: String,
    kinds: Vec<Kind>,
    module: String,
    at: At<'a>,
    /// Other contents of the same type, by the value that tells them apart.
    variants: Vec<(String, At<'a>)>,
}

/// Puts the schemas that the data lacks where it would have them.
pub(crate) fn complete(spec: &mut Spec, overrides: &Overrides) -> Result<Vec<String>> {
    let own: Vec<(String, Node)> = overrides
        .all("definitions")
        .map(|(name, node)| (format!("{OWN}/{name}.yaml"), node.clone()))
        .collect();
    for (file, node) in &own {
        spec.insert(file, node.clone());
    }
    let sources = spec.load_dir(DIR)?;
    for (file, node) in &own {
        spec.load_references([node].into_iter(), file)?;
    }
    spec.load_references(overrides.added(), OVERRIDES)?;
    Ok(sources)
}

/// Lowers every type of event.
pub(crate) fn lower<'a>(lower: &mut Lower<'a>, sources: &[String]) -> Result<Vec<EventType>> {
    let contents = contents(lower, sources)?;
    let overrides = lower.overrides;
    for content in &contents {
        let files = content.variants.iter().map(|(_, at)| &at.file);
        for file in files.chain([&content.at.file]) {
            lower.homes.insert(file.clone(), content.module.clone());
        }
        let path = content_path(content);
        // Nothing else may have its name.
        lower.reserve(&path);
    }
    let mut tagged = Vec::new();
    for (site, node) in overrides.all("tagged") {
        match contents.iter().any(|content| content.name == site) {
            true => {}
            false => tagged.push(reserve_tagged(lower, site, node)?),
        }
    }
    for (path, node) in tagged {
        let found = definition_variants(lower, node)?;
        tagged_type(lower, &path, node, found)?;
    }
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
    definitions(lower)?;
    types.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(types)
}

/// Lowers the definitions that nothing refers to, and documents all in our own words.
fn definitions(lower: &mut Lower<'_>) -> Result<()> {
    let mut words = BTreeMap::new();
    for (name, node) in lower.overrides.all("definitions") {
        if flag(node, "x-whole") {
            let at = lower.file(&format!("{OWN}/{name}.yaml"))?;
            lower.lower(&at, &Owner::operation(DEFINITIONS, name))?;
        }
        words.extend(text(node, "description").map(|text| (name, text)));
    }
    let items = lower
        .modules
        .values_mut()
        .flat_map(|module| &mut module.items);
    for item in items {
        if let Item::Struct(found) = item
            && let Some(words) = words.get(found.name.as_str())
        {
            found.doc = (*words).to_owned();
        }
    }
    Ok(())
}

/// The contents that the schemas describe, and those that we add.
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
    for (name, node) in lower.overrides.all("added") {
        let kinds = kinds_in(name, text(node, "kind").unwrap_or_default())?;
        let schema = node.get("content");
        let at = At {
            file: OVERRIDES.to_owned(),
            pointer: format!("/{name}"),
            node: schema.ok_or_else(|| format!("{name} was added without a content"))?,
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

fn content<'a>(name: &str, kinds: Vec<Kind>, at: At<'a>) -> Content<'a> {
    Content {
        name: name.to_owned(),
        module: module(name, &kinds),
        kinds,
        at,
        variants: Vec::new(),
    }
}

/// Where the schema of an event says what its content is; none if it is not of an event.
fn content_of<'a>(lower: &Lower<'a>, file: &str, site: &str) -> Result<Option<At<'a>>> {
    let top = lower.file(file)?;
    // Of the parts of the event, the last one that has a content says the most.
    let parts = lower.parts(&[top])?;
    let found = parts.iter().rev().find_map(|part| {
        let node = entries_at(part.node, "properties")
            .find(|(name, _)| *name == "content")?
            .1;
        Some(part.below(&["properties", "content"], node, site.to_owned()))
    });
    Ok(found)
}

/// The kinds of a type: what its schema says it is, or what only prose says.
fn kinds(lower: &Lower<'_>, file: &str, name: &str) -> Result<Vec<Kind>> {
    if let Some(kinds) = lower.overrides.text("kinds", name) {
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
        "the kind of {name} is in no schema; add it to `kinds`"
    ))
}

fn kinds_in(name: &str, words: &str) -> Result<Vec<Kind>> {
    let kinds: Option<Vec<Kind>> = words.split_whitespace().map(Kind::of).collect();
    kinds
        .filter(|kinds| !kinds.is_empty())
        .ok_or_else(|| format!("{name} is of no known kind: {words:?}"))
}

/// The module of a type: its first word where many share it, else its kind.
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
        "policy" => "rules of moderation policies",
        "space" => "spaces",
        "verification" => "verifying devices and users",
        "room" => "the state of a room",
        "message" => "what people send to rooms",
        "ephemeral" => "what passes",
        "account_data" => "what a user keeps on the server",
        _ => "what goes to single devices",
    };
    format!("Contents of events: {what}.")
}

/// A content is named after its type, all of it but the prefix.
fn content_path(content: &Content<'_>) -> Path {
    Path {
        module: content.module.clone(),
        name: pascal(content.name.trim_start_matches("m.")),
    }
}

fn content_type<'a>(lower: &mut Lower<'a>, content: &Content<'a>, path: &Path) -> Result<()> {
    let doc = format!("The content of `{}`.", content.name);
    let doc = match lower.overrides.text("words", &content.name) {
        Some(words) => format!("{doc} {words}"),
        None => doc,
    };
    let Some(node) = lower.overrides.get("tagged", &content.name) else {
        let parts = lower.parts(std::slice::from_ref(&content.at))?;
        let reference = section(&content.name);
        return object(lower, &parts, path, format!("{doc}\n\n{reference}"), None);
    };
    let found = match content.variants.is_empty() {
        true => definition_variants(lower, node)?,
        false => file_variants(lower, content, node)?,
    };
    tagged_type(lower, path, node, found)
}

/// The section of the specification about a type of event.
fn section(name: &str) -> String {
    let anchor: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    let version = crate::spec::TAG;
    format!("[Specification](https://spec.matrix.org/{version}/client-server-api/#{anchor})")
}

/// A struct of the fields of `parts`, or a wrapper where they are a map. With a tag the field of
/// that name has one value only, and so is no field.
fn object<'a>(
    lower: &mut Lower<'a>,
    parts: &[At<'a>],
    path: &Path,
    doc: String,
    tag: Option<(&str, &str)>,
) -> Result<()> {
    let place = lower.module(&path.module).items.len();
    let owner = Owner::operation(&path.module, &path.name);
    let name = path.name.clone();
    let has_fields = parts.iter().any(|part| {
        entries_at(part.node, "properties").next().is_some()
            || lower.overrides.get("fields", &part.site).is_some()
    });
    let item = match has_fields {
        true => {
            let (mut fields, extra) = lower.fields(parts, &owner)?;
            for field in &mut fields {
                finish(lower, field, tag);
            }
            let new = Struct {
                name,
                doc,
                fields,
                extra,
            };
            let key = (path.module.clone(), path.name.clone());
            lower.structs.insert(key, new.clone());
            Item::Struct(new)
        }
        false => match lower.lower_map(parts, &owner)? {
            Type::Object => {
                let (fields, extra) = (Vec::new(), None);
                Item::Struct(Struct {
                    name,
                    doc,
                    fields,
                    extra,
                })
            }
            ty => Item::Wrapper(Wrapper { name, doc, ty }),
        },
    };
    lower.module(&path.module).items.insert(place, item);
    Ok(())
}

/// What only contents have: fields of one value.
fn finish(lower: &mut Lower<'_>, field: &mut Field, tag: Option<(&str, &str)>) {
    if let Some((_, value)) = tag.filter(|(key, _)| field.wire == *key) {
        let old = std::mem::replace(&mut field.ty, Type::Constant(value.to_owned()));
        field.required = true;
        if let Type::Enum(Path { module, name }) = old {
            let is_old = |item: &Item| matches!(item, Item::Enum(found) if found.name == name);
            lower.module(&module).items.retain(|item| !is_old(item));
        }
    }
}

/// One of the shapes of a tagged type: the value of the tag, if it has one, and what it is made of.
struct Shape<'a> {
    value: Option<String>,
    /// A key that only this shape has, where there is no tag.
    key: Option<String>,
    name: String,
    parts: Vec<At<'a>>,
}

/// The shapes that the data has a file for each.
fn file_variants<'a>(
    lower: &mut Lower<'a>,
    content: &Content<'a>,
    node: &'a Node,
) -> Result<Vec<Shape<'a>>> {
    let path = content_path(content);
    let short = last_word(&path.name);
    let mut shapes = Vec::new();
    let bases = content.variants.iter().map(|(value, at)| (Some(value), at));
    for (value, at) in bases.chain([(None, &content.at)]) {
        let mut parts = lower.parts(std::slice::from_ref(at))?;
        if let Some(file) = text(node, "all") {
            let shared = lower.file(&format!("{OWN}/{file}.yaml"))?;
            parts.extend(lower.parts(&[shared])?);
        }
        let word = value.map_or_else(|| "Other".to_owned(), |value| variant(value));
        let (value, key) = (value.cloned(), None);
        shapes.push(Shape {
            value,
            key,
            name: format!("{word}{short}"),
            parts,
        });
    }
    Ok(shapes)
}

/// The shapes that are definitions of our own.
fn definition_variants<'a>(lower: &mut Lower<'a>, node: &'a Node) -> Result<Vec<Shape<'a>>> {
    let mut shapes = Vec::new();
    let of = entries_at(node, "of").map(|(value, name)| (Some(value), None, name.as_str()));
    let has = entries_at(node, "has").map(|(key, name)| (None, Some(key), name.as_str()));
    let other = [(None, None, text(node, "other"))];
    for (value, key, name) in of.chain(has).chain(other) {
        let name = name.ok_or("a tagged type does not name its shapes")?;
        let at = lower.file(&format!("{OWN}/{name}.yaml"))?;
        let parts = lower.parts(&[at])?;
        let (value, key) = (value.map(str::to_owned), key.map(str::to_owned));
        shapes.push(Shape {
            value,
            key,
            name: name.to_owned(),
            parts,
        });
    }
    Ok(shapes)
}

/// A type that is one of several structs.
fn tagged_type<'a>(
    lower: &mut Lower<'a>,
    path: &Path,
    node: &'a Node,
    shapes: Vec<Shape<'a>>,
) -> Result<()> {
    let owner = &path.name;
    let tag = text(node, "tag").ok_or_else(|| format!("{owner} has no tag"))?;
    let place = lower.module(&path.module).items.len();
    let path_of = |shape: &Shape<'_>| Path {
        module: path.module.clone(),
        name: shape.name.clone(),
    };
    for shape in &shapes {
        lower.reserve(&path_of(shape));
    }
    let mut variants = Vec::new();
    for shape in shapes {
        let path = path_of(&shape);
        if let [only] = shape.parts.as_slice() {
            lower.known.insert(only.key(), Type::Struct(path.clone()));
        }
        let doc = match (&shape.value, &shape.key) {
            (Some(value), _) => format!("`{value}`."),
            (None, Some(key)) => format!("What has no `{tag}`, but `{key}`."),
            (None, None) => format!("Any other `{tag}`, kept whole."),
        };
        let single = shape.value.as_deref().map(|value| (tag, value));
        let words = format!("A shape of [`{owner}`]: {}", lower_first(&doc));
        object(lower, &shape.parts, &path, words, single)?;
        let content = path.name;
        variants.push(Variant {
            name: content
                .strip_suffix(last_word(owner))
                .unwrap_or(&content)
                .to_owned(),
            content,
            value: shape.value,
            key: shape.key,
            doc,
        });
    }
    let words = text(node, "doc").unwrap_or_default();
    let shared = match text(node, "all") {
        Some(file) => {
            let at = lower.file(&format!("{OWN}/{file}.yaml"))?;
            lower
                .fields(&[at], &Owner::operation(&path.module, owner))?
                .0
        }
        None => Vec::new(),
    };
    let item = Item::Tagged(Tagged {
        name: owner.clone(),
        doc: format!("{words} Which one is said by `{tag}`."),
        tag: tag.to_owned(),
        lax: flag(node, "lax"),
        shared,
        variants,
    });
    lower.module(&path.module).items.insert(place, item);
    Ok(())
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

/// `Message` of `RoomMessage`.
fn last_word(name: &str) -> &str {
    let start = name.rfind(|c: char| c.is_ascii_uppercase());
    &name[start.unwrap_or_default()..]
}

/// A tagged type that is no content: known by the schema of which it takes the place.
fn reserve_tagged<'a>(
    lower: &mut Lower<'a>,
    site: &str,
    node: &'a Node,
) -> Result<(Path, &'a Node)> {
    let file = match site.contains('/') {
        true => format!("api/{site}"),
        false => format!("{OWN}/{site}.yaml"),
    };
    let at = lower.file(&file)?;
    let path = Path {
        module: DEFINITIONS.to_owned(),
        name: pascal(stem(&file)),
    };
    lower.known.insert(at.key(), Type::Enum(path.clone()));
    lower.reserve(&path);
    Ok((path, node))
}

impl<'a> Lower<'a> {
    /// A whole file.
    fn file(&self, file: &str) -> Result<At<'a>> {
        let node = self.spec.root(file)?;
        let site = file.strip_prefix("api/").unwrap_or(file).to_owned();
        let (file, pointer) = (file.to_owned(), String::new());
        Ok(At {
            file,
            pointer,
            node,
            site,
        })
    }

    /// Keeps a name from being given to anything else.
    fn reserve(&mut self, path: &Path) {
        let key = (path.module.clone(), path.name.clone());
        let name = path.name.clone();
        let (doc, fields, extra) = (String::new(), Vec::new(), None);
        let empty = Struct {
            name,
            doc,
            fields,
            extra,
        };
        self.structs.entry(key).or_insert(empty);
    }
}

#[cfg(test)]
mod tests;
