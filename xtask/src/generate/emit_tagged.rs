//! Writes tagged enums, map wrappers, and the enums of all contents of a kind of event.

use std::fmt::Write;

use super::emit::MARK;
use super::emit_type::{doc, rust};
use super::events::{EventType, Kind};
use super::model::{Field, Module, Tagged, Variant, Wrapper};

/// An enum whose variants hold structs.
pub(crate) fn tagged(code: &mut String, found: &Tagged, module: &str) {
    let Tagged { name, tag, .. } = found;
    doc(code, "", found.doc.trim());
    let _ = writeln!(
        code,
        "#[derive(Clone, Debug, PartialEq)]\n#[non_exhaustive]\npub enum {name} {{"
    );
    let (mut read, mut write, mut from) = (String::new(), String::new(), String::new());
    let mut keys = String::new();
    let is_other = |one: &&Variant| one.value.is_none() && one.key.is_none();
    let other = found
        .variants
        .iter()
        .find(is_other)
        .filter(|_| found.lenient);
    let other = other.map(|variant| (&variant.name, &variant.content));
    let start = if other.is_some() {
        "let start = reader.start()?;\n"
    } else {
        ""
    };
    for found in &found.variants {
        let (variant, content) = (&found.name, &found.content);
        doc(code, "    ", &found.doc);
        let _ = writeln!(code, "    {variant}({content}),");
        let arm = match (&found.value, &found.key) {
            (Some(value), _) => format!("codec::Tag::Is(\"{value}\")"),
            (None, Some(key)) => {
                let _ = write!(keys, "\"{key}\",");
                format!("codec::Tag::Has(\"{key}\")")
            }
            (None, None) => "_".to_owned(),
        };
        let other = match &other {
            Some((other, content)) if *other != variant => format!(
                ".or_else(|error| {{\nreader.retry(start, error)?;\n\
                 {content}::read(reader).map(Self::{other})\n}})"
            ),
            _ => String::new(),
        };
        let _ = writeln!(
            read,
            "{arm} => {content}::read(reader).map(Self::{variant}){other},"
        );
        let _ = writeln!(
            write,
            "Self::{variant}(content) => content.serialize(serializer),"
        );
        let _ = write!(
            from,
            "impl From<{content}> for {name} {{\n\
             fn from(content: {content}) -> Self {{\nSelf::{variant}(content)\n}}\n}}\n\n"
        );
    }
    let mut methods = String::new();
    for field in &found.shared {
        shared(&mut methods, field, &found.variants, module);
    }
    if !methods.is_empty() {
        methods = format!("impl {name} {{\n{}\n}}\n\n", methods.trim_end());
    }
    let _ = write!(
        code,
        "}}\n\n{methods}{from}\
         impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {{\n\
         codec::deserialize(from)\n}}\n}}\n\n\
         impl Read for {name} {{\n\
         fn read(reader: &mut Reader<'_>) -> Result<Self, codec::Error> {{\n\
         codec::tagged(reader, \"{tag}\", &[{keys}], |tag, reader| {{\n{start}match tag {{\n{read}}}\n}})\n}}\n}}\n\n\
         impl Serialize for {name} {{\n\
         fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{\n\
         match self {{\n{write}}}\n}}\n}}\n\n"
    );
}

/// The accessors of a field that all variants have.
fn shared(code: &mut String, field: &Field, variants: &[Variant], module: &str) {
    let ty = rust(&field.ty, module);
    let (wire, name) = (&field.wire, &field.name);
    let (mut read, mut change) = (String::new(), String::new());
    for variant in variants {
        let variant = &variant.name;
        let _ = writeln!(read, "Self::{variant}(content) => content.{name}.as_ref(),");
        let _ = writeln!(change, "Self::{variant}(content) => &mut content.{name},");
    }
    let _ = write!(
        code,
        "/// The `{wire}` of any variant.\npub fn {name}(&self) -> Option<&{ty}> {{\n\
         match self {{\n{read}}}\n}}\n\n\
         /// The `{wire}` of any variant, mutable.\npub fn {name}_mut(&mut self) -> &mut Option<{ty}> {{\n\
         match self {{\n{change}}}\n}}\n\n"
    );
}

/// A struct around a map.
pub(crate) fn wrapper(code: &mut String, found: &Wrapper, module: &str) {
    let name = &found.name;
    let ty = rust(&found.ty, module);
    doc(code, "", &found.doc);
    let _ = write!(
        code,
        "#[derive(Clone, Debug, Default, PartialEq)]\npub struct {name}(pub {ty});\n\n\
         impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {{\n\
         codec::deserialize(from)\n}}\n}}\n\n\
         impl Read for {name} {{\n\
         fn read(reader: &mut Reader<'_>) -> Result<Self, codec::Error> {{\n\
         Read::read(reader).map(Self)\n}}\n}}\n\n\
         impl Serialize for {name} {{\n\
         fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{\n\
         self.0.serialize(serializer)\n}}\n}}\n\n"
    );
}

