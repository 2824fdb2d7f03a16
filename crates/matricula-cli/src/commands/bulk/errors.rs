//! The errors of a list, and of a run.

use matricula::bulk::{BulkError, RowError};
use serde_json::json;

use super::super::Context;
use crate::{error::CommandError, text::count};

/// Prints all errors of a list, and returns the command's error. Nothing was sent.
pub(super) fn list_error(context: &Context<'_>, errors: &[RowError]) -> CommandError {
    for error in errors {
        let text = format!("line {}: {}", error.line, error.message);
        context.output.warn(&text);
    }
    let count = count(errors.len(), "error");
    CommandError::Explained {
        message: format!("the list has {count}; nothing was sent"),
        exit_code: 2,
        details: json!({ "row_errors": errors }),
        next: None,
    }
}

impl From<BulkError> for CommandError {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Session(error) => (*error).into(),
            BulkError::File(error) => error.into(),
            BulkError::Name(_) | BulkError::NoRun { .. } | BulkError::ResultPath { .. } => {
                Self::Usage(error.to_string())
            }
            other => Self::other(other.to_string()),
        }
    }
}
