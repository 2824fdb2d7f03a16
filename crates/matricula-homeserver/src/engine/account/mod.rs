//! What somebody who has an account does with it.

mod deactivate;
pub(super) mod devices;
mod password;
pub(super) mod profile;
