//! The homeserver itself: one request in, one answer out, no clock, no randomness, no sockets.

mod body;
mod discovery;
mod limits;
mod login;
mod names;
mod pages;
mod passwords;
mod refusal;
mod register;
mod tokens;
mod uia;

use std::fmt;

use matricula_job::{
    Cx,
    Method::{self, Get, Post},
    Secret, Timestamp,
};
use percent_encoding::percent_decode_str;
use rusqlite::Transaction;
use serde_json::Value;

use refusal::Fault;
pub(crate) use refusal::Refusal;

use crate::{Config, Error};

/// A homeserver: what is fixed about it. What changes is in its [`Database`](crate::Database).
#[derive(Clone, Debug)]
pub struct Homeserver {
    config: Config,
    base_url: String,
}

impl Homeserver {
    /// A homeserver with this configuration.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration contradicts itself or the specification.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        let base_url = match &config.base_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{}", config.server_name),
        };
        Ok(Self { config, base_url })
    }

    /// What it was configured to be.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Answers a request. Whoever calls commits the transaction before the answer leaves, unless its
    /// status is 500 or above; [`Database::answer`](crate::Database::answer) does.
    pub fn handle(&self, cx: &mut Cx<'_>, tx: &Transaction<'_>, request: Request) -> Response {
        match self.route(cx, tx, &request) {
            Ok(response) => response,
            Err(Fault::Refused(refusal)) => refusal.into_response(),
            Err(Fault::Broken(error)) => {
                tracing::error!(%error, path = request.path, "a request could not be answered");
                Refusal::new(500, "M_UNKNOWN", "something broke in the server").into_response()
            }
        }
    }

    fn route(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        let of_path = || ROUTES.iter().filter(|route| route.1 == request.path);
        if let Some((_, _, handler)) = of_path().find(|route| route.0 == request.method) {
            return handler(self, cx, tx, request);
        }
        let others: Vec<_> = of_path().map(|route| route.0).collect();
        if others.is_empty() {
            return self.page(cx, tx, request);
        }
        Ok(wrong_method(&others))
    }
}

type Handler = fn(&Homeserver, &mut Cx<'_>, &Transaction<'_>, &Request) -> Result<Response, Fault>;

/// Every endpoint whose path has no parameter.
const ROUTES: &[(Method, &str, Handler)] = &[
    (Get, "/.well-known/matrix/client", |it, _, _, _| {
        it.well_known()
    }),
    (Get, "/_matrix/client/versions", |it, _, _, _| it.versions()),
    (
        Get,
        "/_matrix/client/v3/capabilities",
        Homeserver::capabilities,
    ),
    (Post, "/_matrix/client/v3/register", Homeserver::register),
    (
        Get,
        "/_matrix/client/v3/register/available",
        Homeserver::available,
    ),
    (
        Get,
        "/_matrix/client/v1/register/m.login.registration_token/validity",
        Homeserver::token_validity,
    ),
    (Get, "/_matrix/client/v3/login", |it, _, _, _| {
        it.login_flows()
    }),
    (Post, "/_matrix/client/v3/login", Homeserver::login),
    (Post, "/_matrix/client/v3/logout", Homeserver::logout),
    (
        Post,
        "/_matrix/client/v3/logout/all",
        Homeserver::logout_all,
    ),
    (Post, "/_matrix/client/v3/refresh", Homeserver::refresh),
    (Get, "/_matrix/client/v3/account/whoami", Homeserver::whoami),
];

/// What is said of a known path with a method that it does not take.
fn wrong_method(allowed: &[Method]) -> Response {
    let names: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
    Refusal::new(405, "M_UNRECOGNIZED", "this endpoint takes other methods")
        .into_response()
        .with_header("Allow", names.join(", "))
}

/// A moment as the database keeps it.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// A request as the server sees it.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as it was sent, percent-encoded, without the query.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The token of the `Authorization: Bearer` header.
    pub bearer: Option<Secret>,
    /// The body.
    pub body: Vec<u8>,
    /// Whom limits apply to: in general the address that the request comes from.
    pub peer: String,
}

impl Request {
    /// A request without query, token and body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            bearer: None,
            body: Vec::new(),
            peer: String::new(),
        }
    }

    fn query(&self, key: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        pairs
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The path's segments, decoded; none where one is not UTF-8.
    fn segments(&self) -> Option<Vec<String>> {
        let path = self.path.strip_prefix('/')?;
        path.split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().ok())
            .map(|segment| segment.map(std::borrow::Cow::into_owned))
            .collect()
    }
}

impl fmt::Debug for Request {
    /// Shows nothing that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, self.path)
    }
}

/// The server's answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers that say something about this answer; those of every answer are the shell's.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON or HTML as the `Content-Type` says.
    pub body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Response {
    /// Shows nothing that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, length) = (self.status, self.body.len());
        write!(f, "Response({status}, {length} bytes)")
    }
}
