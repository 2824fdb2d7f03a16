//! Writes types and their fields as Rust.

use std::fmt::Write;

use super::model::{Enum, Field, Struct, Type};

/// An enumeration of texts.
pub(crate) fn enumeration(code: &mut String, found: &Enum) {
    *code += "text_enum! {\n";
    doc(code, "    ", &found.doc);
    let _ = writeln!(code, "    pub enum {} {{", found.name);
    for (name, value) in &found.values {
        let _ = writeln!(code, "        {name} = \"{value}\",");
    }
    *code += "    }\n}\n\n";
}

/// A struct: its fields, how it is made, and what serde does with it.
pub(crate) fn structure(code: &mut String, found: &Struct, module: &str) {
    let has_default = found.fields.iter().all(|field| !field.required);
    doc(code, "", &found.doc);
    let mut derives = vec!["Clone", "Debug"];
    derives.extend(has_default.then_some("Default"));
    derives.push("PartialEq");
    if found.extra.is_none() {
        derives.extend(["Serialize", "Deserialize"]);
    }
    let _ = writeln!(
        code,
        "#[derive({})]\npub struct {} {{",
        derives.join(", "),
        found.name
    );
    let serde = match found.extra {
        None => Serde::Derived,
        Some(_) => Serde::None,
    };
    for field in &found.fields {
        self::field(code, field, module, serde);
    }
    if let Some(extra) = &found.extra {
        let _ = writeln!(
            code,
            "    /// All else.\n    pub extra: {},",
            extra_type(extra, module)
        );
    }
    *code += "}\n\n";
    let required: Vec<&Field> = found.fields.iter().filter(|field| field.required).collect();
    let optional: Vec<&str> = found
        .fields
        .iter()
        .filter(|field| !field.required)
        .map(|field| field.name.as_str())
        .chain(found.extra.as_ref().map(|_| "extra"))
        .collect();
    constructor(code, &found.name, &required, &optional, module);
    if let Some(extra) = &found.extra {
        open_structure(code, found, extra);
    }
}

/// What serde has to do with a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serde {
    /// It is derived for the struct, and the field is part of the JSON.
    Derived,
    /// It is derived for the struct, and the field is no part of the JSON.
    Skipped,
    /// It is not derived.
    None,
}

/// A field of a struct.
pub(crate) fn field(code: &mut String, field: &Field, module: &str, serde: Serde) {
    let name = format!("`{}`.", field.wire);
    let words = field.words.as_deref().unwrap_or(&name);
    doc(code, "    ", format!("{words} {}", field.facts).trim());
    let attributes = match serde {
        Serde::Derived => attributes(field).join(", "),
        Serde::Skipped => "skip".to_owned(),
        Serde::None => String::new(),
    };
    if !attributes.is_empty() {
        let _ = writeln!(code, "    #[serde({attributes})]");
    }
    let _ = writeln!(
        code,
        "    pub {}: {},",
        field.name,
        field_type(field, module)
    );
}

/// `new`, where there is something to be given, and not too much to keep in order.
pub(crate) fn constructor(
    code: &mut String,
    name: &str,
    required: &[&Field],
    optional: &[&str],
    module: &str,
) {
    if required.is_empty() || required.len() > 6 {
        return;
    }
    let mut parameters = Vec::new();
    let mut values = String::new();
    for field in required {
        let ty = match field.ty {
            Type::Text => "impl Into<String>".to_owned(),
            Type::Secret => "impl Into<Secret>".to_owned(),
            _ => rust(&field.ty, module),
        };
        let into = matches!(field.ty, Type::Text | Type::Secret);
        parameters.push(format!("{}: {ty}", field.name));
        let value = if into {
            format!(": {}.into()", field.name)
        } else {
            String::new()
        };
        let _ = writeln!(values, "{}{value},", field.name);
    }
    for name in optional {
        match *name {
            "extra" => values += "extra: Default::default(),\n",
            name => {
                let _ = writeln!(values, "{name}: None,");
            }
        }
    }
    let _ = write!(
        code,
        "impl {name} {{\n    /// With what is required, and nothing else.\n    \
         pub fn new({}) -> Self {{\n Self {{ {values} }} }}\n}}\n\n",
        parameters.join(", ")
    );
}

