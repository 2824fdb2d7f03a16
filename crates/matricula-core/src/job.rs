//! A request as a value: what to ask, with whose credential, what to remember, and its place in line.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{
    Body, FileRef, Headers, MASK, Operation, Response, RetrySafety, Secret, ServerUrl,
    form::mask_form, mask::Names, mask_json,
};

/// The query of a request: pairs, not yet encoded.
pub type Query = Vec<(Cow<'static, str>, String)>;

/// A request to a Matrix server as a value: clone it, compare it, store it, send it later.
///
/// It is made of plain texts and small enums, and becomes an HTTP request only at the wire.
/// A job that holds a secret refuses to be serialised: see [`Job::holds_secret`].
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
    header: Headers,
    body: Body,
    data: Value,
    queue: Option<String>,
    queue_policy: QueuePolicy,
    retry_safety: RetrySafety,
    request_secrets: Names,
    query_secrets: Names,
    /// Whether the last segment of the path is a secret.
    #[serde(skip)]
    secret_path: bool,
    /// Whether the answer to the operation holds secrets.
    #[serde(skip)]
    answers_secrets: bool,
}

impl Job {
    /// A request to `request_url`, a path whose segments are percent-encoded already, on `server`.
    ///
    /// `operation_id` names the operation; it is not unique.
    #[inline]
    pub fn new(
        server: &ServerUrl,
        request_url: &str,
        method: Method,
        operation_id: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::at(join(server, request_url), method, operation_id.into())
    }

    fn at(url: String, method: Method, operation_id: Cow<'static, str>) -> Self {
        Self {
            url,
            method,
            operation_id,
            auth: Auth::None,
            response_format: ResponseFormat::Json,
            query: Query::new(),
            header: Headers::new(),
            body: Body::Empty,
            data: Value::Null,
            queue: None,
            queue_policy: QueuePolicy::default(),
            retry_safety: RetrySafety::by_method(method),
            request_secrets: Names::default(),
            query_secrets: Names::default(),
            secret_path: false,
            answers_secrets: false,
        }
    }

    /// A request to `operation` at `request_url`: its path with the parameters filled in.
    #[inline]
    pub fn for_operation(server: &ServerUrl, request_url: &str, operation: &Operation) -> Self {
        Self::for_operation_at(join(server, request_url), operation)
    }

    /// A request to `operation` at the whole address `url`, whose segments are percent-encoded
    /// already.
    #[inline]
    pub fn for_operation_at(url: String, operation: &Operation) -> Self {
        let mut job = Self::at(url, operation.method, Cow::Borrowed(operation.id));
        job.retry_safety = operation.retry_safety;
        job.request_secrets = Names::Fixed(operation.request_secrets);
        job.query_secrets = Names::Fixed(operation.query_secrets);
        job.answers_secrets = !operation.response_secrets.is_empty();
        job
    }

