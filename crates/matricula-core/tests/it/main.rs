//! Tests of `matricula-core`, one module per behaviour.
#![allow(clippy::unwrap_used)]

mod credentials;
mod form;
mod harness;
mod http_request;
mod job;
mod persistence;
mod queues;
mod rate_limit;
mod scheduler;
mod secrets;
mod server_url;
mod values;
mod write_ahead;

use matricula_core::{Job, Method, ServerUrl};

fn server() -> ServerUrl {
    "https://matrix.example.org".parse().unwrap()
}

fn job() -> Job {
    Job::new(
        &server(),
        "/_matrix/client/v3/register",
        Method::Post,
        "register",
    )
}
