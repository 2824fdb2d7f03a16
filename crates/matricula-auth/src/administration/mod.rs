//! What those who run a server do for others: making accounts there, whether it is open or closed.

mod pending;
mod shared_secret;
mod user;

pub use pending::PendingUser;
pub use shared_secret::SharedSecretRegistration;
pub use user::{CreateUser, NewUser};
