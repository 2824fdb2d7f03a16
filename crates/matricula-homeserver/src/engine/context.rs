//! What a handler works with: the server, the transaction and the request.

use matricula_core::Secret;
use rusqlite::Transaction;

use super::{Homeserver, Request, storage::rate_limit::Bucket};
use crate::{Config, Limit};

/// One request in progress, and the transaction in which it is handled.
pub(crate) struct RequestContext<'a> {
    pub(crate) homeserver: &'a Homeserver,
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) request: &'a Request,
}

impl<'a> RequestContext<'a> {
    /// The configuration of the server.
    pub(crate) fn config(&self) -> &'a Config {
        &self.homeserver.config
    }

    /// The address of the server, followed by this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.homeserver.base_url)
    }

    /// The access token of the request.
    pub(crate) fn access_token(&self) -> Option<&'a str> {
        let in_header = self.request.access_token.as_ref().map(Secret::expose);
        in_header.or_else(|| self.request.query("access_token"))
    }

    /// The rate-limit bucket of the client's network address.
    pub(crate) fn peer_bucket(&self, kind: &'static str, limit: Option<Limit>) -> Bucket<'a> {
        Bucket {
            kind,
            limit,
            key: &self.request.peer,
        }
    }

    /// The bucket of attempts to guess a password.
    pub(crate) fn login_bucket(&self) -> Bucket<'a> {
        self.peer_bucket("login", self.config().limits.login)
    }

    /// The bucket of created accounts.
    pub(crate) fn registration_bucket(&self) -> Bucket<'a> {
        self.peer_bucket("registration", self.config().limits.registration)
    }
}
