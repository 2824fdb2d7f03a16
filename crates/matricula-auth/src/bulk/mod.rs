//! Making many accounts at once, for administrators: each row of a list ends once, whatever is lost.
//!
//! [`BulkRegistration`] runs one conversation a row, some at once. What must not be lost is in its
//! commits: the [rows](tables::ROWS) with their passwords before the first request, and of each row the
//! [stage](tables::STAGES) before the request that it is about. Read back into a [`RunLog`], a run goes on
//! where it was. [`BulkDeactivation`] takes back what a run has made.

mod ledger;
mod machine;
mod maker;
mod pace;
mod row;
mod undo;

pub use ledger::{Counts, Entry, RunLog, RunLogError, Stage, tables};
pub use machine::{BulkEvent, BulkInput, BulkMachine, BulkRegistration};
pub use maker::AdminCredentials;
pub use pace::{Estimate, estimate};
pub use row::{NewRow, Route, RowError, row_errors};
pub use undo::BulkDeactivation;
