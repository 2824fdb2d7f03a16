//! Create and deactivate many accounts: shared secret, admin API, bulk runs.
//!
//! - [`SharedSecretRegistration`] registers an account with the `registration_shared_secret` of Synapse
//!   or Dendrite.
//! - [`CreateUser`] creates an account with Synapse's admin API and an administrator's session.
//! - [`bulk`] creates the accounts of a list, and deactivates them again.
//!
//! The first two are [conversations](matricula_auth::Conversation). All are machines without I/O:
//! store the `writes` of a step first, then carry out its effects.

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
