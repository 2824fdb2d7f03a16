//! A request as a value: what to send, with which credential, in which queue, and what to carry along.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{
    Body, FileRef, Headers, MASK, Operation, Response, RetrySafety, Secret, ServerUrl,
    form::mask_form, mask::SecretNames, mask_json,
};

/// The query of a request: pairs, not encoded.
pub type Query = Vec<(Cow<'static, str>, String)>;

/// A request to a Matrix server as a value: clone it, compare it, store it, send it later.
///
/// It consists of strings and small enums, and becomes an HTTP request only when it is sent.
/// Serialising a job that holds a secret fails: see [`Job::holds_secret`].
#[derive(Clone, PartialEq, Deserialize)]
#[doc(alias = "BaseJob")]
#[must_use = "a job is only a value: hand it to a runner"]
pub struct Job {
    url: String,
    method: Method,
    operation_id: Cow<'static, str>,
    auth: Auth,
    response_format: ResponseFormat,
    query: Query,
    headers: Headers,
    body: Body,
    data: Value,
    queue: Option<String>,
    queue_policy: QueuePolicy,
    retry_safety: RetrySafety,
    request_secrets: SecretNames,
    query_secrets: SecretNames,
    /// Whether the last segment of the path is a secret.
    #[serde(skip)]
    has_secret_path: bool,
    /// Whether the response to the operation holds secrets.
    #[serde(skip)]
    response_is_secret: bool,
}

impl Job {
    /// A request to `path` on `server`. The segments of the path are percent-encoded already.
    ///
    /// `operation_id` names the operation; it is not unique.
    #[inline]
    pub fn new(
        server: &ServerUrl,
        path: &str,
        method: Method,
        operation_id: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::with_url(join(server, path), method, operation_id.into())
    }

    fn with_url(url: String, method: Method, operation_id: Cow<'static, str>) -> Self {
        Self {
            url,
            method,
            operation_id,
            auth: Auth::None,
            response_format: ResponseFormat::Json,
            query: Query::new(),
            headers: Headers::new(),
            body: Body::Empty,
            data: Value::Null,
            queue: None,
            queue_policy: QueuePolicy::default(),
            retry_safety: RetrySafety::by_method(method),
            request_secrets: SecretNames::default(),
            query_secrets: SecretNames::default(),
            has_secret_path: false,
            response_is_secret: false,
        }
    }

    /// A request to `operation`. `path` is its path with the parameters filled in.
    #[inline]
    pub fn for_operation(server: &ServerUrl, path: &str, operation: &Operation) -> Self {
        Self::for_operation_at(join(server, path), operation)
    }

    /// A request to `operation` at `url`, a full URL whose segments are percent-encoded already.
    #[inline]
    pub fn for_operation_at(url: String, operation: &Operation) -> Self {
        let mut job = Self::with_url(url, operation.method, Cow::Borrowed(operation.id));
        job.retry_safety = operation.retry_safety;
        job.request_secrets = SecretNames::Static(operation.request_secrets);
        job.query_secrets = SecretNames::Static(operation.query_secrets);
        job.response_is_secret = !operation.response_secrets.is_empty();
        job
    }

    /// The full URL without the query.
    #[doc(alias("serverUrl", "requestUrl"))]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL for people to read: without the query, its last segment masked if that is a secret.
    pub fn masked_url(&self) -> Cow<'_, str> {
        match self.url.rsplit_once('/') {
            Some((address, _)) if self.has_secret_path => Cow::Owned(format!("{address}/{MASK}")),
            _ => Cow::Borrowed(&self.url),
        }
    }

    /// The HTTP method.
    #[doc(alias = "requestMethod")]
    pub fn request_method(&self) -> Method {
        self.method
    }

    /// The pairs of the query in order, not encoded.
    #[doc(alias = "requestQuery")]
    pub fn request_query(&self) -> &[(Cow<'static, str>, String)] {
        &self.query
    }

    /// The headers, without those that are added when the job is sent.
    #[doc(alias = "requestHeader")]
    pub fn request_headers(&self) -> &[(Cow<'static, str>, String)] {
        &self.headers
    }

    /// The body.
    #[doc(alias = "requestBody")]
    pub fn request_body(&self) -> &Body {
        &self.body
    }

    /// The body for people to read: JSON or a form with secrets masked; of others only the size.
    pub fn masked_body(&self) -> String {
        match &self.body {
            Body::Json(text) => {
                let pointers: Vec<&str> = self.request_secrets.iter().collect();
                mask_json(text, &pointers)
            }
            Body::Form(text) => mask_form(text, |name| self.is_form_secret(name)),
            other => format!("{other:?}"),
        }
    }

    /// The query for people to read: the pairs, not encoded, with secrets masked.
    pub fn masked_query(&self) -> Vec<(&str, &str)> {
        let pairs = self.query.iter();
        pairs
            .map(|(name, value)| {
                let is_secret = self.is_query_secret(name);
                (name.as_ref(), if is_secret { MASK } else { value })
            })
            .collect()
    }

    fn is_query_secret(&self, name: &str) -> bool {
        self.query_secrets.iter().any(|secret| secret == name)
    }

    /// A field of a form has the pointer that it would have in a JSON object: `/password`.
    fn is_form_secret(&self, name: &str) -> bool {
        let mut pointers = self.request_secrets.iter();
        pointers.any(|pointer| pointer.strip_prefix('/') == Some(name))
    }

    /// How the response is read.
    #[doc(alias = "returnType")]
    pub fn response_format(&self) -> &ResponseFormat {
        &self.response_format
    }

    /// Whether the response is read as JSON.
    #[doc(alias = "shouldReturnJson")]
    pub fn should_return_json(&self) -> bool {
        self.response_format == ResponseFormat::Json
    }

    /// The file that the response is written to, if any.
    #[doc(alias = "responseFile")]
    pub fn response_file(&self) -> Option<&FileRef> {
        match &self.response_format {
            ResponseFormat::File(file) => Some(file),
            ResponseFormat::Json | ResponseFormat::Bytes | ResponseFormat::Location => None,
        }
    }

    /// The `operationId` of the specification. A unique id of a submitted job is a
    /// [`JobId`](crate::scheduler::JobId).
    #[doc(alias = "jobId")]
    pub fn operation_id(&self) -> &str {
        &self.operation_id
    }

    /// The credential that is sent with the request.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// When the request may be retried.
    pub fn retry_safety(&self) -> RetrySafety {
        self.retry_safety
    }

    /// The data attached with [`Job::with_data`], or null.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// One key of the attached data.
    #[doc(alias = "dataJson")]
    pub fn data_json(&self, key: &str) -> Option<&Value> {
        self.data.get(key)
    }

    /// One key of the attached data, if it is a string.
    #[doc(alias = "dataStr")]
    pub fn data_str(&self, key: &str) -> Option<&str> {
        self.data_json(key)?.as_str()
    }

    /// Its queue. A job without a queue does not wait for others.
    #[doc(alias = "queueId")]
    pub fn queue_id(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// What happens to the jobs behind it in its queue if it fails.
    #[doc(alias = "queuePolicy")]
    pub fn queue_policy(&self) -> QueuePolicy {
        self.queue_policy
    }

    /// Whether it holds a token, or a secret in its path, query or body. Such a job must not be stored
    /// outside a secret store.
    pub fn holds_secret(&self) -> bool {
        let in_query = self
            .query
            .iter()
            .any(|(name, _)| self.is_query_secret(name));
        if in_query || self.has_secret_path || matches!(self.auth, Auth::Token(_)) {
            return true;
        }
        match &self.body {
            Body::Json(text) if !self.request_secrets.is_empty() => {
                // Compare with the re-serialised text: only secrets may differ then.
                mask_json::<&str>(text, &[]) != self.masked_body()
            }
            Body::Form(text) => *text != self.masked_body(),
            _ => false,
        }
    }

    /// Whether the response to its operation holds secrets, such as a token. Then neither must be stored
    /// outside a secret store.
    pub fn response_is_secret(&self) -> bool {
        self.response_is_secret
    }

    /// How long it asks the server to wait before it responds, as `/sync` does: the `timeout` of the query,
    /// in milliseconds.
    pub fn long_poll_timeout(&self) -> Option<Duration> {
        let mut query = self.query.iter();
        let (_, millis) = query.find(|(name, _)| name == "timeout")?;
        millis.parse().ok().map(Duration::from_millis)
    }

    /// Attaches the operation id and data of this job to a response.
    #[doc(alias = "genResponse")]
    pub fn respond(&self, response: Response) -> Response {
        response.with_job(self.operation_id.clone(), self.data.clone())
    }

    /// The response that libkazv makes for a job cancelled by its queue
    /// ([`Outcome::Cancelled`](crate::scheduler::Outcome::Cancelled)), for code that handles responses only.
    #[doc(alias = "genCancelledResponse")]
    pub fn respond_cancelled(&self) -> Response {
        let body = serde_json::json!({
            "errcode": "MOE_KAZV_MXC_HEAD_FAILURE_CANCELLED",
            "error": "This job is cancelled because one before it failed.",
        });
        self.respond(Response::new(
            490,
            Headers::new(),
            Body::Json(body.to_string()),
        ))
    }
}

fn join(server: &ServerUrl, path: &str) -> String {
    let mut url = String::with_capacity(server.as_str().len() + path.len());
    url.push_str(server.as_str());
    url.push_str(path);
    url
}

impl Job {
    /// The URL, query, headers, method and body.
    pub(crate) fn into_parts(self) -> (String, Query, Headers, Method, Body) {
        (self.url, self.query, self.headers, self.method, self.body)
    }
}

/// Builder methods.
impl Job {
    /// Names the credential that is sent with the request.
    #[inline]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Carries a token itself, for one-off use. Prefer [`Auth::Required`], which only names a credential.
    #[doc(alias = "token")]
    #[inline]
    pub fn with_token(self, token: Secret) -> Self {
        self.with_auth(Auth::Token(token))
    }

    /// Adds a pair to the query.
    #[doc(alias("addToQuery", "addToQueryIfNeeded"))]
    #[inline]
    pub fn with_query(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header.
    #[inline]
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces the body.
    #[inline]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sets how the response is read.
    #[inline]
    pub fn with_response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = format;
        self
    }

    /// Replaces the data that the response will carry.
    #[doc(alias("withData", "attachData"))]
    #[inline]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Puts it into a queue.
    #[doc(alias = "withQueue")]
    #[inline]
    pub fn with_queue(mut self, id: impl Into<String>, policy: QueuePolicy) -> Self {
        self.queue = Some(id.into());
        self.queue_policy = policy;
        self
    }

    /// Sets when the request may be retried.
    #[inline]
    pub fn with_retry_safety(mut self, retry: RetrySafety) -> Self {
        self.retry_safety = retry;
        self
    }

    /// Sets the JSON pointers to the secrets of the body, in which `*` matches any key. In a form, `/name` is
    /// the field of that name.
    #[inline]
    pub fn with_request_secrets(mut self, pointers: Vec<Cow<'static, str>>) -> Self {
        self.request_secrets = SecretNames::Owned(pointers);
        self
    }

    /// Marks the last segment of the path as a secret.
    #[inline]
    pub fn with_secret_path(mut self) -> Self {
        self.has_secret_path = true;
        self
    }

    /// Sets the names of query parameters that are secrets.
    #[inline]
    pub fn with_query_secrets(mut self, names: Vec<Cow<'static, str>>) -> Self {
        self.query_secrets = SecretNames::Owned(names);
        self
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("operation_id", &self.operation_id)
            .field("method", &self.method)
            .field("url", &self.masked_url())
            .field("auth", &self.auth)
            .field("body", &self.body)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeStruct};
        if self.holds_secret() {
            return Err(S::Error::custom(format_args!(
                "the job {} holds a secret and cannot be stored; name a credential instead",
                self.operation_id
            )));
        }
        let mut fields = serializer.serialize_struct("Job", 14)?;
        fields.serialize_field("url", &self.url)?;
        fields.serialize_field("method", &self.method)?;
        fields.serialize_field("operation_id", &self.operation_id)?;
        fields.serialize_field("auth", &self.auth)?;
        fields.serialize_field("response_format", &self.response_format)?;
        fields.serialize_field("query", &self.query)?;
        fields.serialize_field("headers", &self.headers)?;
        fields.serialize_field("body", &self.body)?;
        fields.serialize_field("data", &self.data)?;
        fields.serialize_field("queue", &self.queue)?;
        fields.serialize_field("queue_policy", &self.queue_policy)?;
        fields.serialize_field("retry_safety", &self.retry_safety)?;
        fields.serialize_field("request_secrets", &self.request_secrets)?;
        fields.serialize_field("query_secrets", &self.query_secrets)?;
        fields.end()
    }
}

/// The HTTP methods that Matrix uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// The method in capital letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Put => Self::PUT,
            Method::Post => Self::POST,
            Method::Delete => Self::DELETE,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The credential that is sent with a request.
///
/// A job only names it. The runner attaches the token when it sends the job, and only if the request goes
/// to the origin of the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Auth {
    /// No credential.
    #[default]
    None,
    /// This credential, if the runner has it.
    Optional(CredentialRef),
    /// This credential; without it the request is not sent.
    Required(CredentialRef),
    /// The token itself, for one-off use. Then the job holds a secret.
    #[serde(skip)]
    Token(Secret),
}

/// The name of a credential, such as a user id and device id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialRef(String);

impl CredentialRef {
    /// A reference to the credential of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a response is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[doc(alias = "ReturnType")]
pub enum ResponseFormat {
    /// JSON text.
    #[default]
    Json,
    /// Bytes.
    #[doc(alias = "Byte")]
    Bytes,
    /// Written to this file.
    File(FileRef),
    /// A redirect is not followed: it is the response.
    Location,
}

/// What happens to the jobs of a queue behind one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[doc(alias = "JobQueuePolicy")]
pub enum QueuePolicy {
    /// The next one runs.
    #[default]
    AlwaysContinue,
    /// They are cancelled.
    CancelFutureIfFailed,
    /// The queue is held until the failed job is retried or skipped.
    Hold,
}