/// The `mod.rs` of the contents of events.
pub(crate) fn index(modules: &[&Module], types: &[EventType]) -> String {
    let mut code = format!(
        "{MARK}\n//! The contents of [events](https://spec.matrix.org/{version}/#events).\n\n\
         #![allow(clippy::large_enum_variant, reason = \"boxes would get in the way of pattern matching\")]\n\n",
        version = crate::spec::TAG
    );
    for module in modules {
        let _ = writeln!(code, "pub mod {};", module.name);
    }
    code += "\nuse std::borrow::Cow;\n\nuse serde::{Serialize, Serializer};\n\n\
             use crate::{InvalidPart, Raw, events::{EventContent, EventError, EventKind, UnknownContent, content}};\n\n";
    for module in modules {
        let names: Vec<&str> = types
            .iter()
            .filter(|ty| ty.content.module == module.name)
            .map(|ty| ty.content.name.as_str())
            .collect();
        if !names.is_empty() {
            let _ = writeln!(code, "pub use {}::{{{}}};", module.name, names.join(", "));
        }
    }
    code += "\n";
    for ty in types {
        let kinds: Vec<String> = ty
            .kinds
            .iter()
            .map(|kind| format!("EventKind::{kind:?}"))
            .collect();
        let _ = write!(
            code,
            "impl EventContent for {} {{\nconst TYPE: &'static str = \"{}\";\n\
             const KINDS: &'static [EventKind] = &[{}];\n\n\
             fn from_raw<T>(content: &Raw<T>) -> Result<Self, EventError> {{\n\
             content::read_json(Self::TYPE, content.json())\n}}\n}}\n\n",
            ty.content.name,
            ty.name,
            kinds.join(", ")
        );
    }
    invalid_parts(&mut code, types);
    for kind in Kind::ALL {
        let types: Vec<&EventType> = types.iter().filter(|ty| ty.kinds.contains(&kind)).collect();
        any(&mut code, kind, &types);
    }
    code
}

/// The function that looks for what is not valid in a content of any type.
fn invalid_parts(code: &mut String, types: &[EventType]) {
    let mut arms = String::new();
    for ty in types {
        let (name, content) = (&ty.name, &ty.content.name);
        let _ = if name.ends_with('.') {
            writeln!(
                arms,
                "rest if rest.starts_with(\"{name}\") => content::invalid_parts::<{content}>(content),"
            )
        } else {
            writeln!(
                arms,
                "\"{name}\" => content::invalid_parts::<{content}>(content),"
            )
        };
    }
    let _ = write!(
        code,
        "/// The parts of the content of an event of this type that are not valid, though the rest can be read.\n\
         pub fn invalid_parts(event_type: &str, content: &Raw) -> Vec<InvalidPart> {{\n\
         match event_type {{\n{arms}_ => Vec::new(),\n}}\n}}\n\n"
    );
}

/// The enum over all contents of a kind.
fn any(code: &mut String, kind: Kind, types: &[&EventType]) {
    let name = format!("Any{kind:?}");
    let what = match kind {
        Kind::State => "a state event",
        Kind::Message => "a message event (a room event without state key)",
        Kind::Ephemeral => "an ephemeral event",
        Kind::AccountData => "account data",
        Kind::ToDevice => "a to-device message",
    };
    let (mut read, mut write, mut named) = (String::new(), String::new(), String::new());
    let mut suffixed = String::new();
    let _ = writeln!(
        code,
        "/// The content of {what}, by event type.\n#[derive(Clone, Debug, PartialEq)]\n\
         #[non_exhaustive]\npub enum {name} {{"
    );
    for ty in types {
        let variant = &ty.content.name;
        let wire = &ty.name;
        if wire.ends_with('.') {
            let _ = writeln!(
                code,
                "/// `{wire}` with any suffix, which the first field holds.\n{variant}(String, {variant}),"
            );
            let _ = writeln!(
                suffixed,
                "rest if rest.starts_with(\"{wire}\") => content::read(kind, content)\
                 .map(|read| Self::{variant}(rest[\"{wire}\".len()..].to_owned(), read)),"
            );
            let _ = writeln!(
                write,
                "Self::{variant}(_, content) => content.serialize(serializer),"
            );
            let _ = writeln!(
                named,
                "Self::{variant}(rest, _) => Cow::Owned(format!(\"{wire}{{rest}}\")),"
            );
            continue;
        }
        let _ = writeln!(code, "/// `{wire}`\n{variant}({variant}),");
        let _ = writeln!(
            read,
            "\"{wire}\" => content::read(kind, content).map(Self::{variant}),"
        );
        let _ = writeln!(
            write,
            "Self::{variant}(content) => content.serialize(serializer),"
        );
        let _ = writeln!(named, "Self::{variant}(_) => Cow::Borrowed(\"{wire}\"),");
    }
    let _ = write!(
        code,
        "/// The content of an unknown event type, unchanged.\nUnknown(UnknownContent),\n}}\n\n\
         impl {name} {{\n\
         /// Reads a content by its event type. An empty one that the type does not allow is that of a\n\
         /// redacted event, and is `Unknown`.\n///\n/// # Errors\n\
         /// If the content does not match the type.\n\
         pub fn read(kind: &str, content: &Raw) -> Result<Self, EventError> {{\n\
         let read = match kind {{\n{suffixed}{read}\
         _ => Ok(Self::Unknown(UnknownContent::new(kind, content.clone()))),\n}};\n\
         read.or_else(|error| content::redacted(kind, content, error).map(Self::Unknown))\n}}\n\n\
         /// The event type.\n\
         pub fn event_type(&self) -> Cow<'_, str> {{\n\
         match self {{\n{named}Self::Unknown(unknown) => Cow::Borrowed(&unknown.event_type),\n}}\n}}\n}}\n\n\
         impl Serialize for {name} {{\n\
         /// Writes the content, without its type.\n\
         fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{\n\
         match self {{\n{write}Self::Unknown(unknown) => unknown.content.serialize(serializer),\n}}\n}}\n}}\n\n"
    );
}
