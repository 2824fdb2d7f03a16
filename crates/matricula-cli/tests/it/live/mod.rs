//! The built command against real Synapse servers.

mod account;
mod account_lifecycle;
mod addresses;
mod browser_methods;
mod bulk;
mod discover;
mod methods;
mod operations;
mod registration_matrix;
mod secrets;
