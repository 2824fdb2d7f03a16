//! Operations that the specification's OpenAPI data does not describe. Counterpart of the generated
//! [`client::OPERATIONS`](crate::client::OPERATIONS).

use matricula_core::Operation;

use crate::{fallback, oauth, sliding_sync, synapse};

/// The operations, by module.
pub const OPERATIONS: &[(&str, &[Operation])] = &[
    ("fallback", fallback::OPERATIONS),
    ("oauth", oauth::OPERATIONS),
    ("sliding_sync", sliding_sync::OPERATIONS),
    ("synapse", synapse::OPERATIONS),
];
