//! Signing in, or up, at the OAuth 2.0 server that a homeserver delegates its accounts to.

mod browser;
mod client;
mod device;
mod login;
mod pkce;
mod provider;
mod session;
mod tokens;

pub use client::OAuthClient;
pub use login::OAuthLogin;
pub use session::{OAuthLogout, OAuthSession};

pub(crate) use pkce::draw;
