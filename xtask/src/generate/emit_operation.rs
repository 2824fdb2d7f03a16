//! Writes operations.

use std::fmt::Write;

use super::emit_doc::documentation;
use super::emit_object::{self, Object};
use super::emit_server;
use super::emit_type::{constructors, extra, field, rust};
use super::model::{
    Field, Module, Operation, Parameter, ParameterLocation, RequestBody, ResponseBody, Type,
};
use super::names::{pascal, snake};

/// The request type of an operation and its implementations.
pub(crate) fn operation(code: &mut String, found: &Operation, module: &Module, api: &str) {
    let module = module.name.as_str();
    documentation(code, found);
    let parts = parts(found);
    request(code, found, &parts, module);
    let fields: Vec<&Field> = parts.iter().map(|(_, field)| field).collect();
    constructors(code, &found.name, &fields, is_object(found), module);
    endpoint(code, found, module, api);
    if let RequestBody::Fields(fields) = &found.body {
        if found.uia && fields.iter().any(|field| field.name == "auth") {
            interactive(code, &found.name);
        }
        let params: Vec<&Field> = found.parameters.iter().map(|one| &one.field).collect();
        let object = Object {
            name: &found.name,
            params: &params,
            fields,
            extra: None,
            is_request: true,
        };
        emit_object::write(code, &object);
        emit_object::read(code, &object, module);
    }
    emit_server::server_endpoint(code, found, module);
}

/// Whether the body is an object of fields of the request.
fn is_object(found: &Operation) -> bool {
    matches!(found.body, RequestBody::Fields(_))
}

/// Every field of the request, and whether it is a field of the JSON object in the body.
fn parts(found: &Operation) -> Vec<(bool, Field)> {
    let parameters = found
        .parameters
        .iter()
        .map(|Parameter { location, field }| {
            let location = match location {
                ParameterLocation::Path => "Path",
                ParameterLocation::Query => "Query",
                ParameterLocation::Header => "Header",
            };
            let docs = field.docs.as_deref().unwrap_or_default();
            let docs = format!("{location} `{}`. {docs}", field.wire);
            let docs = Some(docs.trim().to_owned());
            (
                false,
                Field {
                    docs,
                    ..field.clone()
                },
            )
        });
    let mut parts: Vec<(bool, Field)> = parameters.collect();
    match &found.body {
        RequestBody::Fields(fields) => {
            parts.extend(fields.iter().map(|field| (true, field.clone())));
        }
        RequestBody::Whole(ty) => {
            parts.push((false, whole("body", ty.clone(), "The request body.")))
        }
        RequestBody::Keyed(key) => {
            let docs =
                format!("The only field of the body; its name is the path parameter `{key}`.");
            parts.push((false, whole("value", Type::Value, &docs)));
        }
        RequestBody::Bytes => {
            let ty = Type::HandWritten("Body".to_owned(), Vec::new());
            parts.push((
                false,
                whole("body", ty, "The request body: bytes or a file."),
            ));
        }
        RequestBody::None | RequestBody::Empty => {}
    }
    parts
}

fn whole(name: &str, ty: Type, docs: &str) -> Field {
    Field {
        wire: name.to_owned(),
        name: name.to_owned(),
        ty,
        required: true,
        null_matters: false,
        missing_as_empty: false,
        docs: Some(docs.to_owned()),
        facts: String::new(),
    }
}

fn request(code: &mut String, found: &Operation, parts: &[(bool, Field)], module: &str) {
    let mut derives = vec!["Clone", "Debug"];
    if parts.iter().all(|(_, field)| !field.required) {
        derives.push("Default");
    }
    derives.push("PartialEq");
    let _ = writeln!(code, "#[derive({})]", derives.join(", "));
    let own = pascal(&found.id);
    if own != found.name {
        let _ = writeln!(code, "#[doc(alias = \"{own}\")]");
    }
    // The name in libkazv.
    let (first, rest) = found.id.split_at(1);
    let job = format!("{}{rest}Job", first.to_ascii_uppercase());
    let _ = writeln!(
        code,
        "#[doc(alias = \"{job}\")]\npub struct {} {{",
        found.name
    );
    for (_, part) in parts {
        field(code, part, module);
    }
    if is_object(found) {
        extra(code, None, module);
    }
    *code += "}\n\n";
}

