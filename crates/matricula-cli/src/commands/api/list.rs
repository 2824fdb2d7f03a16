//! `matricula api list`: the operations of the specification.

use matricula::core::Operation;
use matricula_api::operations;
use serde_json::{Value, json};

use super::Context;
use crate::{args::ApiList, error::CommandError};

pub(super) fn run(context: &Context<'_>, options: &ApiList) -> Result<(), CommandError> {
    let word = options.word.as_deref().unwrap_or_default().to_lowercase();
    let has_word = |text: &str| text.to_lowercase().contains(&word);
    let chosen = |one: &&Operation| has_word(one.id) || has_word(one.path);
    let chosen: Vec<&Operation> = operations().filter(chosen).collect();
    let lines: Vec<String> = chosen.iter().copied().map(line).collect();
    let objects: Vec<Value> = chosen.iter().copied().map(describe).collect();
    context.output.result(
        &lines,
        &json!({ "schema_version": 1, "operations": objects }),
    );
    Ok(())
}

fn line(operation: &Operation) -> String {
    format!(
        "{:10} {:40} {:6} {}",
        operation.api.as_str(),
        operation.id,
        operation.method.as_str(),
        operation.path
    )
}

/// The operation as JSON.
pub(super) fn describe(operation: &Operation) -> Value {
    json!({
        "id": operation.id,
        "api": operation.api.as_str(),
        "method": operation.method.as_str(),
        "path": operation.path,
        "auth": operation.auth.as_str(),
        "since": operation.since,
        "deprecated": operation.deprecated,
        "rate_limited": operation.rate_limited,
        "uia": operation.uia,
        "guests": operation.guests,
    })
}
