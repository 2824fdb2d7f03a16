//! What somebody who has an account does with it.

mod deactivate;
mod devices;
mod password;
mod profile;
