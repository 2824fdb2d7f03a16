//! The methods of registration and login on the command line.

use clap::ValueEnum;
use matricula::auth::AuthMethod;

/// The method of registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegisterMethod {
    /// The method that the server prefers
    #[default]
    Auto,
    /// Matrix's own registration
    Password,
    /// On a page of the server's OAuth 2.0 server
    Oauth,
    /// By single sign-on, on a page
    Sso,
}

impl RegisterMethod {
    /// The method that was named, if any.
    pub(crate) fn named(self) -> Option<AuthMethod> {
        match self {
            Self::Auto => None,
            Self::Password => Some(AuthMethod::Password),
            Self::Oauth => Some(AuthMethod::OAuth),
            Self::Sso => Some(AuthMethod::Sso),
        }
    }
}

/// The method of login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginMethod {
    /// With the password if there is one, else the method that the server prefers
    #[default]
    Auto,
    /// With a password
    Password,
    /// On a page of the server's OAuth 2.0 server
    Oauth,
    /// By single sign-on, on a page
    Sso,
    /// With a code that you enter on a page of the OAuth 2.0 server, on any device
    DeviceCode,
}

impl LoginMethod {
    /// The method that was named, if any.
    pub(crate) fn named(self) -> Option<AuthMethod> {
        match self {
            Self::Auto => None,
            Self::Password => Some(AuthMethod::Password),
            Self::Oauth => Some(AuthMethod::OAuth),
            Self::Sso => Some(AuthMethod::Sso),
            Self::DeviceCode => Some(AuthMethod::DeviceCode),
        }
    }
}

/// How web pages are opened.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Paste {
    /// Open no browser: print the page's address, and read the callback address from standard input
    #[arg(long, conflicts_with = "password_stdin")]
    pub(crate) paste: bool,
}
