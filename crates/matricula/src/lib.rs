#![doc = include_str!("lib.md")]

mod browser;
#[cfg(feature = "admin")]
pub mod bulk;
mod drive;
mod durable;
mod error;
mod home;
mod keeper;
mod keyring;
mod management;
mod register;
mod renew;
mod session;
mod store;

pub use browser::{CallbackServer, PendingCallback};
pub use drive::{AnswerFuture, PromptHandler, drive};
pub use error::Error;
pub use home::DataDirs;
pub use keeper::{NoStore, SessionStore};
pub use keyring::{Keyring, KeyringError, NoKeyring, system_keyring};
pub use register::{Register, register, upgrade};
pub use session::{Session, send};
pub use store::{AccountLock, AccountStore, AccountStoreError};

#[cfg(feature = "admin")]
pub use matricula_admin as admin;
pub use matricula_api as api;
pub use matricula_auth as auth;
pub use matricula_core as job;
pub use matricula_http as http;

// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

// The programs in the page on registering compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/registering.md")]
struct Registering;
