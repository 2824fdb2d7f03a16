//! Any bytes as a request: two for the operation, a line for each segment of the path that it
//! chooses, one for each pair of the query, an empty line, then the body.
//!
//! What is read must become a job that is read again, and stays on its server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matricula_api::server::{AnyEndpoint, IncomingRequest, ParameterLocation};
use matricula_fuzz::{line, operation, server};

fuzz_target!(|bytes: &[u8]| {
    let Some((endpoint, rest)) = operation(bytes) else {
        return;
    };
    let (path, rest) = path(endpoint, rest);
    let Some(request) = IncomingRequest::new(&endpoint.operation, &path) else {
        return;
    };
    let (query, body) = query(endpoint, rest);
    let request = request.with_query(query).with_body(body);
    let server = server();
    let job = match endpoint.job(&request, &server) {
        Ok(job) => job,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let id = endpoint.operation.id;
    assert!(
        server.is_origin_of(job.url()),
        "{id}: {} is elsewhere",
        job.url()
    );
    let again = IncomingRequest::of_job(&endpoint.operation, &job);
    let again = again.unwrap_or_else(|| panic!("{id}: {} is another operation's", job.url()));
    if let Err(error) = endpoint.job(&again, &server) {
        panic!("{id}: what was read is written unreadably: {error}");
    }
});

fn path<'a>(endpoint: &AnyEndpoint, mut rest: &'a [u8]) -> (String, &'a [u8]) {
    let mut path = String::new();
    for part in endpoint.operation.path.split_inclusive(['{', '}']) {
        if part.ends_with('}') {
            let (mut segment, left) = line(rest);
            // Steps in a path: these are sent so that they name nothing.
            if segment == "." || segment == ".." {
                segment.push('_');
            }
            path.push_str(&segment);
            rest = left;
        } else {
            path.push_str(part.trim_end_matches('{'));
        }
    }
    (path, rest)
}

type Pairs = Vec<(std::borrow::Cow<'static, str>, String)>;

fn query<'a>(endpoint: &AnyEndpoint, mut rest: &'a [u8]) -> (Pairs, &'a [u8]) {
    let mut pairs = Pairs::new();
    let named = endpoint.parameters.iter();
    for parameter in named.filter(|parameter| parameter.location == ParameterLocation::Query) {
        let (value, left) = line(rest);
        if value.is_empty() {
            return (pairs, left);
        }
        pairs.push((parameter.name.into(), value));
        rest = left;
    }
    (pairs, rest)
}
