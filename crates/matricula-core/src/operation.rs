//! Facts about an operation of the specification that hold for every request to it.

use crate::Method;

/// One operation of the Matrix specification, as generated from its OpenAPI data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The specification's `operationId`; unique within its API.
    pub id: &'static str,
    /// The API it belongs to.
    pub api: Api,
    /// The HTTP method.
    pub method: Method,
    /// The full path, `{parameters}` in braces.
    pub path: &'static str,
    /// Who may call it.
    pub auth: OperationAuth,
    /// Whether the specification declares a 429 answer.
    pub rate_limited: bool,
    /// Whether it may ask for user-interactive authentication.
    pub uia: bool,
    /// Whether an account made for a guest may use it.
    pub guests: bool,
    /// The version of the specification that added it, where the data says so.
    pub since: Option<&'static str>,
    /// Whether the specification discourages its use.
    pub deprecated: bool,
    /// The names of the query's secrets.
    pub query_secrets: &'static [&'static str],
    /// JSON pointers to the request body's secrets.
    pub request_secrets: &'static [&'static str],
    /// JSON pointers to the response body's secrets.
    pub response_secrets: &'static [&'static str],
    /// When a request may be sent again.
    pub retry_safety: RetrySafety,
}

impl Operation {
    /// An operation with the quietest facts; a generated constant sets what differs with `with_*`.
    pub const fn new(api: Api, id: &'static str, method: Method, path: &'static str) -> Self {
        Self {
            id,
            api,
            method,
            path,
            auth: OperationAuth::None,
            rate_limited: false,
            uia: false,
            guests: false,
            since: None,
            deprecated: false,
            query_secrets: &[],
            request_secrets: &[],
            response_secrets: &[],
            retry_safety: RetrySafety::by_method(method),
        }
    }

    /// Sets who may call it.
    #[must_use]
    pub const fn with_auth(mut self, auth: OperationAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Marks it as rate-limited.
    #[must_use]
    pub const fn with_rate_limit(mut self) -> Self {
        self.rate_limited = true;
        self
    }

    /// Marks it as subject to user-interactive authentication.
    #[must_use]
    pub const fn with_uia(mut self) -> Self {
        self.uia = true;
        self
    }

    /// Marks it as open to guests.
    #[must_use]
    pub const fn with_guests(mut self) -> Self {
        self.guests = true;
        self
    }

    /// Sets the version that added it.
    #[must_use]
    pub const fn with_since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    /// Marks it as deprecated.
    #[must_use]
    pub const fn with_deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Sets the JSON pointers to the secrets of request and response bodies.
    #[must_use]
    pub const fn with_secrets(
        mut self,
        request: &'static [&'static str],
        response: &'static [&'static str],
    ) -> Self {
        self.request_secrets = request;
        self.response_secrets = response;
        self
    }

    /// Sets the names of the query's secrets.
    #[must_use]
    pub const fn with_query_secrets(mut self, names: &'static [&'static str]) -> Self {
        self.query_secrets = names;
        self
    }

    /// Sets when a request may be sent again.
    #[must_use]
    pub const fn with_retry_safety(mut self, retry: RetrySafety) -> Self {
        self.retry_safety = retry;
        self
    }
}

/// A part of the Matrix specification with a base path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// Client to homeserver.
    Client,
    /// Client to identity server.
    Identity,
    /// Homeserver to application service.
    Appservice,
    /// Homeserver to push gateway.
    Push,
}

impl Api {
    /// The name that `api list` and `api call` use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Identity => "identity",
            Self::Appservice => "appservice",
            Self::Push => "push",
        }
    }
}

/// Whose token an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationAuth {
    /// No token.
    None,
    /// An access token if there is one.
    Optional,
    /// An access token.
    Required,
    /// An application service's token if there is one.
    AppserviceOptional,
    /// An application service's token.
    Appservice,
    /// The homeserver's token towards an application service.
    Homeserver,
}

impl OperationAuth {
    /// The name that `api list` uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::Required => "required",
            Self::AppserviceOptional => "appservice-optional",
            Self::Appservice => "appservice",
            Self::Homeserver => "homeserver",
        }
    }
}

/// When a request may be sent again without risking a second effect.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[non_exhaustive]
pub enum RetrySafety {
    /// Always: doing it twice is doing it once.
    Idempotent,
    /// Always: a transaction id lets the server recognise the second one.
    TxnId,
    /// Only where the first one was certainly not processed.
    #[default]
    OnlyIfNotProcessed,
}

impl RetrySafety {
    /// What holds where nobody knows better: everything but a `POST` names what it acts on, so that
    /// doing it twice is doing it once.
    pub const fn by_method(method: Method) -> Self {
        match method {
            Method::Post => Self::OnlyIfNotProcessed,
            Method::Get | Method::Put | Method::Delete => Self::Idempotent,
        }
    }
}
