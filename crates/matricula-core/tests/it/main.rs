//! What `matricula-core` promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod form;
mod job;
mod pace;
mod parked;
mod queues;
mod scheduler;
mod secrets;
mod server_url;
mod stored;
mod values;
mod wire;
mod world;
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
