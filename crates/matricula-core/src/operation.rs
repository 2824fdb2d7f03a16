//! Metadata of the operations of the Matrix specification.

use crate::Method;

/// One operation of the Matrix specification, as generated from its OpenAPI data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The `operationId`, unique within its API.
    pub id: &'static str,
    /// The API it belongs to.
    pub api: Api,
    /// The HTTP method.
    pub method: Method,
    /// The full path, with `{parameters}` in braces.
    pub path: &'static str,
    /// Which token it takes.
    pub auth: OperationAuth,
    /// Whether the specification declares a 429 response.
    pub rate_limited: bool,
    /// Whether it may require user-interactive authentication.
    pub uia: bool,
    /// Whether guest accounts may use it.
    pub guests: bool,
    /// The version of the specification that added it, if the data says so.
    pub since: Option<&'static str>,
    /// Whether the specification deprecates it.
    pub deprecated: bool,
    /// Names of query parameters that are secrets.
    pub query_secrets: &'static [&'static str],
    /// JSON pointers to the request body's secrets.
    pub request_secrets: &'static [&'static str],
    /// JSON pointers to the response body's secrets.
    pub response_secrets: &'static [&'static str],
    /// When a request may be retried.
    pub retry_safety: RetrySafety,
}

impl Operation {
    /// An operation without a token, rate limit, UIA, guests or secrets; `with_*` sets what differs.
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

    /// Sets which token it takes.
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

    /// Marks it as requiring user-interactive authentication.
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

    /// Sets the names of query parameters that are secrets.
    #[must_use]
    pub const fn with_query_secrets(mut self, names: &'static [&'static str]) -> Self {
        self.query_secrets = names;
        self
    }

    /// Sets when a request may be retried.
    #[must_use]
    pub const fn with_retry_safety(mut self, retry: RetrySafety) -> Self {
        self.retry_safety = retry;
        self
    }
}

/// One of the APIs of the Matrix specification.
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

/// Which token an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationAuth {
    /// No token.
    None,
    /// An access token, if there is one.
    Optional,
    /// An access token.
    Required,
    /// An application service's token, if there is one.
    AppserviceOptional,
    /// An application service's token.
    Appservice,
    /// The homeserver's token for an application service.
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

/// When a request may be retried without a second effect.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[non_exhaustive]
pub enum RetrySafety {
    /// Always: the operation is idempotent.
    Idempotent,
    /// Always: the server recognises a retry by its transaction id.
    TxnId,
    /// Only if the first request was certainly not processed.
    #[default]
    OnlyIfNotProcessed,
}

impl RetrySafety {
    /// The default for a method: all but `POST` are idempotent.
    pub const fn by_method(method: Method) -> Self {
        match method {
            Method::Post => Self::OnlyIfNotProcessed,
            Method::Get | Method::Put | Method::Delete => Self::Idempotent,
        }
    }
}
