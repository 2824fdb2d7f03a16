//! Outboxes: what the server in front of the engine must send, stored in the transaction that caused it.

pub(crate) mod delegation;
pub(crate) mod mail;
pub(crate) mod transactions;
