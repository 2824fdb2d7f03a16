//! Create and deactivate many accounts: shared secret, admin API, bulk runs.
//!
//! - [`SharedSecretRegistration`] registers an account with the `registration_shared_secret` of Synapse
//!   or Dendrite.
//! - [`CreateUser`] creates an account with Synapse's admin API and an administrator's session.
//! - [`bulk`] creates the accounts of a list, and deactivates them again.
//!
//! The first two are [conversations](matricula_auth::Conversation). All are machines without I/O:
//! store the `writes` of a step first, then carry out its effects.
//!
//! ```
//! use matricula_admin::{SharedSecretRegistration, tables};
//! use matricula_auth::{Effect, Input, ServerInfo};
//! use matricula_core::{Machine, SeededEntropy, StepContext, Timestamp};
//!
//! // In production: the system's clock and random bytes.
//! let (now, mut entropy) = (Timestamp::from_millis(1_700_000_000_000), SeededEntropy::new(7));
//! let mut cx = StepContext::new(now, &mut entropy);
//! let server = ServerInfo::of("https://matrix.example.org".parse()?);
//! let mut registration =
//!     SharedSecretRegistration::new(&server, "the-shared-secret".into(), "alice").admin(true);
//!
//! let step = registration.step(&mut cx, Input::Start);
//! // 1. Store the generated password.
//! assert_eq!(step.writes.writes()[0].table, tables::PENDING_USERS);
//! // 2. Then send the request, and pass its outcome to the next step.
//! let [Effect::Send(_, job)] = &step.effects[..] else { panic!("{:?}", step.effects) };
//! assert_eq!(job.url(), "https://matrix.example.org/_synapse/admin/v1/register");
//! # Ok::<(), matricula_core::ServerUrlError>(())
//! ```

pub mod bulk;
mod create_user;
mod error;
mod pending_user;
mod shared_secret;

pub use create_user::{CreateUser, CreateUserResult};
pub use error::AdminError;
pub use pending_user::PendingUser;
pub use shared_secret::SharedSecretRegistration;

/// The tables that the conversations of this crate write to. They hold passwords.
pub mod tables {
    /// [`PendingUser`](crate::PendingUser)s by their [key](crate::PendingUser::key), as JSON.
    pub const PENDING_USERS: &str = "pending_users";
}
