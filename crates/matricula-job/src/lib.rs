//! A Matrix request as a value, its response, the step shape, and the scheduler that decides which
//! job runs next.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Whoever runs a [`Machine`]
//! keeps this contract:
//!
//! 1. Call [`Machine::step`] with the time and entropy of this moment in a [`Cx`].
//! 2. Store [`Step::commit`] durably, in a [`Store`]. Only then ([`WriteAhead`] keeps count)
//! 3. carry out each of [`Step::effects`], in any order, and report [`Step::events`] to whoever watches.
//! 4. Answer every effect exactly once, by its [`EffectId`], through the machine's input.
//! 5. If [`Step::wake_at`] is set and nothing else happens before, step again at that time.
//!
//! ```
//! use matricula_job::{Auth, Job, Method, ServerUrl};
//!
//! let server: ServerUrl = "https://matrix.example.org".parse()?;
//! let job = Job::new(&server, "/_matrix/client/versions", Method::Get, "getVersions")
//!     .with_queue("start-up", Default::default())
//!     .with_data(serde_json::json!({ "asked by": "the login screen" }));
//! assert_eq!(job.url(), "https://matrix.example.org/_matrix/client/versions");
//! assert_eq!(job.data_str("asked by"), Some("the login screen"));
//! # Ok::<(), matricula_job::ServerUrlError>(())
//! ```

mod body;
mod entropy;
mod form;
mod job;
mod machine;
mod mask;
mod operation;
mod patch;
mod response;
pub mod scheduler;
pub mod secret;
mod server_url;
mod store;
mod time;
mod transport;
mod wire;
mod write_ahead;

pub use body::{Body, FileDesc};
pub use entropy::{Entropy, SeededEntropy};
pub use job::{Auth, CredentialRef, Job, Method, Query, QueuePolicy, ReturnType};
pub use machine::{Cx, EffectId, Machine, Step};
pub use mask::{MASK, mask_json};
pub use operation::{Api, Operation, OperationAuth, Retry};
pub use patch::{Change, Patch};
pub use response::Response;
pub use scheduler::Scheduler;
pub use secret::Secret;
pub use server_url::{ServerUrl, ServerUrlError};
pub use store::{Store, StoreError};
pub use time::Timestamp;
pub use transport::{Answer, Processed, TransportError, TransportKind};
pub use write_ahead::{Released, WriteAhead};

/// Header names and values in the order they are sent; names are compared without case.
pub type Header = Vec<(std::borrow::Cow<'static, str>, String)>;
