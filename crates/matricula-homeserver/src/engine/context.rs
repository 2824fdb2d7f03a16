//! What a handler works with: the configuration, the transaction and the request.

use std::cell::{Cell, RefCell};

use matricula_core::{Secret, Timestamp};
use rusqlite::Transaction;

use super::{
    request::Request, service_call::ServiceCall, storage::rate_limit::Bucket, util::millis,
    waiting::Changes,
};
use crate::{Config, Limit};

/// One request in progress, and the transaction in which it is handled.
pub(crate) struct RequestContext<'a> {
    pub(crate) config: &'a Config,
    /// The URL of the server.
    pub(crate) base_url: &'a str,
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) request: &'a Request,
    /// The session that has authorized this request, and is to repeat its response.
    pub(crate) finished_session: RefCell<Option<String>>,
    /// What the request changes, for requests that wait.
    pub(crate) changes: Changes,
    /// Whether guests may call the operation.
    pub(crate) allows_guests: Cell<bool>,
    /// The application service that must be called before the request can be answered.
    pub(crate) service_call: RefCell<Option<ServiceCall>>,
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

    /// Asks the caller to call an application service and to repeat the request.
    pub(crate) fn call(&self, call: ServiceCall) {
        *self.service_call.borrow_mut() = Some(call);
    }

    /// The time of an event that is sent now. Application services may choose it.
    pub(crate) fn event_time(&self, now: Timestamp) -> i64 {
        let is_service = || {
            let token = self.access_token();
            token.is_some_and(|it| self.config.service_by_token(it).is_some())
        };
        let chosen = self.request.query("ts").filter(|_| is_service());
        let chosen = chosen.and_then(|it| it.parse().ok()).filter(|it| *it >= 0);
        chosen.unwrap_or_else(|| millis(now))
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
