//! Making the accounts of a list, in runs that survive being killed.
//!
//! A [`Run`] is a file: what the [machine](matricula_admin::bulk) commits is in it before anything is sent.
//! Beside it is a result file for people, which has every password before its request is sent.

mod drive;
mod error;
mod list;
mod lookup;
mod result;
mod run;

pub use drive::RequestCounts;
pub use error::BulkError;
pub use list::read_list;
pub use lookup::{Found, look_up};
pub use result::Format;
pub use run::{About, Run};

pub use matricula_admin::bulk::{
    AdminCredentials, BulkDeactivation, BulkEvent, BulkMachine, BulkRegistration, Counts, Entry,
    Estimate, NewRow, Route, RowError, RunLog, Stage, estimate, row_errors,
};