fn endpoint(code: &mut String, found: &Operation, module: &str, api: &str) {
    let (response, read) = match &found.response {
        ResponseBody::Json(ty) => (rust(ty, module), "codec::read(response)"),
        ResponseBody::Content => ("Content".to_owned(), "Content::read(response)"),
        ResponseBody::Redirect => ("Redirect".to_owned(), "Redirect::read(response)"),
    };
    let name = &found.name;
    let _ = write!(
        code,
        "impl Endpoint for {name} {{\n    const OPERATION: Operation = {};\n\n    \
         type Response = {response};\n\n    \
         fn job(&self, server: &ServerUrl) -> Job {{\n{}    }}\n\n    \
         fn read_success(response: &Response) -> Result<{response}, ApiError> {{\n        \
         {read}\n    }}\n}}\n\n",
        constant(found, api),
        job(found)
    );
}

/// The implementation for user-interactive authentication.
fn interactive(code: &mut String, name: &str) {
    let _ = write!(
        code,
        "impl UiaEndpoint for {name} {{\n    fn with_auth(self, auth: AuthData) -> Self {{\n        \
         self.auth(auth)\n    }}\n}}\n\n"
    );
}

fn constant(found: &Operation, api: &str) -> String {
    let method = match found.method.as_str() {
        "get" => "Get",
        "put" => "Put",
        "post" => "Post",
        _ => "Delete",
    };
    let mut code = format!(
        "Operation::new(Api::{api}, \"{}\", Method::{method}, \"{}\")",
        found.id, found.path
    );
    if found.auth != "None" {
        let _ = write!(code, ".with_auth(OperationAuth::{})", found.auth);
    }
    if found.rate_limited {
        code += ".with_rate_limit()";
    }
    if found.uia {
        code += ".with_uia()";
    }
    if found.guests {
        code += ".with_guests()";
    }
    if let Some(since) = &found.since {
        let _ = write!(code, ".with_since(\"{since}\")");
    }
    if found.deprecated {
        code += ".with_deprecated()";
    }
    let in_query: Vec<String> = found
        .parameters
        .iter()
        .filter(|parameter| {
            parameter.location == ParameterLocation::Query && parameter.field.ty == Type::Secret
        })
        .map(|parameter| parameter.field.wire.clone())
        .collect();
    if !in_query.is_empty() {
        let _ = write!(code, ".with_query_secrets(&{in_query:?})");
    }
    if !found.request_secrets.is_empty() || !found.response_secrets.is_empty() {
        let (request, response) = (&found.request_secrets, &found.response_secrets);
        let _ = write!(code, ".with_secrets(&{request:?}, &{response:?})");
    }
    if let Some(retry) = &found.retry {
        let _ = write!(code, ".with_retry_safety(RetrySafety::{retry})");
    }
    code
}

