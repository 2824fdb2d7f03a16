//! What the runner for tokio promises.

mod connections;
mod durable;
mod queues;
#[path = "../shared/mod.rs"]
mod shared;

use matricula_core::{
    Job,
    scheduler::{Event, Outcome},
};
use matricula_http::Runner;

const MOST_HEADERS: usize = 100;
/// What it offers to speak over TLS.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// What a proxy hears that is to get `http://matrix.example.org/a`.
const PROXIED: &str = "GET http://matrix.example.org/a HTTP/1.1";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn run(runner: &Runner, job: Job) -> Outcome {
    runtime().block_on(runner.run(job))
}

fn run_watched(runner: &Runner, job: Job, mut watch: impl FnMut(&Event)) -> Outcome {
    runtime().block_on(async {
        let mut handle = runner.submit(job).await.unwrap();
        while let Some(event) = handle.next().await {
            watch(&event);
        }
        handle.await
    })
}
