//! Writes the other side of operations: how a server reads requests and writes answers.

use std::fmt::Write;

use super::emit_object::SERVER;
use super::emit_type::{field_type, rust};
use super::model::{Field, Operation, Place, Reply, RequestBody, Type};
use super::names::snake;

/// What a server does with an operation.
pub(crate) fn served(code: &mut String, found: &Operation, module: &str) {
    let name = &found.name;
    let (response, write) = match &found.reply {
        Reply::Json(ty) => (rust(ty, module), "Reply::json(response)"),
        Reply::Content => ("Content".to_owned(), "Reply::content(response)"),
        Reply::Redirect => ("Redirect".to_owned(), "Reply::redirect(response)"),
    };
    let takes = match reads_nothing(found) {
        true => "_",
        false => "request",
    };
    let _ = write!(
        code,
        "{SERVER}impl Served for {name} {{\n\
         const PARAMETERS: &'static [Parameter] = &[{}];\n\n\
         fn read_request({takes}: &Incoming<'_>) -> Result<Self, RequestError> {{\n{}\n}}\n\n\
         fn write_success(response: &{response}) -> Reply {{\n{write}\n}}\n}}\n\n",
        parameters(found),
        read(found, module),
    );
}

fn reads_nothing(found: &Operation) -> bool {
    found.parameters.is_empty() && matches!(found.body, RequestBody::None | RequestBody::Empty)
}

/// What a request is made of, as constants.
fn parameters(found: &Operation) -> String {
    let mut code = String::new();
    for parameter in &found.parameters {
        let place = match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        code += &self::parameter(place, &parameter.field);
    }
    match &found.body {
        RequestBody::Fields(fields) => {
            code.extend(fields.iter().map(|field| parameter("body", field)));
        }
        RequestBody::Whole(_) | RequestBody::Keyed(_) => code += "Parameter::WHOLE_BODY,",
        RequestBody::Bytes => code += "Parameter::BYTES,",
        RequestBody::None | RequestBody::Empty => {}
    }
    code
}

fn parameter(place: &str, field: &Field) -> String {
    let shape = match &field.ty {
        Type::Text | Type::Secret | Type::Id(_) | Type::Enum(_) => "Text",
        Type::Unsigned | Type::Signed | Type::Timestamp | Type::Millis | Type::Seconds => "Integer",
        Type::Bool => "Boolean",
        Type::List(of) if matches!(**of, Type::Text | Type::Id(_) | Type::Enum(_)) => "Texts",
        Type::Map(..) if place == "query" => "Pairs",
        _ => "Json",
    };
    let required = match field.required {
        true => ".required()",
        false => "",
    };
    let secret = match field.ty {
        Type::Secret => ".secret()",
        _ => "",
    };
    format!(
        "Parameter::{place}(\"{}\", Shape::{shape}){required}{secret},",
        field.wire
    )
}

/// The body of `read_request`.
fn read(found: &Operation, module: &str) -> String {
    let mut locals = String::new();
    let mut names = String::new();
    for parameter in &found.parameters {
        let field = &parameter.field;
        let (name, wire) = (&field.name, &field.wire);
        let place = match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        let value = match (&field.ty, field.required) {
            (Type::List(_), true) => format!("request.all(\"{wire}\")?"),
            (Type::List(_), false) => format!("request.any(\"{wire}\")?"),
            (Type::Map(..), _) => {
                let named = found
                    .parameters
                    .iter()
                    .filter(|other| other.place == Place::Query);
                let named: Vec<&str> = named
                    .map(|other| other.field.wire.as_str())
                    .filter(|other| other != wire)
                    .collect();
                format!("request.other_pairs(&{named:?}).into()")
            }
            (Type::Millis, true) => format!("request.{place}::<Millis>(\"{wire}\")?.0"),
            (Type::Millis, false) => {
                format!("request.{place}_if::<Millis>(\"{wire}\")?.map(|time| time.0)")
            }
            (_, true) => format!("request.{place}(\"{wire}\")?"),
            (_, false) => format!("request.{place}_if(\"{wire}\")?"),
        };
        let ty = field_type(field, module);
        let _ = writeln!(locals, "let {name}: {ty} = {value};");
        names = names + name + ",";
    }
    let made = match &found.body {
        RequestBody::Fields(_) => format!("request.object(({names}))"),
        RequestBody::None | RequestBody::Empty => format!("Ok(Self {{ {names} }})"),
        RequestBody::Whole(_) => format!("Ok(Self {{ {names} body: request.json()? }})"),
        RequestBody::Keyed(key) => {
            let key = snake(key);
            let _ = writeln!(locals, "let value = request.keyed({key}.as_str())?;");
            format!("Ok(Self {{ {names} value }})")
        }
        RequestBody::Bytes => format!("Ok(Self {{ {names} body: request.bytes() }})"),
    };
    locals + &made
}
