//! Lowers schemas to types.

use super::lower::Lower;
use super::model::{DEFINITIONS, Enum, Item, Path, Type};
use super::names::variant;
use super::node_ref::{NodeRef, Owner, has_no_schema, is_scalar};
use super::spec::{items, text, texts};
use crate::Result;

impl<'a> Lower<'a> {
    /// The type that a schema describes.
    pub(crate) fn lower(&mut self, at: &NodeRef<'a>, owner: &Owner) -> Result<Type> {
        self.lower_all(std::slice::from_ref(at), owner)
    }

    /// The type that several schemas describe together.
    pub(crate) fn lower_all(&mut self, sources: &[NodeRef<'a>], owner: &Owner) -> Result<Type> {
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
            if !has_no_schema(anchor.node) {
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
            // Of two schemas that are not objects, the later one is more specific.
            [.., last] if is_scalar(last.node) => self.lower_one(last, owner)?,
            _ => self.lower_object(&anchors, owner)?,
        };
        if raw || self.is_raw(&anchors)? {
            return Ok(Type::Raw(Some(Box::new(ty))));
        }
        Ok(ty)
    }

    /// Whether any part of the schemas is read as raw JSON.
    fn is_raw(&self, anchors: &[NodeRef<'a>]) -> Result<bool> {
        for part in self.parts(anchors)? {
            if self.overrides.has("raw", &part.site) {
                return Ok(true);
            }
        }
        Ok(false)
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
            Some("decimal") => Type::Decimal,
            Some("digits") => Type::Digits,
            Some("unsigned") => Type::Unsigned,
            Some("timestamp") => Type::Timestamp,
            Some("seconds") => Type::Seconds,
            Some("millis") => Type::Millis,
            Some("value") => Type::Value,
            Some("object") => Type::Object,
            Some("raw") => Type::Raw(None),
            Some(path) => {
                let secrets = secrets.into_iter().map(str::to_owned).collect();
                Type::HandWritten(path.to_owned(), secrets)
            }
            None => return Err(format!("the entry for {site} in `types` names no type")),
        }))
    }

    /// The type of a schema without references and `allOf`.
    fn lower_one(&mut self, at: &NodeRef<'a>, owner: &Owner) -> Result<Type> {
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
            ["string"] => self.lower_string(at)?,
            ["integer"] if is_timestamp(&owner.field) => Type::Timestamp,
            ["integer"] if is_millis(&owner.field) => Type::Millis,
            ["integer"] => Type::Unsigned,
            ["number"] => Type::Float,
            ["boolean"] => Type::Bool,
            ["string", "null"] => Type::Nullable(Box::new(self.lower_string(at)?)),
            ["string", "object"] | ["object", "string"] => Type::StringOr(Box::new(Type::Object)),
            _ => Type::Value,
        })
    }

    fn lower_string(&self, at: &NodeRef<'a>) -> Result<Type> {
        if self.overrides.has("secrets", &at.site) {
            return Ok(Type::Secret);
        }
        let format = self.overrides.text("formats", &at.site);
        let format = format.or_else(|| {
            // `*.path/userId` applies to the parameter of every operation.
            let (_, rest) = at.site.split_once('.')?;
            self.overrides.text("formats", &format!("*.{rest}"))
        });
        match format.or_else(|| text(at.node, "format")) {
            None | Some("uri" | "email" | "mx-unpadded-base64" | "mx-urlsafe-unpadded-base64") => {
                Ok(Type::Text)
            }
            Some(format) => identifier(format).map(Type::Id).ok_or_else(|| {
                format!(
                    "{}: the generator does not know the format {format}; add an entry to `types`",
                    at.site
                )
            }),
        }
    }

    fn lower_one_of(&mut self, at: &NodeRef<'a>, owner: &Owner) -> Result<Type> {
        let branches = items(at.node.get("oneOf"));
        let kinds: Vec<_> = branches.iter().map(|branch| text(branch, "type")).collect();
        if kinds == [Some("string"), Some("object")] {
            let below = at.below(&["oneOf", "1"], &branches[1], at.site.clone());
            return Ok(Type::StringOr(Box::new(self.lower(&below, owner)?)));
        }
        let formats: Vec<_> = branches
            .iter()
            .map(|branch| text(branch, "format"))
            .collect();
        if formats == [Some("mx-room-id"), Some("mx-room-alias")] {
            return Ok(Type::Id("RoomIdOrAlias"));
        }
        Err(format!(
            "{}: the generator does not support this oneOf; add an entry to `types`",
            at.site
        ))
    }

    fn lower_enum(&mut self, at: &NodeRef<'a>, owner: &Owner) -> Result<Type> {
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
                    "Values that several operations share.".to_owned(),
                )
            }
            None => {
                let name = self.name(at, &[], owner);
                let module = self.module_of(at, owner);
                let doc = if module == owner.module {
                    format!("Values of `{}` in [`{}`].", owner.field, owner.name)
                } else {
                    format!("Values of `{}`.", owner.field)
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
}

pub(crate) fn identifier(format: &str) -> Option<&'static str> {
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

fn is_timestamp(field: &str) -> bool {
    matches!(field, "ts" | "last_seen") || field.ends_with("_ts") || field.ends_with("_at")
}

fn is_millis(field: &str) -> bool {
    matches!(field, "timeout" | "last_active_ago") || field.ends_with("_ms")
}
