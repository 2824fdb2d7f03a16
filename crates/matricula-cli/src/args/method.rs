//! The ways in, as they are typed.

use clap::ValueEnum;
use matricula::auth::AuthMethod;

/// In which way an account is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegisterMethod {
    /// The one that the server wants
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
    /// The one that was named, if one was.
    pub(crate) fn named(self) -> Option<AuthMethod> {
        match self {
            Self::Auto => None,
            Self::Password => Some(AuthMethod::Password),
            Self::Oauth => Some(AuthMethod::OAuth),
            Self::Sso => Some(AuthMethod::Sso),
        }
    }
}

/// In which way somebody signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginMethod {
    /// With the password if there is one, else in the way that the server wants
    #[default]
    Auto,
    /// With a password
    Password,
    /// On a page of the server's OAuth 2.0 server
    Oauth,
    /// By single sign-on, on a page
    Sso,
    /// With a code that is typed into a page of the OAuth 2.0 server, on any device
    DeviceCode,
}

impl LoginMethod {
    /// The one that was named, if one was.
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

/// How pages are opened.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Paste {
    /// Open no browser: print the page's address, and read the address that it leads back to from
    /// standard input
    #[arg(long, conflicts_with = "password_stdin")]
    pub(crate) paste: bool,
}
