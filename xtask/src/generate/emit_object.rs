//! Writes the (de)serialisation of JSON objects.
//!
//! Serde could derive most of it. The explicit code compiles in a fraction of the time, stores unknown
//! fields without a second copy, and supports raw JSON.

use std::fmt::Write;

use super::emit_type::field_type;
use super::model::{Field, Type};

/// A struct that is a JSON object, or whose body is one.
pub(crate) struct Object<'a> {
    pub(crate) name: &'a str,
    /// Fields that come from the path, query or headers: known before the object is read.
    pub(crate) params: &'a [&'a Field],
    pub(crate) fields: &'a [Field],
    pub(crate) extra: Option<&'a Type>,
    /// Whether it is a request, which only servers read.
    pub(crate) is_request: bool,
}

/// The attribute of code that only servers need.
pub(crate) const SERVER: &str = "#[cfg(feature = \"server\")]\n";

/// The implementation that reads the fields.
pub(crate) fn read(code: &mut String, object: &Object<'_>, module: &str) {
    let mut locals = String::new();
    let mut arms = String::new();
    let mut values = String::new();
    for field in object.params {
        let _ = write!(values, "{},", field.name);
    }
    for field in object.fields {
        let (wire, name) = (&field.wire, &field.name);
        if let Type::Constant(text) = &field.ty {
            let _ = writeln!(
                arms,
                "\"{wire}\" => reader.constant(\"{wire}\", \"{text}\")?,"
            );
            continue;
        }
        let _ = writeln!(locals, "let mut {name} = None;");
        let _ = writeln!(
            arms,
            "\"{wire}\" => {name} = {},",
            reader(field, object.is_request)
        );
        let _ = match (&field.ty, field.required) {
            // Absent and null mean the same.
            (Type::Nullable(_), true) | (_, false) => writeln!(values, "{name},"),
            _ if field.missing_as_empty => {
                writeln!(
                    values,
                    "{name}: codec::or_empty({name}, \"{wire}\", reader)?,"
                )
            }
            _ => writeln!(values, "{name}: codec::required({name}, \"{wire}\")?,"),
        };
    }
    let (map, rest, made) = match object.extra {
        None | Some(Type::Value) => ("Extra::new()", "extra.read(entry_key, reader)?", "extra"),
        Some(_) => (
            "Unsorted::default()",
            "extra.read(&entry_key, reader)?",
            "extra: extra.into()",
        ),
    };
    let rest = match object.fields {
        [] => format!("{rest};"),
        _ => format!("match &*entry_key {{ {arms} _ => {rest}, }}"),
    };
    let body = format!(
        "{locals}let mut extra = {map};\nreader.object()?;\n\
         while let Some(entry_key) = reader.key()? {{\n{rest}\n}}\n\
         Ok(Self {{ {values} {made} }})\n"
    );
    let name = object.name;
    let _ = if object.is_request {
        let names: String = object
            .params
            .iter()
            .map(|field| format!("{},", field.name))
            .collect();
        let types = object
            .params
            .iter()
            .map(|field| format!("{},", field_type(field, module)));
        let types: String = types.collect();
        write!(
            code,
            "{SERVER}impl codec::Object for {name} {{\ntype Params = ({types});\n\n\
             fn read_object(({names}): Self::Params, reader: &mut Reader<'_>) -> Result<Self, codec::Error> {{\n\
             {body}}}\n}}\n\n"
        )
    } else {
        write!(
            code,
            "impl Read for {name} {{\n\
             fn read(reader: &mut Reader<'_>) -> Result<Self, codec::Error> {{\n{body}}}\n}}\n\n"
        )
    };
}

/// The implementation of `Deserialize`.
pub(crate) fn deserialize(code: &mut String, name: &str) {
    let _ = write!(
        code,
        "impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {{\n\
         codec::deserialize(from)\n}}\n}}\n\n"
    );
}

