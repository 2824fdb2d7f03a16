//! Accounts and sessions at the OAuth 2.0 server that a homeserver delegates its accounts to.
//!
//! `machine.rs` is the conversation; `browser.rs` and `device.rs` are its two grants.

mod browser;
mod client;
mod device;
mod machine;
mod phase;
mod pkce;
mod provider;

pub use client::OAuthClient;
pub use machine::OAuthLogin;
