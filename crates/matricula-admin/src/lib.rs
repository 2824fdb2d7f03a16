//! Create and deactivate many accounts: shared secret, admin API, bulk runs.
//!
//! - [`SharedSecretRegistration`] registers an account with the `registration_shared_secret` of Synapse
//!   or Dendrite.
//! - [`CreateUser`] creates an account through Synapse's admin API, with an administrator's session.
//! - [`bulk`] creates the accounts of a list, and deactivates them again.
//!
//! All are [machines](matricula_core::Machine) without I/O, driven like the conversations of
//! `matricula-auth`.

pub mod bulk;
mod create_user;
mod pending_user;
mod shared_secret;

pub use create_user::{CreateUser, NewUser};
pub use pending_user::PendingUser;
pub use shared_secret::SharedSecretRegistration;

/// The tables that this crate's conversations write to. They hold passwords.
pub mod tables {
    /// [`PendingUser`](crate::PendingUser)s by their [key](crate::PendingUser::key), as JSON.
    pub const NEW_USERS: &str = "new_users";
}
