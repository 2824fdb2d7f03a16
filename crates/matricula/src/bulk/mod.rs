//! Bulk runs: create the accounts of a list, in runs that survive a crash.
//!
//! A [`Run`] is an SQLite file. It has everything that the [machine](matricula_admin::bulk) commits,
//! before anything is sent. Beside it is a result file for people, which has each password before its
//! request is sent.
//!
//! ```no_run
//! use std::{future::pending, path::Path};
//!
//! use matricula::bulk::{
//!     AdminCredentials, BulkRegistration, ResultFormat, Run, RunInfo, check_rows, read_csv,
//! };
//! use matricula::{AccountStore, Session};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::from_store(AccountStore::new("home"), None)?;
//! let credentials = AdminCredentials::Admin(Box::new(session.account()));
//! let rows = read_csv(b"username,displayname\nann,Ann\nbob,\n")
//!     .map_err(|errors| format!("{errors:?}"))?
//!     .rows;
//! assert!(check_rows(&rows, credentials.route(), None).is_empty());
//!
//! let mut run = Run::open(Path::new("runs"), "autumn")?;
//! run.set_info(RunInfo {
//!     server: credentials.server().clone(),
//!     server_name: None,
//!     route: credentials.route(),
//!     result_path: "autumn.csv".into(),
//!     result_format: ResultFormat::Csv,
//! })?;
//! let mut machine = BulkRegistration::new(credentials, rows, 8);
//! let runner = session.runner().clone();
//! let result = run
//!     .drive(&mut machine, &runner, Some(&session), pending(), |_, _, _| {})
//!     .await?;
//! println!("{} requests were sent", result.requests.sent);
//! # Ok(())
//! # }
//! ```

mod availability;
mod drive;
mod error;
mod records;
mod result_file;
mod run;
mod text;
mod user_list;

pub use availability::{Availability, check_availability};
pub use drive::{RequestCounts, RunResult};
pub use error::BulkError;
pub use result_file::ResultFormat;
pub use run::{Run, RunInfo};
pub use user_list::{UserList, read_csv};

pub use matricula_admin::bulk::{
    AdminCredentials, BulkDeactivation, BulkEvent, BulkMachine, BulkRegistration, Counts, Entry,
    Estimate, NewRow, Route, RowError, RowState, RunLog, check_rows, estimate,
};
