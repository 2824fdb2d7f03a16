//! What the facade promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod account_changes;
mod browser;
#[cfg(feature = "admin")]
mod bulk;
mod concurrent_writers;
mod drive;
mod durable_sender;
mod echo_bot;
mod encryption;
mod examples;
mod live;
mod live_account;
mod live_addresses;
#[cfg(feature = "admin")]
mod live_admin;
mod live_bot;
mod live_browser;
mod live_methods;
mod live_session;
mod live_sliding_sync;
mod login;
mod oauth;
mod queues;
mod resuming_download;
mod server;
mod session;
mod session_lifetime;
mod store;
#[cfg(feature = "admin")]
mod user_lists;

/// A person in a browser, as the tests of the command have one.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../../../matricula-cli/tests/it/scripted_browser.rs"]
mod scripted_browser;
