//! Bulk runs: create the accounts of a list, or deactivate them again.
//!
//! [`BulkRegistration`] runs one conversation for each row, several at a time. It survives a crash at
//! any point, because it writes before it sends: the [rows](tables::ROWS) with their passwords before
//! the first request, and the [state](tables::STATES) of a row before each request that may create its
//! account. A [`RunLog`] that was read back continues the run. [`BulkDeactivation`] deactivates the
//! accounts that a run created.

mod deactivate;
mod estimate;
mod machine;
mod row;
mod row_registration;
mod run_log;

pub use deactivate::BulkDeactivation;
pub use estimate::{Estimate, estimate};
pub use machine::{BulkEvent, BulkInput, BulkMachine, BulkRegistration};
pub use row::{NewRow, Route, RowError, check_rows};
pub use row_registration::AdminCredentials;
pub use run_log::{Counts, Entry, RowState, RunLog, RunLogError, tables};
