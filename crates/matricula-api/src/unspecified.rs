//! What is written by hand, because no data of the specification describe it, as a list beside the
//! generated [`client::OPERATIONS`](crate::client::OPERATIONS).

use matricula_core::Operation;

use crate::{fallback, oauth, sliding_sync, synapse};

/// The parts of it, by name.
pub const OPERATIONS: &[(&str, &[Operation])] = &[
    ("fallback", fallback::OPERATIONS),
    ("oauth", oauth::OPERATIONS),
    ("sliding_sync", sliding_sync::OPERATIONS),
    ("synapse", synapse::OPERATIONS),
];