/// A type as it is written in `module`.
pub(crate) fn rust(ty: &Type, module: &str) -> String {
    let inner = |ty: &Type| rust(ty, module);
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::Unsigned => "u64".to_owned(),
        Type::Signed => "i64".to_owned(),
        Type::Float => "f64".to_owned(),
        Type::Text => "String".to_owned(),
        Type::Secret => "Secret".to_owned(),
        Type::Timestamp => "Timestamp".to_owned(),
        Type::Id(name) => (*name).to_owned(),
        Type::Value => "Value".to_owned(),
        Type::Object => "Map<String, Value>".to_owned(),
        Type::Raw(None) => "Raw".to_owned(),
        Type::Raw(Some(of)) => format!("Raw<{}>", inner(of)),
        Type::Nullable(of) => format!("Option<{}>", inner(of)),
        Type::List(of) => format!("Vec<{}>", inner(of)),
        Type::Map(key, value) => format!("BTreeMap<{}, {}>", inner(key), inner(value)),
        Type::TextOr(of) => format!("TextOr<{}>", inner(of)),
        Type::Struct(path) | Type::Enum(path) if path.module == module => path.name.clone(),
        Type::Struct(path) | Type::Enum(path) => format!("{}::{}", path.module, path.name),
        Type::Hand(name, _) => name.clone(),
    }
}

/// Documentation, broken into lines.
pub(crate) fn doc(code: &mut String, indent: &str, text: &str) {
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && indent.len() + 4 + line.len() + 1 + word.len() > 100 {
                let _ = writeln!(code, "{indent}/// {line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        let _ = writeln!(code, "{}", format!("{indent}/// {line}").trim_end());
    }
}

/// What serde must know about a field.
fn attributes(field: &Field) -> Vec<String> {
    let mut attributes = Vec::new();
    if field.wire != field.name {
        attributes.push(format!("rename = \"{}\"", field.wire));
    }
    if field.ty == Type::Secret {
        attributes.push("with = \"exposed\"".to_owned());
    }
    if field.null_matters {
        attributes.push("deserialize_with = \"wire::present\"".to_owned());
    }
    if !field.required {
        if field.ty == Type::Secret || field.null_matters {
            attributes.push("default".to_owned());
        }
        attributes.push("skip_serializing_if = \"Option::is_none\"".to_owned());
    }
    attributes
}

/// The type of a field: optional unless it is required.
fn field_type(field: &Field, module: &str) -> String {
    let ty = match &field.ty {
        // An absent one and null are the same.
        Type::Nullable(inner) if !field.required => inner,
        other => other,
    };
    let ty = rust(ty, module);
    if field.required {
        ty
    } else {
        format!("Option<{ty}>")
    }
}

fn extra_type(extra: &Type, module: &str) -> String {
    match extra {
        Type::Value => "Map<String, Value>".to_owned(),
        other => format!("BTreeMap<String, {}>", rust(other, module)),
    }
}

/// A struct with others beside its fields: serde's own way (`flatten`) would be slower, and could
/// not hold JSON kept as text.
fn open_structure(code: &mut String, found: &Struct, extra: &Type) {
    let name = &found.name;
    let mut read = String::new();
    let mut write = String::new();
    for field in &found.fields {
        let how = if field.required {
            "required"
        } else {
            "optional"
        };
        let (name, wire) = (&field.name, &field.wire);
        let _ = writeln!(read, "{name}: fields.{how}(\"{wire}\")?,");
        if field.required {
            let _ = writeln!(write, "map.serialize_entry(\"{wire}\", &self.{name})?;");
        } else {
            let _ = writeln!(
                write,
                "if let Some({name}) = &self.{name} {{\nmap.serialize_entry(\"{wire}\", {name})?;\n}}"
            );
        }
    }
    let rest = if *extra == Type::Value {
        "rest()"
    } else {
        "rest_as()?"
    };
    let _ = write!(
        code,
        "impl Serialize for {name} {{\n\
         fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{\n\
         let mut map = serializer.serialize_map(None)?;\n{write}\
         for (key, value) in &self.extra {{\nmap.serialize_entry(key, value)?;\n}}\nmap.end()\n}}\n}}\n\n\
         impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{\n\
         let mut fields = wire::Fields::deserialize(deserializer)?;\n\
         Ok(Self {{ {read} extra: fields.{rest}, }})\n}}\n}}\n\n"
    );
}
