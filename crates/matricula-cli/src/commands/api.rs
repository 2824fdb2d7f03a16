//! `matricula api list`: the operations of the specification.

use matricula::job::Operation;
use matricula_api::operations;
use serde_json::{Value, json};

use super::Context;
use crate::failure::Failure;

pub(crate) fn list(context: &Context<'_>) -> Result<(), Failure> {
    let lines: Vec<String> = operations()
        .map(|operation| {
            format!(
                "{:10} {:40} {:6} {}",
                operation.api.as_str(),
                operation.id,
                operation.method.as_str(),
                operation.path
            )
        })
        .collect();
    let objects: Vec<Value> = operations().map(describe).collect();
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
        "guests": operation.guests,
    })
}
