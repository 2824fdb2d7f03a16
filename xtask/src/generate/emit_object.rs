//! Writes the (de)serialisation of JSON objects.
//!
//! Serde could derive most of it. The explicit code compiles in a fraction of the time, stores unknown
//! fields without a second copy, and supports raw JSON.

use std::fmt::Write;

use super::emit_type::{field_type, rust};
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
    let params: String = object
        .params
        .iter()
        .map(|field| format!("{},", field.name))
        .collect();
    let types: String = object
        .params
        .iter()
        .map(|field| format!("{},", field_type(field, module)))
        .collect();
    let mut locals = String::new();
    let mut arms = String::new();
    let mut values = params.clone();
    for field in object.fields {
        let (wire, name) = (&field.wire, &field.name);
        if let Type::Constant(text) = &field.ty {
            let _ = writeln!(
                arms,
                "\"{wire}\" => codec::constant(&mut entries, \"{text}\")?,"
            );
            continue;
        }
        let _ = writeln!(locals, "let mut {name} = None;");
        let _ = writeln!(
            arms,
            "\"{wire}\" => {name} = codec::{},",
            reader(field, object.is_request)
        );
        let _ = match (&field.ty, field.required) {
            // Absent and null mean the same.
            (Type::Nullable(_), true) | (_, false) => writeln!(values, "{name},"),
            _ if field.missing_as_empty && !object.is_request => {
                writeln!(values, "{name}: {name}.unwrap_or_default(),")
            }
            _ => writeln!(values, "{name}: codec::required({name}, \"{wire}\")?,"),
        };
    }
    let (map, rest) = match object.extra {
        None | Some(Type::Value) => (
            "Extra::new()",
            "extra.read(entry_key, &mut entries)?".to_owned(),
        ),
        Some(ty) => {
            let ty = rust(ty, module);
            let push = "extra.push((entry_key.into_owned(), entries.next_value";
            ("Vec::new()", format!("{push}::<{ty}>()?))"))
        }
    };
    let rest = match object.fields {
        [] => format!("{rest};"),
        _ => format!("match &*entry_key {{ {arms} _ => {rest}, }}"),
    };
    let made = match object.extra {
        None | Some(Type::Value) => "extra",
        Some(_) => "extra: extra.into()",
    };
    let name = object.name;
    let _ = write!(
        code,
        "{cfg}impl<'de> codec::Object<'de> for {name} {{\ntype Params = ({types});\n\n\
         fn read<A: MapAccess<'de>>(({params}): Self::Params, mut entries: A) -> Result<Self, A::Error> {{\n\
         {locals}let mut extra = {map};\n\
         while let Some(entry_key) = codec::key(&mut entries)? {{\n{rest}\n}}\n\
         Ok(Self {{ {values} {made} }})\n}}\n}}\n\n",
        cfg = if object.is_request { SERVER } else { "" },
    );
}

/// The implementation of `Deserialize`.
pub(crate) fn deserialize(code: &mut String, name: &str) {
    let _ = write!(
        code,
        "impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {{\n\
         codec::object(from, ())\n}}\n}}\n\n"
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
            (_, true) => writeln!(fields, "map.serialize_entry(\"{wire}\", &{own})?;"),
            (_, false) => {
                writeln!(
                    fields,
                    "codec::entry(&mut map, \"{wire}\", {own}.as_ref())?;"
                )
            }
        };
    }
    let rest = match object.extra {
        None | Some(Type::Value) => match lenient(object.fields) {
            set if set.is_empty() => "self.extra.write(&mut map)?;",
            set => &format!("codec::extra(&mut map, &self.extra, &[{set}])?;"),
        },
        Some(_) => "for (name, value) in &self.extra {\nmap.serialize_entry(name, value)?;\n}",
    };
    let name = object.name;
    let _ = write!(
        code,
        "impl Serialize for {name} {{\n\
         fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{\n\
         let mut map = serializer.serialize_map(None)?;\n{fields}{rest}\nmap.end()\n}}\n}}\n\n"
    );
}

/// The name of each lenient field, and whether it is set: then its invalid value is not written.
fn lenient(fields: &[Field]) -> String {
    let fields = fields.iter().filter(|field| field.lenient);
    fields
        .map(|field| format!("(\"{}\", self.{}.is_some()),", field.wire, field.name))
        .collect()
}

/// The call that reads a field.
fn reader(field: &Field, is_request: bool) -> String {
    if field.lenient {
        let read = format!("lenient(&mut entries, \"{}\", &mut extra)?", field.wire);
        return match &field.ty {
            Type::Millis => format!("{read}.map(|codec::Millis(time)| time)"),
            Type::Seconds => format!("{read}.map(|codec::Seconds(time)| time)"),
            Type::Decimal => format!("{read}.map(|codec::Decimal(number)| number)"),
            Type::NonEmpty(_) => format!("{read}.and_then(|codec::NonEmpty(value)| value)"),
            _ => read,
        };
    }
    let function = match &field.ty {
        // In a request, null is an error of the client.
        Type::List(_) | Type::LenientList(_) if field.required && !is_request => "list",
        Type::Decimal => "decimal",
        Type::Secret => "secret",
        Type::Millis => "millis",
        Type::NonEmpty(_) => "non_empty",
        Type::Seconds => "seconds",
        Type::Value if field.null_matters || field.required => "present",
        _ => "value",
    };
    format!("{function}(&mut entries)?")
}

/// The wrapper that a duration is serialised with.
fn wrapper(ty: &Type) -> &'static str {
    match ty {
        Type::Seconds => "codec::Seconds",
        _ => "codec::Millis",
    }
}
