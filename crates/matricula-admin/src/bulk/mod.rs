//! Making many accounts at once, for administrators: each row of a list ends once, whatever is lost.
//!
//! [`BulkRegistration`] runs one conversation a row, some at once. What must not be lost is in its
//! commits: the [rows](tables::ROWS) with their passwords before the first request, and of each row the
//! [stage](tables::STAGES) before the request that it is about. Read back into a [`RunLog`], a run goes on
//! where it was. [`BulkDeactivation`] takes back what a run has made.

mod deactivate;
mod estimate;
mod machine;

mod row;
mod row_registration;
mod run_log;

pub use deactivate::BulkDeactivation;
pub use estimate::{Estimate, estimate};
pub use machine::{BulkEvent, BulkInput, BulkMachine, BulkRegistration};
pub use row::{NewRow, Route, RowError, row_errors};
pub use row_registration::AdminCredentials;
pub use run_log::{Counts, Entry, RunLog, RunLogError, Stage, tables};
