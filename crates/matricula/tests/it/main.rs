//! What the facade promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod browser;
mod changes;
mod driving;
mod durable_sender;
mod examples;
mod live;
mod live_account;
mod live_addresses;
#[cfg(feature = "admin")]
mod live_admin;
mod live_bot;
mod live_browser;
mod live_session;
mod live_sliding_sync;
mod live_ways_in;
mod login;
mod oauth;
mod queues;
mod resuming_download;
mod sealed;
mod server;
mod session;
mod staying;
mod store;
mod writers;

/// A person in a browser, as the tests of the command have one.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../../../matricula-cli/tests/it/visits.rs"]
mod visits;
