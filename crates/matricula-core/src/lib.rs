//! A Matrix request as a value, its response, the step shape, and the scheduler that decides which
//! job runs next.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Whoever runs a [`Machine`]
//! keeps this contract:
//!
//! 1. Call [`Machine::step`] with the time and entropy of this moment in a [`StepContext`].
//! 2. Store [`Step::writes`] durably, in a [`Store`]. Only then ([`WriteAhead`] keeps count)
//! 3. carry out each of [`Step::effects`], in any order, and report [`Step::events`] to whoever watches.
//! 4. Answer every effect exactly once, by its [`EffectId`], through the machine's input.
//! 5. If [`Step::wake_at`] is set and nothing else happens before, step again at that time.
//!
//! ```
//! use matricula_core::{Auth, Job, Method, ServerUrl};
//!
//! let server: ServerUrl = "https://matrix.example.org".parse()?;
//! let job = Job::new(&server, "/_matrix/client/versions", Method::Get, "getVersions")
//!     .with_queue("start-up", Default::default())
//!     .with_data(serde_json::json!({ "asked by": "the login screen" }));
//! assert_eq!(job.url(), "https://matrix.example.org/_matrix/client/versions");
//! assert_eq!(job.data_str("asked by"), Some("the login screen"));
//! # Ok::<(), matricula_core::ServerUrlError>(())
//! ```

mod body;
mod entropy;
mod form;
mod http_request;
mod job;
mod machine;
mod mask;
mod operation;
mod response;
pub mod scheduler;
pub mod secret;
mod server_url;
mod store;
mod time;
mod transport;
mod write_ahead;
mod write_batch;

pub use body::{Body, FileRef};
pub use entropy::{Entropy, SeededEntropy};
pub use job::{Auth, CredentialRef, Job, Method, Query, QueuePolicy, ResponseFormat};
pub use machine::{EffectId, Machine, Step, StepContext};
pub use mask::{MASK, mask_json};
pub use operation::{Api, Operation, OperationAuth, RetrySafety};
pub use response::Response;
pub use scheduler::Scheduler;
pub use secret::Secret;
pub use server_url::{ServerUrl, ServerUrlError};
pub use store::{Store, StoreError};
pub use time::Timestamp;
pub use transport::{Processed, TransportError, TransportErrorKind, TransportResult};
pub use write_ahead::{Ready, WriteAhead};
pub use write_batch::{Write, WriteBatch};

/// Header names and values in the order they are sent; names are compared without case.
pub type Headers = Vec<(std::borrow::Cow<'static, str>, String)>;
