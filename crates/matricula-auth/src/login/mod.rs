//! Signing in: with a password, by single sign-on, at an OAuth 2.0 server, as an application service.

mod appservice;
mod oauth;
mod password;
mod sso;

pub use appservice::AppserviceLogin;
pub(crate) use appservice::{
    APPSERVICE_LOGIN, appservice_login, appservice_refusal, read_appservice_login,
};
pub use oauth::{OAuthClient, OAuthLogin};
pub use password::read_login;
pub use password::{Login, password_login_request};
pub use sso::SsoLogin;
