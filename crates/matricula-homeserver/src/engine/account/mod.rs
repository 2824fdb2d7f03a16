//! What a user does with an account: profile, devices, password, third-party identifiers, deactivation.

pub(crate) mod deactivate;
mod devices;
mod password;
pub(crate) mod profile;
pub(crate) mod threepid;
