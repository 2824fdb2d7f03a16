//! Writes structs, enums and their fields.

use std::fmt::Write;

use super::emit_object::{self, Object};
use super::model::{Enum, Field, Struct, Type};

/// An enum of strings.
pub(crate) fn enumeration(code: &mut String, found: &Enum) {
    *code += "text_enum! {\n";
    doc(code, "    ", &found.doc);
    let _ = writeln!(code, "    pub enum {} {{", found.name);
    for (name, value) in &found.values {
        let _ = writeln!(code, "        {name} = \"{value}\",");
    }
    *code += "    }\n}\n\n";
}

/// A struct: its fields, constructors and serialisation.
pub(crate) fn structure(code: &mut String, found: &Struct, module: &str) {
    // A constant is not a field in Rust.
    let is_field = |field: &&Field| !matches!(field.ty, Type::Constant(_));
    let fields: Vec<&Field> = found.fields.iter().filter(is_field).collect();
    // An empty list of items is a value like any other.
    let is_list = |field: &Field| matches!(field.ty, Type::List(_) | Type::LenientList(_));
    let has_default = fields.iter().all(|field| !field.required || is_list(field));
    doc(code, "", &found.doc);
    let mut derives = vec!["Clone", "Debug"];
    derives.extend(has_default.then_some("Default"));
    derives.push("PartialEq");
    let name = &found.name;
    let _ = writeln!(
        code,
        "#[derive({})]\npub struct {name} {{",
        derives.join(", ")
    );
    for field in &fields {
        self::field(code, field, module);
    }
    extra(code, found.extra.as_ref(), module);
    *code += "}\n\n";
    constructors(code, name, &fields, true, module);
    let object = Object {
        name,
        params: &[],
        fields: &found.fields,
        extra: found.extra.as_ref(),
        is_request: false,
    };
    emit_object::read(code, &object, module);
    emit_object::deserialize(code, name);
    emit_object::write(code, &object);
}

/// A field of a struct.
pub(crate) fn field(code: &mut String, field: &Field, module: &str) {
    let name = format!("`{}`.", field.wire);
    let docs = field.docs.as_deref().unwrap_or(&name);
    doc(code, "    ", format!("{docs} {}", field.facts).trim());
    let ty = field_type(field, module);
    let _ = writeln!(code, "    pub {}: {ty},", field.name);
}

/// The field for the fields that the struct does not have.
pub(crate) fn extra(code: &mut String, extra: Option<&Type>, module: &str) {
    let (docs, ty) = match extra {
        None | Some(Type::Value) => (
            "Fields that the specification does not name.",
            "Extra".to_owned(),
        ),
        Some(ty) => {
            let ty = rust(ty, module);
            (
                "All other fields, by name.",
                format!("SortedMap<String, {ty}>"),
            )
        }
    };
    let _ = writeln!(code, "    /// {docs}\n    pub extra: {ty},");
}

/// The constructor, which takes the required fields, and a setter for each optional field.
pub(crate) fn constructors(
    code: &mut String,
    name: &str,
    fields: &[&Field],
    has_extra: bool,
    module: &str,
) {
    let mut methods = String::new();
    constructor(&mut methods, fields, has_extra, module);
    for field in fields.iter().filter(|field| !field.required) {
        let ty = match &field.ty {
            Type::Nullable(of) => of,
            ty => ty,
        };
        let (name, argument) = (&field.name, argument(ty, module));
        let value = converted(ty, name);
        let _ = write!(
            methods,
            "\n    /// Sets `{}`.\n    #[must_use]\n    \
             pub fn {name}(mut self, {name}: {argument}) -> Self {{\n        \
             self.{name} = Some({value});\n        self\n    }}\n",
            field.wire
        );
    }
    if !methods.is_empty() {
        let _ = write!(
            code,
            "impl {name} {{\n{}}}\n\n",
            methods.trim_start_matches('\n')
        );
    }
}

/// `new`, unless nothing is required or too many arguments would be easy to mix up.
fn constructor(code: &mut String, fields: &[&Field], has_extra: bool, module: &str) {
    let required = fields.iter().filter(|field| field.required);
    let parameters: Vec<String> = required
        .map(|field| format!("{}: {}", field.name, argument(&field.ty, module)))
        .collect();
    if parameters.is_empty() || parameters.len() > 6 {
        return;
    }
    let mut values = String::new();
    for field in fields {
        let name = &field.name;
        let value = match converted(&field.ty, name) {
            _ if !field.required => format!("{name}: None"),
            value if value == *name => value,
            value => format!("{name}: {value}"),
        };
        values = values + &value + ",\n";
    }
    if has_extra {
        values += "extra: Default::default(),\n";
    }
    let _ = write!(
        code,
        "    /// Creates a value from the required fields.\n    \
         pub fn new({}) -> Self {{\n Self {{ {values} }} }}\n",
        parameters.join(", ")
    );
}

/// The type of an argument that becomes a field.
fn argument(ty: &Type, module: &str) -> String {
    match ty {
        Type::Text => "impl Into<String>".to_owned(),
        Type::Secret => "impl Into<Secret>".to_owned(),
        Type::LenientList(_) => format!("impl Into<{}>", rust(ty, module)),
        Type::Nullable(of) => format!("impl Into<Option<{}>>", rust(of, module)),
        ty => rust(ty, module),
    }
}

/// The expression that converts such an argument to the field's value.
fn converted(ty: &Type, name: &str) -> String {
    match ty {
        Type::Text | Type::Secret | Type::Nullable(_) | Type::LenientList(_) => {
            format!("{name}.into()")
        }
        _ => name.to_owned(),
    }
}

/// The Rust type, as `module` refers to it.
pub(crate) fn rust(ty: &Type, module: &str) -> String {
    let inner = |ty: &Type| rust(ty, module);
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::Unsigned => "u64".to_owned(),
        Type::Signed | Type::Digits => "i64".to_owned(),
        Type::Float | Type::Decimal => "f64".to_owned(),
        Type::Text => "String".to_owned(),
        Type::Secret => "Secret".to_owned(),
        Type::Timestamp => "Timestamp".to_owned(),
        Type::Millis | Type::Seconds => "Duration".to_owned(),
        Type::Id(name) => (*name).to_owned(),
        Type::Value => "Value".to_owned(),
        Type::Object => "Map<String, Value>".to_owned(),
        Type::Raw(None) => "Raw".to_owned(),
        Type::Raw(Some(of)) => format!("Raw<{}>", inner(of)),
        Type::Nullable(of) => format!("Option<{}>", inner(of)),
        Type::List(of) => format!("Vec<{}>", inner(of)),
        Type::LenientList(of) => format!("LenientList<{}>", inner(of)),
        Type::Map(key, value) => format!("SortedMap<{}, {}>", inner(key), inner(value)),
        Type::StringOr(of) => format!("StringOr<{}>", inner(of)),
        Type::Struct(path) | Type::Enum(path) if path.module == module => path.name.clone(),
        Type::Struct(path) | Type::Enum(path) => format!("{}::{}", path.module, path.name),
        Type::HandWritten(name, _) => name.clone(),
        Type::Constant(_) => "String".to_owned(),
        Type::NonEmpty(of) => inner(of),
    }
}

/// A doc comment, wrapped at 100 columns.
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

/// The type of a field: optional unless it is required.
pub(crate) fn field_type(field: &Field, module: &str) -> String {
    let ty = match &field.ty {
        // Absent and null mean the same.
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
