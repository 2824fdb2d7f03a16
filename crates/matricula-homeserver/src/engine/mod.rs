//! The homeserver itself: a function from a request to a response, without clock, randomness or sockets.

mod account;
mod account_data;
mod admin;
mod auth;
mod context;
mod discovery;
mod error;
mod file_action;
mod filters;
mod handler;
mod html;
mod keys;
pub(crate) mod media;
mod openid;
mod outbox;
mod presence;
mod push_rules;
mod receipts;
mod reports;
mod request;
mod rooms;
mod routes;
mod service_call;
mod services;
mod storage;
mod turn;
mod typing;
mod util;
mod waiting;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};

use matricula_api::{ErrorCode, Extra, server::OutgoingResponse};
use matricula_core::{Method, StepContext};
use rusqlite::Transaction;

use context::RequestContext;
pub(crate) use error::ApiError;
use error::HandlerError;
pub use file_action::{FileAction, HandlerResponse, ReceivedFile, StoredFile, Upload};
pub(crate) use html::redirect::may_allow;
pub(crate) use outbox::transactions;
pub use outbox::{delegation::DelegationCall, mail::QueuedMail, transactions::ServiceTransaction};
pub use request::Request;
pub use rooms::FaultyEvent;
pub use routes::served;
pub use service_call::CalledService;
pub(crate) use service_call::{CallResult, ServiceCall};
pub(crate) use util::millis;
use waiting::Changes;
pub(crate) use waiting::{Awaited, Wait};

use crate::{Config, Error};

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

    /// Handles a request. The caller commits the transaction before it sends the response, and rolls it
    /// back if the status is 500 or above, as [`Database::handle`](crate::Database::handle) does.
    pub fn handle(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        mut request: Request,
    ) -> HandlerResponse {
        routes::resolve_alias(&mut request);
        let context = self.context(tx, &request);
        let mut response = routes::route(&context, cx).unwrap_or_else(|error| {
            let reply = match error {
                HandlerError::Api(error) => error.into_reply(),
                HandlerError::InvalidRequest(error) => error.response(),
                HandlerError::Uia(info) => OutgoingResponse::uia(&info),
                HandlerError::Repeated(body) => repeated(body),
                HandlerError::Internal(error) => {
                    tracing::error!(%error, path = request.path, "a request failed");
                    let error = "an internal error occurred";
                    ApiError::new(500, ErrorCode::Unknown, error).into_reply()
                }
            };
            reply.into()
        });
        response.service_call = context.service_call.into_inner();
        (response.changed, response.wait) = context.changes.into_parts();
        response
    }
}

impl Homeserver {
    /// Appends an event as a test of clients wants it: its id, if the rules allow it, and what changed.
    pub(crate) fn append_faulty(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        event: &FaultyEvent,
    ) -> (Option<String>, BTreeSet<Awaited>) {
        let request = Request::new(Method::Put, "/");
        let context = self.context(tx, &request);
        let id = rooms::append_faulty(&context, cx, event);
        let id = id.inspect_err(|error| tracing::error!(?error, "the event is refused"));
        (id.ok(), context.changes.into_parts().0)
    }

    fn context<'a>(&'a self, tx: &'a Transaction<'a>, request: &'a Request) -> RequestContext<'a> {
        RequestContext {
            config: &self.config,
            base_url: &self.base_url,
            tx,
            request,
            finished_session: RefCell::default(),
            changes: Changes::default(),
            allows_guests: Cell::new(false),
            service_call: RefCell::new(None),
        }
    }

    /// The next transaction of the application service with this id.
    pub(crate) fn next_service_transaction(
        &self,
        tx: &Transaction<'_>,
        service: &str,
    ) -> Result<Option<ServiceTransaction>, Error> {
        let mut services = self.config.application_services.iter();
        let Some(service) = services.find(|it| it.id == service) else {
            return Ok(None);
        };
        transactions::next(tx, &self.config, service).map_err(|error| match error {
            HandlerError::Internal(error) => Error::Outbox(error),
            _ => Error::Outbox("an event is refused".into()),
        })
    }
}

/// A successful response with this JSON.
fn repeated(body: Vec<u8>) -> OutgoingResponse {
    let mut reply = OutgoingResponse::json(&Extra::new());
    reply.body = body;
    reply
}

/// How long a long-polling request may wait, if this is one. Until then, or until something changes, a
/// response that waits for a change is not sent.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    rooms::long_poll_timeout(request).or_else(|| media::long_poll_timeout(request))
}
