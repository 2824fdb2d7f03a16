//! The homeserver itself: a function from a request to a response, without clock, randomness or sockets.

mod account;
mod admin;
mod auth;
mod context;
mod discovery;
mod error;
mod file_action;
mod handler;
mod html;
pub(crate) mod media;
mod outbox;
mod rooms;
mod routes;
mod storage;
mod util;

use std::{fmt, time::Duration};

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, Secret, StepContext};
use percent_encoding::percent_decode_str;
use rusqlite::Transaction;

use context::RequestContext;
pub(crate) use error::ApiError;
use error::HandlerError;
pub use file_action::{FileAction, HandlerResponse, ReceivedFile, StoredFile, Upload};
pub use outbox::{delegation::DelegationCall, mail::QueuedMail};
pub use routes::served;
pub(crate) use util::millis;

use crate::{Config, Delegation, Error};

/// A homeserver: its configuration. Everything that changes is in its [`Database`](crate::Database).
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

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The homeserver that delegates authentication to this one, if any.
    pub(crate) fn delegation(&self) -> Option<&Delegation> {
        self.config.oauth.as_ref()?.delegation.as_ref()
    }

    /// Handles a request. The caller commits the transaction before it sends the response, and rolls it
    /// back if the status is 500 or above, as [`Database::handle`](crate::Database::handle) does.
    pub fn handle(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        request: Request,
    ) -> HandlerResponse {
        let context = RequestContext {
            homeserver: self,
            tx,
            request: &request,
        };
        routes::route(&context, cx).unwrap_or_else(|error| {
            let reply = match error {
                HandlerError::Api(error) => error.into_reply(),
                HandlerError::InvalidRequest(error) => error.response(),
                HandlerError::Uia(info) => OutgoingResponse::uia(&info),
                HandlerError::Internal(error) => {
                    tracing::error!(%error, path = request.path, "a request failed");
                    let error = "an internal error occurred";
                    ApiError::new(500, ErrorCode::Unknown, error).into_reply()
                }
            };
            reply.into()
        })
    }
}

/// How long a long-polling request may wait, if this is one. Until then, or until something changes, a
/// response that [has no changes](has_no_changes) is not sent.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    rooms::long_poll_timeout(request).or_else(|| media::long_poll_timeout(request))
}

/// Whether a response to a long-polling request says that nothing has changed.
pub(crate) fn has_no_changes(request: &Request, reply: &OutgoingResponse) -> bool {
    rooms::has_no_changes(request, reply) || media::is_pending(reply)
}

/// A request to the homeserver.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The percent-encoded path, without the query.
    pub path: String,
    /// The decoded query.
    pub query: Vec<(String, String)>,
    /// The token of the `Authorization: Bearer` header.
    pub access_token: Option<Secret>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The body, unless it is a file.
    pub body: Vec<u8>,
    /// The declared length in bytes of a body that is a file and has not been read yet.
    pub content_length: Option<u64>,
    /// The file that holds the body, once a [`FileAction::Receive`] for this request is done.
    pub received: Option<ReceivedFile>,
    /// The key of rate limits: in general the client's network address.
    pub peer: String,
}

impl Request {
    /// A request without query, token or body.
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

    /// The decoded segments of the path; none where one is not UTF-8.
    fn segments(&self) -> Option<Vec<String>> {
        let path = self.path.strip_prefix('/')?;
        path.split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().ok())
            .map(|segment| segment.map(std::borrow::Cow::into_owned))
            .collect()
    }
}

impl fmt::Debug for Request {
    /// Hides everything that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, self.path)
    }
}
