//! `matricula api list`: the operations of the specification.

use matricula::{api::client, job::Operation};
use serde_json::{Value, json};

use super::Context;
use crate::failure::Failure;

pub(crate) fn list(context: &Context<'_>) -> Result<(), Failure> {
    let operations = client::OPERATIONS;
    let lines: Vec<String> = operations
        .iter()
        .map(|operation| {
            format!(
                "{:32} {:6} {}",
                operation.id,
                operation.method.as_str(),
                operation.path
            )
        })
        .collect();
    let objects: Vec<Value> = operations.iter().map(describe).collect();
    context.report.result(
        &lines.join("\n"),
        &json!({ "schema_version": 1, "operations": objects }),
    );
    Ok(())
}

fn describe(operation: &Operation) -> Value {
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
    })
}
