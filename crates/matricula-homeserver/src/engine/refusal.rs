//! Why a request is not granted, as Matrix says it.

use std::{borrow::Cow, error::Error, time::Duration};

use matricula_api::{
    ErrorCode, Extra, IdError,
    server::{OutgoingResponse, RequestError},
    uia::UiaInfo,
};

/// An answer other than success: status, code and a sentence for a person.
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

    pub(crate) fn missing_param(what: &str) -> Self {
        let error = format!("{what} is missing");
        Self::new(400, ErrorCode::MissingParam, error)
    }

    pub(crate) fn unrecognized() -> Self {
        let error = "this server has no such endpoint";
        Self::new(404, ErrorCode::Unrecognized, error)
    }

    pub(crate) fn method_not_allowed(error: &'static str) -> Self {
        Self::new(405, ErrorCode::Unrecognized, error)
    }

    /// A token that is not good, or not any more.
    pub(crate) fn unknown_token(error: &'static str, soft_logout: bool) -> Self {
        let mut refusal = Self::new(401, ErrorCode::UnknownToken, error);
        let extra = &mut refusal.extra;
        extra.insert("soft_logout".to_owned(), soft_logout.into());
        refusal
    }

    /// An account that is locked for now: a client keeps what it has.
    pub(crate) fn user_locked(error: &'static str) -> Self {
        let mut refusal = Self::new(401, ErrorCode::UserLocked, error);
        let extra = &mut refusal.extra;
        extra.insert("soft_logout".to_owned(), true.into());
        refusal
    }

    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let error = "too many requests; wait a while";
        let mut refusal = Self::new(429, ErrorCode::LimitExceeded, error);
        refusal.retry_after = Some(wait);
        refusal
    }

    pub(crate) fn into_reply(self) -> OutgoingResponse {
        match self.retry_after {
            Some(wait) => OutgoingResponse::rate_limited(&self.error, wait),
            None => OutgoingResponse::error_with(self.status, &self.code, &self.error, self.extra),
        }
    }
}

/// What keeps a request from success.
#[derive(Debug)]
pub(crate) enum HandlerError {
    /// A rule.
    Api(ApiError),
    /// A request that is not as the specification says.
    InvalidRequest(RequestError),
    /// Authentication that is to begin or to go on.
    Uia(Box<UiaInfo>),
    /// Something broken on our side.
    Internal(Box<dyn Error + Send + Sync>),
}

impl From<ApiError> for HandlerError {
    fn from(refusal: ApiError) -> Self {
        Self::Api(refusal)
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
