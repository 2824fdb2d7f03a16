#![doc = include_str!("lib.md")]

mod account_management;
mod account_store;
#[cfg(feature = "admin")]
pub mod bulk;
mod callback;
mod connection;
mod dirs;
mod drive;
mod error;
mod flow;
mod future;
mod keyring;
mod login;
mod media;
mod register;
mod renewal_driver;
mod send_queue;
mod session;
mod session_store;

pub use account_store::{AccountLock, AccountStore, AccountStoreError, check_directory};
pub use callback::{CallbackError, CallbackServer, PendingCallback};
pub use dirs::DataDirs;
pub use drive::{AnswerFuture, PromptHandler, drive};
pub use error::Error;
pub use flow::{AuthFlow, ResumeBuilder, resume};
pub use keyring::{Keyring, KeyringError, NoKeyring, system_keyring};
pub use login::{LoginBuilder, login};
pub use media::content_type;
pub use register::{RegisterBuilder, register, upgrade};
pub use session::{Session, send, send_watched};
pub use session_store::{NoStore, SessionStore};

#[doc(no_inline)]
pub use matricula_api::{EventId, MxcUri, RoomId, UserId};
#[doc(no_inline)]
pub use matricula_auth::{
    Account, Answer, AuthError, AuthMethod, Progress, Prompt, RegistrationOptions, ServerAddress,
    ServerInfo,
};
#[doc(no_inline)]
pub use matricula_core::{Job, Response, Secret, ServerUrl, Store, StoreError};
#[doc(no_inline)]
pub use matricula_http::{HttpOptions, Runner};

#[cfg(feature = "admin")]
pub use matricula_admin as admin;
pub use matricula_api as api;
pub use matricula_auth as auth;
pub use matricula_core as core;
pub use matricula_http as runner;

// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

// The programs in the page on registering compile.
#[cfg(all(doctest, feature = "admin"))]
#[doc = include_str!("../../../docs/registering.md")]
struct Registering;
