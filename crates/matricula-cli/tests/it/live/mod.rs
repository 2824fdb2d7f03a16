//! The built command against real Synapse servers.

mod journeys;
mod secrets;
mod table;
