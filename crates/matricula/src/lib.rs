#![doc = include_str!("lib.md")]

mod client;
mod drive;
mod error;
mod keeper;
mod register;
mod store;

pub use client::{Client, send};
pub use drive::{Person, drive};
pub use error::Error;
pub use keeper::{Forgetful, Keeper};
pub use register::{Register, register};
pub use store::{AccountStore, StoreError, Turn};

pub use matricula_api as api;
pub use matricula_auth as auth;
pub use matricula_http as http;
pub use matricula_job as job;

// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