/// The implementation of `Serialize`.
pub(crate) fn write(code: &mut String, object: &Object<'_>) {
    let mut fields = String::new();
    for field in object.fields {
        let (wire, name) = (&field.wire, &field.name);
        let own = format!("self.{name}");
        let _ = match (&field.ty, field.required) {
            (Type::Constant(text), _) => {
                writeln!(fields, "map.serialize_entry(\"{wire}\", \"{text}\")?;")
            }
            (Type::Secret, true) => {
                writeln!(
                    fields,
                    "map.serialize_entry(\"{wire}\", &codec::Exposed(&{own}))?;"
                )
            }
            (Type::Secret, false) => writeln!(
                fields,
                "codec::entry(&mut map, \"{wire}\", {own}.as_ref().map(codec::Exposed).as_ref())?;"
            ),
            (Type::Millis | Type::Seconds, true) => {
                let wrapper = wrapper(&field.ty);
                writeln!(
                    fields,
                    "map.serialize_entry(\"{wire}\", &{wrapper}({own}))?;"
                )
            }
            (Type::Millis | Type::Seconds, false) => {
                let wrapper = wrapper(&field.ty);
                writeln!(
                    fields,
                    "codec::entry(&mut map, \"{wire}\", {own}.map({wrapper}).as_ref())?;"
                )
            }
            (_, true) if field.missing_as_empty => writeln!(
                fields,
                "codec::list_entry(&mut map, \"{wire}\", &{own}, {own}.is_empty(), &self.extra)?;"
            ),
            (_, true) => writeln!(fields, "map.serialize_entry(\"{wire}\", &{own})?;"),
            (_, false) => {
                writeln!(
                    fields,
                    "codec::entry(&mut map, \"{wire}\", {own}.as_ref())?;"
                )
            }
        };
    }
    let function = match object.extra {
        None | Some(Type::Value) => "extra",
        Some(_) => "typed_extra",
    };
    let set = set(object.fields);
    let rest = format!("codec::{function}(&mut map, &self.extra, &[{set}])?;");
    let name = object.name;
    let _ = write!(
        code,
        "impl Serialize for {name} {{\n\
         fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{\n\
         let mut map = serializer.serialize_map(None)?;\n{fields}{rest}\nmap.end()\n}}\n}}\n\n"
    );
}

/// The name of each field whose invalid value is stored in `extra`, and whether the field is set: then the
/// invalid value is not written.
fn set(fields: &[Field]) -> String {
    let mut set = String::new();
    for field in fields {
        let (wire, name) = (&field.wire, &field.name);
        let _ = match (&field.ty, field.required) {
            (Type::Constant(_), _) => Ok(()),
            (_, false) => write!(set, "(\"{wire}\", self.{name}.is_some()),"),
            (_, true) if field.missing_as_empty => {
                write!(set, "(\"{wire}\", !self.{name}.is_empty()),")
            }
            (_, true) => Ok(()),
        };
    }
    set
}

/// The call that reads a field.
fn reader(field: &Field, is_request: bool) -> String {
    let wire = &field.wire;
    let (function, rest) = match &field.ty {
        Type::Value if field.null_matters && !field.required => ("present", true),
        _ if field.missing_as_empty => ("or_empty", true),
        _ if !field.required => ("optional", true),
        Type::Value => ("any", false),
        // In a request, null is an error of the client.
        Type::List(_) | Type::LenientList(_) if !is_request => ("list_field", false),
        _ => ("field", false),
    };
    let rest = if rest { ", &mut extra" } else { "" };
    let read = format!("reader.{function}(\"{wire}\"{rest})?");
    match &field.ty {
        Type::Millis => format!("{read}.map(|codec::Millis(time)| time)"),
        Type::Seconds => format!("{read}.map(|codec::Seconds(time)| time)"),
        Type::Decimal => format!("{read}.map(|codec::Decimal(number)| number)"),
        Type::Digits => format!("{read}.map(|codec::Digits(number)| number)"),
        Type::NonEmpty(_) => format!("{read}.and_then(|codec::NonEmpty(value)| value)"),
        _ => read,
    }
}

/// The wrapper that a duration is serialised with.
fn wrapper(ty: &Type) -> &'static str {
    match ty {
        Type::Seconds => "codec::Seconds",
        _ => "codec::Millis",
    }
}
