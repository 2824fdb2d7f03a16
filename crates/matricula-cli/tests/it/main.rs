//! What the built command promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod command;
mod http;
mod journeys;
mod live;
mod site;
mod table;
