//! What the facade promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod client;
mod driving;
mod live;
mod live_bot;
mod server;
mod store;
mod writers;
