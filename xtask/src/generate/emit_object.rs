//! Writes how JSON objects are read and written.
//!
//! Serde could derive most of it. Written out it compiles in a fraction of the time, keeps what the
//! specification does not name without a second copy, and takes JSON kept as text.

use std::fmt::Write;

use super::emit_type::{field_type, rust};
use super::model::{Field, Type};

/// A struct that is a JSON object, or whose body is one.
pub(crate) struct Object<'a> {
    pub(crate) name: &'a str,
    /// Fields that the object does not hold: known before it is read.
    pub(crate) params: &'a [&'a Field],
    pub(crate) fields: &'a [Field],
    pub(crate) extra: Option<&'a Type>,
    /// Whether only servers read it.
    pub(crate) is_request: bool,
}

/// What only servers need.
pub(crate) const SERVER: &str = "#[cfg(feature = \"server\")]\n";

/// How the fields are read.
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
            // Absent and null are the same.
            (Type::Nullable(_), true) | (_, false) => writeln!(values, "{name},"),
            _ if field.may_lack && !object.is_request => {
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

/// That it can be read from anything.
pub(crate) fn deserialize(code: &mut String, name: &str) {
    let _ = write!(
        code,
        "impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {{\n\
         codec::object(from, ())\n}}\n}}\n\n"
    );
}

/// How the object is written.
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
        None | Some(Type::Value) => match lax(object.fields) {
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

/// Of each field whose place may be taken by what did not fit, whether it is set.
fn lax(fields: &[Field]) -> String {
    let fields = fields.iter().filter(|field| field.lax);
    fields
        .map(|field| format!("(\"{}\", self.{}.is_some()),", field.wire, field.name))
        .collect()
}

/// The call that reads a field.
fn reader(field: &Field, is_request: bool) -> String {
    if field.lax {
        let read = format!("lax(&mut entries, \"{}\", &mut extra)?", field.wire);
        return match &field.ty {
            Type::Millis => format!("{read}.map(|codec::Millis(time)| time)"),
            Type::Seconds => format!("{read}.map(|codec::Seconds(time)| time)"),
            Type::Decimal => format!("{read}.map(|codec::Decimal(number)| number)"),
            Type::Filled(_) => format!("{read}.and_then(|codec::Filled(value)| value)"),
            _ => read,
        };
    }
    let function = match &field.ty {
        // In requests null is the mistake of whoever asks, and to be told.
        Type::List(_) | Type::LenientList(_) if field.required && !is_request => "list",
        Type::Decimal => "decimal",
        Type::Secret => "secret",
        Type::Millis => "millis",
        Type::Filled(_) => "filled",
        Type::Seconds => "seconds",
        Type::Value if field.null_matters || field.required => "present",
        _ => "value",
    };
    format!("{function}(&mut entries)?")
}

/// What a time is written with.
fn wrapper(ty: &Type) -> &'static str {
    match ty {
        Type::Seconds => "codec::Seconds",
        _ => "codec::Millis",
    }
}
