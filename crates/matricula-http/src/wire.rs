//! One job becomes one HTTP request, and what comes back an answer.

use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use matricula_job::{
    Answer, Body, Header, Job, Method, Processed, Response, ReturnType, Secret, TransportError,
    TransportKind,
};
use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION},
};
use rustls_platform_verifier::BuilderVerifierExt;

/// The bounds of every request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How long a request may take from its first byte to its answer's last. 30 s.
    pub timeout: Duration,
    /// How long opening a connection may take. 10 s.
    pub connect_timeout: Duration,
    /// The largest answer, in bytes after decompression. 64 MiB.
    pub longest_body: usize,
    /// How many redirections a request without credential and body follows. 5.
    pub redirects: usize,
    /// How the program names itself to servers.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            longest_body: 64 << 20,
            redirects: 5,
            user_agent: concat!("matricula/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Connections, opened as they are needed.
#[derive(Clone)]
pub(crate) struct Wire {
    options: Arc<Options>,
    // Reading the system's root certificates takes some 10 ms: who talks to loopback needs none.
    plain: Arc<OnceLock<Result<Client, String>>>,
    tls: Arc<OnceLock<Result<Client, String>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            plain: Arc::default(),
            tls: Arc::default(),
        }
    }

    pub(crate) async fn send(&self, job: &Job, token: Option<Secret>) -> Answer {
        match self.exchange(job, token).await {
            Ok(response) => Answer::Response(response),
            Err(error) => {
                tracing::debug!(job = job.job_id(), %error, "no answer");
                Answer::Failed(error)
            }
        }
    }

    async fn exchange(&self, job: &Job, token: Option<Secret>) -> Result<Response, TransportError> {
        let mut url = url_of(job)?;
        for _ in 0..=self.options.redirects {
            let request = self.request(job, url.clone(), token.as_ref())?;
            let answer = request
                .send()
                .await
                .map_err(|error| transport_error(&url, error))?;
            tracing::debug!(
                job = job.job_id(),
                method = job.request_method().as_str(),
                path = url.path(),
                status = answer.status().as_u16(),
                "answered"
            );
            match follow(job, &token, &url, &answer)? {
                Some(next) => url = next,
                None => return self.read(job, &url, answer).await,
            }
        }
        let redirects = self.options.redirects;
        Err(not_followed(
            &url,
            format!("more than {redirects} redirections, one after the other"),
        ))
    }

    fn client(&self, url: &Url) -> Result<&Client, TransportError> {
        let client = if url.scheme() == "https" {
            self.tls
                .get_or_init(|| system_tls().and_then(|tls| build(&self.options, tls)))
        } else {
            self.plain
                .get_or_init(|| no_tls().and_then(|tls| build(&self.options, tls)))
        };
        client.as_ref().map_err(|message| TransportError {
            kind: TransportKind::Tls,
            processed: Processed::No,
            message: message.clone(),
        })
    }

    fn request(
        &self,
        job: &Job,
        url: Url,
        token: Option<&Secret>,
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        let method = match job.request_method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.client(&url)?.request(method, url);
        for (name, value) in job.request_header() {
            request = request.header(name.as_ref(), value);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| unsendable("the token has characters that no header can carry"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(match job.request_body() {
            Body::Empty => request,
            Body::Json(text) => request
                .header(CONTENT_TYPE, "application/json")
                .body(text.clone()),
            Body::Bytes(bytes) => request.body(bytes.clone()),
            _ => return Err(unsendable("this runner does not carry files yet")),
        })
    }

    async fn read(
        &self,
        job: &Job,
        url: &Url,
        mut answer: reqwest::Response,
    ) -> Result<Response, TransportError> {
        let status = answer.status().as_u16();
        let header: Header = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned().into(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| transport_error(url, error))?
        {
            if bytes.len() + chunk.len() > self.options.longest_body {
                return Err(TransportError {
                    kind: TransportKind::TooLarge,
                    processed: Processed::Maybe,
                    message: format!(
                        "{} answered with more than {} bytes",
                        host_of(url),
                        self.options.longest_body
                    ),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = match job.return_type() {
            ReturnType::Json => match String::from_utf8(bytes) {
                Ok(text) => Body::Json(text),
                Err(error) => Body::Bytes(error.into_bytes()),
            },
            _ => Body::Bytes(bytes),
        };
        Ok(Response::new(status, header, body))
    }
}

/// Where to go on; `None` where the answer is no redirection but the answer.
fn follow(
    job: &Job,
    token: &Option<Secret>,
    url: &Url,
    answer: &reqwest::Response,
) -> Result<Option<Url>, TransportError> {
    let is_redirection = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = answer.headers().get(LOCATION).filter(|_| is_redirection) else {
        return Ok(None);
    };
    let next = location
        .to_str()
        .ok()
        .and_then(|location| url.join(location).ok())
        .filter(|next| matches!(next.scheme(), "http" | "https"))
        .ok_or_else(|| not_followed(url, "to what is no http or https address".to_owned()))?;
    let target = host_of(&next);
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(not_followed(
            url,
            format!("from an encrypted to an unencrypted address, {target}"),
        ));
    }
    // A password or token must not travel to wherever an answer points.
    let is_plain_question = job.request_method() == Method::Get && token.is_none();
    if !is_plain_question || !matches!(job.request_body(), Body::Empty) {
        return Err(not_followed(
            url,
            format!("to {target}; use that address from the start"),
        ));
    }
    Ok(Some(next))
}

fn url_of(job: &Job) -> Result<Url, TransportError> {
    let mut url = Url::parse(job.url())
        .map_err(|error| unsendable(&format!("{} is no address: {error}", job.url())))?;
    if !job.request_query().is_empty() {
        url.query_pairs_mut().extend_pairs(job.request_query());
    }
    Ok(url)
}

fn build(options: &Options, tls: rustls::ClientConfig) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(options.timeout)
        .connect_timeout(options.connect_timeout)
        .user_agent(&options.user_agent)
        .build()
        .map_err(|error| format!("the HTTP client cannot be set up: {error}"))
}

fn tls_builder()
-> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

fn system_tls() -> Result<rustls::ClientConfig, String> {
    let builder = tls_builder()?.with_platform_verifier().map_err(|error| {
        format!("the system's root certificates cannot be read: {error}; install the package ca-certificates")
    })?;
    Ok(builder.with_no_client_auth())
}

fn no_tls() -> Result<rustls::ClientConfig, String> {
    let none = rustls::RootCertStore::empty();
    Ok(tls_builder()?
        .with_root_certificates(none)
        .with_no_client_auth())
}

fn unsendable(message: &str) -> TransportError {
    let message = message.to_owned();
    TransportError {
        kind: TransportKind::Request,
        processed: Processed::No,
        message,
    }
}

fn not_followed(url: &Url, what: String) -> TransportError {
    let message = format!("{} redirects {what}", host_of(url));
    TransportError {
        kind: TransportKind::Redirect,
        processed: Processed::No,
        message,
    }
}

/// Scheme, host and port: path and query are left out, for the query may hold a secret.
fn host_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Says what went wrong, and whether the server may have acted on the request.
fn transport_error(url: &Url, error: reqwest::Error) -> TransportError {
    // The address may hold a secret in its query.
    let error = error.without_url();
    let mut reasons = Vec::new();
    let mut is_tls = false;
    let mut source = error.source();
    while let Some(reason) = source {
        is_tls |= reason.downcast_ref::<rustls::Error>().is_some() || is_wrapped_tls(reason);
        reasons.push(reason.to_string());
        source = reason.source();
    }
    let is_too_large = reasons.iter().any(|reason| reason.contains("too large"));
    let (kind, processed) = if error.is_connect() && is_tls {
        (TransportKind::Tls, Processed::No)
    } else if error.is_connect() && error.is_timeout() {
        (TransportKind::Timeout, Processed::No)
    } else if error.is_connect() {
        (TransportKind::Connect, Processed::No)
    } else if error.is_builder() {
        (TransportKind::Request, Processed::No)
    } else if error.is_timeout() {
        (TransportKind::Timeout, Processed::Maybe)
    } else if is_too_large {
        (TransportKind::TooLarge, Processed::Maybe)
    } else {
        (TransportKind::Cut, Processed::Maybe)
    };
    let reason = reasons.last().cloned().unwrap_or_else(|| error.to_string());
    TransportError {
        kind,
        processed,
        message: format!("{}: {reason}", host_of(url)),
    }
}

/// Connectors hand a TLS error on inside an I/O error.
fn is_wrapped_tls(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some())
}
