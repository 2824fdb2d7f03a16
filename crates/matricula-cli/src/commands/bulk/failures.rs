//! How runs fail: faults of a list, and files.

use matricula::bulk::{BulkError, RowError};
use serde_json::json;

use super::super::Context;
use crate::failure::Failure;

/// Tells every fault of a list, by line. Nothing was sent.
pub(super) fn faulty(context: &Context<'_>, faults: &[RowError]) -> Failure {
    for fault in faults {
        context
            .report
            .warn(&format!("line {}: {}", fault.line, fault.what));
    }
    let count = match faults.len() {
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    };
    Failure::Told {
        message: format!("the list has {count}; nothing was sent"),
        exit_code: 2,
        details: json!({ "faults": faults }),
        next: None,
    }
}

impl From<BulkError> for Failure {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Session(error) => error.into(),
            BulkError::File(error) => error.into(),
            BulkError::Name(_) | BulkError::NoRun { .. } => Self::Usage(error.to_string()),
            other => Self::other(other.to_string()),
        }
    }
}
