//! Writes the server side of operations: reading requests and writing responses.

use std::fmt::Write;

use super::emit_object::SERVER;
use super::emit_type::{field_type, rust};
use super::model::{Field, Operation, ParameterLocation, RequestBody, ResponseBody, Type};
use super::names::snake;

/// The server side of an operation.
pub(crate) fn server_endpoint(code: &mut String, found: &Operation, module: &str) {
    let name = &found.name;
    let (response, write) = match &found.response {
        ResponseBody::Json(ty) => (rust(ty, module), "OutgoingResponse::json(response)"),
        ResponseBody::Content => ("Content".to_owned(), "OutgoingResponse::content(response)"),
        ResponseBody::Redirect => (
            "Redirect".to_owned(),
            "OutgoingResponse::redirect(response)",
        ),
    };
    let invalid = match &found.response {
        ResponseBody::Json(_) => format!(
            "fn invalid_parts(response: &Response) -> Vec<InvalidPart> {{\n\
             codec::invalid_parts_of::<{response}>(response)\n}}\n\n"
        ),
        ResponseBody::Content | ResponseBody::Redirect => String::new(),
    };
    let argument = if reads_nothing(found) { "_" } else { "request" };
    let _ = write!(
        code,
        "{SERVER}impl ServerEndpoint for {name} {{\n\
         const PARAMETERS: &'static [Parameter] = &[{}];\n\n\
         fn read_request({argument}: &IncomingRequest<'_>) -> Result<Self, RequestError> {{\n{}\n}}\n\n\
         {invalid}fn write_success(response: &{response}) -> OutgoingResponse {{\n{write}\n}}\n}}\n\n",
        parameters(found),
        read(found, module),
    );
}

fn reads_nothing(found: &Operation) -> bool {
    found.parameters.is_empty() && matches!(found.body, RequestBody::None | RequestBody::Empty)
}

/// The constants that describe the parts of a request.
fn parameters(found: &Operation) -> String {
    let mut code = String::new();
    for parameter in &found.parameters {
        let location = match parameter.location {
            ParameterLocation::Path => "path",
            ParameterLocation::Query => "query",
            ParameterLocation::Header => "header",
        };
        code += &self::parameter(location, &parameter.field);
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

fn parameter(location: &str, field: &Field) -> String {
    let kind = match &field.ty {
        Type::Text | Type::Secret | Type::Id(_) | Type::Enum(_) => "Text",
        Type::Unsigned
        | Type::Signed
        | Type::Digits
        | Type::Timestamp
        | Type::Millis
        | Type::Seconds => "Integer",
        Type::Bool => "Boolean",
        Type::List(of) if matches!(**of, Type::Text | Type::Id(_) | Type::Enum(_)) => "Texts",
        Type::Map(..) if location == "query" => "Pairs",
        _ => "Json",
    };
    let required = if field.required { ".required()" } else { "" };
    let secret = match field.ty {
        Type::Secret => ".secret()",
        _ => "",
    };
    format!(
        "Parameter::{location}(\"{}\", ParameterType::{kind}){required}{secret},",
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
        let location = match parameter.location {
            ParameterLocation::Path => "path",
            ParameterLocation::Query => "query",
            ParameterLocation::Header => "header",
        };
        let value = match (&field.ty, field.required) {
            (Type::List(_), true) => format!("request.list(\"{wire}\")?"),
            (Type::List(_), false) => format!("request.optional_list(\"{wire}\")?"),
            (Type::Map(..), _) => {
                let named = found
                    .parameters
                    .iter()
                    .filter(|other| other.location == ParameterLocation::Query);
                let named: Vec<&str> = named
                    .map(|other| other.field.wire.as_str())
                    .filter(|other| other != wire)
                    .collect();
                format!("request.other_pairs(&{named:?}).into()")
            }
            (Type::Millis, true) => format!("request.{location}::<Millis>(\"{wire}\")?.0"),
            (Type::Millis, false) => {
                format!("request.{location}_optional::<Millis>(\"{wire}\")?.map(|time| time.0)")
            }
            (_, true) => format!("request.{location}(\"{wire}\")?"),
            (_, false) => format!("request.{location}_optional(\"{wire}\")?"),
        };
        let ty = field_type(field, module);
        let _ = writeln!(locals, "let {name}: {ty} = {value};");
        names = names + name + ",";
    }
    let made = match &found.body {
        RequestBody::Fields(_) => {
            format!("request.object(|reader| codec::Object::read_object(({names}), reader))")
        }
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
