//! How runs fail: faults of a list, and files.

use matricula::bulk::{BulkError, RowError};
use serde_json::json;

use super::super::Context;
use crate::error::CommandError;

/// Tells every fault of a list, by line. Nothing was sent.
pub(super) fn faulty(context: &Context<'_>, faults: &[RowError]) -> CommandError {
    for fault in faults {
        context
            .output
            .warn(&format!("line {}: {}", fault.line, fault.what));
    }
    let count = match faults.len() {
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    };
    CommandError::Explained {
        message: format!("the list has {count}; nothing was sent"),
        exit_code: 2,
        details: json!({ "faults": faults }),
        next: None,
    }
}

impl From<BulkError> for CommandError {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Session(error) => error.into(),
            BulkError::File(error) => error.into(),
            BulkError::Name(_) | BulkError::NoRun { .. } => Self::Usage(error.to_string()),
            other => Self::other(other.to_string()),
        }
    }
}