    /// The full address without the query.
    #[doc(alias("serverUrl", "requestUrl"))]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address for people to read: without the query, and masked where its end is a secret.
    pub fn masked_url(&self) -> Cow<'_, str> {
        match self.url.rsplit_once('/') {
            Some((address, _)) if self.secret_path => Cow::Owned(format!("{address}/{MASK}")),
            _ => Cow::Borrowed(&self.url),
        }
    }

    /// The HTTP method.
    #[doc(alias = "requestMethod")]
    pub fn request_method(&self) -> Method {
        self.method
    }

    /// The query's pairs in order, not encoded.
    #[doc(alias = "requestQuery")]
    pub fn request_query(&self) -> &[(Cow<'static, str>, String)] {
        &self.query
    }

    /// The headers besides those that the wire adds.
    #[doc(alias = "requestHeader")]
    pub fn request_headers(&self) -> &[(Cow<'static, str>, String)] {
        &self.header
    }

    /// The body.
    #[doc(alias = "requestBody")]
    pub fn request_body(&self) -> &Body {
        &self.body
    }

    /// The body for people to read: JSON or a form with its secrets masked, of others only the size.
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

    /// The query for people to read: its pairs, not encoded, with the secrets among them masked.
    pub fn masked_query(&self) -> Vec<(&str, &str)> {
        let pairs = self.query.iter();
        pairs
            .map(|(name, value)| match self.is_query_secret(name) {
                true => (name.as_ref(), MASK),
                false => (name.as_ref(), value.as_str()),
            })
            .collect()
    }

    fn is_query_secret(&self, name: &str) -> bool {
        self.query_secrets.iter().any(|secret| secret == name)
    }

    /// Fields of a form are named as those of a JSON object are: `/password`.
    fn is_form_secret(&self, name: &str) -> bool {
        let mut pointers = self.request_secrets.iter();
        pointers.any(|pointer| pointer.strip_prefix('/') == Some(name))
    }

    /// What the answer is to be kept as.
    #[doc(alias = "returnType")]
    pub fn response_format(&self) -> &ResponseFormat {
        &self.response_format
    }

    /// Whether the answer is to be JSON.
    #[doc(alias = "shouldReturnJson")]
    pub fn should_return_json(&self) -> bool {
        self.response_format == ResponseFormat::Json
    }

    /// The file that the answer is to be written to, if any.
    #[doc(alias = "responseFile")]
    pub fn response_file(&self) -> Option<&FileRef> {
        match &self.response_format {
            ResponseFormat::File(file) => Some(file),
            ResponseFormat::Json | ResponseFormat::Bytes | ResponseFormat::Location => None,
        }
    }

    /// The operation's name. Not unique: what is unique is a scheduler's
    /// [`JobId`](crate::scheduler::JobId).
    #[doc(alias = "jobId")]
    pub fn operation_id(&self) -> &str {
        &self.operation_id
    }

    /// Whose credential goes with the request.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// When the request may be sent again.
    pub fn retry_safety(&self) -> RetrySafety {
        self.retry_safety
    }

    /// All that was attached with [`Job::with_data`]; null where nothing was.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// One key of the attached data.
    #[doc(alias = "dataJson")]
    pub fn data_json(&self, key: &str) -> Option<&Value> {
        self.data.get(key)
    }

    /// One key of the attached data, where it is a text.
    #[doc(alias = "dataStr")]
    pub fn data_str(&self, key: &str) -> Option<&str> {
        self.data_json(key)?.as_str()
    }

    /// The queue it waits in; jobs of no queue run at once.
    #[doc(alias = "queueId")]
    pub fn queue_id(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// What happens to the jobs behind it if it fails.
    #[doc(alias = "queuePolicy")]
    pub fn queue_policy(&self) -> QueuePolicy {
        self.queue_policy
    }

    /// Whether it carries a token, or a secret in its path, query or body, and so must not be stored
    /// outside a secret store.
    pub fn holds_secret(&self) -> bool {
        let in_query = self
            .query
            .iter()
            .any(|(name, _)| self.is_query_secret(name));
        if in_query || self.secret_path || matches!(self.auth, Auth::Token(_)) {
            return true;
        }
        match &self.body {
            Body::Json(text) if !self.request_secrets.is_empty() => {
                // Masking changes the text just where a secret is, up to the spelling of the JSON.
                mask_json::<&str>(text, &[]) != self.masked_body()
            }
            Body::Form(text) => *text != self.masked_body(),
            _ => false,
        }
    }

    /// Whether the answer to its operation holds secrets, such as a token: then neither must be
    /// stored outside a secret store.
    pub fn response_is_secret(&self) -> bool {
        self.answers_secrets
    }

    /// How long it asks the server to wait for news before it answers, as `/sync` does: the query's
    /// `timeout`, in milliseconds.
    pub fn long_poll_timeout(&self) -> Option<Duration> {
        let mut query = self.query.iter();
        let (_, millis) = query.find(|(name, _)| name == "timeout")?;
        millis.parse().ok().map(Duration::from_millis)
    }

    /// The response as this job's: it carries the job's id and data on.
    #[doc(alias = "genResponse")]
    pub fn respond(&self, response: Response) -> Response {
        response.of_job(self.operation_id.clone(), self.data.clone())
    }

    /// What libkazv answers for the server to a job that its queue cancelled
    /// ([`Outcome::Cancelled`](crate::scheduler::Outcome::Cancelled)), for code that knows answers only.
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

fn join(server: &ServerUrl, request_url: &str) -> String {
    let mut url = String::with_capacity(server.as_str().len() + request_url.len());
    url.push_str(server.as_str());
    url.push_str(request_url);
    url
}

impl Job {
    /// Address, query, headers, method and body.
    pub(crate) fn into_parts(self) -> (String, Query, Headers, Method, Body) {
        (self.url, self.query, self.header, self.method, self.body)
    }
}

/// Setting one part; each takes the job and returns it.
impl Job {
    /// Names the credential that goes with the request.
    #[inline]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Carries this token, for one-off use. Prefer [`Auth::Required`], which only names one.
    #[doc(alias = "token")]
    #[inline]
    pub fn with_token(self, token: Secret) -> Self {
        self.with_auth(Auth::Token(token))
    }

    /// Adds a pair to the query.
    #[doc(alias = "addToQuery")]
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
        self.header.push((name.into(), value.into()));
        self
    }

    /// Replaces the body.
    #[inline]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sets what the answer is to be kept as.
    #[inline]
    pub fn with_response_format(mut self, return_type: ResponseFormat) -> Self {
        self.response_format = return_type;
        self
    }

    /// Replaces the data that the response will carry on.
    #[doc(alias = "withData")]
    #[inline]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Puts it in line in a queue.
    #[doc(alias = "withQueue")]
    #[inline]
    pub fn with_queue(mut self, id: impl Into<String>, policy: QueuePolicy) -> Self {
        self.queue = Some(id.into());
        self.queue_policy = policy;
        self
    }

    /// Sets when the request may be sent again.
    #[inline]
    pub fn with_retry_safety(mut self, retry: RetrySafety) -> Self {
        self.retry_safety = retry;
        self
    }

    /// Says where the body's secrets are: JSON pointers, in which `*` matches any key. Of a form,
    /// `/name` is the field of that name.
    #[inline]
    pub fn with_request_secrets(mut self, pointers: Vec<Cow<'static, str>>) -> Self {
        self.request_secrets = Names::Own(pointers);
        self
    }

    /// Says that the last segment of the path is a secret.
    #[inline]
    pub fn with_secret_path(mut self) -> Self {
        self.secret_path = true;
        self
    }

    /// Says which of the query's pairs are secrets, by name.
    #[inline]
    pub fn with_query_secrets(mut self, names: Vec<Cow<'static, str>>) -> Self {
        self.query_secrets = Names::Own(names);
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
        fields.serialize_field("header", &self.header)?;
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
    /// Reads.
    Get,
    /// Does, or makes something with a name of the server's choice.
    Post,
    /// Makes or replaces what the address names.
    Put,
    /// Removes what the address names.
    Delete,
}

impl Method {
    /// The method as it is written on the wire.
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

/// Whose credential goes with a request.
///
/// A credential is named here; whoever sends the request attaches the token, and only towards the
/// origin that the credential belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Auth {
    /// Nobody's.
    #[default]
    None,
    /// This one if it is at hand.
    Optional(CredentialRef),
    /// This one; without it the request is not sent.
    Required(CredentialRef),
    /// The token itself, for one-off use. It makes the job hold a secret.
    #[serde(skip)]
    Token(Secret),
}

/// The name of a credential, such as a user id with its device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialRef(String);

impl CredentialRef {
    /// The credential of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an answer is to be kept as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// JSON text.
    #[default]
    Json,
    /// Raw bytes.
    #[doc(alias = "Byte")]
    Bytes,
    /// Written to this file.
    File(FileRef),
    /// The address that the server leads to: a redirection is the answer, and not followed.
    Location,
}

/// What happens to the jobs behind one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[doc(alias = "JobQueuePolicy")]
pub enum QueuePolicy {
    /// The next one runs.
    #[default]
    AlwaysContinue,
    /// They end as cancelled.
    CancelFutureIfFailed,
    /// The queue stops, says so, and waits to be told to retry or skip.
    Hold,
}
