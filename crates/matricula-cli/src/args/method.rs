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

/// How pages are opened.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Paste {
    /// Open no browser: print the page's address, and read the address that it leads back to from
    /// standard input
    #[arg(long)]
    pub(crate) paste: bool,
}
