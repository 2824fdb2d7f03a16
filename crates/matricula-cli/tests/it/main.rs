//! What the built command promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod canary;
mod command;
mod hostile;
mod http;
mod journeys;
mod live;
mod not_matrix;
mod secrets;
mod server;
mod site;
mod table;
mod unreachable;
