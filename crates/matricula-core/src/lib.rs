//! Requests as values, the machine contract, and the [scheduler] that decides which job runs next.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. A [`Machine`] is driven by this
//! contract:
//!
//! 1. Call [`Machine::step`] with the current time and a source of entropy in a [`StepContext`].
//! 2. Make [`Step::writes`] durable, in a [`Store`]. [`WriteAhead`] holds back the rest of the step until
//!    then.
//! 3. Carry out each of [`Step::effects`], in any order, and report [`Step::events`] to watchers.
//! 4. Answer every effect exactly once, by its [`EffectId`], with an input of the machine.
//! 5. If [`Step::wake_at`] is set and no other input comes first, step again at that time.
//!
//! ```
//! use matricula_core::{Auth, Job, Method, ServerUrl};
//!
//! let server: ServerUrl = "https://matrix.example.org".parse()?;
//! let job = Job::new(&server, "/_matrix/client/versions", Method::Get, "getVersions")
//!     .with_queue("start-up", Default::default())
//!     .with_data(serde_json::json!({ "source": "login screen" }));
//! assert_eq!(job.url(), "https://matrix.example.org/_matrix/client/versions");
//! assert_eq!(job.data_str("source"), Some("login screen"));
//! # Ok::<(), matricula_core::ServerUrlError>(())
//! ```

mod body;
mod domain_name;
mod entropy;
mod form;
mod http_request;
mod job;
mod lossy_json;
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
pub use lossy_json::lossy_json;
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

/// Header names and values, in the order in which they are sent. Names are case-insensitive.
pub type Headers = Vec<(std::borrow::Cow<'static, str>, String)>;
