//! Error responses: the status, `errcode` and message of a request that fails.

use std::{borrow::Cow, error::Error, time::Duration};

use matricula_api::{
    ErrorCode, Extra, IdError,
    server::{OutgoingResponse, RequestError},
    uia::UiaInfo,
};

use super::storage::rate_limit::LimitError;

/// An error response: status, code and a message for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: u16,
    pub(crate) code: ErrorCode,
    pub(crate) error: Cow<'static, str>,
    extra: Extra,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: ErrorCode, error: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            error: error.into(),
            extra: Extra::new(),
            retry_after: None,
        }
    }

    /// There is no access token.
    pub(crate) fn missing_token(error: &'static str) -> Self {
        Self::new(401, ErrorCode::MissingToken, error)
    }

    /// A required field is missing.
    pub(crate) fn missing_param(what: &str) -> Self {
        let error = format!("{what} is missing");
        Self::new(400, ErrorCode::MissingParam, error)
    }

    /// There is no such endpoint.
    pub(crate) fn unrecognized() -> Self {
        let error = "this server has no such endpoint";
        Self::new(404, ErrorCode::Unrecognized, error)
    }

    /// The endpoint does not support the method.
    pub(crate) fn method_not_allowed(error: &'static str) -> Self {
        Self::new(405, ErrorCode::Unrecognized, error)
    }

    /// The token is not valid, or not valid any more.
    pub(crate) fn unknown_token(error: &'static str, soft_logout: bool) -> Self {
        let mut api = Self::new(401, ErrorCode::UnknownToken, error);
        api.extra
            .insert("soft_logout".to_owned(), soft_logout.into());
        api
    }

    /// The account is locked. Clients keep their data.
    pub(crate) fn user_locked(error: &'static str) -> Self {
        let mut api = Self::new(401, ErrorCode::UserLocked, error);
        api.extra.insert("soft_logout".to_owned(), true.into());
        api
    }

    /// The account is deactivated.
    pub(crate) fn user_deactivated() -> Self {
        let error = "this account was deactivated";
        Self::new(403, ErrorCode::UserDeactivated, error)
    }

    /// A rate limit was exceeded.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let error = "too many requests; wait and try again";
        let mut api = Self::new(429, ErrorCode::LimitExceeded, error);
        api.retry_after = Some(wait);
        api
    }

    /// A queue is full. It has room again once its owner has taken something out.
    pub(crate) fn queue_full(error: impl Into<Cow<'static, str>>) -> Self {
        let mut api = Self::new(429, ErrorCode::LimitExceeded, error);
        api.retry_after = Some(Duration::from_secs(60));
        api
    }

    /// The version of a key backup is not the current one, which the client may use instead.
    pub(crate) fn wrong_room_keys_version(current: i64) -> Self {
        let error = "keys are added to the current version of a backup only";
        let mut api = Self::new(403, ErrorCode::WrongRoomKeysVersion, error);
        let current = current.to_string();
        api.extra
            .insert("current_version".to_owned(), current.into());
        api
    }

    /// The error as an HTTP response.
    pub(crate) fn into_reply(self) -> OutgoingResponse {
        match self.retry_after {
            Some(wait) => OutgoingResponse::rate_limited(&self.error, wait),
            None => OutgoingResponse::error_with(self.status, &self.code, &self.error, self.extra),
        }
    }
}

/// Why a handler fails.
#[derive(Debug)]
pub(crate) enum HandlerError {
    /// The server rejects the request.
    Api(ApiError),
    /// The request cannot be parsed.
    InvalidRequest(RequestError),
    /// User-interactive authentication is not complete.
    Uia(Box<UiaInfo>),
    /// The request was handled already: this is the body of its response, which succeeded.
    Repeated(Vec<u8>),
    /// An error of the server itself.
    Internal(Box<dyn Error + Send + Sync>),
}

impl From<ApiError> for HandlerError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<RequestError> for HandlerError {
    fn from(error: RequestError) -> Self {
        Self::InvalidRequest(error)
    }
}

impl From<rusqlite::Error> for HandlerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<serde_json::Error> for HandlerError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<IdError> for HandlerError {
    fn from(error: IdError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<LimitError> for HandlerError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded(wait) => ApiError::rate_limited(wait).into(),
            LimitError::Database(error) => error.into(),
        }
    }
}
