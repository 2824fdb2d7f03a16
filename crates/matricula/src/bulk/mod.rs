//! Bulk runs: create the accounts of a list, in runs that survive a crash.
//!
//! A [`Run`] is an SQLite file. It has everything that the [machine](matricula_admin::bulk) commits,
//! before anything is sent. Beside it is a result file for people, which has each password before its
//! request is sent.

mod availability;
mod drive;
mod error;
mod result_file;
mod run;
mod user_list;

pub use availability::{Availability, check_availability};
pub use drive::{RequestCounts, RunResult};
pub use error::BulkError;
pub use result_file::ResultFormat;
pub use run::{Run, RunInfo};
pub use user_list::read_csv;

pub use matricula_admin::bulk::{
    AdminCredentials, BulkDeactivation, BulkEvent, BulkMachine, BulkRegistration, Counts, Entry,
    Estimate, NewRow, Route, RowError, RowState, RunLog, check_rows, estimate,
};
