//! The built command against real Synapse servers.

mod account;
mod addresses;
mod bulk;
mod discover;
mod in_browser;
mod journeys;
mod operations;
mod secrets;
mod table;
mod ways_in;
