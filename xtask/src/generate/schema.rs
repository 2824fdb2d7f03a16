//! Lowers the schemas of the data to types.

use std::collections::BTreeMap;

use super::OVERRIDES;
use super::model::{Enum, Field, Item, Module, Path, Struct, Type};
use super::names::{pascal, snake, variant};
use super::overrides::Overrides;
use super::spec::{Node, Spec, entries, flag, items, step, text, texts};
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

    fn key(&self) -> String {
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
    fn item(&self) -> Self {
        Self {
            item: true,
            ..self.clone()
        }
    }

    /// A name for the type of what is here.
    fn type_name(&self, prefix: &str) -> String {
        let singular = self.field.strip_suffix('s').filter(|_| self.item);
        format!("{prefix}{}", pascal(singular.unwrap_or(&self.field)))
    }
}

/// Lowers the schemas of one API.
pub(crate) struct Lower<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) overrides: &'a Overrides,
    /// Where the API's files are.
    pub(crate) dir: &'a str,
    /// By name.
    pub(crate) modules: BTreeMap<String, Module>,
    /// Types that exist already, by the place in the data that they stem from.
    known: BTreeMap<String, Type>,
    /// The generated structs, by module and name.
    structs: BTreeMap<(String, String), Struct>,
}

/// The module of what several files share.
pub(crate) const DEFINITIONS: &str = "definitions";

impl<'a> Lower<'a> {
    pub(crate) fn new(spec: &'a Spec, overrides: &'a Overrides, dir: &'a str) -> Self {
        Self {
            spec,
            overrides,
            dir,
            modules: BTreeMap::new(),
            known: BTreeMap::new(),
            structs: BTreeMap::new(),
        }
    }

    pub(crate) fn module(&mut self, name: &str) -> &mut Module {
        let module = self.modules.entry(name.to_owned());
        module.or_insert_with(|| Module {
            name: name.to_owned(),
            about: "Definitions that several operations share.".to_owned(),
            items: Vec::new(),
        })
    }

    pub(crate) fn struct_at(&self, path: &Path) -> Option<&Struct> {
        self.structs.get(&(path.module.clone(), path.name.clone()))
    }

    /// The type of what a schema describes.
    pub(crate) fn lower(&mut self, at: &At<'a>, owner: &Owner) -> Result<Type> {
        self.lower_all(std::slice::from_ref(at), owner)
    }

