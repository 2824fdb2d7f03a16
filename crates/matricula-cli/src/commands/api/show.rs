//! `matricula api show`: shows an operation and its parameters.

use matricula::core::Operation;
use matricula_api::server::{Parameter, ParameterLocation, ParameterType};
use serde_json::{Value, json};

use super::{arguments, find, full_name, list};
use crate::{args::ApiShow, commands::Context, error::CommandError};

pub(super) fn run(context: &Context<'_>, options: &ApiShow) -> Result<(), CommandError> {
    let endpoint = find(&options.operation)?;
    let operation = &endpoint.operation;
    let mut lines = vec![
        format!(
            "{}: {} {}",
            full_name(operation),
            operation.method,
            operation.path
        ),
        details(operation),
    ];
    let needed = |one: &&Parameter| one.required;
    let mut parameters: Vec<&Parameter> = endpoint.parameters.iter().filter(needed).collect();
    parameters.extend(endpoint.parameters.iter().filter(|one| !one.required));
    lines.extend(parameters.into_iter().map(line));
    let mut object = list::describe(operation);
    object["schema_version"] = json!(1);
    object["parameters"] = endpoint.parameters.iter().map(describe).collect();
    context.output.result(&lines, &object);
    context
        .output
        .next(&context.command(&arguments::example(endpoint)));
    Ok(())
}

fn details(operation: &Operation) -> String {
    let mut details = vec![format!("token: {}", operation.auth.as_str())];
    details.extend(operation.since.map(|version| format!("since {version}")));
    let also = [
        (operation.deprecated, "deprecated"),
        (operation.rate_limited, "rate-limited"),
        (operation.uia, "may ask to authenticate"),
        (operation.guests, "guests may use it"),
    ];
    details.extend(
        also.iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, what)| (*what).to_owned()),
    );
    details.join(", ")
}

fn line(parameter: &Parameter) -> String {
    let needed = if parameter.required { "needed" } else { "" };
    let form = arguments::form(parameter);
    let place = if arguments::is_whole(parameter) {
        "the body"
    } else {
        place(parameter)
    };
    format!("  {form:40} {place:10} {needed}")
        .trim_end()
        .to_owned()
}

fn place(parameter: &Parameter) -> &'static str {
    match parameter.location {
        ParameterLocation::Path => "path",
        ParameterLocation::Query => "query",
        ParameterLocation::Header => "header",
        _ => "body",
    }
}

fn describe(parameter: &Parameter) -> Value {
    let shape = match parameter.kind {
        ParameterType::Text => "text",
        ParameterType::Integer => "integer",
        ParameterType::Boolean => "boolean",
        ParameterType::Texts => "texts",
        ParameterType::Pairs => "pairs",
        ParameterType::Bytes => "bytes",
        _ => "json",
    };
    json!({
        "name": parameter.name,
        "place": place(parameter),
        "shape": shape,
        "whole_body": arguments::is_whole(parameter),
        "required": parameter.required,
        "secret": parameter.secret,
    })
}
