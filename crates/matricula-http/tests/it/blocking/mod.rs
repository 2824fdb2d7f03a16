//! What the runner for programs without a runtime promises.

mod connections;
mod durable;
mod early_close;
mod idle;
mod proxies;
mod queues;
#[path = "../shared/mod.rs"]
mod shared;

use matricula_core::{
    Job,
    scheduler::{Event, Outcome},
};
use matricula_http::blocking::Runner;

const MOST_HEADERS: usize = 128;
/// What it offers to speak over TLS.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];
/// What a proxy hears that is to get `http://matrix.example.org/a`.
const PROXIED: &str = "CONNECT matrix.example.org:80 HTTP/1.1";

fn run(runner: &Runner, job: Job) -> Outcome {
    runner.run(job)
}

fn run_watched(runner: &Runner, job: Job, mut watch: impl FnMut(&Event)) -> Outcome {
    let mut handle = runner.submit(job).unwrap();
    for event in handle.by_ref() {
        watch(&event);
    }
    handle.wait()
}