    /// The type of what all these schemas describe together.
    fn lower_all(&mut self, sources: &[At<'a>], owner: &Owner) -> Result<Type> {
        for at in sources {
            if let Some(ty) = self.overridden(&at.site)? {
                return Ok(ty);
            }
        }
        let mut anchors = Vec::new();
        for at in sources {
            let anchor = self.anchor(at)?;
            if let Some(ty) = self.overridden(&anchor.site)? {
                return Ok(ty);
            }
            if !says_nothing(anchor.node) {
                anchors.push(anchor);
            }
        }
        let raw = anchors
            .iter()
            .any(|anchor| self.overrides.has("raw", &anchor.site));
        let ty = match anchors.as_slice() {
            [] => Type::Value,
            [anchor] if anchor.node.get("allOf").is_some() => self.lower_object(&anchors, owner)?,
            [anchor] => self.lower_one(anchor, owner)?,
            // Of two that are no objects, the later one says more about the same.
            [.., last] if is_scalar(last.node) => self.lower_one(last, owner)?,
            _ => self.lower_object(&anchors, owner)?,
        };
        Ok(match raw || self.is_raw(&anchors)? {
            true => Type::Raw(Some(Box::new(ty))),
            false => ty,
        })
    }

    /// Whether any part of the schemas is kept as text.
    fn is_raw(&self, anchors: &[At<'a>]) -> Result<bool> {
        for part in self.parts(anchors)? {
            if self.overrides.has("raw", &part.site) {
                return Ok(true);
            }
        }
        Ok(false)
    }

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

    fn follow(&self, at: &At<'a>, reference: &str) -> Result<At<'a>> {
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

    fn overridden(&self, site: &str) -> Result<Option<Type>> {
        let Some(node) = self.overrides.get("types", site) else {
            return Ok(None);
        };
        let secrets = texts(node.get("secrets"));
        let name = node.as_str().or_else(|| text(node, "rust"));
        Ok(Some(match name {
            Some("text") => Type::Text,
            Some("signed") => Type::Signed,
            Some("value") => Type::Value,
            Some("object") => Type::Object,
            Some("raw") => Type::Raw(None),
            Some(path) => {
                let secrets = secrets.into_iter().map(str::to_owned).collect();
                Type::Hand(path.to_owned(), secrets)
            }
            None => return Err(format!("the type for {site} names no type")),
        }))
    }

    /// A schema that is made of no others.
    fn lower_one(&mut self, at: &At<'a>, owner: &Owner) -> Result<Type> {
        if at.node.get("enum").is_some() {
            return self.lower_enum(at, owner);
        }
        if at.node.get("oneOf").is_some() {
            return self.lower_one_of(at, owner);
        }
        let types = match at.node.get("type") {
            Some(list) if list.as_sequence().is_some() => texts(Some(list)),
            Some(one) => one.as_str().into_iter().collect(),
            None if at.node.get("properties").is_some() => vec!["object"],
            None => vec![],
        };
        Ok(match types.as_slice() {
            ["object"] => return self.lower_object(std::slice::from_ref(at), owner),
            ["array"] => {
                let Some(item) = at.node.get("items") else {
                    return Ok(Type::List(Box::new(Type::Value)));
                };
                let below = at.below(&["items"], item, at.site.clone() + "/*");
                Type::List(Box::new(self.lower(&below, &owner.item())?))
            }
            ["string"] => self.lower_text(at)?,
            ["integer"] if is_timestamp(&owner.field) => Type::Timestamp,
            ["integer"] => Type::Unsigned,
            ["number"] => Type::Float,
            ["boolean"] => Type::Bool,
            ["string", "null"] => Type::Nullable(Box::new(self.lower_text(at)?)),
            ["string", "object"] | ["object", "string"] => Type::TextOr(Box::new(Type::Object)),
            _ => Type::Value,
        })
    }

    fn lower_text(&self, at: &At<'a>) -> Result<Type> {
        if self.overrides.has("secrets", &at.site) {
            return Ok(Type::Secret);
        }
        let format = self.overrides.text("formats", &at.site);
        let format = format.or_else(|| {
            // `*.path/userId` stands for the parameter of every operation.
            let (_, rest) = at.site.split_once('.')?;
            self.overrides.text("formats", &format!("*.{rest}"))
        });
        match format.or_else(|| text(at.node, "format")) {
            None | Some("uri" | "email" | "mx-unpadded-base64" | "mx-urlsafe-unpadded-base64") => {
                Ok(Type::Text)
            }
            Some(format) => identifier(format)
                .map(Type::Id)
                .ok_or_else(|| format!("{}: the format {format} is new", at.site)),
        }
    }

    fn lower_one_of(&mut self, at: &At<'a>, owner: &Owner) -> Result<Type> {
        let branches = items(at.node.get("oneOf"));
        let kinds: Vec<_> = branches.iter().map(|branch| text(branch, "type")).collect();
        if kinds == [Some("string"), Some("object")] {
            let below = at.below(&["oneOf", "1"], &branches[1], at.site.clone());
            return Ok(Type::TextOr(Box::new(self.lower(&below, owner)?)));
        }
        let formats: Vec<_> = branches
            .iter()
            .map(|branch| text(branch, "format"))
            .collect();
        if formats == [Some("mx-room-id"), Some("mx-room-alias")] {
            return Ok(Type::Id("RoomIdOrAlias"));
        }
        Err(format!("{}: this oneOf is new; override its type", at.site))
    }

    fn lower_enum(&mut self, at: &At<'a>, owner: &Owner) -> Result<Type> {
        if let Some(ty) = self.known.get(&at.key()) {
            return Ok(ty.clone());
        }
        let values: Vec<&str> = texts(at.node.get("enum"));
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let (path, doc) = match self.overrides.text("enums", &sorted.join(",")) {
            Some(name) => {
                let module = DEFINITIONS.to_owned();
                let name = name.to_owned();
                (
                    Path { module, name },
                    "A value that several operations share.".to_owned(),
                )
            }
            None => {
                let name = self.name(at, &[], owner);
                let module = self.module_of(at, owner);
                let doc = match module == owner.module {
                    true => format!("A value of `{}` in [`{}`].", owner.field, owner.name),
                    false => format!("A value of `{}`.", owner.field),
                };
                (Path { module, name }, doc)
            }
        };
        let ty = Type::Enum(path.clone());
        let values = values
            .iter()
            .map(|value| (variant(value), (*value).to_owned()))
            .collect();
        let name = path.name;
        let new = Enum { name, doc, values };
        let items = &mut self.module(&path.module).items;
        let exists = items
            .iter()
            .any(|item| matches!(item, Item::Enum(old) if old.name == new.name));
        if !exists {
            items.push(Item::Enum(new));
        }
        self.known.insert(at.key(), ty.clone());
        Ok(ty)
    }

    /// A struct, a map, or any object, of one schema or several.
    fn lower_object(&mut self, sources: &[At<'a>], owner: &Owner) -> Result<Type> {
        let key = sources.iter().map(At::key).collect::<Vec<_>>().join("+");
        if let Some(ty) = self.known.get(&key) {
            return Ok(ty.clone());
        }
        let parts = self.parts(sources)?;
        let has_fields = parts.iter().any(|part| {
            entries_at(part.node, "properties").next().is_some()
                || self.overrides.has("fields", &part.site)
        });
        if !has_fields {
            return self.lower_map(&parts, owner);
        }
        let at = &sources[0];
        let module = self.module_of(at, owner);
        let name = self.name(at, &parts, owner);
        let mut doc = format!("`{}` of [`{}`].", owner.field, owner.name);
        if module == DEFINITIONS && at.pointer.is_empty() {
            let stem = stem(&at.file);
            doc = format!("The shared definition `{stem}`.");
        } else if owner.field.is_empty() {
            doc = format!("The answer to [`{}`].", owner.name);
        } else if module != owner.module {
            doc = format!("A part of the shared definition `{}`.", stem(&at.file));
        }
        let path = Path {
            module: module.clone(),
            name: name.clone(),
        };
        let ty = Type::Struct(path);
        self.known.insert(key, ty.clone());
        let owner = Owner::operation(&module, &name);
        let (fields, extra) = self.fields(&parts, &owner)?;
        let new = Struct {
            name: name.clone(),
            doc,
            fields,
            extra,
        };
        self.structs.insert((module.clone(), name), new.clone());
        self.module(&module).items.push(Item::Struct(new));
        Ok(ty)
    }

    /// The fields of an object of these parts, and the type of what may stand beside them.
    pub(crate) fn fields(
        &mut self,
        parts: &[At<'a>],
        owner: &Owner,
    ) -> Result<(Vec<Field>, Option<Type>)> {
        let mut properties: Vec<(String, Vec<At<'a>>)> = Vec::new();
        let mut required = Vec::new();
        let mut extra = None;
        for part in parts {
            required.extend(texts(part.node.get("required")));
            let own = entries_at(part.node, "properties");
            for (name, node) in own {
                let site = format!("{}/{name}", part.site);
                let below = part.below(&["properties", name], node, site);
                match properties.iter_mut().find(|(other, _)| other == name) {
                    Some((_, sources)) => sources.push(below),
                    None => properties.push((name.to_owned(), vec![below])),
                }
            }
            for (name, node) in self
                .overrides
                .get("fields", &part.site)
                .into_iter()
                .flat_map(entries)
            {
                let site = format!("{}/{name}", part.site);
                let added = At {
                    file: OVERRIDES.to_owned(),
                    pointer: format!("/{site}"),
                    node,
                    site,
                };
                match properties.iter_mut().find(|(other, _)| other == name) {
                    Some((_, sources)) => *sources = vec![added],
                    None => properties.push((name.to_owned(), vec![added])),
                }
            }
            if let Some(node) = part.node.get("additionalProperties")
                && node.as_bool() != Some(false)
            {
                let site = part.site.clone() + "/*";
                let below = part.below(&["additionalProperties"], node, site);
                extra = Some(self.lower(&below, owner)?);
            }
        }
        let mut fields = Vec::new();
        for (wire, sources) in properties {
            let required = required.contains(&wire.as_str());
            fields.push(self.field(wire, required, &sources, owner)?);
        }
        Ok((fields, extra))
    }

    /// A field or parameter.
    pub(crate) fn field(
        &mut self,
        wire: String,
        required: bool,
        sources: &[At<'a>],
        owner: &Owner,
    ) -> Result<Field> {
        let owner = Owner {
            field: wire.clone(),
            item: false,
            ..owner.clone()
        };
        let ty = self.lower_all(sources, &owner)?;
        let site = &sources[0].site;
        let name = self.overrides.text("names", site);
        let name = name.map_or_else(|| snake(&wire), str::to_owned);
        let null_matters = ty == Type::Value
            && sources
                .iter()
                .any(|at| texts(at.node.get("type")).contains(&"null"));
        let words = sources
            .iter()
            .find_map(|at| self.overrides.text("words", &at.site))
            .map(str::to_owned);
        let facts = facts(&wire, sources);
        Ok(Field {
            wire,
            name,
            ty,
            required,
            null_matters,
            words,
            facts,
        })
    }

    /// An object without fields of its own.
    fn lower_map(&mut self, parts: &[At<'a>], owner: &Owner) -> Result<Type> {
        for part in parts {
            let site = part.site.clone() + "/*";
            let patterns = part.node.get("patternProperties");
            if let Some((pattern, value)) = patterns.into_iter().flat_map(entries).next() {
                let below = part.below(&["patternProperties", pattern], value, site);
                let key = match text(value, "x-pattern-format") {
                    Some(format) => identifier(format)
                        .map(Type::Id)
                        .ok_or_else(|| format!("{}: the format {format} is new", part.site))?,
                    None => Type::Text,
                };
                let value = self.lower(&below, &owner.item())?;
                return Ok(Type::Map(Box::new(key), Box::new(value)));
            }
            if let Some(node) = part.node.get("additionalProperties") {
                let below = part.below(&["additionalProperties"], node, site);
                let value = self.lower(&below, &owner.item())?;
                if value != Type::Value {
                    return Ok(Type::Map(Box::new(Type::Text), Box::new(value)));
                }
            }
        }
        Ok(Type::Object)
    }

    fn module_of(&self, at: &At<'a>, owner: &Owner) -> String {
        let own = at.file.strip_prefix(self.dir);
        match own.and_then(|file| file.strip_prefix('/')) {
            Some(file) if !file.contains('/') => snake(stem(file)),
            None if at.file == OVERRIDES => owner.module.clone(),
            _ => DEFINITIONS.to_owned(),
        }
    }

    /// A name for a type, free in its module.
    fn name(&self, at: &At<'a>, parts: &[At<'a>], owner: &Owner) -> String {
        if let Some(name) = self.overrides.text("type_names", &at.site) {
            return name.to_owned();
        }
        let whole_file = at.pointer.is_empty();
        let component = at.pointer.strip_prefix("/components/schemas/");
        let module = self.module_of(at, owner);
        let prefix = match module == owner.module {
            true => owner.name.clone(),
            // Whoever needs it first is not whom it belongs to.
            false => pascal(stem(&at.file)),
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
        let free = |name: &String| !RESERVED.contains(&name.as_str()) && !self.taken(&module, name);
        candidates.into_iter().find(free).unwrap_or(long)
    }

    fn taken(&self, module: &str, name: &str) -> bool {
        let items = self
            .modules
            .get(module)
            .map_or(&[][..], |module| &module.items);
        let mut names = items.iter().map(|item| match item {
            Item::Operation(operation) => &operation.name,
            Item::Struct(known) => &known.name,
            Item::Enum(known) => &known.name,
        });
        let is_struct = self
            .structs
            .contains_key(&(module.to_owned(), name.to_owned()));
        is_struct || names.any(|known| known == name)
    }
}

/// Names that the generated code uses for other things.
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

fn identifier(format: &str) -> Option<&'static str> {
    Some(match format {
        "mx-user-id" => "UserId",
        "mx-room-id" => "RoomId",
        "mx-event-id" => "EventId",
        "mx-room-alias" => "RoomAliasId",
        "mx-server-name" => "ServerName",
        "mx-mxc-uri" => "MxcUri",
        _ => return None,
    })
}

/// The facts about a field.
fn facts(wire: &str, sources: &[At<'_>]) -> String {
    let mut facts = Vec::new();
    if wire.ends_with("_ms") || matches!(wire, "timeout" | "age" | "last_active_ago") {
        facts.push("In milliseconds.".to_owned());
    }
    let since = sources
        .iter()
        .find_map(|at| text(at.node, "x-addedInMatrixVersion"));
    facts.extend(since.map(|version| format!("Since {version}.")));
    if sources.iter().any(|at| flag(at.node, "deprecated")) {
        facts.push("Deprecated.".to_owned());
    }
    facts.join(" ")
}

fn is_timestamp(field: &str) -> bool {
    matches!(field, "ts" | "last_seen") || field.ends_with("_ts") || field.ends_with("_at")
}

pub(crate) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".yaml").unwrap_or(name)
}

fn entries_at<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
    node.get(key).into_iter().flat_map(entries)
}

/// Whether a schema beside a reference or `allOf` is more than a comment on it.
fn adds_structure(node: &Node) -> bool {
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

fn is_scalar(node: &Node) -> bool {
    let ty = text(node, "type");
    ty.is_some_and(|ty| ty != "object") || node.get("enum").is_some()
}

/// Whether a schema only describes what another one defines.
fn says_nothing(node: &Node) -> bool {
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
