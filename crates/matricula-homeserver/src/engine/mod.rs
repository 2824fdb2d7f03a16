//! The homeserver itself: one request in, one answer out, no clock, no randomness, no sockets.

mod account;
mod addresses;
mod admin;
mod answer;
mod appservice;
mod bounds;
mod discovery;
mod entrance;
mod identity;
mod layout;
mod limits;
mod login;
mod login_tokens;
pub(crate) mod media;
mod names;
mod oauth;
mod outbox;
mod pages;
mod passwords;
mod provisions;
mod redirect;
mod refusal;
mod register;
mod rooms;
mod routes;
mod sso;
mod tokens;
mod uia;
mod visits;

use std::{fmt, time::Duration};

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, Secret, StepContext, Timestamp};
use percent_encoding::percent_decode_str;
use rusqlite::Transaction;

use addresses::Medium;
pub use answer::{FileAction, HandlerResponse, ReceivedFile, StoredFile, Upload};
pub use outbox::QueuedMail;
pub use provisions::DelegationCall;
pub(crate) use refusal::ApiError;
use refusal::HandlerError;
use routes::RequestContext;
pub use routes::served;

use crate::{Config, Error};

/// A homeserver: what is fixed about it. What changes is in its [`Database`](crate::Database).
#[derive(Clone, Debug)]
pub struct Homeserver {
    config: Config,
    base_url: String,
    /// The ways in which a signed-in user proves again who they are.
    reauth_flows: Vec<Vec<String>>,
    /// The ways in which somebody who has forgotten the password does.
    reset_flows: Vec<Vec<String>>,
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
        let proved = [Medium::Email, Medium::Msisdn];
        let proved = proved.into_iter().filter(|it| config.can_validate(*it));
        let reset_flows = proved.map(|it| vec![it.stage().to_owned()]).collect();
        Ok(Self {
            config,
            base_url,
            reauth_flows: vec![vec![uia::PASSWORD.to_owned()]],
            reset_flows,
        })
    }

    /// What it was configured to be.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Answers a request. Whoever calls commits the transaction before the answer leaves, unless its
    /// status is 500 or above; [`Database::handle`](crate::Database::handle) does.
    pub fn handle(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        request: Request,
    ) -> HandlerResponse {
        let call = RequestContext {
            homeserver: self,
            tx,
            request: &request,
        };
        let answer = match routes::route(&call, cx) {
            Ok(None) => call.page(cx).map(HandlerResponse::from),
            Ok(Some(answer)) => Ok(answer),
            Err(fault) => Err(fault),
        };
        answer.unwrap_or_else(|fault| {
            let reply = match fault {
                HandlerError::Api(refusal) => refusal.into_reply(),
                HandlerError::InvalidRequest(error) => error.response(),
                HandlerError::Uia(info) => OutgoingResponse::uia(&info),
                HandlerError::Internal(error) => {
                    tracing::error!(%error, path = request.path, "a request could not be answered");
                    let error = "something broke in the server";
                    ApiError::new(500, ErrorCode::Unknown, error).into_reply()
                }
            };
            reply.into()
        })
    }
}

/// How long this request is worth waiting for, if it is one that waits. Until then, or until something
/// happens, an answer that is [to be held back](has_no_changes) may be.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    rooms::long_poll_timeout(request).or_else(|| media::long_poll_timeout(request))
}

/// Whether this answer to a request with [`long_poll_timeout`] says no more than that nothing has happened.
pub(crate) fn has_no_changes(request: &Request, reply: &OutgoingResponse) -> bool {
    rooms::has_no_changes(request, reply) || media::is_pending(reply)
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
    pub access_token: Option<Secret>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The body, unless it is a file.
    pub body: Vec<u8>,
    /// How long the body is said to be, in bytes, where it is a file that has not been read yet.
    pub content_length: Option<u64>,
    /// The file that the body was put into, as the [`FileAction`] of the same request without it asked.
    pub received: Option<ReceivedFile>,
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
            access_token: None,
            content_type: None,
            body: Vec::new(),
            content_length: None,
            received: None,
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
