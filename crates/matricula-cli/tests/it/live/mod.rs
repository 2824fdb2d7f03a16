//! The built command against real Synapse servers.

mod journeys;
mod operations;
mod secrets;
mod table;