/// The body of `job`.
fn job(found: &Operation) -> String {
    let mut code = String::new();
    let segments: Vec<String> = found
        .parameters
        .iter()
        .filter(|parameter| parameter.location == ParameterLocation::Path)
        .map(|parameter| {
            as_text(
                &parameter.field.ty,
                &format!("self.{}", parameter.field.name),
            )
        })
        .collect();
    let mut job = "Job::for_operation(server, Self::OPERATION.path, &Self::OPERATION)".to_owned();
    if !segments.is_empty() {
        let fixed: Vec<&str> = found.path.split(['{', '}']).step_by(2).collect();
        let _ = writeln!(
            code,
            "let url = codec::address(server, &{fixed:?}, &[{}]);",
            segments.join(", ")
        );
        job = "Job::for_operation_at(url, &Self::OPERATION)".to_owned();
    }
    let body = match &found.body {
        RequestBody::None => "",
        RequestBody::Empty => ".with_body(codec::empty_body())",
        RequestBody::Fields(_) => ".with_body(codec::body(self))",
        RequestBody::Whole(Type::Raw(_)) => ".with_body(codec::raw_body(&self.body))",
        RequestBody::Whole(_) => ".with_body(codec::body(&self.body))",
        RequestBody::Keyed(key) => &format!(
            ".with_body(codec::keyed_body(&self.{}, &self.value))",
            snake(key)
        ),
        RequestBody::Bytes => ".with_body(self.body.clone())",
    };
    job += body;
    match found.response {
        ResponseBody::Json(_) => {}
        ResponseBody::Content => job += ".with_response_format(ResponseFormat::Bytes)",
        ResponseBody::Redirect => job += ".with_response_format(ResponseFormat::Location)",
    }
    let mut changes = String::new();
    for parameter in &found.parameters {
        match parameter.location {
            ParameterLocation::Path => {}
            ParameterLocation::Query => {
                pair(&mut job, &mut changes, "with_query", &parameter.field)
            }
            ParameterLocation::Header => {
                pair(&mut job, &mut changes, "with_header", &parameter.field)
            }
        }
    }
    if changes.is_empty() {
        code += &job;
        code.push('\n');
    } else {
        let _ = write!(code, "let mut job = {job};\n{changes}job\n");
    }
    code
}

/// Adds a pair to the query or the headers: a required one in the chain, an optional one after it.
fn pair(job: &mut String, changes: &mut String, with: &str, field: &Field) {
    let (wire, name) = (&field.wire, &field.name);
    let own = format!("self.{name}");
    let (source, one) = match &field.ty {
        Type::List(item) => {
            let source = if field.required {
                format!("&{own}")
            } else {
                format!("{own}.iter().flatten()")
            };
            (
                source,
                format!("job = job.{with}(\"{wire}\", {});", owned(item, "value")),
            )
        }
        Type::Map(..) => {
            let source = if field.required {
                format!("&{own}")
            } else {
                format!("{own}.iter().flatten()")
            };
            let value = format!("job = job.{with}(name.clone(), value.clone());");
            let _ = writeln!(changes, "for (name, value) in {source} {{ {value} }}");
            return;
        }
        ty if field.required => {
            let _ = write!(job, ".{with}(\"{wire}\", {})", owned(ty, &own));
            return;
        }
        ty => {
            let value = format!("job = job.{with}(\"{wire}\", {});", owned(ty, name));
            let borrow = if matches!(
                ty,
                Type::Bool
                    | Type::Unsigned
                    | Type::Signed
                    | Type::Digits
                    | Type::Timestamp
                    | Type::Millis
                    | Type::Seconds
            ) {
                ""
            } else {
                "&"
            };
            let _ = writeln!(changes, "if let Some({name}) = {borrow}{own} {{ {value} }}");
            return;
        }
    };
    let _ = writeln!(changes, "for value in {source} {{ {one} }}");
}

/// The expression for a value in a path, a `&str`.
fn as_text(ty: &Type, value: &str) -> String {
    match ty {
        Type::Text => format!("&{value}"),
        Type::Secret => format!("{value}.expose()"),
        _ => format!("{value}.as_str()"),
    }
}

/// The expression for a value in a query or a header.
fn owned(ty: &Type, value: &str) -> String {
    match ty {
        Type::Text => format!("{value}.clone()"),
        Type::Secret => format!("{value}.expose()"),
        Type::Bool | Type::Unsigned | Type::Signed | Type::Digits => format!("{value}.to_string()"),
        Type::Timestamp | Type::Millis => format!("{value}.as_millis().to_string()"),
        Type::Seconds => format!("{value}.as_secs().to_string()"),
        _ => format!("{value}.as_str()"),
    }
}
