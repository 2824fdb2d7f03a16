//! Lowers objects to structs, maps, or untyped objects.

use super::OVERRIDES;
use super::lower::Lower;
use super::model::{DEFINITIONS, Field, Item, Path, Struct, Type};
use super::names::snake;
use super::node_ref::{NodeRef, Owner, entries_at};
use super::schema::identifier;
use super::spec::{entries, flag, text, texts};
use super::type_names::stem;
use crate::Result;

impl<'a> Lower<'a> {
    /// The struct, map or untyped object that one or several schemas describe together.
    pub(crate) fn lower_object(&mut self, sources: &[NodeRef<'a>], owner: &Owner) -> Result<Type> {
        let key = sources
            .iter()
            .map(NodeRef::key)
            .collect::<Vec<_>>()
            .join("+");
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
            doc = format!("Shared definition `{stem}`.");
        } else if owner.field.is_empty() {
            doc = format!("Response to [`{}`].", owner.name);
        } else if module != owner.module {
            doc = format!("Part of the shared definition `{}`.", stem(&at.file));
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

    /// The fields of an object of these parts, and the type of its additional fields.
    pub(crate) fn fields(
        &mut self,
        parts: &[NodeRef<'a>],
        owner: &Owner,
    ) -> Result<(Vec<Field>, Option<Type>)> {
        let mut properties: Vec<(String, Vec<NodeRef<'a>>)> = Vec::new();
        let mut required = Vec::new();
        let mut extra = None;
        for part in parts {
            required.extend(texts(part.node.get("required")));
            let has = |key| entries_at(part.node, key).next().is_some();
            if has("properties") && has("patternProperties") {
                return Err(format!(
                    "{}: patternProperties together with properties are not supported",
                    part.site
                ));
            }
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
                let added = NodeRef {
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
                let owner = Owner {
                    field: "extra".to_owned(),
                    ..owner.clone()
                };
                extra = Some(self.lower(&below, &owner)?);
            }
        }
        let mut fields = Vec::new();
        for (wire, sources) in properties {
            let required = required.contains(&wire.as_str())
                && !self.overrides.has("optional", &sources[0].site);
            fields.push(self.field(wire, required, &sources, owner)?);
        }
        Ok((fields, extra))
    }

    /// A field or parameter.
    pub(crate) fn field(
        &mut self,
        wire: String,
        required: bool,
        sources: &[NodeRef<'a>],
        owner: &Owner,
    ) -> Result<Field> {
        let owner = Owner {
            field: wire.clone(),
            item: false,
            ..owner.clone()
        };
        let mut ty = self.lower_all(sources, &owner)?;
        let listed = |section| {
            sources
                .iter()
                .any(|at| self.overrides.has(section, &at.site))
        };
        if listed("empty_as_absent") {
            ty = Type::NonEmpty(Box::new(ty));
        }
        let missing_as_empty = listed("missing_as_empty");
        let site = &sources[0].site;
        let name = self.overrides.text("names", site);
        let name = name.map_or_else(|| snake(&wire), str::to_owned);
        let null_matters = ty == Type::Value
            && sources
                .iter()
                .any(|at| texts(at.node.get("type")).contains(&"null"));
        let docs = sources
            .iter()
            .find_map(|at| self.overrides.text("docs", &at.site))
            .map(str::to_owned);
        let facts = facts(&wire, sources);
        if missing_as_empty && !(required && matches!(ty, Type::List(_))) {
            return Err(format!(
                "{site} is not a required list, so `missing_as_empty` does not apply"
            ));
        }
        Ok(Field {
            wire,
            name,
            ty,
            required,
            null_matters,
            missing_as_empty,
            docs,
            facts,
        })
    }

    /// The type of an object without named fields.
    pub(crate) fn lower_map(&mut self, parts: &[NodeRef<'a>], owner: &Owner) -> Result<Type> {
        for part in parts {
            let site = part.site.clone() + "/*";
            let patterns = part.node.get("patternProperties");
            let mut patterns = patterns.into_iter().flat_map(entries);
            if let Some((pattern, value)) = patterns.next() {
                if patterns.next().is_some() {
                    return Err(format!(
                        "{}: several patternProperties are not supported",
                        part.site
                    ));
                }
                let keys = self.overrides.text("types", &format!("{}/keys", part.site));
                let below = part.below(&["patternProperties", pattern], value, site);
                let key = match text(value, "x-pattern-format") {
                    _ if keys == Some("text") => Type::Text,
                    Some(format) => identifier(format).map(Type::Id).ok_or_else(|| {
                        format!(
                            "{}: the generator does not know the format {format}",
                            part.site
                        )
                    })?,
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
}

/// Unit, version and deprecation of a field.
fn facts(wire: &str, sources: &[NodeRef<'_>]) -> String {
    let mut facts = Vec::new();
    if wire == "age" {
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
