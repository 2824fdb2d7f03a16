//! Snapshots of the request of every operation, with the required fields and with all fields.

use std::fmt::Write;

use matricula_api::server::{AnyEndpoint, IncomingRequest, Parameter, ParameterLocation};
use matricula_core::{Body, Job};
use serde_json::Value;

use crate::{
    apis::{APIS, all, name},
    sample_requests::{Amount, incoming},
    samples, server,
};

/// The request that a client makes.
fn request(endpoint: &AnyEndpoint, amount: Amount) -> Job {
    let sample = samples::of(endpoint);
    let planned = match amount {
        Amount::Required => &sample.required,
        Amount::Everything => &sample.request,
    };
    let body = match planned {
        _ if endpoint.parameters.contains(&Parameter::BYTES) => "some bytes".to_owned(),
        Value::Null => String::new(),
        body => body.to_string(),
    };
    // No field may be missing from the sample.
    for one in endpoint.parameters {
        let is_field = one.location == ParameterLocation::Body
            && ![Parameter::WHOLE_BODY, Parameter::BYTES].contains(one);
        if is_field && (one.required || amount == Amount::Everything) {
            assert!(
                planned.get(one.name).is_some(),
                "{}: {}",
                name(endpoint),
                one.name
            );
        }
    }
    let request = incoming(endpoint, amount, planned, body.as_bytes());
    let job = endpoint.job(&request, &server());
    job.unwrap_or_else(|error| panic!("{}: {error}", name(endpoint)))
}

/// The request for people to read; the address and the body are as on the wire.
fn shown(endpoint: &AnyEndpoint, job: &Job) -> String {
    let path = job.url().strip_prefix(server().as_str()).unwrap();
    let mut text = format!("{} {path}\n", job.request_method());
    for (name, value) in job.request_query() {
        writeln!(text, "? {name} = {value}").unwrap();
    }
    for (name, value) in job.request_headers() {
        writeln!(text, "{name}: {value}").unwrap();
    }
    writeln!(text, "token: {}", endpoint.operation.auth.as_str()).unwrap();
    match job.request_body() {
        Body::Empty => text += "no body\n",
        Body::Json(body) => writeln!(text, "{body}").unwrap(),
        Body::Bytes(bytes) => writeln!(text, "{} bytes", bytes.len()).unwrap(),
        other => panic!("{other:?}"),
    }
    text
}

#[test]
fn requests_match_the_snapshots() {
    let mut requests = 0;
    for (api, served) in APIS {
        let mut text = String::new();
        for endpoint in served {
            let required = shown(endpoint, &request(endpoint, Amount::Required));
            let everything = shown(endpoint, &request(endpoint, Amount::Everything));
            requests += 1;
            let id = endpoint.operation.id;
            match required == everything {
                true => write!(text, "## {id}\n{required}\n").unwrap(),
                false => {
                    requests += 1;
                    let both = format!(
                        "## {id}, what is required\n{required}\n## {id}, everything\n{everything}\n"
                    );
                    text += &both;
                }
            }
        }
        insta::assert_snapshot!(api.as_str(), text);
    }
    println!("{requests} requests of {} operations", all().count());
}

#[test]
fn server_reads_every_request_back() {
    for endpoint in all() {
        for amount in [Amount::Required, Amount::Everything] {
            let job = request(endpoint, amount);
            let incoming = IncomingRequest::of_job(&endpoint.operation, &job).unwrap();
            let again = endpoint.job(&incoming, &server()).unwrap();
            assert!(again == job, "{}", name(endpoint));
            // A body with only unknown fields would also be accepted.
            let sent: Value =
                serde_json::from_slice(job.request_body().as_bytes()).unwrap_or_default();
            let empty = serde_json::json!({});
            let planned = match amount {
                Amount::Required => &samples::of(endpoint).required,
                Amount::Everything => &samples::of(endpoint).request,
            };
            assert!(
                sent == *planned || (planned.is_null() && sent == empty),
                "{}",
                name(endpoint)
            );
        }
    }
}
