//! What a handler works with: the configuration, the transaction and the request.

use matricula_core::Secret;
use rusqlite::Transaction;

use super::{request::Request, storage::rate_limit::Bucket, waiting::Changes};
use crate::{Config, Limit};

/// One request in progress, and the transaction in which it is handled.
pub(crate) struct RequestContext<'a> {
    pub(crate) config: &'a Config,
    /// The URL of the server.
    pub(crate) base_url: &'a str,
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) request: &'a Request,
    /// What the request changes, for requests that wait.
    pub(crate) changes: Changes,
}

impl<'a> RequestContext<'a> {
    /// The URL of a path of the server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
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
        self.peer_bucket("login", self.config.limits.login)
    }

    /// The bucket of created accounts.
    pub(crate) fn registration_bucket(&self) -> Bucket<'a> {
        self.peer_bucket("registration", self.config.limits.registration)
    }
}
