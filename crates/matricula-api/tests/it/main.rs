//! Tests of `matricula-api`, one module per behaviour.
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests read the specification and the generated code"
)]

mod apis;
mod contents;
mod difference;
mod events;
mod fallback;
mod file_names;
mod golden;
mod ids;
mod invalid_parts;
mod lenience;
mod oauth;
mod real_world_quirks;
mod register;
mod requests;
mod responses;
mod robust;
mod routing;
mod sample_requests;
mod samples;
mod secrets;
mod sliding_sync;
mod spec;
mod spec_events;
mod synapse;
mod values;

use matricula_api::{ApiError, Endpoint, InvalidPart};
use matricula_core::{Body, Response, ServerUrl};
use serde_json::Value;

fn server() -> ServerUrl {
    "https://matrix.example.org".parse().unwrap()
}

fn response(status: u16, body: &str) -> Response {
    Response::new(status, vec![], Body::Bytes(body.into()))
}

fn read<E: Endpoint>(status: u16, body: &str) -> Result<E::Response, ApiError> {
    E::read(&response(status, body))
}

/// The first of these parts: the reason with the whole path.
fn first_part(parts: &[InvalidPart]) -> Option<String> {
    let part = parts.first()?;
    let reason = part.reason.as_str();
    let (what, inside) = reason.split_once(", at ").unwrap_or((reason, ""));
    Some(format!("{what}, at {}{inside}", part.pointer))
}

/// The path, query and body of a request, as they go over the wire.
fn sent(request: &impl Endpoint) -> (String, String, Value) {
    let job = request.job(&server());
    let path = job
        .url()
        .strip_prefix(server().as_str())
        .unwrap()
        .to_owned();
    let query: Vec<String> = job
        .request_query()
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let body = match job.request_body() {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        Body::Empty => Value::Null,
        other => Value::String(format!("{other:?}")),
    };
    (path, query.join("&"), body)
}
